"""What `backup` and `restore` show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import GOOD, WARN, Block, Cell, Line, Pairs, moment, words

if TYPE_CHECKING:
    from spxarb.core.results.backup import BackupResult, RestoreResult


def backup(result: BackupResult) -> list[Block]:
    if result.file is None:
        return []
    rows: list[tuple[str, Cell]] = [
        ("file", result.file),
        ("size", f"{result.bytes or 0:,} bytes"),
        ("in it", ", ".join(result.contents)),
        ("left out", ", ".join(result.left_out) or "nothing"),
        ("digest", words(result.digest)),
    ]
    if result.deleted:
        rows.append(("deleted", f"{len(result.deleted)} older backups"))
    return [Line("Backed up, and read back whole.", GOOD), Pairs("", rows)]


def restore(result: RestoreResult) -> list[Block]:
    if result.digest is None:
        return []
    matches = {True: "as it was made", False: "another", None: "none told by a plain copy"}
    rows: list[tuple[str, Cell]] = [
        ("copy", words(result.file)),
        ("made at", moment(result.made_at, "%Y-%m-%d %H:%M:%S") if result.made_at else words(None)),
        ("digest", result.digest),
        ("compared", matches[result.digest_matches]),
        ("open trades", ", ".join(map(str, result.open_trades)) or "none"),
        ("left out", ", ".join(result.left_out) or "nothing"),
        ("ledger", words(result.ledger)),
    ]
    if result.check:
        same = {True: "the same as the copy", False: "differs from the copy", None: words(None)}
        rows.append(("ledger now", same[result.same_as_ledger]))
        return [Line("The copy is whole; nothing was changed.", GOOD), Pairs("", rows)]
    rows.append(("old ledger", words(result.kept)))
    return [Line("Restored. Run `spxarb monitor` now.", WARN), Pairs("", rows)]
