"""Whether a crontab of our own kind starts each job when the configuration wants it."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from spxarb.core.crontab import disagreements
from spxarb.core.firings import TimerTimes

LINES = (Path(__file__).parents[2] / "crontab.example").read_text(encoding="utf-8").splitlines()
USUAL = TimerTimes()


def test_the_example_is_as_the_usual_configuration_wants_it():
    assert disagreements(LINES, USUAL) == []


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (TimerTimes(entry_time=time(9, 50), entry_cutoff=time(10, 10)), "enter at 10:00 and 1 more"),
        (TimerTimes(exit_check_time=time(14, 31)), "monitor at 14:31 and 59 more"),
    ],
)
def test_a_window_or_an_exit_that_the_patterns_do_not_meet_is_named(times, told):
    found = disagreements(LINES, times)
    assert [sentence.partition("start ")[2].partition(",")[0] for sentence in found] == [told]


def test_lines_of_another_kind_are_not_judged():
    assert disagreements(["35 9 * * 1-5 spxarb enter", "45 15 * * 1-5 spxarb monitor"], USUAL) == []
