"""Options after their last trade.

SPXW settles in cash by the index at the close, AM-settled SPX by the index at the next open. SPY options out
of the money disappear once they can no longer be exercised; those in the money, by a cent or more, become
shares the next trading morning, at the strike. None of this is an execution.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from spxarb.sim.exchange.fees import ZERO
from spxarb.sim.exchange.orders import PositionChanged, dec
from spxarb.sim.market.instruments import SPX_ID, SPY_ID
from spxarb.sim.market.trading_days import NEW_YORK, closing, next_day, opening

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from spxarb.sim.exchange.ledger import AccountLedger, LedgerPosition
    from spxarb.sim.exchange.orders import Event
    from spxarb.sim.market.instruments import Market

CASH_AFTER = timedelta(minutes=2)
"""From the close (or open) until an index option is settled in cash."""
EXERCISE_AFTER = timedelta(minutes=90)
"""From the close until SPY options can no longer be exercised."""
DELIVERY = time(4)
"""When shares of the day before appear, New York."""


def landmarks(day: date) -> set[datetime]:
    """The moments of a day at which something may settle."""
    cash = {closing(day) + CASH_AFTER, opening(day) + CASH_AFTER}
    return cash | {closing(day) + EXERCISE_AFTER, datetime.combine(day, DELIVERY, NEW_YORK)}


def settle(
    market: Market, ledger: AccountLedger, now: datetime, official: Mapping[str, float]
) -> list[Event]:
    """Settle every position that is due; `official` says how far closes lie from last prints, by symbol."""
    events: list[Event] = []
    for position in list(ledger.positions.values()):
        if position.quantity and position.instrument.sec_type == "OPT":
            settled = _cash if position.instrument.symbol == "SPX" else _exercise
            by = official.get(position.instrument.symbol, 0.0)
            events += settled(market, ledger, position, now, by)
    return events


def _cash(
    market: Market, ledger: AccountLedger, position: LedgerPosition, now: datetime, by: float
) -> list[Event]:
    option = position.instrument
    if option.settles is None:
        return []
    weekly = option.trading_class == "SPXW"
    moment = closing(option.settles) if weekly else opening(option.settles)
    if now < moment + CASH_AFTER:
        return []
    final = market.quote(SPX_ID, moment).last
    if final is None:
        return []
    ledger.settle(option, dec(option.intrinsic(final + by if weekly else final)))
    return [PositionChanged(option)]


def _exercise(
    market: Market, ledger: AccountLedger, position: LedgerPosition, now: datetime, by: float
) -> list[Event]:
    option, stock = position.instrument, market.by_con_id(SPY_ID)
    if option.expiry is None or stock is None or now < closing(option.expiry) + EXERCISE_AFTER:
        return []
    final = market.quote(SPY_ID, closing(option.expiry)).last
    if final is None:
        return []
    if option.intrinsic(final + by) < 0.01:
        ledger.settle(option, ZERO)
        return [PositionChanged(option)]
    if now < datetime.combine(next_day(option.expiry), DELIVERY, NEW_YORK):
        return []
    ledger.deliver(position, stock)
    return [PositionChanged(option), PositionChanged(stock)]
