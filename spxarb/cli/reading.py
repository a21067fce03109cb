"""The commands that only look: `status`, `report`, `log`, `doctor`. They change nothing."""

from __future__ import annotations

from datetime import date  # noqa: TC003 -- typer reads the annotations
from pathlib import Path  # noqa: TC003 -- likewise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spxarb.cli import view
from spxarb.cli.calls import frame, interruptible, run
from spxarb.cli.options import AsJson, ConfigFile, call_of, day_option
from spxarb.cli.values import Table
from spxarb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from spxarb.cli.calls import Call
    from spxarb.core.result import Result
    from spxarb.core.results.status import StatusResult
    from spxarb.trading.context import JobContext

DEFAULT_REFRESH = 5.0


def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again and again until Ctrl-C.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="From the ledger alone, without a connection.")
    ] = False,
    risk: Annotated[
        bool, typer.Option("--risk", help="With each leg's greeks and a table of moves of the market.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show account, market, positions and the day so far."""
    if risk and offline:
        raise UsageError("--risk wants prices of now: leave out --offline")

    def job(context: JobContext, link: Any = None) -> StatusResult:
        from spxarb.jobs import status  # noqa: PLC0415 -- only this command needs it

        return status.run(context, offline=offline, risk=risk, link=link)

    call = call_of(ctx, config, as_json)
    if not watch:
        return run(call, job)
    if as_json:
        raise UsageError("--watch draws a screen: leave out --json, or call status again for every object")
    return _watched(call, job, offline=offline)


def _watched(call: Call, job: Callable[..., StatusResult], *, offline: bool) -> int:
    """Look again and again, over one connection."""
    from spxarb.cli import live  # noqa: PLC0415 -- only a live screen needs it
    from spxarb.core.results.status import StatusResult  # noqa: PLC0415 -- likewise
    from spxarb.jobs.status import held_link  # noqa: PLC0415 -- likewise

    pace = DEFAULT_REFRESH

    def look(link: Any) -> tuple[StatusResult, float]:
        def once(context: JobContext) -> StatusResult:
            nonlocal pace
            pace = float(context.config.dashboard.refresh_interval_seconds)
            return job(context, link)

        result = frame(call, once)
        assert isinstance(result, StatusResult)  # a failed look is one too
        return result, pace

    if offline:
        return live.watch(lambda: look(None))
    with held_link() as held:
        return live.watch(lambda: look(held), held.wait)


def report(
    ctx: typer.Context,
    since: Annotated[date | None, day_option("--since", "First day; without it the ledger's first.")] = None,
    until: Annotated[date | None, day_option("--until", "Last day; without it the ledger's last.")] = None,
    day: Annotated[date | None, day_option("--day", "This day alone.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --day: what happened on it, event by event, and why.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write one table as CSV.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="With --csv: write to FILE, not to stdout."),
    ] = None,
    table: Annotated[
        Table | None,
        typer.Option("--table", metavar="NAME", help="trades (default), days, executions, settlements."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show trades, days and statistics."""
    if not as_csv and (output or table):
        raise UsageError("--output and --table belong to --csv: add it")
    if as_csv and as_json and not output:
        raise UsageError("--csv and --json cannot both have stdout: add --output FILE")
    if day and (since or until):
        raise UsageError("--day is one day: leave out --since and --until")
    if explain and (day is None or as_csv):
        raise UsageError("--explain tells one day, and not as CSV: name it with --day")
    if since and until and since > until:
        raise UsageError(f"--since {since} is after --until {until}: exchange them")

    def job(context: JobContext) -> Result:
        from spxarb.jobs import report  # noqa: PLC0415 -- only this command needs it

        asked = day if explain else None
        return report.run(context, since=day or since, until=day or until, explained=asked)

    result = interruptible(call_of(ctx, config, as_json), job)
    if not as_csv:
        return view.show(result, json=as_json)
    try:
        code = view.show_csv(result, table or Table.TRADES, output, quiet=as_json)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}") from None
    return view.show(result, json=True) if as_json else code


def log(
    ctx: typer.Context,
    day: Annotated[date | None, day_option("--day", "The day; without it the latest one.")] = None,
    last: Annotated[
        int | None, typer.Option("-n", metavar="NUMBER", min=1, help="Only the last so many of them.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show the commands of a day in order: when, what came of each, its exit code."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import log  # noqa: PLC0415 -- only this command needs it

        return log.run(context, day=day, last=last)

    return run(call_of(ctx, config, as_json), job)


def doctor(
    ctx: typer.Context,
    margin: Annotated[
        bool,
        typer.Option(
            "--margin", help="Ask the broker by what-if orders what one spread needs; takes a minute."
        ),
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Check the whole set-up, and say how to mend it."""
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import doctor  # noqa: PLC0415 -- only this command needs it

        return doctor.run(call.config, margin=margin)

    return run(call, job, sandbox=True)
