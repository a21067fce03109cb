"""`status`: account, market, positions and the day so far. Reads only: it makes no file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spxarb.core.greeks import UNKNOWN_GREEKS
from spxarb.core.model import ZERO, TradeStatus
from spxarb.core.results.rows import MatterRow, readable_rows
from spxarb.core.results.status import (
    AccountResult,
    ConnectionResult,
    MarketResult,
    PerformanceResult,
    PositionExits,
    PositionPrices,
    RiskResult,
    SessionResult,
    StatusPosition,
    StatusResult,
    SystemResult,
    TradeResult,
)
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping, entries_state, overview
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET
from spxarb.trading.escalation import human_needed
from spxarb.trading.market_calendar import session_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.greeks import PositionGreeks
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Mark, Trade
    from spxarb.core.risk import HeldSpread
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext
    from spxarb.trading.held_link import HeldLink
    from spxarb.trading.marks import MarkedTrade

NEWEST_TRADES = 50


@dataclass(frozen=True, slots=True)
class _Seen:
    """An open trade as it is worth now, or was when it was last marked; dollars, None where not known.

    `at`: when. `at_broker`: SPY calls for which a buy-back should rest, and does; None: nobody asked.
    `differs`: the account does not bear it out.
    """

    pnl: Decimal | None = None
    greeks: PositionGreeks = UNKNOWN_GREEKS
    states: Sequence[PriceState] = ()
    at: datetime | None = None
    spy_price: Decimal | None = None
    at_broker: tuple[int, int] | None = None
    differs: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the broker adds to the ledger; without one nothing of it is known."""

    account: AccountResult = field(default_factory=AccountResult)
    market: MarketResult = field(default_factory=MarketResult)
    connection: ConnectionResult | None = None
    doubt: str = ""


def run(
    context: JobContext, *, offline: bool, risk: bool = False, link: HeldLink | None = None
) -> StatusResult:
    """What the broker and the ledger say now, and where they differ (exit 6).

    Without a gateway: what the ledger says, and exit 4. `risk`: with each leg's greeks and the stress table.
    `link`: a connection that is held for more than this look.
    """
    if offline:
        return context.finish(_offline(context))
    try:
        if link is not None:
            return link.look(context, lambda job: _at_broker(context, job, risk=risk))
        return context.in_time(_online(context, risk=risk))
    except GatewayError as error:
        context.clock = None  # what is shown now is what the ledger knows
        return context.finish(_offline(context), errors=[error])


def held_link() -> HeldLink:
    """A connection for `run` to hold over many looks; close it, or use it as a context manager."""
    from spxarb.trading.held_link import HeldLink  # noqa: PLC0415 -- ib_insync comes with it

    return HeldLink()


async def _online(context: JobContext, *, risk: bool) -> StatusResult:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context, dry_run=True, client_id_offset=READ_ONLY_CLIENT_ID_OFFSET) as job:
        return await _at_broker(context, job, risk=risk)


async def _at_broker(context: JobContext, job: ConnectedJob, *, risk: bool) -> StatusResult:
    import asyncio  # noqa: PLC0415 -- only a connection needs it

    from spxarb.core.reconcile import mend_of  # noqa: PLC0415 -- likewise
    from spxarb.trading.failsafe import missing  # noqa: PLC0415 -- likewise
    from spxarb.trading.greeks import at_risk, dividend_note, spread_of  # noqa: PLC0415
    from spxarb.trading.market import calendar_doubt, underlyings  # noqa: PLC0415
    from spxarb.trading.marks import (  # noqa: PLC0415
        data_trouble,
        enough,
        mark_trades,
        not_live,
        price_states,
        print_in_doubt,
    )
    from spxarb.trading.matters import not_acknowledged  # noqa: PLC0415
    from spxarb.trading.settlement import shares_in_doubt  # noqa: PLC0415

    timeout = context.config.execution.quote_timeout_seconds
    await job.reconcile()
    trades = bookkeeping.may_be_held(job.ledger, job.now.date())
    account, under = await asyncio.gather(
        job.broker.account_values(), underlyings(job.broker, timeout, enough)
    )
    marked_trades = await mark_trades(job, trades)
    spx, spy = under.spx_price, under.spy_price
    shares = [matter.text for matter in not_acknowledged(job.ledger, shares_in_doubt(job))]
    told = not_live(marked_trades)
    alive = [marked for marked in marked_trades if at_risk(marked.trade, job.now, context.config)]
    told += print_in_doubt(alive, context.price_limits.max_ratio_difference)
    told += [note for trade in bookkeeping.open_trades(job.ledger) for note in missing(job, trade)]
    ib = context.config.ib
    shown = _status(
        context,
        job.now,
        job.now.date(),
        {marked.trade.id: _seen_now(job, marked) for marked in marked_trades},
        _Look(
            AccountResult.of(account.in_dollars),
            MarketResult(spy, spx, spx / spy if spx and spy else None),
            ConnectionResult(ib.host, ib.port, job.broker.client_id, job.broker.account),
            calendar_doubt(job.day, job.broker.hours(under.spy.con_id, job.now.date())),
        ),
    )
    errors = human_needed(
        [*job.findings.unproven, *shares],
        mend=mend_of(job.findings.unproven),
    )
    at_stake = [spread_of(job, marked) for marked in alive] if risk else []
    prices = price_states(job, ((under.spx, "SPX"), (under.spy, "SPY")))
    status = replace(
        shown,
        data_trouble=next(iter(data_trouble(job, marked_trades, prices)), None),
        notes=(*shown.notes, *told, *filter(None, [account.note]), *dividend_note(job, at_stake)),
        reconciliation=job.findings.all,
        market_prices=prices,
        risk=_risk(at_stake),
    )
    return context.finish(status, errors=errors)


def _seen_now(job: ConnectedJob, marked: MarkedTrade) -> _Seen:
    """What the broker shows of an open trade."""
    from spxarb.core.risk import position_greeks  # noqa: PLC0415 -- only a connection needs it
    from spxarb.trading.failsafe import at_broker  # noqa: PLC0415 -- likewise
    from spxarb.trading.greeks import spread_of  # noqa: PLC0415 -- likewise

    spread = spread_of(job, marked)
    return _Seen(
        spread.pnl,
        position_greeks(spread),
        marked.states,
        job.now,
        marked.spy_price,
        at_broker(job, marked.trade) if marked.trade.state.in_sight else None,
        bool(job.differences(marked.trade)),
    )


def _offline(context: JobContext) -> StatusResult:
    """From the ledger alone; the newest marks stand for the market."""
    now = context.now()
    day = now.date()
    if context.config.trading.mode == "sim":  # its days are not the machine's
        day = context.ledger.trades.last_day() or day
    held = bookkeeping.may_be_held(context.ledger, day)
    marks = {trade.id: context.ledger.trades.marks(trade.id) for trade in held}
    shown = _status(context, now, day, {trade: _last_seen(found) for trade, found in marks.items()}, _Look())
    newest = [found[-1] for found in marks.values() if found]
    return replace(shown, last_prices=overview.last_prices(newest))


def _last_seen(marks: Sequence[Mark]) -> _Seen:
    if not marks:
        return _Seen()
    last = marks[-1]
    return _Seen(last.pnl, last.greeks, last.states, last.at, last.spy)


def _risk(spreads: Sequence[HeldSpread]) -> RiskResult:
    from spxarb.core.risk import leg_rows, stress  # noqa: PLC0415 -- likewise

    legs = tuple(row for spread in spreads for row in leg_rows(spread))
    return RiskResult(legs, tuple(stress(spreads)))


def _status(
    context: JobContext, now: datetime, day: date, seen: Mapping[int, _Seen], look: _Look
) -> StatusResult:
    """The ledger's part beside the broker's; `seen`: what is known of each open trade."""
    ledger, config = context.ledger, context.config
    trades, open_trades = ledger.trades.of_day(day), ledger.trades.open()
    held = {trade.id for trade in bookkeeping.may_be_held(ledger, day)}
    filled = ledger.trades.count_filled(day)
    matters, unread = readable_rows(MatterRow, ledger.matters.open_rows(), "Matter")
    expected = ConnectionResult(config.ib.host, config.ib.port, None, ledger.account or config.ib.account)
    lock = overview.lock_holder(context)
    of_trades = {matter.trade_id for matter in matters}
    return StatusResult(
        *context.head(now),
        notes=(*unread, *_notes(context, open_trades, held, day)),
        status=SystemResult(ledger.state.is_trading(), look.connection is not None, len(held), filled),
        account=look.account,
        market=look.market,
        session=SessionResult.of(*session_on(day, config), look.doubt),
        positions=tuple(
            StatusPosition.at(
                trade,
                one.pnl,
                one.greeks,
                may_be_held=trade.id in held,
                needs_human=one.differs or trade.id in of_trades,
                under_way=lock.pid is not None,
            )
            for trade in open_trades
            for one in [seen.get(trade.id, _Seen())]
        ),
        prices=tuple(PositionPrices(trade_id, tuple(one.states)) for trade_id, one in seen.items()),
        exits=_exits(context, open_trades, now, seen),
        trades=tuple(map(TradeResult.of, ledger.trades.newest(NEWEST_TRADES))),
        performance=_performance(
            realized=bookkeeping.realized(trades),
            unrealized=_sum_known({trade_id: one.pnl for trade_id, one in seen.items()}),
            limit=context.limits.max_daily_loss,
            trades_count=filled,
            active=sum(1 for t in open_trades if t.id in held and t.status is TradeStatus.ACTIVE),
        ),
        matters=matters,
        connection=look.connection or expected,
        trading=entries_state.trading_state(ledger, config, day),
        routines=overview.routines(context, now),
        lock=lock,
        paths=overview.paths(context),
        pnl_line=overview.pnl_line(context, day),
        going_live=overview.going_live(context),
        show_greeks=config.dashboard.show_greeks,
        show_pnl_chart=config.dashboard.show_pnl_chart,
    )


def _notes(context: JobContext, trades: Sequence[Trade], held: set[int], day: date) -> list[str]:
    """What is to be known of open trades and of the day, in sentences; `held`: ids that may be held still."""
    theirs = [trade for trade in trades if trade.handed_over and trade.id in held]
    over = [trade for trade in trades if trade.id not in held]
    reason = context.ledger.stops.reason(day)
    result = "its result is not known yet"
    return [
        *(f"Trade {trade.id} is handed over, and yours to close." for trade in theirs),
        *(
            f"Trade {trade.id} is not open any more: its calls are of {trade.expiry}, and {result}."
            for trade in over
        ),
        *([f"Entries are stopped for today: {reason}."] if reason else []),
    ]


def _exits(
    context: JobContext, trades: Sequence[Trade], now: datetime, seen: Mapping[int, _Seen]
) -> tuple[PositionExits, ...]:
    return tuple(
        overview.exits_of(
            context,
            trade,
            now,
            as_of=one.at,
            spy_price=one.spy_price,
            pnl=one.pnl,
            at_broker=one.at_broker,
        )
        for trade in trades
        for one in [seen.get(trade.id, _Seen())]
    )


def _sum_known(open_pnl: Mapping[int, Decimal | None]) -> Decimal | None:
    """Dollars of all open trades; None while one of them is not known."""
    known = [pnl for pnl in open_pnl.values() if pnl is not None]
    return sum(known, start=ZERO) if len(known) == len(open_pnl) else None


def _performance(
    *, realized: Decimal, unrealized: Decimal | None, limit: Decimal, trades_count: int, active: int
) -> PerformanceResult:
    total = None if unrealized is None else realized + unrealized
    return PerformanceResult(
        daily_realized_pnl=realized,
        unrealized_pnl=unrealized,
        total_pnl=total,
        max_daily_loss=limit,
        risk_breached=None if total is None else -total > limit,
        trades_count=trades_count,
        active_positions=active,
    )
