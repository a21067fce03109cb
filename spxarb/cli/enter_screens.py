"""What `enter` shows: the verdict, what speaks against an entry, then the rest; and the credit's worth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from spxarb.cli.blocks import (
    BAD,
    DASH,
    GOOD,
    HEAD,
    WARN,
    Block,
    Cell,
    Columns,
    Facts,
    Grid,
    Line,
    Part,
    amount,
    dollars,
    grid,
    money,
    words,
)
from spxarb.cli.layout import KEPT
from spxarb.core.credit_words import edge_sentence
from spxarb.core.entry_verdict import ASKED_LAST, SortedChecks, why_not
from spxarb.core.model import dec
from spxarb.core.results.enter import EntryOutcome, Verdict
from spxarb.core.sentences import lower_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from spxarb.core.entry_check import Check
    from spxarb.core.results.enter import EnterResult, EntryLeg, EntryPrices

EXPLAINED = 3
"""So many reasons are told in full; with more of them the verdict would leave the screen."""
BRIEF = 160
"""A reason that is not longer is told whole."""
_ADDED = re.compile(r" \(.*\)", re.DOTALL)
MEASURED: dict[str, Callable[[Any], str]] = {
    "time_window": words,
    "legs_apart": lambda seconds: f"{amount(seconds, 1)} s",
    "underlying_drift": lambda points: f"{words(points)} points",
    "tracking_ratio": words,
    "ratio_drift": lambda points: f"{words(points)} basis points",
    "spx_spread": dollars,
    "spy_spread": dollars,
    "credit_plausible": dollars,
}
"""Checks whose value says something beside their name, and how it is told."""


def _call(leg: EntryLeg) -> str:
    of = (leg.trading_class or leg.symbol, leg.expiration, leg.strike, leg.right)
    return " ".join(words(part) for part in of)


_LEGS: Columns[EntryLeg] = (
    ("", lambda leg: leg.action),
    (">", lambda leg: words(leg.quantity)),
    ("", _call),
    (">", lambda leg: f"bid {amount(leg.bid)}"),
    (">", lambda leg: f"ask {amount(leg.ask)}"),
    ("?>", lambda leg: DASH if leg.fill_price is None else f"filled {amount(leg.fill_price)}"),
)


def enter(result: EnterResult) -> list[Block]:
    checks = SortedChecks.of(result.checks)
    text, style = _verdict(result, checks)
    return [
        Line(text, style or HEAD),
        *_otherwise(result, checks),
        Line(f"{checks.counted()}."),
        *_against(checks, text),
        *_rest(checks),
        *_part("the legs", _legs(result.legs), 2),
        *_part("prices", _market(result), 3),
        *_part("the credit's worth", _credit(result), 1),
    ]


def _part(name: str, blocks: Sequence[Block], leaves: int) -> list[Block]:
    return [Part(name, tuple(blocks), leaves)] if blocks else []


# --- the verdict ----------------------------------------------------------------------------------


def _verdict(result: EnterResult, checks: SortedChecks) -> tuple[str, str]:
    trade, credit = f"trade {words(result.trade_id)}", dollars(result.credit.net)
    match result.outcome:
        case EntryOutcome.ENTERED:
            worst = result.risk.worst_case
            good = worst is not None and worst >= 0
            return f"Entered: {trade}, credit {credit}, worst case {dollars(worst)}", GOOD if good else ""
        case EntryOutcome.SKIPPED:
            return f"No entry: {why_not(checks.against) or 'see below'}", ""
        case EntryOutcome.ABORTED:
            return f"No entry: {trade} was begun and undone, net {credit}", BAD
        case EntryOutcome.DRY_RUN:
            return _dry(result, checks), ""
        case None:
            why = why_not(checks.failed)
            return f"No decision{f', but no entry either: {why}' if why else ''}", WARN


def _dry(result: EnterResult, checks: SortedChecks) -> str:
    """What would be done; outside the entry window that comes first."""
    if checks.outside_window is not None:
        return f"Dry run, no entry now: {why_not([checks.outside_window])}"
    if result.would is Verdict.ENTER:
        return f"Dry run: would enter for a credit of {dollars(result.credit.net)}"
    return f"Dry run: no entry: {why_not(checks.against) or 'see below'}"


def _otherwise(result: EnterResult, checks: SortedChecks) -> list[Block]:
    """What a dry run outside the window would do inside it."""
    window = checks.outside_window
    if window is None or result.outcome is not EntryOutcome.DRY_RUN or result.credit.net is None:
        return []
    others = [check for check in checks.failed if check is not window]
    others += [check for check in checks.unknown if check.name not in ASKED_LAST]
    if not others:
        return [Line(f"But for the time: would enter for a credit of {dollars(result.credit.net)}")]
    return [Line(f"But for the time: no entry either: {why_not(others)}")]


# --- the checks -----------------------------------------------------------------------------------


def _against(checks: SortedChecks, verdict: str) -> list[Block]:
    """What failed, in full, but for what the verdict has told; where that is too much, the rest by name."""
    failed = [check for check in checks.failed if lower_first(check.message.rstrip(".")) not in verdict]
    if not failed:
        return []
    told, others = failed, failed[EXPLAINED:]
    if others:
        told = failed[:EXPLAINED]
    rows: list[list[Cell]] = [[("NO", BAD), check.name, check.message] for check in told]
    blocks: list[Block] = [Line(""), Grid("", ("", "", ""), rows)]
    if others:
        blocks.append(Line(f"Failed too: {_names(others)}. `report --day D --explain` says why."))
    return blocks


def _rest(checks: SortedChecks) -> list[Block]:
    """What could not be or was not evaluated, by its reason; then what passed, with what was measured."""
    reasons: dict[str, list[Check]] = {}
    after = [check for check in checks.unknown if check.name in ASKED_LAST and checks.against]
    for check in checks.unknown:
        if check not in after:
            reasons.setdefault(check.message, []).append(check)
    lines: list[Block] = [Line(f"Not asked after that: {_names(after)}.")] if after else []
    for message, together in list(reasons.items())[:EXPLAINED]:
        last = all(check.name in ASKED_LAST for check in together)
        word, style = ("asked", "") if last else ("known", WARN)
        lines.append(Line(f"Not {word}: {_names(together)}. {_briefly(message)}", style))
    unsaid = [check for together in list(reasons.values())[EXPLAINED:] for check in together]
    if unsaid:
        lines.append(Line(f"Not known either: {_names(unsaid)}.", WARN))
    if checks.passed:
        passed = Line(f"Passed: {', '.join(map(_measured, checks.passed))}.")
        lines.append(Part("the checks that passed", (passed,), leaves=4))
    return lines if checks.failed else [Line(""), *lines]


def _briefly(message: str) -> str:
    """A long reason without what it adds in brackets; `report --day D --explain` has it whole."""
    return _ADDED.sub("", message) if len(message) > BRIEF else message


def _names(checks: Iterable[Check]) -> str:
    return ", ".join(check.name for check in checks)


def _measured(check: Check) -> str:
    known = check.name in MEASURED and check.value is not None
    text = f"{check.name} {MEASURED[check.name](check.value)}" if known else check.name
    return text.replace(" ", KEPT)


def _legs(legs: Sequence[EntryLeg]) -> list[Block]:
    return [Line(""), grid("", _LEGS, legs)] if legs else []


# --- market and money -----------------------------------------------------------------------------


def _market(result: EnterResult) -> list[Block]:
    prices = result.prices
    if prices.spx is None and prices.spy is None:
        return []
    facts = (
        ("SPX", _spx(prices)),
        ("print", amount(prices.spx_print)),
        ("SPY", dollars(prices.spy)),
        ("ratio", amount(prices.ratio, 4)),
    )
    return [Facts(facts)]


def _spx(prices: EntryPrices) -> str:
    source = f" by {prices.spx_source}" if prices.spx_source else ""
    return f"{_about(prices.spx, prices.spx_uncertainty)}{source}"


def _credit(result: EnterResult) -> list[Block]:
    """The credit, and what stands behind it: it is no gain while the spread may lose more."""
    credit, risk = result.credit, result.risk
    if credit.net is None and risk.strike_mismatch_points is None and risk.edge is None:
        return []
    mismatch = _about(risk.strike_mismatch_points, risk.mismatch_uncertainty)
    facts: list[tuple[str, Cell]] = [
        ("Credit", dollars(credit.net)),
        ("gross", dollars(credit.gross)),
        ("commissions", dollars(credit.commissions)),
        ("strike mismatch", f"{mismatch} points"),
        ("edge", money(risk.edge)),
        ("worst case", money(risk.worst_case)),
    ]
    net, edge = (None if figure is None else dec(figure) for figure in (credit.net, risk.edge))
    sentence = edge_sentence(net, edge)
    return [Facts(facts), *([Line(sentence)] if sentence else [])]


def _about(value: Decimal | None, uncertainty: Decimal | None) -> str:
    """A figure, and how far it may be off."""
    text = amount(value)
    return text if value is None or uncertainty is None else f"{text} ± {amount(uncertainty)}"
