"""A paper ledger with the evidence that live waits for, written through the ledger's own interface.

What ten days of timers leave behind would take a test hours by the real commands; which commands leave these
rows is seen in `test_going_live.py` and elsewhere.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from traded_days import Days

import spxarb
from spxarb.config.load import load
from spxarb.core.gateway_claims import Sighting
from spxarb.core.live_facts import HOW, KeptFact
from spxarb.core.model import NEW_YORK, dec
from spxarb.core.sessions import STORED_TIMETABLE
from spxarb.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FIRST = date(2026, 1, 5)
"""A Monday; the next holiday is January 19."""
JOBS = ("enter", "monitor", "settle")
WIN, LOSS = dec(1500), dec(-1100)
"""Dollars a trade: fifty such wins prove the claims, ten such losses refute them."""


def weekdays(count: int, first: date = FIRST) -> list[date]:
    days = [first + timedelta(days=number) for number in range(2 * count + 7)]
    return [day for day in days if day.weekday() < 5 and day != date(2026, 1, 19)][:count]


def paper_ledger(
    path: Path,
    config: Path | None = None,
    *,
    days: int = 10,
    codes: Sequence[tuple[int, str, int]] = (),
    without: Iterable[str] = (),
    contradicted: Iterable[str] = (),
    winners: int = 0,
    losers: int = 0,
    changed: dict[str, Any] | None = None,
    account: str | None = "DU1234567",
) -> Path:
    """The ledger at `path`.

    `codes`: for the nth day, a command that ended so. `without`: facts that were not seen. `winners` and
    `losers`: trades under the limits of the configuration file, some of them `changed` in section trading.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with Ledger.open(path, mode="paper") as ledger:
        ledger._file._db.execute("PRAGMA synchronous = OFF")  # it need not survive a crash of the machine
        if account:
            ledger.bind_account(account)
        made = Days(ledger)
        dates = weekdays(days)
        for day in dates:
            for hour, command in zip((9, 12, 16), JOBS, strict=True):
                made.ran(command, datetime.combine(day, time(hour, 45), NEW_YORK))
        for number, command, code in codes:
            made.ran(command, datetime.combine(dates[number], time(13), NEW_YORK), code=code, error="no")
        keep(ledger, sorted(HOW.keys() - {*without, *contradicted}), Sighting.SEEN)
        keep(ledger, contradicted, Sighting.CONTRADICTED)
        stored = load(config).limits() if config else {}
        stored["trading"] = stored.get("trading", {}) | (changed or {})
        for number, day in enumerate(weekdays(winners + losers)):
            trade = made.traded(day, final_pnl=WIN if number < winners else LOSS)
            ledger.trades.update(trade.id, limits={STORED_TIMETABLE: None, **stored})
    return path


def keep(
    ledger: Ledger,
    names: Iterable[str],
    evidence: Sighting,
    *,
    on: str = "2026-01-05T09:40:00-05:00",
    server_version: int = 176,
    judged_by: str = spxarb.__version__,
) -> None:
    facts = [(KeptFact(name, evidence, "as seen", on, server_version, judged_by), 1) for name in names]
    ledger.evidence.keep(facts, datetime(2026, 1, 5, 17, tzinfo=NEW_YORK))
