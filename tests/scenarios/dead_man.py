"""A dead-man service on loopback: it keeps every ping; and servers that are worse."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Ping:
    """One request: its path, its `rid`, its body, and when it came (seconds of the monotonic clock)."""

    path: str
    rid: str
    body: str
    at: float


class DeadMan(ThreadingHTTPServer):
    """Answers with `code`; `location`: where to; `hanging`: it never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pings: list[Ping] = []
        self.code, self.location, self.hanging = 200, "", False
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/4f1c9e2aSECRETaddress"

    @property
    def paths(self) -> list[str]:
        """What was told, without the address's own part."""
        return [ping.path.rpartition("/")[2] for ping in self.pings]


class _Handler(BaseHTTPRequestHandler):
    server: DeadMan

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        parts = urlsplit(self.path)
        rid = parse_qs(parts.query).get("rid", [""])[0]
        self.server.pings.append(Ping(parts.path, rid, body, time.monotonic()))
        if self.server.hanging:
            self.server.over.wait(30)
        self.send_response(self.server.code)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    do_GET = do_POST  # noqa: N815 -- the library calls it

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def dead_man() -> Iterator[DeadMan]:
    """A service until the block ends."""
    with DeadMan() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
