"""The commands that only look: `status`, `report`, `log`, `doctor`, `config`. They change nothing."""

from __future__ import annotations

from datetime import date  # noqa: TC003 -- typer reads the annotations
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spxarb.cli import view
from spxarb.cli.calls import frame, interruptible, run
from spxarb.cli.options import AsJson, ConfigFile, Full, call_of, day_option, month_option, year_option
from spxarb.cli.report_forms import Forms, period
from spxarb.cli.values import DaySpan, Table, dollars
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
    full: Full = False,  # noqa: ARG001 -- `call_of` reads it
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


LastTrades = Annotated[
    int | None,
    typer.Option("--last", metavar="NUMBER", min=1, help="Of these days only the last so many trades."),
]
Capital = Annotated[
    Decimal | None,
    typer.Option(
        "--capital",
        metavar="DOLLARS",
        parser=dollars,
        help="What the yearly claim and the risk of ruin stand on; without it $50,000.",
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="With --day: what happened on it, event by event, and why.")
]
TaxYear = Annotated[
    int | None, year_option("--tax", "For the tax return: one row an execution of this year.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write one table as CSV.")]
CsvFile = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="With --csv: write to FILE, - for stdout.")
]
TableName = Annotated[
    Table | None,
    typer.Option("--table", metavar="NAME", help="trades (default), days, executions, settlements, tax."),
]
PageFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report as one page, - for stdout."),
]


def report(
    ctx: typer.Context,
    since: Annotated[date | None, day_option("--since", "First day; without it the ledger's first.")] = None,
    until: Annotated[date | None, day_option("--until", "Last day; without it the ledger's last.")] = None,
    day: Annotated[date | None, day_option("--day", "This day alone.")] = None,
    of_month: Annotated[DaySpan | None, month_option("--month", "This month alone.")] = None,
    of_year: Annotated[int | None, year_option("--year", "This year alone.")] = None,
    last: LastTrades = None,
    capital: Capital = None,
    explain: Explain = False,
    tax: TaxYear = None,
    as_csv: AsCsv = False,
    output: CsvFile = None,
    table: TableName = None,
    html: PageFile = None,
    full: Full = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show trades, days and statistics."""
    days = period(day=day, month=of_month, year=of_year, tax=tax, since=since, until=until)
    forms = Forms(as_csv, output, table, html, tax, as_json, last, full)
    forms.check()
    if explain and (day is None or as_csv or html):
        raise UsageError("--explain tells one day, and not as CSV or HTML: name it with --day")

    def job(context: JobContext) -> Result:
        from spxarb.core.claims import CAPITAL  # noqa: PLC0415 -- only this command needs it
        from spxarb.jobs import report  # noqa: PLC0415 -- likewise

        return report.run(
            context,
            since=days[0],
            until=days[1],
            last=last,
            capital=capital or CAPITAL,
            tax_year=tax,
            explained=day if explain else None,
            outputs=forms.files,
        )

    return forms.show(interruptible(call_of(ctx, config, as_json), job))


def log(
    ctx: typer.Context,
    day: Annotated[date | None, day_option("--day", "The day; without it the latest one.")] = None,
    last: Annotated[
        int | None, typer.Option("-n", metavar="NUMBER", min=1, help="Only the last so many of them.")
    ] = None,
    full: Full = False,  # noqa: ARG001 -- `call_of` reads it
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
    send_test: Annotated[
        bool, typer.Option("--send-test", help="Send an alert, to see that it arrives.")
    ] = False,
    facts: Annotated[
        Path | None,
        typer.Option(
            "--facts", metavar="FILE", help="Judge what is assumed of gateways by a recorded wire, alone."
        ),
    ] = None,
    full: Full = False,  # noqa: ARG001 -- `call_of` reads it
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Check the whole set-up, and say how to mend it."""
    if margin and facts:
        raise UsageError("--facts reads a file and asks no broker: leave out --margin")
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import doctor  # noqa: PLC0415 -- only this command needs it

        if facts is not None:
            return doctor.judge(facts, call.config)
        return doctor.run(call.config, margin=margin, send_test=send_test)

    return run(call, job, sandbox=True)


def config(
    ctx: typer.Context,
    example: Annotated[
        bool, typer.Option("--example", help="Print a configuration to begin with, each key explained.")
    ] = False,
    env: Annotated[bool, typer.Option("--env", help="With --example: a .env instead.")] = False,
    full: Full = False,  # noqa: ARG001 -- `call_of` reads it
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Show every setting, its value, and where it comes from."""
    if env and not example:
        raise UsageError("--env belongs to --example: add it")
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import config  # noqa: PLC0415 -- only this command needs it

        return config.example(env=env) if example else config.run(call.config)

    if not example or as_json:
        return run(call, job, sandbox=True)
    result = interruptible(call, job, sandbox=True)
    if result.exit_code:
        return view.show(result)
    return view.show_text(str(result.own()["example"]), call.command)
