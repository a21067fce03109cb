"""What `report` shows: the period in a line, the trades, what they prove, and where the P&L came from.

Dollars to us: what cost money is negative. Every table fits 80 columns.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, TypeVar

from spxarb.cli.blocks import (
    BAD,
    DASH,
    GOOD,
    HEAD,
    WARN,
    Block,
    Cell,
    Columns,
    Line,
    Pairs,
    Part,
    grid,
    money,
    sparkline,
)
from spxarb.core.attribution import TOTAL
from spxarb.core.claims import ClaimVerdict, Unit
from spxarb.core.entry_reasons import in_words
from spxarb.core.sentences import lower_first, upper_first, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.attribution import Attribution, TradeAnalysis
    from spxarb.core.claims import DocumentClaim
    from spxarb.core.entry_reasons import QuietDay, SkipReason
    from spxarb.core.fees import FeeComparison
    from spxarb.core.issues import Issue
    from spxarb.core.performance import DayResult
    from spxarb.core.results.report import ExitCount, ReportResult, UnknownResult
    from spxarb.core.results.report_rows import TradeRow
    from spxarb.core.statistics import Statistics
    from spxarb.core.tax import TaxRow, TaxTotals

T = TypeVar("T")

CURVE_DAYS = 36
LEAVES_WHOLE = 2
"""Tables that leave earlier than this go whole; of the others the newest rows stay."""
MOST_ROWS = 20
"""So many trades and days stand on the screen, the newest; all of them in JSON, CSV and HTML."""
DOCUMENTED = {
    "win rate": "85–90 %",  # noqa: RUF001 -- a range is what is meant, here and below
    "average profit a trade": "$500–800",  # noqa: RUF001
    "average win": "$600",
    "average loss": "-$200",
    "trades a day": "1–2",  # noqa: RUF001
    "P&L a year": "$126–403K",  # noqa: RUF001
    "risk of ruin": "< 1 %",
}
"""The claims in the words of the strategy's document."""
VERDICTS = {ClaimVerdict.HOLDS: GOOD, ClaimVerdict.FAILS: BAD, ClaimVerdict.OPEN: WARN}
NO_ADVICE = "No tax advice. All columns: report --tax YEAR --csv --output FILE."
NEW_LINE = "\n"
LEAST_PERCENT = 0.05
THOUSANDS = 100_000
"""From here on dollars are told in thousands where they stand for an interval."""


# --- figures as text ------------------------------------------------------------------------------


def dollars(value: Decimal | float | None) -> str:
    return DASH if value is None else usd(Decimal(str(value)))


def percent(rate: Decimal | float | None) -> str:
    """A part of one as a percentage."""
    if rate is None:
        return DASH
    share = float(rate) * 100
    return "< 0.1 %" if 0 < share < LEAST_PERCENT else f"{share:.1f} %"


def figure(value: Decimal | float | None, unit: Unit) -> str:
    """A figure of a claim."""
    if value is None:
        return DASH
    if unit is Unit.RATE:
        return percent(value)
    number = float(value)
    if unit is Unit.TRADES:
        return f"{number:.2f}"
    sign, size = "-" if number < 0 else "", abs(number)
    return f"{sign}${size / 1000:,.0f}K" if size >= THOUSANDS else f"{sign}${size:,.0f}"


def between(low: Decimal | None, high: Decimal | None, unit: Unit) -> str:
    """An interval."""
    return DASH if low is None or high is None else f"{figure(low, unit)} to {figure(high, unit)}"


def alike(days: Sequence[QuietDay]) -> list[tuple[str, str]]:
    """Days that follow each other without a trade for the same reason, in one line, and the reason."""
    found: list[tuple[str, str]] = []
    for why, group in groupby(days, key=lambda day: day.why):
        first, *_, last = [*group] * 2
        same = first is last
        found.append((str(first.day) if same else f"{first.day} to {last.day}", why))
    return found


def documented(claim: DocumentClaim) -> str:
    return DOCUMENTED.get(claim.name, DASH)


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _what(issue: Issue) -> Cell:
    if issue.command is not None:
        return f"{issue.command} exit {issue.exit_code}", BAD if issue.exit_code == 6 else WARN
    if issue.open is not None:
        return f"matter{', open' if issue.open else ''}", BAD if issue.open else ""
    return str(issue.kind), WARN


# --- tables ---------------------------------------------------------------------------------------


def _trade_columns(analyses: Sequence[TradeAnalysis]) -> Columns[TradeRow]:
    by_hand = {one.trade_id for one in analyses if one.by_hand}

    def ended(trade: TradeRow) -> Cell:
        return f"{trade.exit_reason or DASH}{' by hand' if trade.id in by_hand else ''}"

    return (
        (">id", lambda trade: str(trade.id)),
        ("day", lambda trade: str(trade.trade_date)[:10]),
        (">credit", lambda trade: dollars(trade.entry_credit)),
        (">exit cost", lambda trade: dollars(trade.exit_cost)),
        (">P&L", lambda trade: money(trade.final_pnl)),
        ("status", lambda trade: trade.status),
        ("exit", ended),
    )


_DAYS: Columns[DayResult] = (
    ("day", lambda day: day.day.isoformat()),
    (">trades", lambda day: str(day.trades)),
    (">net P&L", lambda day: money(day.net_pnl)),
)
_CLAIMS: Columns[DocumentClaim] = (
    ("claim", lambda claim: claim.name.replace("average profit a trade", "average profit")),
    (">documented", documented),
    (">measured", lambda claim: figure(claim.measured, claim.unit)),
    (">95 %, at any look", lambda claim: between(claim.low, claim.high, claim.unit)),
    ("", lambda claim: (str(claim.verdict), VERDICTS[claim.verdict])),
)
_EXITS: Columns[ExitCount] = (
    ("exit", lambda count: count.reason),
    (">trades", lambda count: str(count.trades)),
    (">won", lambda count: str(count.wins) if count.net_pnl is not None else DASH),
    (">net P&L", lambda count: money(count.net_pnl)),
    (">average", lambda count: money(count.average)),
    (">by hand", lambda count: str(count.by_hand)),
)
_SKIPS: Columns[SkipReason] = (
    ("check", lambda skip: in_words(skip.reason)),
    (">attempts", lambda skip: str(skip.attempts)),
    (">it alone", lambda skip: str(skip.alone)),
    (">days", lambda skip: str(skip.days)),
)
_QUIET: Columns[tuple[str, str]] = (
    ("day", lambda quiet: quiet[0]),
    ("why", lambda quiet: quiet[1]),
)
_ISSUES: Columns[Issue] = (
    ("last", lambda issue: issue.last.strftime("%Y-%m-%d %H:%M")),
    (">times", lambda issue: str(issue.times)),
    ("what", _what),
    ("told", lambda issue: issue.text or DASH),
)
_UNKNOWN: Columns[UnknownResult] = (
    (">id", lambda trade: str(trade.trade_id)),
    ("day", lambda trade: trade.day.isoformat()),
    ("state", lambda trade: trade.state),
    ("why", lambda trade: trade.note or "the account's statement has it"),
)
_TAX: Columns[TaxRow] = (
    ("day", lambda row: row.time.date().isoformat()),
    (">trade", lambda row: str(row.trade_id)),
    ("leg", lambda row: str(row.leg)),
    ("side", lambda row: str(row.side)),
    (">qty", lambda row: f"{float(row.quantity):g}"),
    (">proceeds", lambda row: dollars(row.proceeds)),
    (">fees", lambda row: dollars(row.commission)),
    ("1256", lambda row: "yes" if row.section_1256 else "no"),
    (">realized", lambda row: money(row.realized_pnl)),
)


# --- the screen -----------------------------------------------------------------------------------


def report(result: ReportResult) -> list[Block]:
    """The period's result first, then what it rests on."""
    statistics, days = result.statistics, [day for day in result.daily if day.trades]
    blocks: list[Block] = [Line(_headline(result), HEAD)]
    if statistics.note:
        blocks.append(Line(statistics.note))
    blocks += [
        *_newest("Trades", _trade_columns(result.analyses), result.trades, leaves=1),
        *(_newest("Days with trades", _DAYS, days, leaves=8) if days else []),
    ]
    curve = list(accumulate(float(day.net_pnl) for day in result.daily))
    if len(curve) > 1:
        over = "days" if len(curve) <= CURVE_DAYS else f"last {CURVE_DAYS} days"
        drawn = sparkline(curve[-CURVE_DAYS:])
        blocks.append(Line(f"\nNet P&L over the {over}: {drawn} {dollars(round(curve[-1], 2))}"))
    blocks += [*_statistics(statistics), *_part("the document's claims", 3, _claims(result))]
    if result.exits:
        blocks += _part("how trades ended", 4, [grid("How trades ended", _EXITS, result.exits)])
    blocks += _part("where the P&L came from", 5, _attributed(result.attribution))
    if result.skips:
        blocks += _part("what stopped entries", 7, [grid("What stopped entries", _SKIPS, result.skips)])
    if result.quiet_days:
        title = f"Trading days without a trade ({len(result.quiet_days):,})"
        blocks += _newest(title, _QUIET, alike(result.quiet_days), leaves=8)
    if result.unknown:
        blocks.append(grid("Trades of unknown result, in no figure", _UNKNOWN, result.unknown))
    if result.issues:
        # What is still open is told once more below, where it says how to end it.
        leaves = LEAVES_WHOLE if result.matters else 0
        blocks += _newest("Errors and issues", _ISSUES, result.issues, leaves=leaves)
    return blocks


def _part(name: str, leaves: int, blocks: Sequence[Block]) -> list[Block]:
    return [Part(name, tuple(blocks), leaves)] if blocks else []


def _statistics(statistics: Statistics) -> list[Block]:
    """All figures, or in few lines those that say most."""
    figures = _figures(statistics)
    names = {"win rate", "expectancy a trade", "profit factor", "worst day", "drawdown"}
    told = [(name, value if isinstance(value, str) else value[0]) for name, value in figures if name in names]
    brief = [f"{name} {value}" for name, value in told if value != DASH]
    return [
        Part(
            "the other statistics",
            (Line(""), Pairs("Statistics of the closed trades", figures)),
            leaves=2,
            brief=(Line(f"\n{upper_first('; '.join(brief))}."),) if brief else (),
        )
    ]


def _newest(title: str, columns: Columns[T], rows: Sequence[T], *, leaves: int) -> list[Block]:
    """A table of the newest rows, and how many there are beside them."""
    more = len(rows) - MOST_ROWS
    of = f"{title}: the newest {MOST_ROWS} of {len(rows):,}" if more > 0 else title
    name = lower_first(title.partition(" (")[0])
    stays = leaves < LEAVES_WHOLE
    return [
        Part(
            name,
            (grid(of, columns, rows[-MOST_ROWS:]),),
            leaves,
            brief=None if stays else (),
            rows_leave="first" if stays else None,
        )
    ]


def _headline(result: ReportResult) -> str:
    period, statistics = result.period, result.statistics
    days = "no day" if period.first_day is None else str(period.first_day)
    if period.last_day is not None and period.last_day != period.first_day:
        days += f" to {period.last_day}"
    parts = [
        days,
        counted(period.trading_days, "trading day"),
        counted(statistics.trades or 0, "closed trade"),
    ]
    if statistics.total is not None:
        parts.append(f"net {dollars(statistics.total)}")
    if statistics.unknown:
        parts.append(f"{statistics.unknown} of unknown result")
    return " · ".join(parts)


def _figures(figures: Statistics) -> list[tuple[str, Cell]]:
    """The statistics, each with what it is."""
    zero = (figures.trades or 0) - (figures.wins or 0) - (figures.losses or 0)
    trades = f"{figures.trades or 0} ({figures.wins or 0} won, {figures.losses or 0} lost"
    rate, mean = percent(figures.win_rate), dollars(figures.expectancy)
    if figures.win_rate_low is not None:
        rate += f" (95 %, Wilson: {percent(figures.win_rate_low)} to {percent(figures.win_rate_high)})"
    if figures.expectancy_low is not None:
        ends = f"{dollars(figures.expectancy_low)} to {dollars(figures.expectancy_high)}"
        mean += f" (95 %, Student's t: {ends})"
    return [
        ("trades", f"{trades}{f', {zero} at zero' if zero else ''})"),
        ("win rate", rate),
        ("expectancy a trade", mean),
        ("average win, average loss", f"{dollars(figures.average_win)}, {dollars(figures.average_loss)}"),
        ("median trade", dollars(figures.median)),
        ("best trade, worst trade", f"{dollars(figures.best)}, {dollars(figures.worst)}"),
        ("mean of the worst 5 %", dollars(figures.worst_5pct_mean)),
        ("profit factor", DASH if figures.profit_factor is None else f"{float(figures.profit_factor):.2f}"),
        ("total", money(figures.total)),
        ("best day", _on(figures.best_day, figures.best_day_on)),
        ("worst day", _on(figures.worst_day, figures.worst_day_on)),
        ("drawdown", drawdown(figures)),
        ("  from its highest total, low, over", fallen(figures)),
        ("Sharpe, Sortino (yearly)", f"{_plain(figures.sharpe)}, {_plain(figures.sortino)}"),
        ("edge at entry, realized", _edges(figures)),
    ]


def _on(value: Decimal | None, day: object) -> str:
    return DASH if value is None else f"{dollars(value)} on {day}"


def _plain(value: Decimal | None) -> str:
    return DASH if value is None else f"{float(value):.2f}"


def _edges(figures: Statistics) -> str:
    if not figures.edge_trades:
        return DASH
    means = f"{dollars(figures.average_edge)}, {dollars(figures.average_realized)}"
    return f"{means} (mean of {counted(figures.edge_trades, 'trade')})"


def drawdown(figures: Statistics) -> str:
    """Depth and length of the deepest fall."""
    if figures.max_drawdown is None or figures.drawdown_low is None:
        return dollars(figures.max_drawdown)
    return f"{dollars(figures.max_drawdown)}, {counted(figures.drawdown_days or 0, 'trading day')}"


def fallen(figures: Statistics) -> str:
    """When the deepest fall began, was at its lowest, and was over."""
    if figures.drawdown_low is None:
        return DASH
    began = figures.drawdown_began or "the beginning"
    return f"{began}, {figures.drawdown_low}, {figures.drawdown_over or 'not yet'}"


def _claims(result: ReportResult) -> list[Block]:
    if not result.claims:
        return []
    blocks: list[Block] = [grid("What the strategy's document claims", _CLAIMS, result.claims)]
    return [*blocks, Line(yearly(result))] if yearly(result) else blocks


def yearly(result: ReportResult) -> str:
    """The yearly claim as a percentage of the capital."""
    of = next((claim for claim in result.claims if claim.name == "P&L a year"), None)
    if of is None or of.measured is None or of.claimed_low is None or of.claimed_high is None:
        return ""
    low, high = (float(end / result.capital) * 100 for end in (of.claimed_low, of.claimed_high))
    return (
        f"P&L a year is {percent(of.measured / result.capital)} of the capital of "
        f"${result.capital:,.0f}; claimed are {low:.0f} to {high:.0f} %."
    )


def _attributed(found: Attribution) -> list[Block]:
    """Where the P&L came from, and what filling cost."""
    blocks: list[Block] = []
    if found.trades:
        rows: list[tuple[str, Cell]] = []
        for name in TOTAL:
            rows.append((name, money(getattr(found.parts, name))))
            if name == "mismatch":
                rows += [
                    (f"  of it {part}", dollars(getattr(found.parts, f"mismatch_{part}")))
                    for part in ("underlying", "time", "volatility")
                ]
        rows.append(("together", money(found.net_pnl)))
        title = f"\nWhere the P&L of {counted(found.trades, 'trade')} came from"
        blocks.append(Pairs(title, rows))
    if found.others:
        others = f"{counted(found.others, 'trade')}, {dollars(found.others_pnl)}"
        blocks.append(Line(f"{'' if found.trades else NEW_LINE}Without quotes at both ends: {others}."))
    if found.entry_slippage is not None:
        leaving = "" if found.exit_slippage is None else f", {dollars(found.exit_slippage)} at the exit"
        blocks.append(
            Line(
                "Slippage against the quotes decided by, mean a trade: "
                f"{dollars(found.entry_slippage)} at the entry{leaving}."
            )
        )
    return blocks


def fees(found: FeeComparison) -> list[Block]:
    if not found.executions:
        return []
    of = f"\nFees of {counted(found.executions, 'execution')}, estimated and reported"
    names = ("estimated", "reported", "difference")
    return [Pairs(of, [(name, dollars(getattr(found, name))) for name in names])]


def tax(result: ReportResult) -> list[Block]:
    """The executions of a year, and what was realised."""
    sums = [
        (name, dollars(value) if name.startswith(" ") else money(value))
        for name, value in realized(result.tax_totals)
    ]
    return [
        Part(
            "the executions",
            (grid(f"Executions and settlements of {result.tax_year}", _TAX, result.tax),),
            brief=None,
            rows_leave="first",
        ),
        Pairs(f"\nRealized in {result.tax_year}", sums),
        Line(f"\n{NO_ADVICE}"),
    ]


def realized(sums: TaxTotals) -> list[tuple[str, Decimal]]:
    """The realised results of a year, each with what it is."""
    return [
        ("SPX options, Section 1256", sums.section_1256),
        ("  60 % long-term", sums.long_term),
        ("  40 % short-term", sums.short_term),
        ("SPY options, short-term", sums.other),
        ("together", sums.total),
    ]
