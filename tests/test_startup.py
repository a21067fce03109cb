"""What a command does not need it does not import: processes of their own, asked what they have loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from importlib.util import find_spec

import pytest

from spxarb.core.model import NEW_YORK
from spxarb.imports import LEFT_OUT
from spxarb.ledger.ledger import Ledger
from spxarb.sim.control import RunningSim


def loaded_by(code: str) -> set[str]:
    """The modules that a process has loaded when `code` is done; a package that was only entered is none."""
    asked = f"{code}\nimport sys\nprint(*(n for n, m in sys.modules.items() if m and type(m).__name__ != '_Entered'))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# --- libraries without what is not used ---------------------------------------------------------------

OPENED = "from pathlib import Path; from spxarb.ledger.opening import empty; empty(Path('absent'), 'paper')"
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
        OPENED,
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
    "platformdirs": (
        "from spxarb.config.load import state_folder; state_folder()",
        "import platformdirs.unix",
        {"platformdirs.unix"},
    ),
    "typer": (
        (
            "import os; os.environ |= {'_SPXARB_COMPLETE': 'complete_zsh', '_TYPER_COMPLETE_ARGS': 'spxarb st'}\n"
            "from spxarb.cli.commands import main\n"
            "try: main([])\nexcept SystemExit: pass"
        ),
        "import typer._completion_classes as zsh; zsh._sanitize_help_text('')",
        {"typer._completion_classes"},
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


@pytest.mark.parametrize(
    "code",
    [
        (
            "from spxarb.broker.frames import ibc; import ib_insync; "
            "assert ib_insync.Contract is ibc.Contract and ib_insync.IB and ib_insync.contract is ibc"
        ),
        "import spxarb.config.file, yaml; assert yaml.safe_load('a: 1') == {'a': 1} == yaml.load('a: 1', yaml.CSafeLoader)",
        "import spxarb.config.file as file; import yaml; assert file.YAMLError is yaml.YAMLError is yaml.error.YAMLError",
        (
            "from spxarb.trading.market_calendar import closures; closures(2026); import holidays; "
            "assert len(holidays.country_holidays('US', years=2026)) > 9 and holidays.financial.NYSE"
        ),
        (
            "from spxarb.config.load import state_folder; folder = state_folder(); import platformdirs; "
            "assert platformdirs.PlatformDirs('spxarb').user_state_dir == str(folder)"
        ),
        f"{OPENED}; import sqlite_utils; assert sqlite_utils.Database(memory=True)['t'].insert({{'a': 1}}).count == 1",
        (
            "from spxarb.imports import trimmed\nwith trimmed('pydantic'): import pydantic.plugin._loader\n"
            "import importlib.metadata; assert importlib.metadata.version('pydantic')"
        ),
    ],
)
def test_whoever_wants_the_whole_library_gets_it_with_the_same_classes(code):
    loaded_by(code)


# --- commands -----------------------------------------------------------------------------------------

MACHINE = {
    "spxarb.core.execution",
    "spxarb.core.steps",
    "spxarb.trading.connected",
    "spxarb.trading.executor",
    "spxarb.trading.exits",
    "spxarb.trading.managing",
    "spxarb.trading.recovery",
}
"""What works orders."""


@pytest.fixture
def imports_of(tmp_path):
    """What a command imports that finds an empty ledger, its account seen today, as `-X importtime` lists it."""
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{database: {tmp_path / 'trading.db'}}}\n")
    now = datetime.now(NEW_YORK)
    with Ledger.open(tmp_path / "trading.db", mode="paper") as ledger:
        ledger.looks.add(ledger.runs.begin("monitor", [], now), now)

    def ask(*words: str) -> set[str]:
        command = [sys.executable, "-X", "importtime", "-m", "spxarb", *words]
        environment = {**os.environ, "SPXARB_CONFIG": str(config), "STATE_DIRECTORY": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
        return {line.rpartition("|")[2].strip() for line in lines}

    return ask


BY_WHAT_IS_THERE = {
    # module: what brings it
    "spxarb.cli.keeping": "backup, restore, reconcile",
    "spxarb.cli.scheduling": "timers, send-alerts",
    "spxarb.cli.simulating": "record, sim, demo",
    "spxarb.cli.watching": "watchdog",
    "spxarb.cli.wrong_use": "a mistake on the command line",
    "spxarb.core.account": "the account, compared",
    "spxarb.core.black_scholes": "a trade's quotes",
    "spxarb.core.broker_books": "an answer of the broker, or an order",
    "spxarb.core.by_hand": "a trade that a human took over",
    "spxarb.core.contracts": "a contract or its quote",
    "spxarb.core.day_limits": "an entry",
    "spxarb.core.distances": "an open trade",
    "spxarb.core.entry_check": "an entry",
    "spxarb.core.explanation": "report --explain, the log",
    "spxarb.core.matters": "a matter for a human",
    "spxarb.core.notices": "an alert",
    "spxarb.core.order_events": "an order that works",
    "spxarb.core.pnl": "a trade's fills, the end of a day",
    "spxarb.core.price_state": "a mark",
    "spxarb.core.quality": "a quote",
    "spxarb.core.reconcile": "the account, compared",
    "spxarb.core.records": "a row of a trade",
    "spxarb.core.results.close_all": "close-all",
    "spxarb.core.risk": "status --risk",
    "spxarb.core.settlement": "a settlement",
    "spxarb.trading.alerts": "an alert",
}
"""What no command needs that tells of an empty ledger."""
IDLE = {
    "spxarb.cli.reading": "status, report, log, doctor, config",
    "spxarb.cli.report_forms": "report",
    "spxarb.core.brief": "a decision",
    "spxarb.core.decisions": "a decision",
    "spxarb.core.fees": "a fill",
    "spxarb.core.greeks": "a mark",
    "spxarb.core.limits": "an open trade",
    "spxarb.core.performance": "finished trades",
    "spxarb.core.results.positions": "an open spread",
    "spxarb.core.results.rows": "a table",
    "spxarb.core.statistics": "finished trades",
    "spxarb.trading.market_calendar": "a run that seems missing",
}
"""What the idle `monitor` does not need either."""
SCREENS = {"spxarb.cli.blocks", "spxarb.cli.layout", "spxarb.cli.folding", "spxarb.cli.screens"}
SPARED = {
    "monitor": {*BY_WHAT_IS_THERE, *IDLE},
    "monitor --json": {*BY_WHAT_IS_THERE, *IDLE, *SCREENS},
    "report": {
        *BY_WHAT_IS_THERE,
        "spxarb.core.greeks",
        "spxarb.core.limits",
        "spxarb.core.results.positions",
    },
    "status --offline": {*BY_WHAT_IS_THERE, "spxarb.core.fees", "spxarb.core.statistics"},
}


@pytest.mark.parametrize("command", SPARED)
def test_an_empty_ledger_brings_no_module_of_what_it_does_not_hold(imports_of, command):
    assert [name for name in SPARED[command] if find_spec(name) is None] == []
    assert imports_of(*command.split()) & SPARED[command] == set()


def test_a_dry_run_of_an_entry_brings_nothing_of_results_statements_or_trades_that_end(imports_of, tmp_path):
    """A list that names what a connection, an account without trades and the checks do not need."""
    spared = {
        "spxarb.broker.flex": "a statement",
        "spxarb.cli.position_screens": "monitor, close-all",
        "spxarb.cli.reading": "status, report, log, doctor, config",
        "spxarb.core.black_scholes": "a trade's quotes",
        "spxarb.core.distances": "an open trade",
        "spxarb.core.execution": "an entry that is made",
        "spxarb.core.pnl": "a trade's fills",
        "spxarb.core.results.positions": "an open spread",
        "spxarb.core.risk": "status --risk",
        "spxarb.core.settlement": "a settlement",
        "spxarb.core.statistics": "finished trades",
        "spxarb.core.wire_record": "a recording of the wire",
        "spxarb.trading.alerts": "an alert",
        "spxarb.trading.managing": "an open trade",
        "spxarb.trading.recovery": "an entry that was cut short",
        "spxarb.trading.settlement": "a settlement",
    }
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:36", speed=0) as sim:
        database = tmp_path / "sim.db"
        (tmp_path / "config.yaml").write_text(
            f"ib: {{port: {sim.port}}}\ntrading: {{mode: sim}}\nstorage: {{database: {database}}}\n"
        )
        imported = imports_of("enter", "--dry-run")
    assert [name for name in spared if find_spec(name) is None] == []
    assert "spxarb.trading.entry" in imported
    assert imported & spared.keys() == set()


def libraries(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_the_version_needs_neither_parser_nor_configuration(imports_of):
    imported = imports_of("--version")
    assert {"typer", "pydantic", "rich", "yaml"} & libraries(imported) == set()
    assert {module for module in imported if module.startswith("spxarb.")} == {"spxarb.imports"}


@pytest.mark.parametrize("words", [("monitor",), ("monitor", "--json"), ("monitor", "--dry-run")])
def test_a_look_at_nothing_open_loads_nothing_that_trades_connects_or_draws(imports_of, words):
    imported = imports_of(*words)
    assert "spxarb.trading.bookkeeping" in imported
    assert imported & MACHINE == set()
    unneeded = {"ib_insync", "eventkit", "asyncio", "rich", "holidays", "tenacity", "apprise", "numpy"}
    assert unneeded & libraries(imported) == set()


def test_of_the_library_of_the_ledger_only_the_database_is_loaded(imports_of):
    imported = imports_of("monitor")
    assert "sqlite_utils.db" in imported
    assert {"click", "dateutil", "pluggy", "click_default_group", "tabulate"} & libraries(imported) == set()


def test_no_metadata_of_installed_packages_is_read_to_find_plugins(imports_of):
    assert "importlib.metadata" not in imports_of("monitor")


@pytest.mark.parametrize("words", [("report",), ("status", "--offline")])
def test_what_the_ledger_alone_tells_is_told_without_a_connection(imports_of, words):
    """The calendar is: `status` shows today's session, `report` counts the exchange's days."""
    imported = imports_of(*words)
    assert imported & MACHINE == set()
    unwanted = {"ib_insync", "eventkit", "asyncio", "apprise", "numpy"}
    assert unwanted & libraries(imported) == set()


def test_a_statement_in_a_file_is_compared_without_a_connection(imports_of, tmp_path):
    file = tmp_path / "statement.xml"
    own = '<FlexStatement accountId="DU1" fromDate="20260213" toDate="20260213"><Trades /></FlexStatement>'
    file.write_text(f"<FlexQueryResponse>{own}</FlexQueryResponse>")
    imported = imports_of("reconcile", "--statement", str(file))
    assert imported & MACHINE == set()
    unneeded = {"ib_insync", "eventkit", "asyncio", "holidays", "apprise", "numpy", "urllib.request"}
    assert unneeded & {*libraries(imported), *imported} == set()


@pytest.mark.parametrize("words", [("report", "--json"), ("status", "--offline", "--json")])
def test_an_object_for_a_program_is_not_drawn(imports_of, words):
    assert "rich" not in libraries(imports_of(*words))
