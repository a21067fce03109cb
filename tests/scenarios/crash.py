"""Killing the real process at every message it sends and at every commit of its ledger, and what must hold after.

A tap stands between the command and the gateway: it counts the messages that the command sends, and at the
wished one kills it (SIGKILL), before the gateway gets the message or once the gateway has acted on it. For
commits the command is started through `VICTIM`, which counts them and kills itself at the wished one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from told import untold
from warm_starts import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

Moment = Literal["before", "after"]

VICTIM = """
import os, signal, sys
from contextlib import contextmanager
from spxarb.ledger import schema

at, moment, done = int(os.environ["KILL_AT_COMMIT"]), os.environ["KILL_MOMENT"], 0
commit = schema.immediate

@contextmanager
def counted(db):
    global done
    with commit(db):
        yield
        done += 1
        if done == at and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
    if done == at and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)

schema.immediate = counted
from spxarb.cli.commands import main
code = main()
if at == 0:
    sys.stderr.write(f"COMMITS {done}\\n")
sys.exit(code)
"""
scripts.add(VICTIM)


@dataclass(frozen=True)
class Point:
    """Where a command is killed: at its n-th message to the gateway, or at its n-th commit."""

    kind: Literal["message", "commit"]
    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} {self.kind} {self.number}"


class Tap:
    """A relay to the gateway for one command. It counts frames to the gateway and may kill the sender."""

    def __init__(self, stage: Stage, point: Point | None) -> None:
        self.stage, self.point = stage, point
        self.victim: subprocess.Popen[str] | None = None
        self.sent: list[int] = []  # message ids, in order
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._hush = threading.Event()  # set: nothing more reaches the client
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone wakes no `accept`

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._listener:
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._link, args=(client,), daemon=True).start()

    def _link(self, client: socket.socket) -> None:
        """Both directions of one connection, until either end hangs up."""
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self.stage.sim.port)) as gateway,
        ):
            down = threading.Thread(target=self._down, args=(gateway, client), daemon=True)
            down.start()
            self._up(client, gateway)
            down.join()

    def _down(self, gateway: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := gateway.recv(65536):
                if not self._hush.is_set():
                    client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def _up(self, client: socket.socket, gateway: socket.socket) -> None:
        with contextlib.suppress(OSError):
            gateway.sendall(_exactly(client, 4))  # API and NUL
            while frame := _frame(client):
                self.sent.append(_message_id(frame))
                due = (
                    self.point is not None
                    and self.point.kind == "message"
                    and len(self.sent) == self.point.number
                )
                if due and self.point and self.point.moment == "before":
                    self._kill()
                    break
                if due:
                    self._hush.set()
                gateway.sendall(frame)
                if due:
                    self.stage.sim.control.time()  # answered once the gateway has read what came before
                    self.stage.sim.control.time()
                    self._kill()
                    break
        for end in (gateway, client):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _kill(self) -> None:
        assert self.victim is not None
        self.victim.kill()
        self.victim.wait()


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def _frame(source: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        head = _exactly(source, 4)
        return head + _exactly(source, struct.unpack(">I", head)[0])
    return b""


def _message_id(frame: bytes) -> int:
    first = frame[4:].split(b"\0")[0]
    return int(first) if first.isdigit() else 0


# --- one run ----------------------------------------------------------------------------------------------


def count_points(stage: Stage, *words: str) -> tuple[int, int]:
    """How many messages the command sends and how many commits it makes when nobody disturbs it."""
    with tapped(stage, None) as tap:
        process = _start(stage, tap, Point("commit", 0, "after"), *words)
        _, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
    commits = int(err.rpartition("COMMITS ")[2])
    return len(tap.sent), commits


def kill_at(stage: Stage, point: Point, *words: str) -> int:
    """Run a command and kill it there. Returns its exit code: -9 when it was still alive then."""
    with tapped(stage, point) as tap:
        process = _start(stage, tap, point, *words)
        tap.victim = process
        process.communicate(timeout=90)
        return process.returncode


@contextlib.contextmanager
def tapped(stage: Stage, point: Point | None) -> Iterator[Tap]:
    """The stage's configuration leads through the tap while the block runs."""
    tap = Tap(stage, point)
    stage.write_config(ib={"port": tap.port})
    try:
        yield tap
    finally:
        tap.close()
        stage.write_config()


def _start(stage: Stage, tap: Tap, point: Point, *words: str) -> subprocess.Popen[str]:
    number = point.number if point.kind == "commit" else -1
    command = [sys.executable, "-c", VICTIM, "--config", str(stage.config), *words, "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=stage.folder,
        env=stage.environment(KILL_AT_COMMIT=str(number), KILL_MOMENT=point.moment),
    )
    tap.victim = process
    return process


# --- what must hold -----------------------------------------------------------------------------------------


def broken_laws(stage: Stage, cash_before: float) -> list[str]:
    """Every way in which ledger and broker disagree, or a law does not hold; empty when all is well."""
    book = stage.sim.control.book()
    with stage.reading():
        tag, ours = _our_fills(stage, book)
        return [
            *_fills_differ(stage, ours),
            *_naked_at_any_time(stage, ours),
            *_orders_alive(book, tag),
            *_too_many(stage),
            *_cash_differs(stage, book["cash"] - cash_before),
            *_half_done(stage),
            *untold(stage),
        ]


def laws_though_others_moved(stage: Stage) -> list[str]:
    """The laws that hold as well where contracts came or went that no order of ours traded."""
    book = stage.sim.control.book()
    with stage.reading():
        tag, ours = _our_fills(stage, book)
        return [*_fills_differ(stage, ours), *_orders_alive(book, tag), *_too_many(stage), *untold(stage)]


def _our_fills(stage: Stage, book: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The ledger's tag, and the fills of the book that bear it."""
    tag = stage.sql("SELECT value FROM meta WHERE key = 'tag'")[0]["value"]
    return tag, [fill for fill in book["fills"] if fill["order_ref"].startswith(f"spxarb:{tag}:")]


def _fills_differ(stage: Stage, ours: list[dict[str, Any]]) -> list[str]:
    by_us = "SELECT * FROM executions WHERE superseded = 0 AND purpose <> 'h'"  # the rest: by hand
    told = {row["exec_id"]: row for row in stage.sql(by_us)}
    found = [
        f"execution {exec_id} is not in the book"
        for exec_id in set(told) - {fill["exec_id"] for fill in ours}
    ]
    for fill in ours:
        row = told.get(fill["exec_id"])
        if row is None:
            found.append(f"execution {fill['exec_id']} ({fill['order_ref']}) is not in the ledger")
        elif (row["price"], row["quantity"], row["commission"]) != (
            fill["price"],
            fill["shares"],
            fill["commission"],
        ):
            found.append(f"execution {fill['exec_id']} differs: {row} {fill}")
    return found


def _naked_at_any_time(stage: Stage, ours: list[dict[str, Any]]) -> list[str]:
    """After every fill: a trade's short SPY calls are at most ten times its long SPX calls.

    A fill that was taken back later counted until then, and when that was the book does not say: what breaks the law
    with it and without it is told.
    """
    readings = (_first_told(stage), {})
    broken = [set(_naked(ours, sizes)) for sizes in readings]
    return sorted(broken[0] & broken[1], key=_naked(ours, {}).index)


def _first_told(stage: Stage) -> dict[str, float]:
    """How many contracts each fill was before it was corrected, by the name that its revisions share."""
    rows = stage.sql("SELECT family, quantity FROM executions WHERE superseded = 1 ORDER BY exec_id DESC")
    return {row["family"]: row["quantity"] for row in rows}


def _naked(ours: list[dict[str, Any]], sizes: dict[str, float]) -> list[str]:
    held: defaultdict[str, dict[str, float]] = defaultdict(lambda: {"SPX": 0, "SPY": 0})
    found = []
    for fill in ours:
        trade, family = fill["order_ref"].split(":")[2], fill["exec_id"].rpartition(".")[0]
        shares = sizes.get(family, fill["shares"])
        held[trade][fill["symbol"]] += shares * (1 if fill["side"] in {"BOT", "BUY"} else -1)
        spx, spy = held[trade]["SPX"], held[trade]["SPY"]
        if -spy > 10 * spx or spx < 0 or spy > 0:
            found.append(
                f"trade {trade} was naked or the wrong way after {fill['exec_id']} ({fill['order_ref']})"
            )
    return found


def _orders_alive(book: dict[str, Any], tag: str) -> list[str]:
    """Nothing of ours works at the broker but resting fail-safes of spreads that are open."""
    return [
        f"order {order['order_ref']} is {order['status']}"
        for order in book["orders"]
        if order["order_ref"].startswith(f"spxarb:{tag}:")
        and order["status"] in {"Submitted", "PreSubmitted", "PendingSubmit"}
        and ":f" not in order["order_ref"]
    ]


def _too_many(stage: Stage) -> list[str]:
    rows = stage.sql("SELECT count(DISTINCT trade_id) AS n FROM executions")
    limit = stage.settings["trading"]["max_spreads_per_day"]
    return [f"{rows[0]['n']} spreads, at most {limit}"] if rows[0]["n"] > limit else []


def _cash_differs(stage: Stage, change: float) -> list[str]:
    rows = stage.sql("SELECT entry_credit, exit_cost FROM trades")
    total = sum(
        (Decimal(str(row["entry_credit"] or 0)) - Decimal(str(row["exit_cost"] or 0)) for row in rows),
        Decimal(0),
    )
    return (
        [f"the account changed by {change:.2f}, the ledger says {total}"]
        if abs(float(total) - change) > 0.001
        else []
    )


def _half_done(stage: Stage) -> list[str]:
    return [
        f"trade {row['id']} is {row['status']}: {row['note']}"
        for row in stage.sql("SELECT id, status, note FROM trades WHERE status NOT IN ('ACTIVE', 'CLOSED')")
    ]


def alive(process: subprocess.Popen[str]) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIG_DFL)
        return process.poll() is None
    return False
