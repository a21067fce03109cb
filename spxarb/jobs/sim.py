"""`sim set-time` and `sim step`: move the clock of a simulated gateway that runs in another terminal."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.results.sim import SimResult
from spxarb.errors import GatewayError, UsageError
from spxarb.sim.control import Control, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_STEP = timedelta(minutes=1)
_STEP = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", None: "seconds"}


def set_time(host: str, port: int, value: str | None) -> SimResult:
    """Move the clock forward to a time of the gateway's day, or to a whole moment; New York without offset.

    Raises UsageError for what is no time, or lies behind the clock; GatewayError when nobody answers.
    """
    if value is None:
        raise UsageError("set-time wants a New York time: spxarb sim set-time 15:45 --control PORT")
    told = _told(value)
    with _control(host, port) as control:
        if isinstance(told, time):
            told = datetime.combine(control.time().astimezone(NEW_YORK), told, NEW_YORK)
        return _moved(control, host, port, told)


def step(host: str, port: int, value: str | None) -> SimResult:
    """Move the clock forward by a duration; a minute when none is given. Raises as `set_time`."""
    by = DEFAULT_STEP if value is None else _duration(value)
    with _control(host, port) as control:
        try:
            moment = control.time() + by
        except OverflowError:
            raise UsageError(f"no calendar reaches {value} further") from None
        return _moved(control, host, port, moment)


def _moved(control: Control, host: str, port: int, moment: datetime) -> SimResult:
    try:
        now = control.set_time(moment)
    except ControlError as error:
        if any(words in str(error) for words in ("gone", "no answer", "token")):
            raise
        before = control.time().astimezone(NEW_YORK)
        if moment > before:
            raise UsageError(f"the gateway plays no such time: {error}") from None
        raise UsageError(
            f"the gateway's clock shows {before:%Y-%m-%d %H:%M:%S} and never goes back"
        ) from None
    return SimResult("sim", now, "sim", host=host, control_port=port, time=now.astimezone(NEW_YORK))


def _told(value: str) -> time | datetime:
    """A time of the gateway's day, or a whole moment; an offset has a meaning with a date alone."""
    wrong = UsageError(f"{value!r} is no time such as 15:45 or 2026-02-10T15:45")
    with suppress(ValueError):
        told = time.fromisoformat(value)
        if told.tzinfo is not None:
            raise wrong
        return told
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise wrong from None
    return moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)


def _duration(value: str) -> timedelta:
    found = _STEP.fullmatch(value)
    if found is None:
        raise UsageError(f"{value!r} is no duration such as 90, 90s, 5m or 1h")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise UsageError(f"no calendar reaches {value} further") from None


@contextmanager
def _control(host: str, port: int) -> Iterator[Control]:
    """The control port, as long as the block lasts; whatever keeps it from answering is a GatewayError."""
    try:
        with Control(port, host) as control:
            yield control
    except (OSError, OverflowError, ControlError, ValueError) as error:
        where = f"at the control port {host}:{port}"
        refused = isinstance(error, ControlError)
        raise GatewayError(
            f"What answers {where} refused: {error}"
            if refused
            else f"No simulated gateway answers {where} ({error})",
            risk="Nothing was changed",
            mend="Name the control port that `spxarb sim` printed when this user started it",
        ) from error
