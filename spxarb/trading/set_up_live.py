"""The way to live as `doctor` tells it: what paper has shown, what is missing, and how to get it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.config.load import place_of
from spxarb.core.going_live import RequirementKind, RequirementStanding, advice
from spxarb.core.results.going_live import LiveReadiness
from spxarb.trading.going_live import SPREADS, live_gate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.config.load import Config
    from spxarb.core.going_live import Requirement
    from spxarb.trading.set_up_found import SetUp


def look_at_live(found: SetUp, config: Config, capital: Decimal | None) -> LiveReadiness:
    """A line for each requirement, the facts in one; what is missing stops entries of mode live alone.

    `capital`: the account's net liquidation value, dollars; None: not known.
    """
    if config.trading.mode == "sim":
        return LiveReadiness()
    is_live, gate = config.trading.mode == "live", live_gate(config)
    if not is_live:  # a paper account's name says nothing of the live one
        gate = replace(gate, requirements=tuple(one for one in gate.requirements if one.name != "account"))
    facts = [one for one in gate.requirements if one.kind is RequirementKind.FACT]
    others = [one for one in gate.requirements if one.kind is not RequirementKind.FACT]
    stopping = set(gate.shut_by) if is_live else set()
    for requirement in others:
        _tell(found, requirement, stops=requirement in stopping)
    _tell_facts(found, facts, stops=not stopping.isdisjoint(facts))
    return LiveReadiness(
        "open" if gate.is_open else "shut",
        gate.brief(),
        gate.requirements,
        advice(
            gate,
            capital=capital,
            spreads_per_day=config.trading.max_spreads_per_day,
            spreads_source=place_of(config, SPREADS),
        ),
    )


def _tell(found: SetUp, requirement: Requirement, *, stops: bool) -> None:
    name, mend = f"live_{requirement.name}", requirement.how or ""
    if requirement.standing is RequirementStanding.MET:
        found.passed(name, requirement.text)
    elif stops:
        found.failed(name, requirement.text, mend)
    else:
        found.unchecked(name, requirement.text, mend)


def _tell_facts(found: SetUp, facts: Sequence[Requirement], *, stops: bool) -> None:
    """One line for all: those that are not met by name, together by how they are got."""
    wanting = [fact for fact in facts if fact.standing is not RequirementStanding.MET]
    told = (
        f"{len(facts) - len(wanting)} of the {len(facts)} facts about gateways that live depends on were seen"
    )
    if not wanting:
        found.passed("live_facts", f"{told} on paper")
        return
    against = "".join(f" {fact.text}" for fact in wanting if fact.standing is RequirementStanding.REFUTED)
    ways: dict[str, list[str]] = {}
    for fact in wanting:
        ways.setdefault(fact.how or "", []).append(fact.name)
    mend = ". ".join(f"{', '.join(names)}: {how}" for how, names in ways.items())
    line = found.failed if stops else found.unchecked
    line("live_facts", f"{told} on paper.{against}", mend)
