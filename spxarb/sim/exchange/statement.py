"""The account's own statement, as IB's Flex queries write it: activity, or trade confirmations.

Sections, fields and row forms as recorded from real ones, and at the harder end of each: an execution stands
again at the level of its order, its symbol and its closed lot; a correction cancels what it corrects by its
trade id alone; expirations stand among the trades; funds stand in both currencies; another account's
statement stands first; dates have three forms in one file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

from spxarb.sim.exchange.fees import ZERO
from spxarb.sim.exchange.orders import dec
from spxarb.sim.market.trading_days import closing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.sim.exchange.executions import ExecutionLog
    from spxarb.sim.exchange.ledger import Expiry
    from spxarb.sim.exchange.orders import ExecutionReport
    from spxarb.sim.market.instruments import Instrument

Fields = dict[str, object]

KINDS = ("activity", "confirms")
READY_AFTER = timedelta(hours=1)
"""From the close until the day's activity is in a statement."""
_SECOND_ACCOUNT = "SIM9999999"
_CONFIRMS = {
    "ibExecID": "execID",
    "ibOrderID": "orderID",
    "tradePrice": "price",
    "ibCommission": "commission",
    "notes": "code",
}
"""What the trade confirmations call it."""


@dataclass(frozen=True)
class StatementBooks:
    """What the statement is about."""

    name: str
    executions: ExecutionLog
    expiries: Sequence[Expiry]


@dataclass(frozen=True)
class StatementWanted:
    """Which statement; None: today."""

    kind: str
    since: date | None
    until: date | None
    now: datetime
    references: bool = True
    """False: the query has not asked for the orders' references."""


def write(account: StatementBooks, wanted: StatementWanted) -> str:
    """The XML. Raises ValueError for an unknown kind and for a day that is not in a statement yet."""
    if wanted.kind not in KINDS:
        raise ValueError(f"unknown kind {wanted.kind!r}; known: {', '.join(KINDS)}")
    today = wanted.now.date()
    until = wanted.until or today
    since = wanted.since or until
    ready = wanted.kind == "confirms" or wanted.now >= closing(today) + READY_AFTER
    if until > today or (until == today and not ready):
        raise ValueError(f"the statement of {until} is not ready at {wanted.now.isoformat()}")
    sections = _activity if wanted.kind == "activity" else _confirmations
    body = "\n".join(sections(account, since, until))
    if not wanted.references:
        body = re.sub(r' orderReference="[^"]*"', "", body)
    head = {
        "fromDate": f"{since:%Y%m%d}",
        "toDate": f"{until:%Y%m%d}",
        "period": "",
        "whenGenerated": f"{wanted.now:%Y%m%d;%H%M%S}",
    }
    other = _tag("FlexStatement", {"accountId": _SECOND_ACCOUNT, **head}, "<Trades>\n</Trades>")
    own = _tag("FlexStatement", {"accountId": account.name, **head}, body)
    both = _tag("FlexStatements", {"count": 2}, f"{other}\n{own}")
    query: Fields = {"queryName": "spxarb", "type": "AF" if wanted.kind == "activity" else "TCF"}
    return f"{_tag('FlexQueryResponse', query, both)}\n"


def _activity(account: StatementBooks, since: date, until: date) -> Iterator[str]:
    fills = [fill for fill in account.executions.current if since <= fill.time.date() <= until]
    ended = [row for row in account.expiries if since <= _day(row.instrument) <= until]
    trades = [*_executions(account, fills), *(_booked_out(account.name, row) for row in ended)]
    yield _section("Trades", [_tag("Trade", row) for row in [*_summaries(account, fills), *trades]])
    yield _section("StmtFunds", [_tag("StatementOfFundsLine", row) for row in _funds(account, fills, ended)])
    yield _section("OptionEAE", [_tag("OptionEAE", row) for row in _events(account.name, ended)])


def _confirmations(account: StatementBooks, since: date, until: date) -> Iterator[str]:
    fills = [fill for fill in account.executions.current if since <= fill.time.date() <= until]
    rows = [*_executions(account, fills)]
    named = [{_CONFIRMS.get(name, name): value for name, value in row.items()} for row in rows]
    yield _section("TradeConfirms", [_tag("TradeConfirm", row) for row in named])


# --- trades ------------------------------------------------------------------------------------------


def _executions(account: StatementBooks, fills: Sequence[ExecutionReport]) -> Iterator[Fields]:
    """Every execution with its corrections: the old one, its cancel, the new one. Newest order first."""
    for fill in reversed(fills):
        paid = ZERO
        revisions = account.executions.revisions(fill)
        for number, revision in enumerate(revisions):
            if number:
                refund = paid if not revision.shares else ZERO
                yield _cancel(account.name, revisions[number - 1], refund)
                paid -= refund
            if revision.shares:
                change = dec(revision.commission) - paid
                yield _execution(account.name, revision, change)
                paid += change


def _execution(account: str, fill: ExecutionReport, costs: Decimal) -> Fields:
    sign = fill.ticket.sign
    return {
        **_contract(account, fill.ticket.instrument),
        "tradeID": _trade_id(fill),
        "dateTime": f"{fill.time:%Y%m%d;%H%M%S}",
        "tradeDate": f"{fill.time:%Y%m%d}",
        "transactionType": "ExchTrade",
        "quantity": sign * fill.shares,
        "tradePrice": f"{fill.price:g}",
        "taxes": "0",
        "ibCommission": f"{-costs:f}",
        "ibCommissionCurrency": "USD",
        "notes": "P" if fill.shares < fill.ticket.quantity else "",
        "buySell": fill.ticket.side,
        "ibOrderID": fill.perm_id,
        "ibExecID": fill.exec_id,
        "transactionID": f"{_trade_id(fill)}{fill.exec_id[-2:]}",
        "orderReference": fill.ticket.order_ref,
        "origTradeID": "",
        "levelOfDetail": "EXECUTION",
    }


def _cancel(account: str, fill: ExecutionReport, refund: Decimal) -> Fields:
    """The row that takes an execution back: it names the trade, not the execution."""
    row = _execution(account, fill, -refund)
    return {
        **row,
        "tradeID": "",
        "transactionType": "TradeCancel",
        "quantity": -fill.ticket.sign * fill.shares,
        "notes": "Ca",
        "buySell": f"{fill.ticket.side} (Ca.)",
        "ibExecID": "",
        "transactionID": f"{row['transactionID']}9",
        "orderReference": "",
        "origTradeID": _trade_id(fill),
    }


def _summaries(account: StatementBooks, fills: Sequence[ExecutionReport]) -> Iterator[Fields]:
    """The same executions again, at other levels of detail."""
    for fill in fills:
        row = _execution(account.name, fill, dec(fill.commission))
        for level in ("ORDER", "SYMBOL_SUMMARY", "CLOSED_LOT"):
            yield {**row, "ibExecID": "", "transactionID": "", "tradeID": "", "levelOfDetail": level}


def _booked_out(account: str, row: Expiry) -> Fields:
    """An expired position among the trades: booked out at 16:20, at a price of 0."""
    day, fate = _day(row.instrument), _fate(row)
    return {
        **_contract(account, row.instrument),
        "tradeID": f"9{row.instrument.con_id}",
        "dateTime": f"{day:%Y%m%d};162000",
        "tradeDate": f"{day:%Y%m%d}",
        "transactionType": "BookTrade",
        "quantity": -row.quantity,
        "tradePrice": "0",
        "ibCommission": "0",
        "notes": {"Assignment": "A", "Exercise": "Ex", "Expiration": "Ep"}[fate],
        "buySell": "SELL" if row.quantity > 0 else "BUY",
        "ibOrderID": f"9{row.instrument.con_id}",
        "ibExecID": "",
        "transactionID": f"9{row.instrument.con_id}",
        "orderReference": "",
        "levelOfDetail": "EXECUTION",
    }


# --- funds and expirations ---------------------------------------------------------------------------


def _funds(
    account: StatementBooks, fills: Sequence[ExecutionReport], ended: Sequence[Expiry]
) -> Iterator[Fields]:
    """Each movement of cash, commissions included, in its currency and again in the base currency."""
    lines: list[Fields] = []
    for fill in fills:
        cash = -fill.ticket.sign * dec(fill.price) * fill.shares * fill.ticket.instrument.shares
        word = "Buy" if fill.ticket.side == "BUY" else "Sell"
        about = f"{word} {fill.shares} {_described(fill.ticket.instrument)}"
        cash -= dec(fill.commission)
        lines.append(_line(account.name, fill.ticket.instrument, fill.time.date(), about, cash))
    for row in ended:
        if row.cash:
            about = f"Option Cash Settlement for: {_fate(row)} ( {_described(row.instrument)} )"
            lines.append(_line(account.name, row.instrument, _day(row.instrument), about, row.cash))
    for line in lines:
        yield {**line, "levelOfDetail": "Currency"}
        yield {**line, "levelOfDetail": "BaseCurrency"}


def _line(account: str, item: Instrument, day: date, about: str, cash: Decimal) -> Fields:
    return {
        **_contract(account, item),
        "date": f"{day:%Y-%m-%d}",
        "reportDate": f"{day:%Y-%m-%d}",
        "activityDescription": about,
        "amount": f"{cash:f}",
    }


def _events(account: str, ended: Sequence[Expiry]) -> Iterator[Fields]:
    """What became of options: of a cash settlement a second row has the money, of a delivery the shares."""
    for row in ended:
        head = _contract(account, row.instrument)
        day, fate = f"{_day(row.instrument):%d-%b-%y}", _fate(row)
        closed = {"date": day, "tradePrice": "0", "proceeds": "0", "costBasis": "21,792.73"}
        yield {**head, **closed, "transactionType": fate, "quantity": -row.quantity}
        if row.cash:
            paid = {**closed, "proceeds": f"{row.cash:,.2f}", "quantity": 0}
            yield {**head, **paid, "transactionType": "Cash Settlement"}
        if row.delivered:
            shares = row.quantity * row.instrument.multiplier
            stock = {
                "assetCategory": "STK",
                "conid": row.instrument.under_con_id,
                "symbol": "SPY",
                "putCall": "",
            }
            kind = "Buy" if shares > 0 else "Sell"
            yield {**head, **stock, **closed, "transactionType": kind, "quantity": shares}


def _fate(row: Expiry) -> str:
    if not (row.cash or row.delivered):
        return "Expiration"
    return "Exercise" if row.quantity > 0 else "Assignment"


# --- fields ------------------------------------------------------------------------------------------


def _contract(account: str, item: Instrument) -> Fields:
    is_option = item.sec_type == "OPT"
    return {
        "accountId": account,
        "acctAlias": "",
        "currency": "USD",
        "assetCategory": item.sec_type,
        "symbol": item.local_symbol,
        "description": _described(item),
        "conid": item.con_id,
        "underlyingSymbol": item.symbol if is_option else "",
        "multiplier": item.shares,
        "strike": f"{item.strike:g}" if is_option else "",
        "expiry": f"{item.expiry:%Y%m%d}" if item.expiry else "",
        "putCall": item.right,
    }


def _described(item: Instrument) -> str:
    if item.expiry is None:
        return item.long_name
    return f"{item.trading_class} {item.expiry:%d%b%y} {item.strike:g} {item.right}".upper()


def _day(item: Instrument) -> date:
    """The day of an option's settlement."""
    day = item.settles or item.expiry
    assert day is not None, "only options expire"
    return day


def _trade_id(fill: ExecutionReport) -> int:
    """The same for an execution and its corrections."""
    return int(fill.exec_id.split(".")[1], 16)


def _section(name: str, rows: Sequence[str]) -> str:
    return "\n".join([f"<{name}>", *rows, f"</{name}>"])


def _tag(name: str, fields: Fields, body: str = "") -> str:
    given = "".join(f' {key}="{escape(str(value))}"' for key, value in fields.items())
    return f"<{name}{given}>\n{body}\n</{name}>" if body else f"<{name}{given} />"
