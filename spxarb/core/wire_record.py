"""A recorded connection to the gateway: each message in either direction, redacted, as one line of JSON.

Accounts, and the ids by which IB names executions and orders, are replaced by others of the same form; the
same stays the same, so that what belongs together still does. Layouts: IBKR's client at server versions 157
to 176 (classes `IN` and `OUT` of the Python client).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

FORMAT = 1
RECEIVED, SENT = "in", "out"
RECEIVED_NAMES = {
    1: "tickPrice", 2: "tickSize", 3: "orderStatus", 4: "error", 5: "openOrder", 6: "accountValue",
    7: "portfolioValue", 8: "accountTime", 9: "nextValidId", 10: "contractDetails", 11: "execDetails",
    15: "managedAccounts", 17: "historicalData", 21: "tickOptionComputation", 45: "tickGeneric",
    46: "tickString", 49: "currentTime", 52: "contractDetailsEnd", 53: "openOrderEnd",
    54: "accountDownloadEnd", 55: "execDetailsEnd", 57: "tickSnapshotEnd", 58: "marketDataType",
    59: "commissionReport", 61: "position", 62: "positionEnd", 63: "accountSummary",
    64: "accountSummaryEnd", 73: "accountUpdateMulti", 74: "accountUpdateMultiEnd", 81: "tickReqParams",
    93: "marketRule", 100: "orderBound", 101: "completedOrder", 102: "completedOrdersEnd",
}  # fmt: skip
SENT_NAMES = {
    1: "reqMktData", 2: "cancelMktData", 3: "placeOrder", 4: "cancelOrder", 5: "reqOpenOrders",
    6: "reqAccountUpdates", 7: "reqExecutions", 8: "reqIds", 9: "reqContractDetails",
    15: "reqAutoOpenOrders", 16: "reqAllOpenOrders", 17: "reqManagedAccts", 20: "reqHistoricalData",
    49: "reqCurrentTime", 58: "reqGlobalCancel", 59: "reqMarketDataType", 61: "reqPositions",
    62: "reqAccountSummary", 63: "cancelAccountSummary", 64: "cancelPositions", 71: "startApi",
    76: "reqAccountUpdatesMulti", 77: "cancelAccountUpdatesMulti", 91: "reqMarketRule",
    99: "reqCompletedOrders",
}  # fmt: skip
GREETING = "greeting"
"""The name of the first message in each direction, which has no id: versions offered, version agreed on."""
_ACCOUNT = re.compile(r"\b(SIM|DU|DF|U|F)(\d{5,})\b")
_EXECUTION_AT = {"execDetails": 14, "commissionReport": 2}
_PERM_ID_AT = {"orderStatus": 6, "openOrder": 25, "execDetails": 21, "completedOrder": 23}
_REFERENCE_AT = {"openOrder": 23, "execDetails": 26, "completedOrder": 22, "placeOrder": 26}
_OURS = "spxarb:"


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message. `seconds` since the recording began; `connection` and `file` count from 1 on."""

    seconds: float
    direction: str
    name: str
    fields: tuple[str, ...]
    connection: int = 1
    file: int = 1

    def at(self, place: int) -> str:
        """A field; empty where the message is too short."""
        return self.fields[place] if place < len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class WireRecord:
    """A file of them. `started`: when the recording began, ISO 8601; `torn`: its last line is not whole."""

    started: str
    program: str
    mode: str
    messages: tuple[WireMessage, ...] = ()
    torn: bool = False

    def received(self, *names: str) -> Iterator[WireMessage]:
        """What the gateway sent of these kinds, oldest first."""
        return (row for row in self.messages if row.direction == RECEIVED and row.name in names)

    def sent(self, *names: str) -> Iterator[WireMessage]:
        """Likewise, what the client sent."""
        return (row for row in self.messages if row.direction == SENT and row.name in names)

    @property
    def server_version(self) -> int | None:
        """Of the API, as agreed on by the first connection; None: the gateway did not tell one."""
        texts = (row.at(0) for row in self.received(GREETING))
        return next((int(text) for text in texts if text.isdigit()), None)


def name_of(direction: str, fields: Sequence[str]) -> str:
    """The name of a message by its id; the number itself where it is not known."""
    names = RECEIVED_NAMES if direction == RECEIVED else SENT_NAMES
    number = fields[0] if fields else ""
    return names.get(int(number), number) if number.isdigit() and len(number) < 6 else number


@dataclass
class Redaction:
    """What stands for what in one file."""

    accounts: dict[str, str] = field(default_factory=dict)
    _others: dict[tuple[str, str], str] = field(default_factory=dict)

    def redacted(self, name: str, fields: Sequence[str]) -> tuple[str, ...]:
        """The message without accounts, execution ids, permanent ids, and references of other programs."""
        found = list(fields)
        if name == "managedAccounts":
            for account in filter(None, "".join(found[2:3]).split(",")):
                self._account(account)
        self._replace(found, _EXECUTION_AT.get(name), self._execution)
        self._replace(found, _REFERENCE_AT.get(name), self._reference)
        place = _PERM_ID_AT.get(name)
        perm_id = found[place] if place is not None and place < len(found) else ""
        if perm_id not in {"", "0"}:
            stands = self._other("perm", perm_id, 1_000_000)
            found = [
                stands if text == perm_id else text.replace(f"{perm_id}.", f"{stands}.") for text in found
            ]
        return tuple(self._without_accounts(text) for text in found)

    @staticmethod
    def _replace(found: list[str], place: int | None, by: Callable[[str], str]) -> None:
        if place is not None and place < len(found) and found[place]:
            found[place] = by(found[place])

    def _account(self, account: str) -> str:
        """Another account of the same kind: its letters tell paper from live."""
        if account not in self.accounts:
            letters = re.match(r"[A-Za-z]*", account)
            self.accounts[account] = f"{letters[0] if letters else ''}{len(self.accounts) + 1:07d}"
        return self.accounts[account]

    def _without_accounts(self, text: str) -> str:
        if not text or text.isdigit():
            return text
        for account in sorted(self.accounts, key=len, reverse=True):
            if account in text and text not in self.accounts.values():
                text = text.replace(account, self.accounts[account])
        stands = set(self.accounts.values())
        return _ACCOUNT.sub(lambda found: found[0] if found[0] in stands else self._account(found[0]), text)

    def _execution(self, exec_id: str) -> str:
        """Its last group tells corrections apart, and stays."""
        family, _, revision = exec_id.rpartition(".")
        return (
            f"{self._other('execution', family, 0)}.{revision}"
            if family
            else self._other("execution", exec_id, 0)
        )

    def _reference(self, reference: str) -> str:
        return reference if reference.startswith(_OURS) else f"other-{self._other('reference', reference, 0)}"

    def _other(self, kind: str, text: str, base: int) -> str:
        number = base + 1 + sum(known[0] == kind for known in self._others)
        return self._others.setdefault((kind, text), str(number))


def header(started: str, program: str, mode: str) -> str:
    """The first line of a file."""
    head = {"format": FORMAT, "started": started, "program": program, "mode": mode}
    return json.dumps(head) + "\n"


def as_line(message: WireMessage) -> str:
    """One line of a file."""
    row = {
        "t": round(message.seconds, 3),
        "connection": message.connection,
        "dir": message.direction,
        "name": message.name,
        "fields": message.fields,
    }
    return json.dumps(row) + "\n"


def read_record(lines: Iterable[str]) -> WireRecord:
    """The file, without a last line that was cut off. Raises ValueError for what is no recording of ours."""
    rows = list(lines)
    try:
        head = json.loads(rows[0])
        known, start = head["format"] == FORMAT, (head["started"], head["program"], head["mode"])
    except (IndexError, ValueError, KeyError, TypeError):
        known, start = False, ("", "", "")
    if not known:
        raise ValueError("it is no recording of the wire that this version can read")
    started, program, mode = map(str, start)
    messages: list[WireMessage] = []
    for number, line in enumerate(rows[1:], start=2):
        try:
            messages.append(_message(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            if number == len(rows):
                return WireRecord(started, program, mode, tuple(messages), torn=True)
            raise ValueError(f"line {number} is no message") from None
    return WireRecord(started, program, mode, tuple(messages))


def joined(records: Sequence[WireRecord]) -> WireRecord:
    """Several files as one, the earliest first: connections are counted on. ValueError: there is none.

    Its mode names that of every file.
    """
    if not records:
        raise ValueError("there is no recording in it")
    ordered = sorted(records, key=lambda record: datetime.fromisoformat(record.started))
    begun = datetime.fromisoformat(ordered[0].started)
    messages: list[WireMessage] = []
    before = 0
    for number, record in enumerate(ordered, start=1):
        later = (datetime.fromisoformat(record.started) - begun).total_seconds()
        messages += [
            replace(row, seconds=row.seconds + later, connection=row.connection + before, file=number)
            for row in record.messages
        ]
        before = max((row.connection for row in messages), default=before)
    first = ordered[0]
    torn = any(record.torn for record in ordered)
    modes = ", ".join(dict.fromkeys(record.mode for record in ordered))
    return WireRecord(first.started, first.program, modes, tuple(messages), torn)


def _message(row: dict[str, object]) -> WireMessage:
    fields = row["fields"]
    if not isinstance(fields, list) or row["dir"] not in {RECEIVED, SENT}:
        raise ValueError
    seconds, connection = float(str(row["t"])), int(str(row.get("connection", 1)))
    return WireMessage(seconds, str(row["dir"]), str(row["name"]), tuple(map(str, fields)), connection)
