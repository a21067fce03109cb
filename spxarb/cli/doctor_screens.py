"""What `doctor` shows: a row for each thing checked, and margin by figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, WARN, Block, Cell, Grid, Line, Pairs, Part, amount, moment, words
from spxarb.core.results.doctor import NOT_LOOKED_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.results.doctor import DoctorLine, DoctorMargin, DoctorResult
    from spxarb.core.results.going_live import LiveReadiness


def doctor(result: DoctorResult) -> list[Block]:
    """How many lines of each verdict, then the lines, the worst first; what was not looked at by name."""
    if result.facts:
        return _facts(result)
    looked_at = [line for line in result.checks if line.looked_at]
    by_verdict = {name: [line for line in looked_at if line.verdict == name] for name in STYLES}
    counts = [f"{len(lines)} {_noun(name, len(lines))}" for name, lines in by_verdict.items()]
    rest = [line.name for line in result.checks if not line.looked_at]
    counts += [f"{len(rest)} not looked at"] if rest else []
    worst = next((name for name, lines in by_verdict.items() if lines), "passed")
    return [
        Line(", ".join(counts) + ".", STYLES[worst]),
        *(_part(name, lines) for name, lines in by_verdict.items() if lines),
        *([Line(f"\n{NOT_LOOKED_AT[:-1]}: {', '.join(rest)}.", WARN)] if rest else []),
        *_beside("advice", _advice(result.going_live), 2),
        *_beside("the figures of the margin", _margin(result.margin), 1),
    ]


STYLES = {"failed": BAD, "warning": WARN, "passed": GOOD}
_TITLES = {"failed": "Failed", "warning": "Warnings", "passed": "Passed"}


def _noun(verdict: str, count: int) -> str:
    return "warnings" if verdict == "warning" and count != 1 else verdict


def _part(verdict: str, lines: Sequence[DoctorLine]) -> Part:
    """What failed leaves last, by single lines; of warnings the names stay; what passed leaves first."""
    table = _lines(verdict, lines)
    if verdict == "failed":
        return Part("what failed", (table,), brief=None, rows_leave="last")
    if verdict == "passed":
        return Part(f"what passed ({len(lines)})", (table,), leaves=4)
    names = Line(f"\nWarnings: {', '.join(line.name for line in lines)}.", WARN)
    return Part("how to mend the warnings", (table,), leaves=3, brief=(names,))


def _beside(name: str, blocks: Sequence[Block], leaves: int) -> list[Block]:
    return [Part(name, tuple(blocks), leaves)] if blocks else []


def _lines(verdict: str, lines: Sequence[DoctorLine]) -> Grid:
    style = STYLES[verdict]
    rows: list[list[Cell]] = [
        [(line.name, style), f"{line.message}{f' {line.mend}.' if line.mend else ''}"] for line in lines
    ]
    return Grid(_TITLES[verdict], ("what", "found, and how to mend it"), rows)


def _facts(result: DoctorResult) -> list[Block]:
    """The verdict, then what is contradicted, then the rest."""
    counts = {word: sum(fact.evidence.value == word for fact in result.facts) for word in _EVIDENCE}
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    gateway = result.gateway
    started = moment(gateway.started, "%Y-%m-%d %H:%M")
    where = f"server version {words(gateway.server_version)}, recorded {started}"
    rows: list[list[Cell]] = [
        [(fact.evidence.value, style), fact.name, f"{fact.claim}{f': {fact.what}' if fact.what else ''}"]
        for word, style in _EVIDENCE.items()
        for fact in result.facts
        if fact.evidence.value == word
    ]
    return [
        Line(f"Of {len(result.facts)} assumptions: {told}.", BAD if counts["contradicted"] else GOOD),
        Part(
            "assumptions",
            (Grid(f"Gateway: {where}", ("", "assumption", "what is assumed, and what was seen"), rows),),
            brief=None,
            rows_leave="last",
        ),
    ]


_EVIDENCE = {"contradicted": BAD, "not seen": WARN, "seen": GOOD}


def _advice(live: LiveReadiness) -> list[Block]:
    """The document's advice beside what was measured; nothing in the sim mode."""
    if not live.advice:
        return []
    styles = {True: GOOD, False: WARN, None: ""}
    rows: list[list[Cell]] = [
        [(one.name, styles[one.followed]), one.advised, (words(one.measured), styles[one.followed])]
        for one in live.advice
    ]
    columns = ("before going live", "the document advises", "measured")
    return [Line(f"\nLive is {live.state}: {live.text}."), Grid("Advice", columns, rows)]


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
