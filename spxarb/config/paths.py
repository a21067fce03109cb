"""Paths as people write them: what is none, or surely not the one that was meant, is never opened.

A shell would have replaced `$HOME`, quotes and `~`; nothing does so here, and a folder of that name would be
made with a second, empty ledger in it. So the text is judged before it becomes a path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

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
    reasons = (
        (len(text) > MOST_PATH, f"it is longer than {MOST_PATH:,} characters"),
        ("\r" in text, "a carriage return is in it (a file with Windows line ends?)"),
        (not _visible(text), "a tab or another character that cannot be seen is in it"),
        (any(part != part.strip() for part in text.split("/")), "a blank begins or ends a name in it"),
        (not _QUOTES.isdisjoint(text) or bool(_AT_THE_END.search(text)), "quotation marks are part of it"),
        ("$" in text, "variables such as $HOME are not replaced here: write the path out"),
        (bool(_SPECIFIER.search(text)), "specifiers such as %h are not replaced here: write the path out"),
        (bool(_DRIVE.search(text)), "it is written as a path of Windows"),
        (bool(_SCHEME.match(text)), "it is written as a URL"),
        (text.endswith("/"), AS_A_FOLDER),
    )
    return next((why for wrong, why in reasons if wrong), "") or _home_problem(text)


def file_problem(text: str) -> str:
    """Likewise, of a path that must be that of a file."""
    last = text.rpartition("/")[2]
    return path_problem(text) or (AS_A_FOLDER if last in {".", ".."} or last.startswith("~") else "")


def _visible(text: str) -> bool:
    """Whether each character is seen on a screen, or is a plain blank."""
    return all(letter.isprintable() for letter in text)


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
