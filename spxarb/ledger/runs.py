"""Runs and decisions: which commands ran, how they ended, what they decided and why."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import spxarb
from spxarb.core.model import dec
from spxarb.errors import Exit
from spxarb.ledger.rows import to_json, to_moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.ledger.file import LedgerFile
    from spxarb.ledger.state import TradingState


RATIO_MEMORY = timedelta(days=7)
"""How far back a ratio is recent: SPY's dividend moves it once a quarter."""
_LATEST_DECISIONS = 40
ALERTS = "alerts"
"""The row of `meta` that holds which troubles were told."""


class Runs:
    """The tables `runs`, one row a command, and `decisions`."""

    def __init__(self, file: LedgerFile, state: TradingState) -> None:
        self._file = file
        self._state = state

    def begin(self, command: str, arguments: Sequence[str], at: datetime) -> int:
        """Note that a command began; the run's id."""
        row = {
            "command": command,
            "arguments": to_json(list(arguments)),
            "started_at": to_moment(at),
            "pid": os.getpid(),
            "version": spxarb.__version__,
        }
        return self._file.insert("runs", row)

    def end(
        self, run_id: int, at: datetime, exit_code: int, error: str | None, *, day_of: datetime | None = None
    ) -> None:
        """Note its end; a failure (not a wrong command line) counts among the errors of its day.

        `day_of`: the market's time, where that is not the machine's.
        """
        row = {"ended_at": to_moment(at), "exit_code": int(exit_code), "error": error}
        with self._file.joined():
            self._file.update("runs", row, id=run_id)
            if exit_code not in {Exit.DONE, Exit.USAGE}:
                self._state.count_error(day_of or at)

    def alerts_sent(self) -> dict[str, str]:
        """Which troubles a human was told of lately, and when; empty where that cannot be read."""
        text = self._file.value("SELECT value FROM meta WHERE key = ?", ALERTS)
        found = json.loads(text) if text else {}
        return {str(name): str(at) for name, at in found.items()}

    def remember_alerts(self, sent: Mapping[str, str]) -> None:
        """Keep that instead."""
        self._file.upsert("meta", {"key": ALERTS, "value": json.dumps(dict(sent))}, "key")

    def measured_ratios(self, now: datetime, most: int = 5) -> list[Decimal]:
        """SPX / SPY as earlier decisions to enter have measured it, newest first, of the last week alone."""
        rows = self._file.rows(
            "SELECT payload FROM decisions WHERE command = 'enter' AND at > ? AND at < ?"
            " ORDER BY id DESC LIMIT ?",
            to_moment(now - RATIO_MEMORY),
            to_moment(now),
            _LATEST_DECISIONS,
        )
        found = [ratio for row in rows if (ratio := _measured_ratio(row["payload"])) is not None]
        return found[:most]

    def add_decision(
        self,
        run_id: int | None,
        command: str,
        at: datetime,
        *,
        dry_run: bool,
        outcome: str | None,
        would: str | None,
        payload: Mapping[str, object],
    ) -> int:
        """What a job decided and why; `payload` is kept as JSON, its `checks` apart. The decision's id."""
        rest = {key: value for key, value in payload.items() if key != "checks"}
        row = {
            "run_id": run_id,
            "command": command,
            "at": to_moment(at),
            "dry_run": int(dry_run),
            "outcome": outcome,
            "would": would,
            "checks": to_json(payload.get("checks", [])),
            "payload": to_json(rest),
        }
        return self._file.insert("decisions", row)


def _measured_ratio(payload: str) -> Decimal | None:
    """The ratio in a decision; None where it was not measured, or the row says nothing that can be read."""
    try:
        prices = json.loads(payload)["prices"]
        return dec(prices["ratio"]) if prices["ratio_measured"] else None
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
