"""What may have become of SPY calls that expired: shares, of which no event tells.

SPY calls deliver shares, and their holders may exercise after the close. An assignment shows only as the
overnight change of the account's SPY stock (ib_async issue 93), against what it held the evening before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.broker_books import latest_revisions
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import ZERO
from spxarb.core.settlement import Outlook, fate_of_calls, reach_of
from spxarb.trading import matters
from spxarb.trading.market_calendar import timetable_of

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerSnapshot
    from spxarb.core.records import Settlement, Trade
    from spxarb.trading.connected import ConnectedJob

EXERCISE_UNTIL = timedelta(minutes=90)
"""From the close: until then holders decide (17:30, on a half-day 14:30; FINRA Rule 2360)."""


def spy_shares(snapshot: BrokerSnapshot) -> Decimal:
    """The account's SPY stock, shares; short negative."""
    stock = (row.quantity for row in snapshot.positions if (row.symbol, row.sec_type) == ("SPY", "STK"))
    return sum(stock, start=ZERO)


def spy_shares_overnight(snapshot: BrokerSnapshot) -> Decimal:
    """The account's SPY stock before the day's executions, shares; short negative."""
    rows = (row for row in snapshot.todays_executions if (row.symbol, row.sec_type) == ("SPY", "STK"))
    traded = (row.quantity * row.side.sign for row in latest_revisions(rows))
    return spy_shares(snapshot) - sum(traded, start=ZERO)


def expect_shares(job: ConnectedJob, trade: Trade, spy: Settlement | None) -> None:
    """In the evening: SPY calls that ended near or in the money are a matter until the morning shows."""
    key = MatterKind.ASSIGNMENT.key(trade.id)
    text = "" if spy is None else _expected(job, trade, spy)
    if text:
        matters.needs_human(job.ledger, NewMatter(key, text, trade.id), job.now)
    else:
        job.ledger.matters.resolve(key, "its SPY calls ended out of the money", job.now)


def shares_came(job: ConnectedJob, trade: Trade, spy: Settlement | None) -> bool:
    """On the next trading day: whether shares may have come of the calls, and no human has dealt with it."""
    doubt = "" if spy is None else doubt_about_shares(job, trade, spy.quantity, spy.price)
    why = "the next morning decided it" if doubt else "the next morning showed no shares"
    job.ledger.matters.resolve(MatterKind.ASSIGNMENT.key(trade.id), why, job.now)
    if not doubt:
        return False
    return matters.needs_human(
        job.ledger, NewMatter(MatterKind.SHARES.key(trade.id), doubt, trade.id), job.now
    )


def _fate(job: ConnectedJob, trade: Trade, spy: Settlement) -> Outlook:
    """By the close that the settlement knows; without one, and in a statement's figure, doubtful."""
    if spy.price is None or trade.spy.strike is None:
        return Outlook.DOUBTFUL
    reach = reach_of(spy.price, job.ledger.settlements.all_figures())
    return fate_of_calls(spy.price, trade.spy.strike, reach)


def _expected(job: ConnectedJob, trade: Trade, spy: Settlement) -> str:
    """What is to be expected of the calls overnight, and what can be done; empty when nothing is."""
    fate = _fate(job, trade, spy)
    if fate is Outlook.WORTHLESS or spy.price is None or trade.spy.strike is None:
        return ""
    distance = spy.price - trade.spy.strike
    where = f"{abs(distance):.2f} {'above' if distance > 0 else 'below'}"
    short = spy.quantity < 0
    word = "assigned" if short else "exercised"
    until = timetable_of(trade, job.context.config).close + EXERCISE_UNTIL
    verb = "will be" if fate is Outlook.EXERCISED else "may be"
    shares = spy.quantity * trade.spy.multiplier
    against = f"{'buy' if short else 'sell'} {abs(shares):.0f} SPY shares against it after hours"
    kind = "short" if short else "long"
    return (
        f"trade {trade.id}: {abs(spy.quantity):.0f} {kind} SPY calls ended {where} their strike of "
        f"{trade.spy.strike:f} ({spy.source}), so they {verb} {word} overnight: {shares:+.0f} SPY shares. "
        f"Holders decide until {until:%H:%M}; you may {against}, or look at the account before the next open"
    )


def doubt_about_shares(job: ConnectedJob, trade: Trade, quantity: Decimal, price: Decimal | None) -> str:
    """Why shares of expired SPY calls may have come; empty when the account shows that none have.

    `quantity`: calls open at the close, signed. `price`: SPY's close, dollars; None: not known.
    """
    calls = f"trade {trade.id} expired with {abs(quantity):.0f} SPY calls open"
    baseline = job.ledger.days.baseline(trade.expiry, job.broker.account)
    if baseline is None:
        return (
            f"{calls}, and how many SPY shares the account held that evening is not known: compare with the "
            "statement whether shares were assigned"
        )
    change = spy_shares_overnight(job.snapshot) - baseline
    if change:
        return (
            f"{calls}, and the account's SPY stock has changed by {change:+.0f} shares since: compare with "
            f"the statement whether they were assigned; spxarb trades no shares. {_choices(change)}"
        )
    if price is not None and trade.spy.strike is not None and price > trade.spy.strike:
        return (
            f"{calls} and in the money, and the account's SPY stock has not changed: compare with the "
            "statement whether they were exercised; the shares may still come"
        )
    return ""


def _choices(change: Decimal) -> str:
    """What a human may do about shares that came, in a sentence without a full stop."""
    count, against = abs(change), "buy" if change < 0 else "sell"
    carries = (
        "owes each dividend, pays to borrow and may be bought in" if change < 0 else "ties up its whole price"
    )
    return (
        f"Either {against} {count:.0f} SPY at the broker, before the open or at it, which ends the risk; or "
        f"keep the shares: each dollar that SPY moves is {count:,.0f} dollars, and the position {carries}"
    )
