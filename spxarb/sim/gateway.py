"""What all connections share: the market, the exchange, the account, the time, and who is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import answers_account, layouts
from spxarb.sim.api.dispatch import Dispatch
from spxarb.sim.api.session import Session
from spxarb.sim.exchange.orders import Commission, Filled, OrderChanged, OrderError, PositionChanged
from spxarb.sim.faults.engine import FaultEngine
from spxarb.sim.market.trading_days import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.sim.exchange.exchange import Exchange
    from spxarb.sim.exchange.orders import Event
    from spxarb.sim.market.instruments import Market


class Gateway:
    """The simulated gateway behind the sockets. Conforms to `session.SharedGateway`.

    The exchange lives here: orders and positions survive every disconnect.
    """

    def __init__(self, market: Market, exchange: Exchange, account: str, now: datetime) -> None:
        """A gateway at `now` (aware) with nobody connected."""
        self.market = market
        self.exchange = exchange
        self.account = account
        self.now = now
        self.zone = NEW_YORK
        """Where the gateway runs: the zone of times without one, and of the midnight from which it lists."""
        self.zone_name = ""
        """How it writes its zone in its greeting; empty: abbreviated."""
        self.sessions: list[Session] = []
        """Clients past startApi."""
        self.connections: list[Session] = []
        """Everyone who has connected."""
        self.faults = FaultEngine(self)
        exchange.interceptor = self.faults
        self.publish(exchange.advance(now))

    @property
    def interceptor(self) -> FaultEngine:
        """What may come between a client and the gateway: the faults."""
        return self.faults

    def connect(self) -> Session:
        """A new connection."""
        session = Session(self, Dispatch())
        self.connections.append(session)
        return session

    def join(self, session: Session) -> bool:
        """Admit a client past startApi; False when its client id is taken."""
        if any(other.client_id == session.client_id for other in self.sessions):
            return False
        self.sessions.append(session)
        return True

    def leave(self, session: Session) -> None:
        """Forget a connection; its orders stay in the book."""
        for listed in (self.connections, self.sessions):
            if session in listed:
                listed.remove(session)

    def advance(self, now: datetime) -> None:
        """Move the time to `now`: orders match and expire, and every client is sent what changed.

        Raises ValueError when `now` lies in the past: nothing that happened can be undone.
        """
        if now < self.now:
            raise ValueError(
                f"the clock stands at {self.now.isoformat()} and cannot go back to {now.isoformat()}"
            )
        for moment in self.faults.schedule.moments(now):
            self._reach(moment)
        self._reach(now)
        for session in list(self.sessions):
            session.refresh()

    def _reach(self, moment: datetime) -> None:
        """Let the time be `moment`: what was held back until then comes before what is new."""
        self.now = moment
        self.faults.settle()
        self.publish(self.exchange.advance(moment))
        self.faults.settle()

    def publish(self, events: Iterable[Event]) -> None:
        """Send the events: an order's to its owner, a position's to everyone subscribed."""
        for event in self.faults.updates(list(events)):
            for session in list(self.sessions):
                _send(session, event)


def _send(session: Session, event: Event) -> None:
    match event:
        case OrderChanged(state) if state.ticket.client_id == session.client_id:
            session.send(layouts.open_order(session.version, state), layouts.order_status(state))
        case Filled(fill) if fill.ticket.client_id == session.client_id:
            session.send(layouts.execution(-1, fill))
        case Commission(fill) if fill.ticket.client_id == session.client_id:
            session.send(layouts.commission_report(fill))
        case OrderError(client_id, order_id, code, text) if client_id == session.client_id:
            session.error(order_id, code, text)
        case PositionChanged(instrument):
            answers_account.position_changed(session, instrument)
        case _:
            pass
