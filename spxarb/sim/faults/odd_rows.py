"""Rows of others that are hard to read, in every list that an account shares.

Sources: reports of rows that broke programs: short sales, unset sizes, combinations without a conId, parts of
shares, manual orders bound to a negative id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import UNSET_DOUBLE, Ask, Say, frame, split_fields
from spxarb.sim.exchange.orders import ExecutionReport, Holding, OrderSnapshot, Ticket
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter
from spxarb.sim.market.instruments import spy_stock

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest, OutgoingMessage

    Changes = dict[str, str]

AAPL = replace(
    spy_stock(),
    con_id=265598,
    symbol="AAPL",
    local_symbol="AAPL",
    trading_class="NMS",
    long_name="APPLE INC",
    primary_exchange="NASDAQ",
)
_FIRST_PERM_ID = 700_000_001
_PLACES: dict[int, dict[str, int]] = {
    Say.OPEN_ORDER: {
        "order_id": 1,
        "con_id": 2,
        "symbol": 3,
        "sec_type": 4,
        "local_symbol": 11,
        "side": 13,
        "quantity": 14,
        "order_type": 15,
        "price": 16,
        "tif": 18,
    },
    Say.ORDER_STATUS: {"order_id": 1, "quantity": 4, "price": 5},
    Say.COMPLETED_ORDER: {
        "con_id": 1,
        "symbol": 2,
        "sec_type": 3,
        "local_symbol": 10,
        "side": 12,
        "quantity": 13,
        "order_type": 14,
        "price": 15,
        "tif": 17,
    },
    Say.EXECUTION: {
        "order_id": 2,
        "con_id": 3,
        "symbol": 4,
        "sec_type": 5,
        "local_symbol": 12,
        "side": 18,
        "quantity": 19,
        "price": 20,
    },
    Say.POSITION: {
        "con_id": 3,
        "symbol": 4,
        "sec_type": 5,
        "local_symbol": 12,
        "quantity": 14,
        "price": 15,
    },
}
"""Where each row holds what may be odd in it."""
_EVERYTHING = sorted(set().union(*_PLACES.values()) - {"order_id"})
ODDITIES: dict[str, Changes] = {
    "short": {"side": "SSHORT"},
    "unset": {"quantity": UNSET_DOUBLE, "price": UNSET_DOUBLE},
    "order_type": {"order_type": "PASSV REL", "tif": "OPG"},
    "combo": {"con_id": "", "symbol": "IBKR,MCD", "sec_type": "BAG", "local_symbol": ""},
    "fraction": {"quantity": "0.3721"},
    "empty": dict.fromkeys(_EVERYTHING, ""),
    "negative_id": {"order_id": "-7"},
}
"""What is odd about a row, by the name of its form."""


def _changed(whole: bytes, changes: Changes) -> bytes:
    """A frame with other values."""
    fields = split_fields(whole[4:])
    places = _PLACES[int(fields[0])]
    for name, value in changes.items():
        if name in places:
            fields[places[name]] = value
    return frame(*fields)


def _rows(fault: ActiveFault, message: OutgoingMessage) -> list[bytes]:
    """The odd rows of the list that a message ends."""
    chosen = fault.args["form"]
    forms = [name for name in ODDITIES if chosen in {"all", name}]
    return [row for name in forms for row in _list_rows(fault, message, name)]


def _list_rows(fault: ActiveFault, message: OutgoingMessage, form: str) -> list[bytes]:
    """One odd row, with what goes along with it."""
    gateway, changes = fault.gateway, ODDITIES[form]
    perm_id = _FIRST_PERM_ID + list(ODDITIES).index(form)
    ticket = Ticket(0, 0, AAPL, "SELL", 100, limit=231.5, account=gateway.account)
    if message.number == Say.POSITIONS_END:
        row = layouts.position(gateway.account, Holding(AAPL, -100, 201.88, 231.5, -23150.0, -2962.0, 0.0))
        return [_changed(row, changes)]
    if message.number == Say.EXECUTIONS_END:
        exec_id = f"0000e0d7.{perm_id:08x}.01.01"
        fill = ExecutionReport(
            ticket, perm_id, exec_id, gateway.market.open, "ISLAND", 100, 231.5, 100, 231.5, 1.0, None
        )
        row = _changed(layouts.execution(int(message.fields[2]), fill), changes)
        return [row, layouts.commission_report(fill)]
    done = message.number == Say.COMPLETED_ORDERS_END
    status, ended = ("Cancelled", gateway.market.open) if done else ("Submitted", None)
    state = OrderSnapshot(ticket, perm_id, status, 0, 100, 0.0, 0.0, None, "", ended)
    if done:
        return [_changed(layouts.completed_order(message.session.version, state), changes)]
    rows = layouts.open_order(message.session.version, state), layouts.order_status(state)
    return [_changed(row, changes) for row in rows]


def note_question(fault: ActiveFault, request: ClientRequest) -> bool:
    """Remember who has asked for all open orders, until the answer is out: others' stand in no other list."""
    if request.number != Ask.ALL_OPEN_ORDERS:
        return False
    asking: list[object] = fault.memory.setdefault("asking", [])
    asking.append(request.session)
    request.after.append(lambda: asking.remove(request.session))
    return True


def foreign_rows(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Put odd rows of others into a list, before its end."""
    if message.number == Say.OPEN_ORDERS_END:
        # Client 0 is sent manual orders among its own.
        if message.session not in fault.memory.get("asking", ()) and message.session.client_id != 0:
            return False
    elif message.number not in {Say.POSITIONS_END, Say.EXECUTIONS_END, Say.COMPLETED_ORDERS_END}:
        return False
    message.out = [*_rows(fault, message), *message.out]
    return True


KINDS = (
    FaultKind(
        *("foreign_rows", "Lists have rows of others that are hard to read."),
        {Hook.REQUEST: note_question, Hook.MESSAGE: foreign_rows},
        (
            Parameter(
                *(
                    "form",
                    "text",
                    "all",
                    "what is odd in them",
                ),
                ("all", *ODDITIES),
            ),
        ),
        lasting=True,
        everywhere=True,
    ),
)
