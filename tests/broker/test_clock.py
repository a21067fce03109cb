"""The gateway's clock against this machine's: an answer that was long on its way is late, not wrong."""

from datetime import datetime, timedelta

import pytest

from spxarb.broker.clock import Clock
from spxarb.broker.times import ClockReading
from spxarb.core.model import NEW_YORK

ASKED = datetime(2026, 11, 24, 9, 40, tzinfo=NEW_YORK)


def reading(gateway: float, answered: float) -> ClockReading:
    """Seconds after the question: what the gateway's clock showed, and when its answer came."""
    return ClockReading(ASKED + timedelta(seconds=gateway), ASKED, ASKED + timedelta(seconds=answered))


@pytest.mark.parametrize(
    ("gateway", "answered"),
    [(0, 0.1), (0, 9.5), (9, 9.5), (4, 9.5), (-4.9, 0.1), (5, 0.1), (-5, 30), (35, 30)],
)
def test_clocks_that_may_agree_are_not_doubted(gateway, answered):
    assert Clock("paper", reading(gateway, answered)).doubt == ""


@pytest.mark.parametrize(("gateway", "answered"), [(-6, 0.1), (6, 0.1), (-6, 9.5), (16, 9.5), (-300, 0.1)])
@pytest.mark.parametrize("mode", ["paper", "live"])
def test_clocks_that_cannot_agree_are_doubted_however_slow_the_answer(mode, gateway, answered):
    assert "s apart" in Clock(mode, reading(gateway, answered)).doubt


def test_a_simulated_day_has_one_clock():
    clock = Clock("sim", reading(-300, 0.1))
    assert (clock.doubt, clock.now()) == ("", ASKED - timedelta(seconds=300))
