"""What has happened on a day that bears on another entry: by ledger, marks and blackout file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.config.trusted import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from spxarb.core.day_limits import DayRecord
    from spxarb.trading.context import JobContext
    from spxarb.trading.marks import MarkedTrade

BLACKOUT = "blackout day"


def day_record(context: JobContext, day: date, marked_trades: Iterable[MarkedTrade] = ()) -> DayRecord:
    """The day so far; `marked_trades`: what is open, at current quotes."""
    from spxarb.core.day_limits import DayRecord, OpenRisk  # noqa: PLC0415 -- only an entry needs it

    ledger = context.ledger
    results = [trade.final_pnl for trade in ledger.trades.of_day(day)]
    return DayRecord(
        stopped=ledger.stops.reason(day),
        losses=sum(1 for pnl in results if pnl is not None and pnl < 0),
        failed_jobs=ledger.runs.failed_jobs(day),
        open=tuple(
            OpenRisk(marked.trade.id, marked.pnl, marked.trade.worst_case) for marked in marked_trades
        ),
        blackout=blackout_on(context.config.trading.blackout_file, day),
    )


def blackout_on(file: Path | None, day: date) -> str:
    """Why the file forbids entries on that day, a phrase; empty when it does not.

    A file that cannot be read, or a line of it, forbids them on every day.
    """
    if file is None:
        return ""
    from spxarb.core.day_limits import blackouts  # noqa: PLC0415 -- only such a file needs it

    try:
        why = blackouts(read_bytes(file).decode("utf-8-sig")).get(day)
    except UnicodeDecodeError:
        return f"the blackout file {file} cannot be read (it is not UTF-8 text)"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return f"the blackout file {file} cannot be read ({why})"
    return f"{BLACKOUT}: {why}" if why else ""
