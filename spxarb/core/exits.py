"""Exits: why a spread must be exited, what closing it costs now, what its calls bring at expiry. Pure.

Eager to exit: what is not known never hides a reason to exit, and never is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.fees import OPTION_MULTIPLIER, FeeSchedule, order_fees
from spxarb.core.model import ZERO, ExitReason, LegName, Quote, Side, cents

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.sessions import TradingDay
    from spxarb.core.strategy import Limits


@dataclass(frozen=True, slots=True)
class ExitView:
    """All that is known of one open spread when an exit is considered; None where unknown.

    `day` is the timetable of its expiry; `pnl` what closing it now would make of it, `daily_pnl` the day's
    net result over all trades, dollars.
    """

    now: datetime
    day: TradingDay | None
    spy_price: Decimal | None
    spy_strike: Decimal | None
    pnl: Decimal | None
    daily_pnl: Decimal | None


def exit_signal(view: ExitView, limits: Limits) -> ExitReason | None:
    """The first reason to exit, None to hold. Limits compare strictly; what is unknown gives no reason.

    After the close the answer still is a reason (EXPIRATION at the latest), but nothing can be traded then.
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
    return next((reason for reason, due in reasons if due), None)


def closing_cost(
    spy_quote: Quote, spx_quote: Quote, spy_short: Decimal, spx_long: Decimal, fees: FeeSchedule
) -> Decimal | None:
    """Dollars to close now: SPY bought at the ask, SPX sold at the bid, both orders' estimated fees in it.

    Negative when closing brings money. `spy_short` and `spx_long` are contracts still held, unsigned; none
    needs no quote. Where the broker sends that SPX has no bid, beside a live ask, it counts as 0 and nothing
    is sold. None when any other side is missing or has not come yet, or a leg is held the wrong way round.
    """
    back = _buy_back(spy_quote, spy_short, fees)
    sale = _sale(spx_quote, spx_long, fees)
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


def _sale(quote: Quote, contracts: Decimal, fees: FeeSchedule) -> Decimal | None:
    """Dollars received, less fees, for `contracts` SPX calls at the bid; None when that is not known."""
    if contracts == 0:
        return ZERO
    if contracts < 0:
        return None
    if quote.bid is None or quote.bid <= 0:
        no_bid = quote.bid is not None or quote.bid_told
        return ZERO if no_bid and quote.ask is not None and quote.ask > 0 else None
    return contracts * OPTION_MULTIPLIER * quote.bid - order_fees(
        fees, "SPX", Side.SELL, contracts, quote.bid
    )
