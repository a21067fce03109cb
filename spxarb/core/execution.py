"""One spread being opened or closed: which orders, in which sequence, at which prices.

Opening is hedge first: SPX calls are bought, and SPY calls are sold only against SPX calls that are filled.
Closing buys SPY back first. No order is sent for a leg while another of that leg may still fill, and the next
one not before the end of the last is proven. See `steps` for how one order is worked and what a procedure is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from spxarb.core.exits import SECOND_LOOK_SECONDS, worthless
from spxarb.core.model import ZERO, LegName, Side
from spxarb.core.order_events import Timer
from spxarb.core.order_words import Purpose
from spxarb.core.quality import LIVE, data_word
from spxarb.core.steps import Wake, finish, linked, take_snapshot, work_order
from spxarb.core.strategy import underlying_price

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from spxarb.core.contracts import Contract
    from spxarb.core.steps import Action, SpreadState, Steps, Tactics
    from spxarb.core.tracking import TrackedOrder

CLOSING_ROUNDS = 4
"""How often closing starts over when a late event of an earlier order upsets it."""
NO_LINK = "the link to the broker is down"


# --- endings --------------------------------------------------------------------------------------


class Ending(StrEnum):
    """How a procedure ended."""

    OPENED = "opened"  # both legs filled
    NOTHING = "nothing"  # no contract was filled
    UNWOUND = "unwound"  # begun and undone: flat
    FLAT = "flat"
    RESIDUAL = "residual"  # SPY is flat; worthless SPX calls go to cash settlement
    INCOMPLETE = "incomplete"  # contracts are still held that should be closed
    UNPROVEN = "unproven"  # the broker did not prove how an order ended


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ending and why, in a sentence without a full stop."""

    ending: Ending
    why: str = ""


# --- opening --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A spread to open. `spx_cap`: the highest SPX price that still leaves the least credit.

    `spy_floor` gives, for the price paid for SPX, the lowest SPY price that still does. None: no price does.
    """

    spx: Contract
    spy: Contract
    spx_quantity: int
    spy_quantity: int
    spx_cap: Decimal | None
    spy_floor: Callable[[Decimal], Decimal | None]
    tactics: Tactics

    def covered(self, spx_held: int) -> int:
        """SPY calls that so many filled SPX calls allow to sell."""
        return min(self.spy_quantity * max(spx_held, 0) // self.spx_quantity, self.spy_quantity)


def opening(spread: SpreadState, plan: OpenPlan) -> Steps[Outcome]:
    """Buy SPX, check the credit again with the price paid, sell SPY; or undo what was begun."""
    up = yield from linked(spread)
    why = _no_purchase(spread, plan) if up else NO_LINK
    if why:
        return Outcome(Ending.NOTHING, why)
    spx = yield from _buy_spx(spread, plan)
    if not spx.proven:
        return _unproven(spx)
    if not spread.held(LegName.SPX):
        return Outcome(Ending.NOTHING, _why_unfilled(spread, spx))
    up = yield from linked(spread)
    why = _no_sale(spread, plan, spx) if up else NO_LINK
    if why:
        return (yield from _undo(spread, plan, why))
    spy = yield from _sell_spy(spread, plan, spx)
    if not spy.proven:
        return _unproven(spy)
    if _whole(spread, plan):
        return Outcome(Ending.OPENED)
    return (yield from _undo(spread, plan, _why_not_whole(spread, plan, spy)))


def _no_purchase(spread: SpreadState, plan: OpenPlan) -> str:
    """Why nothing is begun; empty when SPX is to be bought."""
    ask = spread.touch(plan.spx, Side.BUY)
    if ask is None or plan.spx_cap is None or ask > plan.spx_cap:
        return "the SPX ask left no credit"
    return spread.stop or _not_of_now(spread, plan.spx) or _not_of_now(spread, plan.spy)


def _not_of_now(spread: SpreadState, call: Contract) -> str:
    """Why a call's quote is none to enter by; empty when it is live and trades."""
    quote = spread.quote(call)
    if quote.halted:
        return f"the {call.symbol} call is halted"
    if quote.data_type != LIVE:
        return f"the {call.symbol} call's data is {data_word(quote) or 'of an unknown kind'}, not live"
    return ""


def _buy_spx(spread: SpreadState, plan: OpenPlan) -> Steps[TrackedOrder]:
    limit = spread.touch(plan.spx, Side.BUY) if plan.tactics.use_limit_orders else None
    order = spread.new_order(plan.spx, LegName.SPX, Side.BUY, plan.spx_quantity, limit, Purpose.ENTRY)

    def dearer(rung: int) -> Decimal | None:
        if order.limit is None or rung > plan.tactics.attempts:
            return None
        price = plan.spx.ticks.above(order.limit)
        return order.limit if plan.spx_cap is None or price > plan.spx_cap else price

    yield from work_order(spread, order, plan.tactics.order_timeout, dearer, lambda: bool(spread.stop))
    return order


def _no_sale(spread: SpreadState, plan: OpenPlan, spx: TrackedOrder) -> str:
    """Why the SPY calls are not to be sold after all; empty when they are."""
    if spread.stop:
        return spread.stop
    if spread.held(LegName.SPX) < plan.spx_quantity:
        return _why_unfilled(spread, spx)
    bid, floor = spread.touch(plan.spy, Side.SELL), plan.spy_floor(spx.average_price or ZERO)
    if bid is None:
        return "the SPY bid vanished after SPX was bought"
    if doubt := _not_of_now(spread, plan.spy):
        return f"{doubt}, after SPX was bought"
    if floor is None or bid < floor:
        return f"with SPX bought at {spx.average_price} the SPY bid {bid} leaves too little credit"
    return ""


def _sell_spy(spread: SpreadState, plan: OpenPlan, spx: TrackedOrder) -> Steps[TrackedOrder]:
    """Never more than the filled SPX calls cover, when it is sent and while it works."""
    quantity = plan.covered(spread.held(LegName.SPX))
    limit = spread.touch(plan.spy, Side.SELL) if plan.tactics.use_limit_orders else None
    order = spread.new_order(plan.spy, LegName.SPY, Side.SELL, quantity, limit, Purpose.ENTRY)
    floor = plan.spy_floor(spx.average_price or ZERO)

    def cheaper(rung: int) -> Decimal | None:
        if order.limit is None or rung > plan.tactics.attempts:
            return None
        price = plan.spy.ticks.below(order.limit)
        return order.limit if floor is None or price < floor else price

    def halted() -> bool:
        return bool(spread.stop) or plan.covered(spread.held(LegName.SPX)) < quantity

    yield from work_order(spread, order, plan.tactics.order_timeout, cheaper, halted)
    return order


def _whole(spread: SpreadState, plan: OpenPlan) -> bool:
    """Both legs are filled as wanted, and no order of ours may still fill."""
    held = spread.held(LegName.SPX), spread.held(LegName.SPY)
    return held == (plan.spx_quantity, -plan.spy_quantity) and not spread.unproven()


def _why_not_whole(spread: SpreadState, plan: OpenPlan, spy: TrackedOrder) -> str:
    held = spread.held(LegName.SPX)
    if held < plan.spx_quantity:
        return f"a correction left {held} of {plan.spx_quantity} SPX calls"
    return _why_unfilled(spread, spy)


def _why_unfilled(spread: SpreadState, order: TrackedOrder) -> str:
    reason = spread.stop or order.refusal or "not filled in time"
    return f"{order.leg} filled {order.filled} of {order.ticket.quantity}: {reason}"


def _undo(spread: SpreadState, plan: OpenPlan, why: str) -> Steps[Outcome]:
    """Flat again: what was sold is bought back first, then what was bought is sold."""
    outcome = yield from closing(spread, ClosePlan(plan.spx, plan.spy, plan.tactics, Purpose.UNWIND))
    ending = Ending.UNWOUND if outcome.ending is Ending.FLAT else outcome.ending
    return Outcome(ending, f"{why}; {outcome.why}" if outcome.why else why)


# --- closing --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClosePlan:
    """A spread to close; `SpreadState` says what is held of it.

    `spx_trades` False: SPX cannot or must not be sold any more and goes to cash settlement. `index`: SPX
    itself, whose price says whether the SPX call is in the money; None when it is not known.
    """

    spx: Contract
    spy: Contract
    tactics: Tactics
    purpose: Purpose = Purpose.EXIT
    spx_trades: bool = True
    index: Contract | None = None

    def contract(self, leg: LegName) -> Contract:
        return self.spx if leg is LegName.SPX else self.spy


def closing(spread: SpreadState, plan: ClosePlan) -> Steps[Outcome]:
    """End every order that may still fill, buy SPY back, then sell SPX; start over if something upsets it.

    Where a doubt ends it, an order that an earlier run sent, and that this one had kept to be sent again, is
    ended too: beside an order whose end is not known both might fill.
    """
    outcome = yield from _close(spread, plan)
    if outcome.ending is not Ending.UNPROVEN:
        return outcome
    for leg in LegName:
        order = _sent_before(spread, plan, leg)
        if order is not None:
            yield from finish(spread, order)
    unproven = spread.unproven()
    return _unproven(unproven[0]) if unproven else _result(spread, plan)


def _close(spread: SpreadState, plan: ClosePlan) -> Steps[Outcome]:
    for _ in range(CLOSING_ROUNDS):
        outcome = yield from _close_once(spread, plan)
        if outcome is not None:
            return outcome
    unproven = yield from _finish_all(spread, plan)
    return _unproven(unproven[0]) if unproven else _result(spread, plan)


def _close_once(spread: SpreadState, plan: ClosePlan) -> Steps[Outcome | None]:
    """Once through both legs; None when a late event upset it."""
    unproven = yield from _finish_all(spread, plan)
    spy_after = 0
    for leg in (LegName.SPY, LegName.SPX):
        unproven = [order for order in unproven if not order.proven]
        again = _sent_before(spread, plan, leg)
        of_leg = next((order for order in unproven if order.leg is leg and order is not again), None)
        if of_leg is None and not _upset(spread, plan, leg, unproven):
            of_leg = yield from _flatten(spread, plan, leg, unproven)
        if of_leg is not None:
            return _unproven(of_leg)
        if _upset(spread, plan, leg, unproven):
            return None
        if leg is LegName.SPY:
            spy_after = spread.held(leg)
        if spy_after < 0:
            break  # SPX is its hedge
    if spread.held(LegName.SPY) != spy_after:
        return None
    unproven = spread.unproven()
    return _unproven(unproven[0]) if unproven else _result(spread, plan)


def _finish_all(spread: SpreadState, plan: ClosePlan) -> Steps[list[TrackedOrder]]:
    """Finish every order but those that are sent again; returns those whose end is not proven."""
    if any(order.resendable for order in spread.unproven()) and (yield from linked(spread)):
        yield from take_snapshot(spread)  # it may be there, and only this run not know it
    for order in spread.unproven():
        if order is not _sent_before(spread, plan, order.leg):
            yield from finish(spread, order)
    return spread.unproven()


def _sent_before(spread: SpreadState, plan: ClosePlan, leg: LegName) -> TrackedOrder | None:
    """The order with which an earlier run meant to close exactly this, if nobody has heard of it.

    It goes out again under its own id: where it did arrive, another order might fill beside it. Not for SPX
    while SPY is short. What may be sent again is never proven.
    """
    unheard = [order for order in spread.orders.values() if order.leg is leg and order.resendable]
    if not unheard or (leg is LegName.SPX and spread.held(LegName.SPY) < 0):
        return None
    held = spread.held(leg)
    wanted = _side(held), abs(held), plan.purpose
    return next(
        (order for order in unheard if (order.ticket.side, order.ticket.quantity, order.purpose) == wanted),
        None,
    )


def _upset(
    spread: SpreadState,
    plan: ClosePlan,
    leg: LegName,
    unproven: Sequence[TrackedOrder],
    own: TrackedOrder | None = None,
) -> bool:
    """Whether something new must be dealt with before `leg` is traded on.

    An order that was over is live again, one that is to be sent again is heard of, or a status claims fills
    that no execution has shown; or SPY is short while SPX is sold. `unproven` orders of the other leg are
    known to be so, `own` is the one that works now.
    """
    if leg is LegName.SPX and spread.held(LegName.SPY) < 0:
        return True
    if own is not None and own.remaining > abs(spread.held(leg)):
        return True  # others have closed some of it
    again = _sent_before(spread, plan, leg)
    known = [order for order in unproven if order.leg is not leg]
    return any(order not in known for order in spread.unproven() if order is not own and order is not again)


def _result(spread: SpreadState, plan: ClosePlan) -> Outcome:
    spy, spx = spread.held(LegName.SPY), spread.held(LegName.SPX)
    if not spy and not spx:
        return Outcome(Ending.FLAT)
    if not spy and spx > 0 and not plan.spx_trades:
        return Outcome(Ending.RESIDUAL, f"{_calls(spx, LegName.SPX)} left to cash settlement")
    if not spy and spx > 0 and _worthless(spread, plan):
        return Outcome(Ending.RESIDUAL, f"{_calls(spx, LegName.SPX)} without a bid left to cash settlement")
    open_legs = [_calls(held, leg) for leg, held in ((LegName.SPY, spy), (LegName.SPX, spx)) if held]
    if spy < 0 < spx:
        return Outcome(Ending.INCOMPLETE, f"{open_legs[0]} could not be closed, so SPX is kept as the hedge")
    return Outcome(Ending.INCOMPLETE, f"{' and '.join(open_legs)} could not be closed")


def _unproven(order: TrackedOrder) -> Outcome:
    return Outcome(Ending.UNPROVEN, f"how order {order.ref} ended is not known")


def _calls(count: int, leg: LegName) -> str:
    kind = "long" if count > 0 else "short"
    return f"{abs(count)} {kind} {leg} call{'s' if abs(count) > 1 else ''}"


def _looks_worthless(spread: SpreadState, plan: ClosePlan) -> bool:
    """Whether the SPX call is worth nothing by this one look."""
    under = None if plan.index is None else underlying_price(spread.quote(plan.index))
    return worthless(spread.quote(plan.spx), plan.spx, under)


def _worthless(spread: SpreadState, plan: ClosePlan) -> bool:
    """Whether the SPX call is worth nothing, by two looks and still."""
    return spread.unwanted and _looks_worthless(spread, plan)


def _flatten(
    spread: SpreadState, plan: ClosePlan, leg: LegName, unproven: Sequence[TrackedOrder]
) -> Steps[TrackedOrder | None]:
    """Close what is held of a leg, as far as the rungs go. Returns an order whose end is not proven."""
    held = spread.held(leg)
    if not held or (leg is LegName.SPX and held > 0 and not plan.spx_trades):
        return None
    yield from _touch_or_timeout(spread, plan, leg, held)
    for rung in (_again, _offer_worthless, _limit_rungs, _market_rung):
        if not (yield from linked(spread)) or _upset(spread, plan, leg, unproven):
            return None
        ladder = rung(spread, plan, leg)
        if ladder is None:
            continue
        order = ladder.order
        halted = partial(_upset, spread, plan, leg, unproven, order)
        if not (yield from work_order(spread, order, ladder.seconds, ladder.next_limit, halted)):
            return order
        unproven = [other for other in unproven if other is not order]  # if it lives again, that is new
    left = spread.held(leg)
    if leg is LegName.SPX and left > 0 and not spread.unwanted and _looks_worthless(spread, plan):
        yield from _touch_or_timeout(spread, plan, leg, left)  # it may have become so meanwhile
    return None


@dataclass(frozen=True, slots=True)
class _Ladder:
    """An order and how its price is worked."""

    order: TrackedOrder
    seconds: float
    next_limit: Callable[[int], Decimal | None]


def _no_more(_: int) -> None:
    return None


def _closer(spread: SpreadState, plan: ClosePlan, leg: LegName, limit: Decimal | None) -> TrackedOrder:
    """An order for exactly what is held of the leg now."""
    held = spread.held(leg)
    return spread.new_order(plan.contract(leg), leg, _side(held), abs(held), limit, plan.purpose)


def _side(held: int) -> Side:
    return Side.SELL if held > 0 else Side.BUY


def _again(spread: SpreadState, plan: ClosePlan, leg: LegName) -> _Ladder | None:
    """The order of an earlier run that nobody has heard of, at the prices of now."""
    order = _sent_before(spread, plan, leg)
    if order is None:
        return None
    if order.limit is None:
        return _Ladder(order, plan.tactics.order_timeout, _no_more)
    contract = plan.contract(leg)
    order.limit = _rung_price(spread, contract, order.ticket.side, 0) or order.limit
    return _deeper(spread, plan, contract, order)


def _offer_worthless(spread: SpreadState, plan: ClosePlan, leg: LegName) -> _Ladder | None:
    """An SPX call that is worth nothing is offered once, at the lowest legal price."""
    if leg is LegName.SPY or spread.held(leg) <= 0 or not _worthless(spread, plan):
        return None
    order = _closer(spread, plan, leg, plan.spx.ticks.lowest)
    return _Ladder(order, plan.tactics.order_timeout, _no_more)


def _limit_rungs(spread: SpreadState, plan: ClosePlan, leg: LegName) -> _Ladder | None:
    """A limit at the touch, then through it rung by rung."""
    held, contract = spread.held(leg), plan.contract(leg)
    limit = _rung_price(spread, contract, _side(held), 0)
    if not held or limit is None or not plan.tactics.use_limit_orders:
        return None
    return _deeper(spread, plan, contract, _closer(spread, plan, leg, limit))


def _deeper(spread: SpreadState, plan: ClosePlan, contract: Contract, order: TrackedOrder) -> _Ladder:
    """An order whose limit goes through the touch rung by rung."""

    def deeper(rung: int) -> Decimal | None:
        if rung >= plan.tactics.exit_rungs:
            return None
        return _rung_price(spread, contract, order.ticket.side, rung) or order.limit

    return _Ladder(order, plan.tactics.rung_seconds, deeper)


def _market_rung(spread: SpreadState, plan: ClosePlan, leg: LegName) -> _Ladder | None:
    """The last rung, where the configuration allows it; not for an SPX call that is worth nothing."""
    allowed = plan.tactics.market_exit or not plan.tactics.use_limit_orders
    held = spread.held(leg)
    if not allowed or not held or (leg is LegName.SPX and held > 0 and _worthless(spread, plan)):
        return None
    return _Ladder(_closer(spread, plan, leg, None), plan.tactics.order_timeout, _no_more)


def _rung_price(spread: SpreadState, contract: Contract, side: Side, rung: int) -> Decimal | None:
    """The touch, then through it by 1, 2, 4, 8, ... ticks, at most a fifth of the price.

    IBKR refuses limits on options more than 20 % through the best bid or offer (ibkr.info/node/838).
    """
    touch = spread.touch(contract, side)
    if touch is None:
        return None
    step = contract.ticks.increment(touch)
    through = min(step * 2 ** (rung - 1), max(touch / 5, step)) if rung else ZERO
    if side is Side.BUY:
        return contract.ticks.down(touch + through) or contract.ticks.up(touch)
    return contract.ticks.up(max(touch - through, contract.ticks.lowest))


def _touch_or_timeout(spread: SpreadState, plan: ClosePlan, leg: LegName, held: int) -> Steps[None]:
    """Wait a bounded time for a price to trade at, or until two looks show that SPX is worth nothing.

    A call that is worth something is waited for, and then goes at the market, where that is allowed.
    """
    spread.unwanted = False
    deadline, look, late = spread.timer(), "", False
    actions: tuple[Action, ...] = (Wake(deadline, plan.tactics.quote_timeout),)
    while spread.touch(plan.contract(leg), _side(held)) is None:
        if leg is LegName.SPY or held < 0 or not _looks_worthless(spread, plan):
            look = ""  # whatever was seen before, it is not worthless by this look
        elif not look:
            look = spread.timer()
            actions = (*actions, Wake(look, SECOND_LOOK_SECONDS))
        if late and not look:
            return
        event = yield from spread.wait(*actions)
        actions = ()
        late = late or event == Timer(deadline)
        if look and event == Timer(look):  # a timer is no quote: it looks worthless as before
            spread.unwanted = True
            return
