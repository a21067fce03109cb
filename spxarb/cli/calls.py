"""From a command as it was called to its result and exit code, whatever goes wrong on the way."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spxarb import interruption
from spxarb.cli import view
from spxarb.core.model import NEW_YORK
from spxarb.core.result import Result, result_type
from spxarb.errors import Exit, HumanNeededError, SpxarbError, UsageError, as_failure, worst
from spxarb.interruption import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from spxarb.cli.blocks import Block
    from spxarb.core.result import Mode
    from spxarb.sim.server import Listening

    Job = Callable[[Any], Result]


@dataclass(frozen=True)
class Call:
    """One command as it was called."""

    command: str
    config: Path | None
    as_json: bool
    arguments: tuple[str, ...]
    full: bool = False


class _CutShortError(Interrupted):
    """A signal ended the command, and this is its result"""

    def __init__(self, number: int, result: Result) -> None:
        super().__init__(number)
        self.result = result


def run(call: Call, job: Job, *, sandbox: bool = False) -> int:
    """Do the job, show its result. Returns the exit code."""
    try:
        result = interruptible(call, job, sandbox=sandbox)
    except UsageError as error:
        _end_pings(int(error.exit_code), str(error))
        raise
    code = view.show(result, json=call.as_json, full=call.full)
    if call.command != "demo":  # its ledger and log are its own
        log_failure(call.command, code, result.error or "its output could not be written.", call.config)
    _end_pings(code, result.error or _brief(result))
    return code


def _end_pings(code: int, text: str | None) -> None:
    """The last act: whoever watches from outside is told how the command has ended, if it told of a start."""
    if (pings := sys.modules.get("spxarb.trading.pings")) is not None:
        pings.end(code, text)


def _brief(result: Result) -> str | None:
    """What the command did, in a few words."""
    if "spxarb.trading.pings" not in sys.modules:
        return None
    from spxarb.core.brief import brief_of  # noqa: PLC0415 -- only a ping needs it

    try:
        return brief_of(result.command, result.own(), dry_run=False)
    except Exception:  # noqa: BLE001 -- the words are no more than a help
        return None


def interruptible(call: Call, job: Job, *, sandbox: bool = False) -> Result:
    """As `outcome`; a signal too becomes a result."""
    try:
        return outcome(call, job, sandbox=sandbox)
    except _CutShortError as error:
        return error.result
    except KeyboardInterrupt as error:
        interruption.end()
        return _interrupted(call, interruption.of(error))


def frame(call: Call, job: Job) -> Result:
    """As `outcome`, of a command that goes on: between two frames a signal ends it."""
    result = outcome(call, job)
    interruption.begin()
    return result


def outcome(call: Call, job: Job, *, sandbox: bool = False) -> Result:
    """The job's result; a failure becomes one too. Raises UsageError, for which there is no result.

    After it signals change nothing, until another command begins.
    """
    interruption.begin()
    mode: Mode | None = "sim" if call.command == "demo" else None
    result: Result | None = None
    try:
        with _context(call, sandbox=sandbox) as context:
            if context is not None:
                mode = context.config.trading.mode
            try:
                result = _done(call, job, context, mode)
            except _CutShortError as cut:
                result = cut.result if cut.result.exit_code == Exit.HUMAN else None
                raise
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 -- a bug has an exit code, and its JSON object, too
        found = interruption.behind(error)
        if found is not None and result is None:
            raise found from None
        return _failed(call, error, mode, result)
    return result


def _done(call: Call, job: Job, context: Any, mode: Mode | None) -> Result:
    """The job's result, or that of its failure; either way the end of the run is written down."""

    def end(result: Result) -> Result:
        interruption.end()
        return result if context is None else _ended(context, result)

    def ended_by(found: Interrupted) -> _CutShortError:
        interruption.end()
        return _CutShortError(found.number, end(_interrupted(call, found, mode, context)))

    try:
        result = job(context)
        return end(_although_interrupted(result, context))
    except KeyboardInterrupt as error:
        raise ended_by(interruption.of(error)) from None
    except UsageError as error:
        end(_failed(call, error, mode))
        raise
    except Exception as error:  # noqa: BLE001 -- likewise
        if found := interruption.behind(error):
            raise ended_by(found) from None
        interruption.end()
        failure = _failed(call, error, mode)
        return end(failure if context is None else context.finish(failure))


def _ended(context: Any, result: Result) -> Result:
    """The result once its end is written down, in the ledger and in the log."""
    from spxarb.trading.run_lines import ended  # noqa: PLC0415 -- loaded already

    result = context.end(result)
    ended(result)
    return result


def log_failure(command: str, code: int, error: str, config: Path | None) -> None:
    """An ERROR line for every exit but 0, where the command has not left one itself."""
    if code:
        from spxarb.trading.run_lines import ended_outside  # noqa: PLC0415 -- only a failure needs it

        ended_outside(command, code, error, config)


def _context(call: Call, *, sandbox: bool) -> AbstractContextManager[Any]:
    """Configuration, ledger, lock and log of one job; a job in its own sandbox brings them itself."""
    if sandbox:
        return nullcontext()
    from spxarb.trading.opening import job_context  # noqa: PLC0415 -- heavy, and not needed for --help

    return job_context(call.command, call.config, call.arguments)


def _nothing(call: Call, mode: Mode | None, code: int, error: str) -> Result:
    """The result of a command that came to nothing: whole, but for its figures."""
    made = result_type(call.command)(call.command, datetime.now(NEW_YORK), mode)
    return replace(made, exit_code=code, error=error)


def refused(command: str, error: SpxarbError) -> Result:
    """The result of a command that could not even begin."""
    return _nothing(Call(command, None, False, ()), None, error.exit_code, str(error))


def _although_interrupted(result: Result, context: Any) -> Result:
    """The result of a job that came to its end; if a signal was to end it, with that told."""
    found = interruption.received()
    if found is None or context is None:
        return result
    from spxarb.trading.escalation import cut_short  # noqa: PLC0415 -- only a signal needs it

    return cut_short(context, result, found)


def _interrupted(call: Call, found: Interrupted, mode: Mode | None = None, context: Any = None) -> Result:
    """The result of a command that a signal ended: the shell's own code, unless a human is needed."""
    alarm: Exception | None = None
    if context is not None:
        try:
            from spxarb.trading.escalation import interrupted  # noqa: PLC0415 -- only a signal needs it

            alarm = interrupted(context, found, everything=call.command == "close-all")
        except Exception as error:  # noqa: BLE001 -- it was to be ended: that is told, whatever else fails
            alarm = error if context.sent else None
    if alarm is not None:
        return _nothing(call, mode, Exit.HUMAN, str(alarm))
    why = f"interrupted by {found.cause}; nothing is at risk that was not before."
    return _nothing(call, mode, found.exit_code, why)


def _failed(call: Call, error: Exception, mode: Mode | None, result: Result | None = None) -> Result:
    """The result of a job that failed, or of one that was done before tidying up failed."""
    failure = as_failure(error)
    if _is_bug(error):
        from spxarb.logs import write_traceback  # noqa: PLC0415 -- only a bug needs it

        write_traceback(error)
    if result is None:
        return _nothing(call, failure.mode or mode, failure.exit_code, str(failure))
    sentences = " ".join(filter(None, [result.error, str(failure)]))
    return replace(result, exit_code=worst(result.exit_code, failure.exit_code), error=sentences)


def _is_bug(error: Exception) -> bool:
    """Whether it is a bug, or an alarm that was raised because of one."""
    cause = error.__cause__ if isinstance(error, HumanNeededError) else error
    return cause is not None and not isinstance(cause, SpxarbError)


def serve_until_stopped(call: Call, serve: Callable[[Callable[[Listening], None]], None]) -> int:
    """Run a server that says once where it listens. Raises UsageError when it cannot even start."""
    started = False
    interruption.begin()

    def announce(listening: Listening) -> None:
        nonlocal started
        started = True
        if call.as_json:
            from spxarb.core.results.sim import SimResult  # noqa: PLC0415 -- only this command needs it

            where = SimResult(call.command, datetime.now(NEW_YORK), "sim", **asdict(listening))
            view.show(where, json=True)
        else:
            view.say(str(listening))

    try:
        serve(announce)
    except KeyboardInterrupt:
        return Exit.DONE
    except Exception as error:  # noqa: BLE001 -- likewise
        if started:  # its one object is on stdout already
            view.complain(str(as_failure(error)), call.command)
            return Exit.BUG
        if isinstance(error, ValueError | OSError):
            file = getattr(error, "filename", None)
            why = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"{file}: {why}" if file else why) from None
        return view.show(_failed(call, error, "sim"), json=call.as_json)
    return Exit.DONE


def confirm(
    question: str, what: str, *, word: str = "", before: Callable[[], list[Block]] | None = None
) -> int:
    """0 where somebody at the terminal says yes to `what`, by `word` where there is one.

    `before`: what is told first, where somebody can answer. Where a signal is the answer, its exit code.
    Raises UsageError for no, and where nobody can answer.
    """
    try:
        if before is not None and view.can_answer():
            view.show_before_asking(_told_first(before))
        answer = view.ask(question, word=word)
    except (KeyboardInterrupt, Exception) as error:
        found = interruption.behind(error)
        if found is None:
            raise
        view.complain(f"interrupted by {found.cause}; nothing was changed.", what)
        return found.exit_code
    if answer is None:
        raise UsageError(
            f"{what} asks before it acts, and nobody can answer here; nothing was changed. Add --yes"
        )
    if not answer:
        raise UsageError("not confirmed; nothing was changed")
    return Exit.DONE


def _told_first(before: Callable[[], list[Block]]) -> list[Block]:
    """What is told before a question; who wants out is asked, though it cannot be told."""
    from spxarb.cli.blocks import WARN, Line  # noqa: PLC0415 -- only a question needs it

    try:
        return before()
    except Exception as error:  # noqa: BLE001 -- the command itself will say it again, with its exit code
        return [Line(f"Not all can be told: {as_failure(error).what}.", WARN)]
