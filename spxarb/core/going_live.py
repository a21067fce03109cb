"""From paper to live: what must be known before real money is traded, and whether paper has shown it. Pure.

The gate stops new entries of mode live, and nothing else. Each requirement is met, missing, refuted, or rests
on too few trades to tell; only the last may be accepted, by a setting that is told at every entry.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.claims import AVERAGE_PROFIT, CAPITAL, WIN_RATE, ClaimVerdict, Unit, claims
from spxarb.core.entry_check import Check
from spxarb.core.gateway_claims import Sighting
from spxarb.core.live_facts import HOW, contradicting
from spxarb.core.sentences import sentence, upper_first, usd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from spxarb.core.claims import DocumentClaim
    from spxarb.core.live_facts import KeptFact

GOING_LIVE = "going_live"
"""The name of the check, in mode live alone."""
LEAST_DAYS = 10
NO_LEDGER = "no usable paper ledger"
FIRST_WEEK = 5
"""Trading days from the first live entry on, itself included."""
DAILY_JOBS = frozenset({"enter", "monitor", "settle"})
"""What a day on paper must have run, each at least once to its end."""
FATAL = frozenset({1, 6})
"""Exit codes after which the days on paper are counted anew."""
GATED = {
    "win rate": True,
    "average profit a trade": True,
    "average win": False,
    "average loss": False,
}
"""The claims that results of single trades prove or refute. True: live waits until it can be told.

What is claimed of whole days (P&L a year, trades a day, risk of ruin) stays with `report`: a day without a
trade counts for stability and against nothing.
"""
COMPARED = {
    "trading": (
        *("min_entry_credit", "assignment_risk_threshold", "entry_time", "entry_cutoff", "exit_check_time"),
        *("spy_contracts_per_spread", "spx_contracts_per_spread", "min_ratio", "max_ratio"),
        *("max_spx_spread", "max_spy_spread", "max_strike_distance_spx", "max_strike_distance_spy"),
    ),
    "risk_management": ("max_position_loss", "max_daily_loss", "emergency_exit_enabled"),
    "execution": ("use_limit_orders", "market_exit"),
    "prices": (
        *("max_quote_age_seconds", "max_index_age_seconds", "max_legs_apart_seconds"),
        *("max_index_difference", "max_ratio_difference", "max_ratio_drift", "max_underlying_drift"),
        *("max_unexplained_credit", "second_look_seconds"),
    ),
}
"""The limits that decide whether one spread is entered, how large it is, and when and how it is exited.

How many spreads a day may have is none of them: it does not change what one of them brings.
"""


class RequirementStanding(StrEnum):
    """What paper says of a requirement."""

    MET = "met"
    MISSING = "missing"
    REFUTED = "refuted"
    TOO_FEW = "too few to tell"


class RequirementKind(StrEnum):
    """What a requirement is about."""

    SET_UP = "set-up"
    STABILITY = "stability"
    FACT = "fact"
    CLAIM = "claim"


@dataclass(frozen=True)
class Requirement:
    """One thing that must be known before a live entry."""

    name: str
    kind: RequirementKind
    standing: RequirementStanding
    text: str
    """What is known of it, a sentence."""
    how: str | None = None
    """How to get it; null where it is met."""


@dataclass(frozen=True, slots=True)
class PaperRun:
    """A command of the paper ledger, by this version on this machine; `exit_code` None: it did not end."""

    day: date
    command: str
    exit_code: int | None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PaperRecord:
    """What the paper ledger holds.

    `unusable`: why it says nothing, a phrase; empty else. `runs`: of this version on this machine;
    `elsewhere`: how many runs of this version are another machine's. `trades`: each closed trade's limits as
    stored at its entry, and its net result in dollars.
    """

    place: str
    unusable: str = ""
    version: str = ""
    runs: Sequence[PaperRun] = ()
    elsewhere: int = 0
    facts: Sequence[KeptFact] = ()
    trades: Sequence[tuple[Mapping[str, object], Decimal]] = ()


@dataclass(frozen=True, slots=True)
class LiveWish:
    """What live is meant to be: the account, the limits as they are stored with a trade, what it waits for.

    `accepted`: where it is set that too few trades are accepted; empty: nowhere.
    """

    account: str | None
    limits: Mapping[str, object]
    paper_days: int
    facts: Sequence[str]
    accepted: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """Every requirement. `days`: trading days on paper; `measured`: the claims of single trades."""

    requirements: tuple[Requirement, ...]
    accepted: str = ""
    days: int = 0
    wanted_days: int = LEAST_DAYS
    measured: tuple[DocumentClaim, ...] = ()
    place: str = ""

    @property
    def too_few(self) -> tuple[Requirement, ...]:
        return tuple(one for one in self.requirements if one.standing is RequirementStanding.TOO_FEW)

    @property
    def shut_by(self) -> tuple[Requirement, ...]:
        """What keeps it shut, in order."""
        return tuple(
            one
            for one in self.requirements
            if one.standing is not RequirementStanding.MET
            and not (one.standing is RequirementStanding.TOO_FEW and self.accepted)
        )

    @property
    def is_open(self) -> bool:
        return not self.shut_by

    @property
    def acceptance(self) -> str:
        """What is told at each live entry where too few trades are accepted; empty where they are not."""
        if not self.accepted or not self.too_few:
            return ""
        names = ", ".join(one.name for one in self.too_few)
        return f"Too few trades on paper to tell of {names}: accepted by {self.accepted}."

    def brief(self) -> str:
        """What keeps it shut, or that it is open, in a phrase."""
        if self.is_open:
            few = f"; too few trades to tell, accepted by {self.accepted}" if self.acceptance else ""
            return f"{self.days} trading days on paper, all evidence found{few}"
        return "; ".join(_briefly(self.shut_by, self.days, self.wanted_days))

    def line(self) -> str:
        """The same in so few words that it is one line of a screen."""
        shut = self.shut_by
        if self.is_open or any(one.name == "paper_ledger" for one in shut):
            few = ", too few trades to tell accepted" if self.acceptance else ""
            return f"{self.days} days on paper{few}" if self.is_open else NO_LEDGER
        facts = [one for one in shut if one.kind is RequirementKind.FACT]
        against = sum(one.standing is RequirementStanding.REFUTED for one in facts)
        told = [
            f"{self.days} of {self.wanted_days} days on paper" if _has(shut, "paper_days") else "",
            f"{_count(against, 'fact')} contradicted" if against else "",
            f"{_count(len(facts) - against, 'fact')} not seen" if len(facts) > against else "",
            "claims refuted" if any(_is(one, RequirementStanding.REFUTED) for one in shut) else "",
            "too few trades to tell" if any(_is(one, RequirementStanding.TOO_FEW) for one in shut) else "",
            "ib.account names nobody" if _has(shut, "account") else "",
        ]
        return "; ".join(filter(None, told))


def gate(wish: LiveWish, paper: PaperRecord, is_session: Callable[[date], bool]) -> Gate:
    """Every requirement of live against what paper has shown."""
    days = stable_days(paper.runs, is_session)
    measured = claims_of(paper.trades, wish.limits)
    found = (
        _account(wish),
        _paper_ledger(paper),
        _paper_days(paper, len(days), wish.paper_days),
        *_facts(wish.facts, paper.facts),
        *map(_claim, measured),
    )
    return Gate(found, wish.accepted, len(days), wish.paper_days, measured, paper.place)


def check(found: Gate) -> Check:
    """The gate as a check of an entry: its value names what keeps it shut."""
    if found.is_open:
        return Check(GOING_LIVE, True, [], [], sentence(f"Live is open: {found.brief()}"))
    names = list(dict.fromkeys(_group(one) for one in found.shut_by))
    text = f"Live is shut: {found.brief()}. `spxarb doctor` says how to get each."
    return Check(GOING_LIVE, False, names, [], text)


# --- stability --------------------------------------------------------------------------------------------


def stable_days(runs: Iterable[PaperRun], is_session: Callable[[date], bool]) -> tuple[date, ...]:
    """The trading days on paper that count, oldest first.

    A day counts when `enter`, `monitor` and `settle` each came to exit 0 on it, with or without a trade; a
    dry run is none of them. One that did not is not counted, and no harm. After a day with exit 1 or 6, of
    whatever command, counting begins anew.
    """
    done: dict[date, set[str]] = defaultdict(set)
    broken: set[date] = set()
    for run in runs:
        if run.exit_code in FATAL:
            broken.add(run.day)
        elif run.exit_code == 0 and not run.dry_run:
            done[run.day].add(run.command)
    last = max(broken, default=None)
    return tuple(
        day
        for day, commands in sorted(done.items())
        if commands >= DAILY_JOBS and is_session(day) and (last is None or day > last)
    )


def _account(wish: LiveWish) -> Requirement:
    if wish.account:
        return Requirement(
            "account", RequirementKind.SET_UP, RequirementStanding.MET, "ib.account names the account."
        )
    text = "ib.account does not name the account."
    how = "set ib.account to the live account"
    return Requirement("account", RequirementKind.SET_UP, RequirementStanding.MISSING, text, how)


def _paper_ledger(paper: PaperRecord) -> Requirement:
    name, kind = "paper_ledger", RequirementKind.SET_UP
    how = (
        "run a paper account on this machine with trading.mode paper, or name its ledger in live.paper_ledger"
    )
    if paper.unusable:
        text = f"The paper ledger {paper.place} says nothing: {paper.unusable}"
        return Requirement(name, kind, RequirementStanding.MISSING, sentence(text), how)
    if paper.elsewhere and not paper.runs:
        text = f"The paper ledger {paper.place} is of another machine: none of its runs was made on this one."
        return Requirement(name, kind, RequirementStanding.MISSING, text, how)
    return Requirement(name, kind, RequirementStanding.MET, f"The paper ledger is {paper.place}.")


def _paper_days(paper: PaperRecord, days: int, wanted: int) -> Requirement:
    name, kind = "paper_days", RequirementKind.STABILITY
    text = (
        f"{days} of {wanted} trading days on paper with version {paper.version}, without exit 1 or 6 since."
    )
    if days >= wanted:
        return Requirement(name, kind, RequirementStanding.MET, text)
    how = (
        f"let `enter`, `monitor` and `settle` run on paper for {wanted - days} more trading days with this "
        "version; a day without a trade counts"
    )
    return Requirement(name, kind, RequirementStanding.MISSING, text, how)


# --- facts and claims -------------------------------------------------------------------------------------


def _facts(needed: Sequence[str], facts: Iterable[KeptFact]) -> list[Requirement]:
    """A requirement for each fact that live depends on, and for every other one that was contradicted."""
    kept: dict[str, list[KeptFact]] = defaultdict(list)
    for fact in facts:
        kept[fact.name].append(fact)
    against = [name for name in kept if name not in needed and contradicting(kept[name])]
    return [_fact(name, kept[name]) for name in (*needed, *against)]


def _fact(name: str, kept: Sequence[KeptFact]) -> Requirement:
    kind, wrong = RequirementKind.FACT, contradicting(kept)
    if wrong is not None:
        text = f"A gateway contradicts {name} (recorded {wrong.recorded_at[:10]}): {wrong.what}"
        how = (
            "report it with the recording; it counts until another version of the Gateway or of spxarb is "
            "seen to bear it out"
        )
        return Requirement(name, kind, RequirementStanding.REFUTED, sentence(text), how)
    seen = [fact for fact in kept if fact.evidence is Sighting.SEEN]
    if not seen:
        return Requirement(
            name, kind, RequirementStanding.MISSING, f"{name} was not seen on paper.", HOW.get(name)
        )
    first = min(seen, key=lambda fact: fact.recorded_at)
    text = f"{name} was seen on paper on {first.recorded_at[:10]}: {first.what}"
    return Requirement(name, kind, RequirementStanding.MET, sentence(text))


def claims_of(
    trades: Iterable[tuple[Mapping[str, object], Decimal]], limits: Mapping[str, object]
) -> tuple[DocumentClaim, ...]:
    """What is claimed of single trades, by those alone that were made under these limits."""
    pnls = [pnl for stored, pnl in trades if not differing(stored, limits)]
    return tuple(claim for claim in claims(pnls, (), ()) if claim.name in GATED)


def differing(stored: Mapping[str, object], limits: Mapping[str, object]) -> tuple[str, ...]:
    """The limits in which two stored configurations differ; one that is not stored differs from any."""
    return tuple(
        f"{section}.{name}"
        for section, names in COMPARED.items()
        for name in names
        if _value(stored, section, name) is None
        or _value(stored, section, name) != _value(limits, section, name)
    )


def _value(limits: Mapping[str, object], section: str, name: str) -> object:
    part = limits.get(section)
    return part.get(name) if isinstance(part, dict) else None


def _claim(claim: DocumentClaim) -> Requirement:
    name, kind = claim.name.removesuffix(" a trade").replace(" ", "_"), RequirementKind.CLAIM
    least = shown(claim.claimed_low, claim.unit)
    counted = f"{_count(claim.observations, 'trade')} under these limits"
    claimed = f"The document claims {_article(claim.name)} of at least {least}"
    text = f"{claimed}; measured {measured_in_words(claim)} in {counted}"
    if claim.verdict is ClaimVerdict.FAILS:
        how = "this strategy, with these limits, does not bring what it promises: do not trade it live"
        return Requirement(name, kind, RequirementStanding.REFUTED, f"{text}: refuted.", how)
    if claim.verdict is ClaimVerdict.HOLDS:
        return Requirement(name, kind, RequirementStanding.MET, f"{text}: it holds.")
    if not GATED[claim.name]:
        return Requirement(name, kind, RequirementStanding.MET, f"{text}: not refuted.")
    how = (
        "trade on paper under the limits meant for live until it can be told, or set "
        "live.accept_too_few_trades to true, which every live entry then tells"
    )
    return Requirement(name, kind, RequirementStanding.TOO_FEW, f"{text}: too few to tell.", how)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def measured_in_words(claim: DocumentClaim) -> str:
    return "nothing" if claim.measured is None else shown(claim.measured, claim.unit)


def shown(value: Decimal | None, unit: Unit) -> str:
    """A figure of a claim; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value * 100:.0f} %" if unit is Unit.RATE else usd(value)


# --- words ------------------------------------------------------------------------------------------------


def _group(requirement: Requirement) -> str:
    """The name by which it is told in a list: the facts are one."""
    return "facts" if requirement.kind is RequirementKind.FACT else requirement.name


def _briefly(shut_by: Sequence[Requirement], days: int, wanted: int) -> list[str]:
    found: list[str] = []
    names = {one.name for one in shut_by}
    facts = [one for one in shut_by if one.kind is RequirementKind.FACT]
    against = [one.name for one in facts if one.standing is RequirementStanding.REFUTED]
    refuted = [one.name for one in shut_by if _is(one, RequirementStanding.REFUTED)]
    few = [one.name for one in shut_by if _is(one, RequirementStanding.TOO_FEW)]
    found += ["ib.account names nobody"] if "account" in names else []
    found += [NO_LEDGER] if "paper_ledger" in names else []
    found += [f"{days} of {wanted} days on paper"] if "paper_days" in names else []
    found += [f"contradicted: {', '.join(against)}"] if against else []
    missing = len(facts) - len(against)
    found += [f"{_count(missing, 'fact')} not seen"] if missing else []
    found += [f"refuted: {', '.join(refuted)}"] if refuted else []
    return found + ([f"too few trades to tell: {', '.join(few)}"] if few else [])


def _has(requirements: Iterable[Requirement], name: str) -> bool:
    return any(one.name == name for one in requirements)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _is(requirement: Requirement, standing: RequirementStanding) -> bool:
    return requirement.kind is RequirementKind.CLAIM and requirement.standing is standing


# --- the document's advice --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Advice:
    """What the strategy's document advises before going live, beside what was measured."""

    name: str
    advised: str
    measured: str | None
    """Null: not known."""
    followed: bool | None
    """Null: it cannot be told."""


def advice(
    found: Gate, *, capital: Decimal | None, spreads_per_day: int, spreads_source: str
) -> tuple[Advice, ...]:
    """The document's advice; `capital`: the account's net liquidation value, dollars, None: not known."""
    by_name = {claim.name: claim for claim in found.measured}
    return (
        Advice("time_on_paper", "2 to 4 weeks", f"{found.days} trading days", found.days >= LEAST_DAYS),
        _advised("win_rate", by_name["win rate"], f"{WIN_RATE[0] * 100:.0f} % or more"),
        _advised("average_profit", by_name["average profit a trade"], f"{usd(AVERAGE_PROFIT[0])} or more"),
        Advice(
            "capital",
            f"{usd(CAPITAL)} or more",
            None if capital is None else usd(capital),
            None if capital is None else capital >= CAPITAL,
        ),
        Advice(
            "spreads_a_day",
            "one at first",
            f"{spreads_per_day} by {spreads_source}",
            spreads_per_day <= 1,
        ),
    )


def _advised(name: str, claim: DocumentClaim, advised: str) -> Advice:
    """The verdict is the interval's: a few lucky trades follow no advice."""
    verdicts = {ClaimVerdict.HOLDS: True, ClaimVerdict.FAILS: False}
    told = f"{measured_in_words(claim)} in {claim.observations}: {claim.verdict}"
    measured = None if claim.measured is None else told
    return Advice(name, advised, measured, verdicts.get(claim.verdict))


def advice_in_words(given: Advice) -> str:
    name = upper_first(given.name.replace("_", " "))
    return f"{name}: advised {given.advised}, measured {given.measured or 'not known'}"


def first_week_warning(spreads_per_day: int, source: str, sessions: int | None) -> str:
    """What an entry of the first live week warns of; empty where there is nothing to warn of.

    `sessions`: trading days from the first live entry to today, both included; None: there was none yet.
    """
    if spreads_per_day <= 1 or (sessions is not None and sessions > FIRST_WEEK):
        return ""
    day = "no live entry was made yet" if sessions is None else f"this is day {sessions} of {FIRST_WEEK}"
    return (
        f"The first week of live ({day}): trading.max_spreads_per_day is {spreads_per_day} by {source}, and "
        "one spread a day at first is advised."
    )
