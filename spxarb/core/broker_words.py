"""The broker's own words: which a human must read, and what to do about those that are understood.

Codes are matched where they are known. Words of a code that is not known are told as they are: nobody can
list what a broker may say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spxarb.core import broker_codes as codes
from spxarb.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOG_IN = (
    "Log in to the Gateway by hand (or to Client Portal), accept the paper trading disclaimer, and run this "
    "again"
)
_SUBSCRIBE = "Subscribe to the market data in Client Portal, and share it with the paper account"
_PRESETS = "Raise this limit in the Gateway, under Configure, Settings, API, Precautions, or in its presets"
ADVICE: Final = {
    codes.DISCLAIMER_NOT_ACCEPTED: _LOG_IN,
    codes.PAPER_NOT_ACKNOWLEDGED: _LOG_IN,
    codes.PRICE_OUT_OF_RANGE: _PRESETS,
    codes.PRICE_PERCENTAGE: _PRESETS,
    codes.TICKS_CONSTRAINT: _PRESETS,
    codes.SIZE_CONSTRAINT: _PRESETS,
    codes.VALUE_CONSTRAINT: _PRESETS,
    codes.NO_TRADING_PERMISSION: "Ask for the trading permission in Client Portal, under Settings",
    codes.NOT_SUBSCRIBED: _SUBSCRIBE,
    codes.NO_DATA_PERMISSION: _SUBSCRIBE,
}
"""What to do about a message, by its code; a sentence without its full stop."""

_ROUTINE = (
    codes.ROUTINE_NOTICES
    | codes.FARM_TROUBLE
    | codes.LINK_DOWN
    | codes.LINK_UP
    | codes.DATA_ADVISORIES
    | {codes.HISTORICAL_FARM_DOWN, codes.HISTORICAL_QUERY, codes.COMPETING_SESSION, codes.CLIENT_ID_IN_USE}
)
"""Of link and data: whoever needs these hears of them by another way."""
_URGENT_WORDS = re.compile(
    r"\b(urgent|liquidat\w*|margin (call|defici\w*|violation)|insufficient (equity|margin|funds))\b",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"\b(?:DU|DF|U|F|SIM)\d{5,}\b")


@dataclass(frozen=True, slots=True)
class Message:
    """An error frame: its code, and its text in one line."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"

    @property
    def is_routine(self) -> bool:
        return self.code in _ROUTINE

    @property
    def blocks(self) -> bool:
        """Whether the gateway answers nothing until a human has accepted something there."""
        return self.code == codes.DISCLAIMER_NOT_ACCEPTED

    @property
    def advice(self) -> str:
        """What to do about it, a sentence without its full stop; empty where nothing is known."""
        return ADVICE.get(self.code, "")

    def warns_of(self, account: str) -> bool:
        """Whether, said without an order, it warns of the margin or the liquidation of the account.

        By its code, or by its words where the code is not known. One that names other accounts alone does
        not: a login may have several.
        """
        if self.is_routine:
            return False
        named = set(_ACCOUNT.findall(self.text))
        if named and account not in named:
            return False
        return self.code == codes.LIQUIDATION_WARNING or bool(_URGENT_WORDS.search(self.text))

    def explains(self, *, cancelled_by_us: bool) -> bool:
        """Whether, said of an order, it may say why the order did not do what it should.

        What only answers a cancel or a change of ours, and a warning beside a live order, does not.
        """
        if self.code == codes.CANCELLATION:
            return not cancelled_by_us
        answers = codes.CANCEL_REFUSALS | codes.CHANGE_REFUSALS
        warnings = codes.WARNINGS - {codes.PAPER_NOT_ACKNOWLEDGED, codes.LIQUIDATION_WARNING}
        return self.code not in answers | warnings


def data_taken(words: str) -> str:
    """A phrase for a human from the gateway's words about a competing session; empty where it said none."""
    if not words:
        return ""
    said = words.rstrip(".")
    return f"another live session of this user has the market data, log out there (the gateway said {said})"


def told(messages: Iterable[Message]) -> str:
    """Messages in one line, each once, with what to do about them."""
    each_once = list(dict.fromkeys(messages))
    advice = dict.fromkeys(message.advice for message in each_once if message.advice)
    words = "; ".join(str(message).rstrip(".") for message in each_once)
    return " ".join([words + "." if advice else words, *map(sentence, advice)]).rstrip(".")


def with_words(why: str, messages: Iterable[Message]) -> str:
    """A reason with the broker's words for it and what to do about them, as far as it does not have them."""
    each_once = list(dict.fromkeys(messages))
    why = why.rstrip(".")
    if new := [message for message in each_once if message.text.rstrip(".") not in why]:
        why = f"{why}; the broker said: {told(new)}" if why else f"the broker said: {told(new)}"
    advice = dict.fromkeys(message.advice for message in each_once if message.advice not in why)
    return ". ".join([why, *advice])
