"""A recorded connection played back: a client's requests get the answers that were recorded to the same ones.

It simulates nothing. A request is matched with the first unused recorded one of its kind that asks the same,
else the first unused of its kind, else the last; its answers keep their order and their distance in time, at
the speed that is asked for, under the client's own request id. What was never recorded is refused with 321.
The n-th client plays the n-th recorded connection, later ones the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spxarb.sim.api.wire import GREETING, Ask, FrameReader, Say, frame, split_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REFUSED = 321
MAX_CLIENTS = 32
"""At once, as the real Gateway allows."""
NOT_RECORDED = "Not in the recording that is played"
_SENT_ID = {
    Ask.MARKET_DATA: 2, Ask.CANCEL_MARKET_DATA: 2, Ask.PLACE_ORDER: 1, Ask.CANCEL_ORDER: 2, Ask.EXECUTIONS: 2,
    Ask.CONTRACT_DETAILS: 2, Ask.HISTORICAL_DATA: 1, Ask.ACCOUNT_SUMMARY: 2, Ask.CANCEL_ACCOUNT_SUMMARY: 2,
    Ask.ACCOUNT_UPDATES_MULTI: 2, Ask.CANCEL_ACCOUNT_UPDATES_MULTI: 2, Ask.MARKET_RULE: 1,
}  # fmt: skip
"""Where a request has its id; a market rule has its own."""
_ANSWER_ID = {
    Say.TICK_PRICE: 2, Say.TICK_SIZE: 2, Say.ERROR: 2, Say.CONTRACT_DETAILS: 1, Say.EXECUTION: 1,
    Say.HISTORICAL_DATA: 1, Say.TICK_OPTION: 1, Say.TICK_GENERIC: 2, Say.TICK_STRING: 2,
    Say.CONTRACT_DETAILS_END: 2, Say.EXECUTIONS_END: 2, Say.SNAPSHOT_END: 2, Say.MARKET_DATA_TYPE: 2,
    Say.ACCOUNT_SUMMARY: 2, Say.ACCOUNT_SUMMARY_END: 2, Say.ACCOUNT_MULTI: 2, Say.ACCOUNT_MULTI_END: 2,
    Say.TICK_PARAMETERS: 1, Say.MARKET_RULE: 1,
}  # fmt: skip
_ORDER_ID = {Say.ORDER_STATUS: 1, Say.OPEN_ORDER: 1, Say.ERROR: 2, Say.EXECUTION: 2}
_LISTS = {
    Ask.CURRENT_TIME: ({Say.CURRENT_TIME}, Say.CURRENT_TIME),
    Ask.POSITIONS: ({Say.POSITION, Say.POSITIONS_END}, Say.POSITIONS_END),
    Ask.OPEN_ORDERS: ({Say.OPEN_ORDER, Say.ORDER_STATUS, Say.OPEN_ORDERS_END}, Say.OPEN_ORDERS_END),
    Ask.ALL_OPEN_ORDERS: ({Say.OPEN_ORDER, Say.ORDER_STATUS, Say.OPEN_ORDERS_END}, Say.OPEN_ORDERS_END),
    Ask.COMPLETED_ORDERS: ({Say.COMPLETED_ORDER, Say.COMPLETED_ORDERS_END}, Say.COMPLETED_ORDERS_END),
    Ask.MANAGED_ACCOUNTS: ({Say.MANAGED_ACCOUNTS}, Say.MANAGED_ACCOUNTS),
    Ask.IDS: ({Say.NEXT_VALID_ID}, Say.NEXT_VALID_ID),
}
"""Answers without an id: what belongs to them, and what ends them."""
_UNANSWERED = {Ask.CANCEL_MARKET_DATA, Ask.CANCEL_ORDER, Ask.CANCEL_ACCOUNT_SUMMARY, Ask.CANCEL_POSITIONS}
_UNANSWERED |= {Ask.CANCEL_ACCOUNT_UPDATES_MULTI, Ask.MARKET_DATA_TYPE, Ask.SERVER_LOG_LEVEL}
_UNANSWERED |= {Ask.AUTO_OPEN_ORDERS, Ask.CANCEL_HISTORICAL_DATA}


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message of the file. `number`: its message id, 0 for the greeting."""

    seconds: float
    sent: bool
    number: int
    fields: tuple[str, ...]


def recorded_connections(path: Path) -> list[list[RecordedMessage]]:
    """The connections of a file. Raises ValueError for one that holds none, OSError."""
    found: dict[int, list[RecordedMessage]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines[1:], start=2):
        try:
            row: dict[str, Any] = json.loads(line)
            fields = tuple(map(str, row["fields"]))
            kind = 0 if row["name"] == "greeting" else int(fields[0])
            message = RecordedMessage(float(row["t"]), row["dir"] == "out", kind, fields)
            found.setdefault(int(row.get("connection", 1)), []).append(message)
        except (ValueError, KeyError, TypeError, IndexError):
            if number < len(lines):  # the last line of a recording that was killed may be torn
                raise ValueError(f"{path} line {number} is no message of a recorded wire") from None
    if not found:
        raise ValueError(f"{path} holds no recorded connection")
    return [found[connection] for connection in sorted(found)]


class PlayedConnection:
    """One client's connection: which recorded requests were used, and what answers them."""

    def __init__(self, messages: list[RecordedMessage]) -> None:
        """`messages` are those of one recorded connection."""
        self._messages = messages
        self._used: set[int] = set()

    def greeting(self) -> tuple[str, ...] | None:
        """The version that was agreed on, and the time; None when none was recorded."""
        rows = (row for row in self._messages if not row.sent and row.number == 0)
        return next((row.fields for row in rows), None)

    def logon(self) -> list[tuple[float, tuple[str, ...]]]:
        """What follows startApi: accounts, the next order id, and notices of no request."""
        start = next((row.seconds for row in self._messages if row.sent and row.number == Ask.START_API), 0.0)
        return [
            (row.seconds - start, row.fields)
            for row in self._messages
            if not row.sent and row.seconds >= start
            if row.number in {Say.MANAGED_ACCOUNTS, Say.NEXT_VALID_ID}
            or (row.number == Say.ERROR and row.fields[2] == "-1")
        ]

    def answers(self, fields: list[str]) -> list[tuple[float, tuple[str, ...]]]:
        """The recorded answers to a request, each with its seconds after it."""
        number = int(fields[0])
        if number in _UNANSWERED:
            return []
        place = _SENT_ID.get(Ask(number)) if number in set(Ask) else None
        index = self._matching(number, fields, place)
        if index is None:
            own = fields[place] if place is not None and place < len(fields) else "-1"
            return [(0.0, (str(int(Say.ERROR)), "2", own, str(REFUSED), NOT_RECORDED, ""))]
        self._used.add(index)
        asked = self._messages[index]
        if number in _LISTS:
            return [(row.seconds - asked.seconds, row.fields) for row in self._listed(index, Ask(number))]
        if place is None:
            return []
        places = _ORDER_ID if number == Ask.PLACE_ORDER else _ANSWER_ID
        return [
            (row.seconds - asked.seconds, _under(row.fields, places.get(Say(row.number)), fields[place]))
            for row in self._belonging(index, asked.fields[place], places)
        ]

    def _matching(self, number: int, fields: list[str], place: int | None) -> int | None:
        same = [i for i, row in enumerate(self._messages) if row.sent and row.number == number]
        unused = [i for i in same if i not in self._used]

        def asks(values: list[str] | tuple[str, ...]) -> list[str]:
            by_id = number != Ask.MARKET_RULE
            return [text for at, text in enumerate(values) if not (by_id and at == place)]

        equal = [i for i in unused or same if asks(self._messages[i].fields) == asks(fields)]
        if number == Ask.MARKET_RULE:
            equal = [i for i in same if asks(self._messages[i].fields) == asks(fields)]
            return equal[0] if equal else None
        return next(iter([*equal, *unused]), same[-1] if same else None)

    def _listed(self, index: int, ask: Ask) -> Iterator[RecordedMessage]:
        kinds, last = _LISTS[ask]
        for row in self._messages[index + 1 :]:
            if not row.sent and row.number in kinds:
                yield row
                if row.number == last:
                    return

    def _belonging(self, index: int, own: str, places: dict[Say, int]) -> Iterator[RecordedMessage]:
        """What came under the request's own id; with an execution its commission."""
        executions: set[str] = set()
        for row in self._messages[index + 1 :]:
            if row.sent or row.number not in set(Say):
                continue
            place = places.get(Say(row.number))
            if place is not None and place < len(row.fields) and row.fields[place] == own:
                live = row.number == Say.EXECUTION and row.fields[1] == "-1"
                if live is (places is _ORDER_ID) or row.number != Say.EXECUTION:
                    executions |= {row.fields[14]} if row.number == Say.EXECUTION else set()
                    yield row
            elif row.number == Say.COMMISSION and row.fields[2] in executions:
                yield row


def _under(fields: tuple[str, ...], place: int | None, own: str) -> tuple[str, ...]:
    """The answer under the client's own id."""
    return fields if place is None else (*fields[:place], own, *fields[place + 1 :])


class WireServer:
    """The recording on a loopback socket, inside a running event loop."""

    def __init__(self, connections: list[list[RecordedMessage]], speed: float) -> None:
        """`speed`: how much faster than recorded; 0: without any wait."""
        self._connections, self._speed = connections, speed
        self._clients = self._connected = 0

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen. Raises OSError when the port is taken."""
        return await asyncio.start_server(self._client, host, port)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connected >= MAX_CLIENTS:
            writer.transport.abort()
            return
        self._connected += 1
        played = PlayedConnection(self._connections[min(self._clients, len(self._connections) - 1)])
        self._clients += 1
        tasks: set[asyncio.Task[None]] = set()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readexactly(len(GREETING))
                frames = FrameReader()
                while data := await reader.read(1 << 16):
                    frames.feed(data)
                    while (payload := frames.payload()) is not None:
                        tasks |= self._begin(played, split_fields(payload), writer)
        finally:
            for task in tasks:
                task.cancel()
            self._connected -= 1
            writer.close()

    def _begin(
        self, played: PlayedConnection, fields: list[str], writer: asyncio.StreamWriter
    ) -> set[asyncio.Task[None]]:
        """Answer one request."""
        if fields[0].startswith("v"):
            greeting = played.greeting()
            answers = [] if greeting is None else [(0.0, greeting)]
        elif not fields[0].isdigit():
            answers = []
        else:
            number = int(fields[0])
            answers = played.logon() if number == Ask.START_API else played.answers(fields)
        return {asyncio.ensure_future(self._send(answers, writer))} if answers else set()

    async def _send(self, answers: list[tuple[float, tuple[str, ...]]], writer: asyncio.StreamWriter) -> None:
        now = 0.0
        for seconds, fields in answers:
            if self._speed and seconds > now:
                await asyncio.sleep((seconds - now) / self._speed)
                now = seconds
            if writer.is_closing():
                return
            writer.write(frame(*fields))


async def serve_recording(
    path: Path, host: str, port: int, speed: float, announce: Callable[[int], None]
) -> None:
    """Play the recording until SIGTERM or SIGINT; `announce` gets the port once clients may connect.

    Raises ValueError for a file that is no recording, OSError for a port that is taken.
    """
    server = await WireServer(recorded_connections(path), speed).start(host, port)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    announce(server.sockets[0].getsockname()[1])
    await stopping.wait()
    server.close()
