"""Answers about the session and the account: time, ids, values, positions, profit and loss."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import UNSET_DOUBLE, Ask, Say, Value, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spxarb.sim.api.session import Session
    from spxarb.sim.api.wire import Fields
    from spxarb.sim.exchange.orders import Holding
    from spxarb.sim.market.instruments import Instrument

REPEAT = timedelta(minutes=3)
"""Account values are sent again this often, in market time."""
MAX_SUMMARIES = 2
_NOT_MONEY = {"AccountReady", "AccountType", "AccountCode", "Cushion", "DayTradesRemaining", "Currency"}
_RATES = (("ExchangeRate", "1.00", "BASE"), ("ExchangeRate", "1.00", "USD"))
"""What a currency is worth in the account's own: of each that is held, and of that one under two names."""
_LEDGER = ("CashBalance", "TotalCashBalance", "NetLiquidationByCurrency", "UnrealizedPnL", "RealizedPnL")


def current_time(session: Session, fields: Fields) -> None:
    """reqCurrentTime: the market's clock in whole unix seconds."""
    del fields
    session.send(frame(Say.CURRENT_TIME, 1, int(session.gateway.now.timestamp())))


def managed_accounts(session: Session, fields: Fields) -> None:
    """ReqManagedAccts."""
    del fields
    session.send(frame(Say.MANAGED_ACCOUNTS, 1, session.gateway.account))


def ids(session: Session, fields: Fields) -> None:
    """reqIds: the next order id of this client; the number asked for has no meaning."""
    del fields
    session.send(frame(Say.NEXT_VALID_ID, 1, session.gateway.exchange.next_order_id(session.client_id)))


def log_level(session: Session, fields: Fields) -> None:
    """setServerLogLevel: accepted without an answer."""
    del session, fields


def positions(session: Session, fields: Fields) -> None:
    """reqPositions: every position now, an end, and from then on each change."""
    del fields
    session.wants_positions = True
    for holding in session.gateway.exchange.positions():
        if holding.quantity:
            session.send(layouts.position(session.gateway.account, holding))
    session.send(frame(Say.POSITIONS_END, 1))


def cancel_positions(session: Session, fields: Fields) -> None:
    """CancelPositions."""
    del fields
    session.wants_positions = False


def account_updates(session: Session, fields: Fields) -> None:
    """reqAccountUpdates: values, portfolio, time and an end; then again on change and every 3 minutes."""
    fields.skip(1)
    subscribe, account = fields.flag("subscribe"), fields.text("acctCode")
    if not _known(session, -1, account):
        return
    session.account_updates = subscribe
    if subscribe:
        _send_account(session)
        session.send(frame(Say.ACCOUNT_END, 1, session.gateway.account))


def _known(session: Session, request: int, account: str) -> bool:
    if account in {"", "All", session.gateway.account}:
        return True
    session.error(request, 321, f"Error validating request: cause - Invalid account code {account!r}")
    return False


def _values(session: Session) -> Iterator[tuple[str, str, str]]:
    """Tag, value and currency of every account value."""
    for tag, value in session.gateway.exchange.account_values().items():
        yield tag, value, "" if tag in _NOT_MONEY else "USD"
    yield from _RATES


def _send_account(session: Session) -> None:
    gateway = session.gateway
    for tag, value, currency in _values(session):
        session.send(frame(Say.ACCOUNT_VALUE, 2, tag, value, currency, gateway.account))
    for holding in gateway.exchange.positions():
        session.send(layouts.portfolio(gateway.account, holding))
    session.send(frame(Say.ACCOUNT_TIME, 1, f"{gateway.now:%H:%M}"))
    session.account_sent = gateway.now


def account_multi(session: Session, fields: Fields) -> None:
    """reqAccountUpdatesMulti: the same values under a request id."""
    fields.skip(1)
    request, account = fields.must_integer("reqId"), fields.text("acctCode")
    if not _known(session, request, account):
        return
    session.account_multis.add(request)
    _send_multi(session, request)
    session.send(frame(Say.ACCOUNT_MULTI_END, 1, request))


def _send_multi(session: Session, request: int) -> None:
    for tag, value, currency in _values(session):
        session.send(frame(Say.ACCOUNT_MULTI, 1, request, session.gateway.account, "", tag, value, currency))


def cancel_account_multi(session: Session, fields: Fields) -> None:
    """CancelAccountUpdatesMulti."""
    fields.skip(1)
    session.account_multis.discard(fields.must_integer("reqId"))


def account_summary(session: Session, fields: Fields) -> None:
    """reqAccountSummary: the tags asked for; at most two at a time (322)."""
    fields.skip(1)
    request, group, tags = fields.must_integer("reqId"), fields.text("group"), fields.text("tags")
    if not _known(session, request, group):
        return
    if request not in session.summaries and len(session.summaries) >= MAX_SUMMARIES:
        text = "Error processing request: Maximum number of account summary requests exceeded"
        session.error(request, 322, text)
        return
    session.summaries[request] = tuple(tags.split(","))
    _send_summary(session, request)
    session.send(frame(Say.ACCOUNT_SUMMARY_END, 1, request))


def _send_summary(session: Session, request: int) -> None:
    wanted, account = session.summaries[request], session.gateway.account
    rows = [(tag, value, currency) for tag, value, currency in _values(session) if tag in wanted]
    if any(tag.startswith("$LEDGER") for tag in wanted):
        rows += _ledger(session)
    for tag, value, currency in rows:
        session.send(frame(Say.ACCOUNT_SUMMARY, 1, request, account, tag, value, currency))


def _ledger(session: Session) -> list[tuple[str, str, str]]:
    values = session.gateway.exchange.account_values()
    names = {"CashBalance": "TotalCashValue", "TotalCashBalance": "TotalCashValue"}
    names["NetLiquidationByCurrency"] = "NetLiquidation"
    return [*((tag, values.get(names.get(tag, tag), "0"), "USD") for tag in _LEDGER), *_RATES]


def cancel_account_summary(session: Session, fields: Fields) -> None:
    """CancelAccountSummary."""
    fields.skip(1)
    session.summaries.pop(fields.must_integer("reqId"), None)


def pnl(session: Session, fields: Fields) -> None:
    """reqPnL: daily, unrealized and realized of the account, now and on every change."""
    request, account = fields.must_integer("reqId"), fields.text("acctCode")
    if _known(session, request, account):
        session.pnl[request] = None
        _send_pnl(session, request)


def pnl_single(session: Session, fields: Fields) -> None:
    """reqPnLSingle: of one contract; one that is not held gets no reply at all."""
    request, account = fields.must_integer("reqId"), fields.text("acctCode")
    fields.skip(1)
    con_id = fields.must_integer("conId")
    if _known(session, request, account):
        session.pnl[request] = con_id
        _send_pnl(session, request)


def _send_pnl(session: Session, request: int) -> None:
    con_id = session.pnl[request]
    row: tuple[Value, ...] | None
    if con_id is None:
        row = (Say.PNL, request, *_account_pnl(session))
    else:
        row = _single_pnl(session, request, con_id)
    if row is not None and session.pnl_sent.get(request) != row:
        session.pnl_sent[request] = row
        session.send(frame(*row))


def _account_pnl(session: Session) -> tuple[float, float, float]:
    daily, unrealized, realized = session.gateway.exchange.pnl()
    return daily, unrealized, realized


def _single_pnl(session: Session, request: int, con_id: int) -> tuple[Value, ...] | None:
    for holding in session.gateway.exchange.positions():
        if holding.instrument.con_id == con_id:
            values = holding.unrealized, holding.realized, holding.market_value
            return (Say.PNL_SINGLE, request, holding.quantity, UNSET_DOUBLE, *values)
    return None


def cancel_pnl(session: Session, fields: Fields) -> None:
    """CancelPnL and cancelPnLSingle."""
    request = fields.must_integer("reqId")
    session.pnl.pop(request, None)
    session.pnl_sent.pop(request, None)


def position_changed(session: Session, instrument: Instrument) -> None:
    """Send a client one position (quantity 0 when it is closed) and the account values after it."""
    gateway = session.gateway
    holding: Holding | None = gateway.exchange.holding(instrument)
    if holding is None:
        return
    if session.wants_positions:
        session.send(layouts.position(gateway.account, holding))
    session.account_sent = None
    refresh(session)


def refresh(session: Session) -> None:
    """Profit and loss when it has changed, account values after a change or 3 minutes."""
    for request in session.pnl:
        _send_pnl(session, request)
    now = session.gateway.now
    if session.account_sent is not None and now - session.account_sent < REPEAT:
        return
    session.account_sent = now
    if session.account_updates:
        _send_account(session)
    for request in session.account_multis:
        _send_multi(session, request)
    for request in session.summaries:
        _send_summary(session, request)


HANDLERS: dict[int, Callable[[Session, Fields], None]] = {
    Ask.CURRENT_TIME: current_time,
    Ask.MANAGED_ACCOUNTS: managed_accounts,
    Ask.IDS: ids,
    Ask.SERVER_LOG_LEVEL: log_level,
    Ask.POSITIONS: positions,
    Ask.CANCEL_POSITIONS: cancel_positions,
    Ask.ACCOUNT_UPDATES: account_updates,
    Ask.ACCOUNT_UPDATES_MULTI: account_multi,
    Ask.CANCEL_ACCOUNT_UPDATES_MULTI: cancel_account_multi,
    Ask.ACCOUNT_SUMMARY: account_summary,
    Ask.CANCEL_ACCOUNT_SUMMARY: cancel_account_summary,
    Ask.PNL: pnl,
    Ask.CANCEL_PNL: cancel_pnl,
    Ask.PNL_SINGLE: pnl_single,
    Ask.CANCEL_PNL_SINGLE: cancel_pnl,
}
