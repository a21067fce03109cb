"""Which order or contract a request, a message or an event is about, as far as that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api.wire import Ask, Say
from spxarb.sim.exchange.orders import Commission, Filled, OrderChanged, OrderError
from spxarb.sim.faults.kinds import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.sim.api.session import Session, SharedGateway
    from spxarb.sim.exchange.orders import Event
    from spxarb.sim.market.instruments import Instrument

_CONTRACT_AT = {Ask.MARKET_DATA: 3, Ask.CONTRACT_DETAILS: 3, Ask.HISTORICAL_DATA: 2}
"""Where a request's contract fields begin, conId first."""
_LINE_AT = {
    Say.TICK_PRICE: 2,
    Say.TICK_SIZE: 2,
    Say.TICK_GENERIC: 2,
    Say.TICK_STRING: 2,
    Say.MARKET_DATA_TYPE: 2,
    Say.SNAPSHOT_END: 2,
    Say.TICK_OPTION: 1,
    Say.TICK_PARAMETERS: 1,
}
"""Where a message names its market data line."""

END_OF: dict[int, int] = {
    Say.OPEN_ORDER: Say.OPEN_ORDERS_END,
    Say.ORDER_STATUS: Say.OPEN_ORDERS_END,
    Say.EXECUTION: Say.EXECUTIONS_END,
    Say.COMMISSION: Say.EXECUTIONS_END,
    Say.COMPLETED_ORDER: Say.COMPLETED_ORDERS_END,
    Say.POSITION: Say.POSITIONS_END,
    Say.ACCOUNT_VALUE: Say.ACCOUNT_END,
    Say.PORTFOLIO: Say.ACCOUNT_END,
    Say.ACCOUNT_MULTI: Say.ACCOUNT_MULTI_END,
    Say.ACCOUNT_SUMMARY: Say.ACCOUNT_SUMMARY_END,
    Say.CONTRACT_DETAILS: Say.CONTRACT_DETAILS_END,
    Say.OPTION_CHAIN: Say.OPTION_CHAINS_END,
}
"""By a message that may be a row of an answer: the end marker of that answer."""


def _integer(values: list[str], place: int) -> int | None:
    try:
        return int(values[place])
    except (ValueError, IndexError):
        return None


def _text(values: list[str], place: int) -> str:
    return values[place] if place < len(values) else ""


def _contract(gateway: SharedGateway, values: list[str], place: int) -> Subject:
    """A contract of a request; by its number where it has one."""
    con_id = _integer(values, place) or 0
    item = gateway.market.by_con_id(con_id) if con_id else None
    if item is not None:
        return _instrument(item)
    return Subject(symbol=_text(values, place + 1), sec_type=_text(values, place + 2))


def _instrument(item: Instrument) -> Subject:
    return Subject(con_id=item.con_id, symbol=item.symbol, sec_type=item.sec_type)


def of_request(gateway: SharedGateway, session: Session, number: int, values: list[str]) -> Subject | None:
    """What a request is about."""
    if number == Ask.PLACE_ORDER:
        item = _contract(gateway, values, 2)
        return Subject(
            *(session.client_id, _integer(values, 1), item.con_id, item.symbol, item.sec_type),
            *(_text(values, 16), _text(values, 26)),
        )
    if number == Ask.CANCEL_ORDER:
        return _known(gateway, session.client_id, _integer(values, 2))
    place = _CONTRACT_AT.get(Ask(number)) if number in _CONTRACT_AT else None
    return None if place is None else _contract(gateway, values, place)


def of_message(gateway: SharedGateway, session: Session, number: int, fields: list[str]) -> Subject | None:
    """What a message is about."""
    if number == Say.ORDER_STATUS:
        return _known(gateway, _integer(fields, 9), _integer(fields, 1))
    if number == Say.OPEN_ORDER and len(fields) > 24:
        return Subject(
            *(_integer(fields, 24), _integer(fields, 1), _integer(fields, 2) or 0, fields[3], fields[4]),
            *(fields[13], fields[23]),
        )
    if number == Say.EXECUTION and len(fields) > 26:
        side = "BUY" if fields[18] == "BOT" else "SELL"
        return Subject(
            *(_integer(fields, 22), _integer(fields, 2), _integer(fields, 3) or 0, fields[4], fields[5]),
            *(side, fields[26]),
        )
    if number == Say.COMPLETED_ORDER and len(fields) > 23:
        known = (state for state in gateway.exchange.orders.all() if str(state.perm_id) == fields[23])
        return next((Subject.of(state.ticket) for state in known), None)
    if number == Say.COMMISSION:
        fill = gateway.exchange.executions.find(_text(fields, 2))
        return Subject.of(fill.ticket) if fill else None
    if number == Say.ERROR:
        return _known(gateway, session.client_id, _integer(fields, 2))
    if number in _LINE_AT:
        line = _integer(fields, _LINE_AT[Say(number)])
        stream = session.streams.get(-1 if line is None else line)
        return _instrument(stream.instrument) if stream else None
    return None


def _known(gateway: SharedGateway, client_id: int | None, order_id: int | None) -> Subject | None:
    if client_id is None or order_id is None:
        return None
    order = gateway.exchange.orders.find(client_id, order_id)
    return Subject.of(order.ticket) if order else None


def of_event(event: Event) -> Subject | None:
    """What an event is about: an order, or None."""
    match event:
        case OrderChanged(state):
            return Subject.of(state.ticket)
        case Filled(fill) | Commission(fill):
            return Subject.of(fill.ticket)
        case OrderError(client_id, order_id):
            return Subject(client_id=client_id, order_id=order_id)
        case _:
            return None


def by_order(events: list[Event]) -> Iterator[tuple[Subject | None, list[Event]]]:
    """Events in groups, one order to a group; an event about no order stays with the one before it."""
    current: Subject | None = None
    group: list[Event] = []
    for event in events:
        subject = of_event(event)
        if subject is not None and (current is None or subject.order != current.order):
            if group:
                yield current, group
            current, group = subject, []
        elif subject is not None and subject.con_id:
            current = subject  # an error about the same order has no contract
        group.append(event)
    if group:
        yield current, group
