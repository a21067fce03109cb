"""Answers about prices: market data lines, snapshots, market data types, historical bars."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api import history, layouts
from spxarb.sim.api.answers_contracts import one_instrument
from spxarb.sim.api.requests import read_history, read_query
from spxarb.sim.api.streams import FROZEN, LIVE, Stream
from spxarb.sim.api.wire import Ask, Say, frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from spxarb.sim.api.session import Session
    from spxarb.sim.api.wire import Fields

MARKET_DATA_LINES = 100
"""Concurrent lines of one client; the real default."""


def market_data(session: Session, fields: Fields) -> None:
    """reqMktData: a line that streams, or a snapshot that ends."""
    fields.skip(1)
    request = fields.must_integer("tickerId")
    query = read_query(fields)
    if query.sec_type == "BAG":
        session.error(request, 200, "No security definition has been found for the request")
        return
    if fields.flag("deltaNeutralContract"):
        fields.skip(3)
    fields.skip(1)  # generic tick types: none of them is offered
    snapshot = fields.flag("snapshot")
    instrument = one_instrument(session, request, query)
    if instrument is None:
        return
    if request in session.streams:
        session.error(request, 102, "Duplicate ticker ID")
        return
    if len(session.streams) >= MARKET_DATA_LINES:
        session.error(request, 101, "Max number of tickers has been reached")
        return
    stream = session.streams[request] = Stream(request, instrument)
    session.send(stream.start())
    _send_ticks(session, stream)
    if snapshot:
        session.send(frame(Say.SNAPSHOT_END, 1, request))
        session.streams.pop(request, None)


def cancel_market_data(session: Session, fields: Fields) -> None:
    """cancelMktData: silent, but for an id that has no line."""
    fields.skip(1)
    request = fields.must_integer("tickerId")
    if session.streams.pop(request, None) is None:
        session.error(request, 300, f"Can't find EId with tickerId:{request}")


def market_data_type(session: Session, fields: Fields) -> None:
    """reqMarketDataType: of the session. Data here is live; after the close type 2 or 4 shows it frozen."""
    fields.skip(1)
    wanted = fields.must_integer("marketDataType")
    if wanted not in {1, 2, 3, 4}:
        session.error(-1, 321, f"Error validating request: cause - unknown market data type {wanted}")
        return
    session.market_data_type = wanted
    refresh(session)


def refresh(session: Session) -> None:
    """Send every line what changed since its last ticks, and what is new in bars that keep up to date."""
    for stream in list(session.streams.values()):
        _send_ticks(session, stream)
    for bars in session.histories.values():
        session.send(*bars.update(session.gateway.market, session.gateway.now, session.version))


def _send_ticks(session: Session, stream: Stream) -> None:
    market, now = session.gateway.market, session.gateway.now
    frozen = session.market_data_type in {2, 4} and now >= market.close
    moment = market.close - timedelta(seconds=1) if frozen else now
    shown = session.gateway.interceptor.shown(session, stream, moment, FROZEN if frozen else LIVE)
    if shown is None:
        return
    under = None
    if stream.instrument.under_con_id:
        under = market.quote(stream.instrument.under_con_id, shown.moment).last
    session.send(*stream.update(shown, under))


def historical_data(session: Session, fields: Fields) -> None:
    """reqHistoricalData: bars of the day so far, with keepUpToDate also the next ones; or sessions."""
    request = fields.must_integer("reqId")
    asked = read_history(fields)
    instrument = one_instrument(session, request, asked.query)
    if instrument is None:
        return
    gateway = session.gateway
    try:
        if asked.what.upper() == "SCHEDULE" and session.version >= history.SCHEDULES:
            sessions = history.schedule(asked, instrument, gateway.market, gateway.now)
            session.send(frame(Say.HISTORICAL_SCHEDULE, request, *sessions))
            return
        plan = history.plan(asked, gateway.market, gateway.now)
    except ValueError as problem:
        session.error(request, 321, f"Error validating request: cause - {problem}")
        return
    bars = history.bars(gateway.market, instrument, plan, gateway.now)
    if plan.bar == history.A_DAY:
        by = gateway.exchange.official.get(instrument.symbol, 0.0) if instrument.sec_type != "OPT" else 0.0
        bars = history.with_official_close(bars, gateway.market, by, gateway.now)
    if not bars:
        text = f"HMDS query returned no data: {instrument.local_symbol}"
        session.error(request, 162, f"Historical Market Data Service error message:{text}")
        return
    ends = layouts.wire_time(plan.start), layouts.wire_time(plan.end)
    rows = [value for bar in bars for value in bar.fields(plan, session.version)]
    session.send(frame(Say.HISTORICAL_DATA, request, *ends, len(bars), *rows))
    if asked.keep_up_to_date:
        session.histories[request] = history.HistoryStream(request, instrument, plan)


def cancel_historical_data(session: Session, fields: Fields) -> None:
    """cancelHistoricalData: ends bars that keep up to date."""
    fields.skip(1)
    request = fields.must_integer("reqId")
    if session.histories.pop(request, None) is None:
        session.error(request, 366, f"No historical data query found for ticker id:{request}")


HANDLERS: dict[int, Callable[[Session, Fields], None]] = {
    Ask.MARKET_DATA: market_data,
    Ask.CANCEL_MARKET_DATA: cancel_market_data,
    Ask.MARKET_DATA_TYPE: market_data_type,
    Ask.HISTORICAL_DATA: historical_data,
    Ask.CANCEL_HISTORICAL_DATA: cancel_historical_data,
}
