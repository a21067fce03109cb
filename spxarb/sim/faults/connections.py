"""Faults of connections: to the client, and from the gateway to IB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import NOT_A_REQUEST, Ask, Say, frame
from spxarb.sim.faults.kinds import REQUIRED, Kind, Parameter, Place
from spxarb.sim.faults.readers import GREETING
from spxarb.sim.faults.simple import ORDERLY

if TYPE_CHECKING:
    from spxarb.sim.api.session import Session
    from spxarb.sim.faults.kinds import Call, Chunks, Look, Parcel, Run

_KEPT = (Ask.PLACE_ORDER, Ask.CANCEL_ORDER, Ask.GLOBAL_CANCEL)


def silent_accept(_: Run, call: Call) -> bool:
    """Swallow the greeting: no version comes, the client waits."""
    call.refused = call.refused or call.number == GREETING
    return call.number == GREETING


def client_id_taken(_: Run, call: Call) -> bool:
    """Answer startApi with 326 and the end."""
    if call.number != Ask.START_API:
        return False
    text = "Unable to connect as the client id is already in use. Retry with a unique client id."
    call.session.error(NOT_A_REQUEST, 326, text)
    call.refused = call.close = True
    return True


def close_at_request(run: Run, call: Call) -> bool:
    """End the connection as a request comes, before or after its answer."""
    if not run.wants(call.number, "requests"):
        return False
    point = run.args["point"]
    call.close = True
    call.refused |= point == "before"
    call.unanswered |= point == "unanswered"
    return True


def close_at_message(run: Run, parcel: Parcel) -> bool:
    """End the connection around a message."""
    if not run.wants(parcel.number, "messages"):
        return False
    if run.args["point"] != "after":
        parcel.out = []
    parcel.close = True
    return True


def close_now(run: Run) -> bool:
    """End connections that nothing but the time has chosen."""
    if run.request is None and run.message is None and not run.args["requests"] and not run.args["messages"]:
        for session in run.trouble.audience(run):
            session.close()
        run.trouble.end(run)
    return True


def stop_reading(_: Run, __: Session) -> bool:
    """Leave what a client sends unread."""
    return True


def hold_all(run: Run, parcel: Parcel) -> bool:
    """Hold back everything until the end."""
    parcel.seconds, parcel.held_by = None, run
    if run.args.get("lost"):
        parcel.seconds, parcel.out = 0.0, []
    return True


def split(run: Run, chunks: Chunks) -> bool:
    """Cut what is written into small pieces."""
    size = run.args["size"]
    data = b"".join(chunks.pieces)
    cut, start = [], 0
    while start < len(data):
        step = run.trouble.dice.randint(1, size) if run.args["random"] else size
        cut.append(data[start : start + step])
        start += step
    chunks.pieces = cut
    return True


def coalesce(run: Run, parcel: Parcel) -> bool:
    """Hold back until a multiple of so many seconds since it began."""
    every = run.args["seconds"]
    passed = (run.trouble.gateway.now - run.since).total_seconds()
    parcel.wait(every - passed % every if every else 0.0)
    return True


def restart(run: Run) -> bool:
    """Cut everyone off."""
    for session in list(run.trouble.gateway.connections):
        session.close()
    return True


def shut(_: Run, call: Call) -> bool:
    """Turn everyone away at the first word."""
    if call.number != GREETING:
        return False
    call.refused = call.close = True
    return True


def lose_link(run: Run) -> bool:
    """Tell of the lost link."""
    _tell_all(run, 1100, "Connectivity between IBKR and Trader Workstation has been lost.")
    return True


def keep_orders(run: Run, call: Call) -> bool:
    """Keep orders and cancels until the link is back; who connects meanwhile is told 2110."""
    if call.number == Ask.START_API:
        text = "Connectivity between Trader Workstation and server is broken. It will be restored."
        call.after.append(lambda: call.session.error(NOT_A_REQUEST, 2110, text))
        return True
    if call.number not in _KEPT:
        return False
    call.refused = True
    if run.args["orders"] == "kept":
        session, number, values = call.session, call.number, call.values
        run.memory.setdefault("kept", []).append(lambda: session.perform(number, values))
    return True


def nothing_fills(_: Run, offer: object) -> bool:
    """Let nothing match."""
    offer.count = 0  # type: ignore[attr-defined]
    return True


def freeze(run: Run, look: Look) -> bool:
    """Show what was true when it began, for ever."""
    look.moment = min(look.moment, run.since)
    return True


def restore_link(run: Run) -> bool:
    """Tell of the restored link, and let what was kept take effect."""
    lost = run.args["data_lost"]
    if lost:
        for session in run.trouble.gateway.sessions:
            session.streams.clear()
    text = "Connectivity between IBKR and Trader Workstation has been restored"
    _tell_all(run, 1101 if lost else 1102, f"{text} - data {'lost' if lost else 'maintained'}.")
    for act in run.memory.pop("kept", ()):
        act()
    return True


def lose_farm(run: Run) -> bool:
    """Tell of the lost market data farm."""
    _tell_all(run, 2103, "Market data farm connection is broken:usopt")
    return True


def restore_farm(run: Run) -> bool:
    """Tell that it is back."""
    _tell_all(run, 2104, "Market data farm connection is OK:usopt")
    return True


def _tell_all(run: Run, code: int, text: str) -> None:
    for session in list(run.trouble.gateway.sessions):
        session.error(NOT_A_REQUEST, code, text)


def rate_limit(run: Run) -> bool:
    """Say 100 and end the connection."""
    text = "Max rate of messages per second has been exceeded"
    for session in run.trouble.audience(run):
        session.error(NOT_A_REQUEST, 100, text)
        if run.args["close"]:
            session.close()
    return True


def read_only(_: Run, call: Call) -> bool:
    """Refuse what concerns orders with 321."""
    if call.number not in ORDERLY:
        return False
    order = call.number == Ask.PLACE_ORDER and len(call.values) > 1 and call.values[1].lstrip("-").isdigit()
    text = "Error validating request: cause - The API interface is currently in Read-Only mode."
    call.session.error(int(call.values[1]) if order else NOT_A_REQUEST, 321, text)
    call.refused = True
    return True


def unsolicited_orders(_: Run, call: Call) -> bool:
    """After the welcome, tell a client its open orders, and that this was all."""
    if call.number != Ask.START_API:
        return False
    session = call.session

    def tell() -> None:
        for state in session.gateway.exchange.open_orders(session.client_id):
            session.send(layouts.open_order(session.version, state), layouts.order_status(state))
        session.send(frame(Say.OPEN_ORDERS_END, 1))

    call.after.append(tell)
    return True


def jump(run: Run) -> bool:
    """Let the next valid order ids lie higher, and say so when asked."""
    exchange = run.trouble.gateway.exchange
    exchange.id_floor = min(exchange.id_floor + run.args["by"], (1 << 31) - 1_000_000)
    if run.args["told"]:
        for session in run.trouble.audience(run):
            session.send(frame(Say.NEXT_VALID_ID, 1, exchange.next_order_id(session.client_id)))
    return True


def clock_off(run: Run, parcel: Parcel) -> bool:
    """Tell a wrong time."""
    if parcel.number != Say.CURRENT_TIME:
        return False
    told = int(parcel.fields[2]) + round(run.args["seconds"])
    parcel.rewrite([*parcel.fields[:2], str(told)])
    return True


_REQUESTS = Parameter("requests", "requests", None, "at which requests; without it the one in `when`")
_MESSAGES = Parameter("messages", "messages", None, "at which messages; without it the one in `when`")
_POINT = Parameter(
    *("point", "text", "before", "before it; once it has taken effect, without an answer; after the answer"),
    ("before", "unanswered", "after"),
)

KINDS = (
    Kind(
        *("silent_accept", "Takes the connection and says nothing, not even its version."),
        {Place.REQUEST: silent_accept},
        lasting=True,
        everywhere=True,
    ),
    Kind(
        *("client_id_taken", "Answers startApi with 326, then closes."),
        {Place.REQUEST: client_id_taken},
        personal=True,
    ),
    Kind(
        *("close", "Ends a connection: at a request or message, or at once."),
        {Place.REQUEST: close_at_request, Place.MESSAGE: close_at_message, Place.NOW: close_now},
        (_POINT, _REQUESTS, _MESSAGES),
        personal=True,
    ),
    Kind(
        *("restart", "Ends every connection and turns new ones away."),
        {Place.NOW: restart, Place.REQUEST: shut},
        lasting=True,
        everywhere=True,
    ),
    Kind(
        *("stop_reading", "Half-open: what clients send, their end too, lies unread until the end."),
        {Place.READ: stop_reading},
        lasting=True,
        personal=True,
    ),
    Kind(
        *("stop_writing", "Half-open: what is to be sent waits until the end."),
        {Place.MESSAGE: hold_all},
        (Parameter("lost", "flag", default=False, says="it is lost instead"),),
        lasting=True,
        personal=True,
    ),
    Kind(
        *("split", "Writes in pieces of a few bytes, frames cut anywhere."),
        {Place.WRITE: split},
        (
            Parameter("size", "count", 1, "bytes of a piece"),
            Parameter("random", "flag", default=False, says="pieces of 1 to `size` bytes"),
        ),
        lasting=True,
        personal=True,
    ),
    Kind(
        *("coalesce", "Gathers messages and sends many at once."),
        {Place.MESSAGE: coalesce},
        (Parameter("seconds", "seconds", 1.0, "how often"),),
        lasting=True,
        personal=True,
    ),
    Kind(
        *("link_lost", "1100: orders and cancels are kept, quotes freeze, nothing fills; then 1102 or 1101."),
        {
            Place.NOW: lose_link,
            Place.REQUEST: keep_orders,
            Place.FILL: nothing_fills,
            Place.QUOTE: freeze,
            Place.END: restore_link,
        },
        (
            Parameter("data_lost", "flag", default=False, says="ends with 1101: market data lines are gone"),
            Parameter("orders", "text", "kept", "sent when the link is back, or lost", ("kept", "lost")),
        ),
        lasting=True,
        everywhere=True,
    ),
    Kind(
        *("farm_lost", "2103: quotes freeze; then 2104."),
        {Place.NOW: lose_farm, Place.QUOTE: freeze, Place.END: restore_farm},
        lasting=True,
        everywhere=True,
    ),
    Kind(
        *("rate_limit", "100, then closes."),
        {Place.NOW: rate_limit},
        (Parameter("close", "flag", default=True, says="end the connection"),),
        personal=True,
    ),
    Kind(
        *("read_only", "Refuses orders and their lists with 321."),
        {Place.REQUEST: read_only},
        lasting=True,
        everywhere=True,
    ),
    Kind(
        *("unsolicited_orders", "Tells a client its open orders right after startApi, unasked."),
        {Place.REQUEST: unsolicited_orders},
        lasting=True,
    ),
    Kind(
        *("next_id_jump", "The next valid order ids lie higher."),
        {Place.NOW: jump},
        (
            Parameter("by", "count", 1000, "how much"),
            Parameter("told", "flag", default=False, says="nextValidId is sent unasked"),
        ),
    ),
    Kind(
        *("clock_off", "The clock told to clients is wrong."),
        {Place.MESSAGE: clock_off},
        (Parameter("seconds", "signed_seconds", REQUIRED, "how much it is ahead"),),
        lasting=True,
    ),
)
