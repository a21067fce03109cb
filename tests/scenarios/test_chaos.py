"""Bad days, played by seed. Every seed that ever broke a law is in REGRESSIONS."""

from __future__ import annotations

import pytest
from chaos import play

REGRESSIONS: tuple[int, ...] = ()
SAMPLES = (1, 2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [*REGRESSIONS, *SAMPLES])
def test_a_bad_day_breaks_no_law(seed, tmp_path):
    day = play(seed, tmp_path)
    assert day.problems == [], "\n".join(day.log)
