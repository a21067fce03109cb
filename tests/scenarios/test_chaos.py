"""Bad days, played by seed. Every seed that ever broke a law is in REGRESSIONS."""

from __future__ import annotations

import random

import pytest
from chaos import SCRIPTS, play

from spxarb.sim.faults.script import read_script
from spxarb.sim.faults.table import FAULTS

REGRESSIONS: tuple[int, ...] = ()
SAMPLES = (1, 2)


def test_the_dice_know_every_fault_of_the_gateway_and_script_it_well():
    assert set(SCRIPTS) == set(FAULTS)
    for seed in range(50):
        read_script([draw(random.Random(seed)) for draw in SCRIPTS.values()])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [*REGRESSIONS, *SAMPLES])
def test_a_bad_day_breaks_no_law(seed, tmp_path):
    day = play(seed, tmp_path)
    assert day.problems == [], "\n".join(day.log)
