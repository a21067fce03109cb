"""What `reconcile` shows: the statement that was read, what differs, what was not checked or was supplied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, WARN, Block, Cell, Grid, Line, Pairs, words

if TYPE_CHECKING:
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
    differ: list[list[Cell]] = [[_difference(row)] for row in result.differences]
    unchecked: list[list[Cell]] = [[text] for text in result.unchecked]
    supplied: list[list[Cell]] = [[text] for text in result.supplied]
    same = "What this statement tells agrees." if result.unchecked else "Ledger and statement agree."
    same = same if agreed.trades else "The ledger has no trade of these days."
    return [
        Pairs("Statement", rows),
        *([Grid("Written into the ledger", ("what",), supplied)] if supplied else []),
        *([Grid("Not checked", ("what",), unchecked)] if unchecked else []),
        Grid("Differences between ledger and statement", ("what",), differ)
        if differ
        else Line(f"\n{same}", GOOD),
    ]


def _difference(row: DifferenceRow) -> Cell:
    return row.text, BAD if row.needs_human else WARN
