"""The commands of days that are recorded and played: `record`, `sim`, `demo`."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spxarb.cli import view
from spxarb.cli.calls import Call, run, serve_until_stopped
from spxarb.cli.options import AsJson, ConfigFile, call_of, day_option
from spxarb.cli.values import ClockMove, Margin, clock_time, regimes
from spxarb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from spxarb.core.result import Result
    from spxarb.sim.server import Listening
    from spxarb.trading.context import JobContext


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


ClockCommand = Annotated[
    ClockMove | None,
    typer.Argument(
        metavar="set-time|step",
        help="Do not run a gateway, but move the clock of the one whose control port is --control.",
    ),
]
ClockValue = Annotated[
    str | None,
    typer.Argument(
        metavar="TIME|DURATION",
        help="set-time: 15:45 or 2026-02-10T15:45, New York. step: 90, 90s, 5m, 1h; without it a minute.",
    ),
]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Loopback address to listen on.")]
ClientPort = Annotated[
    int, typer.Option(metavar="PORT", min=0, max=65535, help="For clients; 0 takes a free one.")
]
ControlPort = Annotated[
    int, typer.Option(metavar="PORT", min=0, max=65535, help="For the control; 0 takes a free one.")
]
RecordedDayFile = Annotated[
    Path | None, typer.Option("--day", metavar="FILE", help="A recorded day to play.")
]
TrustLast = Annotated[bool, typer.Option("--trust-last", help="Take its last trades for quotes.")]
SyntheticDate = Annotated[
    date | None,
    day_option("--date", "Date of the synthetic day (default today or the next trading day)."),
]
Regime = Annotated[str, typer.Option(metavar="NAME", help="Kind of synthetic day.", autocompletion=regimes)]
StartTime = Annotated[str, typer.Option(metavar="HH:MM", help="New York time at which the clock starts.")]
Speed = Annotated[
    float,
    typer.Option(metavar="FACTOR", help="Market seconds per second; 0 stands still until it is moved."),
]


def sim(
    ctx: typer.Context,
    move: ClockCommand = None,
    value: ClockValue = None,
    host: Host = "127.0.0.1",
    port: ClientPort = 4002,
    control: ControlPort = 0,
    day: RecordedDayFile = None,
    trust_last: TrustLast = False,
    day_date: SyntheticDate = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the synthetic day.")] = 7,
    regime: Regime = "quiet",
    at: StartTime = "09:30",
    speed: Speed = 1.0,
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


def demo(ctx: typer.Context, as_json: AsJson = False) -> int:
    """Play a whole simulated trading day in a sandbox of its own."""

    def job(_: object) -> Result:
        from spxarb.jobs import demo  # noqa: PLC0415 -- only this command needs it

        return demo.run(progress=lambda line: view.say(line, stderr=as_json))

    return run(call_of(ctx, None, as_json), job, sandbox=True)
