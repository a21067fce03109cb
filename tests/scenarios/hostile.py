"""A gateway that lies: it stands between a command and the simulated gateway, and by seed sends what none would.

`make fuzz` plays it against the real commands for ten minutes (`MINUTES=1`, `SEED=17` repeats one command).
After each: it ended in time by a code that says so, in bounded memory, with a whole ledger, and nothing of what
was sent steers a terminal or passes for a line of the log.
"""

from __future__ import annotations

import argparse
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from actions import enter, playing

from spxarb.sim.api.wire import FrameReader, Say, split_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Stage

EXPECTED = {0, 4, 5, 6}
"""Exit codes; 1 is a bug, 3 of the configuration, 7 of the lock."""
MOST_MEMORY = 150_000_000
MOST_SECONDS = 60.0
MOST_SAID = 20_000
"""Bytes that a command may print, and by which its log may grow at INFO."""
MOST_LOGGED = 2_000_000
VERBS = (
    ("monitor",),
    ("close-all", "--yes"),
    ("enter",),
    ("settle",),
    ("status",),
    ("doctor",),
)
FORGED = "\r\n2026-02-10T15:45:00.000-05:00 ERROR 1 spxarb: forged\x1b[2J\x1b]0;owned\x07\u202eevil\u200b"
EVIL = (
    *("", "abc", "None", "NaN", "nan", "inf", "-inf", "-1", "0", "1", "-0.0", "1e999999", "1e-999999"),
    *("1.7976931348623157E308", "2147483647", "2147483648", "-2147483649", "9223372036854775808", "9" * 5000),
    *(
        "1e24",
        "0.000001",
        "1_0",
        "\u0661\u0662",
        FORGED,
        "\\u001b[31m\\ud83d\\u000aERROR",
        "A" * 5000,
        "=1+1",
    ),
    *("20260210", "20260210 15:45:00 Nowhere/Zone", "99999999", "4102444799", "-62135596800", "US/Eastern"),
)
ENDS = {
    Say.CONTRACT_DETAILS_END: Say.CONTRACT_DETAILS,
    Say.OPEN_ORDERS_END: Say.OPEN_ORDER,
    Say.EXECUTIONS_END: Say.EXECUTION,
    Say.POSITIONS_END: Say.POSITION,
    Say.ACCOUNT_SUMMARY_END: Say.ACCOUNT_SUMMARY,
    Say.ACCOUNT_MULTI_END: Say.ACCOUNT_MULTI,
    Say.COMPLETED_ORDERS_END: Say.COMPLETED_ORDER,
}
Bytes = bytes


def packed(*fields: object) -> bytes:
    """A frame of these fields, whatever is in them."""
    payload = "".join(f"{one}\0" for one in fields).encode("utf-8", "surrogatepass")
    return struct.pack(">I", len(payload)) + payload


def _greeting(version: object = 176, *more: object) -> bytes:
    return packed(version, "20260210 15:45:00 EST", *more)


def _rubbish(dice: random.Random) -> bytes:
    return dice.choice((
        dice.randbytes(dice.choice((1, 3, 5, 400, 70_000))),
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(500),
        bytes(4) * 1000,
        *(_greeting(version) for version in (0, -1, 9999, 177, "abc", "9" * 5000, "1_76", "\u0661\u0667\u0666", "")),
        _greeting(176, "more"),
        packed(176),
        packed(*["1"] * 400_000),
        _greeting() + packed(15, 1, ",".join(f"SIM{n:07}" for n in range(50_000))) + packed(9, 1, "9" * 30),
        _greeting() + packed(9, 1, "abc") + packed(15, 1, "") + packed(15) + packed(9) + packed(""),
        packed(4, 2, -1, 502, FORGED, "") + _greeting(),
    ))  # fmt: skip


# --- what is sent without end -------------------------------------------------------------------------


def _floods(dice: random.Random) -> Iterator[bytes]:
    """Messages of one kind, each a bit different."""
    client, big = 1, "x" * dice.choice((1, 200, 100_000, 900_000))
    kinds: tuple[Callable[[int], bytes], ...] = (
        lambda n: packed(3, n % 50, "Submitted", 0, 1, 0, n, 0, 0, client, "", 0),
        lambda n: packed(3, 1, f"Sub{n}{big}", 0, 1, 0, n, 0, 0, client, "", 0),
        lambda n: packed(59, 1, f"e.{n}.{big}", 1.5, "USD", 0, 0, 0),
        lambda n: packed(4, 2, -1, 2000 + n, f"notice {n} {big}{FORGED}", ""),
        lambda n: packed(4, 2, n % 9 + 1, 399, f"order message {n} {big}", ""),
        lambda n: packed(4, 2, -1, 2103, f"Market data farm connection is broken:farm{n}{big}", ""),
        lambda n: packed(4, 2, -1, (1100, 1101, 1102)[n % 3], f"link {n}", ""),
        lambda n: packed(15, 1, ",".join(f"SIM{n + one:07}" for one in range(90_000 if n % 9 == 0 else 1))),
        lambda n: packed(9, 1, n),
        lambda n: packed(49, 1, 1_770_000_000 + n),
        lambda n: packed(1, 6, 1_000_000_000 + n % 30, n % 9, 6900 + n % 7, 10, 0),
        lambda n: packed(2, 6, 1_000_000_000 + n % 30, n % 9, n),
        lambda n: packed(46, 6, 1_000_000_000 + n % 30, 45, "9" * 40),
        lambda n: packed(200 + n % 900, 1, big),
        lambda n: packed("abc", n, big),
        lambda n: packed(61, n),
        lambda n: packed(11, -1, n, big),
        lambda n: packed(5, n, "", big),
        lambda _: bytes(4),
        lambda n: packed(*range(dice.choice((4_000, 300_000)))) if n else b"",
        lambda n: packed(11, -1, n % 20, 756733, "SPY", "OPT", "20260210", "690", "C", "100", "SMART", "USD", "x", "SPY", f"e.{n}",
                         "20260210 15:45:00 US/Eastern", "SIM0000001", "SMART", "BOT", 1, 1.5, n, client, 0, 1, 1.5, f"spxarb:{n}", "", "", "", 1),
    )  # fmt: skip
    kind = dice.choice(kinds)
    for number in count():
        yield kind(number)


def _row_like(fields: list[str], number: int, dice: random.Random) -> bytes:
    """A row of a list once more, under another number."""
    places = [place for place, text in enumerate(fields) if place > 2 and text.isdigit() and len(text) > 3]
    changed = list(fields)
    for place in places[: dice.choice((0, 1, 9))]:
        changed[place] = str(int(changed[place]) % 1_000_000_000 + number)
    return packed(*changed)


def mutated(frame_fields: list[str], dice: random.Random) -> list[bytes]:
    """One message as a broken gateway may send it."""
    fields = list(frame_fields)
    place = dice.randrange(len(fields)) if fields else 0
    match dice.randrange(9):
        case 0 | 1 | 2 if fields:
            fields[place] = dice.choice(EVIL)
        case 3 if fields:
            del fields[place]
        case 4:
            fields.insert(place, dice.choice(EVIL))
        case 5 if fields:
            fields[0] = str(dice.randrange(-1, 130))
        case 6:
            return []
        case 7:
            fields = fields[:place]
        case _:
            return [packed(*fields)] * dice.choice((2, 50))
    return [packed(*fields)]


# --- the gateway ----------------------------------------------------------------------------------------


class Hostile:
    """Takes commands' connections; what a seed decides is done to each."""

    def __init__(self, gateway: int, seed: object) -> None:
        self._gateway, self._seed = gateway, seed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.did: list[str] = []
        self._open: set[socket.socket] = set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield
        finally:
            for one in (self._listener, *self._open):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            for number in count():
                client, _ = self._listener.accept()
                self._open.add(client)
                dice = random.Random(f"{self._seed} {number // 3}")
                threading.Thread(target=self._treat, args=(client, dice), daemon=True).start()

    def _treat(self, client: socket.socket, dice: random.Random) -> None:
        with suppress(OSError), client:
            if dice.random() < 0.2:
                self._before_the_logon(client, dice)
            else:
                with socket.create_connection(("127.0.0.1", self._gateway)) as gateway:
                    self._open.add(gateway)
                    threading.Thread(target=_pass_on, args=(client, gateway), daemon=True).start()
                    self._answers(gateway, client, dice)

    def _before_the_logon(self, client: socket.socket, dice: random.Random) -> None:
        data = _rubbish(dice)
        self.did.append(f"rubbish {data[:12]!r}")
        if dice.random() < 0.2:  # byte by byte
            for one in data[:200]:
                client.sendall(bytes([one]))
                time.sleep(0.01)
        client.sendall(data)
        if dice.random() < 0.5:
            while client.recv(1 << 16):
                pass

    def _answers(self, gateway: socket.socket, client: socket.socket, dice: random.Random) -> None:
        """The gateway's words, up to the one at which it begins to lie."""
        act = dice.choice((self._announce, self._flood, self._flood, self._flood, self._half, self._mutate, self._mutate, self._rows, self._rows, self._drip))  # fmt: skip
        self.did.append(act.__name__)
        reader, begins, seen = FrameReader(), dice.choice((1, 2, 4, dice.randrange(80))), 0
        while data := gateway.recv(1 << 16):
            reader.feed(data)
            while (payload := reader.payload()) is not None:
                seen += 1
                fields = split_fields(payload)
                if seen < begins or not act(client, fields, dice):
                    client.sendall(struct.pack(">I", len(payload)) + payload)

    def _announce(self, client: socket.socket, _: list[str], dice: random.Random) -> bool:
        length = dice.choice(((1 << 31) - 1, (1 << 32) - 1, (1 << 20) + 1, 1 << 20))
        self.did.append(f"announced {length}")
        client.sendall(struct.pack(">I", length))
        while True:
            client.sendall(b"4\0002\000-1\000" * 5000)

    def _flood(self, client: socket.socket, _: list[str], dice: random.Random) -> bool:
        frames = _floods(dice)
        first = next(frames)
        self.did.append(f"flood {first[4:30]!r}")
        client.sendall(first)
        while True:
            data = bytearray()
            while len(data) < 50_000:
                data += next(frames)
            client.sendall(data)

    def _half(self, client: socket.socket, fields: list[str], dice: random.Random) -> bool:
        whole = packed(*fields)
        client.sendall(whole[: dice.randrange(len(whole))])
        if dice.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if dice.random() < 0.8:
            raise OSError
        time.sleep(100)
        return True

    def _mutate(self, client: socket.socket, fields: list[str], dice: random.Random) -> bool:
        if dice.random() < 0.8:
            return False
        for one in mutated(fields, dice):
            client.sendall(one)
        return True

    def _rows(self, client: socket.socket, fields: list[str], dice: random.Random) -> bool:
        """A list that never ends."""
        kind = ENDS.get(Say(int(fields[0]))) if fields[0].isdigit() and int(fields[0]) in set(Say) else None
        if kind is None or dice.random() < 0.5:
            self._last = getattr(self, "_last", {}) | {fields[0]: fields}
            return False
        row = self._last.get(str(int(kind)))
        self.did.append(f"rows of {kind.name}" if row else f"no end of {kind.name}")
        for number in count():
            client.sendall(_row_like(row, number, dice) if row else packed(int(kind), fields[-1], number))
        return True

    def _drip(self, client: socket.socket, fields: list[str], dice: random.Random) -> bool:
        for one in packed(*fields):
            client.sendall(bytes([one]))
            time.sleep(dice.choice((0, 0, 0.001, 0.3)))
        return True


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# --- commands against it ----------------------------------------------------------------------------------


@dataclass
class Ended:
    """How one command ended, and what is wrong with that."""

    words: tuple[str, ...]
    code: int
    seconds: float
    memory: int
    did: list[str]
    err: str
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        how = f"exit {self.code}, {self.memory / 1e6:.0f} MB, {self.seconds:.1f} s"
        wrong = ", ".join(self.problems) or "well"
        return f"{' '.join(self.words)}: {wrong}; {how}; {self.did}\n  {self.err[:600]}"


MEASURE = """
import os, resource, signal, sys
streams = [(os.POSIX_SPAWN_DUP2, OUT, 1), (os.POSIX_SPAWN_DUP2, ERR, 2)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=streams)
signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
signal.alarm(60)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process starts the command: the peak of a child begins with what its parent has."""


def measured(stage: Stage, words: tuple[str, ...]) -> tuple[int, float, int, bytes, bytes]:
    """Exit code (negative where it was killed as too late), seconds, peak memory in bytes, stdout, stderr."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        command = stage.command(*words, as_json=False)
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-c", MEASURE.replace("OUT", str(out.fileno())).replace("ERR", str(err.fileno())), *command],
            capture_output=True, check=True, cwd=stage.folder, env=stage.environment(), pass_fds=(out.fileno(), err.fileno()),
        )  # fmt: skip
        seconds = time.monotonic() - began
        code, memory = map(int, done.stdout.split())
        for stream in (out, err):
            stream.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        return code, seconds, memory * unit, out.read(), err.read()


def attack(stage: Stage, seed: object, verbs: tuple[tuple[str, ...], ...] = VERBS) -> Ended:
    """One command against a gateway that lies by this seed, on a copy of the ledger."""
    dice = random.Random(f"verb {seed}")
    words = dice.choice(verbs)
    hostile = Hostile(stage.sim.port, seed)
    level = "DEBUG" if dice.random() < 0.2 else "INFO"
    whole = stage.database.with_suffix(".whole")
    if not whole.exists():
        shutil.copy(stage.database, whole)
    for leftover in stage.folder.glob("trading.*"):
        if leftover != whole:
            leftover.unlink()
    shutil.copy(whole, stage.database)
    stage.write_config(ib={"port": hostile.port},
                       logging={"level": level, "console": False})  # fmt: skip
    with hostile.listening():
        code, seconds, memory, out, err = measured(stage, words)
    ended = Ended(words, code, seconds, memory, hostile.did, err.decode(errors="replace"))
    logs = b"".join(path.read_bytes() for path in stage.folder.glob("trading.log*"))
    ended.problems = list(_problems(ended, out, err, logs, stage))
    return ended


def _problems(ended: Ended, out: bytes, err: bytes, logs: bytes, stage: Stage) -> Iterator[str]:
    if ended.code not in EXPECTED:
        yield f"exit {ended.code}"
    if ended.memory > MOST_MEMORY:
        yield f"{ended.memory / 1e6:.0f} MB"
    if ended.seconds >= MOST_SECONDS:
        yield f"{ended.seconds:.0f} s"
    if len(out) + len(err) > MOST_SAID or len(logs) > MOST_LOGGED:
        yield f"printed {len(out)} + {len(err)} bytes, logged {len(logs)}"
    if ended.code and err.count(b"\n") != 1:
        yield f"{len(err.splitlines())} lines on stderr"
    for name, data in (("stdout", out), ("stderr", err), ("the log", logs)):
        text = data.decode(errors="replace")
        bad = {letter for letter in text if not letter.isprintable() and letter != "\n"}
        if bad or any(
            line.startswith("2026-02-10T15:45:00.000-05:00 ERROR 1 ") for line in text.splitlines()
        ):
            yield f"{name} holds {bad or 'a forged line'}"
    with closing(sqlite3.connect(stage.database)) as db:
        if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            yield "the ledger is damaged"
        if db.execute("SELECT count(*) FROM trades").fetchone()[0] < 1:
            yield "the ledger has lost its trade"
    if stage.database.stat().st_size > 5_000_000:
        yield f"the ledger has {stage.database.stat().st_size} bytes"


@contextmanager
def victim(folder: Path) -> Iterator[Stage]:
    """A spread that is open and due."""
    with playing(folder) as stage:
        stage.settings["execution"] = {"question_timeout_seconds": 2, "quote_timeout_seconds": 1}
        stage.write_config()
        enter(stage)
        stage.at("15:45")
        yield stage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", help="repeat one command")
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    until, codes, worst, slowest, failed = time.monotonic() + 60 * options.minutes, Counter[int](), 0, 0.0, 0
    first = random.SystemRandom().randrange(1_000_000)
    seeds = iter([options.seed]) if options.seed else map(str, count(first))
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder, victim(Path(folder)) as stage:
            for seed in seeds:
                ended = attack(stage, seed)
                codes[ended.code] += 1
                worst, slowest = max(worst, ended.memory), max(slowest, ended.seconds)
                if ended.problems or options.seed:
                    failed += bool(ended.problems)
                    print(f"seed {seed}: {ended}", flush=True)
                if time.monotonic() > until or len(stage.positions()) < 2:
                    break
        if options.seed:
            break
    print(f"{codes.total()} commands, {failed} failed; exit codes {dict(sorted(codes.items()))}, "
          f"peak memory {worst / 1e6:.0f} MB, longest {slowest:.1f} s")  # fmt: skip
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
