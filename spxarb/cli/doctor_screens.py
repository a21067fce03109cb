"""What `doctor` shows: a row for each thing checked, and margin by figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, DASH, GOOD, WARN, Block, Cell, Grid, Line, Pairs, amount, words

if TYPE_CHECKING:
    from spxarb.core.results.doctor import DoctorMargin, DoctorResult


def doctor(result: DoctorResult) -> list[Block]:
    if result.facts:
        return _facts(result)
    marks: dict[bool | None, Cell] = {True: ("ok", GOOD), False: ("FAILED", BAD), None: (DASH, WARN)}
    rows: list[list[Cell]] = [
        [marks[line.ok], line.name, f"{line.message}{f' {line.mend}.' if line.mend else ''}"]
        for line in result.checks
    ]
    return [Grid("Set-up", ("", "what", "found, and how to mend it"), rows), *_margin(result.margin)]


def _facts(result: DoctorResult) -> list[Block]:
    """The verdict, then what is contradicted, then the rest."""
    counts = {word: sum(fact.evidence.value == word for fact in result.facts) for word in _EVIDENCE}
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    gateway = result.gateway
    where = f"server version {words(gateway.server_version)}, recorded {words(gateway.started)}"
    rows: list[list[Cell]] = [
        [(fact.evidence.value, style), fact.name, f"{fact.claim}{f': {fact.what}' if fact.what else ''}"]
        for word, style in _EVIDENCE.items()
        for fact in result.facts
        if fact.evidence.value == word
    ]
    return [
        Line(f"Of {len(result.facts)} assumptions: {told}.", BAD if counts["contradicted"] else GOOD),
        Grid(f"Gateway: {where}", ("", "assumption", "what is assumed, and what was seen"), rows),
    ]


_EVIDENCE = {"contradicted": BAD, "not seen": WARN, "seen": GOOD}


def _margin(margin: DoctorMargin) -> list[Block]:
    """Margin by figures; nothing where it was not asked."""
    if not margin.asked:
        return []
    account = ("equity_with_loan", "previous_day_equity", "available_funds", "initial_margin")
    later = ("post_expiration_margin", "post_expiration_excess", "if_assigned")
    figures = [(name.replace("_", " "), amount(getattr(margin, name))) for name in (*account, *later)]
    columns = ("part", "contracts", ">broker", ">Regulation T", ">portfolio margin")
    rows: list[list[Cell]] = [
        [p.part, p.contracts, p.refused or amount(p.broker), amount(p.reg_t), amount(p.portfolio)]
        for p in margin.parts
    ]
    return [
        Grid("Initial margin, dollars", columns, rows),
        Pairs(f"Account, dollars (kept in {words(margin.currency)})", figures),
        Line("\n" + "\n".join(margin.explained)),
    ]
