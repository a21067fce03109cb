"""Rows of the ledger and the values of the core: each field's column, and how it is written and read.

Numbers are REAL with eight decimals, so that each comes back as the same number; days are ISO text, moments
ISO 8601 with New York's offset, booleans 0 or 1; lists and objects are JSON. None is NULL, never 0. A trade's
day has the time of its entry beside it, `2026-01-19 09:35:00` in New York, so that SQL sorts by it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side, dec
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.plain import plain
from spxarb.core.stages import Stage
from spxarb.core.trades import TradeState
from spxarb.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spxarb.core.contracts import Contract
    from spxarb.core.greeks import GreekSource
    from spxarb.core.matters import Matter
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import AtHandOver, Fill, Mark, OrderRecord, Settlement, Trade
    from spxarb.core.settlement import SettlementFigure

Row = dict[str, Any]
Stored = tuple[tuple[str, Any], ...]
"""A row's columns and what is stored in them."""

DECIMALS = 8  # a quotient's further digits mean nothing, and REAL cannot keep them all
LARGEST = 15  # power of ten, above any sum of money here
REMEMBERED = 64
"""Rows of a kind whose values are kept: a job reads those of its few trades dozens of times."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, and how a value that is not None is written to SQL and read back."""

    name: str
    put: Callable[[Any], object]
    get: Callable[[Any], object]


def to_real(value: Decimal | float) -> float:
    """The number as stored. Raises ValueError for NaN, infinity and what is too large: unknown is None."""
    number = dec(value)
    if not number.is_finite() or number.adjusted() > LARGEST:
        raise ValueError(f"{value} cannot be stored as a number")
    return float(round(number, DECIMALS))


def from_real(value: float) -> Decimal:
    return Decimal(str(value))


def to_moment(value: datetime) -> str:
    """The aware datetime as text in New York's time. Raises ValueError for a naive one."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return value.astimezone(NEW_YORK).isoformat()


def from_moment(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(NEW_YORK)


def known_moment(value: object) -> datetime | None:
    """A moment that is only a help to the one who reads it; None where there is none, or none to be read."""
    try:
        return from_moment(str(value)) if value else None
    except (ValueError, OverflowError):
        return None


def to_day_and_time(trade: Trade) -> str:
    """The trade's day and when its entry was decided, New York, whole seconds; 00:00:00: not known."""
    at = trade.entry_time and trade.entry_time.astimezone(NEW_YORK)
    known = at is not None and at.date() == trade.trade_date
    return f"{trade.trade_date.isoformat()} {at if known else time():%H:%M:%S}"


def from_day_and_time(value: str) -> date:
    """The day of `2026-01-19 09:35:00`, or of `2026-01-19` alone. Raises ValueError for any other text."""
    moment = datetime.fromisoformat(value)
    if value not in {f"{moment:%Y-%m-%d}", f"{moment:%Y-%m-%d %H:%M:%S}"}:
        raise ValueError(f"{value} is not a day with its time")
    return moment.date()


def day_range(since: date | None, until: date | None) -> tuple[str, str]:
    """Both days inclusive, None: without an end; as text that compares with the ledger's days."""
    return (since or date.min).isoformat(), (until or date.max).isoformat()


def to_json(value: object) -> str:
    return json.dumps(plain(value), allow_nan=False)


def contract_to_json(contract: Contract) -> str:
    """Every field, decimals as text: the contract comes back exactly, its tick rule included."""
    values: Row = {part.name: getattr(contract, part.name) for part in fields(contract)}
    values["expiry"] = contract.expiry and contract.expiry.isoformat()
    values["strike"] = None if contract.strike is None else str(contract.strike)
    values["ticks"] = [[str(edge), str(step)] for edge, step in contract.ticks.rows]
    return json.dumps(values)


def contract_from_json(text: str) -> Contract:
    from spxarb.core.contracts import Contract, TickRule  # noqa: PLC0415 -- only a row brings it

    values = json.loads(text)
    expiry, strike = values["expiry"], values["strike"]
    values["expiry"] = None if expiry is None else date.fromisoformat(expiry)
    values["strike"] = None if strike is None else Decimal(strike)
    values["ticks"] = TickRule(tuple((Decimal(edge), Decimal(step)) for edge, step in values["ticks"]))
    return Contract(**values)


def _number(name: str) -> Column:
    return Column(name, to_real, from_real)


def _measure(name: str) -> Column:
    """A number that no money is counted with."""
    return Column(name, to_real, float)


def _day(name: str) -> Column:
    return Column(name, date.isoformat, date.fromisoformat)


def _moment(name: str) -> Column:
    return Column(name, to_moment, from_moment)


def _flag(name: str) -> Column:
    return Column(name, int, bool)


def _text(name: str) -> Column:
    return Column(name, str, str)


def _whole(name: str) -> Column:
    return Column(name, int, int)


def _contract(name: str) -> Column:
    return Column(name, contract_to_json, contract_from_json)


def _then_to_json(then: AtHandOver) -> str:
    return to_json(
        {"gone": {leg.value: quantity for leg, quantity in then.gone.items()}, "seen": sorted(then.seen)}
    )


def _then_from_json(text: str) -> AtHandOver:
    from spxarb.core.records import AtHandOver  # noqa: PLC0415 -- likewise

    then = json.loads(text)
    gone = {LegName(leg): int(quantity) for leg, quantity in then["gone"].items()}
    return AtHandOver(gone, frozenset(map(str, then["seen"])))


def _legs_from_json(text: str) -> tuple[LegName, ...]:
    return tuple(map(LegName, json.loads(text)))


def _states_from_json(text: str) -> tuple[PriceState, ...]:
    from spxarb.core.price_state import PriceState  # noqa: PLC0415 -- likewise

    return tuple(PriceState(**state) for state in json.loads(text))


def _greek_source(text: str) -> GreekSource:
    from spxarb.core.greeks import GreekSource  # noqa: PLC0415 -- likewise

    return GreekSource(text)


LEG = Column("leg", str, LegName)
PURPOSE = Column("purpose", str, Purpose)
SIDE = Column("side", str, Side)


def _named(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


TRADE: dict[str, Column] = {
    **_named(_whole("id"), Column("trade_date", date.isoformat, from_day_and_time)),
    **_named(Column("state", str, TradeState), _text("account")),
    "spx": _contract("spx_contract"),
    "spy": _contract("spy_contract"),
    **_named(
        _whole("spx_contracts"),
        _whole("spy_contracts"),
        _number("spy_price"),
        _number("spx_price"),
        _number("spy_entry_bid"),
        _number("spy_entry_ask"),
        _number("spx_entry_bid"),
        _number("spx_entry_ask"),
        _number("entry_credit"),
        _moment("entry_time"),
        _flag("entry_filled"),
        _number("spy_exit_price"),
        _number("spx_exit_price"),
        _number("exit_cost"),
        _moment("exit_time"),
        Column("exit_reason", str, ExitReason),
        _number("final_pnl"),
        _number("commissions"),
        _flag("commissions_estimated"),
        Column("residual", to_json, _legs_from_json),
        _number("ratio"),
        _number("strike_mismatch"),
        _number("edge"),
        _number("worst_case"),
        Column("limits", to_json, json.loads),
        _text("note"),
        _moment("handed_over_at"),
        Column("at_hand_over", _then_to_json, _then_from_json),
    ),
}
"""Field of a Trade -> its column."""

TICKET: dict[str, Column] = {
    **_named(_text("order_ref"), _contract("contract"), SIDE, _whole("quantity")),
    "limit": _number("limit_price"),
    **_named(_text("tif"), _moment("good_after")),
}
ORDER: dict[str, Column] = _named(
    _whole("trade_id"),
    LEG,
    PURPOSE,
    _whole("attempt"),
    _whole("client_id"),
    _whole("order_id"),
    _moment("created_at"),
    _whole("perm_id"),
    _text("status"),
    _flag("final"),
    _number("filled"),
    _number("overnight"),
)
EXECUTION: dict[str, Column] = _named(
    _text("exec_id"),
    _text("order_ref"),
    _whole("order_id"),
    _whole("client_id"),
    _whole("perm_id"),
    _whole("con_id"),
    _text("symbol"),
    SIDE,
    _number("quantity"),
    _number("price"),
    _moment("time"),
    _text("account"),
    _text("sec_type"),
)
FILL: dict[str, Column] = _named(
    _whole("trade_id"),
    LEG,
    PURPOSE,
    _number("commission"),
    _flag("commission_estimated"),
    _number("commission_estimate"),
    Column("source", str, FillSource),
)
SETTLEMENT: dict[str, Column] = _named(
    _whole("trade_id"),
    LEG,
    _number("quantity"),
    _number("price"),
    _number("cash"),
    _text("source"),
    _moment("at"),
    _flag("provisional"),
)
FIGURE: dict[str, Column] = _named(
    _whole("trade_id"),
    LEG,
    Column("stage", str, Stage),
    _number("quantity"),
    _number("price"),
    _number("cash"),
    _number("difference"),
    _text("source"),
    _moment("at"),
)
MARK: dict[str, Column] = _named(
    _whole("trade_id"),
    _moment("at"),
    *(_number(name) for name in ("spy", "spx", "spy_bid", "spy_ask", "spx_bid", "spx_ask", "pnl")),
    *(_measure(name) for name in ("spy_iv", "spx_iv")),
    Column("states", to_json, _states_from_json),
)
GREEKS: dict[str, Column] = {
    "source": Column("greeks_source", str, _greek_source),
    **_named(*(_measure(name) for name in ("delta", "gamma", "theta", "vega"))),
}
MATTER: dict[str, Column] = _named(
    _whole("id"),
    _text("key"),
    _whole("trade_id"),
    _text("text"),
    _moment("since"),
    _moment("last_seen"),
    _moment("alerted_at"),
    _text("alerted_to"),
    _moment("resolved_at"),
    _text("resolution"),
    _moment("acknowledged_at"),
    _text("note"),
)
SUMMARY: dict[str, Column] = _named(
    _day("date"),
    *(_whole(name) for name in ("trades_count", "winning_trades", "losing_trades")),
    *(_number(name) for name in ("total_pnl", "total_commissions", "net_pnl", "max_drawdown")),
    _flag("provisional"),
)

JSON_COLUMNS = ("spx_contract", "spy_contract", "residual", "limits", "at_hand_over")


def to_row(columns: Mapping[str, Column], values: Mapping[str, object]) -> Row:
    """The row of `values`, field -> value. Raises TypeError naming unknown fields."""
    if unknown := sorted(values.keys() - columns.keys()):
        raise TypeError(f"The ledger has no field {', '.join(unknown)}")
    return {
        columns[field].name: None if value is None else columns[field].put(value)
        for field, value in values.items()
    }


def from_row(columns: Mapping[str, Column], row: Mapping[str, Any]) -> Row:
    """Field -> value of a row that has at least these columns.

    Raises RefusedError naming a value that cannot be read: something else has written it.
    """
    values: Row = {}
    for field, column in columns.items():
        stored = row[column.name]
        try:
            values[field] = None if stored is None else column.get(stored)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise RefusedError(
                f"The ledger's {column.name} {stored!r} cannot be read",
                risk="The row was left as it is",
                mend="Set the value right in the ledger, or `spxarb restore FILE` a backup",
            ) from error
    return values


def trade_columns(values: Mapping[str, object]) -> Row:
    """The columns of some fields of a Trade.

    Beside a contract stands its strike, beside the state what is derived from it, for users' SQL.
    """
    from spxarb.core.contracts import Contract  # noqa: PLC0415 -- likewise

    row = to_row(TRADE, values)
    state = values.get("state")
    if isinstance(state, TradeState):
        row |= {"status": state.status.value, "provisional": int(state.is_provisional)}
    for leg in ("spx", "spy"):
        contract = values.get(leg)
        if isinstance(contract, Contract):
            row[f"{leg}_strike"] = None if contract.strike is None else to_real(contract.strike)
    return row


def trade_to_row(trade: Trade) -> Row:
    """Without the id, which the database gives."""
    return trade_columns(_fields(trade, TRADE.keys() - {"id"})) | {"trade_date": to_day_and_time(trade)}


def trade_from_row(row: Mapping[str, Any]) -> Trade:
    return _trade(tuple(row.items()))


@lru_cache(maxsize=REMEMBERED)
def _trade(stored: Stored) -> Trade:
    from spxarb.core.records import Trade  # noqa: PLC0415 -- likewise

    return Trade(**from_row(TRADE, dict(stored)))


def order_to_row(record: OrderRecord) -> Row:
    return {
        **to_row(TICKET, _fields(record.ticket, TICKET)),
        **to_row(ORDER, _fields(record, ORDER)),
        "con_id": record.ticket.contract.con_id,
    }


def order_from_row(row: Mapping[str, Any]) -> OrderRecord:
    return _order(tuple(row.items()))


@lru_cache(maxsize=REMEMBERED)
def _order(stored: Stored) -> OrderRecord:
    from spxarb.core.broker_books import OrderTicket  # noqa: PLC0415 -- likewise
    from spxarb.core.records import OrderRecord  # noqa: PLC0415 -- likewise

    row = dict(stored)
    return OrderRecord(ticket=OrderTicket(**from_row(TICKET, row)), **from_row(ORDER, row))


def fill_to_row(fill: Fill) -> Row:
    return {
        **to_row(EXECUTION, _fields(fill.execution, EXECUTION)),
        **to_row(FILL, _fields(fill, FILL)),
        "family": fill.execution.family,
    }


def fill_from_row(row: Mapping[str, Any]) -> Fill:
    """An execution's own commission is the reported one: None while it is estimated."""
    return _fill(tuple(row.items()))


@lru_cache(maxsize=REMEMBERED)
def _fill(stored: Stored) -> Fill:
    from spxarb.core.broker_books import Execution  # noqa: PLC0415 -- likewise
    from spxarb.core.records import Fill  # noqa: PLC0415 -- likewise

    row = dict(stored)
    values = from_row(FILL, row)
    reported = None if values["commission_estimated"] else values["commission"]
    return Fill(execution=Execution(**from_row(EXECUTION, row), commission=reported), **values)


def settlement_to_row(settlement: Settlement) -> Row:
    return to_row(SETTLEMENT, _fields(settlement, SETTLEMENT))


def settlement_from_row(row: Mapping[str, Any]) -> Settlement:
    from spxarb.core.records import Settlement  # noqa: PLC0415 -- likewise

    return Settlement(**from_row(SETTLEMENT, row))


def figure_to_row(figure: SettlementFigure) -> Row:
    return to_row(FIGURE, _fields(figure, FIGURE))


def figure_from_row(row: Mapping[str, Any]) -> SettlementFigure:
    from spxarb.core.settlement import SettlementFigure  # noqa: PLC0415 -- likewise

    return SettlementFigure(**from_row(FIGURE, row))


def mark_to_row(mark: Mark) -> Row:
    return {**to_row(MARK, _fields(mark, MARK)), **to_row(GREEKS, _fields(mark.greeks, GREEKS))}


def mark_from_row(row: Mapping[str, Any]) -> Mark:
    from spxarb.core.greeks import PositionGreeks  # noqa: PLC0415 -- likewise
    from spxarb.core.records import Mark  # noqa: PLC0415 -- likewise

    return Mark(**from_row(MARK, row), greeks=PositionGreeks(**from_row(GREEKS, row)))


def matter_from_row(row: Mapping[str, Any]) -> Matter:
    from spxarb.core.matters import Matter  # noqa: PLC0415 -- likewise

    return Matter(**from_row(MATTER, row))


def readable(row: Mapping[str, Any]) -> dict[str, object]:
    """A row of `trades` for a report: every column as stored, JSON opened where it is JSON, the day alone."""
    opened: dict[str, object] = {}
    with suppress(TypeError, ValueError):
        opened["trade_date"] = from_day_and_time(row["trade_date"]).isoformat()
    for name in JSON_COLUMNS:
        with suppress(TypeError, ValueError):  # what is none stays as it stands there
            opened[name] = json.loads(row[name])
    return {**row, **opened}


def _fields(value: object, names: Iterable[str]) -> dict[str, object]:
    return {name: getattr(value, name) for name in names}
