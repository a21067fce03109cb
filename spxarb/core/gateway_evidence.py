"""What a recorded connection shows of how a gateway behaves: a function for each claim about it.

Field numbers: IBKR's client at server versions 164 to 176.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.broker_codes import (
    CANCEL_ID_NOT_FOUND,
    CANCEL_STATE_REFUSES,
    CANCELLATION,
    CLIENT_ID_IN_USE,
    NOT_IN_CANCELLABLE_STATE,
    ORDER_REJECTED,
)
from spxarb.core.records import order_name
from spxarb.core.wire_record import GREETING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.core.wire_record import WireMessage, WireRecord


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence: whether it bears the claim out, and what it was."""

    holds: bool
    what: str


# --- the connection -------------------------------------------------------------------------------------


def version(record: WireRecord) -> Iterator[Piece]:
    for row in record.received(GREETING):
        yield Piece(157 <= _whole(row.at(0)) <= 176, f"server version {row.at(0)}")


def next_id(record: WireRecord) -> Iterator[Piece]:
    """By client id and order id of what the gateway lists, against the id told to that client before."""
    clients = {row.connection: row.at(2) for row in record.sent("startApi")}
    placed: dict[str, int] = {}
    for row in record.messages:
        client = clients.get(row.connection, "")
        if row.name == "nextValidId" and client in placed:
            yield Piece(_whole(row.at(2)) > placed[client], f"nextValidId {row.at(2)} after {placed[client]}")
        elif row.name == "openOrder" and _whole(row.at(1)) > 0:
            owner = row.at(24)
            placed[owner] = max(placed.get(owner, 0), _whole(row.at(1)))


def duplicate_id(record: WireRecord) -> Iterator[Piece]:
    for row in _errors(record, CLIENT_ID_IN_USE):
        after = [m for m in record.messages if m.connection == row.connection and m.seconds > row.seconds]
        more = any(message.name in {"managedAccounts", "nextValidId"} for message in after)
        yield Piece(not more, "326, and the logon went on" if more else "326, and nothing more")


# --- contracts ------------------------------------------------------------------------------------------


def _details(record: WireRecord, trading_class: str) -> Iterator[WireMessage]:
    """Rows of options of one class."""
    rows = record.received("contractDetails")
    return (row for row in rows if (row.at(3), row.at(11)) == ("OPT", trading_class))


def option_expiry(record: WireRecord) -> Iterator[Piece]:
    for trading_class in ("SPXW", "SPY"):
        for row in _details(record, trading_class):
            yield Piece(bool(re.fullmatch(r"\d{8}", row.at(4))), f"{trading_class} {row.at(4)}")


def spxw_zone(record: WireRecord) -> Iterator[Piece]:
    for row in _details(record, "SPXW"):
        yield Piece(
            row.at(25) in {"US/Central", "America/Chicago", "US/Eastern", "America/New_York"}, row.at(25)
        )


_HOURS = re.compile(r"(\d{8}:(CLOSED|\d{4}-\d{8}:\d{4}))(;\d{8}:(CLOSED|\d{4}-\d{8}:\d{4}))*;?")


def hours_form(record: WireRecord) -> Iterator[Piece]:
    for trading_class in ("SPXW", "SPY"):
        for row in _details(record, trading_class):
            yield Piece(bool(_HOURS.fullmatch(row.at(27))), f"{trading_class} {row.at(27)[:60]}")


def _last_minute(row: WireMessage) -> tuple[str, str] | None:
    """The end of the liquid hours of the contract's own last day, `HHMM`, and their zone."""
    ends = re.findall(rf"{row.at(4)[:8]}:\d{{4}}-\d{{8}}:(\d{{4}})", row.at(27))
    return (ends[-1], row.at(25)) if ends else None


def spxw_end(record: WireRecord) -> Iterator[Piece]:
    for row in _details(record, "SPXW"):
        if (end := _last_minute(row)) is not None:
            central = "Central" in end[1] or "Chicago" in end[1]
            wanted = {"1500", "1515", "1200", "1215"} if central else {"1600", "1615", "1300", "1315"}
            yield Piece(end[0] in wanted, f"ends {end[0]} {end[1]}")


def spy_end(record: WireRecord) -> Iterator[Piece]:
    for row in _details(record, "SPY"):
        if (end := _last_minute(row)) is not None:
            yield Piece(end[0] in {"1600", "1615", "1300", "1315"}, f"ends {end[0]} {end[1]}")


def ticks(record: WireRecord) -> Iterator[Piece]:
    rules = {row.at(1): row.fields for row in record.received("marketRule")}
    used = {
        rule
        for row in _details(record, "SPXW")
        for rule in row.at(34 + 2 * _whole(row.at(30))).split(",")  # pairs of security ids come before it
    }
    for rule in sorted(used & rules.keys()):
        fields = rules[rule]
        edges = {_number(edge): _number(step) for edge, step in zip(fields[3::2], fields[4::2], strict=False)}
        told = ", ".join(f"{step} from {edge}" for edge, step in edges.items())
        yield Piece(edges.get(0.0) == 0.05 and edges.get(3.0) == 0.1, f"rule {rule}: {told}")


# --- market data ----------------------------------------------------------------------------------------


def _lines(record: WireRecord, kind: str, symbol: str) -> set[tuple[int, str]]:
    """The request ids of market data lines on a contract: security type and symbol."""
    asked = record.sent("reqMktData")
    return {(row.connection, row.at(2)) for row in asked if (row.at(5), row.at(4)) == (kind, symbol)}


def spx_without_sides(record: WireRecord) -> Iterator[Piece]:
    lines = _lines(record, "IND", "SPX")
    for row in record.received("tickPrice"):
        if (row.connection, row.at(2)) in lines:
            side = row.at(3) in {"1", "2", "66", "67"} and _number(row.at(4)) > 0
            yield Piece(not side, f"SPX tick {row.at(3)} of {row.at(4)}")


def spx_time(record: WireRecord) -> Iterator[Piece]:
    lines = _lines(record, "IND", "SPX")
    rows = [row for row in record.received("tickString") if (row.connection, row.at(2)) in lines]
    prices = [row for row in record.received("tickPrice") if (row.connection, row.at(2)) in lines]
    times = [row for row in rows if row.at(3) in {"45", "88"}]
    if times:
        yield Piece(holds=True, what=f"tick {times[0].at(3)} of {times[0].at(4)}")
    elif len([row for row in prices if row.at(3) in {"4", "68"}]) >= 20:
        yield Piece(holds=False, what=f"{len(prices)} prices of SPX, and no time with them")


def data_type(record: WireRecord) -> Iterator[Piece]:
    told: set[tuple[int, str]] = set()
    for row in record.received("marketDataType", "tickPrice"):
        line = row.connection, row.at(2)
        if row.name == "marketDataType":
            told.add(line)
            yield Piece(row.at(3) in {"1", "2", "3", "4"}, f"type {row.at(3)}")
        elif line not in told:
            told.add(line)
            yield Piece(holds=False, what=f"a price of line {row.at(2)} before the type of its data")


def no_bid(record: WireRecord) -> Iterator[Piece]:
    """Of options alone: bids without a price."""
    asked = {(row.connection, row.at(2)) for row in record.sent("reqMktData") if row.at(5) == "OPT"}
    for row in record.received("tickPrice"):
        if (row.connection, row.at(2)) in asked and row.at(3) == "1" and _number(row.at(4)) <= 0:
            holds = _number(row.at(4)) in {0.0, -1.0} and _number(row.at(5) or "0") == 0
            yield Piece(holds, f"bid {row.at(4)} of size {row.at(5)}")


# --- orders and executions ------------------------------------------------------------------------------


def _our_orders(record: WireRecord) -> dict[tuple[int, str], str]:
    """References of ours by permanent id, which is redacted in each file in its own way."""
    rows = record.received("openOrder")
    return {(row.file, row.at(25)): row.at(23) for row in rows if order_name(row.at(23))}


def whole_reference(record: WireRecord) -> Iterator[Piece]:
    sent = {(row.connection, row.at(1)): row.at(26) for row in record.sent("placeOrder")}
    for row in record.received("openOrder"):
        known = sent.get((row.connection, row.at(1)))
        if known and order_name(known):
            yield Piece(row.at(23) == known, f"sent {known}, listed {row.at(23) or 'without one'}")


def reference_in_execution(record: WireRecord) -> Iterator[Piece]:
    orders = _our_orders(record)
    for row in record.received("execDetails"):
        if (known := orders.get((row.file, row.at(21)))) is not None:
            yield Piece(row.at(26) == known, f"execution with {row.at(26) or 'no reference'}")


_TIME = re.compile(r"\d{8}(?: {1,2}|-)\d{2}:\d{2}:\d{2}(?: (.+))?")


def execution_time(record: WireRecord) -> Iterator[Piece]:
    for row in record.received("execDetails"):
        found = _TIME.fullmatch(row.at(15))
        zone = found[1] if found else None
        named = zone is None or re.fullmatch(r"[A-Za-z_+-]+(/[A-Za-z_+-]+)*[0-9]*", zone) is not None
        yield Piece(found is not None and named, row.at(15))


def commission(record: WireRecord) -> Iterator[Piece]:
    told = {(row.file, row.at(2)) for row in record.received("commissionReport")}
    last = _ends(record)
    for row in record.received("execDetails"):
        if (row.file, row.at(14)) in told:
            yield Piece(holds=True, what=f"execution {row.at(14)} and its commission")
        elif last[row.connection] - row.seconds >= 30:
            yield Piece(holds=False, what=f"execution {row.at(14)}: no commission within 30 s")


def both_sides(record: WireRecord) -> Iterator[Piece]:
    """Sales of a call of which a buy-back of ours rests, inactive."""
    for sale in record.sent("placeOrder"):
        if sale.at(16) != "SELL" or sale.at(85) == "1":
            continue
        rests = any(
            row.at(2) == sale.at(2) and row.at(29) and row.at(13) == "BUY" and row.at(94) == "PreSubmitted"
            for row in record.received("openOrder")
            if row.seconds < sale.seconds and order_name(row.at(23))
        )
        own = [m for m in record.messages if m.connection == sale.connection and m.seconds >= sale.seconds]
        refused = [
            m.at(4)
            for m in own
            if m.name == "error" and (m.at(2), m.at(3)) == (sale.at(1), str(ORDER_REJECTED))
        ]
        works = {m.at(2) for m in own if m.name == "orderStatus" and m.at(1) == sale.at(1)}
        if any("both sides" in text for text in refused):
            yield Piece(holds=False, what=f"refused: {refused[0][:80]}")
        elif rests and works & {"Submitted", "Filled"}:
            yield Piece(holds=True, what=f"order {sale.at(1)} was accepted beside it")


def acknowledged(record: WireRecord) -> Iterator[Piece]:
    """What was first heard of an order, against the time at which it was first sent."""
    last = _ends(record)
    first: dict[tuple[int, str], WireMessage] = {}
    for row in record.sent("placeOrder"):
        if row.at(85) != "1":
            first.setdefault((row.connection, row.at(1)), row)
    for (connection, order_id), sent in first.items():
        heard = [
            row.seconds - sent.seconds
            for row in record.received("openOrder", "orderStatus", "error")
            if row.connection == connection and row.seconds >= sent.seconds
            if row.at(2 if row.name == "error" else 1) == order_id
        ]
        if heard:
            yield Piece(heard[0] <= ACKNOWLEDGED_WITHIN, f"heard of after {heard[0]:.1f} s")
        elif (waited := last[connection] - sent.seconds) > ACKNOWLEDGED_WITHIN:
            yield Piece(holds=False, what=f"order {order_id} was not heard of in {waited:.0f} s")


ACKNOWLEDGED_WITHIN = 60.0
"""Seconds; an order of a real gateway was first heard of after 53 s, while others were answered at once."""


def good_after(record: WireRecord) -> Iterator[Piece]:
    for row in record.received("openOrder"):
        if row.at(29) and order_name(row.at(23)):
            yield Piece(_TIME.fullmatch(row.at(29)) is not None, f"goodAfterTime {row.at(29)}")


def inactive_until(record: WireRecord) -> Iterator[Piece]:
    for row in record.received("openOrder"):
        if row.at(29) and order_name(row.at(23)) and row.at(94) in _STATUSES:
            yield Piece(row.at(94) != "Inactive", f"{row.at(94)} with goodAfterTime {row.at(29)}")


_STATUSES = frozenset(
    {"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel", "ApiCancelled"}
    | {"Cancelled", "Filled", "Inactive"}
)


def statuses(record: WireRecord) -> Iterator[Piece]:
    for row in record.received("orderStatus"):
        yield Piece(row.at(2) in _STATUSES, f"status {row.at(2)}")


_CANCEL_ANSWERS = {
    str(code) for code in (CANCELLATION, CANCEL_ID_NOT_FOUND, CANCEL_STATE_REFUSES, NOT_IN_CANCELLABLE_STATE)
}


def cancel(record: WireRecord) -> Iterator[Piece]:
    """The end of an order whose cancel was sent, within 30 s."""
    for sent in record.sent("cancelOrder"):
        later = [
            row
            for row in record.messages
            if row.connection == sent.connection and sent.seconds <= row.seconds <= sent.seconds + 30
        ]
        ends = [row.at(2) for row in later if row.name == "orderStatus" and row.at(1) == sent.at(2)]
        codes = [row.at(3) for row in later if row.name == "error" and row.at(2) == sent.at(2)]
        told = bool({"Cancelled", "ApiCancelled", "Filled", "Inactive"} & {*ends}) or bool(
            _CANCEL_ANSWERS & {*codes}
        )
        if told or _ends(record)[sent.connection] > sent.seconds + 30:
            yield Piece(told, f"cancel answered by {', '.join((*ends, *codes)) or 'nothing within 30 s'}")


def refused(record: WireRecord) -> Iterator[Piece]:
    for row in _errors(record, ORDER_REJECTED):
        same = [m for m in record.received("orderStatus") if m.at(1) == row.at(2)]
        near = [m.at(2) for m in same if abs(m.seconds - row.seconds) < 30]
        if near:
            yield Piece("Inactive" in near or "Cancelled" in near, f"201 with {', '.join(near)}")


def what_if(record: WireRecord) -> Iterator[Piece]:
    asked = {(row.connection, row.at(1)) for row in record.sent("placeOrder") if row.at(85) == "1"}
    for line in sorted(asked):
        rows = [row for row in record.received("openOrder") if (row.connection, row.at(1)) == line]
        numbers = [row for row in rows if row.at(98) not in {"", _UNSET}]
        if rows:
            what = f"{len(rows)} answers, {len(numbers)} of them with an initial margin"
            yield Piece(bool(numbers), what)


# --- lists ----------------------------------------------------------------------------------------------


def _answered(record: WireRecord, asked: str, ended: str) -> Iterator[Piece]:
    """Each request of a list against its end, within 30 s."""
    last = _ends(record)
    for sent in record.sent(asked):
        came = [
            row.seconds - sent.seconds
            for row in record.received(ended)
            if row.connection == sent.connection and 0 <= row.seconds - sent.seconds <= 30
        ]
        if came:
            yield Piece(holds=True, what=f"ended after {came[0]:.1f} s")
        elif last[sent.connection] - sent.seconds > 30:
            yield Piece(holds=False, what="no end within 30 s")


def executions_end(record: WireRecord) -> Iterator[Piece]:
    return _answered(record, "reqExecutions", "execDetailsEnd")


def completed_end(record: WireRecord) -> Iterator[Piece]:
    return _answered(record, "reqCompletedOrders", "completedOrdersEnd")


def executions_whole(record: WireRecord) -> Iterator[Piece]:
    """What came live is in every list that is asked for within hours, over whichever connection."""
    rows = list(record.received("execDetails"))
    live = [row for row in rows if row.at(1) == "-1"]
    for sent in record.sent("reqExecutions"):
        asked = sent.connection, sent.at(2)
        listed = {_what(row) for row in rows if (row.connection, row.at(1)) == asked}
        wanted = {_what(row) for row in live if 1 < sent.seconds - row.seconds < SAME_DAY}
        if wanted:
            missing = wanted - listed
            yield Piece(not missing, f"{len(listed)} listed, {len(missing)} of {len(wanted)} missing")


SAME_DAY = 4 * 3600.0
"""Seconds in which the gateway's own midnight, from which it lists, hardly comes between."""


def _what(execution: WireMessage) -> tuple[str, ...]:
    """Contract, time, side, quantity and price: its id is redacted in each file in its own way."""
    return tuple(execution.at(place) for place in (3, 15, 18, 19, 20))


def reference_in_completed(record: WireRecord) -> Iterator[Piece]:
    orders = _our_orders(record)
    for row in record.received("completedOrder"):
        if (known := orders.get((row.file, row.at(23)))) is not None:
            yield Piece(row.at(22) == known, f"listed with {row.at(22) or 'no reference'}")


def position_fields(record: WireRecord) -> Iterator[Piece]:
    for row in record.received("position"):
        yield Piece(len(row.fields) == 16, f"{len(row.fields)} fields")


def daily_bars(record: WireRecord) -> Iterator[Piece]:
    for row in record.received("historicalData"):
        dates = row.fields[5::8]
        yield Piece(all(re.fullmatch(r"\d{8}", text) for text in dates) and bool(dates), f"{len(dates)} bars")


def post_expiration(record: WireRecord) -> Iterator[Piece]:
    rows = [row for row in record.received("accountUpdateMulti") if row.at(5) == "PostExpirationMargin"]
    for row in rows:
        yield Piece(_number(row.at(6)) == _number(row.at(6)), f"PostExpirationMargin in {row.at(7)}")
    ends = list(record.received("accountUpdateMultiEnd"))
    if ends and not rows:
        yield Piece(holds=False, what="account updates without PostExpirationMargin")


# --- helpers --------------------------------------------------------------------------------------------

_UNSET = "1.7976931348623157E308"


def _ends(record: WireRecord) -> dict[int, float]:
    """When each connection was heard last: what it did not hear after that is no evidence."""
    found: dict[int, float] = {}
    for row in record.messages:
        found[row.connection] = max(found.get(row.connection, 0.0), row.seconds)
    return found


def _errors(record: WireRecord, code: int) -> Iterator[WireMessage]:
    return (row for row in record.received("error") if row.at(3) == str(code))


def _whole(text: str) -> int:
    """0 for what is no whole number."""
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else 0


def _number(text: str) -> float:
    """Not a number (NaN) for what is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
