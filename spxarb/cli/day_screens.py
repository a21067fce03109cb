"""What `settle` and `demo` show: the day in a line, its trades, what was settled; and rows of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, HEAD, WARN, Block, Columns, Line, dollars, grid, money, words
from spxarb.core.model import dec
from spxarb.core.sentences import usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.results.report import DemoResult
    from spxarb.core.results.report_rows import DayRow, SettlementRow, TradeRow
    from spxarb.core.results.settle import SettleResult

TRADES: Columns[TradeRow] = (
    (">trade", lambda trade: words(trade.id)),
    ("date", lambda trade: trade.trade_date),
    (">P&L", lambda trade: money(trade.final_pnl)),
    (">credit", lambda trade: dollars(trade.entry_credit)),
    (">exit cost", lambda trade: dollars(trade.exit_cost)),
    ("?exit reason", lambda trade: words(trade.exit_reason)),
    ("status", lambda trade: trade.status),
    (">SPX strike", lambda trade: words(trade.spx_strike)),
    (">SPY strike", lambda trade: words(trade.spy_strike)),
    (">commissions", lambda trade: dollars(trade.commissions)),
)
DAYS: Columns[DayRow] = (
    ("date", lambda day: words(day.date)),
    (">trades", lambda day: words(day.trades_count)),
    (">won", lambda day: words(day.winning_trades)),
    (">lost", lambda day: words(day.losing_trades)),
    (">before commissions", lambda day: money(day.total_pnl)),
    (">commissions", lambda day: dollars(day.total_commissions)),
    (">net", lambda day: money(day.net_pnl)),
    (">drawdown", lambda day: dollars(day.max_drawdown)),
)
_SETTLEMENTS: Columns[SettlementRow] = (
    (">trade", lambda row: words(row.trade_id)),
    ("leg", lambda row: row.leg),
    (">calls", lambda row: words(row.quantity)),
    ("stage", lambda row: row.stage),
    (">price", lambda row: dollars(row.price) if row.leg == "SPY" else words(row.price)),
    (">cash", lambda row: money(row.cash)),
    (">difference", lambda row: money(row.difference)),
    ("source", lambda row: row.source),
)


def settle(result: SettleResult) -> list[Block]:
    day = result.summary
    state = "Provisional" if result.provisional else "Final"
    said = f"{state}: {_day(day)}." if day.date else f"{state}."
    later = "Final once the next morning shows the official closes and no new shares."
    return [
        Line(said, WARN if result.provisional else GOOD),
        *([Line(later)] if result.provisional else []),
        *_trades(result.trades),
        *settlements(result.settlements),
        *([grid("Day", DAYS, [day])] if day.date else []),
    ]


def demo(result: DemoResult) -> list[Block]:
    """The simulated day in a line, and its trades."""
    if not result.days:
        return [Line("The day came to no summary.", BAD)]
    return [
        *(Line(f"The simulated day: {_day(day)}.", HEAD) for day in result.days),
        *_trades(result.trades),
        *settlements(result.settlements),
        grid("Day", DAYS, result.days),
    ]


def settlements(rows: Sequence[SettlementRow]) -> list[Block]:
    """What each stage says of the legs that expired; nothing where none did."""
    return [grid("Settlements", _SETTLEMENTS, rows)] if rows else []


def _trades(trades: Sequence[TradeRow]) -> list[Block]:
    return [grid("Trades", TRADES, trades)] if trades else []


def _day(day: DayRow) -> str:
    """A day in words: how many trades, and what they made."""
    count = day.trades_count or 0
    trades = f"{count} trade{'' if count == 1 else 's'}"
    net = "net result not known" if day.net_pnl is None else f"net {usd(dec(day.net_pnl))}"
    worst = f", deepest fall {usd(dec(day.max_drawdown))}" if day.max_drawdown else ""
    return f"{day.date}, {trades}, {net}{worst}"
