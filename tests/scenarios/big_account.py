"""An honest account of a busy owner: thousands of positions and executions beside ours, in every list."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from hostile import packed
from relay import listening

from spxarb.sim.api.wire import FrameReader, Say, split_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_CONTRACT = 900_000_000
ACCOUNT = "SIM0000001"


def _stock(number: int) -> tuple[object, ...]:
    return FIRST_CONTRACT + number, f"X{number}", "STK", "", 0, "", "", "NASDAQ", "USD", f"X{number}"


def _position(number: int) -> bytes:
    return packed(int(Say.POSITION), 3, ACCOUNT, *_stock(number), f"X{number}", 100, 17.5)


def _execution(number: int, request: str) -> bytes:
    traded = ("20260210 09:31:00 US/Eastern", ACCOUNT, "NASDAQ", "BOT", 100, 17.5, 1_500_000_000 + number)
    return packed(
        *(int(Say.EXECUTION), request, 0, *_stock(number), f"X{number}", _key(number), *traded),
        *(0, 0, 100, 17.5, "", "", "", "", 1),
    )


def _report(number: int) -> bytes:
    return packed(int(Say.COMMISSION), 1, _key(number), 1.05, "USD", 0, 0, 0)


def _key(number: int) -> str:
    return f"0000f00d.{number:08x}.01.01"


@contextmanager
def big_account(
    gateway: int, *, positions: int = 3_000, executions: int = 2_000, notices: int = 500, late: bool = False
) -> Iterator[int]:
    """The port at which the account of a simulated gateway holds that much more.

    `late`: the commissions are reported after the end of the executions, as a real gateway may; `notices`: so
    many of its data farms at the logon.
    """

    def more(fields: list[str], frame: bytes) -> list[bytes]:
        match Say(int(fields[0])) if len(fields) > 2 or fields[0] == "62" else None:
            case Say.POSITIONS_END:
                return [*map(_position, range(positions)), frame]
            case Say.EXECUTIONS_END:
                rows, reports = range(executions), map(_report, range(executions))
                listed = map(partial(_execution, request=fields[2]), rows)
                return [*listed, frame, *reports] if late else [*listed, *reports, frame]
            case Say.NEXT_VALID_ID:
                farms = (f"Market data farm connection is OK:farm{n}" for n in range(notices))
                return [frame, *(packed(4, 2, -1, 2104, text, "") for text in farms)]
        return [frame]

    def treat(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", gateway)) as behind:
            threading.Thread(target=_pass_on, args=(client, behind), daemon=True).start()
            reader = FrameReader()
            while data := behind.recv(1 << 16):
                reader.feed(data)
                while (payload := reader.payload()) is not None:
                    frame = struct.pack(">I", len(payload)) + payload
                    for one in more(split_fields(payload), frame):
                        client.sendall(one)

    with listening(treat) as (port, _):
        yield port


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
