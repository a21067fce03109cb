"""Listening in on a connection: every message of either direction, as its fields, beside what it is used for.

A tap only looks: it neither changes nor delays what is sent, and what fails in it ends the tap alone.
"""

from __future__ import annotations

import logging
import struct
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Heard = Callable[[str, str, list[str]], None]
    """Direction, name, fields."""

log = logging.getLogger(__name__)

_TAP: ContextVar[Heard | None] = ContextVar("tap", default=None)
_API = b"API\0"


@contextmanager
def tapped(heard: Heard) -> Iterator[None]:
    """Every connection that is made in the block is listened to."""
    token = _TAP.set(heard)
    try:
        yield
    finally:
        _TAP.reset(token)


class _Direction:
    """One direction of one connection: bytes cut anywhere, back into messages."""

    def __init__(self, direction: str, heard: Heard) -> None:
        self._direction, self._heard = direction, heard
        self._data = bytearray()
        self._greeted = self._failed = False

    def feed(self, data: bytes) -> None:
        if self._failed:
            return
        try:
            self._data += data
            self._split()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the connection goes on
            self._failed = True
            log.warning("the wire is recorded no more: %s: %s", type(error).__name__, error)

    def _split(self) -> None:
        from spxarb.core.wire_record import GREETING, SENT, name_of  # noqa: PLC0415 -- likewise

        if not self._greeted and self._direction == SENT and self._data.startswith(_API):
            del self._data[: len(_API)]
        while len(self._data) >= 4:
            (length,) = struct.unpack_from(">I", self._data)
            if len(self._data) < 4 + length:
                return
            text = bytes(self._data[4 : 4 + length]).decode(errors="backslashreplace")
            del self._data[: 4 + length]
            fields = text.removesuffix("\0").split("\0")
            name = name_of(self._direction, fields) if self._greeted else GREETING
            self._greeted = True
            self._heard(self._direction, name, fields)


def attach(connection: Any) -> None:
    """Listen to ib_insync's connection, if somebody wants to; called before it is made."""
    heard = _TAP.get()
    if heard is None:
        return
    from spxarb.core.wire_record import RECEIVED, SENT  # noqa: PLC0415 -- only a recording needs it

    received, sent = _Direction(RECEIVED, heard), _Direction(SENT, heard)
    send = connection.sendMsg

    def tell_and_send(message: bytes) -> None:
        sent.feed(message)
        send(message)

    connection.sendMsg = tell_and_send
    connection.hasData.connect(received.feed, keep_ref=True)  # eventkit holds methods weakly otherwise
