"""Faults of positions: what the broker liquidates, what moves without an execution, and lists that lag."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import NOT_A_REQUEST, Ask, Say, frame
from spxarb.sim.exchange.orders import Filled, PositionChanged
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter, Subject
from spxarb.sim.faults.values import late_executions

if TYPE_CHECKING:
    from spxarb.sim.api.session import Session
    from spxarb.sim.exchange.orders import Event, Order
    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest, OrderUpdates, OutgoingMessage
    from spxarb.sim.market.instruments import Instrument

_STATUS_OF_OPEN_ORDER = 94


def _held(fault: ActiveFault) -> list[Instrument]:
    """The instruments held that a fault is about, newest last: by number, by symbol, or what `when` says."""
    con_id, symbol, about = fault.args["con_id"], fault.args["symbol"], fault.subject
    found = []
    for item in fault.gateway.exchange.interventions.held():
        wanted = item.con_id == con_id if con_id else symbol in {"", item.symbol}
        if not con_id and not symbol:
            same = about is not None and about.con_id == item.con_id
            described = about is None and fault.fits(
                Subject(con_id=item.con_id, symbol=item.symbol, sec_type=item.sec_type)
            )
            wanted = same or described
        if wanted:
            found.append(item)
    return found


def liquidation(fault: ActiveFault) -> bool:
    """Let the broker close a position, in one execution or several."""
    gateway, held = fault.gateway, _held(fault)
    interventions = gateway.exchange.interventions
    order = interventions.liquidation(held[-1], fault.args["quantity"], gateway.account) if held else None
    if order is None:
        return False
    sizes, left = [], order.ticket.quantity
    for size in fault.args["sizes"] or ():
        sizes.append(min(size, left))
        left -= sizes[-1]
    for number, size in enumerate(size for size in (*sizes, left) if size):
        fault.later(number * fault.args["pause_seconds"], partial(_liquidate, fault, order, size))
    return True


def _liquidate(fault: ActiveFault, order: Order, count: int) -> None:
    """One execution of a liquidation: published, so to client 0; with `told` to all others too."""
    gateway = fault.gateway
    events = gateway.exchange.interventions.liquidate(order, count)
    gateway.publish(events)
    others = [session for session in gateway.sessions if session.client_id != order.ticket.client_id]
    for fill in [event.fill for event in events if isinstance(event, Filled)] if fault.args["told"] else []:
        for session in others:
            session.send(layouts.execution(NOT_A_REQUEST, fill), layouts.commission_report(fill))


def foreign_position(fault: ActiveFault) -> bool:
    """Let a position appear, or with `flat` vanish, that no execution explains."""
    if fault.args["flat"]:
        held = _held(fault)
        for item in held:
            _transfer(fault, item, -fault.gateway.exchange.interventions.quantity(item))
        return bool(held)
    found = _contract(fault)
    if found is None:
        return False
    _transfer(fault, found, fault.args["quantity"] * (1 if fault.args["side"] == "BUY" else -1))
    return True


def _contract(fault: ActiveFault) -> Instrument | None:
    """The contract in which a position appears: by its number, that of an order, or one that is held."""
    market = fault.gateway.market
    if fault.args["con_id"]:
        return market.by_con_id(fault.args["con_id"])
    if fault.subject is not None and fault.subject.con_id and not fault.args["symbol"]:
        return market.by_con_id(fault.subject.con_id)
    held = _held(fault)
    order = fault.order() if not fault.args["symbol"] else None
    return order.ticket.instrument if order is not None else held[-1] if held else None


def _transfer(fault: ActiveFault, item: Instrument, quantity: int) -> None:
    gateway = fault.gateway
    quote = gateway.market.quote(item.con_id, gateway.now)
    price = quote.last or quote.bid or item.min_tick
    gateway.publish(gateway.exchange.interventions.transfer(item, quantity, price))


def note_question(fault: ActiveFault, request: ClientRequest) -> bool:
    """Remember who has asked for the positions, until the answer is out."""
    if request.number != Ask.POSITIONS:
        return False
    asking: list[Session] = fault.memory.setdefault("asking", [])
    asking.append(request.session)
    request.after.append(lambda: asking.remove(request.session))
    return True


def late_positions(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send a live position late; answer a question with the positions of a while ago, at once."""
    answers = message.session in fault.memory.get("asking", ())
    if message.number == Say.POSITION:
        session, frames, message.out = message.session, message.out, []
        if not answers:
            fault.later(fault.args["seconds"], lambda: session.put(*frames))
        return True
    if message.number != Say.POSITIONS_END or not answers:
        return False
    message.out = [*_earlier_positions(fault), *message.out]
    return True


def _earlier_positions(fault: ActiveFault) -> list[bytes]:
    """The rows of all positions without the executions of the last seconds."""
    gateway, recent, prices = fault.gateway, Counter[int](), {}
    for fill in gateway.exchange.fills():
        if (gateway.now - fill.time).total_seconds() < fault.args["seconds"]:
            recent[fill.ticket.instrument.con_id] += fill.ticket.sign * fill.shares
            prices[fill.ticket.instrument.con_id] = fill.price * fill.ticket.instrument.shares
    rows = []
    for holding in gateway.exchange.positions():
        item = holding.instrument
        quantity = holding.quantity - recent[item.con_id]
        cost = holding.avg_cost or prices.get(item.con_id, 0.0)
        if quantity:
            contract = layouts.contract_fields(item, exchange="")
            rows.append(frame(Say.POSITION, 3, gateway.account, *contract, quantity, cost))
    return rows


def position_before_execution(_: ActiveFault, updates: OrderUpdates) -> bool:
    """Send the new position before the execution, and once more after it, as real gateways do."""
    at = next((i for i, event in enumerate(updates.events) if isinstance(event, Filled)), None)
    moved: list[Event] = [event for event in updates.events if isinstance(event, PositionChanged)]
    if at is None or not moved:
        return False
    updates.events = [*updates.events[:at], *moved, *updates.events[at:]]
    return True


def execution_after_position(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Hold back what else tells of the fill, live and in lists of executions."""
    if not fault.args["seconds"]:
        return False
    if message.number == Say.EXECUTION and message.fields[1] != "-1":
        return late_executions(fault, message)
    if message.number == Say.COMMISSION and late_executions(fault, message):
        return True
    tells = message.number == Say.EXECUTION or (
        message.number == Say.COMMISSION and _is_recent(fault, message)
    )
    tells |= message.number == Say.ORDER_STATUS and message.fields[2] == "Filled"
    tells |= message.number == Say.OPEN_ORDER and message.fields[_STATUS_OF_OPEN_ORDER] == "Filled"
    if tells:
        session, frames, message.out = message.session, message.out, []
        fault.later(fault.args["seconds"], lambda: session.put(*frames))
    return tells


def _is_recent(fault: ActiveFault, commission: OutgoingMessage) -> bool:
    """True for the commission of an execution that is held back."""
    fill = fault.gateway.exchange.executions.find_listed(commission.fields[2])
    return fill is not None and bool((fault.gateway.now - fill.time).total_seconds() < fault.args["seconds"])


_CON_ID = Parameter("con_id", "natural", 0, "contract; 0: as `symbol` says, that of `when`, or the newest")
_SYMBOL = Parameter("symbol", "text", "", "only a position in it")

KINDS = (
    FaultKind(
        *("liquidation", "The broker closes a position: order id -1, client id 0, liquidation flag 1."),
        {Hook.NOW: liquidation},
        (
            Parameter("quantity", "natural", 0, "contracts; 0: the whole position"),
            Parameter("sizes", "counts", None, "contracts in each execution; the rest in a last one"),
            Parameter("pause_seconds", "seconds", 0.0, "between them"),
            *(_CON_ID, _SYMBOL),
            Parameter("told", "flag", default=False, says="sent to everyone, not to client 0 alone"),
        ),
    ),
    FaultKind(
        *("foreign_position", "A position appears, or vanishes, that no execution explains."),
        {Hook.NOW: foreign_position},
        (
            Parameter("side", "text", "BUY", "of what appears", ("BUY", "SELL")),
            Parameter("quantity", "count", 1, "contracts that appear"),
            Parameter("flat", "flag", default=False, says="all positions vanish instead, or the one named"),
            *(_CON_ID, _SYMBOL),
        ),
    ),
    FaultKind(
        *("late_positions", "Positions lag behind executions, live and in answers."),
        {Hook.REQUEST: note_question, Hook.MESSAGE: late_positions},
        (Parameter("seconds", "seconds", 3.0, "how far"),),
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("position_first", "The new position is sent before the execution, which is in no list until then."),
        {Hook.UPDATES: position_before_execution, Hook.MESSAGE: execution_after_position},
        (Parameter("seconds", "seconds", 0.0, "how long before"),),
        lasting=True,
    ),
)
