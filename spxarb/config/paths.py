"""Paths as people write them: what is none, or surely not the one that was meant, is never opened.

A shell would have replaced `$HOME`, quotes and `~`; nothing does so here, and a folder of that name would be
made with a second, empty ledger in it. So the text is judged before it becomes a path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME_MISSING = "this user has no home folder ($HOME is not set, and the system knows none)"

AS_A_FOLDER = "it ends as a folder does, and a file is wanted"

MOST_PATH = 4000
"""Linux takes 4,095 bytes, other systems fewer."""

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE = re.compile(r"^[A-Za-z]:|\\")
_SPECIFIER = re.compile(r"(?:^|/)%[A-Za-z]+%?(?:/|$)")
_QUOTES = frozenset('"`“”‘’„«»')  # noqa: RUF001 -- these are meant
_AT_THE_END = re.compile(r"(?:^|/)'|'(?:/|$)")


def user_path(text: str) -> Path:
    """A path with `~` expanded; without a home folder (a bare service account) it stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 -- Path.expanduser raises there


def path_problem(text: str) -> str:
    """Why the text cannot be meant as the path of a file, in words; empty when it can."""
    if len(text) > MOST_PATH:
        return f"it is longer than {MOST_PATH:,} characters"
    return next(_reasons(text), "") or _home_problem(text)


def _reasons(text: str) -> Iterator[str]:
    """What says that it is none, the plainest first."""
    if "\r" in text:
        yield "a carriage return is in it (a file with Windows line ends?)"
    if not text.isprintable():  # a plain blank is printable
        yield "a tab or another character that cannot be seen is in it"
    if any(part != part.strip() for part in text.split("/")):
        yield "a blank begins or ends a name in it"
    if not _QUOTES.isdisjoint(text) or _AT_THE_END.search(text):
        yield "quotation marks are part of it"
    if "$" in text:
        yield "variables such as $HOME are not replaced here: write the path out"
    if _SPECIFIER.search(text):
        yield "specifiers such as %h are not replaced here: write the path out"
    if _DRIVE.search(text):
        yield "it is written as a path of Windows"
    if _SCHEME.match(text):
        yield "it is written as a URL"
    if text.endswith("/"):
        yield AS_A_FOLDER


def file_problem(text: str) -> str:
    """Likewise, of a path that must be that of a file."""
    last = text.rpartition("/")[2]
    return path_problem(text) or (AS_A_FOLDER if last in {".", ".."} or last.startswith("~") else "")


def _home_problem(text: str) -> str:
    """Why the `~` in the text leads nowhere."""
    first, *others = text.split("/")
    if "~" in others:
        return "a ~ stands in the middle of it"
    if not first.startswith("~"):
        return ""
    home = os.path.expanduser(first)  # noqa: PTH111 -- likewise
    if home.startswith("~"):
        return HOME_MISSING if first == "~" else f"there is no user {first[1:]}"
    return "" if home.startswith("/") and not path_problem(home) else f"the home folder {home!r} is no path"
