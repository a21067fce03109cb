"""What is wrong with a configuration: a sentence, and the key that it is about."""

from __future__ import annotations

import difflib
import re
import reprlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.config.schema import SECTIONS, every_key
from spxarb.core.masking import masked_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(r"[-+]?[0-9][0-9_.]*")
_MISTYPED = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/).*", re.DOTALL)
"""A URL with a slash too few."""
_LONGEST_NUMBER = 30


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `key`: the dotted key, or the section, that it is about; empty: the whole file."""

    text: str
    key: str = ""

    def stops(self, verb: str) -> bool:
        """Whether the verb cannot begin: no verb but `dashboard` depends on the dashboard's settings."""
        return verb == "dashboard" or self.key.partition(".")[0] != "dashboard"

    def __str__(self) -> str:
        return self.text


def shown(value: object) -> str:
    """A short form of any value; text keeps its quotes, so that `"4002"` differs from 4002.

    Of an address no more than scheme and host: its owner may have put a secret into the wrong key.
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        return f"{value[:8]}... (a number of {len(value):,} characters)"
    if isinstance(value, str):
        value = _MISTYPED.sub(r"\1:/***", masked_addresses(value))
    elif isinstance(value, dict | list | tuple) and "://" in str(value):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} with an address in it"
    return " ".join(reprlib.repr(value).split())


def near_section(section: str) -> str:
    """A misspelt section, or a key outside its section."""
    homes = [key for key in every_key() if key.partition(".")[2] == section]
    return _suggest(homes or difflib.get_close_matches(section, SECTIONS, 1, 0.6))


def near_key(key: str) -> str:
    """The same name in another section, else the nearest name in this one, else the nearest anywhere."""
    section, _, name = key.partition(".")
    keys = every_key()
    elsewhere = [known for known in keys if known.partition(".")[2] == name]
    siblings = [known for known in keys if known.startswith(f"{section}.")]
    near = difflib.get_close_matches(key, siblings, 1, 0.75) or difflib.get_close_matches(key, keys, 1, 0.75)
    return _suggest(elsewhere or near)


def near_word(value: object, words: Sequence[str]) -> str:
    """The one of the words that was meant."""
    return _suggest(difflib.get_close_matches(str(value).lower(), words, 1, 0.5))


def _suggest(names: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(names)}?)" if names else ""
