"""When a failure is more than a failure: something is open that must not be, and only a human can act now."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.errors import HumanNeededError, LockedError, RefusedError, SpxarbError, UsageError
from spxarb.jobs.positions import is_due
from spxarb.jobs.repair import cut_off
from spxarb.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.core.book import Trade
    from spxarb.jobs.env import Env

_LOOK = "Look at the broker now; `spxarb monitor` tries again"


@contextmanager
def escalated(env: Env, *, everything: bool = False) -> Iterator[None]:
    """Whatever fails in the block becomes an alarm while something is open that must not be.

    `everything`: every open trade was to be closed. Raises HumanNeededError then, else what was raised.
    """
    try:
        yield
    except (UsageError, HumanNeededError):
        raise
    except Exception as error:
        at_risk = _at_risk(env, error, everything=everything)
        if not at_risk:
            raise
        what, mend = f"a bug in spxarb: {type(error).__name__}: {error}", ""
        if isinstance(error, SpxarbError):
            what, mend = f"{error.what[:1].lower()}{error.what[1:]}", error.mend
        raise HumanNeededError(
            f"{at_risk}, and {what}",
            risk="Its calls may still be held",
            mend=f"{mend.rstrip('.')}. {_LOOK}" if mend else _LOOK,
        ) from error


def _at_risk(env: Env, error: Exception, *, everything: bool) -> str:
    """What is open and must not be, in words; empty when nothing is, or the ledger does not tell.

    What a job that holds the lock has begun is that job's business until the clock says otherwise.
    """
    try:
        trades = env.store.open_trades()
    except RefusedError:
        return ""
    for trade in trades:
        begun = not isinstance(error, LockedError) and trade.exit_reason is not None
        if cut_off(trade) and not isinstance(error, LockedError):
            return f"Trade {trade.id} may be half open"
        if is_due(trade) and (begun or is_late(env, trade)):
            return f"Trade {trade.id} is due to be left"
        if is_due(trade) and everything:
            return f"Trade {trade.id} is open and was to be closed"
    return ""


def is_late(env: Env, trade: Trade) -> bool:
    """Whether the clock alone says that the trade must be left."""
    day = timetable(trade.expiry, env.config)
    return day is None or env.now() >= day.exit_at
