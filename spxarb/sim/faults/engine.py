"""Plays a script of faults: fires its entries, lets the firings act, and keeps what is held back.

Pure: time comes from the gateway's clock, chance from the script's seed. What fires on a request or message
acts on that very one where it can; what acts at once does so when the request is dealt with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from spxarb.sim.api.streams import ShownQuote
from spxarb.sim.api.wire import Ask, Say, message_id, split_fields
from spxarb.sim.exchange.interventions import Rejection
from spxarb.sim.faults.kinds import (
    ActiveFault,
    Chunks,
    ClientRequest,
    Hook,
    Offer,
    OrderUpdates,
    OutgoingMessage,
    QuoteView,
    Subject,
)
from spxarb.sim.faults.schedule import Schedule
from spxarb.sim.faults.script import fires_by_itself
from spxarb.sim.faults.subjects import END_OF, by_order, of_message, of_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from spxarb.sim.api.session import Session, SharedGateway
    from spxarb.sim.api.streams import Stream
    from spxarb.sim.exchange.orders import Event, Order, Ticket
    from spxarb.sim.faults.script import Entry, Script

MAX_ACTIVE = 100
"""Faults in force at the same time; what fires beyond them does not begin."""
MAX_FIRED = 10_000
"""Firings that are remembered."""


@dataclass
class _Rule:
    """An entry with its random numbers and its counts."""

    number: int
    entry: Entry
    rng: Random
    seen: int = 0
    fired: int = 0

    def comes_up(self) -> bool:
        """Count one occasion that fits; True when the entry fires on it."""
        self.seen += 1
        if self.seen < self.entry.when.nth or self.fired >= self.entry.times:
            return False
        if self.entry.chance < 1 and self.rng.random() >= self.entry.chance:
            return False
        self.fired += 1
        return True


@dataclass
class _Occasion:
    """What may fire an entry."""

    session: Session | None = None
    request: int | None = None
    message: int | None = None
    subject: Subject | None = None
    exec_id: str = ""


@dataclass(frozen=True)
class Fired:
    """A firing: when, which entry of the script (from 1 on), which fault."""

    at: datetime
    entry: int
    fault: str


class FaultEngine:
    """The script being played; with an empty one everything passes as it is.

    Conforms to `session.TrafficInterceptor` and to `interventions.OrderInterceptor`.
    """

    def __init__(self, gateway: SharedGateway) -> None:
        """Nothing goes wrong before `play`."""
        self.fired: list[Fired] = []
        self.scripts = 0
        """How many scripts that say anything were played so far."""
        self.schedule = Schedule(lambda: gateway.now)
        self._gateway = gateway
        self._rules: list[_Rule] = []
        self._active: list[ActiveFault] = []
        self._answers_held_until: dict[tuple[Session, int], datetime] = {}
        """By client and end marker: when the last row of the answer goes out. The marker waits for it."""
        self._rng = Random(0)  # noqa: S311  no secret, and to be repeated

    # --- the script and the clock ------------------------------------------------------------------------

    def play(self, script: Script) -> None:
        """Play `script` from now on, in place of the old one, whose faults end."""
        self._rules, self.fired, self._answers_held_until = [], [], {}
        for fault in list(self._active):
            self._end(fault)
        self.schedule.settle(everything=True)
        self.scripts += bool(script.entries)
        self._rng = Random(f"{script.seed}/rng")  # noqa: S311
        self._rules = [
            _Rule(number, entry, Random(f"{script.seed}/{number}"))  # noqa: S311
            for number, entry in enumerate(script.entries, 1)
        ]
        for rule in self._rules:
            if fires_by_itself(rule.entry):
                self.schedule.at(self._beginning(rule.entry), self._firing(rule))
        self.settle()

    def settle(self) -> None:
        """Do what is due by now."""
        self.schedule.settle()

    def _beginning(self, entry: Entry) -> datetime:
        now = self._gateway.now
        if entry.when.at is None:
            return now
        market = self._gateway.market
        return max(now, datetime.combine(market.day, entry.when.at, market.open.tzinfo))

    # --- firing ------------------------------------------------------------------------------------------

    def _firing(self, rule: _Rule) -> Callable[[], None]:
        def fire() -> None:
            if rule.comes_up():
                self._fire(rule, _Occasion())

        return fire

    def _occur(self, occasion: _Occasion) -> None:
        """Fire every entry that waits for this."""
        for rule in self._rules:
            if not fires_by_itself(rule.entry) and self._waits_for(rule.entry, occasion) and rule.comes_up():
                self._fire(rule, occasion)

    def _waits_for(self, entry: Entry, occasion: _Occasion) -> bool:
        when = entry.when
        request = when.request
        if request is None and when.message is None:
            request = Ask.PLACE_ORDER
        client = None if occasion.session is None else occasion.session.client_id
        return (
            (request, when.message) == (occasion.request, occasion.message)
            and when.client_id in {None, client}
            and when.fits(occasion.subject)
            and (when.at is None or self._gateway.now >= self._beginning(entry))
        )

    def _fire(self, rule: _Rule, occasion: _Occasion) -> None:
        if len(self.fired) < MAX_FIRED:
            self.fired.append(Fired(self._gateway.now, rule.number, rule.entry.kind.name))
        if rule.entry.after:
            self.schedule.later(rule.entry.after, lambda: self._begin_late(rule, occasion))
        else:
            self._begin(rule.entry, occasion)

    def _begin_late(self, rule: _Rule, occasion: _Occasion) -> None:
        """Begin what fired a while ago, unless another script is being played by now."""
        if rule in self._rules:
            self._begin(rule.entry, occasion)

    def _begin(self, entry: Entry, occasion: _Occasion) -> None:
        kind, fault = entry.kind, self._activate(entry, occasion)
        if not kind.momentary:
            covered = fault.lasting and any(old.covers(fault) for old in self._active)
            if len(self._active) >= MAX_ACTIVE or covered:
                return
            self._active.append(fault)
        if Hook.NOW in kind.acts:
            self.schedule.later(0, lambda: self._act_at_once(fault))
        if fault.until is not None:
            self.schedule.at(fault.until, lambda: self._end(fault))
        if Hook.QUOTE in kind.acts:
            self.schedule.later(0, self._refresh)

    def _activate(self, entry: Entry, occasion: _Occasion) -> ActiveFault:
        now = self._gateway.now
        return ActiveFault(
            kind=entry.kind,
            args=dict(entry.args),
            gateway=self._gateway,
            schedule=self.schedule,
            rng=self._rng,
            since=now,
            until=None if entry.seconds is None else now + timedelta(seconds=entry.seconds),
            lasting=entry.kind.lasting or entry.endless,
            session=occasion.session,
            subject=occasion.subject,
            request=occasion.request,
            message=occasion.message,
            exec_id=occasion.exec_id,
            fits=entry.when.fits_quote if entry.kind.quotes_only else entry.when.fits,
            client_id=entry.when.client_id,
        )

    def _act_at_once(self, fault: ActiveFault) -> None:
        if fault.kind.acts[Hook.NOW](fault):
            self._used(fault)

    def _used(self, fault: ActiveFault) -> None:
        """End what has acted, unless it lasts or has its time."""
        if not fault.lasting and fault.until is None:
            self._end(fault)

    def _end(self, fault: ActiveFault) -> None:
        """End a firing: its END act, and what it held back."""
        if fault not in self._active:
            return
        self._active.remove(fault)
        if Hook.END in fault.kind.acts:
            fault.kind.acts[Hook.END](fault)
        for release in fault.memory.pop("held", ()):
            release()
        if Hook.READ in fault.kind.acts:
            for session in list(self._gateway.connections):
                session.receive_data(b"")
        if Hook.QUOTE in fault.kind.acts:
            self.schedule.later(0, self._refresh)

    def _refresh(self) -> None:
        for session in list(self._gateway.sessions):
            session.refresh()

    # --- between the clients and the gateway -------------------------------------------------------------

    def _act(self, hook: Hook, thing: object, session: Session | None, subject: Subject | None) -> bool:
        """Let every firing that fits act on `thing`. True when one did."""
        acted = False
        for fault in [fault for fault in self._active if hook in fault.kind.acts]:
            if fault.concerns(session, subject) and fault.kind.acts[hook](fault, thing):
                acted = True
                self._used(fault)
        return acted

    def request(self, session: Session, number: int, values: list[str], effect: Callable[[], None]) -> None:
        """A request has come in: let it take effect, or what the faults make of it."""
        if not self._rules and not self._active:
            effect()
            return
        subject = of_request(self._gateway, session, number, values)
        mark = session.queued()
        self._occur(_Occasion(session, request=number, subject=subject))
        request = ClientRequest(session, number, values, subject)
        self._act(Hook.REQUEST, request, session, subject)
        if not request.refused and not session.closed:
            effect()
        if request.unanswered:
            session.forget(mark)
        for follow in request.after:
            follow()
        if request.close:
            session.close()

    def message(self, session: Session, whole: bytes) -> None:
        """A message is to be sent: send it, or what the faults make of it, now or later."""
        if not self._rules and not self._active:
            session.put(whole)
            return
        number, fields = message_id(whole), split_fields(whole[4:])
        subject = of_message(self._gateway, session, number, fields)
        exec_id = fields[14] if number == Say.EXECUTION and len(fields) > 14 else ""
        self._occur(_Occasion(session, message=number, subject=subject, exec_id=exec_id))
        message = OutgoingMessage(session, number, whole, fields, subject, [whole])
        self._act(Hook.MESSAGE, message, session, subject)
        now = self._gateway.now
        message.wait((self._answers_held_until.get((session, number), now) - now).total_seconds())
        if message.seconds is None or message.seconds > 0:
            self._hold(message)
        else:
            message.release()

    def _hold(self, message: OutgoingMessage) -> None:
        """Keep a message back; it is sent when its time has come."""
        if message.seconds is None and message.held_by is not None and message.held_by in self._active:
            message.held_by.memory.setdefault("held", []).append(message.release)
            return
        seconds = message.seconds or 0.0
        self.schedule.later(seconds, message.release)
        if message.number in END_OF:
            moment = self._gateway.now + timedelta(seconds=seconds)
            key = message.session, END_OF[message.number]
            self._answers_held_until[key] = max(moment, self._answers_held_until.get(key, moment))

    def ignores(self, session: Session) -> bool:
        """True while nothing that a client sends is read."""
        return bool(self._active) and self._act(Hook.READ, session, session, None)

    def pieces(self, session: Session, data: bytes) -> list[bytes]:
        """`data` in the pieces in which it is to be written."""
        chunks = Chunks(session, [data] if data else [])
        if self._active and data:
            self._act(Hook.WRITE, chunks, session, None)
        return chunks.pieces

    def updates(self, events: list[Event]) -> list[Event]:
        """The exchange's events as clients are to be sent them."""
        if not self._active:
            return events
        sent: list[Event] = []
        for subject, group in by_order(events):
            updates = OrderUpdates(subject, group)
            if subject is not None:
                self._act(Hook.UPDATES, updates, None, subject)
            sent += updates.events
        return sent

    def shown(self, session: Session, stream: Stream, moment: datetime, kind: int) -> ShownQuote | None:
        """What a market data line shows of its contract; None when it is silent."""
        item, view = stream.instrument, QuoteView(session, stream, moment, kind)
        if self._active:
            subject = Subject(con_id=item.con_id, symbol=item.symbol, sec_type=item.sec_type)
            self._act(Hook.QUOTE, view, session, subject)
        if view.silent:
            return None
        quote = self._gateway.market.quote(item.con_id, view.moment)
        for change in view.changes:
            quote = change(quote)
        return ShownQuote(quote, view.moment, view.kind, timedelta(seconds=view.last_age))

    # --- between an order and the market -----------------------------------------------------------------

    def fillable(self, order: Order, count: int, now: datetime) -> int:
        """How many of the `count` contracts that could fill now may do so."""
        if not self._active:
            return count
        offer = Offer(order, count, now)
        self._act(Hook.FILL, offer, None, Subject.of(order.ticket))
        return max(0, min(count, offer.count))

    def rejection(self, ticket: Ticket, *, new: bool) -> Rejection | None:
        """How an order is turned away; None when it is accepted."""
        if not self._active:
            return None
        rejection = Rejection(ticket, new)
        return rejection if self._act(Hook.ACCEPT, rejection, None, Subject.of(ticket)) else None
