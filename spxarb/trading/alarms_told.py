"""The watchdog's alarms are told: one alert a run, the same trouble once an hour, without any ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb import notify
from spxarb.core.masking import masked_accounts
from spxarb.core.notices import A_DAY, HOUR, HUMAN_NEEDED, title_of
from spxarb.core.results.watchdog import AlarmRow
from spxarb.trading.told_beside import told_lately

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.core.watching import Alarm


def tell(
    config: Config, ledger: Path, alarms: Sequence[Alarm], daily: Collection[str], now: datetime
) -> tuple[tuple[AlarmRow, ...], str]:
    """Send what was not told lately; each alarm with what became of it, and why the alert was not sent.

    `daily`: troubles that are told once a day. What could not be sent is told by the next run. `now`: the
    machine's time.
    """
    if not alarms:
        return (), ""
    if not config.notifications.email_enabled or not config.notifications.human_needed:
        rows = tuple(AlarmRow(alarm.trouble, alarm.text, None) for alarm in alarms)
        return rows, "alerts are off, so nobody was told"
    with told_lately(ledger, now) as told:
        new = [
            alarm
            for alarm in alarms
            if told.is_new(alarm.trouble, now, A_DAY if alarm.trouble in daily else HOUR)
        ]
        why = None
        if new:
            text = masked_accounts("\n".join(alarm.text for alarm in new), config.ib.account)
            why = notify.send(config, title_of("watchdog", HUMAN_NEEDED), text)
        if why is None:
            for alarm in new:
                told.add(alarm.trouble, now)
    rows = tuple(AlarmRow(one.trouble, one.text, why is None if one in new else None) for one in alarms)
    return rows, why or ""
