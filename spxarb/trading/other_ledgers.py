"""What a command tells of other ledgers with open trades: those of other modes, and those beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.errors import HumanNeededError, SpxarbError

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.ledger.elsewhere import OtherLedger


def told_of(other: OtherLedger, now: datetime, *, watches: bool) -> SpxarbError:
    """What to tell of it: a HumanNeededError where an exit is due there by `now`.

    `watches`: the command is one that looks after positions, so what it does not see must be told.
    """
    if other.unreadable:
        what, mend = f"The other ledger {other.path} cannot be read ({other.unreadable})", "Look at it"
    else:
        ids = ", ".join(map(str, other.trades))
        what = f"The ledger {other.path} of mode {other.mode} has open trades ({ids})"
        mend = f"Run `spxarb monitor` with trading.mode {other.mode} and that storage.database"
    if other.is_due(now) and watches:
        risk = "An exit is due there, and this command does not look after it"
        return HumanNeededError(what, risk=risk, mend=mend)
    return SpxarbError(what, mend=mend)
