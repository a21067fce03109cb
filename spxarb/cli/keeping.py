"""The commands that keep the ledger: `backup`, `restore`, `reconcile`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from spxarb.cli.calls import confirm, run
from spxarb.cli.options import AsJson, ConfigFile, Full, call_of
from spxarb.errors import UsageError

if TYPE_CHECKING:
    from spxarb.core.result import Result
    from spxarb.trading.context import JobContext


def backup(
    ctx: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Where to (.tar.gz), instead of the folder of backups."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Back up ledger, configuration and log into one file, while other commands work."""

    def job(context: JobContext) -> Result:
        from spxarb.jobs import backup  # noqa: PLC0415 -- only this command needs it

        return backup.run(context, output=output)

    return run(call_of(ctx, config, as_json), job)


def restore(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A backup, or any file that is a copy of the ledger.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Restore elsewhere and compare the digest; change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also over open trades; the old ledger is kept.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Put the ledger back from a backup or a copy; the old one is kept, the account compared first."""
    if check and force:
        raise UsageError("--check changes nothing: leave out --force")
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import restore  # noqa: PLC0415 -- only this command needs it

        return restore.run(call.config, file, check=check, force=force)

    return run(call, job, sandbox=True)


def reconcile(
    ctx: typer.Context,
    statement: Annotated[
        Path | None,
        typer.Option("--statement", metavar="FILE", help="Flex XML: activity or trade confirmations."),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Have the Flex web service make the statement.")
    ] = False,
    supply: Annotated[
        bool, typer.Option("--supply", help="Write into the ledger what it lacks; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    full: Full = False,  # noqa: ARG001 -- `call_of` reads it
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Compare the ledger with the broker's statement, to the cent; reads only, unless told to supply."""
    if (statement is None) is not fetch:
        raise UsageError("give the statement's file with --statement, or --fetch it: one of the two")

    def job(context: JobContext) -> Result:
        from spxarb.jobs import reconcile  # noqa: PLC0415 -- only this command needs it

        return reconcile.run(context, file=statement, supplying=supply)

    question = "Write what the statement shows and the ledger lacks into the ledger?"
    if supply and not yes and (code := confirm(question, "--supply")):
        return code
    return run(call_of(ctx, config, as_json), job)
