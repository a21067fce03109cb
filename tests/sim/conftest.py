"""Fixtures of the simulator's tests."""

import pytest
from board import Desk
from faulty import new_gateway


@pytest.fixture
def desk():
    """An exchange at 10:00 with a board."""
    return Desk()


@pytest.fixture
def sim(tmp_path):
    """A gateway at 09:40 with a script."""
    return lambda *entries, seed=0: new_gateway(tmp_path, *entries, seed=seed)
