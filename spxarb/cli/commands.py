"""The command line: parse, call one job, show its result, exit with its code; heavy things load inside."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from copy import copy
from datetime import date, time  # noqa: TC003 -- typer reads the annotations
from pathlib import Path  # noqa: TC003 -- likewise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spxarb import __version__, interruption
from spxarb.cli import keeping, reading, scheduling, view, watching
from spxarb.cli.as_owner import begin_as_owner
from spxarb.cli.calls import Call, confirm, log_failure, run, serve_until_stopped
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
from spxarb.cli.values import ClockMove, Margin, MatterId, TradeId, clock_time, regimes
from spxarb.cli.wrong_use import WRONG_USE, wrong
from spxarb.core.printable import from_outside, quoted_back
from spxarb.errors import Exit, UsageError, as_failure
from spxarb.imports import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer.models import CommandInfo

    from spxarb.cli.blocks import Block
    from spxarb.cli.calls import Job
    from spxarb.core.result import Result
    from spxarb.sim.server import Listening
    from spxarb.trading.context import JobContext

COMPLETION = "_SPXARB_COMPLETE"
"""In the environment when the shell asks what a word may become; set by the library's own scripts."""

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


app.command()(reading.status)
app.command()(reading.report)
app.command()(reading.log)


app.command()(keeping.reconcile)
app.command()(reading.doctor)
app.command()(reading.config)


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


app.command()(keeping.backup)
app.command()(keeping.restore)
app.command()(scheduling.timers)
app.command("send-alerts")(scheduling.send_alerts)
app.command()(watching.watchdog)


@app.command()
def record(
    ctx: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Quotes into FILE (.csv, .csv.gz); goes on with today's."
        ),
    ] = None,
    wire: Annotated[
        Path | None,
        typer.Option("--wire", metavar="FILE", help="Every message of the connection into FILE, redacted."),
    ] = None,
    until: Annotated[
        time | None,
        typer.Option(
            metavar="HH:MM", parser=clock_time, help="New York time to end at; without it the close."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="NUMBER", min=1, help="End after this many seconds.")
    ] = None,
    strikes: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=100, help="Strikes on each side of the money.")
    ] = 10,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="At most one row a line in this time.")
    ] = 60.0,
    reconnect: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to try to get a lost link back.")
    ] = 300.0,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Record the quotes of SPX, SPY and today's options around the money, or the wire itself; reads only."""
    if output is None and wire is None:
        raise UsageError("name a file: --output for quotes (`sim --day` plays them), --wire for the wire")

    def job(context: JobContext) -> Result:
        from spxarb.jobs.record import RecordOptions, run  # noqa: PLC0415 -- only this command needs it

        return run(context, RecordOptions(output, until, seconds, strikes, every, reconnect, wire))

    return run(call_of(ctx, config, as_json), job)


@app.command()
def sim(
    ctx: typer.Context,
    move: Annotated[
        ClockMove | None,
        typer.Argument(
            metavar="set-time|step",
            help="Do not run a gateway, but move the clock of the one whose control port is --control.",
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="TIME|DURATION",
            help="set-time: 15:45 or 2026-02-10T15:45, New York. step: 90, 90s, 5m, 1h; without it a minute.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Loopback address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="For clients; 0 takes a free one.")
    ] = 4002,
    control: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="For the control; 0 takes a free one.")
    ] = 0,
    day: Annotated[Path | None, typer.Option("--day", metavar="FILE", help="A recorded day to play.")] = None,
    trust_last: Annotated[
        bool, typer.Option("--trust-last", help="Take its last trades for quotes.")
    ] = False,
    day_date: Annotated[
        date | None,
        day_option("--date", "Date of the synthetic day (default today or the next trading day)."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the synthetic day.")] = 7,
    regime: Annotated[
        str, typer.Option(metavar="NAME", help="Kind of synthetic day.", autocompletion=regimes)
    ] = "quiet",
    at: Annotated[
        str, typer.Option(metavar="HH:MM", help="New York time at which the clock starts.")
    ] = "09:30",
    speed: Annotated[
        float,
        typer.Option(metavar="FACTOR", help="Market seconds per second; 0 stands still until it is moved."),
    ] = 1.0,
    account: Annotated[
        str, typer.Option(metavar="ID", help="Account id; SIM... for the sim mode.")
    ] = "SIM0000001",
    cash: Annotated[float, typer.Option(metavar="DOLLARS", help="Cash at the start.")] = 1_000_000.0,
    margin: Annotated[Margin, typer.Option(metavar="RULES", help="reg-t or portfolio.")] = Margin.REG_T,
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="What goes wrong (YAML).")] = None,
    wire: Annotated[
        Path | None, typer.Option("--wire", metavar="FILE", help="Play a recorded wire instead of a day.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run the simulated gateway until Ctrl-C; or move the clock of one that runs."""
    if move is not None:
        _only(ctx, "move", "value", "host", "control", "as_json")
        return _move_clock(call_of(ctx, None, as_json), move, value, host, control)

    def job(announce: Callable[[Listening], None]) -> None:
        from spxarb.sim.server import SimOptions, serve  # noqa: PLC0415 -- only this command needs it

        options = SimOptions(
            host=host,
            port=port,
            control_port=control,
            day_file=day,
            trust_last=trust_last,
            date=day_date,
            seed=seed,
            regime=regime,
            at=at,
            speed=speed,
            account=account,
            cash=cash,
            margin=margin.value,
            faults=faults,
            wire=wire,
        )
        serve(options, announce)

    return serve_until_stopped(call_of(ctx, None, as_json), job)


def _only(ctx: typer.Context, *names: str) -> None:
    """Raises UsageError for an option that says how a gateway is to run, where none is run."""
    for option in ctx.command.params:
        source = ctx.get_parameter_source(option.name or "")
        if option.name not in names and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{option.opts[0]} is for a gateway that starts; this one runs already")


def _move_clock(call: Call, move: ClockMove, value: str | None, host: str, port: int) -> int:
    """`sim set-time` and `sim step`: of a gateway that runs."""
    if not port:
        raise UsageError(
            f"{move} wants the gateway's control port, which `spxarb sim` printed: --control PORT"
        )

    def job(_: object) -> Result:
        from spxarb.jobs import sim  # noqa: PLC0415 -- only this command needs it

        return sim.set_time(host, port, value) if move is ClockMove.SET_TIME else sim.step(host, port, value)

    return run(call, job, sandbox=True)


@app.command()
def demo(ctx: typer.Context, as_json: AsJson = False) -> int:
    """Play a whole simulated trading day in a sandbox of its own."""

    def job(_: object) -> Result:
        from spxarb.jobs import demo  # noqa: PLC0415 -- only this command needs it

        return demo.run(progress=lambda line: view.say(line, stderr=as_json))

    return run(call_of(ctx, None, as_json), job, sandbox=True)


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
        return _failed(given, Exit.USAGE, wrong(error, tree))
    except (typer.Abort, KeyboardInterrupt):  # the library makes an Abort of an interruption
        code = (interruption.received() or interruption.of(KeyboardInterrupt())).exit_code
        return _failed(given, code, "interrupted; nothing was changed.")
    except Exception as error:  # noqa: BLE001 -- the last door: whatever it is, one line tells it
        return _failed(given, Exit.BUG, str(as_failure(error)))
    if bare:
        view.complain("name a command, such as `spxarb status`.")
        return Exit.USAGE
    return int(code or 0)


def _failed(given: Sequence[str], code: int, said: str) -> int:
    """One line on stderr, and one in the log if there is one; a command that is none has no log."""
    known = {_name(command) for command in app.registered_commands}
    if _first(given) in known:
        log_failure(_first(given), code, said, config_named(given))
    view.complain(quoted_back(said))
    return code


def tree(words: Sequence[str] = ()) -> Any:
    """The commands and their options, as the parser has them; where `words` begin with one, of that alone."""
    asked = [command for command in app.registered_commands if _name(command) == _first(words)]
    for command in asked or app.registered_commands:
        command.epilog = epilog(_name(command))
        # Else the library cuts the sentence short in the list of commands.
        command.short_help = command.callback and command.callback.__doc__
    if not asked:
        return typer.main.get_command(app)
    only = copy(app)
    only._add_completion = False  # noqa: SLF001 -- the root's alone, and no command shall pay for it
    only.registered_commands = asked
    return typer.main.get_command(only)


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
