"""The figures of `report` from the ledger's rows: which days and trades, and what they show."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.attribution import TradeAnalysis, analyse
from spxarb.core.entry_reasons import DayRuns
from spxarb.core.model import CENT, ZERO, cents, dec
from spxarb.core.performance import DayResult, by_day
from spxarb.core.results.report import ExitCount, Period, UnknownResult
from spxarb.core.sentences import usd
from spxarb.core.sessions import is_trading_day
from spxarb.core.tax import TaxRow, tax_rows
from spxarb.trading.market_calendar import closures, timetable, timetable_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spxarb.core.records import Fill, Trade
    from spxarb.core.results.report_rows import DayRow
    from spxarb.ledger.ledger import Ledger
    from spxarb.trading.context import JobContext

UNKNOWN = "unknown"
ENTER = "enter"


@dataclass(frozen=True)
class Covered:
    """The trades of a period, and its trading days. `fills`: of each trade, by id."""

    period: Period
    trades: Sequence[Trade]
    fills: Mapping[int, Sequence[Fill]]
    days: Sequence[date]

    @property
    def since(self) -> date | None:
        """From which day on rows belong to it; None: from the first."""
        return self.period.first_day if self.period.last is not None else self.period.since

    @property
    def ended(self) -> list[Trade]:
        """The closed trades of known result with executions, in the order in which they ended."""
        found = [
            trade
            for trade in self.trades
            if not trade.is_open
            and trade.state.result_known
            and trade.final_pnl is not None
            and self.fills[trade.id]
        ]
        return sorted(found, key=lambda trade: (trade.exit_time is None, trade.exit_time, trade.id))

    @property
    def traded(self) -> set[date]:
        """The days of trades with executions, and of trades that are open."""
        return {day_of(trade) for trade in self.trades if self.fills[trade.id] or trade.is_open}

    @property
    def unknown(self) -> list[Trade]:
        """The trades whose result is not known here."""
        return [trade for trade in self.trades if not trade.state.result_known]

    def daily(self) -> list[DayResult]:
        """The net P&L of each trading day whose results are all known."""
        doubtful = {day_of(trade) for trade in self.trades if trade.is_open or not trade.state.result_known}
        results = [(day_of(trade), trade.final_pnl or ZERO) for trade in self.ended]
        days = [day for day in self.days if day not in doubtful]
        return by_day([(day, pnl) for day, pnl in results if day not in doubtful], days)

    def trades_a_day(self) -> list[int]:
        """How many trades with executions each trading day had."""
        counts = Counter(day_of(trade) for trade in self.trades if self.fills[trade.id])
        return [counts[day] for day in self.days]


def day_of(trade: Trade) -> date:
    day = trade.trade_date
    return day.date() if isinstance(day, datetime) else day


# --- which days and trades ------------------------------------------------------------------------


def covered(context: JobContext, since: date | None, until: date | None, last: int | None) -> Covered:
    """What the ledger has of the days from `since` to `until`; `last`: only so many trades, the newest."""
    ledger = context.ledger
    trades = ledger.trades.between(since, until)
    fills = {trade.id: ledger.fills.of_trade(trade.id) for trade in trades}
    first = since
    if last is not None:
        made = [trade for trade in trades if fills[trade.id] or trade.is_open or not trade.state.result_known]
        trades = sorted(made, key=lambda trade: (day_of(trade), trade.id))[-last:]
        first = day_of(trades[0]) if trades else since
        fills = {trade.id: fills[trade.id] for trade in trades}
    ends = _ends(context, first, until)
    days = [] if ends is None else trading_days(context, *ends)
    first_day, last_day = ends or (None, None)
    return Covered(Period(since, until, last, first_day, last_day, len(days)), trades, fills, days)


def _ends(context: JobContext, since: date | None, until: date | None) -> tuple[date, date] | None:
    """The first and the last day that the ledger can say something about; None: there is none.

    The days since its last one count too, up to yesterday: nothing ran on them. A simulated day has no today.
    """
    simulated = context.config.trading.mode == "sim"
    known = context.ledger.periods.span(simulated=simulated)
    if known is None:
        return None
    first, last = known
    if not simulated:
        now = context.now()
        last = min(max(last, now.date() - timedelta(days=1)), now.date())
        today = timetable(now.date(), context.config)
        quiet = not context.ledger.trades.of_day(now.date())
        if last == now.date() and quiet and today is not None and now < today.entry_cutoff:
            last -= timedelta(days=1)  # its entry window is not over
    first, last = max(first, since or first), min(last, until or last)
    return (first, last) if first <= last else None


def trading_days(context: JobContext, first: date, last: date) -> list[date]:
    """The exchange's days from the first to the last."""
    calendar = context.config.calendar
    years = range(first.year, last.year + 1)
    closed = closures(*years, closed=calendar.closed, early=calendar.early_close).closed
    count = (last - first).days + 1
    every = (first + timedelta(days=number) for number in range(count))
    return [day for day in every if is_trading_day(day, closed=closed)]


def runs_by_day(ledger: Ledger, since: date | None, until: date | None) -> dict[date, DayRuns]:
    """What ran on each day beside the attempts to enter, and why entries were stopped."""
    found: defaultdict[date, DayRuns] = defaultdict(DayRuns)
    for row in ledger.periods.runs(since, until):
        runs = found[date.fromisoformat(row["day"])]
        if row["command"] == ENTER:
            runs.enters += 1
            runs.errors += [str(row["error"])] if row["error"] else []
        else:
            runs.others += 1
    for row in ledger.periods.entry_stops(since, until):
        found[date.fromisoformat(row["date"])].stop = str(row["reason"])
    return dict(found)


# --- what they show -------------------------------------------------------------------------------


def analyses(context: JobContext, of: Covered) -> tuple[TradeAnalysis, ...]:
    """Where the P&L of each trade came from."""
    ledger = context.ledger
    return tuple(
        analyse(
            trade,
            of.fills[trade.id],
            ledger.trades.marks(trade.id),
            ledger.orders.of_trade(trade.id),
            timetable_of(trade, context.config).close,
            settled=bool(ledger.settlements.of_trade(trade.id)),
        )
        for trade in of.trades
    )


def exit_counts(of: Covered, by_trade: Iterable[TradeAnalysis]) -> tuple[ExitCount, ...]:
    """The trades that are over, by the reason of their end."""
    by_hand = {analysis.trade_id for analysis in by_trade if analysis.by_hand}
    groups: defaultdict[str, list[Trade]] = defaultdict(list)
    for trade in of.ended:
        groups[str(trade.exit_reason or UNKNOWN)].append(trade)
    found = []
    for reason, trades in groups.items():
        pnls = [trade.final_pnl or ZERO for trade in trades]
        total, wins = sum(pnls, start=ZERO), sum(1 for pnl in pnls if pnl > 0)
        hands = sum(1 for trade in trades if trade.id in by_hand)
        found.append(ExitCount(reason, len(trades), wins, total, cents(total / len(trades)), hands))
    if of.unknown:
        hands = sum(1 for trade in of.unknown if trade.id in by_hand)
        found.append(ExitCount(UNKNOWN, len(of.unknown), 0, None, None, hands))
    return tuple(sorted(found, key=lambda count: (-count.trades, count.reason)))


def unknown_results(of: Covered) -> tuple[UnknownResult, ...]:
    return tuple(UnknownResult(trade.id, day_of(trade), str(trade.state), trade.note) for trade in of.unknown)


def tax_of(context: JobContext, year: int) -> tuple[TaxRow, ...]:
    """The executions and settlements of a year, in order."""
    ledger, found = context.ledger, []
    for trade in ledger.trades.between(date(year - 1, 12, 1), date(year, 12, 31)):
        close = timetable_of(trade, context.config).close
        fills, settled = ledger.fills.of_trade(trade.id), ledger.settlements.of_trade(trade.id)
        found += [row for row in tax_rows(trade, fills, settled, close) if row.time.year == year]
    return tuple(sorted(found, key=lambda row: row.time))


def day_differences(days: Iterable[DayRow], daily: Iterable[DayResult]) -> list[str]:
    """Sentences on days whose summary says something else than their closed trades."""
    sums = {day.day.isoformat(): day.net_pnl for day in daily}
    found = []
    for row in days:
        net, total = row.net_pnl, sums.get(str(row.date))
        if net is not None and total is not None and abs(cents(dec(net)) - total) >= CENT:
            found.append(
                f"The summary of {row.date} says {usd(dec(net))}, its closed trades {usd(Decimal(total))}: "
                "settle brings it up to date."
            )
    return found
