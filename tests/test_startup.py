"""What a command does not need it does not import: processes of their own, asked what they have loaded."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from spxarb.imports import LEFT_OUT


def loaded_by(code: str) -> set[str]:
    """The modules that a process has loaded when `code` is done."""
    asked = f"{code}\nimport sys\nprint(*(name for name, module in sys.modules.items() if module))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# --- libraries without what is not used ---------------------------------------------------------------

# Where each library is imported, and what a plain import of the same modules would be.
DOORS = {
    "ib_insync": (
        "import spxarb.broker.frames",
        (
            "import asyncio; asyncio.set_event_loop(asyncio.new_event_loop()); "
            "import ib_insync.client, ib_insync.contract, ib_insync.decoder"
        ),
        {"ib_insync.client", "ib_insync.contract", "ib_insync.decoder"},
    ),
    "sqlite_utils": (
        "from pathlib import Path; from spxarb.ledger.opening import empty; empty(Path('absent'), 'paper')",
        "import sqlite_utils.db",
        {"sqlite_utils.db"},
    ),
    "holidays": (
        "from spxarb.trading.market_calendar import closures; assert len(closures(2026).closed) >= 9",
        "import holidays.financial.ny_stock_exchange",
        {"holidays.financial.ny_stock_exchange"},
    ),
    "pydantic": (
        "from spxarb.imports import trimmed\nwith trimmed('pydantic'): import pydantic.plugin._loader",
        "import pydantic.plugin._loader",
        {"pydantic.plugin._loader"},
    ),
    "yaml": ("import spxarb.config.file", "import yaml.loader", {"yaml.loader"}),
}


def test_every_library_that_is_trimmed_has_its_door_here():
    assert set(DOORS) == set(LEFT_OUT)


@pytest.mark.parametrize("library", LEFT_OUT)
def test_what_is_left_out_of_a_library_stays_out_and_its_plain_import_would_bring_it(library):
    """A row that fails here is useless or wrong by now: the library has moved."""
    ours, plain, wanted = DOORS[library]
    row = LEFT_OUT[library]
    out = {name for name in (*row.entered, *row.later, *row.absent) if find_spec(name)}
    loaded = loaded_by(ours)
    assert wanted <= loaded
    assert loaded & out == set()
    assert out - loaded_by(plain) == set()


def test_what_was_put_off_is_the_real_module_as_soon_as_it_is_used():
    loaded = loaded_by(
        "import spxarb.broker.frames; from eventkit.ops import array; kind = array.np.ndarray; "
        "import numpy; assert kind is numpy.ndarray"
    )
    assert "numpy" in loaded


def test_an_order_brings_the_orders_and_nothing_else_of_the_library():
    before, after = (
        "import spxarb.broker.frames as frames",
        "order = frames.ibo.Order(); order.softDollarTier.name",
    )
    brought = loaded_by(f"{before}; {after}") - loaded_by(before)
    assert {name for name in brought if "ib_insync" in name} == {"ib_insync.objects", "ib_insync.order"}
    assert "numpy" not in brought


def test_the_whole_library_can_still_be_had_and_has_the_same_classes():
    loaded_by(
        "from spxarb.broker.frames import ibc; import asyncio; "
        "asyncio.set_event_loop(asyncio.new_event_loop()); import ib_insync; "
        "assert ib_insync.Contract is ibc.Contract and ib_insync.IB"
    )
