"""Faults of fills, executions and commissions, and what others do in the same contracts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import NOT_A_REQUEST, UNSET_DOUBLE, Say, frame
from spxarb.sim.exchange.orders import Commission, Filled, OrderChanged, Ticket
from spxarb.sim.faults.kinds import REQUIRED, Correction, Kind, Parameter, Place

if TYPE_CHECKING:
    from spxarb.sim.exchange.orders import Event, Fill
    from spxarb.sim.faults.kinds import News, Offer, Parcel, Run
    from spxarb.sim.market.instruments import Instrument

OTHER = 99
"""The client id of someone else."""
FAR = 9_999.0
"""A price at which nobody buys."""


def hold_fills(_: Run, offer: Offer) -> bool:
    """Let nothing match."""
    offer.count = 0
    return True


def partial_fills(run: Run, offer: Offer) -> bool:
    """Let an order fill in portions, with a pause after each."""
    ticket = offer.order.ticket
    key = f"{ticket.client_id}/{ticket.order_id}"
    portion, wait_until = run.memory.get(key, (0, offer.now))
    sizes = run.args["sizes"]
    if offer.now < wait_until:
        offer.count = 0
        return True
    if portion < len(sizes):
        offer.count = min(offer.count, sizes[portion])
    elif not run.args["rest"]:
        offer.count = 0
        return True
    if offer.count:
        pause = run.args["pause_seconds"]
        run.memory[key] = portion + 1, offer.now + timedelta(seconds=pause)
        run.trouble.later(pause, lambda: None)  # so that the clock stops there and the next portion fills
    return True


def _is_filled(event: object) -> bool:
    return isinstance(event, OrderChanged) and event.state.status == "Filled"


def status_first(_: Run, news: News) -> bool:
    """Tell Filled before the execution."""
    at = next((i for i, each in enumerate(news.events) if isinstance(each, Filled)), None)
    filled = [each for each in news.events if _is_filled(each)]
    if at is None or not filled:
        return False
    rest = [each for each in news.events if not _is_filled(each)]
    news.events = [*rest[:at], *filled, *rest[at:]]
    return True


def status_only(_: Run, news: News) -> bool:
    """Tell Filled without an execution."""
    kept: list[Event] = [each for each in news.events if not isinstance(each, Filled | Commission)]
    found = len(kept) < len(news.events)
    news.events = kept
    return found


def execution_first(_: Run, news: News) -> bool:
    """Tell the execution before the order was acknowledged."""
    fills: list[Event] = [each for each in news.events if isinstance(each, Filled)]
    if not fills:
        return False
    rest = [each for each in news.events if not isinstance(each, Filled)]
    news.events = [*fills, *rest]
    return True


def execution_only(_: Run, news: News) -> bool:
    """Tell the execution and nothing of the order's status."""
    if not any(isinstance(each, Filled) for each in news.events):
        return False
    news.events = [each for each in news.events if not isinstance(each, OrderChanged)]
    return True


def late_commission(run: Run, parcel: Parcel) -> bool:
    """Hold the commission back."""
    if parcel.number != Say.COMMISSION:
        return False
    parcel.wait(run.args["seconds"])
    return True


def no_commission(_: Run, parcel: Parcel) -> bool:
    """Tell no commission."""
    if parcel.number != Say.COMMISSION:
        return False
    parcel.out = []
    return True


def _with_commission(run: Run, parcel: Parcel) -> list[str]:
    """The report without its numbers."""
    values = list(parcel.fields)
    values[3], values[5] = UNSET_DOUBLE if run.args["form"] == "unset" else "0.0", UNSET_DOUBLE
    return values


def unset_commission(run: Run, parcel: Parcel) -> bool:
    """Tell an unset commission."""
    if parcel.number != Say.COMMISSION:
        return False
    parcel.rewrite(_with_commission(run, parcel))
    return True


def commission_twice(run: Run, parcel: Parcel) -> bool:
    """Tell an empty commission before the real one."""
    if parcel.number != Say.COMMISSION:
        return False
    parcel.session.put(frame(*_with_commission(run, parcel)))
    parcel.wait(run.args["seconds"])
    return True


def correction(run: Run) -> bool:
    """Correct an execution."""
    fill = _fill(run)
    if fill is None:
        return False
    tick = fill.ticket.instrument.min_tick
    change = run.args["price_change"]
    price = run.args["price"] or fill.price + (change if change is not None else tick)
    if run.args["quantity"] and change is None:
        price = run.args["price"] or fill.price
    shares = run.args["quantity"] or fill.shares
    return _correct(run, fill, shares, max(0.0, round(price, 6)))


def bust(run: Run) -> bool:
    """Undo an execution."""
    fill = _fill(run)
    return fill is not None and _correct(run, fill, 0, fill.price)


def _fill(run: Run) -> Fill | None:
    """The execution that fired a fault; else the newest one that fits."""
    exchange = run.trouble.gateway.exchange
    if run.exec_id:
        return exchange.execution(run.exec_id)
    order = run.trouble.order_of(run)
    fills = [each for each in exchange.fills() if order is not None and each.perm_id == order.perm_id]
    return fills[-1] if fills else None


def _correct(run: Run, fill: Fill, shares: int, price: float) -> bool:
    gateway = run.trouble.gateway
    wanted = Correction(fill, shares, price, listed=run.args["listed"] == "both")
    gateway.publish(gateway.exchange.correct(wanted))
    return True


def _contract(run: Run) -> Instrument | None:
    """The contract in which something happens: of the order that fired it, the newest order, a position."""
    gateway = run.trouble.gateway
    if run.args["con_id"]:
        return gateway.market.by_con_id(run.args["con_id"])
    if run.subject is not None and run.subject.con_id:
        return gateway.market.by_con_id(run.subject.con_id)
    order = run.trouble.order_of(run)
    if order is not None:
        return order.ticket.instrument
    held = gateway.exchange.held()
    return held[-1] if held else None


def _foreign(run: Run, limit: float) -> Ticket | None:
    item = _contract(run)
    if item is None or item.sec_type == "IND":
        return None
    gateway = run.trouble.gateway
    return Ticket(
        client_id=OTHER,
        order_id=gateway.exchange.next_order_id(OTHER),
        instrument=item,
        side=run.args["side"],
        quantity=run.args["quantity"],
        limit=limit or (item.min_tick if run.args["side"] == "BUY" else FAR),
        order_ref=run.args["order_ref"],
        account=gateway.account,
    )


def foreign_order(run: Run) -> bool:
    """Place somebody else's order in the very same contract, where it does not fill."""
    ticket = _foreign(run, run.args["limit"])
    if ticket is None:
        return False
    run.trouble.gateway.publish(run.trouble.gateway.exchange.submit(ticket))
    return True


def foreign_fill(run: Run) -> bool:
    """Let somebody else trade in the very same contract."""
    ticket, gateway = _foreign(run, 0.0), run.trouble.gateway
    if ticket is None:
        return False
    gateway.publish(gateway.exchange.submit(ticket))
    order = gateway.exchange.order(ticket.client_id, ticket.order_id)
    if order is not None and order.live:
        gateway.publish(gateway.exchange.force(order, price=gateway.exchange.touch(ticket)))
    made = gateway.exchange.fills(client_id=OTHER) if order is not None and run.args["told"] else []
    for fill in (each for each in made if order and each.perm_id == order.perm_id):
        for session in list(gateway.sessions):
            session.send(layouts.execution(NOT_A_REQUEST, fill), layouts.commission_report(fill))
    return True


def foreign_position(run: Run) -> bool:
    """Let a position appear that no execution explains."""
    item, gateway = _contract(run), run.trouble.gateway
    if item is None:
        return False
    quantity = run.args["quantity"] * (1 if run.args["side"] == "BUY" else -1)
    quote = gateway.market.quote(item.con_id, gateway.now)
    gateway.publish(gateway.exchange.transfer(item, quantity, quote.last or quote.bid or item.min_tick))
    return True


_LASTING_FORM = Parameter("form", "text", "unset", "1.797…E308, or 0", ("unset", "zero"))
_LISTED = Parameter("listed", "text", "both", "executions listed afterwards", ("both", "corrected"))
_SIDE = Parameter("side", "text", "BUY", "of the other", ("BUY", "SELL"))
_MANY = Parameter("quantity", "count", 1, "contracts")
_CON_ID = Parameter("con_id", "natural", 0, "contract; 0: that of the order in `when`, or the newest")
_REF = Parameter("order_ref", "text", "manual", "of the other's order")

KINDS = (
    Kind(
        *("hold_fills", "Orders are accepted and do not match until the end."),
        {Place.FILL: hold_fills},
        lasting=True,
    ),
    Kind(
        *("partial_fills", "Orders fill in portions."),
        {Place.FILL: partial_fills},
        (
            Parameter("sizes", "counts", REQUIRED, "contracts of each portion"),
            Parameter("pause_seconds", "seconds", 1.0, "after each portion"),
            Parameter("rest", "flag", default=True, says="what is left after them fills too"),
        ),
        lasting=True,
    ),
    Kind(*("status_first", "Filled is told before the execution."), {Place.NEWS: status_first}),
    Kind(*("status_only", "Filled is told, and no execution."), {Place.NEWS: status_only}),
    Kind(*("execution_first", "The execution is told before openOrder."), {Place.NEWS: execution_first}),
    Kind(*("execution_only", "The execution is told, and no status."), {Place.NEWS: execution_only}),
    Kind(
        *("late_commission", "Commissions come late."),
        {Place.MESSAGE: late_commission},
        (Parameter("seconds", "seconds", 5.0, "how late"),),
        lasting=True,
    ),
    Kind(*("no_commission", "Commissions never come."), {Place.MESSAGE: no_commission}, lasting=True),
    Kind(
        *("unset_commission", "Commissions are unset."),
        {Place.MESSAGE: unset_commission},
        (_LASTING_FORM,),
        lasting=True,
    ),
    Kind(
        *("commission_twice", "An empty commission comes before the real one."),
        {Place.MESSAGE: commission_twice},
        (Parameter("seconds", "seconds", 0.0, "between them"), _LASTING_FORM),
        lasting=True,
    ),
    Kind(
        *("correction", "An execution is corrected: the same id with the next ending."),
        {Place.NOW: correction},
        (
            Parameter("price", "number", None, "the right price"),
            Parameter("price_change", "number", None, "or how much it differs; default one tick"),
            Parameter("quantity", "count", None, "the right quantity"),
            _LISTED,
        ),
    ),
    Kind(
        *("bust", "An execution is undone: corrected to no contracts."),
        {Place.NOW: bust},
        (_LISTED,),
    ),
    Kind(
        *("foreign_order", "Someone else's order rests in the very same contract."),
        {Place.NOW: foreign_order},
        (_SIDE, _MANY, Parameter("limit", "number", 0.0, "its price; 0: out of reach"), _REF, _CON_ID),
    ),
    Kind(
        *("foreign_fill", "Someone else trades the very same contract."),
        {Place.NOW: foreign_fill},
        (
            *(_SIDE, _MANY, _REF, _CON_ID),
            Parameter("told", "flag", default=False, says="told to everyone, as to a master"),
        ),
    ),
    Kind(
        *("foreign_position", "A position in the very same contract that no execution explains."),
        {Place.NOW: foreign_position},
        (_SIDE, _MANY, _CON_ID),
    ),
)
