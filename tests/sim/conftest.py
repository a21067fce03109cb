"""Fixtures of the simulator's tests."""

import pytest
from board import Desk
from faulty import DAY, new_gateway
from live import LiveSim


@pytest.fixture
def desk():
    """An exchange at 10:00 with a board."""
    return Desk()


@pytest.fixture
def sim(tmp_path):
    """A gateway at 09:40 with a script."""
    return lambda *entries, seed=0: new_gateway(tmp_path, *entries, seed=seed)


@pytest.fixture
def live(tmp_path):
    """The same on real sockets."""
    started = []

    def start(*entries):
        file = tmp_path / "day.csv"
        file.write_text(DAY)
        started.append(LiveSim(file, list(entries)))
        return started[-1]

    yield start
    for sim in started:
        sim.stop()
