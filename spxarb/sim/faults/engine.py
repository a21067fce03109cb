"""Plays a script of faults: fires its entries, lets the firings act, and keeps what is held back.

Pure: time comes in with the gateway's clock, chance from the script's seed. What fires on a request or
message acts on that very one where it can; what acts at once does so when the request is dealt with.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import Ask, Say, message_id, split_fields
from spxarb.sim.exchange.orders import LIVE
from spxarb.sim.faults.kinds import Call, Chunks, Look, News, Offer, Parcel, Place, Run, Subject, Verdict
from spxarb.sim.faults.script import Script, fires_by_itself
from spxarb.sim.faults.subjects import END_OF, by_order, of_message, of_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spxarb.sim.api.session import Session
    from spxarb.sim.api.streams import Stream
    from spxarb.sim.exchange.exchange import Event
    from spxarb.sim.exchange.orders import Order, Ticket
    from spxarb.sim.faults.script import Entry
    from spxarb.sim.gateway import Gateway

MAX_AT_ONCE = 1000
"""Deferred acts of one moment; a script that goes in circles goes on a second later."""
MAX_RUNNING = 100
"""Faults in force at the same time; what fires beyond them does not begin."""
MAX_FIRED = 10_000
"""Firings that are remembered."""


@dataclass
class _Rule:
    """An entry with its dice and its counts."""

    number: int
    entry: Entry
    dice: Random
    seen: int = 0
    fired: int = 0

    def comes_up(self) -> bool:
        """Count one occasion that fits; True when the entry fires on it."""
        self.seen += 1
        if self.seen < self.entry.when.nth or self.fired >= self.entry.times:
            return False
        if self.entry.chance < 1 and self.dice.random() >= self.entry.chance:
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
    """A firing, for whoever wants to know: which entry, when, which fault."""

    at: datetime
    entry: int
    fault: str


@dataclass(order=True)
class _Due:
    moment: datetime
    number: int
    act: Callable[[], object] = field(compare=False)


class Trouble:
    """The script being played. With an empty one everything passes as it is."""

    def __init__(self, gateway: Gateway) -> None:
        """Nothing goes wrong before `play`."""
        self.gateway = gateway
        self.fired: list[Fired] = []
        self._rules: list[_Rule] = []
        self._running: list[Run] = []
        self._due: list[_Due] = []
        self._late: dict[tuple[Session, int], datetime] = {}
        """Until when the end of an answer waits for its rows: it never comes before them."""
        self._count = count()
        self.dice = Random(0)  # noqa: S311  no secret, and to be repeated

    # --- the script and the clock ------------------------------------------------------------------------

    def play(self, script: Script) -> None:
        """Play `script` from now on, in place of the old one, whose faults end."""
        self._rules, self.fired, self._late = [], [], {}
        for run in list(self._running):
            self.end(run)
        self.settle(everything=True)
        self.dice = Random(f"{script.seed}/dice")  # noqa: S311
        self._rules = [
            _Rule(number, entry, Random(f"{script.seed}/{number}"))  # noqa: S311
            for number, entry in enumerate(script.entries, 1)
        ]
        for rule in self._rules:
            if fires_by_itself(rule.entry):
                self._at(self._beginning(rule.entry), self._firing(rule, _Occasion()))
        self.settle()

    def _beginning(self, entry: Entry) -> datetime:
        now = self.gateway.now
        if entry.when.at is None:
            return now
        day = self.gateway.market.day
        return max(now, datetime.combine(day, entry.when.at, self.gateway.market.open.tzinfo))

    def moments(self, until: datetime) -> Iterator[datetime]:
        """The moments up to `until` at which something is due, as they come up."""
        while self._due and self._due[0].moment <= until:
            yield max(self._due[0].moment, self.gateway.now)

    def settle(self, *, everything: bool = False) -> None:
        """Do what is due by now (or, at the end, all that is left)."""
        for _ in range(MAX_AT_ONCE):
            if not self._due or not (everything or self._due[0].moment <= self.gateway.now):
                return
            heapq.heappop(self._due).act()
        if not everything:
            self._postpone()

    def _postpone(self) -> None:
        """Put what is still due off by a second."""
        while self._due and self._due[0].moment <= self.gateway.now:
            self._at(self.gateway.now + timedelta(seconds=1), heapq.heappop(self._due).act)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do `act` after `seconds` of market time; with 0 once the present request is dealt with."""
        self._at(self.gateway.now + timedelta(seconds=seconds), act)

    def _at(self, moment: datetime, act: Callable[[], object]) -> None:
        heapq.heappush(self._due, _Due(moment, next(self._count), act))

    # --- firing ------------------------------------------------------------------------------------------

    def _firing(self, rule: _Rule, occasion: _Occasion) -> Callable[[], None]:
        def fire() -> None:
            if rule.comes_up():
                self._fire(rule, occasion)

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
            and (when.at is None or self.gateway.now >= self._beginning(entry))
        )

    def _fire(self, rule: _Rule, occasion: _Occasion) -> None:
        if len(self.fired) < MAX_FIRED:
            self.fired.append(Fired(self.gateway.now, rule.number, rule.entry.kind.name))
        if rule.entry.after:
            self.later(rule.entry.after, lambda: self._begin_late(rule, occasion))
        else:
            self._start(rule.entry, occasion)

    def _begin_late(self, rule: _Rule, occasion: _Occasion) -> None:
        """Start what fired a while ago, unless another script is being played by now."""
        if rule in self._rules:
            self._start(rule.entry, occasion)

    def _start(self, entry: Entry, occasion: _Occasion) -> None:
        kind, now = entry.kind, self.gateway.now
        until = None if entry.seconds is None else now + timedelta(seconds=entry.seconds)
        run = Run(
            kind=kind,
            args=dict(entry.args),
            trouble=self,
            since=now,
            until=until,
            session=occasion.session,
            subject=occasion.subject,
            request=occasion.request,
            message=occasion.message,
            exec_id=occasion.exec_id,
            fits=entry.when.fits_quote if kind.quotes_only else entry.when.fits,
            client_id=entry.when.client_id,
        )
        if set(kind.acts) != {Place.NOW}:
            if len(self._running) >= MAX_RUNNING or (kind.lasting and self._goes_on(run)):
                return
            self._running.append(run)
        if Place.NOW in kind.acts:
            self.later(0, lambda: kind.acts[Place.NOW](run))
        if run.until is not None:
            self._at(run.until, lambda: self.end(run))
        if Place.QUOTE in kind.acts:
            self.later(0, self._refresh)

    def _goes_on(self, new: Run) -> bool:
        """True when the same fault is in force already, for the same ones and at least as long."""
        for old in self._running:
            same_fault = old.kind is new.kind and old.args == new.args and old.fits == new.fits
            same_ones = (old.session, old.subject, old.client_id) == (new.session, new.subject, new.client_id)
            if same_fault and same_ones:
                return old.until is None or (new.until is not None and old.until >= new.until)
        return False

    def end(self, run: Run) -> None:
        """End a firing: its END act, and what it held back."""
        if run not in self._running:
            return
        self._running.remove(run)
        if Place.END in run.kind.acts:
            run.kind.acts[Place.END](run)
        for release in run.memory.pop("held", ()):
            release()
        if Place.READ in run.kind.acts:
            for session in list(self.gateway.connections):
                session.receive_data(b"")
        if Place.QUOTE in run.kind.acts:
            self.later(0, self._refresh)

    def _refresh(self) -> None:
        for session in list(self.gateway.sessions):
            session.refresh()

    # --- acting ------------------------------------------------------------------------------------------

    def _act(self, place: Place, thing: object, session: Session | None, subject: Subject | None) -> bool:
        """Let every firing that fits act on `thing`. True when one did."""
        acted = False
        for run in [run for run in self._running if place in run.kind.acts]:
            if self._concerned(run, session, subject) and run.kind.acts[place](run, thing):
                acted = True
                if not run.kind.lasting and run.until is None:
                    self.end(run)
        return acted

    def _concerned(self, run: Run, session: Session | None, subject: Subject | None) -> bool:
        client = session.client_id if session is not None else subject.client_id if subject else None
        if client is not None and run.client_id not in {None, client}:
            return False
        if run.kind.personal:
            return run.session is None or session is None or run.session is session
        if subject is None or run.kind.everywhere:
            return True
        caused_by = run.subject.order if run.subject is not None else None
        if caused_by is not None and subject.order is not None:
            return caused_by == subject.order
        return run.fits(subject)

    def request(self, session: Session, number: int, values: list[str]) -> Call | None:
        """A request has come: what is to become of it. None: nothing special."""
        if not self._rules and not self._running:
            return None
        subject = of_request(self.gateway, session, number, values)
        self._occur(_Occasion(session, request=number, subject=subject))
        call = Call(session, number, values, subject)
        return call if self._act(Place.REQUEST, call, session, subject) else None

    def message(self, session: Session, whole: bytes) -> Parcel | None:
        """A message is to be sent: what is to become of it. None: it goes out."""
        if not self._rules and not self._running:
            return None
        number = message_id(whole)
        fields = split_fields(whole[4:])
        subject = of_message(self.gateway, session, number, fields)
        exec_id = fields[14] if number == Say.EXECUTION and len(fields) > 14 else ""
        self._occur(_Occasion(session, message=number, subject=subject, exec_id=exec_id))
        parcel = Parcel(session, number, whole, fields, subject, [whole])
        acted = self._act(Place.MESSAGE, parcel, session, subject)
        late = (self._late.get((session, number), self.gateway.now) - self.gateway.now).total_seconds()
        parcel.wait(late)
        return parcel if acted or late > 0 else None

    def hold(self, parcel: Parcel) -> None:
        """Keep what a parcel holds back; it is sent as it is when its time has come."""

        def release() -> None:
            parcel.session.put(*parcel.out)
            if parcel.close:
                parcel.session.close()

        if parcel.seconds is None and parcel.held_by is not None and parcel.held_by in self._running:
            parcel.held_by.memory.setdefault("held", []).append(release)
        else:
            self.later(parcel.seconds or 0.0, release)
            if parcel.number in END_OF:
                moment = self.gateway.now + timedelta(seconds=parcel.seconds or 0.0)
                key = parcel.session, END_OF[parcel.number]
                self._late[key] = max(moment, self._late.get(key, moment))

    def deaf(self, session: Session) -> bool:
        """True while nothing of a client is read."""
        return bool(self._running) and self._act(Place.READ, session, session, None)

    def pieces(self, session: Session, data: bytes) -> list[bytes]:
        """`data` in the pieces in which it is to be written."""
        chunks = Chunks(session, [data] if data else [])
        if self._running and data:
            self._act(Place.WRITE, chunks, session, None)
        return chunks.pieces

    def news(self, events: list[Event]) -> list[Event]:
        """The exchange's news as they are to be told."""
        if not self._running:
            return events
        told: list[Event] = []
        for subject, group in by_order(events):
            news = News(subject, group)
            if subject is not None:
                self._act(Place.NEWS, news, None, subject)
            told += news.events
        return told

    def look(self, session: Session, stream: Stream, moment: datetime, kind: int) -> Look:
        """What a client sees of a quote."""
        look = Look(session, stream, moment, kind)
        if self._running:
            item = stream.instrument
            subject = Subject(con_id=item.con_id, symbol=item.symbol, sec_type=item.sec_type)
            self._act(Place.QUOTE, look, session, subject)
        return look

    # --- the exchange's fate -----------------------------------------------------------------------------

    def allowed(self, order: Order, count: int, now: datetime) -> int:
        """Contracts of the `count` that could fill which may."""
        if not self._running:
            return count
        offer = Offer(order, count, now)
        self._act(Place.FILL, offer, None, Subject.of(order.ticket))
        return max(0, min(count, offer.count))

    def verdict(self, ticket: Ticket, *, new: bool) -> Verdict | None:
        """Whether an order is turned away, and how."""
        if not self._running:
            return None
        verdict = Verdict(ticket, new)
        return verdict if self._act(Place.ACCEPT, verdict, None, Subject.of(ticket)) else None

    # --- for the acts ------------------------------------------------------------------------------------

    def order_of(self, run: Run, *, live: bool = False) -> Order | None:
        """The order that fired a fault; else the newest one that fits."""
        exchange = self.gateway.exchange
        if run.subject is not None and run.subject.order is not None:
            found = exchange.order(*run.subject.order)
            return found if found is not None and (found.status in LIVE or not live) else None
        for state in reversed(exchange.all_orders()):
            if run.fits(Subject.of(state.ticket)) and (state.status in LIVE or not live):
                return exchange.order(state.ticket.client_id, state.ticket.order_id)
        return None

    def audience(self, run: Run) -> list[Session]:
        """The clients that a fault concerns: the one that fired it, else those that fit."""
        if run.session is not None:
            return [run.session]
        return [each for each in self.gateway.sessions if run.client_id in {None, each.client_id}]
