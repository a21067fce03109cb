"""A report as one page of HTML: whole by itself, without script, readable on a phone.

It asks the network for nothing, and a policy in it forbids that. Every text that is not ours is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from spxarb.cli import report_charts
from spxarb.cli.layout import clean, with_minus
from spxarb.cli.report_screens import (
    NO_ADVICE,
    VERDICTS,
    alike,
    between,
    counted,
    documented,
    dollars,
    drawdown,
    figure,
    percent,
    realized,
    yearly,
)
from spxarb.core.attribution import TOTAL
from spxarb.core.claims import ClaimVerdict
from spxarb.core.entry_reasons import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from spxarb.core.result import Result
    from spxarb.core.results.report import ReportResult
    from spxarb.core.statistics import Statistics

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#5b6470;--line:#d9dee4;--gain:#1a7f37;
--loss:#c62828;--curve:#0b62c4;--none:#e6eaef;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--back:#14171b;--text:#e6e9ed;--soft:#9aa4b0;--line:#303740;
--gain:#4cc26a;--loss:#ff7b72;--curve:#6cb2ff;--none:#2a3038;--warn:#e0a030}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:62rem;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.4rem 0}.soft{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0}
.card{border:1px solid var(--line);border-radius:8px;padding:.55rem .7rem}
.card b{display:block;font-size:1.15rem;font-variant-numeric:tabular-nums;white-space:nowrap}
.card span{color:var(--soft);font-size:.85rem}
.wide{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{padding:.3rem 1.2rem .3rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.k{white-space:nowrap}
.good{color:var(--gain)}.bad{color:var(--loss)}.warn{color:var(--warn)}
svg{width:100%;height:auto;display:block}.label{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.curve{fill:none;stroke:var(--curve);stroke-width:2}
.area{fill:var(--curve);fill-opacity:.12}.gain{fill:var(--gain)}.loss{fill:var(--loss)}
.none{fill:var(--none)}.zero{fill:var(--soft)}
@media(max-width:30rem){.label{font-size:19px}.calendar .label{font-size:17px}}
@media(max-width:34rem){.many thead{display:none}.many tr{display:block;padding:.35rem 0;
border-bottom:1px solid var(--line)}.many td{display:flex;justify-content:space-between;gap:1rem;
border:0;padding:.05rem 0;text-align:right;white-space:normal}.many td:before{content:attr(data-of);
color:var(--soft);text-align:left}.many td:empty{display:none}}
@media print{.wide{overflow:visible}}
"""
FEW_COLUMNS = 3
MARKS = ">!"
ALIGNED = {">": "n", "!": "k"}
TONES = {"green": "good", "bold red": "bad", "yellow": "warn"}

Cell = str | tuple[str, str]
"""A text, or a text and its class."""


def page(result: Result) -> str:
    """The whole page of a report."""
    from spxarb.core.results.report import ReportResult  # noqa: PLC0415 -- only a page needs it

    assert isinstance(result, ReportResult)
    period = result.period
    days = dict.fromkeys(str(day) for day in (period.first_day, period.last_day) if day is not None)
    span = " to ".join(days) or "no trading day"
    title = f"spxarb report, {span}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="robots" content="noindex">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{' to '.join(f'<span class=k>{escape(day)}</span>' for day in span.split(' to '))}</h1>",
        (
            f'<p class="soft">spxarb report · mode {escape(str(result.mode))} · '
            f"{escape(result.at.strftime('%Y-%m-%d %H:%M:%S ET'))} · "
            f"{counted(period.trading_days, 'trading day')}</p>"
        ),
        _cards(result),
        f"<p>{escape(result.statistics.note or '')}</p>",
        *_charts(result),
        *_claims(result),
        *_results(result),
        *_reasons(result),
        *_trades(result),
        *_tax(result),
        *_notes(result),
        "</main></body></html>\n",
    ]
    return "".join(parts)


# --- pieces ---------------------------------------------------------------------------------------


def _td(cell: Cell, head: str) -> str:
    text, tone = (cell, "") if isinstance(cell, str) else cell
    kinds = " ".join(filter(None, [ALIGNED.get(head[:1], ""), tone]))
    return (
        f'<td class="{kinds}" data-of="{escape(head.lstrip(MARKS))}">{escape(with_minus(clean(text)))}</td>'
    )


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[str]:
    """A table under its title; none where there is no row. > aligns a column right, ! keeps it in one line.

    On a phone a table of many columns is a list: each cell below the other, under the name of its column.
    """
    body = [
        f"<tr>{''.join(_td(cell, head) for cell, head in zip(row, heads, strict=True))}</tr>" for row in rows
    ]
    if not body:
        return []
    names = "".join(
        f'<th class="{ALIGNED.get(head[:1], "")}">{escape(head.lstrip(MARKS))}</th>' for head in heads
    )
    kind = "many" if len(heads) > FEW_COLUMNS else "few"
    return [
        f"<h2>{escape(title)}</h2>",
        f'<div class="wide"><table class="{kind}"><thead><tr>{names}</tr></thead>',
        f"<tbody>{''.join(body)}</tbody></table></div>",
    ]


def _money(value: Decimal | float | None) -> Cell:
    if not value:
        return dollars(value)
    return dollars(value), "good" if value > 0 else "bad"


def _cards(result: ReportResult) -> str:
    figures = result.statistics
    cards: list[tuple[str, Cell, str]] = [
        ("net P&L", _money(figures.total), counted(figures.trades or 0, "closed trade")),
        ("win rate", percent(figures.win_rate), _range(figures.win_rate_low, figures.win_rate_high, percent)),
        (
            "expectancy a trade",
            _money(figures.expectancy),
            _range(figures.expectancy_low, figures.expectancy_high, dollars),
        ),
        ("profit factor", _ratio(figures.profit_factor), "won for each dollar lost"),
        ("worst day", _money(figures.worst_day), str(figures.worst_day_on or "")),
        ("drawdown", *_drawdown(figures)),
        ("Sharpe, Sortino", f"{_ratio(figures.sharpe)}, {_ratio(figures.sortino)}", "yearly, of days"),
    ]
    return f'<div class="cards">{"".join(map(_card, cards))}</div>'


def _drawdown(figures: Statistics) -> tuple[str, str]:
    """The depth, and the rest of it."""
    length = drawdown(figures).rpartition(", ")[2] if figures.drawdown_low else ""
    over = f", over {figures.drawdown_over}" if figures.drawdown_over else ", not over"
    return dollars(figures.max_drawdown), f"{length}, low {figures.drawdown_low}{over}" if length else ""


def _card(card: tuple[str, Cell, str]) -> str:
    name, cell, below = card
    text, tone = (cell, "") if isinstance(cell, str) else cell
    text, below = with_minus(text), with_minus(below)
    value = f'<b class="{tone}">{escape(text)}</b>' if tone else f"<b>{escape(text)}</b>"
    return f'<div class="card"><span>{escape(name)}</span>{value}<span>{escape(below)}</span></div>'


def _range(low: Decimal | None, high: Decimal | None, told: object) -> str:
    if low is None or high is None or not callable(told):
        return "interval: too few trades"
    return f"95 %: {told(low)} to {told(high)}"


def _ratio(value: Decimal | None) -> str:
    return "–" if value is None else f"{float(value):.2f}"  # noqa: RUF001 -- a dash is what is meant


def _charts(result: ReportResult) -> list[str]:
    pnls = [analysis.net_pnl for analysis in result.analyses if analysis.net_pnl is not None]
    charts = [
        ("Equity curve: net P&L over trading days", "", report_charts.equity_curve(result.daily)),
        ("Histogram of the trades' results", "", report_charts.histogram(pnls)),
        ("Calendar", "calendar", report_charts.calendar(result.daily)),
    ]
    return [
        f'<h2>{escape(title)}</h2><div class="{kind}">{drawn}</div>' for title, kind, drawn in charts if drawn
    ]


def _claims(result: ReportResult) -> list[str]:
    rows: list[list[Cell]] = [
        [
            claim.name,
            documented(claim),
            figure(claim.measured, claim.unit),
            between(claim.low, claim.high, claim.unit),
            (str(claim.verdict), TONES[VERDICTS[ClaimVerdict(claim.verdict)]]),
            f"{claim.observations:,}",
        ]
        for claim in result.claims
    ]
    heads = ("!claim", ">documented", ">measured", ">95 %, at any look", "!verdict", ">of")
    table = _table("What the strategy's document claims", heads, rows)
    return [*table, f"<p>{escape(yearly(result))}</p>"] if table and yearly(result) else table


def _results(result: ReportResult) -> list[str]:
    found = result.attribution
    parts: list[list[Cell]] = []
    for name in TOTAL if found.trades else ():
        parts.append([name, _money(getattr(found.parts, name))])
        if name == "mismatch":
            parts += [
                [f"· of it {part}", dollars(getattr(found.parts, f"mismatch_{part}"))]
                for part in ("underlying", "time", "volatility")
            ]
    if parts:
        parts.append(["together", _money(found.net_pnl)])
    figures = result.statistics
    more: list[list[Cell]] = [
        ["average win", _money(figures.average_win)],
        ["average loss", _money(figures.average_loss)],
        ["median trade", _money(figures.median)],
        ["best trade", _money(figures.best)],
        ["worst trade", _money(figures.worst)],
        ["mean of the worst 5 %", _money(figures.worst_5pct_mean)],
        ["slippage at the entry, a trade", _money(found.entry_slippage)],
        ["slippage at the exit, a trade", _money(found.exit_slippage)],
        ["edge at entry, a trade", _money(figures.average_edge)],
        ["realized by those trades", _money(figures.average_realized)],
    ]
    exits: list[list[Cell]] = [
        [
            count.reason,
            str(count.trades),
            str(count.wins),
            _money(count.net_pnl),
            _money(count.average),
            str(count.by_hand),
        ]
        for count in result.exits
    ]
    heads = ("!exit", ">trades", ">won", ">net P&L", ">average", ">by hand")
    return [
        *_table("Figures", ("figure", ">dollars"), more if figures.trades else []),
        *_table(f"Where the P&L of {found.trades} trades came from", ("part", ">dollars"), parts),
        *_table("How trades ended", heads, exits),
    ]


def _reasons(result: ReportResult) -> list[str]:
    skips: list[list[Cell]] = [
        [in_words(skip.reason), str(skip.attempts), str(skip.alone), str(skip.days)] for skip in result.skips
    ]
    quiet: list[list[Cell]] = [[days, why] for days, why in alike(result.quiet_days)]
    issues: list[list[Cell]] = [
        [
            issue.last.strftime("%Y-%m-%d %H:%M"),
            str(issue.times),
            f"{issue.command} exit {issue.exit_code}" if issue.command else str(issue.kind),
            issue.text,
        ]
        for issue in result.issues
    ]
    unknown: list[list[Cell]] = [
        [str(trade.trade_id), trade.day.isoformat(), trade.state, trade.note] for trade in result.unknown
    ]
    return [
        *_table("What stopped entries", ("check", ">attempts", ">it alone", ">days"), skips),
        *_table("Trading days without a trade", ("!day", "why"), quiet),
        *_table("Trades of unknown result, in no figure", (">id", "!day", "!state", "why"), unknown),
        *_table("Errors and issues", ("!last", ">times", "!what", "told"), issues),
    ]


def _trades(result: ReportResult) -> list[str]:
    by_hand = {one.trade_id for one in result.analyses if one.by_hand}
    trades: list[list[Cell]] = [
        [
            str(trade.id),
            str(trade.trade_date)[:10],
            f"{trade.spx_strike:g} / {trade.spy_strike:g}" if trade.spx_strike and trade.spy_strike else "",
            dollars(trade.entry_credit),
            dollars(trade.exit_cost),
            _money(trade.final_pnl),
            f"{trade.exit_reason or trade.status}{' by hand' if trade.id in by_hand else ''}",
        ]
        for trade in result.trades
    ]
    heads = (">id", "!day", "!SPX / SPY strike", ">credit", ">exit cost", ">P&L", "!exit")
    days: list[list[Cell]] = [
        [day.day.isoformat(), str(day.trades), _money(day.net_pnl)] for day in result.daily if day.trades
    ]
    return [
        *_table("Trades", heads, trades),
        *_table("Days with trades", ("!day", ">trades", ">net P&L"), days),
    ]


def _tax(result: ReportResult) -> list[str]:
    """What was realised in the year of the tax return; its rows are for a spreadsheet."""
    if result.tax_year is None:
        return []
    rows = [[name, _money(value)] for name, value in realized(result.tax_totals)]
    table = _table(f"Realized in {result.tax_year}", ("part", ">dollars"), rows)
    return [*table, f"<p>{escape(NO_ADVICE)}</p>"]


def _notes(result: ReportResult) -> list[str]:
    matters = [f"Matter {matter.id}: {matter.text}" for matter in result.matters]
    items = "".join(f"<li>{escape(clean(note))}</li>" for note in [*matters, *result.notes])
    return [f"<h2>Notes</h2><ul>{items}</ul>"] if items else []
