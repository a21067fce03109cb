"""What all connections share: the market, the book, the account, the time, and who is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import answers_account, layouts
from spxarb.sim.exchange.exchange import Commission, Filled, OrderChanged, OrderError, PositionChanged
from spxarb.sim.faults.engine import Trouble
from spxarb.sim.faults.simple import Faults

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.sim.api.session import Session
    from spxarb.sim.exchange.exchange import Event, Exchange
    from spxarb.sim.market.instruments import Market


class Gateway:
    """The simulated gateway behind the sockets. The book lives here: it survives every disconnect."""

    def __init__(self, market: Market, exchange: Exchange, account: str, now: datetime) -> None:
        """A gateway at `now` (aware) with nobody connected."""
        self.market = market
        self.exchange = exchange
        self.account = account
        self.now = now
        self.faults = Faults()
        self.sessions: list[Session] = []
        self.connections: list[Session] = []
        """Everyone who has connected, `sessions` those who have started."""
        self.trouble = Trouble(self)
        exchange.fate = self.trouble
        self.publish(exchange.advance(now))

    def join(self, session: Session) -> bool:
        """Take a started client in; False when its client id is taken."""
        if any(other.client_id == session.client_id for other in self.sessions):
            return False
        self.sessions.append(session)
        return True

    def leave(self, session: Session) -> None:
        """Forget a connection; its orders stay in the book."""
        if session in self.sessions:
            self.sessions.remove(session)

    def advance(self, now: datetime) -> None:
        """Move the time to `now`: orders match and expire, and every client is sent what changed.

        Raises ValueError when `now` lies in the past: a book cannot be undone.
        """
        if now < self.now:
            raise ValueError(
                f"the clock stands at {self.now.isoformat()} and cannot go back to {now.isoformat()}"
            )
        for moment in self.trouble.moments(now):
            self._reach(moment)
        self._reach(now)
        for session in list(self.sessions):
            session.refresh()

    def _reach(self, moment: datetime) -> None:
        """Let the time be `moment`: what was held back until then comes before what is new."""
        self.now = moment
        self.trouble.settle()
        self.publish(self.exchange.advance(moment))
        self.trouble.settle()

    def publish(self, events: Iterable[Event]) -> None:
        """Tell the clients: an order's news to its owner, a position's to everyone who listens."""
        for event in self.trouble.news(list(events)):
            for session in list(self.sessions):
                _tell(session, event)


def _tell(session: Session, event: Event) -> None:
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
