"""A tap on the wire, and gateways that go wrong before they say anything."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from spxarb.sim.api.wire import GREETING, Ask, FrameReader, split_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHANGING = {Ask.PLACE_ORDER, Ask.CANCEL_ORDER, Ask.GLOBAL_CANCEL}
"""Requests that change something at the broker; a what-if is one too."""


# --- the wire ---------------------------------------------------------------------------------------


class Tap:
    """Passes a client's bytes on to a gateway and remembers which requests were in them.

    `hold_at`: once this request was heard, nothing more of the gateway's words passes before `let_go`.
    """

    def __init__(self, gateway: int, hold_at: int | None = None) -> None:
        self._gateway = gateway
        self._hold_at = hold_at
        self._flows = threading.Event()
        self._flows.set()
        self.held = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[list[str]] = []
        self.connections = 0

    def let_go(self) -> None:
        """Let the gateway's words pass again, from now on."""
        self._hold_at = None
        self._flows.set()

    @property
    def asked(self) -> set[int]:
        return {int(fields[0]) for fields in self.requests}

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone wakes no `accept`

    def _accept(self) -> None:
        with suppress(OSError), self._listener:
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._link, args=(client,), daemon=True).start()

    def _link(self, client: socket.socket) -> None:
        """Both directions of one connection, until both have ended."""
        with (
            suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self._gateway)) as gateway,
        ):
            answers = gateway, client, lambda _: self._flows.wait()
            back = threading.Thread(target=_pump, args=answers, daemon=True)
            back.start()
            _pump(client, gateway, self._heed())
            back.join()

    def _heed(self) -> Callable[[bytes], None]:
        reader, greeted = FrameReader(), [False, False]

        def heed(data: bytes) -> None:
            reader.feed(data)
            if not greeted[0] and reader.raw(len(GREETING)) is not None:
                greeted[0] = True
            while greeted[0] and (payload := reader.payload()) is not None:
                if greeted[1]:
                    self.requests.append(split_fields(payload))
                    if self.requests[-1][0] == str(self._hold_at):
                        self._flows.clear()
                        self.held.set()
                greeted[1] = True  # the first frame tells versions

        return heed


def _pump(source: socket.socket, target: socket.socket, heed: Callable[[bytes], object]) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            heed(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# --- gateways that are none -------------------------------------------------------------------------


def say_nothing(client: socket.socket) -> None:
    """Takes the connection, reads, never answers."""
    while client.recv(1 << 16):
        pass


def hang_up(client: socket.socket) -> None:
    """Closes at once."""


def half_a_handshake(client: socket.socket) -> None:
    """Tells its version and then nothing more."""
    client.recv(1 << 16)
    text = b"176\x0020260210 09:35:00 EST\x00"
    client.sendall(len(text).to_bytes(4, "big") + text)
    say_nothing(client)


def speak_http(client: socket.socket) -> None:
    """Another kind of server listens at that port."""
    client.recv(1 << 16)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[int]]]:
    """A server that treats every client so; its port, and a list that grows with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[int] = []

    def treat(client: socket.socket) -> None:
        with suppress(OSError), client:
            behave(client)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, address = listener.accept()
                seen.append(address[1])
                threading.Thread(target=treat, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def free_port() -> int:
    """A port at which nothing listens, and which no other process is given: it stays bound as long as we run.

    A server that is given it by number may listen there: it sets SO_REUSEADDR, as asyncio does.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    holder.detach()  # nobody closes it
    return port
