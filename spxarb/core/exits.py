"""Exits: why a spread must be exited, what closing it costs now, what its calls bring at expiry. Pure.

Eager to exit: what is not known never hides a reason to exit, and never is one. One look at the prices is no
more than one look: a single wrong tick neither makes a loss nor a call worthless.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spxarb.core.fees import OPTION_MULTIPLIER, FeeSchedule, order_fees
from spxarb.core.model import ZERO, ExitReason, LegName, Side, cents

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.limits import Limits
    from spxarb.core.sessions import TradingDay

SECOND_LOOK_SECONDS = 3.0
"""How far apart two looks at the prices are, of which the second confirms the first."""
CHEAP_TICKS = 3
"""A call offered at no more than so many of its lowest ticks (0.15 for SPX) is worth next to nothing."""
SEEN_TWICE = frozenset({ExitReason.ASSIGNMENT_RISK, ExitReason.LOSS_LIMIT, ExitReason.DAILY_LOSS})
"""Reasons that prices alone give: they count when two looks show them."""


@dataclass(frozen=True, slots=True)
class ExitView:
    """All that is known of one open spread when an exit is considered; None where unknown.

    `day` is the timetable of its expiry; `pnl` what closing it now would make of it, `daily_pnl` the day's
    net result over all trades as far as it is known, dollars.
    """

    now: datetime
    day: TradingDay | None
    spy_price: Decimal | None
    spy_strike: Decimal | None
    pnl: Decimal | None
    daily_pnl: Decimal | None


def exit_reasons(view: ExitView, limits: Limits) -> tuple[ExitReason, ...]:
    """The reasons to exit in their order; none to hold. Limits compare strictly; what is unknown gives none.

    After the close there still is a reason (EXPIRATION at the latest), but nothing can be traded then.
    """
    reasons = (
        (ExitReason.ASSIGNMENT_RISK, _at_risk_of_assignment(view, limits)),
        (ExitReason.TIME, view.day is not None and view.day.exit_at <= view.now < view.day.close),
        (ExitReason.LOSS_LIMIT, _loses_more(view.pnl, limits.max_position_loss)),
        (ExitReason.EXPIRATION, view.day is not None and view.now >= view.day.close),
        (
            ExitReason.DAILY_LOSS,
            limits.emergency_exit_enabled and _loses_more(view.daily_pnl, limits.max_daily_loss),
        ),
    )
    return tuple(reason for reason, due in reasons if due)


def exit_signal(view: ExitView, limits: Limits) -> ExitReason | None:
    """The first reason to exit that this look shows, None to hold."""
    return next(iter(exit_reasons(view, limits)), None)


def day_breached(view: ExitView, limits: Limits) -> bool:
    """Whether the day has lost more than its limit, as this look shows it."""
    return _loses_more(view.daily_pnl, limits.max_daily_loss)


def needs_second_look(reasons: tuple[ExitReason, ...]) -> bool:
    """Whether nothing but the prices of one look says that the spread must be exited."""
    return bool(reasons) and SEEN_TWICE.issuperset(reasons)


def confirmed_signal(first: ExitView, second: ExitView, limits: Limits) -> ExitReason | None:
    """The first reason to exit that both looks show; what the clock says needs no second look.

    What the second look does not show is taken as the first has shown it: prices that fail beside a loss are
    no sign that it was none, and an exit too early costs the width of the market where one too late has no
    bound. A value that both looks show must be beyond its limit in both.
    """
    later = replace(
        second,
        spy_price=first.spy_price if second.spy_price is None else second.spy_price,
        pnl=first.pnl if second.pnl is None else second.pnl,
        daily_pnl=first.daily_pnl if second.daily_pnl is None else second.daily_pnl,
    )
    earlier = exit_reasons(first, limits)
    both = (reason for reason in exit_reasons(later, limits) if reason in earlier or reason not in SEEN_TWICE)
    return next(both, None)


def worthless(quote: Quote, call: Contract, underlying: Decimal | None) -> bool:
    """Whether one look shows that nobody bids for a call because it is worth nothing; two looks make it true.

    A missing bid alone says nothing: it can be late, withdrawn for a second, or lost. There must be an ask,
    and the call must not be in the money. A bid of 0 then counts beside any ask, a bid of -1 only beside a
    cheap one; where the price of the underlying is not known, only 0 beside a cheap one.
    Whatever is in doubt is unknown and not worthless.
    """
    if quote.bid is not None or quote.ask is None or quote.ask <= 0:
        return False
    cheap = quote.ask <= CHEAP_TICKS * call.ticks.lowest
    if underlying is None or call.strike is None:
        return cheap and quote.no_bid
    if underlying >= call.strike:
        return False
    return quote.no_bid or (cheap and quote.bid_told)


def closing_cost(
    spy_quote: Quote,
    spx_quote: Quote,
    spy_short: Decimal,
    spx_long: Decimal,
    fees: FeeSchedule,
    *,
    spx_worthless: bool = False,
) -> Decimal | None:
    """Dollars to close now: SPY bought at the ask, SPX sold at the bid, both orders' estimated fees in it.

    Negative when closing brings money. `spy_short` and `spx_long` are contracts still held, unsigned; none
    needs no quote. `spx_worthless`: two looks have shown that it is; then a bid of 0 counts as 0 and nothing
    is sold. None when any other side is missing (a bid of -1 is), or a leg is held the wrong way round.
    """
    back = _buy_back(spy_quote, spy_short, fees)
    sale = _sale(spx_quote, spx_long, fees, worthless=spx_worthless)
    return None if back is None or sale is None else cents(back - sale)


def current_pnl(
    entry_credit: Decimal | None, exit_cash_so_far: Decimal, cost: Decimal | None
) -> Decimal | None:
    """Dollars that the trade would have made, closed now; None when a part is unknown.

    `exit_cash_so_far` is what exits have brought already, negative when paid; `cost` the closing cost of
    what is still held.
    """
    if entry_credit is None or cost is None:
        return None
    return entry_credit + exit_cash_so_far - cost


def settlement_cash(
    leg: LegName,  # noqa: ARG001 -- both legs pay their intrinsic value; the caller's line says which
    quantity: Decimal,
    strike: Decimal,
    close_price: Decimal,
    multiplier: int = OPTION_MULTIPLIER,
) -> Decimal:
    """Dollars that calls held at expiry bring, negative when we owe: quantity x multiplier x (S - K)+.

    `quantity` is signed, short negative; `close_price` the underlying's official close. SPXW is cash settled
    at the official SPX close. SPY is provisional: its calls deliver shares, known only the next morning, and
    their intrinsic value stands for that until then.
    """
    return cents(quantity * multiplier * max(close_price - strike, ZERO))


def _at_risk_of_assignment(view: ExitView, limits: Limits) -> bool:
    if view.spy_price is None or view.spy_strike is None:
        return False
    return view.spy_price > view.spy_strike + limits.assignment_risk_threshold


def _loses_more(pnl: Decimal | None, most: Decimal) -> bool:
    return pnl is not None and -pnl > most


def _buy_back(quote: Quote, contracts: Decimal, fees: FeeSchedule) -> Decimal | None:
    """Dollars paid, with fees, for `contracts` SPY calls at the ask; None when it is missing."""
    if contracts == 0:
        return ZERO
    if contracts < 0 or quote.ask is None or quote.ask <= 0:
        return None
    paid = contracts * OPTION_MULTIPLIER * quote.ask
    return paid + order_fees(fees, "SPY", Side.BUY, contracts, quote.ask)


def _sale(quote: Quote, contracts: Decimal, fees: FeeSchedule, *, worthless: bool) -> Decimal | None:
    """Dollars received, less fees, for `contracts` SPX calls at the bid; None when that is not known."""
    if contracts == 0:
        return ZERO
    if contracts < 0:
        return None
    if quote.bid is None or quote.bid <= 0:
        return ZERO if worthless and quote.no_bid else None
    return contracts * OPTION_MULTIPLIER * quote.bid - order_fees(
        fees, "SPX", Side.SELL, contracts, quote.bid
    )
