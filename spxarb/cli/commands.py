"""The command line: parse, call one job, show its result, exit with its code; heavy things load inside."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from copy import copy
from datetime import date  # noqa: TC003 -- typer reads the annotations
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spxarb import __version__, interruption
from spxarb.cli import view
from spxarb.cli.as_owner import begin_as_owner
from spxarb.cli.calls import confirm, log_failure, run
from spxarb.cli.options import (
    AsJson,
    CommandLine,
    ConfigFile,
    DryRun,
    Full,
    call_of,
    config_named,
    day_option,
)
from spxarb.cli.usage import epilog, root_epilog
from spxarb.cli.values import MatterId, TradeId  # noqa: TC001 -- likewise
from spxarb.core.printable import from_outside, quoted_back
from spxarb.errors import Exit, UsageError, as_failure
from spxarb.imports import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from typer.models import CommandInfo

    from spxarb.cli.blocks import Block
    from spxarb.cli.calls import Job
    from spxarb.core.result import Result
    from spxarb.trading.context import JobContext

WRONG_USE: type[BaseException] = typer.BadParameter.__mro__[1]
"""The library's UsageError; it moves between its versions, its child does not."""
COMPLETION = "_SPXARB_COMPLETE"
"""In the environment when the shell asks what a word may become; set by the library's own scripts."""

VERBS = (
    *("enter", "monitor", "settle", "close-all", "start", "stop", "status", "report", "log", "reconcile"),
    *("doctor", "config", "ack", "hand-over", "backup", "restore", "timers", "send-alerts", "watchdog"),
    *("record", "sim", "demo"),
)
"""Every command, in the order of `--help`; those that are not in this file are in `_of_another_file`."""

app = typer.Typer(
    name="spxarb",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=root_epilog(),
    help="One SPX/SPY same-day options strategy at Interactive Brokers; on paper unless told otherwise.",
)


# --- the verbs ------------------------------------------------------------------------------------


def _version(asked: bool) -> None:
    if asked:
        view.say(f"spxarb {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    config: ConfigFile = None,
    version: Annotated[  # noqa: ARG001 -- its callback has done the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    ctx.obj = CommandLine(config, tuple(ctx.obj or ()))


@app.command()
def enter(
    ctx: typer.Context,
    dry_run: DryRun = False,
    full: Full = False,  # noqa: ARG001 -- `call_of` reads it
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Make one attempt to open one spread."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import enter  # noqa: PLC0415 -- only this command needs it

        return enter.run(context, dry_run=dry_run)

    return run(call_of(ctx, config, as_json), job)


@app.command()
def monitor(
    ctx: typer.Context, dry_run: DryRun = False, config: ConfigFile = None, as_json: AsJson = False
) -> int:
    """Reconcile with the broker, mark, exit what must be exited."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import monitor  # noqa: PLC0415 -- only this command needs it

        return monitor.run(context, dry_run=dry_run)

    return run(call_of(ctx, config, as_json), job)


@app.command()
def settle(
    ctx: typer.Context,
    day: Annotated[date | None, day_option("--date", "The trading day; without it the latest one.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """After the close: reconcile, settle, write the day's summary."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import settle  # noqa: PLC0415 -- only this command needs it

        return settle.run(context, day=day)

    return run(call_of(ctx, config, as_json), job)


@app.command("close-all")
def close_all(
    ctx: typer.Context,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    market: Annotated[
        bool,
        typer.Option("--market", help="By market orders at once; without it limits first, market last."),
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Close every position that spxarb owns, now, and stop trading; asks for YES first."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import close_all  # noqa: PLC0415 -- only this command needs it

        return close_all.run(context, dry_run=dry_run, at_market=market)

    call = call_of(ctx, config, as_json)

    def before() -> list[Block]:
        from spxarb.cli import position_screens  # noqa: PLC0415 -- only this command needs it
        from spxarb.jobs import close_all  # noqa: PLC0415 -- likewise

        return position_screens.preview(close_all.preview(call.config, at_market=market))

    question = "Close every position that spxarb owns, now, and stop trading?"
    if not (yes or dry_run) and (code := confirm(question, "close-all", word="YES", before=before)):
        return code
    return run(call, job)


@app.command()
def start(ctx: typer.Context, config: ConfigFile = None, as_json: AsJson = False) -> int:
    """Allow new entries."""
    return run(call_of(ctx, config, as_json), _switch(on=True, reason=None))


@app.command()
def stop(
    ctx: typer.Context,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger and for others.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Forbid new entries; exits go on."""
    return run(call_of(ctx, config, as_json), _switch(on=False, reason=reason))


def _switch(*, on: bool, reason: str | None) -> Job:
    def job(context: JobContext) -> Result:
        from spxarb.jobs import switch  # noqa: PLC0415 -- only these commands need it

        return switch.run(context, on=on, reason=reason)

    return job


@app.command()
def ack(
    ctx: typer.Context,
    matter: MatterId = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="What was done, for the ledger.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Say that a matter for a human is dealt with; without ID: list the open ones."""
    if note is not None and matter is None:
        raise UsageError("--note belongs to a matter: name its ID (`spxarb ack` lists them)")

    def job(context: JobContext) -> Result:
        from spxarb.jobs import ack  # noqa: PLC0415 -- only this command needs it

        return ack.run(context, matter_id=matter, note=note)

    return run(call_of(ctx, config, as_json), job)


@app.command("hand-over")
def hand_over(
    ctx: typer.Context,
    trade: TradeId,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Hand an open trade over to a human: its orders are cancelled, and spxarb trades it no more."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import hand_over  # noqa: PLC0415 -- only this command needs it

        return hand_over.run(context, trade_id=trade)

    return run(call_of(ctx, config, as_json), job)


# --- from a call to an exit code ------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; the words default to those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with interruption.handled():
        return view.last_word(_main(given))


def _main(given: list[str]) -> int:
    if code := begin_as_owner(given, _first(given)):
        return code
    bare = not given and COMPLETION not in os.environ
    said = tuple(map(from_outside, given))
    given = ["--help"] if bare else given  # shown; that no command was named is wrong use all the same
    try:
        with trimmed("typer") if COMPLETION in os.environ else nullcontext():
            code = tree(given).main(given, prog_name="spxarb", standalone_mode=False, obj=said)
    except UsageError as error:
        return _failed(given, Exit.USAGE, str(error))
    except WRONG_USE as error:
        from spxarb.cli.wrong_use import wrong  # noqa: PLC0415 -- only a mistake needs it

        return _failed(given, Exit.USAGE, wrong(error, tree))
    except (typer.Abort, KeyboardInterrupt):  # the library makes an Abort of an interruption
        code = (interruption.received() or interruption.of(KeyboardInterrupt())).exit_code
        return _failed(given, code, "interrupted; nothing was changed.")
    except Exception as error:  # noqa: BLE001 -- the last door: whatever it is, one line tells it
        if found := interruption.behind(error):
            return _failed(given, found.exit_code, "interrupted; nothing was changed.")
        return _failed(given, Exit.BUG, str(as_failure(error)))
    if bare:
        view.complain("name a command, such as `spxarb status`.")
        return Exit.USAGE
    return int(code or 0)


def _failed(given: Sequence[str], code: int, said: str) -> int:
    """One line on stderr, and one in the log if there is one; a command that is none has no log."""
    if _first(given) in VERBS:
        log_failure(_first(given), code, said, config_named(given))
    view.complain(quoted_back(said))
    return code


def tree(words: Sequence[str] = ()) -> Any:
    """The commands and their options, as the parser has them; where `words` begin with one, of that alone."""
    return _tree(_first(words) if _first(words) in VERBS else "")


@cache
def _tree(asked: str) -> Any:
    """Made once a process, of one verb or of all."""
    some = copy(app)
    some.registered_commands = [_command(verb) for verb in ([asked] if asked else VERBS)]
    if asked:
        some._add_completion = False  # noqa: SLF001 -- the root's alone, and no command shall pay for it
    return typer.main.get_command(some)


def _command(verb: str) -> CommandInfo:
    """What the parser is told of a command."""
    known = [command for command in app.registered_commands if _name(command) == verb]
    if not known:
        app.command(verb)(_of_another_file(verb))
    command = (known or app.registered_commands)[-1]
    command.epilog = epilog(verb)
    # Else the library cuts the sentence short in the list of commands.
    command.short_help = command.callback and command.callback.__doc__
    return command


def _of_another_file(verb: str) -> Callable[..., int]:
    """A command whose file is imported when it is asked for, or when all of them are."""
    file: ModuleType
    match verb:
        case "reconcile" | "backup" | "restore":
            from spxarb.cli import keeping  # noqa: PLC0415 -- only these commands need it

            file = keeping
        case "timers" | "send-alerts":
            from spxarb.cli import scheduling  # noqa: PLC0415 -- likewise

            file = scheduling
        case "record" | "sim" | "demo":
            from spxarb.cli import simulating  # noqa: PLC0415 -- likewise

            file = simulating
        case "watchdog":
            from spxarb.cli import watching  # noqa: PLC0415 -- likewise

            file = watching
        case _:
            from spxarb.cli import reading  # noqa: PLC0415 -- likewise

            file = reading
    found: Callable[..., int] = getattr(file, verb.replace("-", "_"))
    return found


def _name(command: CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", ""))


def _first(words: Sequence[str]) -> str:
    """The word at the command's place: the first one but for the configuration's."""
    match list(words):
        case ["--config", _, *rest]:
            return _first(rest)
        case [word, *rest]:
            return _first(rest) if word.startswith("--config=") else word
        case _:
            return ""
