"""`sim set-time` and `sim step`: move the clock of a simulated gateway that runs in another terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from spxarb.core.model import NEW_YORK
from spxarb.core.results.sim import SimResult
from spxarb.errors import GatewayError, UsageError
from spxarb.sim.control import Control, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_STEP = timedelta(minutes=1)
_STEP = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", None: "seconds"}


Book = Mapping[str, Any]
"""What the control port tells of the account: `sim/controller.py`."""


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
    was, book = control.time().astimezone(NEW_YORK), control.book()
    try:
        now = control.set_time(moment)
    except ControlError as error:
        if any(words in str(error) for words in ("gone", "no answer", "token")):
            raise
        if moment > was:
            raise UsageError(f"the gateway plays no such time: {error}") from None
        raise UsageError(f"the gateway's clock shows {was:%Y-%m-%d %H:%M:%S} and never goes back") from None
    return SimResult(
        *("sim", now, "sim"),
        host=host,
        control_port=port,
        time=now.astimezone(NEW_YORK),
        was=was,
        events=tuple(happened(book, control.book())),
    )


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


# --- what happened meanwhile ----------------------------------------------------------------------


def happened(before: Book, after: Book) -> Iterator[str]:
    """A line for each fill, order in another state, and holding that changed without a fill."""
    known = {fill["exec_id"] for fill in before["fills"]}
    fills = [fill for fill in after["fills"] if fill["exec_id"] not in known]
    for fill in fills:
        did = "bought" if fill["side"] in {"BUY", "BOT"} else "sold"
        at = datetime.fromisoformat(fill["time"]).astimezone(NEW_YORK)
        yield f"{at:%H:%M:%S} {did} {fill['shares']:g} {_name(fill)} at ${fill['price']:,.2f}{_of(fill)}"
    states = {order["perm_id"]: order["status"] for order in before["orders"]}
    for order in after["orders"]:
        if order["status"] not in {states.get(order["perm_id"]), "Filled"}:
            what = f"{order['side']} {order['quantity']:g} {_name(order)}"
            yield f"order to {what} is {order['status']}{_of(order)}"
    traded = {fill["con_id"] for fill in fills}
    had, has = _held(before), _held(after)
    for con_id in [one for one in {**had, **has} if one not in traded]:
        old, new = had.get(con_id, (0, ""))[0], has.get(con_id, (0, ""))[0]
        if old != new:
            name = (had.get(con_id) or has[con_id])[1]
            yield f"{name}: {old:g} became {new:g} without a trade (settlement, exercise or assignment)"


def _held(book: Book) -> dict[int, tuple[float, str]]:
    return {one["con_id"]: (one["quantity"], _name(one)) for one in book["positions"]}


def _name(row: Mapping[str, Any]) -> str:
    """`SPXW 2026-02-10 6665 call`, `SPY`."""
    if row["sec_type"] != "OPT":
        return str(row["symbol"])
    kind = {"C": "call", "P": "put"}.get(row["right"], row["right"])
    day = datetime.strptime(row["expiry"], "%Y%m%d").date()  # noqa: DTZ007 -- a day alone
    return f"{row['trading_class']} {day} {row['strike']:g} {kind}"


def _of(row: Mapping[str, Any]) -> str:
    """Whose order it is, where that says something."""
    return f" ({row['order_ref']})" if row["order_ref"] else ""
