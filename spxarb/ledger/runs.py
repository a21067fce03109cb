"""Runs, decisions and alerts: which commands ran, what they decided and why, what a human was told."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import spxarb
from spxarb.core.masking import masked_addresses
from spxarb.core.model import dec
from spxarb.errors import Exit
from spxarb.ledger.machine import machine
from spxarb.ledger.rows import from_moment, known_moment, to_json, to_moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.ledger.file import LedgerFile
    from spxarb.ledger.state import TradingState


FAILED = (Exit.BUG, Exit.GATEWAY, Exit.REFUSED)
"""How a job ends that did not do its work. What needs a human (6) stops entries until it is dealt with."""
JOBS = ("enter", "monitor", "settle", "close-all")
RATIO_MEMORY = timedelta(days=7)
"""How far back a ratio is recent: SPY's dividend moves it once a quarter."""
MISSED = "missed"
"""The row of `meta` that holds which missed runs were told."""
ALERTS = "alerts"
"""The row of `meta` that holds which troubles were told."""


class Runs:
    """The tables `runs`, one row a command, `decisions` and `alerts`."""

    def __init__(self, file: LedgerFile, state: TradingState) -> None:
        self._file = file
        self._state = state

    def begin(self, command: str, arguments: Sequence[str], at: datetime) -> int:
        """Note that a command began; the run's id. Of an address among its words the secret is left out."""
        row = {
            "command": command,
            "arguments": to_json([masked_addresses(word) for word in arguments]),
            "started_at": to_moment(at),
            "pid": os.getpid(),
            "version": spxarb.__version__,
            "machine": machine(),
        }
        return self._file.insert("runs", row)

    def end(
        self, run_id: int, at: datetime, exit_code: int, error: str | None, *, day_of: datetime | None = None
    ) -> None:
        """Note its end; a failure (not a wrong command line) counts among the errors of its day.

        `day_of`: the market's time, where that is not the machine's.
        """
        told = masked_addresses(error) if error else error
        row = {"ended_at": to_moment(at), "exit_code": int(exit_code), "error": told}
        with self._file.joined():
            self._file.update("runs", row, id=run_id)
            if exit_code not in {Exit.DONE, Exit.USAGE}:
                self._state.count_error(day_of or at)

    def failed_jobs(self, day: date) -> int:
        """How many jobs of the day failed since `start` was last given on it: a human has looked then.

        The day is the market's where a gateway told its time, else the machine's.
        """
        return len(self.failures(day))

    def failures(self, day: date) -> list[datetime | None]:
        """When each of them ended, oldest first; by the machine's clock, None where it cannot be read."""
        rows = self._file.rows(
            f"""
            SELECT ended_at FROM runs
            WHERE substr(coalesce(market_time, started_at), 1, 10) = ?
              AND command IN ({", ".join(f"'{name}'" for name in JOBS)})
              AND exit_code IN ({", ".join(str(int(code)) for code in FAILED)})
              AND id > coalesce((SELECT max(id) FROM runs WHERE command = 'start' AND exit_code = 0), 0)
            ORDER BY id
            """,  # noqa: S608 -- both lists are ours
            day.isoformat(),
        )
        return [known_moment(row["ended_at"]) for row in rows]

    def note_what_if(self, run_id: int, at: datetime) -> None:
        """A what-if order is about to be sent; `at`: the market's time."""
        self._file.update("runs", {"what_if_at": to_moment(at)}, id=run_id)

    def last_what_if(self) -> datetime | None:
        """When the last what-if order went out; None: none ever did."""
        return known_moment(
            self._file.value(
                "SELECT what_if_at FROM runs WHERE what_if_at IS NOT NULL ORDER BY id DESC LIMIT 1"
            )
        )

    def of_jobs(self, since: datetime) -> list[dict[str, Any]]:
        """The jobs that began since then, oldest first: rows with what `run_moment` needs."""
        rows = self._file.rows(
            "SELECT id, command, arguments, started_at, market_time, account_seen, ended_at, exit_code "
            "FROM runs WHERE id > (SELECT max(id) FROM runs) - 2000 "
            "AND coalesce(market_time, started_at) >= ? ORDER BY id",
            to_moment(since),
        )
        return [row for row in rows if row["command"] in JOBS]

    def first(self) -> dict[str, Any] | None:
        """The ledger's first run, likewise; None: there was none."""
        rows = self._file.rows("SELECT * FROM runs ORDER BY id LIMIT 1")
        return rows[0] if rows else None

    def missed_told(self) -> dict[str, str]:
        """Of which missed run a human was told last: job -> day; empty where that cannot be read."""
        return self._kept(MISSED)

    def remember_missed(self, told: Mapping[str, str]) -> None:
        """Keep that instead."""
        self._file.upsert("meta", {"key": MISSED, "value": json.dumps(dict(told))}, "key")

    def alerts_sent(self) -> dict[str, str]:
        """Which troubles a human was told of lately, and when; empty where that cannot be read."""
        return self._kept(ALERTS)

    def remember_alerts(self, sent: Mapping[str, str]) -> None:
        """Keep that instead."""
        self._file.upsert("meta", {"key": ALERTS, "value": json.dumps(dict(sent))}, "key")

    def _kept(self, key: str) -> dict[str, str]:
        text = self._file.value("SELECT value FROM meta WHERE key = ?", key)
        try:
            return {str(name): str(value) for name, value in json.loads(text or "{}").items()}
        except (AttributeError, TypeError, ValueError):
            return {}

    def add_alert(
        self, run_id: int, at: datetime, title: str, text: str, sent_to: str, failure: str | None
    ) -> None:
        """An alert that was sent by the way `sent_to`, or was to be: `failure` says why it was not."""
        row = {"run_id": run_id or None, "at": to_moment(at), "title": title, "text": text}
        self._file.insert("alerts", {**row, "sent_to": sent_to, "failure": failure})

    def measured_ratios(self, now: datetime, most: int = 5) -> list[Decimal]:
        """SPX / SPY as earlier decisions to enter have measured it, newest first, of the last week alone.

        A ratio that jumped counts from a later day on, where its own day measured nothing else: SPY's
        dividend moves it at the open, and what was measured before that is past. On its own day it may be a
        wrong price.
        """
        rows = self._file.rows(
            "SELECT at, payload FROM decisions WHERE command = 'enter' AND at > ? AND at < ?"
            " ORDER BY id DESC",
            to_moment(now - RATIO_MEMORY),
            to_moment(now),
        )
        days: dict[date, list[_Ratio]] = {}
        for row in rows:
            ratio = _ratio(row["payload"])
            if ratio is not None:
                days.setdefault(from_moment(row["at"]).date(), []).append(ratio)
        found: list[Decimal] = []
        for day, ratios in days.items():
            measured = [ratio.value for ratio in ratios if not ratio.jumped]
            if measured or day == from_moment(to_moment(now)).date():
                found += measured
                continue
            found += [ratio.value for ratio in ratios]
            break
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


class _Ratio(NamedTuple):
    value: Decimal
    jumped: bool


def _ratio(payload: str) -> _Ratio | None:
    """The ratio in a decision; None where it was not measured, or the row says nothing that can be read."""
    try:
        prices = json.loads(payload)["prices"]
        value = dec(prices["ratio"])
        counts = prices["ratio_measured"] or prices["ratio_jumped"]
        return _Ratio(value, not prices["ratio_measured"]) if counts and value is not None else None
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
