"""`send-alerts`: the alerts that wait in the ledger are sent. Under systemd a unit of its own does it.

What trades may reach no host but the gateway there, and leaves its alerts in the ledger (`SPXARB_ALERTS`).
This verb reads the ledger and sends; it needs neither the lock nor the broker.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.config.load import load
from spxarb.core.model import NEW_YORK
from spxarb.core.results.send_alerts import SendAlertsResult
from spxarb.errors import RefusedError, SpxarbError
from spxarb.trading.alerts import send_waiting

if TYPE_CHECKING:
    from pathlib import Path


def run(config_file: Path | None) -> SendAlertsResult:
    """Send what waits. Raises ConfigError; RefusedError where an alert still waits: its unit fails."""
    config = load(config_file)
    try:
        waited, failures = send_waiting(config)
        if failures:
            told = "; ".join(dict.fromkeys(filter(None, failures))) or "no way took it"
            raise RefusedError(
                f"{len(failures)} of {waited} alerts could not be sent: {told}",
                mend="Mend the way there (`spxarb doctor --send-test`); they are tried again",
            )
    except SpxarbError as error:
        error.mode = config.trading.mode
        raise
    return SendAlertsResult(
        "send-alerts", datetime.now(NEW_YORK), config.trading.mode, waited=waited, sent=waited
    )
