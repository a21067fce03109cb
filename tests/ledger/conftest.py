"""Fixtures of the ledger."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from samples import NOW

from spxarb.ledger.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "paper" / "trading.db"


@pytest.fixture
def ledger(path):
    with Ledger.open(path, mode="paper") as opened:
        yield opened


@pytest.fixture
def existing(path):
    """A closed ledger in which trading was stopped "as found"."""
    with Ledger.open(path, mode="paper") as ledger:
        ledger.state.set_trading(False, "as found", NOW)
    return path


@pytest.fixture
def public():
    """A folder that every user may read."""
    folder = Path(tempfile.mkdtemp(prefix="spxarb-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)
