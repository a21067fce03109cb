"""Frames of the wire to the nouns of `core.model`; pure, without importing ib_insync.

`fields` are the text fields of one frame, message id first, in the layouts of server versions 157-176 (IBKR's
client source, and the same in ib_insync 0.9.86). Prices and money are read from the text, so they are exact.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from spxarb.broker.times import execution_time, zone
from spxarb.core.broker_books import BrokerOrder, Execution, Position
from spxarb.core.contracts import PENNY, Contract, TickRule
from spxarb.core.margin import DOLLAR, AccountValues, MarginAnswer
from spxarb.core.model import NEW_YORK, Side
from spxarb.core.order_words import PREFIX
from spxarb.core.printable import from_outside, unescaped
from spxarb.core.sessions import TradingHours
from spxarb.core.unreadable import (
    COMPLETED_ORDERS,
    EXECUTIONS,
    OPEN_ORDERS,
    POSITIONS,
    STATUSES,
    UnreadableRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from ib_insync import contract as ibc
    from ib_insync import order as ibo

    ContractDetails = ibc.ContractDetails

UNSET = Decimal("1e25")
"""Far above any price, size or amount: the gateway sends the largest double, 1.7976931348623157E308, for "not
set". It is compared as a number because Python writes it ...e+308 (ib_async pull request 42)."""

_CLOCK_FROM, _CLOCK_UNTIL = 946_684_800, 4_102_444_800  # the years 2000 to 2099
MAX_INT, MAX_LONG = 2**31 - 1, 2**63 - 1
"""The ends of Java's int, for orders, clients and contracts, and of its long, for permanent ids."""
SMALLEST = -30
"""The exponent of ten below which a number is 0."""
REPEATED = 256
"""Texts whose meaning is kept: the hundreds of rows of a chain share most of theirs."""

ACCOUNT_TAGS = {
    "NetLiquidation": "net_liquidation",
    "TotalCashValue": "total_cash",
    "AvailableFunds": "available_funds",
    "BuyingPower": "buying_power",
    "InitMarginReq": "initial_margin",
    "ExcessLiquidity": "excess_liquidity",
    "EquityWithLoanValue": "equity_with_loan",
}
MORE_ACCOUNT_TAGS = {
    "PreviousDayEquityWithLoanValue": "previous_day_equity",
    "PostExpirationMargin": "post_expiration_margin",
    "PostExpirationExcess": "post_expiration_excess",
}
"""What account updates tell and account summaries do not (IBKR, "Account Value Update Subscriptions")."""
_RATE, _OWN_CURRENCY, BASE = "ExchangeRate", "RealCurrency", "BASE"


@lru_cache(maxsize=REPEATED, typed=True)
def number(value: str | float | Decimal | None) -> Decimal | None:
    """A number of the wire; None for empty, not a number, infinite and "not set"."""
    try:
        found = Decimal(str(value if value is not None else ""))
    except InvalidOperation:
        return None
    if not found.is_finite() or abs(found) >= UNSET:
        return None
    if found and found.adjusted() < SMALLEST:  # nothing on the wire is; shown in full it fills a screen
        return Decimal(0)
    return _plain(found)


def _plain(value: Decimal) -> Decimal:
    """`6975.0` as `6975`, `17.90` as `17.9`: no exponent, no trailing zeros."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def required(value: str | float) -> Decimal:
    """A number that must be present; ValueError when it is not."""
    found = number(value)
    if found is None:
        raise ValueError(f"a number is missing: {value!r}")
    return found


def whole(value: str | int, most: int = MAX_INT) -> int:
    """A whole number of the wire, 0 for an empty one. ValueError for one that no gateway can mean."""
    found = int(value or 0)
    if abs(found) > most:
        raise ValueError(f"a number is out of range: {found:.3g}")
    return found


@lru_cache(maxsize=REPEATED)
def day(text: str) -> date | None:
    """The date at the start of `20261124` or `20261124 08:30 US/Central`; None when there is none."""
    # Options come as a bare date; futures and some builds append the time and zone of the last trade.
    found = re.match(r"(\d{4})(\d\d)(\d\d)(?!\d)", text.strip())
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def execution(fields: Sequence[str], heard: datetime) -> Execution:
    """An execDetails frame (id 11, 31 fields), received while the gateway's clock showed `heard`.

    Price in dollars or index points. Raises ValueError, KeyError or IndexError when it cannot be read.
    """
    # Request id -1: a fill as it happens; else a row of an answer to reqExecutions.
    when, doubt = execution_time(fields[15], heard, live=int(fields[1]) < 0)
    return Execution(
        exec_id=fields[14],
        order_ref=fields[26],
        order_id=whole(fields[2]),
        client_id=whole(fields[22]),
        perm_id=whole(fields[21], MAX_LONG),
        con_id=whole(fields[3]),
        symbol=fields[4],
        sec_type=fields[5],
        side={"BOT": Side.BUY, "SLD": Side.SELL}[fields[18]],
        quantity=required(fields[19]),
        price=required(fields[20]),
        time=when,
        account=fields[16],
        liquidation=fields[23] not in {"", "0"},
        time_doubt=doubt,
    )


@dataclass(frozen=True, slots=True)
class StatusRow:
    """An orderStatus frame of any client."""

    client_id: int
    order_id: int
    perm_id: int
    status: str
    filled: Decimal | None


def order_status(fields: Sequence[str]) -> StatusRow:
    """An orderStatus frame (id 3). Raises ValueError or IndexError when it cannot be read."""
    return StatusRow(
        whole(fields[9]), whole(fields[1]), whole(fields[6], MAX_LONG), fields[2], number(fields[3])
    )


def gateway_time(fields: Sequence[str]) -> datetime:
    """A currentTime frame (id 49), unix seconds, New York. ValueError for a time that no clock shows."""
    seconds = int(fields[2])
    if not _CLOCK_FROM <= seconds < _CLOCK_UNTIL:
        raise ValueError(f"a time is out of range: {fields[2]!r}")
    return datetime.fromtimestamp(seconds, NEW_YORK)


def position(fields: Sequence[str]) -> Position:
    """A position frame (id 61, 16 fields).

    Average cost of an option is dollars per contract, commission included. Raises ValueError or IndexError
    when it cannot be read.
    """
    return Position(
        account=fields[2],
        con_id=whole(fields[3]),
        symbol=fields[4],
        sec_type=fields[5],
        quantity=required(fields[14]),
        average_cost=number(fields[15]),
        expiry=day(fields[6]),
        strike=_strike(fields[7]),
        right=_right(fields[8]),
        trading_class=fields[13],
    )


def _strike(value: str | float) -> Decimal | None:
    return number(value) or None


def _right(text: str) -> str | None:
    return text[0] if text[:1] in {"C", "P"} else None


def broker_order(contract: ibc.Contract, order: ibo.Order, state: ibo.OrderState) -> BrokerOrder:
    """An openOrder or completedOrder frame; `limit` is None unless it is a limit order.

    Raises ValueError when action or quantity cannot be read.
    """
    return BrokerOrder(
        order_ref=order.orderRef,
        order_id=whole(order.orderId),
        client_id=whole(order.clientId),
        perm_id=whole(order.permId, MAX_LONG),
        con_id=whole(contract.conId),
        symbol=contract.symbol,
        side=Side(order.action),
        quantity=required(order.totalQuantity),
        limit=number(order.lmtPrice) if order.orderType == "LMT" else None,
        status=state.status,
        filled=number(order.filledQuantity),
        account=order.account,
        completed_status=state.completedStatus,
    )


# Of each frame that is a row of a list: the list, and where the contract's id and the client's stand in it.
_ROWS: dict[str, tuple[str, int | None, int | None]] = {
    "3": (STATUSES, None, 9),
    "5": (OPEN_ORDERS, 2, None),
    "11": (EXECUTIONS, 3, 22),
    "61": (POSITIONS, 3, None),
    "101": (COMPLETED_ORDERS, 1, None),
}


def unreadable(fields: Sequence[str], why: str) -> UnreadableRow | None:
    """What little can be read of a row that cannot be read; None for a frame that is no row of a list."""
    if not fields or fields[0] not in _ROWS:
        return None
    name, con_id, client_id = _ROWS[fields[0]]
    ref = next((text for text in fields if text.startswith(PREFIX)), "")
    return UnreadableRow(
        name, tuple(fields), why, ref, whole_number(fields, con_id), whole_number(fields, client_id)
    )


def whole_number(fields: Sequence[str], place: int | None) -> int | None:
    """The whole number at a place; None when there is none."""
    text = fields[place] if place is not None and place < len(fields) else ""
    return int(text) if re.fullmatch(r"-?\d+", text, re.ASCII) else None


_BLOCKS = re.compile(r"</?(br|p|div|li|ul|ol|tr|td|table|h\d)\b[^<>]*>", re.IGNORECASE)
_TAGS = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)


def plain_text(text: str) -> str:
    r"""The broker's words in one line: without HTML, which refusals for lack of margin hold.

    Characters beyond ASCII arrive as \uXXXX (version 153 and later).
    """
    plain = html.unescape(_TAGS.sub("", _BLOCKS.sub(" ", text)))
    return from_outside(unescaped(plain))


def margin(state: ibo.OrderState) -> MarginAnswer:
    """The order state of a what-if answer, dollars; None where the gateway sent no number."""
    return MarginAnswer(
        initial_change=number(state.initMarginChange),
        maintenance_change=number(state.maintMarginChange),
        equity_with_loan_after=number(state.equityWithLoanAfter),
        initial_after=number(state.initMarginAfter),
        commission=number(state.commission),
        warning=plain_text(state.warningText),
        initial_before=number(state.initMarginBefore),
        equity_with_loan_before=number(state.equityWithLoanBefore),
        currency=state.commissionCurrency,
    )


def no_margin(rejected: str) -> MarginAnswer:
    """The answer to a what-if that was refused, in the broker's words."""
    return MarginAnswer(None, None, None, None, None, rejected=rejected)


def account_row(fields: Sequence[str], number: int) -> Sequence[str]:
    """A value of an account (id 63, 7 fields; id 73, 8). Raises ValueError where one of them is missing."""
    if len(fields) < number:
        raise ValueError(f"{len(fields)} fields, not {number}")
    return fields


def account_values(account: str, rows: Iterable[Sequence[str]]) -> tuple[AccountValues, str]:
    """What tag, value and currency of its account's rows say, in the currency that it is kept in.

    With a notice ('' for none) about values in yet another currency, which are not used. As seen of an
    account kept in euros: its values come in EUR, RealCurrency of BASE names it, and ExchangeRate says for
    each currency that it holds how much of its own that is worth.
    """
    known = list(rows)
    rates = {money: number(value) for tag, value, money in known if tag == _RATE}
    own = _kept_in(known, rates)
    found: dict[str, Decimal | None] = {}
    notice = ""
    for tag, value, money in known:
        name = (ACCOUNT_TAGS | MORE_ACCOUNT_TAGS).get(tag)
        if name is None:
            continue
        if money not in {own, BASE, ""}:
            notice = f"account {account} is kept in {own} and has values in {money}: they are not used"
            continue
        found[name] = number(value)
    per_dollar = Decimal(1) if own == DOLLAR else rates.get(DOLLAR)
    return AccountValues(account, **found, currency=own, per_dollar=per_dollar), notice


def _kept_in(rows: Sequence[Sequence[str]], rates: Mapping[str, Decimal | None]) -> str:
    """The account's own currency; BASE where the broker names no other."""
    named = [value for tag, value, money in rows if tag == _OWN_CURRENCY and money == BASE]
    told = [money for tag, _, money in rows if tag in ACCOUNT_TAGS and money]
    own = next((money for money in (*named, *told) if money != BASE), "")
    return own or (BASE if told and rates.get(DOLLAR) != 1 else DOLLAR)


def series(details: ibc.ContractDetails) -> tuple[str, date | None, str | None] | None:
    """Class, last trading day and right of an option; None for anything else."""
    c = details.contract
    if c is None or c.secType != "OPT":
        return None
    return c.tradingClass, day(c.lastTradeDateOrContractMonth), _right(c.right)


def contract(details: ibc.ContractDetails, ticks: TickRule = PENNY) -> Contract:
    """A contract as the gateway describes it; `ticks` come from its market rule, not from minTick."""
    c = details.contract
    if c is None:
        raise ValueError("contract details without a contract")
    is_option = c.secType == "OPT"
    return Contract(
        con_id=whole(c.conId),
        symbol=c.symbol,
        sec_type=c.secType,
        exchange=c.exchange or c.primaryExchange,
        currency=c.currency,
        trading_class=c.tradingClass,
        local_symbol=c.localSymbol,
        expiry=day(c.lastTradeDateOrContractMonth) if is_option else None,
        strike=_strike(c.strike) if is_option else None,
        right=_right(c.right) if is_option else None,
        multiplier=int(number(c.multiplier) or 1),
        ticks=ticks,
    )


def market_rule(details: ibc.ContractDetails) -> int | None:
    """Id of the market rule for the contract's exchange; None when there is none.

    marketRuleIds and validExchanges are lists in the same order (IBKR API documentation, "Minimum Price
    Increment").
    """
    exchange = details.contract.exchange if details.contract else ""
    return _rule_of(exchange, details.marketRuleIds, details.validExchanges)


@lru_cache(maxsize=REPEATED)
def _rule_of(exchange: str, rule_ids: str, valid_exchanges: str) -> int | None:
    ids = [part for part in rule_ids.split(",") if part]
    if not all(part.isdecimal() for part in ids):
        return None  # as good as none
    exchanges = valid_exchanges.split(",")
    if len(ids) == len(exchanges) and exchange in exchanges:
        return int(ids[exchanges.index(exchange)])
    return int(ids[0]) if len(set(ids)) == 1 else None


def tick_rule(fields: Sequence[str]) -> TickRule:
    """A marketRule frame (id 93): `93|id|n|low edge|increment|...`. ValueError when it has no increments."""
    count = int(fields[2])
    rows = sorted((required(fields[3 + 2 * i]), required(fields[4 + 2 * i])) for i in range(count))
    if not rows or any(step <= 0 for _, step in rows):
        raise ValueError(f"market rule without increments: {fields}")
    return TickRule(tuple(rows))


def daily_closes(fields: Sequence[str]) -> dict[date, Decimal]:
    """The closes of a historicalData frame of daily bars (id 17), by day; a bar without a close is left out.

    `17|reqId|start|end|n|{date|open|high|low|close|volume|average|count}...` up to server version 195. The
    date of a daily bar is the day. Raises ValueError or IndexError when it cannot be read.
    """
    found: dict[date, Decimal] = {}
    for first in range(5, 5 + 8 * int(fields[4]), 8):
        on, close = day(fields[first]), number(fields[first + 4])
        if on is None:
            raise ValueError(f"a daily bar without a day: {fields[first]!r}")
        if close is not None and close > 0:
            found[on] = close
    return found


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of trading, aware times in the instrument's zone."""

    open: datetime
    close: datetime


_OLD_HOURS = re.compile(r"(\d{4})-(\d{4})")
_HOURS = re.compile(r"(?:(\d{8}):)?(\d{4})-(\d{8}):(\d{4})")


def intervals(text: str, tz: tzinfo) -> dict[date, list[Interval]]:
    """Trading intervals by the day on which they start; an empty list is a day marked CLOSED.

    `20261123:0830-20261123:1515;20261124:CLOSED`, several intervals of one day separated by `;` or `,`, and
    the form of older builds `20261123:0830-1515,1700-1800`. An unreadable entry is skipped.
    """
    found: dict[date, list[Interval]] = {}
    for entry in text.split(";"):
        head, _, rest = entry.strip().partition(":")
        first = day(head)
        if first is None:
            continue
        parsed = [_interval(first, part.strip(), tz) for part in rest.split(",")]
        trading = [interval for interval in parsed if interval]
        if trading or rest.strip() == "CLOSED":
            found.setdefault(first, []).extend(trading)
    return found


def _interval(first: date, text: str, tz: tzinfo) -> Interval | None:
    new, old = _HOURS.fullmatch(text), _OLD_HOURS.fullmatch(text)
    if new:
        begin, start, end, stop = day(new[1] or "") or first, new[2], day(new[3]), new[4]
    elif old:
        begin, start, end, stop = first, old[1], first, old[2]
    else:
        return None
    if end is None:
        return None
    return Interval(_moment(begin, start, tz), _moment(end, stop, tz))


def _moment(on: date, hhmm: str, tz: tzinfo) -> datetime:
    return datetime.combine(on, time(int(hhmm[:2]) % 24, int(hhmm[2:])), tz)


def session(details: ibc.ContractDetails, on: date) -> tuple[TradingHours | None, str]:
    """The contract's hours on the day `on`, New York; None with a notice when the gateway sent none."""
    tz = zone(details.timeZoneId)
    if tz is None:
        return None, f"the gateway's trading hours are in an unknown time zone {details.timeZoneId!r}"
    days = intervals(details.liquidHours, tz)
    if on not in days:
        return None, f"the gateway sent no trading hours for {on}"
    trading = days[on]
    if not trading:
        return TradingHours(on, None, None), ""
    close = max(interval.close for interval in trading)
    everything = [one.close for some in intervals(details.tradingHours, tz).values() for one in some]
    until = max((end for end in everything if end.astimezone(NEW_YORK).date() == on), default=None)
    c = details.contract
    # An SPXW series stops at 15:00 Chicago on the day it expires, though its hours may show the 15:15 of the
    # other series (Cboe contract specifications: expiring PM-settled SPX options trade until 3:00 p.m. CT).
    if c and c.tradingClass == "SPXW" and day(c.lastTradeDateOrContractMonth) == on:
        last = datetime.combine(on, time(15), ZoneInfo("America/Chicago"))
        close, until = min(close, last), until and min(until, last)
    start = min(interval.open for interval in trading)
    ends = close.astimezone(NEW_YORK), until and until.astimezone(NEW_YORK)
    return TradingHours(on, start.astimezone(NEW_YORK), *ends), ""
