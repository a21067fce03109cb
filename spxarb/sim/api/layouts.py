"""Frames of orders, executions and contracts, laid out for server versions 157 to 176.

Source: openOrder, completedOrder, execDetails and contractDetails frames recorded from real gateways by
public projects, and the decoders of the client libraries. The gates between 157 and 176 stand where they act.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import UNSET_DOUBLE, UNSET_INTEGER, UNSET_LONG, Say, fields_of, frame, prefixed
from spxarb.sim.exchange.orders import CANCELLED_BY_CLIENT
from spxarb.sim.market.trading_days import NEW_YORK

if TYPE_CHECKING:
    from datetime import date, datetime

    from spxarb.sim.api.wire import Value
    from spxarb.sim.exchange.orders import ExecutionReport, Holding, OrderSnapshot, Ticket, WhatIf
    from spxarb.sim.market.instruments import Instrument

DURATION, POST_TO_ATS, AUTO_CANCEL_PARENT, SIZE_RULES = 158, 160, 162, 164
ADVANCED_REJECT, PEG_BEST, ISSUER_ID = 166, 170, 176
_ORDER_TYPES = "ACTIVETIM,AD,ADJUST,ALERT,ALGO,ALLOC,AON,DAY,GAT,GTC,GTD,IOC,LMT,MKT,OPENCLOSE,WHATIF"


def wire_time(moment: datetime) -> str:
    """A moment as the gateway writes it: ``YYYYMMDD HH:MM:SS America/New_York``."""
    return f"{moment.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} America/New_York"


def wire_date(day: date | None) -> str:
    """A date as ``YYYYMMDD``; none is empty."""
    return f"{day:%Y%m%d}" if day else ""


def _strike(instrument: Instrument) -> str:
    return f"{instrument.strike:.10g}" if instrument.strike else "0"


def contract_fields(instrument: Instrument, exchange: str | None = None, no_right: str = "") -> list[Value]:
    """The 11 contract fields of a reply (no primaryExchange); `no_right` is the right of a non-option."""
    return [
        instrument.con_id,
        instrument.symbol,
        instrument.sec_type,
        wire_date(instrument.expiry),
        _strike(instrument),
        instrument.right or no_right,
        instrument.multiplier or "",
        instrument.exchange if exchange is None else exchange,
        instrument.currency,
        instrument.local_symbol,
        instrument.trading_class,
    ]


def error(version: int, request: int, code: int, text: str) -> bytes:
    """An error or notice; `request` is the request or order id, or -1."""
    tail = ("",) if version >= ADVANCED_REJECT else ()
    return frame(Say.ERROR, 2, request, code, text, *tail)


def contract_details(
    version: int, request: int, instrument: Instrument, exchange: str, hours: tuple[str, str]
) -> bytes:
    """One contractDetails frame; `hours` are tradingHours and liquidHours in the instrument's time zone."""
    head, tail = _details(version, instrument, exchange, hours)
    return prefixed(head + fields_of([request]) + tail)


@lru_cache(maxsize=4096)  # whole chains, for which every client asks again
def _details(
    version: int, instrument: Instrument, exchange: str, hours: tuple[str, str]
) -> tuple[bytes, bytes]:
    """What stands before the request's id, and after it."""
    sized = version >= SIZE_RULES
    rules = ",".join(str(instrument.market_rule_id) for _ in instrument.valid_exchanges.split(","))
    under = instrument.under_con_id
    values: list[Value] = [instrument.symbol, instrument.sec_type]
    values += [wire_date(instrument.expiry), _strike(instrument)]
    values += [instrument.right or "", exchange or instrument.exchange, instrument.currency]
    values += [instrument.local_symbol, instrument.trading_class, instrument.trading_class]
    values += [instrument.con_id]
    values += [instrument.min_tick, *([] if sized else [100]), instrument.multiplier or "", _ORDER_TYPES]
    values += [instrument.valid_exchanges, 1, under, instrument.long_name, instrument.primary_exchange]
    values += [f"{instrument.expiry:%Y%m}" if instrument.expiry else "", "", "", ""]
    values += [instrument.time_zone, *hours, "", 0, 0]
    values += [1 if sized else UNSET_INTEGER, instrument.symbol if under else ""]
    values += [("STK" if instrument.symbol == "SPY" else "IND") if under else "", rules]
    values += [wire_date(instrument.settles), "ETF" if instrument.sec_type == "STK" else ""]
    if version == 163:
        values += [1]
    if sized:
        values += [1, 1, 1]
    return fields_of([Say.CONTRACT_DETAILS, *([] if sized else [8])]), fields_of(values)


def order_status(state: OrderSnapshot) -> bytes:
    """One orderStatus frame."""
    ticket = state.ticket
    return frame(
        Say.ORDER_STATUS,
        ticket.order_id,
        state.status,
        state.filled,
        state.remaining,
        state.avg_fill_price or 0.0,
        state.perm_id,
        ticket.extra.get("parentId") or 0,
        state.last_fill_price or 0.0,
        ticket.client_id,
        "",
        0.0,
    )


def open_order(version: int, state: OrderSnapshot, preview: WhatIf | None = None) -> bytes:
    """One openOrder frame: of a standing order, or with `preview` the answer to a what-if."""
    ticket = state.ticket
    return frame(
        Say.OPEN_ORDER,
        ticket.order_id,
        *contract_fields(ticket.instrument, ticket.extra.get("exchange"), no_right="?"),
        *_order_head(ticket),
        ticket.client_id,
        state.perm_id,
        *_order_times(ticket),
        f"{state.perm_id}.0/{ticket.account}/{ticket.client_id}",
        *("", "", "", ""),  # faGroup, faMethod, faPercentage, faProfile
        *(ticket.extra.get("modelCode"), ticket.extra.get("goodTillDate"), ticket.extra.get("rule80A")),
        *("", "", 0, "", -1, 0, "", "", "", "", "", ticket.extra.get("displaySize") or UNSET_INTEGER),
        *_flags(ticket, "blockOrder", "sweepToFill", "allOrNone"),
        *(ticket.extra.get("minQty"), ticket.extra.get("ocaType") or 3, 0, 0, ""),
        *(ticket.extra.get("parentId") or 0, ticket.extra.get("triggerMethod") or 0, "", 0),
        *(
            "None",
            "",
            0,
            "",
            "",
            "",
            "?",
            0,
            0,
            "",
        ),  # deltaNeutralOrderType is a literal None: its block follows
        *(
            0,
            0,
            "",
            "",
            "",
            "",
            "",
            0,
            0,
            0,
            UNSET_INTEGER,
            UNSET_INTEGER,
            "",
            "",
        ),  # continuousUpdate..hedgeType
        *(0, "", "IB", 0, 0, "", 0, preview is not None, state.status),
        *(_preview(preview) if preview else _no_preview(state)),
        *(0, 0, 0),  # randomizeSize, randomizePrice, conditions
        *("None", UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, 0),
        *("", "", "", 0, 1, 0, 0, 0),  # softDollar x3, cashQty, .., usePriceMgmtAlgo
        *(("",) if version >= DURATION else ()),
        *(("",) if version >= POST_TO_ATS else ()),
        *((0,) if version >= AUTO_CANCEL_PARENT else ()),
        *(("",) * 5 if version >= PEG_BEST else ()),
    )


def _order_head(ticket: Ticket) -> list[Value]:
    """From action to orderRef."""
    limit = ticket.limit if ticket.limit is not None else 0.0
    auxiliary = ticket.extra.get("auxPrice") or 0.0
    oca, opens = ticket.extra.get("ocaGroup"), ticket.extra.get("openClose")
    return [
        *(ticket.side, ticket.quantity, ticket.order_type, limit, auxiliary, ticket.tif, oca),
        *(ticket.account, opens, ticket.extra.get("origin") or 0, ticket.order_ref),
    ]


def _order_times(ticket: Ticket) -> list[Value]:
    """outsideRth, hidden, discretionaryAmt, goodAfterTime."""
    return [*_flags(ticket, "outsideRth", "hidden", "discretionaryAmt"), ticket.extra.get("goodAfterTime")]


def _flags(ticket: Ticket, *names: str) -> list[Value]:
    return [ticket.extra.get(name) or 0 for name in names]


def _no_preview(state: OrderSnapshot) -> list[Value]:
    """The margins of a real order are unset; its commission comes once it is known."""
    commission, currency = ("", "") if state.commission is None else (state.commission, "USD")
    return [*(UNSET_DOUBLE,) * 9, commission, "", "", currency, ""]


def _preview(preview: WhatIf) -> list[Value]:
    """Margins before, change and after: each in the order initial, maintenance, equity with loan."""
    return [
        *(preview.init_before, preview.maint_before, preview.elv_before),
        *(preview.init_change, preview.maint_change, preview.elv_change),
        *(preview.init_after, preview.maint_after, preview.elv_after),
        *(preview.commission, preview.min_commission, preview.max_commission),
        *(preview.currency, preview.warning),
    ]


def completed_order(version: int, state: OrderSnapshot) -> bytes:
    """One completedOrder frame: as openOrder, but orderId and clientId are absent."""
    ticket = state.ticket
    when = (
        f"{state.completed_at.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} US/Eastern" if state.completed_at else ""
    )
    status, how = _how_completed(state)
    return frame(
        Say.COMPLETED_ORDER,
        *contract_fields(ticket.instrument, ticket.extra.get("exchange"), no_right="?"),
        *_order_head(ticket),
        state.perm_id,
        *_order_times(ticket),
        *("", "", "", ""),  # faGroup, faMethod, faPercentage, faProfile
        *(ticket.extra.get("modelCode"), ticket.extra.get("goodTillDate"), ticket.extra.get("rule80A")),
        *("", "", 0, "", -1, "", "", "", "", "", ticket.extra.get("displaySize") or UNSET_INTEGER),
        *_flags(ticket, "sweepToFill", "allOrNone"),
        *(ticket.extra.get("minQty"), ticket.extra.get("ocaType") or 3, 0, "", 0),
        *("None", "", 0, 0, 0, ""),  # deltaNeutralOrderType and its block of four
        *(0, 0, "", "", "", 0, 0, 0, UNSET_INTEGER, UNSET_INTEGER, "", ""),  # continuousUpdate..hedgeType
        *("", "IB", 0, 0, "", 0, status, 0, 0, 0),
        *(UNSET_DOUBLE, UNSET_DOUBLE, 0, 1, 0, "", state.filled, UNSET_INTEGER, 0),
        *("Not an insider or substantial shareholder", 0, 0, UNSET_LONG, when, how),
        *(("",) * 5 if version >= PEG_BEST else ()),
    )


def _how_completed(state: OrderSnapshot) -> tuple[str, str]:
    """The status and completedStatus of an order that has ended.

    As real gateways list them: one that was never live is Cancelled too, and whatever the reason was, it is
    lost, with a newline left of it.
    """
    if state.status == "Filled":
        return "Filled", f"Filled Size: {state.filled}"
    by_client = state.why == CANCELLED_BY_CLIENT
    return "Cancelled", CANCELLED_BY_CLIENT if by_client else "Cancelled by System:\n"


def execution(request: int, fill: ExecutionReport) -> bytes:
    """One execDetails frame; `request` is -1 for the live stream."""
    ticket = fill.ticket
    return frame(
        Say.EXECUTION,
        request,
        ticket.order_id,
        *contract_fields(ticket.instrument, fill.exchange),
        fill.exec_id,
        wire_time(fill.time),
        ticket.account,
        *(fill.exchange, fill.side, fill.shares, fill.price, fill.perm_id, ticket.client_id),
        fill.is_liquidation,
        *(fill.cum_qty, fill.avg_price, ticket.order_ref, "", "", "", 2),
    )


def commission_report(fill: ExecutionReport) -> bytes:
    """One commissionReport frame; realizedPNL of an opening trade is unset."""
    realized: Value = UNSET_DOUBLE if fill.realized_pnl is None else fill.realized_pnl
    exec_id = fill.commission_id or fill.exec_id
    return frame(Say.COMMISSION, 1, exec_id, fill.commission, "USD", realized, UNSET_DOUBLE, "")


def position(account: str, holding: Holding) -> bytes:
    """One position frame; the exchange is empty, as the real gateway has it for options."""
    contract = contract_fields(holding.instrument, exchange="")
    return frame(Say.POSITION, 3, account, *contract, holding.quantity, holding.avg_cost)


def portfolio(account: str, holding: Holding) -> bytes:
    """One portfolio row of an account-update subscription."""
    contract = contract_fields(holding.instrument, holding.instrument.primary_exchange)
    return frame(
        *(Say.PORTFOLIO, 8, *contract, holding.quantity, holding.market_price, holding.market_value),
        *(holding.avg_cost, holding.unrealized, holding.realized, account),
    )
