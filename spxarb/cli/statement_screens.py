"""What `reconcile` shows: the statement that was read, what differs, what was not checked or was supplied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, WARN, Block, Cell, Facts, Grid, Line, Pairs, Part, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.results.reconcile import DifferenceRow, ReconcileResult


def reconcile(result: ReconcileResult) -> list[Block]:
    read, agreed = result.statement, result.agreed
    rows: list[tuple[str, Cell]] = [
        ("account", words(read.account)),
        ("days", f"{words(read.since)} to {words(read.until)}"),
        ("kind", words(read.kind)),
        ("trades of these days", words(agreed.trades)),
        ("executions that agree", words(agreed.executions)),
        ("commissions that agree", words(agreed.commissions)),
        ("settlements that agree", words(agreed.settlements)),
    ]
    return [
        _verdict(result),
        *_listed("", [_difference(row) for row in result.differences], "the differences", 0),
        *_listed("Written into the ledger", result.supplied, "what was written", 1),
        *_listed("Not checked", result.unchecked, "what was not checked", 2),
        Part(
            "what agrees",
            (Line(""), Pairs("Statement", rows)),
            leaves=3,
            brief=(Line(""), Facts([("Statement of", rows[0][1]), rows[1]])),
        ),
    ]


def _verdict(result: ReconcileResult) -> Line:
    count = len(result.differences)
    if count:
        return Line(f"{count} difference{'s' if count > 1 else ''} between ledger and statement", BAD)
    if not result.agreed.trades:
        return Line("The ledger has no trade of these days.", WARN)
    if result.unchecked:
        return Line("What this statement tells agrees; not all could be checked.", WARN)
    return Line("Ledger and statement agree.", GOOD)


def _listed(title: str, sentences: Sequence[Cell], name: str, leaves: int) -> list[Block]:
    """Sentences under a title; nothing where there are none."""
    rows: list[list[Cell]] = [[sentence] for sentence in sentences]
    head = () if title else (Line(""),)
    table = Grid(title, ("",), rows)
    return [Part(name, (*head, table), leaves, brief=None, rows_leave="last")] if rows else []


def _difference(row: DifferenceRow) -> Cell:
    return row.text, BAD if row.needs_human else WARN
