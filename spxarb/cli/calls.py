"""From a command as it was called to its result and exit code, whatever goes wrong on the way."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spxarb.cli import view
from spxarb.core.model import NEW_YORK
from spxarb.core.result import Result
from spxarb.errors import Exit, HumanNeededError, SpxarbError, UsageError, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from spxarb.sim.server import Listening

    Job = Callable[[Any], Result]

INTERRUPTED = 130
"""Ctrl-C in a command that changes nothing at the broker: the shell's own number for it."""


@dataclass(frozen=True)
class Call:
    """One command as it was called. `trades`: it may send orders, an interruption then needs a human."""

    command: str
    config: Path | None
    as_json: bool
    arguments: tuple[str, ...]
    trades: bool = False


def run(call: Call, job: Job, *, sandbox: bool = False) -> int:
    """Do the job, show its result. Returns the exit code."""
    return view.show(interruptible(call, job, sandbox=sandbox), json=call.as_json)


def interruptible(call: Call, job: Job, *, sandbox: bool = False) -> Result:
    """As `outcome`; Ctrl-C too becomes a result."""
    try:
        return outcome(call, job, sandbox=sandbox)
    except KeyboardInterrupt:
        return _interrupted(call)


def _interrupted(call: Call) -> Result:
    if not call.trades:
        return _failed(call, INTERRUPTED, "interrupted; nothing is at risk that was not before.")
    return _failed(
        call,
        Exit.HUMAN,
        "interrupted: orders may be working and a spread may be half done. Run `spxarb monitor` now.",
    )


def outcome(call: Call, job: Job, *, sandbox: bool = False) -> Result:
    """The job's result; a failure becomes one too. Raises UsageError, for which there is no result."""
    mode: str | None = None
    result: Result | None = None
    try:
        with _env(call, sandbox=sandbox) as context, _traceback_logged():
            mode = "sim" if sandbox else context.config.trading.mode
            result = _done(call, job, context)
    except UsageError:
        raise
    except SpxarbError as error:
        return _failed(call, error.exit_code, str(error), error.mode or mode, result)
    except Exception as error:  # noqa: BLE001 -- a bug has an exit code, and its JSON object, too
        return _failed(call, Exit.BUG, bug(error), mode, result)
    return result


def _done(call: Call, job: Job, context: Any) -> Result:
    """Do the job; how it ended is in the ledger, also when Ctrl-C ended it."""
    try:
        result = job(context)
    except KeyboardInterrupt:
        if context is not None:
            context.ended(_interrupted(call))
        raise
    if context is not None:
        context.ended(result)
    return result


def _env(call: Call, *, sandbox: bool) -> AbstractContextManager[Any]:
    """Configuration, ledger, lock, log and broker of one job; a job in its own sandbox brings them itself."""
    if sandbox:
        return nullcontext()
    from spxarb.trading.context import job_context  # noqa: PLC0415 -- heavy, and not needed for --help

    return job_context(call.command, call.config, call.arguments)


def _failed(
    call: Call, code: int, error: str, mode: str | None = None, result: Result | None = None
) -> Result:
    """The result of a job that failed, or of one that was done before tidying up failed."""
    if result is None:
        return Result(call.command, datetime.now(NEW_YORK), mode, exit_code=code, error=error)
    told = " ".join(each for each in (result.error, error) if each)
    return replace(result, exit_code=worst(result.exit_code, code), error=told)


def serve_until_stopped(call: Call, serve: Callable[[Callable[[Listening], None]], None]) -> int:
    """Run a server that tells once where it listens. Raises UsageError when it cannot even start."""
    started = False

    def announce(listening: Listening) -> None:
        nonlocal started
        started = True
        if call.as_json:
            view.show(Result(call.command, datetime.now(NEW_YORK), "sim", asdict(listening)), json=True)
        else:
            view.say(str(listening))

    try:
        serve(announce)
    except KeyboardInterrupt:
        return Exit.DONE
    except Exception as error:  # noqa: BLE001 -- a bug has an exit code, and its JSON object, too
        if started:  # its one object is on stdout already
            view.complain(bug(error), call.command)
            return Exit.BUG
        if isinstance(error, ValueError | OSError):
            raise UsageError(getattr(error, "strerror", None) or str(error)) from None
        return view.show(_failed(call, Exit.BUG, bug(error), "sim"), json=call.as_json)
    return Exit.DONE


def bug(error: Exception) -> str:
    """An unexpected exception in one line: what, where, and what to do."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "spxarb" in Path(frame.filename).parts] or frames
    where = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    return (
        f"a bug in spxarb: {type(error).__name__}: {error}{where}. Positions may be open: look at the broker "
        "and at `spxarb status --offline`; the traceback is in the log."
    )


@contextmanager
def _traceback_logged() -> Iterator[None]:
    """Write the traceback of a bug to the log's file, and not to stderr, which has one line for it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, SpxarbError) and not _hides_a_bug(error):
            raise
        fault = (type(error), error, error.__traceback__)
        record = logging.LogRecord("spxarb.cli.commands", logging.ERROR, __file__, 0, "a bug", None, fault)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)
        raise


def _hides_a_bug(error: SpxarbError) -> bool:
    """Whether an alarm was raised because of an unexpected exception."""
    cause = error.__cause__
    return isinstance(error, HumanNeededError) and cause is not None and not isinstance(cause, SpxarbError)
