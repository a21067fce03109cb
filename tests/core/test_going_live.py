"""The gate from paper to live: which evidence opens it, and what of it keeps it shut."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from spxarb.config.load import Config
from spxarb.config.schema import Sections
from spxarb.core.gateway_claims import CLAIMS, Sighting
from spxarb.core.going_live import (
    COMPARED,
    LiveWish,
    PaperRecord,
    PaperRun,
    RequirementStanding,
    advice,
    check,
    claims_of,
    differing,
    first_week_warning,
    gate,
    stable_days,
)
from spxarb.core.live_facts import HOW, NOT_NEEDED, KeptFact, contradicting, needed_facts

MONDAY = date(2026, 1, 5)
DAYS = [MONDAY + timedelta(days=n + 2 * (n // 5)) for n in range(10)]
JOBS = ("enter", "monitor", "settle")
LIMITS = Config().limits()
ALL = needed_facts(spreads_per_day=2, failsafe=True)
WISH = LiveWish("U1234567", LIMITS, 10, ALL)


def is_session(day: date) -> bool:
    return day.weekday() < 5


def ran(days, jobs=JOBS, code: int | None = 0, *, dry_run: bool = False):
    return [PaperRun(day, job, code, dry_run) for day in days for job in jobs]


def fact(name, evidence=Sighting.SEEN, on="2026-01-05", server=176, by="1"):
    return KeptFact(name, evidence, "as seen", on, server, by)


def trades(*pnls, limits=LIMITS):
    return [(limits, Decimal(pnl)) for pnl in pnls]


WINS = trades(*(900,) * 200)
GOOD = PaperRecord("/paper.db", version="1", runs=ran(DAYS), facts=[fact(n) for n in ALL], trades=WINS)


def found(record=GOOD, **wish):
    return gate(replace(WISH, **wish), record, is_session)


def shut_by(record=GOOD, **wish):
    return [one.name for one in found(record, **wish).shut_by]


def test_with_all_of_the_evidence_it_is_open():
    whole = found()
    assert (whole.is_open, whole.shut_by, whole.acceptance) == (True, (), "")
    assert {one.standing for one in whole.requirements} == {RequirementStanding.MET}
    assert all(one.how is None for one in whole.requirements)
    assert (check(whole).ok, check(whole).value, check(whole).limit) == (True, [], [])


@pytest.mark.parametrize(
    ("record", "missing", "told"),
    [
        (replace(GOOD, runs=ran(DAYS[:9])), ["paper_days"], "9 of 10 days on paper"),
        (replace(GOOD, facts=GOOD.facts[1:]), [ALL[0]], "1 fact not seen"),
        (
            replace(GOOD, trades=WINS[:20]),
            ["win_rate", "average_profit"],
            "too few trades to tell: win_rate, average_profit",
        ),
        (
            replace(GOOD, runs=(), elsewhere=30),
            ["paper_ledger", "paper_days"],
            "no usable paper ledger; 0 of 10 days on paper",
        ),
    ],
)
def test_each_missing_item_alone_shuts_it_is_named_and_says_how_it_is_got(record, missing, told):
    result = found(record)
    assert [one.name for one in result.shut_by] == missing
    assert all(one.how for one in result.shut_by)
    assert (check(result).ok, told in check(result).message) == (False, True)
    assert "`spxarb doctor` says how" in check(result).message


def test_without_a_usable_paper_ledger_everything_is_missing_and_nothing_fails():
    nothing = found(PaperRecord("/paper.db", "there is none", "1"))
    assert {one.standing for one in nothing.shut_by} == {
        RequirementStanding.MISSING,
        RequirementStanding.TOO_FEW,
    }
    assert check(nothing).value[:3] == ["paper_ledger", "paper_days", "facts"]


def test_the_line_of_a_screen_fits_its_65_columns():
    everything = {
        "no usable paper ledger": PaperRecord("/paper.db", "there is none", "1"),
        "0 of 10 days on paper; 30 facts not seen; too few trades to tell": replace(
            GOOD, runs=(), facts=(), trades=()
        ),
        "9 of 10 days on paper; 1 fact contradicted; claims refuted": replace(
            GOOD,
            runs=ran(DAYS[1:]),
            facts=[*GOOD.facts, fact("commission", Sighting.CONTRADICTED)],
            trades=trades(*(-900,) * 60),
        ),
        "10 days on paper": GOOD,
    }
    for line, record in everything.items():
        assert (found(record).line(), len(line) <= 65) == (line, True)
    few = found(replace(GOOD, trades=()), accepted="the file")
    assert few.line() == "10 days on paper, too few trades to tell accepted"


def test_the_account_must_be_named():
    assert shut_by(account=None) == ["account"]


# --- days -------------------------------------------------------------------------------------------------


def test_a_day_counts_without_a_trade_but_not_without_all_three_jobs():
    assert len(stable_days(ran(DAYS), is_session)) == 10
    for job in JOBS:
        less = [run for run in ran(DAYS) if not (run.command == job and run.day == DAYS[3])]
        assert stable_days(less, is_session) == tuple(day for day in DAYS if day != DAYS[3])


@pytest.mark.parametrize("code", [None, 2, 3, 4, 5, 7])
def test_a_job_that_did_not_do_its_work_is_not_counted_and_breaks_nothing(code):
    runs = [*ran(DAYS[:1], code=code), *ran(DAYS[1:])]
    assert stable_days(runs, is_session) == tuple(DAYS[1:])
    later = [*ran(DAYS), *ran([DAYS[4]], ("monitor",), code)]  # another monitor of that day did its work
    assert len(stable_days(later, is_session)) == 10


@pytest.mark.parametrize("code", [1, 6])
@pytest.mark.parametrize("command", ["enter", "monitor", "settle", "close-all", "ack", "reconcile"])
def test_after_exit_1_or_6_of_any_command_the_days_are_counted_anew(code, command):
    runs = [*ran(DAYS), PaperRun(DAYS[6], command, code)]
    assert stable_days(runs, is_session) == tuple(DAYS[7:])


def test_a_dry_run_or_a_day_without_a_session_is_no_day_on_paper():
    assert stable_days(ran(DAYS, dry_run=True), is_session) == ()
    assert stable_days(ran([date(2026, 1, 10)]), is_session) == ()


# --- facts ------------------------------------------------------------------------------------------------


def test_every_assumption_about_gateways_is_waited_for_or_says_why_not():
    names = [claim.name for claim in CLAIMS]
    assert sorted([*HOW, *NOT_NEEDED]) == sorted(names)
    assert list(ALL) == [name for name in names if name in HOW]


def test_what_the_configuration_never_does_is_not_waited_for():
    assert set(ALL) - set(needed_facts(spreads_per_day=1, failsafe=True)) == {"both_sides"}
    without = {"both_sides", "good_after_form", "good_after_waits"}
    assert set(ALL) - set(needed_facts(spreads_per_day=2, failsafe=False)) == without


@pytest.mark.parametrize("name", ["commission", "refused_order", "post_expiration"])
def test_a_contradicted_fact_keeps_it_shut_whether_live_waits_for_it_or_not(name):
    against = replace(GOOD, facts=[*GOOD.facts, fact(name, Sighting.CONTRADICTED)])
    (only,) = found(against).shut_by
    assert (only.name, only.standing) == (name, RequirementStanding.REFUTED)
    assert f"contradicted: {name}" in check(found(against)).message
    assert shut_by(against, accepted="the file") == [name]


@pytest.mark.parametrize(
    ("later", "stands"),
    [
        ({}, True),  # the same recording
        ({"on": "2026-01-06"}, True),  # it went well once more
        ({"on": "2026-01-06", "server": 178}, False),
        ({"on": "2026-01-06", "by": "2"}, False),
        ({"on": "2026-01-04", "by": "2"}, True),  # before
    ],
)
def test_a_contradiction_stands_until_something_that_changed_bears_the_fact_out(later, stands):
    kept = [fact("commission", Sighting.CONTRADICTED), fact("commission", **later)]
    assert (contradicting(kept) is not None) is stands


# --- claims -----------------------------------------------------------------------------------------------


def test_a_claim_that_paper_refutes_keeps_it_shut_also_where_too_few_are_accepted():
    losing = replace(GOOD, trades=trades(*(-900,) * 60))
    result = found(losing, accepted="the file")
    refuted = [one.name for one in result.shut_by]
    assert refuted == ["win_rate", "average_profit", "average_loss"]
    assert {one.standing for one in result.shut_by} == {RequirementStanding.REFUTED}
    assert "refuted: win_rate" in check(result).message


def test_too_few_to_tell_opens_it_by_the_setting_alone_which_is_told():
    few = replace(GOOD, trades=())
    assert shut_by(few) == ["win_rate", "average_profit"]
    accepted = found(few, accepted="live.accept_too_few_trades in /c.yaml (line 3)")
    assert accepted.is_open
    told = "win_rate, average_profit: accepted by live.accept_too_few_trades in /c.yaml (line 3)."
    assert told in accepted.acceptance
    assert "too few trades to tell, accepted by live.accept_too_few_trades" in check(accepted).message
    assert found(accepted="the file").acceptance == "", "nothing had to be accepted"


def changed(section, name, value):
    return {**LIMITS, section: {**LIMITS[section], name: value}}


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("trading", "min_entry_credit", -200),
        ("trading", "exit_check_time", "15:30"),
        ("risk_management", "max_position_loss", 700),
        ("execution", "use_limit_orders", False),
        ("prices", "max_unexplained_credit", 5000),
    ],
)
def test_a_trade_under_another_limit_proves_and_refutes_nothing(section, name, value):
    other = changed(section, name, value)
    assert differing(other, LIMITS) == (f"{section}.{name}",)
    assert {claim.observations for claim in claims_of(trades(*(-900,) * 60, limits=other), LIMITS)} == {0}
    assert claims_of(trades(*(-900,) * 60), LIMITS)[0].observations == 60


def test_a_trade_without_its_limits_proves_nothing():
    for stored in ({}, {"trading": None}, {key: LIMITS[key] for key in LIMITS if key != "prices"}):
        assert claims_of(trades(900, limits=stored), LIMITS)[0].observations == 0


@pytest.mark.parametrize("name", ["mode", "max_spreads_per_day", "blackout_file"])
def test_what_does_not_change_what_one_spread_brings_is_not_compared(name):
    assert differing(changed("trading", name, "another"), LIMITS) == ()


def test_every_limit_that_is_compared_is_a_key_of_the_configuration():
    keys = Sections().model_dump()
    assert {(s, n) for s, names in COMPARED.items() for n in names} <= {(s, n) for s in keys for n in keys[s]}


# --- advice and warning -----------------------------------------------------------------------------------


def test_the_documents_advice_stands_beside_what_was_measured():
    given = advice(found(), capital=Decimal(60_000), spreads_per_day=2, spreads_source="/c.yaml (line 4)")
    assert [(one.name, one.advised, one.measured, one.followed) for one in given] == [
        ("time_on_paper", "2 to 4 weeks", "10 trading days", True),
        ("win_rate", "85 % or more", "100 % in 200: holds", True),
        ("average_profit", "$500.00 or more", "$900.00 in 200: holds", True),
        ("capital", "$50,000.00 or more", "$60,000.00", True),
        ("spreads_a_day", "one at first", "2 by /c.yaml (line 4)", False),
    ]
    nothing = gate(WISH, PaperRecord("/p", "there is none", "1"), is_session)
    empty = advice(nothing, capital=None, spreads_per_day=1, spreads_source="its default")
    assert [one.followed for one in empty] == [False, None, None, None, True]


@pytest.mark.parametrize(
    ("spreads", "sessions", "warned"),
    [(2, None, True), (2, 1, True), (2, 5, True), (2, 6, False), (1, None, False), (1, 1, False)],
)
def test_more_than_one_spread_is_warned_of_in_the_first_week_with_its_source(spreads, sessions, warned):
    text = first_week_warning(spreads, "MAX_SPREADS_PER_DAY", sessions)
    assert bool(text) is warned
    if warned:
        assert "trading.max_spreads_per_day is 2 by MAX_SPREADS_PER_DAY" in text
