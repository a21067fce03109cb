"""Answers about orders and executions. Orders belong to a client id, not to a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.answers_contracts import matches
from spxarb.sim.api.requests import read_execution_filter, read_place_order, read_time
from spxarb.sim.api.wire import Ask, Say, WireError, frame
from spxarb.sim.exchange.orders import OrderSnapshot, Ticket
from spxarb.sim.market.trading_days import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from spxarb.sim.api.requests import PlaceOrder
    from spxarb.sim.api.session import Session
    from spxarb.sim.api.wire import Fields
    from spxarb.sim.market.instruments import Instrument


class Refusal(Exception):  # noqa: N818  an answer for the client, not a failure of ours
    """An order that is not placed, with the error code and its text."""

    def __init__(self, code: int, text: str) -> None:
        """Code as in the gateway's list of error codes."""
        super().__init__(text)
        self.code = code
        self.text = text


def place_order(session: Session, fields: Fields) -> None:
    """placeOrder: a new order, a change of a live one, or with whatIf only its preview."""
    order_id = fields.must_integer("orderId")
    asked = read_place_order(fields, order_id)
    try:
        ticket = _ticket(session, asked)
    except Refusal as refusal:
        session.error(order_id, refusal.code, refusal.text)
        return
    exchange = session.gateway.exchange
    if ticket.what_if:
        wrong = exchange.validate(ticket) or exchange.both_sides_error(ticket)
        if wrong is not None:
            session.error(order_id, wrong.code, wrong.text)
            return
        preview = exchange.what_if(ticket)
        state = OrderSnapshot(ticket, 0, "PreSubmitted", 0, ticket.quantity, 0.0, 0.0, None, "", None)
        session.send(layouts.open_order(session.version, state, preview))
    else:
        session.gateway.publish(exchange.submit(ticket))


def _ticket(session: Session, asked: PlaceOrder) -> Ticket:
    """The order as the exchange takes it. Raises Refusal for one that does not get that far."""
    instrument = _tradable(session, asked)
    _check_terms(session, asked)
    good_after = None
    if asked.good_after:
        try:
            good_after = read_time(asked.good_after, session.gateway.zone)
        except WireError as problem:
            raise Refusal(343, f"The date, time, or time-zone entered is invalid: {problem}") from None
    echo = dict(asked.echo)
    if asked.query.exchange:
        echo["exchange"] = asked.query.exchange
    return Ticket(
        client_id=session.client_id,
        order_id=asked.order_id,
        instrument=instrument,
        side=asked.action,
        quantity=int(asked.quantity),
        order_type=asked.order_type,
        limit=asked.limit if asked.order_type == "LMT" else None,
        tif=asked.tif or "DAY",
        order_ref=asked.order_ref,
        account=session.gateway.account,
        good_after=good_after,
        what_if=asked.what_if,
        transmit=asked.transmit,
        extra=echo,
    )


def _tradable(session: Session, asked: PlaceOrder) -> Instrument:
    if asked.query.sec_type == "BAG":
        raise Refusal(
            201, "Order rejected - reason:the simulated gateway trades single contracts, no combinations"
        )
    found = matches(session.gateway.market, asked.query)
    if len(found) != 1:
        raise Refusal(
            200, "The contract description is ambiguous" if found else "No security definition has been found"
        )
    if found[0].sec_type == "IND":
        raise Refusal(201, "Order rejected - reason:an index cannot be traded")
    return found[0]


def _check_terms(session: Session, asked: PlaceOrder) -> None:
    if asked.account not in {"", session.gateway.account}:
        raise Refusal(321, f"Error validating request: cause - Invalid account code {asked.account!r}")
    if asked.action not in {"BUY", "SELL"}:
        raise Refusal(321, f"Error validating request: cause - Invalid action {asked.action!r}")
    if asked.order_type not in {"LMT", "MKT"}:
        raise Refusal(387, f"Unsupported order type for this exchange and security type: {asked.order_type}")
    if asked.tif not in {"", "DAY", "IOC", "GTC"}:
        raise Refusal(321, f"Error validating request: cause - Invalid time in force {asked.tif!r}")
    if asked.quantity <= 0:
        raise Refusal(434, "The order size cannot be zero")
    if asked.quantity != int(asked.quantity):
        raise Refusal(10318, "This order doesn't support fractional quantity trading")
    if asked.echo["parentId"] not in {"", "0"} or asked.echo["ocaGroup"]:
        raise Refusal(201, "Order rejected - reason:attached orders and groups are not simulated")
    if asked.order_type == "LMT" and asked.limit is None:
        raise Refusal(321, "Error validating request: cause - a limit order without a limit price")


def cancel_order(session: Session, fields: Fields) -> None:
    """cancelOrder: only this client id's own orders."""
    fields.skip(1)
    order_id = fields.must_integer("orderId")
    gateway = session.gateway
    gateway.publish(gateway.exchange.cancel(session.client_id, order_id, session.client_id))


def global_cancel(session: Session, fields: Fields) -> None:
    """reqGlobalCancel: every live order of the account, whoever placed it."""
    del fields
    gateway = session.gateway
    for state in gateway.exchange.open_orders(None):
        ticket = state.ticket
        gateway.publish(gateway.exchange.cancel(ticket.client_id, ticket.order_id, ticket.client_id))


def open_orders(session: Session, fields: Fields) -> None:
    """reqOpenOrders: live orders of this client id."""
    del fields
    _list_open(session, session.gateway.exchange.open_orders(session.client_id))


def all_open_orders(session: Session, fields: Fields) -> None:
    """reqAllOpenOrders: live orders of every client, each under its own client id."""
    del fields
    _list_open(session, session.gateway.exchange.open_orders(None))


def _list_open(session: Session, states: Iterable[OrderSnapshot]) -> None:
    for state in states:
        session.send(layouts.open_order(session.version, state), layouts.order_status(state))
    session.send(frame(Say.OPEN_ORDERS_END, 1))


def auto_open_orders(session: Session, fields: Fields) -> None:
    """reqAutoOpenOrders: for client 0 only; there are no manual orders to bind here."""
    fields.skip(1)
    if fields.flag("autoBind") and session.client_id != 0:
        session.error(
            -1, 327, "Only API connections with clientId set to 0 can set the auto bind TWS orders property."
        )


def completed_orders(session: Session, fields: Fields) -> None:
    """reqCompletedOrders: today's filled, cancelled and rejected orders of every client."""
    del fields
    for state in session.gateway.exchange.completed_orders(since=_midnight(session, NEW_YORK)):
        session.send(layouts.completed_order(session.version, state))
    session.send(frame(Say.COMPLETED_ORDERS_END))


def _midnight(session: Session, zone: ZoneInfo) -> datetime:
    """The beginning of the day in a zone: the gateway lists nothing older."""
    return session.gateway.now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def executions(session: Session, fields: Fields) -> None:
    """reqExecutions: today's that pass the filter, each with its commission report; an end."""
    fields.skip(1)
    request = fields.must_integer("reqId")
    zone = session.gateway.zone
    asked, midnight = read_execution_filter(fields, zone), _midnight(session, zone)
    fills = session.gateway.exchange.fills(
        client_id=asked.client_id,
        account=asked.account,
        since=max(asked.since, midnight) if asked.since else midnight,
        symbol=asked.symbol,
        sec_type=asked.sec_type,
        exchange=asked.exchange,
        side=asked.side,
        corrected=True,
    )
    for fill in fills:
        session.send(layouts.execution(request, fill), layouts.commission_report(fill))
    session.send(frame(Say.EXECUTIONS_END, 1, request))


HANDLERS: dict[int, Callable[[Session, Fields], None]] = {
    Ask.PLACE_ORDER: place_order,
    Ask.CANCEL_ORDER: cancel_order,
    Ask.GLOBAL_CANCEL: global_cancel,
    Ask.OPEN_ORDERS: open_orders,
    Ask.ALL_OPEN_ORDERS: all_open_orders,
    Ask.AUTO_OPEN_ORDERS: auto_open_orders,
    Ask.COMPLETED_ORDERS: completed_orders,
    Ask.EXECUTIONS: executions,
}
