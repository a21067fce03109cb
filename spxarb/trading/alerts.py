"""The one alert of a run: what is in it, and what the human has heard already.

The same trouble is told at most once an hour, where the ledger can remember that it was told; where it
cannot, once a run.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb import notify
from spxarb.core.model import NEW_YORK
from spxarb.core.sentences import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.config.load import Config
    from spxarb.ledger.ledger import Ledger

SILENCE = timedelta(hours=1)
"""For how long the same trouble is not told again."""
A_DAY = timedelta(hours=20)
"""As `SILENCE`, for what is told once a day: less than a day, so that timers of the same time tell it."""


def send(
    config: Config,
    ledger: Ledger | None,
    title: str,
    sentences: Iterable[str],
    daily: Iterable[str] = (),
    *,
    run: tuple[int, datetime] | None = None,
) -> None:
    """Send what was not told lately, as one alert, and remember it.

    `daily`: told once a day. `run`: the run's id, and the market's time.
    """
    if not config.notifications.email_enabled:
        return
    now = datetime.now(NEW_YORK)
    patience = dict.fromkeys(sentences, SILENCE) | dict.fromkeys(daily, A_DAY)
    told = _told(ledger)
    new = [text for text, silence in patience.items() if _is_new(told.get(trouble_of(text)), now, silence)]
    if not new:
        return
    failure = notify.send(config, title, "\n".join(new))
    if ledger is not None and run is not None:
        with suppress(Exception):  # what cannot be written down was told all the same
            ledger.runs.add_alert(*run, title, "\n".join(new), notify.way(config), failure)
    if failure is not None or ledger is None:
        return
    with suppress(Exception):
        text = " ".join(new).casefold()
        named = [matter.id for matter in ledger.matters.open() if matter.text.casefold() in text]
        ledger.matters.alerted(named, notify.way(config), now)
    kept = {name: at for name, at in told.items() if not _is_new(at, now, A_DAY)}
    with suppress(Exception):  # it cannot remember: the next run tells it again
        ledger.runs.remember_alerts(kept | dict.fromkeys(map(trouble_of, new), now.isoformat()))


def _told(ledger: Ledger | None) -> dict[str, str]:
    """Trouble -> when it was told last."""
    if ledger is None:
        return {}
    with suppress(Exception):
        return ledger.runs.alerts_sent()
    return {}


def _is_new(at: str | None, now: datetime, patience: timedelta) -> bool:
    if at is None:
        return True
    try:
        age = now - datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return True
    return not timedelta(0) <= age < patience
