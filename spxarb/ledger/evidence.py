"""What a ledger of the paper account proves: its runs by version and machine, and facts about the gateway."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from spxarb.ledger.machine import machine
from spxarb.ledger.rows import to_moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.core.going_live import PaperRun
    from spxarb.core.live_facts import KeptFact
    from spxarb.ledger.file import LedgerFile

_DAY = "substr(coalesce(market_time, started_at), 1, 10)"
_FIRST_DAY = "min(substr(trade_date, 1, 10))"


class LiveEvidence:
    """The table `gateway_facts`, and what `runs` and `trades` say of stability."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def runs(self, version: str) -> tuple[list[PaperRun], int]:
        """The runs of this version on this machine, and how many of it are another's, or not known whose.

        A row whose day cannot be read is of no day.
        """
        from spxarb.core.going_live import PaperRun  # noqa: PLC0415 -- only the way to live needs it

        found = []
        rows = self._file.rows(
            f"SELECT command, arguments, exit_code, {_DAY} AS day FROM runs "  # noqa: S608 -- our own words
            "WHERE version = ? AND machine = ? ORDER BY id",
            version,
            machine(),
        )
        for row in rows:
            with suppress(TypeError, ValueError):
                day, dry = date.fromisoformat(row["day"]), "--dry-run" in json.loads(row["arguments"])
                found.append(PaperRun(day, row["command"], row["exit_code"], dry))
        others = self._file.value(
            "SELECT count(*) FROM runs WHERE version = ? AND machine IS NOT ?", version, machine()
        )
        return found, int(others)

    def first_trading_day(self) -> date | None:
        """The day of the first trade with any execution; None: there was none."""
        day = self._file.value(
            f"SELECT {_FIRST_DAY} FROM trades WHERE id IN (SELECT trade_id FROM executions) "  # noqa: S608 -- likewise
            "AND substr(trade_date, 1, 10) IS date(trade_date)"
        )
        return None if day is None else date.fromisoformat(day)

    def keep(self, facts: Iterable[tuple[KeptFact, int]], at: datetime) -> None:
        """Keep what a recording said, each with how often it said it; the same recording is kept once.

        A contradiction stays beside what the same recording says later, when more was added to it.
        """
        with self._file.joined():
            for fact, times in facts:
                row = {name: getattr(fact, name) for name in fact.__dataclass_fields__}
                row |= {"evidence": fact.evidence.value, "times": times, "kept_at": to_moment(at)}
                self._file.upsert("gateway_facts", row, "name", "recorded_at", "evidence", "judged_by")

    def facts(self) -> list[KeptFact]:
        """Everything that was kept. Raises ValueError where a row holds what none of ours does."""
        from spxarb.core.gateway_claims import Sighting  # noqa: PLC0415 -- only the way to live needs it
        from spxarb.core.live_facts import KeptFact  # noqa: PLC0415 -- likewise

        names = ", ".join(KeptFact.__dataclass_fields__)
        rows = self._file.rows(f"SELECT {names} FROM gateway_facts ORDER BY recorded_at")  # noqa: S608 -- likewise
        return [KeptFact(**{**row, "evidence": Sighting(row["evidence"])}) for row in rows]
