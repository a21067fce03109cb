"""`backup`: one file of ledger, configuration and log, made while other commands work. Nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.results.backup import BackupResult
from spxarb.trading.backups import make_backup
from spxarb.trading.own_files import refuse_own_file

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.trading.context import JobContext


def run(context: JobContext, *, output: Path | None) -> BackupResult:
    """Make a backup in the folder of backups, or as `output`, and delete those that are too old.

    It waits for no other command. Raises RefusedError when there is no whole ledger or nothing can be
    written, UsageError for an `output` that exists.
    """
    if output is not None:
        refuse_own_file(output, context.config)
    made = make_backup(context.config, context.now(), output)
    result = BackupResult(
        *context.head(),
        file=str(made.file),
        bytes=made.size,
        digest=made.manifest.digest,
        contents=tuple(made.manifest.files),
        left_out=made.manifest.left_out,
        deleted=tuple(str(file) for file in made.deleted),
    )
    return context.finish(replace(result, notes=made.notes))
