"""A command in a terminal of a given size: what stands on its screen, and keys that are typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from harness import Stage

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class TerminalCommand:
    """One command with all three streams on a pseudo-terminal."""

    def __init__(self, stage: Stage, *words: str, columns: int = 80, rows: int = 24) -> None:
        self._terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.columns = columns
        environment = {**stage.environment(), "TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        self._process = subprocess.Popen(
            stage.command(*words, as_json=False),
            stdin=side,
            stdout=side,
            stderr=side,
            cwd=stage.folder,
            env=environment,
            start_new_session=True,
        )
        os.close(side)
        self._seen = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    @property
    def raw(self) -> str:
        return self._seen.decode()

    @property
    def lines(self) -> list[str]:
        """What was written, line by line, without colours."""
        return COLOUR.sub("", self.raw).replace("\r\n", "\n").split("\n")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def read_until(self, text: str, seconds: float = 60) -> None:
        end = monotonic() + seconds
        while text not in self.text:
            assert monotonic() < end, f"{text!r} never came: {self.text}"
            assert self._read(), f"it ended without {text!r}: {self.text}"

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, seconds: float = 90) -> int:
        """Everything up to its end. Returns the exit code."""
        end = monotonic() + seconds
        while self._read():
            assert monotonic() < end, f"it does not end: {self.text}"
        return self._process.wait(timeout=10)

    def _read(self) -> bool:
        """Take what there is; False once the other side is closed."""
        ready, _, _ = select.select([self._terminal], [], [], 0.5)
        if not ready:
            return self._process.poll() is None
        with suppress(OSError):  # how a terminal says that its last program is gone
            if more := os.read(self._terminal, 65536):
                self._seen += more
                return True
        return False
