"""Where alerts go in scenarios: a server that keeps them, and servers that are worse."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


ALARMS_ALONE = {"entry": False, "exit": False, "daily_summary": False}
"""`notifications` without what went well: for tests that count what needs a human."""


def variables(port: int) -> dict[str, str]:
    """The environment that sends alerts to this port of the machine."""
    return {"EMAIL_ENABLED": "true", "SPXARB_NOTIFY_URL": f"json://127.0.0.1:{port}/"}


class Sink(ThreadingHTTPServer):
    """Where alerts go; `alerts` has the text of each that came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.alerts: list[str] = []

    @property
    def variables(self) -> dict[str, str]:
        return variables(self.server_address[1])


class Receiver(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.alerts.append(json.loads(self.rfile.read(length))["message"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def listening_sink() -> Iterator[Sink]:
    with Sink() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def drip(client: socket.socket) -> None:
    """A server that answers with a byte a second, for ever."""
    with suppress(OSError):
        while True:
            client.sendall(b"H")
            time.sleep(1)


def refuse(client: socket.socket) -> None:
    """A server that wants no alert."""
    client.recv(1 << 16)
    client.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
