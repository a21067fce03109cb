"""What ends the entries of a day."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

from spxarb.core.day_limits import (
    DayRecord,
    OpenRisk,
    blackouts,
    daily_loss_check,
    failed_jobs_obstacle,
)
from spxarb.core.model import dec
from spxarb.core.strategy import Limits

LIMITS = Limits(max_losses_per_day=2, max_failed_jobs_per_day=3)


def check(pnl="0", new="-100", limits=LIMITS, later=True, **record):
    known = [None if text is None else dec(text) for text in (pnl, new)]
    return daily_loss_check(known[0], DayRecord(**record), limits, known[1], later=later)


def spread(pnl, worst):
    return OpenRisk(1, *(None if text is None else dec(text) for text in (pnl, worst)))


@pytest.mark.parametrize(("pnl", "ok"), [("0", True), ("-1000", True), ("-1000.01", False), (None, None)])
def test_a_loss_beyond_the_limit_stops_entries_and_an_unknown_one_does(pnl, ok):
    found = check(pnl, later=False)
    assert (found.name, found.ok, found.limit) == ("daily_loss", ok, 1000)


@pytest.mark.parametrize(
    ("pnl", "spreads", "new", "ok"),
    [
        ("0", [], "-1000", True),
        ("0", [], "-1000.01", False),
        ("-600", [], "-400", True),
        ("-600", [], "-400.01", False),
        ("200", [], "-1200", True),
        # An open spread counts at its worst, which the limit must carry too, and never better than it is now.
        ("-10", [("-10", "-518")], "-482", True),
        ("-10", [("-10", "-518")], "-482.01", False),
        ("-510", [("-510", "-300")], "-490", True),
        ("-510", [("-510", "-300")], "-490.01", False),
        ("-10", [("-10", "250")], "-990", True),
        ("-10", [("-10", None)], "-990", None),
        ("-10", [("-10", None)], "-990.01", False),
        ("-10", [("-10", "-518"), ("-10", None)], "-482", None),
        ("-10", [(None, "-518")], "-482", None),
        ("-700", [("-700", "-700")], "618.11", True),
        ("-700", [("-700", "-2000")], "618.11", False),
        ("0", [], "250", True),
        ("0", [], None, None),
    ],
)
def test_the_worst_case_of_a_later_spread_fits_into_what_the_limit_leaves(pnl, spreads, new, ok):
    limits = Limits(max_position_loss=dec(5000))
    record = {"open": tuple(spread(*one) for one in spreads)}
    found = check(pnl, new, limits, **record)
    assert found.ok is ok
    assert ("another spread" in found.message) is (ok is not True)
    for free in (check(pnl, new, limits, later=False, **record),
                 check(pnl, new, Limits(max_position_loss=dec(5000), worst_case_within_daily_loss=False), **record)):  # fmt: skip
        assert free.ok is True


def test_whose_worst_case_is_not_known_is_told():
    found = check("-10", "-100", open=(OpenRisk(7, dec("-10"), None), OpenRisk(8, dec("0"), dec("-1"))))
    assert found.ok is None
    assert (
        "What trade 7 may still cost is not known, so nobody can say if another spread fits in."
        in found.message
    )


@pytest.mark.parametrize(("new", "words"), [("618.11", "come to $618.11"), ("-618.11", "come to -$618.11")])
def test_another_spread_at_its_worst_is_told_as_gain_or_loss(new, words):
    found = check("-400", new, Limits(max_position_loss=dec(5000)), open=(spread("-400", "-2500"),))
    assert (found.ok, f"another spread would at worst {words}." in found.message) == (False, True)


def test_every_reason_is_told_and_each_alone_forbids():
    reasons = {
        "stopped": "the day had lost $1,034.50",
        "losses": 2,
        "open": (spread("-500.01", None),),
    }
    words = (
        "stopped for today: the day had lost $1,034.50",
        "2 spreads lost money",
        "Trade 1 has lost $500.01",
    )
    for chosen in product((False, True), repeat=3):
        record = {name: reasons[name] for name, on in zip(reasons, chosen, strict=True) if on}
        found = check(limits=Limits(max_losses_per_day=2), **record)
        assert found.ok is not any(chosen)
        assert [word in found.message for word in words] == list(chosen)
        assert check(None, limits=Limits(max_losses_per_day=2), **record).ok is (
            False if any(chosen) else None
        )


def test_what_forbids_an_entry_is_said_before_what_does_not():
    """The first sentence is what screens give as the reason."""
    assert check("-93", stopped="a breach").message.startswith(
        "Entries are stopped for today: a breach. The day"
    )
    assert check(None, stopped="a breach").message.startswith(
        "Entries are stopped for today: a breach. The day"
    )
    assert check("-1500", stopped="a breach").message.startswith("The day's net result is -$1,500.00, beyond")
    room = check("-900", "-200", Limits(max_position_loss=dec(5000)), open=(spread("-900", "-1000"),)).message
    assert room.startswith("At the worst of what is open, $0.00 of the limit remain, and another")
    room = check("-900", "-200", Limits(max_position_loss=dec(5000)), open=(spread("-900", "-1200"),)).message
    assert room.startswith("At the worst of what is open, the limit is passed by $200.00, and another")


def test_limits_that_are_not_set_stop_nothing():
    unset = Limits(max_losses_per_day=None, max_failed_jobs_per_day=None)
    assert check(limits=unset, losses=99).ok is True
    assert failed_jobs_obstacle(DayRecord(failed_jobs=99), unset) == ""
    assert check(losses=1).ok is True
    assert check(open=(spread("-500", "-500"),)).ok is True


def test_failed_jobs_stop_entries_with_what_to_do():
    assert failed_jobs_obstacle(DayRecord(failed_jobs=2), LIMITS) == ""
    why = failed_jobs_obstacle(DayRecord(failed_jobs=3), LIMITS)
    assert why.startswith("3 jobs failed today")
    assert "spxarb start" in why


# --- dates without entries ---------------------------------------------------------------------------------


def test_a_blackout_file_names_dates_and_reasons():
    text = 'date, reason\n# the Fed\n\n2026-03-18, FOMC\n2026-03-20,"quad witching, SPY ex-date"\n2026-03-18,CPI\n2026-04-01\n'
    assert blackouts(text) == {
        date(2026, 3, 18): "FOMC; CPI",
        date(2026, 3, 20): "quad witching, SPY ex-date",
        date(2026, 4, 1): "no reason given",
    }


@pytest.mark.parametrize(
    "line", ["2026-13-01, no such month", "18.03.2026, FOMC", "FOMC, 2026-03-18", "date, again"]
)
def test_a_line_that_is_no_date_is_named(line):
    with pytest.raises(ValueError, match="line 2: "):
        blackouts(f"2026-03-18, FOMC\n{line}\n")
