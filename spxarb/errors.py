"""Failures: one class each; its docstring says what happened, its attribute is the exit code.

`str(error)` is one line: what happened, what is at risk, what to do next. An expected refusal (a failed entry
check) is a value, not an exception.
"""

from __future__ import annotations

import traceback
from enum import IntEnum
from pathlib import Path
from typing import Literal


class Exit(IntEnum):
    """Exit codes of every command; docs/exit-codes.md explains them."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    GATEWAY = 4
    REFUSED = 5
    HUMAN = 6
    LOCKED = 7


# Where several apply, the first of these wins.
PRECEDENCE = (
    Exit.HUMAN,
    Exit.BUG,
    Exit.REFUSED,
    Exit.LOCKED,
    Exit.GATEWAY,
    Exit.CONFIG,
    Exit.USAGE,
    Exit.DONE,
)


def worst(*codes: int) -> Exit:
    """The exit code that wins where several apply."""
    return min((Exit(code) for code in codes), key=PRECEDENCE.index, default=Exit.DONE)


class SpxarbError(Exception):
    """spxarb failed"""

    exit_code: Exit = Exit.BUG
    mode: Literal["paper", "live", "sim"] | None = None
    """The trading mode; None before a configuration was read."""

    def __init__(self, what: str, *, risk: str = "", mend: str = "") -> None:
        """`what` happened, what is at `risk`, how to `mend` it; sentences without their last full stop."""
        super().__init__(what)
        self.what, self.risk, self.mend = what, risk, mend

    def __str__(self) -> str:
        parts = [part.rstrip(".") for part in (self.what, self.risk, self.mend) if part]
        return ". ".join(" ".join(part.split()) for part in parts) + "."


class UsageError(SpxarbError):
    """The command line is wrong"""

    exit_code = Exit.USAGE


class ConfigError(SpxarbError):
    """The configuration is invalid"""

    exit_code = Exit.CONFIG


class GatewayError(SpxarbError):
    """The gateway is unreachable, or did not answer in time; nothing is at risk that was not before"""

    exit_code = Exit.GATEWAY


class RefusedError(SpxarbError):
    """Refused for safety"""

    exit_code = Exit.REFUSED


class StrangerError(RefusedError):
    """It is not proven that the right user's program answers as the gateway"""


class HumanNeededError(SpxarbError):
    """A human is needed now"""

    exit_code = Exit.HUMAN


class LockedError(SpxarbError):
    """Another spxarb job holds the lock"""

    exit_code = Exit.LOCKED


def as_failure(error: Exception) -> SpxarbError:
    """The failure as it is reported: one of ours as it is, anything else is a bug, with its place."""
    if isinstance(error, SpxarbError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "spxarb" in Path(frame.filename).parts] or frames
    where = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    return SpxarbError(
        f"A bug in spxarb: {type(error).__name__}: {error}{where}",
        risk="Positions may be open",
        mend="Look at the broker and at `spxarb status --offline`; the traceback is in the log",
    )
