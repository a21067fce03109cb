"""A stage for scenarios: the real command as a process, the simulated gateway, a ledger in a real file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.sim.control import RunningSim

RECORDED = Path(
    os.environ.get("SPXARB_RECORDED_DAYS") or Path(__file__).resolve().parents[3] / "shared" / "data"
)
SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "json"
HASTE = {
    "order_timeout_seconds": 1,
    "exit_rung_seconds": 0.5,
    "quote_timeout_seconds": 3,
    "question_timeout_seconds": 5,
}
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
WAIT_SCALE = "0.1"
"""Against the simulated gateway, which answers at once, the waits of proofs take a tenth: `trading/waits.py`."""
MINE = ("IB_", "TRADING_", "MAX_", "MIN_ENTRY", "DASHBOARD_", "EMAIL_", "SPXARB_", "STATE_DIRECTORY")


def recorded(name: str) -> Path:
    """A recorded day's file; the test is skipped where it is not there."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"the recorded day {name} is not there (it has no licence to be shipped)")
    return path


def fault(what: str, *, when: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    """An entry of a script of faults: its name and parameters; `lasts` is its ``for``, `after` its delay."""
    parameters = {name: value for name, value in rest.items() if name not in {"lasts", "after"}}
    entry: dict[str, Any] = {"what": {what: parameters}}
    if when:
        entry["when"] = when
    if "lasts" in rest:
        entry["for"] = rest["lasts"]
    if "after" in rest:
        entry["after_seconds"] = rest["after"]
    return entry


def withheld(*messages: int | str) -> dict[str, Any]:
    """The fault that messages of these kinds are never sent, to the end of the script."""
    return fault("withhold", messages=list(messages), lasts="always")


FORMATS = FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def _has_an_offset(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def schema_of(command: str) -> Draft202012Validator:
    """What `docs/json` says of a command's object."""
    schema = json.loads((SCHEMAS / f"{command}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema, format_checker=FORMATS)


def read_object(text: str) -> dict[str, Any]:
    """The one JSON object that a command printed; it must be as its schema says."""
    found = json.loads(text)
    wrong = [
        f"{error.json_path}: {error.message}" for error in schema_of(found["command"]).iter_errors(found)
    ]
    assert not wrong, f"{found['command']} --json is not as docs/json says: {wrong}"
    return found


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @cached_property
    def json(self) -> dict[str, Any]:
        return read_object(self.out)

    def __getitem__(self, key: str) -> Any:
        return self.json[key]


@dataclass
class Stage:
    """A gateway, a folder with configuration and ledger, and the command line."""

    folder: Path
    sim: RunningSim
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    mode: str = "sim"
    """As last configured."""
    _reader: sqlite3.Connection | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def day(self) -> date:
        return self.sim.control.time().date()

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def database(self) -> Path:
        return self.folder / "trading.db"

    def write_config(self, **sections: dict[str, Any]) -> None:
        base: dict[str, dict[str, Any]] = {
            "ib": {"port": self.sim.port},
            "trading": {"mode": "sim"},
            "execution": dict(HASTE),
            "storage": {"database": str(self.database)},
            "logging": {"console": False},
        }
        for section, values in {**self.settings, **sections}.items():
            base.setdefault(section, {}).update(values)
        self.mode = base["trading"]["mode"]
        self.config.write_text(yaml.dump(base, Dumper=DUMPER))

    def at(self, clock: str) -> datetime:
        """Set the gateway's clock to this time of its day."""
        hour, minute, *second = map(int, clock.split(":"))
        moment = datetime.combine(self.day, datetime.min.time(), NEW_YORK)
        moment = moment.replace(hour=hour, minute=minute, second=second[0] if second else 0)
        self.sim.control.set_time(moment)
        return moment

    def command(self, *words: str, as_json: bool = True) -> list[str]:
        tail = ["--json"] if as_json else []
        return [sys.executable, "-m", "spxarb", "--config", str(self.config), *words, *tail]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(MINE)}
        haste = {"SPXARB_WAIT_SCALE": WAIT_SCALE} if self.mode == "sim" else {}
        return {**kept, "HOME": str(self.folder), **haste, **more}

    def run(
        self, *words: str, as_json: bool = True, env: dict[str, str] | None = None, timeout: float = 90
    ) -> Done:
        """One command to its end."""
        done = subprocess.run(
            self.command(*words, as_json=as_json),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            cwd=self.folder,
            env=self.environment(**(env or {})),
        )
        result = Done(done.returncode, done.stdout, done.stderr)
        if as_json and result.out:
            assert result.json["exit_code"] == result.code
        return result

    def start(self, *words: str) -> subprocess.Popen[str]:
        """One command, left running."""
        return subprocess.Popen(
            self.command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(),
        )

    def sql(self, text: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the ledger, read as a user would."""
        with self.reading() as db:
            return [dict(row) for row in db.execute(text, values)]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One connection for all that is asked meanwhile: to open it takes longer than most questions."""
        if self._reader is not None:
            yield self._reader
            return
        with closing(sqlite3.connect(self.database)) as db:
            db.row_factory = sqlite3.Row
            self._reader = db
            try:
                yield db
            finally:
                self._reader = None

    def positions(self) -> dict[tuple[str, float | None], float]:
        """What the broker's book holds: (class or symbol, strike) -> contracts."""
        rows = self.sim.control.book()["positions"]
        return {(row["trading_class"] or row["symbol"], row["strike"]): row["quantity"] for row in rows}

    def cash(self) -> float:
        return self.sim.control.book()["cash"]
