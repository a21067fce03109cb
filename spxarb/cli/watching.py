"""The command that watches the others: `watchdog`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 -- typer reads the annotations

from spxarb.cli.calls import run
from spxarb.cli.options import AsJson, ConfigFile, call_of

if TYPE_CHECKING:
    from spxarb.core.result import Result


def watchdog(ctx: typer.Context, config: ConfigFile = None, as_json: AsJson = False) -> int:
    """Shout where something is open and no monitor succeeded lately; needs neither broker nor lock."""
    call = call_of(ctx, config, as_json)

    def job(_: object) -> Result:
        from spxarb.jobs import watchdog  # noqa: PLC0415 -- only this command needs it

        return watchdog.run(call.config, call.arguments)

    return run(call, job, sandbox=True)
