"""The commands of the scheduler: `timers`, and what its units run beside the jobs: `send-alerts`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from spxarb.cli.calls import run
from spxarb.cli.options import AsJson, ConfigFile, call_of
from spxarb.errors import UsageError

if TYPE_CHECKING:
    from spxarb.core.result import Result


class TimersAction(StrEnum):
    """What `timers` does."""

    INSTALL = "install"
    REMOVE = "remove"
    STATUS = "status"


def timers(
    ctx: typer.Context,
    action: Annotated[
        TimersAction, typer.Argument(metavar="install|remove|status", help="What to do with them.")
    ] = TimersAction.STATUS,
    user: Annotated[
        bool, typer.Option("--user", help="Timers of your own, in your own manager; else the machine's.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and when they fire.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also over units that were changed by hand; the old are kept.")
    ] = False,
    run_as: Annotated[
        str | None,
        typer.Option("--as", metavar="USER", help="Whom the machine's units run as; without it spxarb."),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option("--gateway", metavar="UNIT", help="Start after this unit; usual: ib-gateway.service."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Install, remove or show the timers that start the jobs, as the configuration in force wants them."""
    if action is not TimersAction.INSTALL and (run_as is not None or gateway is not None):
        raise UsageError("--as and --gateway belong to `timers install`")
    if action is TimersAction.STATUS and (dry_run or force):
        raise UsageError("`timers status` only looks: leave out --dry-run and --force")
    if user and run_as is not None:
        raise UsageError("--user makes timers of your own: leave out --as")
    for name in filter(None, (run_as, gateway)):
        if not all(letter.isascii() and (letter.isalnum() or letter in "-_.@:") for letter in name):
            raise UsageError(f"{name!r} is no name of a user or of a unit")
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import timers as verb  # noqa: PLC0415 -- only this command needs it

        wanted = verb.TimersRequest(action.value, user, dry_run, force, run_as, gateway)
        return verb.run(call.config, wanted)

    return run(call, job, sandbox=True)


def send_alerts(ctx: typer.Context, config: ConfigFile = None, as_json: AsJson = False) -> int:
    """Send the alerts that wait in the ledger, as spxarb-alerts.service does."""
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import send_alerts as verb  # noqa: PLC0415 -- only this command needs it

        return verb.run(call.config)

    return run(call, job, sandbox=True)
