"""Steer a running gateway from outside: clock, faults, book, end. For demonstrations and tests.

The protocol: JSON objects over loopback TCP, one per line; one line answers each request, in order. The first
request of a connection has the token that the gateway told at its start: ``{"op": "time", "token": "5f.."}``.
What is no request (no JSON object, no token, longer than a megabyte) ends the connection.

| request | answer |
|---|---|
| ``{"op": "time"}`` | ``{"ok": true, "time": ISO, "speed": X}`` |
| ``{"op": "set_time", "time": ISO with offset}`` | as ``time``, once clients were written to |
| ``{"op": "advance", "seconds": X}`` | as ``set_time`` |
| ``{"op": "speed", "value": X}`` | as ``time``; market seconds per machine second, 0 stands still |
| ``{"op": "book"}`` | account, cash, values, orders, fills, positions |
| ``{"op": "quote", "con_id": N}`` | the quote now: bid, ask, last and sizes |
| ``{"op": "script", "entries": [..]}`` | plays a script of faults in place of the old one |
| ``{"op": "fired"}`` | which entries have fired: time, entry, fault; how many ``scripts`` were played |
| ``{"op": "drop"}`` | cuts every client, or with ``"client_id"`` that one, as a broken cable would |
| ``{"op": "say", "fields": [..]}`` | sends every client, or that one, a message of these fields |
| ``{"op": "statement", "kind": K}`` | its Flex XML as ``xml``; K is ``activity`` or ``confirms`` |
| ``{"op": "stop"}`` | ``{"ok": true}``, then the gateway ends |

To a request that makes no sense: ``{"ok": false, "error": one line}``. Time never goes back. No file is read
for a request: who has a script in a file sends what is in it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

from spxarb.sim.token import kept

Answer = dict[str, Any]

START_SECONDS = 20.0
"""How long a gateway may take to come up, and to end, before it is killed."""
ANSWER_SECONDS = 60.0


class ControlError(RuntimeError):
    """The gateway refused a request, or is gone; the text says why."""


class Control:
    """A blocking client of the control port. Every call waits for its answer, at most ANSWER_SECONDS."""

    def __init__(self, port: int, host: str = "127.0.0.1", token: str | None = None) -> None:
        """Connect and show the token. Raises OSError when nobody listens, ControlError for another's gateway.

        The token of a gateway that this user started is found by itself.
        """
        self._token = kept(host, port) if token is None else token
        self._socket = socket.create_connection((host, port), timeout=ANSWER_SECONDS)
        self._file = self._socket.makefile("rb")
        try:
            self.time()  # who says nothing for some seconds is cut off
        except ControlError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Use as a context manager to close the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection; the gateway keeps running."""
        self.close()

    def close(self) -> None:
        """Close the connection; the gateway keeps running."""
        self._file.close()
        self._socket.close()

    def ask(self, op: str, **fields: object) -> Answer:
        """One request and its answer. Raises ControlError when it is refused or the gateway is gone."""
        try:
            shown = {"token": self._token} if self._token else {}
            self._socket.sendall(json.dumps({"op": op, **fields, **shown}).encode() + b"\n")
            self._token = ""  # once a connection
            line = self._file.readline()
        except OSError as problem:
            raise ControlError(f"no answer to {op} from the simulated gateway: {problem}") from problem
        if not line:
            raise ControlError(f"no answer to {op}: the simulated gateway is gone")
        answer: Answer = json.loads(line)
        if not answer.pop("ok"):
            raise ControlError(answer["error"])
        return answer

    def time(self) -> datetime:
        """The market time."""
        return datetime.fromisoformat(self.ask("time")["time"])

    def set_time(self, moment: datetime) -> datetime:
        """Move the clock forward to the aware time `moment`; returns once clients were written to."""
        return datetime.fromisoformat(self.ask("set_time", time=moment.isoformat())["time"])

    def advance(self, seconds: float) -> datetime:
        """Move the clock forward by `seconds` of market time."""
        return datetime.fromisoformat(self.ask("advance", seconds=seconds)["time"])

    def speed(self, value: float) -> None:
        """Let the clock run `value` market seconds per machine second; 0 stands still."""
        self.ask("speed", value=value)

    def book(self) -> Answer:
        """Orders, fills, positions, cash and account values, whoever sent the orders."""
        return self.ask("book")

    def quote(self, con_id: int) -> Answer:
        """The quote of one contract now."""
        return self.ask("quote", con_id=con_id)

    def script(self, entries: object = (), seed: int = 0) -> None:
        """Play a script of faults from now on; the old one and its faults end. Without entries nothing fails.

        A path stands for what is in that file (YAML), which is read here. Raises ControlError with every
        problem of a script that cannot be played, OSError.
        """
        if isinstance(entries, Path):
            from spxarb.sim.yaml_file import plain_file  # noqa: PLC0415 -- YAML is for files alone

            try:
                entries = plain_file(entries)
            except ValueError as problem:
                raise ControlError(str(problem)) from None
        self.ask("script", entries=entries, seed=seed)

    def fired(self) -> list[Answer]:
        """Which entries of the script have fired: `time`, `entry` (from 1 on) and `fault` of each firing."""
        found: list[Answer] = self.ask("fired")["fired"]
        return found

    def drop(self, client_id: int | None = None) -> None:
        """Cut the connection of one client or of all, as a broken cable would."""
        self.ask("drop", client_id=client_id)

    def say(self, *fields: str | float, client_id: int | None = None) -> None:
        """Send one client or all a message of these fields, such as 4, 2, -1, 1100, "lost", ""."""
        self.ask("say", fields=fields, client_id=client_id)

    def statement(
        self,
        kind: str = "activity",
        since: str | None = None,
        until: str | None = None,
        *,
        references: bool = True,
    ) -> str:
        """The account's statement as Flex XML, of the days from `since` to `until` (ISO dates).

        Without `references` the rows do not name our orders. Raises ControlError for days that it does not
        have yet.
        """
        answer = self.ask("statement", kind=kind, since=since, until=until, references=references)
        return str(answer["xml"])

    def stop(self) -> None:
        """End the gateway."""
        self.ask("stop")


class RunningSim:
    """A simulated gateway in its own process, for as long as the ``with`` block lasts.

    It ends with its parent, however that ends: it watches its standard input, a pipe.
    Attributes: `options` as given, and once entered `port`, `control_port`, `market` (one line), `control`
    (a `Control`).
    """

    def __init__(
        self,
        faults: object = None,
        *,
        folder: str | None = None,
        environment: Mapping[str, str] | None = None,
        **options: str | float | Path | None,
    ) -> None:
        """`options` are those of ``python -m spxarb.sim``, such as date="2026-11-24", at="09:40", speed=0.

        `faults` is a script of faults: a file's path, or the entries themselves. `folder`, `environment`:
        those of the process; None: this one's.
        """
        self._folder, self._environment = folder, environment
        self._script = None if isinstance(faults, str | Path) else faults
        file = faults if isinstance(faults, str | Path) else None
        self.options = {"port": 0, "faults": file, **options}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start and wait until clients may connect. Raises ControlError with the gateway's output if not."""
        given = {name: value for name, value in self.options.items() if value is not None}
        flags = [name for name, value in given.items() if value is True]
        given = {name: value for name, value in given.items() if not isinstance(value, bool)}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        arguments += [f"--{name.replace('_', '-')}" for name in flags]
        command = [sys.executable, "-P", "-m", "spxarb.sim", "--json", "--end-with-input", *arguments]
        with tempfile.TemporaryFile() as errors:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(  # noqa: S603 -- our own command
                command, stdin=pipe, stdout=pipe, stderr=errors, cwd=self._folder, env=self._environment
            )
            line = self._first_line(self._process)
            if not line:
                self._end()
                errors.seek(0)
                output = errors.read().decode(errors="replace").strip()
                raise ControlError(f"the simulated gateway did not start: {output or 'it printed nothing'}")
        listening: Answer = json.loads(line)
        self.port: int = listening["port"]
        self.control_port: int = listening["control_port"]
        self.market: str = listening["market"]
        self.control = Control(self.control_port, listening["host"], listening["control_token"])
        if self._script is not None:
            try:
                self.control.script(self._script)
            except ControlError:
                self.__exit__()
                raise
        return self

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        """The first line of the process; empty when it ends or prints nothing for START_SECONDS."""
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            return process.stdout.readline() if process.stdout else b""
        finally:
            timer.cancel()

    def __exit__(self, *_: object) -> None:
        """End the gateway and its process."""
        self.control.close()
        self._end()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
