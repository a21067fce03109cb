"""Variables of the environment that no key of a file stands for: their values, and what is wrong with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.config.file import text_as_value
from spxarb.config.paths import path_problem, user_path
from spxarb.config.problems import Problem, shown
from spxarb.config.variables import ALERTS_VARIABLE, IN_OUTBOX, WAIT_VARIABLE, WIRE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


def wait_scale(text: str | None, mode: str | None) -> tuple[float, list[Problem]]:
    """Real seconds for each second of the program's own waits, and what is wrong with shortening them."""
    if text is None or mode is None:
        return 1.0, []
    if mode != "sim":
        return 1.0, [Problem(f"{WAIT_VARIABLE} is for trading.mode sim alone, not for {mode}: unset it")]
    value = text_as_value(text, "number")
    if not isinstance(value, int | float) or not 0 < value <= 1:
        return 1.0, [Problem(f"{WAIT_VARIABLE}: {shown(text)} is not a number above 0 and at most 1")]
    return float(value), []


def wire_folder(text: str) -> tuple[Path | None, list[Problem]]:
    """Where every command records its wire, and what is wrong with it; None: nowhere."""
    if not text:
        return None, []
    if why := path_problem(text.rstrip("/")):
        return None, [Problem(f"{WIRE_VARIABLE}: {shown(text)} is not the path of a folder: {why}")]
    return user_path(text), []


def in_outbox(text: str) -> tuple[bool, list[Problem]]:
    """Whether alerts wait in the ledger for another process to send them, and what is wrong with the word."""
    if text in {"", IN_OUTBOX}:
        return bool(text), []
    return False, [Problem(f"{ALERTS_VARIABLE}: {shown(text)} is not {IN_OUTBOX}, the one value that it has")]
