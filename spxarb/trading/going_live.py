"""The gate from paper to live: evidence read from the paper ledger, which is only looked at.

It is asked by `enter` of mode live, `status` and `doctor`, and by nothing that exits. Whatever is wrong with
the evidence is something missing, never an error.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import spxarb
from spxarb import logs
from spxarb.config.load import place_of
from spxarb.core.going_live import LiveWish, PaperRecord, first_week_warning, gate
from spxarb.core.live_facts import needed_facts
from spxarb.errors import RefusedError, SpxarbError
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.opening import patience
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.core.going_live import Gate
    from spxarb.ledger.fills import Fills
    from spxarb.ledger.trades import Trades

log = logging.getLogger(__name__)
ACCEPTING = "live.accept_too_few_trades"
SPREADS = "trading.max_spreads_per_day"
LONGEST_WEEK = timedelta(days=21)
"""No five trading days take longer."""
PAPER_SECONDS = 2.0
"""So long at most, and twice at most, another program's lock of the paper ledger is waited for."""


def live_gate(config: Config) -> Gate:
    """Every requirement of live entries against what the paper ledger holds now."""
    trading = config.trading
    needed = needed_facts(
        spreads_per_day=trading.max_spreads_per_day, failsafe=config.execution.broker_side_failsafe
    )
    accepted = f"{ACCEPTING} in {place_of(config, ACCEPTING)}" if config.live.accept_too_few_trades else ""
    wish = LiveWish(config.ib.account, config.limits(), config.live.paper_days, needed, accepted)
    return gate(wish, paper_record(config), lambda day: timetable(day, config) is not None)


def paper_record(config: Config) -> PaperRecord:
    """What the paper ledger says; `unusable` where it cannot be read, whatever the reason."""
    place = "of mode paper"
    try:
        path = config.paper_ledger()
        place = str(path)
        return _read(path, place)
    except SpxarbError as error:
        return PaperRecord(place, error.what, spxarb.__version__)
    except Exception as error:  # noqa: BLE001 -- evidence that cannot be read is none, and stops no look at it
        logs.write_traceback(error)
        return PaperRecord(place, f"it cannot be read ({type(error).__name__}: {error})", spxarb.__version__)


def _read(path: Path, place: str) -> PaperRecord:
    version = spxarb.__version__
    if not Ledger.exists(path):
        return PaperRecord(place, "there is none", version)
    with patience(PAPER_SECONDS), Ledger.open(path, mode="paper", read_only=True) as ledger:
        if ledger.account is None:
            return PaperRecord(place, "no paper account was ever connected with it", version)
        if not ledger.account.startswith("D"):
            raise RefusedError("it belongs to an account that is no paper account")
        trades = _results(ledger.trades, ledger.fills)
        if ledger.trades.unreadable:
            raise RefusedError(str(next(iter(ledger.trades.unreadable.values()))))
        runs, elsewhere = ledger.evidence.runs(version)
        return PaperRecord(
            place,
            version=version,
            runs=runs,
            elsewhere=elsewhere,
            facts=ledger.evidence.facts(),
            trades=trades,
        )


def _results(trades: Trades, fills: Fills) -> list[tuple[Mapping[str, object], Decimal]]:
    """The limits and the net result of each closed trade with fills that was ours to the end."""
    return [
        (trade.limits, trade.final_pnl)
        for trade in trades.between()
        if not trade.is_open
        and not trade.handed_over
        and trade.state.result_known
        and trade.final_pnl is not None
        and fills.of_trade(trade.id)
    ]


# --- what an entry of mode live tells beside its check ----------------------------------------------------


def entry_notes(gate_now: Gate | None, ledger: Ledger, config: Config, today: date) -> list[str]:
    """What every live entry tells and logs: too few trades accepted; several spreads in the first week."""
    told = [gate_now.acceptance if gate_now else "", _first_week(ledger, config, today)]
    notes = [text for text in told if text]
    for text in notes:
        log.warning("%s", text)
    return notes


def _first_week(ledger: Ledger, config: Config, today: date) -> str:
    spreads = config.trading.max_spreads_per_day
    if spreads <= 1:
        return ""
    first, source = ledger.evidence.first_trading_day(), place_of(config, SPREADS)
    return first_week_warning(spreads, source, None if first is None else _sessions(config, first, today))


def _sessions(config: Config, first: date, today: date) -> int:
    """Trading days from `first` to `today`, both included; of a long time, more than a week has."""
    span = min(today - first, LONGEST_WEEK)
    return sum(
        timetable(first + timedelta(days=number), config) is not None for number in range(span.days + 1)
    )
