"""What is open, for a human who is asked before everything is closed: by the ledger alone, and at once.

Nothing is written, made or asked, and whatever fails here is told and stands in no exit's way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.results.close_all import ClosingPreview, OpenSpread
from spxarb.errors import as_failure
from spxarb.ledger.ledger import Ledger
from spxarb.trading import bookkeeping
from spxarb.trading.context import JobContext
from spxarb.trading.opening import configuration

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.core.records import Trade
    from spxarb.core.steps import Tactics

COMMAND = "close-all"


def closing_preview(config_file: Path | None, *, at_market: bool) -> ClosingPreview:
    """What `close-all` would close, and how. Raises ConfigError where it would too."""
    config, problem = configuration(COMMAND, config_file)
    path = config.database_path()
    account = config.ib.account
    preview = ClosingPreview(config.trading.mode, account, str(path), (), "", problem)
    if not Ledger.exists(path):
        return replace(preview, doubt=f"there is no ledger at {path}")
    try:
        with Ledger.open(path, mode=config.trading.mode, read_only=True) as ledger:
            context = JobContext(COMMAND, config, ledger, 0, problem)
            spreads = tuple(_spread(context, trade) for trade in bookkeeping.open_trades(ledger))
            unread = ledger.trades.unreadable_open()
            return replace(
                preview,
                account=ledger.account or account,
                spreads=spreads,
                way=way_out(context.tactics, at_market=at_market),
                doubt="; ".join([*([problem] if problem else []), *unread]),
            )
    except Exception as error:  # noqa: BLE001 -- a human who wants out is asked all the same
        return replace(preview, doubt=as_failure(error).what)


def way_out(tactics: Tactics, *, at_market: bool = False) -> str:
    """How spreads are left, a phrase."""
    if at_market or not tactics.use_limit_orders:
        return "by market orders at once"
    if tactics.market_exit:
        return "by limit orders first, by market orders last"
    return "by limit orders alone (execution.market_exit is off)"


def _spread(context: JobContext, trade: Trade) -> OpenSpread:
    marks = context.ledger.trades.marks(trade.id)
    newest = marks[-1] if marks else None
    age = None if newest is None else max((context.now() - newest.at).total_seconds(), 0.0)
    return OpenSpread(
        trade.id,
        trade.spx.strike,
        trade.spy.strike,
        trade.entry_credit,
        None if newest is None else newest.pnl,
        None if newest is None else newest.at,
        age,
        _left_alone(trade),
    )


def _left_alone(trade: Trade) -> str:
    if trade.handed_over:
        return "handed over to you"
    return "" if trade.can_exit else "left to cash settlement"
