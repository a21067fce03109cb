"""The gateway's side of the control port: requests as JSON lines in, answers as JSON lines out.

`control` describes the protocol.
"""

from __future__ import annotations

import hmac
import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from spxarb.sim.api.wire import frame
from spxarb.sim.faults.script import read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spxarb.sim.api.session import Session
    from spxarb.sim.control import Answer
    from spxarb.sim.exchange.exchange import Exchange
    from spxarb.sim.exchange.orders import ExecutionReport, Holding, OrderSnapshot
    from spxarb.sim.gateway import Gateway
    from spxarb.sim.market.instruments import Instrument


class SteeredServer(Protocol):
    """What the control does to a server."""

    @property
    def gateway(self) -> Gateway:
        """The gateway behind the sockets."""

    @property
    def speed(self) -> float:
        """Market seconds in one machine second."""

    def set_speed(self, speed: float) -> None:
        """Continue at another speed. Raises ValueError for one that is out of range."""

    def move(self, moment: datetime | None = None) -> None:
        """Bring the market to the clock, or clock and market to `moment`. Raises ValueError for the past."""

    def flush(self) -> None:
        """Write what the sessions have to send."""

    def drop(self, session: Session) -> None:
        """End a client's connection at once."""

    def request_stop(self) -> None:
        """Let the server end soon."""


LONGEST_NAME = 100
"""Characters of an op that an answer quotes."""


class NoRequestError(ValueError):
    """A line that is no request: whoever sends it does not speak this protocol, or may not"""


class Controller:
    """Answers control requests for one server."""

    def __init__(self, server: SteeredServer, token: str) -> None:
        """Steer `server` for those who have the token."""
        self._server, self._token = server, token
        self._operations: Mapping[str, Callable[[Answer], Answer]] = {
            "time": self._time,
            "set_time": self._set_time,
            "advance": self._advance,
            "speed": self._speed,
            "book": lambda _: book(self._server.gateway.exchange, self._server.gateway.account),
            "quote": self._quote,
            "script": self._script,
            "fired": self._fired,
            "drop": self._drop,
            "say": self._say,
            "statement": self._statement,
            "stop": self._stop,
        }

    def answer(self, line: bytes, *, trusted: bool = False) -> tuple[bytes, bool]:
        """The answer line to one request line, and whether the connection goes on.

        Never raises: nonsense is answered with its error. `trusted`: the connection has shown its token.
        """
        try:
            request = self._request(line, trusted=trusted)
        except (ValueError, RecursionError) as problem:
            why = str(problem) if isinstance(problem, NoRequestError) else "a request is a JSON object"
            return _line({"ok": False, "error": why}), False
        return _line(self._answered(request)), True

    def _answered(self, request: Answer) -> Answer:
        try:
            operation = self._operation(str(request.get("op")))
            self._server.move()
            return {"ok": True, **operation(request)}
        except (ValueError, TypeError, KeyError, OverflowError, OSError) as problem:
            name = f"missing {problem}" if isinstance(problem, KeyError) else str(problem)
            return {"ok": False, "error": name}

    def _operation(self, name: str) -> Callable[[Answer], Answer]:
        operation = self._operations.get(name)
        if operation is None:
            raise ValueError(f"unknown op {name[:LONGEST_NAME]!r}; known: {', '.join(self._operations)}")
        return operation

    def _request(self, line: bytes, *, trusted: bool) -> Answer:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise NoRequestError("a request is a JSON object")
        token = str(request.pop("token", "")).encode("utf-8", "replace")
        if not trusted and not hmac.compare_digest(token, self._token.encode()):
            raise NoRequestError("the first request has the token that the gateway told when it started")
        return request

    def _time(self, _: Answer) -> Answer:
        return {"time": self._server.gateway.now.isoformat(), "speed": self._server.speed}

    def _set_time(self, request: Answer) -> Answer:
        moment = datetime.fromisoformat(request["time"])
        if moment.tzinfo is None:
            raise ValueError(f"time without offset: {request['time']}")
        self._server.move(moment.astimezone(self._server.gateway.market.open.tzinfo))
        return self._time(request)

    def _advance(self, request: Answer) -> Answer:
        self._server.move(self._server.gateway.now + timedelta(seconds=float(request["seconds"])))
        return self._time(request)

    def _speed(self, request: Answer) -> Answer:
        self._server.set_speed(float(request["value"]))
        return self._time(request)

    def _quote(self, request: Answer) -> Answer:
        gateway = self._server.gateway
        quote = gateway.market.quote(int(request["con_id"]), gateway.now)
        names = ("bid", "ask", "last", "bid_size", "ask_size", "last_size")
        return {name: getattr(quote, name) for name in names}

    def _script(self, request: Answer) -> Answer:
        """Play a script; clients are sent at once what changes for them."""
        gateway, seed = self._server.gateway, int(request.get("seed", 0))
        if "file" in request:
            raise ValueError("no file is read for a request: send its entries")
        script = read_script(request.get("entries"), seed)
        gateway.faults.play(script)
        for session in list(gateway.sessions):
            session.refresh()
        self._server.flush()
        return {"entries": len(script.entries)}

    def _fired(self, _: Answer) -> Answer:
        faults = self._server.gateway.faults
        rows = [{"time": one.at.isoformat(), "entry": one.entry, "fault": one.fault} for one in faults.fired]
        return {"fired": rows, "scripts": faults.scripts}

    def _drop(self, request: Answer) -> Answer:
        chosen = self._chosen(request)
        for session in chosen:
            self._server.drop(session)
        return {"connections": len(chosen)}

    def _say(self, request: Answer) -> Answer:
        chosen, message = self._chosen(request), frame(*request["fields"])
        for session in chosen:
            session.send(message)
        self._server.flush()
        return {"connections": len(chosen)}

    def _chosen(self, request: Answer) -> list[Session]:
        wanted = request.get("client_id")
        return [item for item in self._server.gateway.sessions if wanted in {None, item.client_id}]

    def _statement(self, request: Answer) -> Answer:
        days = {name: date.fromisoformat(request[name]) for name in ("since", "until") if request.get(name)}
        kind = str(request.get("kind", "activity"))
        references = bool(request.get("references", True))
        return {"xml": self._server.gateway.exchange.statement(kind, **days, references=references)}

    def _stop(self, _: Answer) -> Answer:
        self._server.request_stop()
        return {}


def _line(answer: Answer) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def book(exchange: Exchange, account: str) -> Answer:
    """What the account holds, ordered and paid, in plain values and independent of any client."""
    values = exchange.account_values()
    open_orders = exchange.open_orders(None)
    return {
        "account": account,
        "cash": float(values["TotalCashValue"]),
        "values": values,
        "orders": [_order(state) for state in (*open_orders, *exchange.completed_orders())],
        "fills": [_fill(fill) for fill in exchange.fills()],
        "positions": [_holding(holding) for holding in exchange.positions() if holding.quantity],
    }


def _instrument(instrument: Instrument) -> Answer:
    return {
        "con_id": instrument.con_id,
        "symbol": instrument.symbol,
        "sec_type": instrument.sec_type,
        "trading_class": instrument.trading_class,
        "expiry": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else "",
        "strike": instrument.strike,
        "right": instrument.right,
    }


def _order(state: OrderSnapshot) -> Answer:
    ticket = state.ticket
    return {
        **_instrument(ticket.instrument),
        "client_id": ticket.client_id,
        "order_id": ticket.order_id,
        "perm_id": state.perm_id,
        "order_ref": ticket.order_ref,
        "side": ticket.side,
        "quantity": ticket.quantity,
        "order_type": ticket.order_type,
        "limit": ticket.limit,
        "tif": ticket.tif,
        "status": state.status,
        "filled": state.filled,
        "avg_fill_price": state.avg_fill_price,
        "commission": state.commission,
        "why": state.why,
    }


def _fill(fill: ExecutionReport) -> Answer:
    return {
        **_instrument(fill.ticket.instrument),
        "exec_id": fill.exec_id,
        "client_id": fill.ticket.client_id,
        "order_id": fill.ticket.order_id,
        "perm_id": fill.perm_id,
        "order_ref": fill.ticket.order_ref,
        "time": fill.time.isoformat(),
        "side": fill.side,
        "shares": fill.shares,
        "price": fill.price,
        "commission": fill.commission,
        "realized_pnl": fill.realized_pnl,
    }


def _holding(holding: Holding) -> Answer:
    return {
        **_instrument(holding.instrument),
        "quantity": holding.quantity,
        "avg_cost": holding.avg_cost,
        "market_price": holding.market_price,
        "unrealized": holding.unrealized,
        "realized": holding.realized,
    }
