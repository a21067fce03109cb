"""The command line: parse, call one job, show its result, exit with its code.

Jobs and everything heavy are imported inside the commands: `--help`, a mistyped word, or a timer with nothing
to do cost no more than they must.
"""

from __future__ import annotations

import difflib
import sys
from copy import copy
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spxarb import __version__, interruption
from spxarb.cli import view
from spxarb.cli.calls import Call, frame, interruptible, run, serve_until_stopped
from spxarb.errors import Exit, UsageError, as_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer.models import CommandInfo

    from spxarb.cli.calls import Job
    from spxarb.core.result import Result
    from spxarb.sim.server import Listening
    from spxarb.trading.context import JobContext

WRONG_USE: type[BaseException] = typer.BadParameter.__mro__[1]
"""The library's UsageError; it moves between its versions, its child does not."""
DEFAULT_REFRESH = 5.0

app = typer.Typer(
    name="spxarb",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="One SPX/SPY same-day options strategy at Interactive Brokers; on paper unless told otherwise.",
)


class Table(StrEnum):
    """What `report --csv` can write."""

    TRADES = "trades"
    DAYS = "days"
    EXECUTIONS = "executions"


class Margin(StrEnum):
    """The simulated broker's margin rules."""

    REG_T = "reg-t"
    PORTFOLIO = "portfolio"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2026-02-13") from None


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 15:30") from None


ConfigFile = Annotated[
    Path | None,  # one that cannot be read is an invalid configuration, not a wrong command line
    typer.Option("--config", metavar="FILE", readable=False, help="The configuration to read (YAML)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide and record, but send the broker nothing.")]


def _day_option(name: str, text: str) -> Any:
    return typer.Option(name, metavar="YYYY-MM-DD", parser=_day, help=text)


@dataclass(frozen=True)
class _Line:
    """What stands before the command, and all of the words."""

    config: Path | None
    arguments: tuple[str, ...]


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
    ctx.obj = _Line(config, tuple(ctx.obj or ()))


@app.command()
def enter(
    ctx: typer.Context, dry_run: DryRun = False, config: ConfigFile = None, as_json: AsJson = False
) -> int:
    """Make one attempt to open one spread."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import enter  # noqa: PLC0415 -- only this command needs it

        return enter.run(context, dry_run=dry_run)

    return run(_call(ctx, config, as_json), job)


@app.command()
def monitor(
    ctx: typer.Context, dry_run: DryRun = False, config: ConfigFile = None, as_json: AsJson = False
) -> int:
    """Reconcile with the broker, mark, exit what must be exited."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import monitor  # noqa: PLC0415 -- only this command needs it

        return monitor.run(context, dry_run=dry_run)

    return run(_call(ctx, config, as_json), job)


@app.command()
def settle(
    ctx: typer.Context,
    day: Annotated[date | None, _day_option("--date", "The trading day; without it the latest one.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """After the close: reconcile, settle, write the day's summary."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import settle  # noqa: PLC0415 -- only this command needs it

        return settle.run(context, day=day)

    return run(_call(ctx, config, as_json), job)


@app.command("close-all")
def close_all(
    ctx: typer.Context,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Close every position that spxarb owns, now, and stop trading."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import close_all  # noqa: PLC0415 -- only this command needs it

        return close_all.run(context, dry_run=dry_run)

    if not (yes or dry_run):
        _confirm("Close every position that spxarb owns, now, and stop trading?")
    return run(_call(ctx, config, as_json), job)


@app.command()
def start(ctx: typer.Context, config: ConfigFile = None, as_json: AsJson = False) -> int:
    """Allow new entries."""
    return run(_call(ctx, config, as_json), _switch(on=True, reason=None))


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
    return run(_call(ctx, config, as_json), _switch(on=False, reason=reason))


def _switch(*, on: bool, reason: str | None) -> Job:
    def job(context: JobContext) -> Result:
        from spxarb.jobs import switch  # noqa: PLC0415 -- only these commands need it

        return switch.run(context, on=on, reason=reason)

    return job


@app.command()
def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again and again until Ctrl-C.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="From the ledger alone, without a connection.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show account, market, positions and the day so far."""
    pace = DEFAULT_REFRESH

    def job(context: JobContext) -> Result:
        nonlocal pace
        from spxarb.jobs import status  # noqa: PLC0415 -- only this command needs it

        pace = float(context.config.dashboard.refresh_interval_seconds)
        return status.run(context, offline=offline)

    call = _call(ctx, config, as_json)
    if not watch:
        return run(call, job)
    if as_json:
        raise UsageError("--watch draws a screen: leave out --json, or call status again for every object")
    return view.watch(lambda: (frame(call, job), pace))


@app.command()
def report(
    ctx: typer.Context,
    since: Annotated[date | None, _day_option("--since", "First day; without it the ledger's first.")] = None,
    until: Annotated[date | None, _day_option("--until", "Last day; without it the ledger's last.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write one table as CSV.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="With --csv: write to FILE, not to stdout."),
    ] = None,
    table: Annotated[
        Table | None,
        typer.Option("--table", metavar="NAME", help="With --csv: trades (default), days, executions."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show trades, days and statistics."""
    if not as_csv and (output or table):
        raise UsageError("--output and --table belong to --csv: add it")
    if as_csv and as_json and not output:
        raise UsageError("--csv and --json cannot both have stdout: add --output FILE")
    if since and until and since > until:
        raise UsageError(f"--since {since} is after --until {until}: exchange them")

    def job(context: JobContext) -> Result:
        from spxarb.jobs import report  # noqa: PLC0415 -- only this command needs it

        return report.run(context, since=since, until=until)

    result = interruptible(_call(ctx, config, as_json), job)
    if not as_csv:
        return view.show(result, json=as_json)
    try:
        code = view.show_csv(result, table or Table.TRADES, output, quiet=as_json)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}") from None
    return view.show(result, json=True) if as_json else code


@app.command()
def ack(
    ctx: typer.Context,
    matter: Annotated[
        int | None, typer.Argument(metavar="ID", help="The matter; without it the open ones are listed.")
    ] = None,
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

    return run(_call(ctx, config, as_json), job)


@app.command()
def record(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where to (.csv, .csv.gz); goes on with today's.")
    ],
    until: Annotated[
        time | None,
        typer.Option(metavar="HH:MM", parser=_time, help="New York time to end at; without it the close."),
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
    """Record the quotes of SPX, SPY and today's options around the money, for `sim --day`; reads only."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs.record import RecordOptions, run  # noqa: PLC0415 -- only this command needs it

        return run(context, RecordOptions(output, until, seconds, strikes, every, reconnect))

    return run(_call(ctx, config, as_json), job)


@app.command()
def sim(
    ctx: typer.Context,
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
        _day_option("--date", "Date of the synthetic day (default today or the next trading day)."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the synthetic day.")] = 7,
    regime: Annotated[str, typer.Option(metavar="NAME", help="Kind of synthetic day.")] = "quiet",
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
    as_json: AsJson = False,
) -> int:
    """Run the simulated gateway until Ctrl-C."""

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
        )
        serve(options, announce)

    return serve_until_stopped(_call(ctx, None, as_json), job)


@app.command()
def demo(ctx: typer.Context, as_json: AsJson = False) -> int:
    """Play a whole simulated trading day in a sandbox of its own."""

    def job(_: object) -> Result:
        from spxarb.jobs import demo  # noqa: PLC0415 -- only this command needs it

        return demo.run(progress=lambda line: view.say(line, stderr=as_json))

    return run(_call(ctx, None, as_json), job, sandbox=True)


# --- from a call to an exit code ------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; the words default to those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with interruption.handled():
        return _main(given)


def _main(given: Sequence[str]) -> int:
    try:
        code = tree(given).main(given, prog_name="spxarb", standalone_mode=False, obj=tuple(given))
    except UsageError as error:
        view.complain(str(error))
        return Exit.USAGE
    except WRONG_USE as error:
        view.complain(_wrong(error))
        return Exit.USAGE
    except (typer.Abort, KeyboardInterrupt):  # the library makes an Abort of an interruption
        view.complain("interrupted.")
        return (interruption.received() or interruption.of(KeyboardInterrupt())).exit_code
    except Exception as error:  # noqa: BLE001 -- the last door: whatever it is, one line tells it
        view.complain(str(as_failure(error)))
        return Exit.BUG
    return int(code or 0)


def tree(words: Sequence[str] = ()) -> Any:
    """The commands and their options, as the parser has them; where `words` begin with one, of that alone."""
    asked = [command for command in app.registered_commands if _name(command) == _first(words)]
    if not asked:
        return typer.main.get_command(app)
    only = copy(app)
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


def _call(ctx: typer.Context, config: Path | None, as_json: bool) -> Call:
    line: _Line = ctx.obj
    return Call(ctx.info_name or "", config or line.config, as_json, line.arguments)


def _confirm(question: str) -> None:
    """Raises UsageError unless somebody at the terminal says yes."""
    answer = view.ask(question)
    if answer is None:
        raise UsageError(
            "close-all asks before it acts, and nobody can answer here; nothing was changed. Add --yes"
        )
    if not answer:
        raise UsageError("not confirmed; nothing was changed")


def _wrong(error: Any) -> str:
    """A mistake on the command line in one line, with the nearest right word."""
    path = error.ctx.command_path if error.ctx else "spxarb"
    said = error.format_message()
    if option := getattr(error, "option_name", "") if hasattr(error, "possibilities") else "":
        said = f"No such option: {option}.{_near_option(option, error.ctx)}"
    return f"{said.rstrip('.')}{'' if said.endswith('?') else '.'} `{path} --help` tells more."


def _near_option(option: str, ctx: Any) -> str:
    """The option that was meant, or the place where it belongs."""
    if ctx is None:
        return ""
    below = getattr(ctx.command, "commands", {}).values()
    if any(option in each.opts for command in below for each in command.params):
        return f" It stands after the command: spxarb COMMAND {option}"
    known = [name for each in ctx.command.params for name in each.opts]
    near = difflib.get_close_matches(option, [*known, "--help"], 1, 0.5)
    return f" Did you mean {near[0]}?" if near else ""
