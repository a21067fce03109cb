"""Faults of connections: to the client, and from the gateway to IB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import NOT_A_REQUEST, VERSION_REQUEST, Ask, Say, frame
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter
from spxarb.sim.faults.texts import text_of

if TYPE_CHECKING:
    from spxarb.sim.api.session import Session
    from spxarb.sim.faults.kinds import ActiveFault, Chunks, ClientRequest, Offer, OutgoingMessage, QuoteView

_KEPT = (Ask.PLACE_ORDER, Ask.CANCEL_ORDER, Ask.GLOBAL_CANCEL)
_READ_ONLY_REFUSES = frozenset(
    {
        Ask.PLACE_ORDER,
        Ask.CANCEL_ORDER,
        Ask.GLOBAL_CANCEL,
        Ask.OPEN_ORDERS,
        Ask.ALL_OPEN_ORDERS,
        Ask.AUTO_OPEN_ORDERS,
        Ask.COMPLETED_ORDERS,
    }
)
"""What a gateway with the Read-Only API setting refuses with 321."""
_FARMS_HERE = {"usopt", "usfarm", "usfarm.nj"}
"""The farms that SPX, SPY and their options come from."""


def silent_accept(_: ActiveFault, request: ClientRequest) -> bool:
    """Leave the greeting unanswered: the client waits for the version."""
    request.refused = request.refused or request.number == VERSION_REQUEST
    return request.number == VERSION_REQUEST


def client_id_taken(_: ActiveFault, request: ClientRequest) -> bool:
    """Answer startApi with 326 and close."""
    if request.number != Ask.START_API:
        return False
    text = "Unable to connect as the client id is already in use. Retry with a unique client id."
    request.session.error(NOT_A_REQUEST, 326, text)
    request.refused = request.close = True
    return True


def close_at_request(fault: ActiveFault, request: ClientRequest) -> bool:
    """End the connection at a request: before it takes effect, without its answer, or after it."""
    if not fault.wants(request.number, "requests"):
        return False
    point = fault.args["point"]
    request.close = True
    request.refused |= point == "before"
    request.unanswered |= point == "unanswered"
    return True


def close_at_message(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """End the connection around a message."""
    if not fault.wants(message.number, "messages"):
        return False
    if fault.args["point"] != "after":
        message.out = []
    message.close = True
    return True


def close_now(fault: ActiveFault) -> bool:
    """End connections when no request or message is waited for."""
    if fault.request is not None or fault.message is not None:
        return False
    if fault.args["requests"] or fault.args["messages"]:
        return False
    for session in fault.audience():
        session.close()
    return True


def stop_reading(_: ActiveFault, __: Session) -> bool:
    """Leave what a client sends unread."""
    return True


def hold_all(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Hold everything back until the end, or drop it."""
    message.seconds, message.held_by = None, fault
    if fault.args.get("lost"):
        message.seconds, message.out = 0.0, []
    return True


def split(fault: ActiveFault, chunks: Chunks) -> bool:
    """Cut what is written into small pieces."""
    size = fault.args["size"]
    data = b"".join(chunks.pieces)
    pieces, start = [], 0
    while start < len(data):
        step = fault.rng.randint(1, size) if fault.args["random"] else size
        pieces.append(data[start : start + step])
        start += step
    chunks.pieces = pieces
    return True


def coalesce(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Hold messages back until the next multiple of the seconds since it began."""
    every = fault.args["seconds"]
    passed = (fault.gateway.now - fault.since).total_seconds()
    message.wait(every - passed % every if every else 0.0)
    return True


def restart(fault: ActiveFault) -> bool:
    """End every connection."""
    for session in list(fault.gateway.connections):
        session.close()
    return True


def shut(_: ActiveFault, request: ClientRequest) -> bool:
    """Turn every new connection away at its first frame."""
    if request.number != VERSION_REQUEST:
        return False
    request.refused = request.close = True
    return True


def lose_link(fault: ActiveFault) -> bool:
    """Send everyone 1100."""
    _notify_all(fault, 1100, "Connectivity between IBKR and Trader Workstation has been lost.")
    return True


def keep_orders(fault: ActiveFault, request: ClientRequest) -> bool:
    """Keep orders and cancels until the link is back; a client that connects meanwhile gets 2110."""
    if request.number == Ask.START_API:
        text = "Connectivity between Trader Workstation and server is broken. It will be restored."
        request.after.append(lambda: request.session.error(NOT_A_REQUEST, 2110, text))
        return True
    if request.number not in _KEPT:
        return False
    request.refused = True
    if fault.args["orders"] == "kept":
        session, number, values = request.session, request.number, request.values
        fault.memory.setdefault("kept", []).append(lambda: session.perform(number, values))
    return True


def nothing_fills(_: ActiveFault, offer: Offer) -> bool:
    """Let nothing match."""
    offer.count = 0
    return True


def freeze(fault: ActiveFault, view: QuoteView) -> bool:
    """Show the quote of the moment at which it began."""
    view.moment = min(view.moment, fault.since)
    return True


def freeze_farm(fault: ActiveFault, view: QuoteView) -> bool:
    """As `freeze`; the farm of another market carries nothing that trades here."""
    return fault.args["farm"] in _FARMS_HERE and freeze(fault, view)


def restore_link(fault: ActiveFault) -> bool:
    """Send everyone 1102 or 1101, and let what was kept take effect."""
    lost = fault.args["data_lost"]
    if lost:
        for session in fault.gateway.sessions:
            session.streams.clear()
    text = "Connectivity between IBKR and Trader Workstation has been restored"
    _notify_all(fault, 1101 if lost else 1102, f"{text} - data {'lost' if lost else 'maintained'}.")
    for act in fault.memory.pop("kept", ()):
        act()
    return True


def lose_farm(fault: ActiveFault) -> bool:
    """Send everyone 2103."""
    _notify_all(fault, 2103, f"Market data farm connection is broken:{fault.args['farm']}")
    return True


def restore_farm(fault: ActiveFault) -> bool:
    """Send everyone 2104."""
    _notify_all(fault, 2104, f"Market data farm connection is OK:{fault.args['farm']}")
    return True


def _notify_all(fault: ActiveFault, code: int, text: str) -> None:
    for session in list(fault.gateway.sessions):
        session.error(NOT_A_REQUEST, code, text)


def rate_limit(fault: ActiveFault) -> bool:
    """Send 100 and end the connection."""
    text = "Max rate of messages per second has been exceeded"
    for session in fault.audience():
        session.error(NOT_A_REQUEST, 100, text)
        if fault.args["close"]:
            session.close()
    return True


def read_only(_: ActiveFault, request: ClientRequest) -> bool:
    """Refuse orders and their lists with 321."""
    if request.number not in _READ_ONLY_REFUSES:
        return False
    order_id = request.values[1] if request.number == Ask.PLACE_ORDER and len(request.values) > 1 else ""
    text = "Error validating request: cause - The API interface is currently in Read-Only mode."
    request.session.error(int(order_id) if order_id.lstrip("-").isdigit() else NOT_A_REQUEST, 321, text)
    request.refused = True
    return True


def disclaimer(fault: ActiveFault, request: ClientRequest) -> bool:
    """Say 10141 once the client has logged on, and to whatever it asks; or to its orders alone."""
    scope = fault.args["scope"]
    if request.number == VERSION_REQUEST or (scope == "orders" and request.number != Ask.PLACE_ORDER):
        return False
    if request.number == Ask.START_API and scope == "questions":
        request.after.append(lambda: request.session.error(NOT_A_REQUEST, 10141, text_of(10141)))
        return True
    order_id = request.values[1] if request.number == Ask.PLACE_ORDER and len(request.values) > 1 else ""
    about = int(order_id) if order_id.lstrip("-").isdigit() else NOT_A_REQUEST
    request.session.error(about, 10141, text_of(10141))
    request.refused = True
    return True


def unsolicited_orders(_: ActiveFault, request: ClientRequest) -> bool:
    """After the welcome, send a client its open orders and their end marker."""
    if request.number != Ask.START_API:
        return False
    session = request.session

    def list_orders() -> None:
        for state in session.gateway.exchange.open_orders(session.client_id):
            session.send(layouts.open_order(session.version, state), layouts.order_status(state))
        session.send(frame(Say.OPEN_ORDERS_END, 1))

    request.after.append(list_orders)
    return True


def jump(fault: ActiveFault) -> bool:
    """Raise the next valid order ids, with `told` also by an unasked nextValidId."""
    exchange = fault.gateway.exchange
    orders = exchange.orders
    orders.id_floor = min(orders.id_floor + fault.args["by"], (1 << 31) - 1_000_000)
    if fault.args["told"]:
        for session in fault.audience():
            session.send(frame(Say.NEXT_VALID_ID, 1, exchange.next_order_id(session.client_id)))
    return True


def clock_off(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send a wrong time."""
    if message.number != Say.CURRENT_TIME:
        return False
    wrong = int(message.fields[2]) + round(fault.args["seconds"])
    message.rewrite([*message.fields[:2], str(wrong)])
    return True


_REQUESTS = Parameter("requests", "requests", None, "at which requests; without it the one in `when`")
_MESSAGES = Parameter("messages", "messages", None, "at which messages; without it the one in `when`")
_POINT = Parameter(
    *(
        "point",
        "text",
        "before",
        "before it takes effect; then, without an answer; after the answer",
    ),
    ("before", "unanswered", "after"),
)

KINDS = (
    FaultKind(
        *("silent_accept", "Accepts the connection and sends nothing, not even the version."),
        {Hook.REQUEST: silent_accept},
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("client_id_taken", "Answers startApi with 326, then closes."),
        {Hook.REQUEST: client_id_taken},
        personal=True,
    ),
    FaultKind(
        *("close", "Ends a connection: at a request or message, or at once."),
        {Hook.REQUEST: close_at_request, Hook.MESSAGE: close_at_message, Hook.NOW: close_now},
        (_POINT, _REQUESTS, _MESSAGES),
        personal=True,
    ),
    FaultKind(
        *("restart", "Ends every connection and refuses new ones."),
        {Hook.NOW: restart, Hook.REQUEST: shut},
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *(
            "stop_reading",
            "Half-open: what clients send, a disconnect too, is not read until the end.",
        ),
        {Hook.READ: stop_reading},
        lasting=True,
        personal=True,
    ),
    FaultKind(
        *("stop_writing", "Half-open: nothing is sent until the end."),
        {Hook.MESSAGE: hold_all},
        (Parameter("lost", "flag", default=False, says="messages are lost instead of held back"),),
        lasting=True,
        personal=True,
    ),
    FaultKind(
        *("split", "Writes a few bytes at a time, cutting frames anywhere."),
        {Hook.WRITE: split},
        (
            Parameter("size", "count", 1, "bytes in a piece"),
            Parameter("random", "flag", default=False, says="pieces of 1 to `size` bytes"),
        ),
        lasting=True,
        personal=True,
    ),
    FaultKind(
        *("coalesce", "Gathers messages and sends them together."),
        {Hook.MESSAGE: coalesce},
        (Parameter("seconds", "seconds", 1.0, "how often"),),
        lasting=True,
        personal=True,
    ),
    FaultKind(
        *(
            "link_lost",
            "1100: orders and cancels wait, quotes freeze, nothing fills; then 1102 or 1101.",
        ),
        {
            Hook.NOW: lose_link,
            Hook.REQUEST: keep_orders,
            Hook.FILL: nothing_fills,
            Hook.QUOTE: freeze,
            Hook.END: restore_link,
        },
        (
            Parameter("data_lost", "flag", default=False, says="ends with 1101: market data lines are gone"),
            Parameter("orders", "text", "kept", "sent on when the link is back, or lost", ("kept", "lost")),
        ),
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("farm_lost", "2103: quotes freeze; at the end 2104."),
        {Hook.NOW: lose_farm, Hook.QUOTE: freeze_farm, Hook.END: restore_farm},
        (Parameter("farm", "text", "usopt", "which; of usopt, usfarm and usfarm.nj quotes freeze"),),
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("rate_limit", "Sends 100, then closes."),
        {Hook.NOW: rate_limit},
        (Parameter("close", "flag", default=True, says="the connection ends"),),
        personal=True,
    ),
    FaultKind(
        *("read_only", "Refuses orders and their lists with 321."),
        {Hook.REQUEST: read_only},
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("disclaimer", "10141: the paper disclaimer is not accepted, and the API is blocked."),
        {Hook.REQUEST: disclaimer},
        (
            Parameter(
                *("scope", "text", "questions", "all but the logon; that too; orders alone"),
                ("questions", "logon", "orders"),
            ),
        ),
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("unsolicited_orders", "Sends a client its open orders right after startApi, unasked."),
        {Hook.REQUEST: unsolicited_orders},
        lasting=True,
    ),
    FaultKind(
        *("next_id_jump", "The next valid order id jumps up."),
        {Hook.NOW: jump},
        (
            Parameter("by", "count", 1000, "by how many"),
            Parameter("told", "flag", default=False, says="nextValidId is sent unasked"),
        ),
    ),
    FaultKind(
        *("clock_off", "currentTime is wrong."),
        {Hook.MESSAGE: clock_off},
        (Parameter("seconds", "signed_seconds", REQUIRED, "by how much it is ahead"),),
        lasting=True,
    ),
)
