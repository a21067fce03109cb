"""What clients ask, as records: contracts, orders and filters, read from the fields of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spxarb.sim.api.wire import WireError
from spxarb.sim.market.trading_days import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.sim.api.wire import Fields

_TIME = re.compile(r"(\d{8})(?P<gap>[ -]+)(\d{2}:\d{2}:\d{2})(?: +(?P<zone>\S+))?")


@dataclass(frozen=True)
class Query:
    """A contract as a client describes it: any field may be empty (0, '' or None)."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: float = 0.0
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


@dataclass(frozen=True)
class PlaceOrder:
    """One placeOrder request. `echo` holds the fields that only return in openOrder, by their wire names."""

    order_id: int
    query: Query
    action: str
    quantity: float
    order_type: str
    limit: float | None
    tif: str
    account: str
    order_ref: str
    transmit: bool
    good_after: str
    what_if: bool
    echo: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExecutionFilter:
    """A reqExecutions request: 0, '' or None in a field means any."""

    client_id: int
    account: str
    since: datetime | None
    symbol: str
    sec_type: str
    exchange: str
    side: str


@dataclass(frozen=True)
class HistoryRequest:
    """A reqHistoricalData request, its texts as they came."""

    query: Query
    end: str
    bar_size: str
    duration: str
    regular_hours: bool
    what: str
    format_date: int
    keep_up_to_date: bool


def read_query(fields: Fields) -> Query:
    """The 12 contract fields of a request."""
    right = {"CALL": "C", "PUT": "P", "C": "C", "P": "P"}
    return Query(
        con_id=fields.integer("conId") or 0,
        symbol=fields.text("symbol"),
        sec_type=fields.text("secType"),
        expiry=fields.text("lastTradeDateOrContractMonth"),
        strike=fields.number("strike") or 0.0,
        right=right.get(fields.text("right"), ""),
        multiplier=fields.text("multiplier"),
        exchange=fields.text("exchange"),
        primary_exchange=fields.text("primaryExchange"),
        currency=fields.text("currency"),
        local_symbol=fields.text("localSymbol"),
        trading_class=fields.text("tradingClass"),
    )


def read_place_order(fields: Fields, order_id: int) -> PlaceOrder:
    """The fields of placeOrder after the order id, up to whatIf; the rest does not concern this gateway."""
    query = read_query(fields)
    fields.skip(2)  # secIdType, secId
    action, quantity, order_type = (
        fields.text("action"),
        fields.number("totalQuantity"),
        fields.text("orderType"),
    )
    limit = fields.number("lmtPrice")
    echo = {"auxPrice": fields.text("auxPrice")}
    tif = fields.text("tif")
    echo["ocaGroup"] = fields.text("ocaGroup")
    account = fields.text("account")
    echo["openClose"], echo["origin"] = fields.text("openClose"), fields.text("origin")
    order_ref = fields.text("orderRef")
    transmit = fields.flag("transmit")
    for name in (
        "parentId",
        "blockOrder",
        "sweepToFill",
        "displaySize",
        "triggerMethod",
        "outsideRth",
        "hidden",
    ):
        echo[name] = fields.text(name)
    if query.sec_type == "BAG":
        _skip_combo(fields)
    good_after = _read_second_part(fields, echo)
    what_if = _read_third_part(fields)
    return PlaceOrder(
        order_id,
        query,
        action,
        quantity or 0.0,
        order_type,
        limit,
        tif,
        account,
        order_ref,
        transmit,
        good_after,
        what_if,
        echo,
    )


def _skip_combo(fields: Fields) -> None:
    for _ in range(fields.count("combo legs")):
        fields.skip(8)
    fields.skip(fields.count("order combo legs"))
    fields.skip(2 * fields.count("smart combo routing parameters"))


def _read_second_part(fields: Fields, echo: dict[str, str]) -> str:
    """Fields 35 to 66: from the old sharesAllocation to the delta-neutral block; gives goodAfterTime."""
    fields.skip(1)
    echo["discretionaryAmt"] = fields.text("discretionaryAmt")
    good_after = fields.text("goodAfterTime")
    echo["goodAfterTime"] = good_after
    echo["goodTillDate"] = fields.text("goodTillDate")
    fields.skip(4)  # faGroup, faMethod, faPercentage, faProfile
    for name in ("modelCode", "shortSaleSlot", "designatedLocation", "exemptCode", "ocaType", "rule80A"):
        echo[name] = fields.text(name)
    for name in ("settlingFirm", "allOrNone", "minQty"):
        echo[name] = fields.text(name)
    fields.skip(13)  # percentOffset to volatilityType
    fields.skip(9 if fields.text("deltaNeutralOrderType") else 1)
    return good_after


def _read_third_part(fields: Fields) -> bool:
    """Fields 67 to 85: from continuousUpdate to whatIf, which it gives."""
    fields.skip(6)  # continuousUpdate to scaleSubsLevelSize
    increment = fields.number("scalePriceIncrement")
    if increment is not None and increment > 0:
        fields.skip(7)
    fields.skip(3)  # scaleTable, activeStartTime, activeStopTime
    if fields.text("hedgeType"):
        fields.skip(1)
    fields.skip(4)  # optOutSmartRouting to notHeld
    if fields.flag("deltaNeutralContract"):
        fields.skip(3)
    if fields.text("algoStrategy"):
        fields.skip(2 * fields.count("algo parameters"))
    fields.skip(1)  # algoId
    return fields.flag("whatIf")


def read_execution_filter(fields: Fields, zone: ZoneInfo) -> ExecutionFilter:
    """The fields of reqExecutions after its request id. Raises WireError for a time that is none.

    `zone` is that of a time without one.
    """
    client_id = fields.integer("clientId") or 0
    account, time = fields.text("acctCode"), fields.text("time")
    since = read_time(time, zone) if time else None
    symbol, sec_type = fields.text("symbol"), fields.text("secType")
    exchange, side = fields.text("exchange"), fields.text("side")
    side = {"BUY": "BOT", "SELL": "SLD"}.get(side.upper(), side.upper())
    return ExecutionFilter(client_id, account, since, symbol, sec_type, exchange, side)


def read_history(fields: Fields) -> HistoryRequest:
    """The fields of reqHistoricalData after its request id."""
    query = read_query(fields)
    fields.skip(1)  # includeExpired
    end, bar_size, duration = fields.text("endDateTime"), fields.text("barSize"), fields.text("duration")
    regular, what = fields.flag("useRTH"), fields.text("whatToShow")
    format_date = fields.integer("formatDate") or 1
    if query.sec_type == "BAG":
        for _ in range(fields.count("combo legs")):
            fields.skip(4)
    keep = fields.flag("keepUpToDate")
    return HistoryRequest(query, end, bar_size, duration, regular, what, format_date, keep)


def read_time(value: str, default: ZoneInfo = NEW_YORK) -> datetime:
    """A time of the wire: ``YYYYMMDD-HH:MM:SS`` in UTC, ``YYYYMMDD HH:MM:SS[ zone]``, else `default`'s.

    Raises WireError when it is neither or the zone is unknown.
    """
    match = _TIME.fullmatch(value.strip())
    try:
        if match is None:
            raise ValueError  # noqa: TRY301  one message for every way to be wrong
        naive = datetime.strptime(match[1] + match[3], "%Y%m%d%H:%M:%S")  # noqa: DTZ007  the zone follows
        zone = ZoneInfo(match["zone"]) if match["zone"] else UTC if match["gap"] == "-" else default
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise WireError(f"not a date and time: {value[:40]!r}; expected yyyymmdd hh:mm:ss zone") from None
    return naive.replace(tzinfo=zone)
