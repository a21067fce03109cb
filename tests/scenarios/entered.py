"""A spread that is open already: entered by the real command once, for every scenario that begins with it.

Hundreds of scenarios begin with the same `enter` on the same morning. The first of them runs it, and what it did is
kept: its output, the files that it left, and the orders that it sent. For each other one the files are copied and
the orders sent again; the broker's book must then be what it was, to the cent and to the last id. Where anything
differs (another configuration, clock, gateway or environment, a fault, a ledger or an order that is there already)
the command itself runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import socket
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay import Tap

from spxarb.sim.api.wire import GREETING, MAX_VERSION, MIN_VERSION, Ask, frame, prefixed

if TYPE_CHECKING:
    from harness import Done, Stage

shelf: list[Path] = []
"""The folder in which entries are kept, for all workers of one run of the tests; none: each is made anew."""
SENT_AGAIN = {str(Ask.START_API.value), str(Ask.PLACE_ORDER.value)}
FOLDER, PORT = "{folder}", "{port}"


@dataclass(frozen=True)
class Entry:
    """What one `enter` did."""

    folder: str
    port: int
    """Where its ledger and its gateway were."""
    done: Done
    requests: list[list[str]]
    """Of its connections, in order, those that a book depends on."""
    book: dict[str, Any]


def enter(stage: Stage) -> Done:
    """Run `enter`, or where the same one was run before, do what it did."""
    kept = _place(stage)
    if kept is None:
        return stage.run("enter")
    return _again(stage, kept) if kept.exists() else _first(stage, kept)


def _place(stage: Stage) -> Path | None:
    """Where the entry of such a stage is kept; None for a stage that is like no other."""
    if not shelf or [*stage.folder.iterdir()] != [stage.config] or stage.folder.stat().st_uid != os.geteuid():
        return None
    text = stage.config.read_text(encoding="utf-8")
    if f"port: {stage.sim.port}\n" not in text or stage.sim.options.get("faults"):
        return None
    clock, book = stage.sim.control.ask("time"), stage.sim.control.book()
    untouched = not (book["orders"] or book["fills"] or book["positions"])
    if clock["speed"] != 0 or not untouched or stage.sim.control.ask("fired")["scripts"]:
        return None
    environment = {
        name: value for name, value in stage.environment().items() if not name.startswith("PYTEST_")
    }
    alike = [
        text.replace(f"port: {stage.sim.port}\n", f"port: {PORT}\n"),
        stage.config.stat().st_mode,
        sorted(environment.items()),
        sorted((name, str(value)) for name, value in stage.sim.options.items()),
        clock["time"],
        stage.mode,
        stage.sim.market,
        book,
    ]
    said = json.dumps(alike).replace(str(stage.folder), FOLDER)
    return shelf[0] / hashlib.sha256(said.encode()).hexdigest()


def _first(stage: Stage, kept: Path) -> Done:
    """Run the command and keep what it did, where it ended well."""
    text = stage.config.read_text(encoding="utf-8")
    with Tap(stage.sim.port) as tap:
        stage.config.write_text(text.replace(f"port: {stage.sim.port}\n", f"port: {tap.port}\n"))
        done = stage.run("enter")
        stage.config.write_text(text)
    if stage.database.exists():
        _move(stage, str(stage.folder), tap.port)
    if (done.code, done["outcome"]) != (0, "entered"):
        return done
    requests = [request for request in tap.requests if request[0] in SENT_AGAIN]
    entry = Entry(str(stage.folder), stage.sim.port, done, requests, stage.sim.control.book())
    folder = Path(tempfile.mkdtemp(dir=shelf[0]))
    shutil.copytree(stage.folder, folder / "files", ignore=shutil.ignore_patterns(stage.config.name))
    (folder / "entry").write_bytes(pickle.dumps(entry))
    with suppress(OSError):  # another worker was first
        folder.rename(kept)
    return done


def _again(stage: Stage, kept: Path) -> Done:
    """Do what the command did."""
    entry: Entry = pickle.loads((kept / "entry").read_bytes())
    _send(stage.sim.port, entry.requests)
    assert stage.sim.control.book() == entry.book, (
        "the entry that was kept is not the one that this stage gets"
    )
    shutil.copytree(kept / "files", stage.folder, copy_function=shutil.copy, dirs_exist_ok=True)
    _move(stage, entry.folder, entry.port)
    return entry.done


def _move(stage: Stage, folder: str, port: int) -> None:
    """What the files say of the folder and the gateway of which they tell becomes true of the stage's own."""
    ours = str(stage.folder)
    for log in stage.folder.glob("*.log"):
        log.write_text(log.read_text(encoding="utf-8").replace(folder, ours), encoding="utf-8")
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as ledger:
        ledger.execute("UPDATE runs SET arguments = replace(arguments, ?, ?)", (folder, ours))
        ports = f'"port": {port},', f'"port": {stage.sim.port},'
        ledger.execute("UPDATE trades SET limits = replace(limits, ?, ?)", ports)


def _send(port: int, requests: list[list[str]]) -> None:
    """Each connection's requests, one connection after the other, each heard to its end."""
    starts = [number for number, request in enumerate(requests) if request[0] == str(Ask.START_API.value)]
    for start, end in zip(starts, [*starts[1:], len(requests)], strict=True):
        with socket.create_connection(("127.0.0.1", port)) as gateway:
            gateway.sendall(GREETING + prefixed(f"v{MIN_VERSION}..{MAX_VERSION}".encode()))
            gateway.sendall(b"".join(frame(*request) for request in requests[start:end]))
            gateway.shutdown(socket.SHUT_WR)
            while gateway.recv(1 << 16):
                pass
