"""The fail-safe: one buy-back of SPY that rests at the broker, for exactly what may be short.

It is a market order that is inactive until shortly before the close, for the case that nothing of ours runs
any more. `core.execution.closing` ends it before it trades that leg.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, LegName, Side
from spxarb.core.order_events import Timer
from spxarb.core.order_words import Purpose
from spxarb.core.orders import OrderEvent, OrderState
from spxarb.core.steps import Place, Wake, finish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from spxarb.core.contracts import Contract
    from spxarb.core.steps import SpreadState, Steps
    from spxarb.core.tracking import TrackedOrder

FAILSAFE_SECONDS = 5.0
"""How long to wait for the broker to acknowledge the resting buy-back."""
BEFORE_CLOSE = timedelta(minutes=10)
"""It is inactive until then: later than the time exit, earlier than the close."""
NEXT_JOB = timedelta(minutes=6)
"""An exit that failed is tried again by the next `monitor`, which runs every five minutes."""
LAST_CALL = timedelta(minutes=2)
"""Before the close it is active in any case, with time left for a market order to fill."""


def active_from(now: datetime, close: datetime) -> datetime | None:
    """When a fail-safe that is placed now becomes active; None: at once.

    Ten minutes before the close. Later than that not before the next `monitor` had its turn: it ends the
    fail-safe and closes both legs, at limits. The last two minutes belong to the fail-safe.
    """
    moment = max(close - BEFORE_CLOSE, min(now + NEXT_JOB, close - LAST_CALL)).replace(microsecond=0)
    return moment if moment > now else None


def may_be_short(spread: SpreadState, covered: int = 0) -> int:
    """SPY calls that may be short: by executions, and by sales whose end is not proven.

    An unproven buy-back does not make them fewer: premium lost is better than naked calls. `covered`: bought
    back already, for an unproven sale, and so not held (the account does not show them long).
    """
    sales = (
        order.remaining
        for order in spread.unproven()
        if order.leg is LegName.SPY and order.ticket.side is Side.SELL
    )
    return max(int(sum(sales, start=ZERO)) - covered - spread.held(LegName.SPY), 0)


def failsafes(spread: SpreadState) -> list[TrackedOrder]:
    """The fail-safes of the spread that may still fill, oldest first."""
    return [order for order in spread.unproven() if order.purpose is Purpose.FAILSAFE]


def right_one(spread: SpreadState, wanted: int, resting: Mapping[str, int]) -> TrackedOrder | None:
    """The fail-safe that rests for exactly what is wanted; `resting`: contracts by reference, as listed."""
    if not wanted:
        return None
    return next((order for order in failsafes(spread) if resting.get(order.ref) == wanted), None)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of the fail-safe now: `wanted` contracts should rest.

    `placed`: the order that was sent. `trouble`: why it does not rest as it should, in words, empty when it
    does or has not answered yet.
    """

    wanted: int
    placed: TrackedOrder | None = None
    trouble: str = ""

    @property
    def silent(self) -> bool:
        """Whether it was sent, and the broker has not said anything of it."""
        return self.placed is not None and self.placed.state is OrderState.SENT and not self.trouble


def keep(
    spread: SpreadState,
    contract: Contract,
    not_before: datetime | None,
    resting: Mapping[str, int],
    *,
    covered: int = 0,
    enabled: bool = True,
    last_resort: bool = False,
) -> Steps[Kept]:
    """Have one fail-safe rest for exactly what may be short, and no other; none when nothing is.

    One for another quantity is cancelled, its end proven, and another placed. Where the end of one is not
    proven no other follows, but as a `last_resort`: an exit has failed, it is the only one, and the broker
    does not list it. Should both fill, that costs premium; naked calls may cost anything.
    """
    right = right_one(spread, may_be_short(spread, covered) if enabled else 0, resting)
    others = [order for order in failsafes(spread) if order is not right]
    for order in others:
        if order.ref in resting or not last_resort:  # else the exit has just tried all that can be tried
            yield from finish(spread, order)
    unproven = [order for order in others if not order.proven]
    wanted = (
        may_be_short(spread, covered) if enabled else 0
    )  # a fail-safe may have filled while it was cancelled
    unknown = f"how order {unproven[0].ref} ended is not known" if unproven else ""
    if right is not None or not wanted:
        return Kept(wanted, trouble=unknown)
    if unproven and not (last_resort and len(unproven) == 1 and not unproven[0].listed):
        return Kept(wanted, trouble=unknown)
    placed = yield from failsafe(spread, contract, not_before, wanted)
    return Kept(wanted, placed, placed.refusal or "it was refused" if _refused(placed) else "")


def _refused(order: TrackedOrder) -> bool:
    return order.over and order.state is not OrderState.FILLED


def failsafe(
    spread: SpreadState, contract: Contract, not_before: datetime | None, quantity: int
) -> Steps[TrackedOrder]:
    """Send a buy-back of so many calls, inactive until `not_before`; wait for its acknowledgement."""
    order = spread.new_order(contract, LegName.SPY, Side.BUY, quantity, None, Purpose.FAILSAFE, not_before)
    timer = spread.timer()
    order.apply(OrderEvent.SENT)
    event = yield from spread.wait(
        Place(order.ticket, order.leg, order.purpose, order.attempt), Wake(timer, FAILSAFE_SECONDS)
    )
    while event != Timer(timer) and not (order.over or order.state is OrderState.LIVE):
        event = yield from spread.wait()
    return order
