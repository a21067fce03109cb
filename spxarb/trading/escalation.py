"""When a failure needs a human now: something is open that must not be."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from spxarb.core.order_words import Purpose
from spxarb.core.sentences import lower_first, sentence
from spxarb.errors import (
    HumanNeededError,
    LockedError,
    SpxarbError,
    UsageError,
    as_failure,
)
from spxarb.trading import bookkeeping
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET, WRITERS, with_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from spxarb.core.records import Trade
    from spxarb.core.result import Result
    from spxarb.interruption import Interrupted
    from spxarb.trading.context import JobContext

R = TypeVar("R", bound="Result")
_LOOK = "Look at the broker now; `spxarb monitor` tries again"


def human_needed(sentences: Iterable[str], *, mend: str) -> list[HumanNeededError]:
    """What a job found that only a human can resolve, as the one error that it makes; none for none."""
    what = " ".join(map(sentence, sentences))
    return [HumanNeededError(what, mend=mend)] if what else []


@contextmanager
def escalated(context: JobContext, *, everything: bool = False) -> Iterator[None]:
    """Whatever fails in the block needs a human while something is open that must not be.

    `everything`: every open trade was to be closed. Raises HumanNeededError then, else what was raised.
    """
    try:
        yield
    except (UsageError, HumanNeededError):
        raise
    except Exception as error:
        alarm = alarm_of(context, error, everything=everything)
        if alarm is None:
            raise
        raise alarm from error


def alarm_of(context: JobContext, error: Exception, *, everything: bool) -> HumanNeededError | None:
    """The failure as what needs a human; None while nothing is open that must not be.

    `everything`: every open trade was to be closed.
    """
    at_risk = _at_risk(context, error, everything=everything)
    if not at_risk:
        return None
    failure = as_failure(error)
    mend = failure.mend if isinstance(error, SpxarbError) else ""
    return HumanNeededError(
        f"{at_risk}, and {lower_first(failure.what)}",
        risk="Its calls may still be held",
        mend=f"{mend.rstrip('.')}. {_LOOK}" if mend else _LOOK,
    )


def interrupted(context: JobContext, found: Interrupted, *, everything: bool) -> HumanNeededError | None:
    """What a command that a signal ended leaves to a human; None: nothing was sent, and no exit is due."""
    ended = f"interrupted by {found.cause}"
    if context.sent:
        begun = _begun(context)
        return HumanNeededError(
            f"{ended}: {begun}" if begun else f"{ended} after orders were sent: nothing is half done",
            risk="A leg may be without its hedge" if begun else "",
            mend="Run `spxarb monitor` now" if begun else "`spxarb status` shows what is held",
        )
    if context.command not in WRITERS:
        return None
    at_risk = _at_risk(context, found, everything=everything, ask=False)
    if not at_risk:
        return None
    return HumanNeededError(
        f"{ended}: {lower_first(at_risk)}", risk="Its calls may still be held", mend=_LOOK
    )


def cut_short(context: JobContext, result: R, found: Interrupted) -> R:
    """The result of a job that came to its end although a signal was to end it."""
    if not context.sent:
        return result
    alarm: SpxarbError | None
    try:
        alarm = interrupted(context, found, everything=context.command == "close-all")
    except Exception as error:  # noqa: BLE001 -- the result of what was done must not be lost
        alarm = as_failure(error)
    return with_errors(result, [alarm] if alarm else [])


def _begun(context: JobContext) -> str:
    """Entries and exits that are half done, and orders without a proven end; empty for none."""
    trades = bookkeeping.open_trades(context.ledger)
    half = [f"trade {trade.id} may be half open" for trade in trades if trade.state.entry_interrupted]
    half += [f"trade {trade.id} is not handed over yet" for trade in trades if _handing_over(trade)]
    half += [
        f"the exit of trade {trade.id} is not complete"
        for trade in trades
        if trade.exit_reason is not None and not trade.residual and not trade.state.entry_interrupted
    ]
    orders = context.ledger.orders.unproven()
    working = [record.ref for record in orders if record.purpose is not Purpose.FAILSAFE]
    half += [f"how {', '.join(working)} ended is not known yet"] if working else []
    return "; ".join(half)


def _handing_over(trade: Trade) -> bool:
    return trade.handed_over and trade.state.is_unproven


def _at_risk(context: JobContext, error: BaseException, *, everything: bool, ask: bool = True) -> str:
    """What is open and must not be, in words; empty when nothing is. `ask`: in the sim mode for the time.

    A trade that another job works on (it holds the lock) is that job's, until the clock says otherwise. Where
    the ledger cannot be read by now, the trades are taken as they were when the command began.
    """
    try:
        trades = bookkeeping.open_trades(context.ledger)
        unread = context.ledger.trades.unreadable_open()
    except Exception:  # noqa: BLE001 -- whatever fails here must not hide what is at risk
        trades, unread = [trade for trade in context.open_at_start if trade.is_open], []
    if unread:
        return unread[0]
    others = isinstance(error, LockedError)
    due = [trade for trade in trades if trade.can_exit]
    now = _market_time(context) if due and ask else context.now()
    for trade in due:
        if trade.state.entry_interrupted and not others:
            return f"Trade {trade.id} may be half open"
        if now >= context.exit_at(trade) or (trade.exit_reason is not None and not others):
            return f"The exit of trade {trade.id} is due"
        if everything:
            return f"Trade {trade.id} is open and was to be closed"
    return ""


def _market_time(context: JobContext) -> datetime:
    """As `context.now`; in the sim mode the gateway is asked, if no connection of the job has done so."""
    if context.config.trading.mode != "sim" or context.clock is not None:
        return context.now()
    import asyncio  # noqa: PLC0415 -- only a connection needs it

    from spxarb.broker.broker import Endpoint, gateway_time  # noqa: PLC0415 -- ib_insync comes with it

    ib = context.config.ib
    client_id = ib.client_id + READ_ONLY_CLIENT_ID_OFFSET
    endpoint = Endpoint(ib.host, ib.port, client_id, ib.account, "sim", ib.gateway_user)
    with suppress(SpxarbError):
        told = asyncio.run(gateway_time(endpoint, context.config.execution.connect_timeout_seconds))
        context.hear_time(told)
        return told
    return context.now()
