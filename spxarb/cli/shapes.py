"""The JSON object of every command: all its keys always, plain values only. Prints nothing.

An object is never null, its fields may be; a list is empty when there is nothing. Money is dollars. What a
job did not say is null and never 0.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from spxarb.core.model import ENTRY_CHECKS, MARGIN
from spxarb.core.plain import plain

if TYPE_CHECKING:
    from spxarb.core.result import Result

Object = dict[str, Any]


def _null(*names: str) -> Object:
    return dict.fromkeys(names)


CHECK_NAMES = (*ENTRY_CHECKS, MARGIN)
"""What `enter` checks, in its order; `margin` last."""

TRADE_COLUMNS = (
    "id",
    "trade_date",
    "spy_price",
    "spx_price",
    "spy_strike",
    "spx_strike",
    "spy_entry_bid",
    "spy_entry_ask",
    "spx_entry_bid",
    "spx_entry_ask",
    "entry_credit",
    "entry_time",
    "entry_filled",
    "spy_exit_price",
    "spx_exit_price",
    "exit_cost",
    "exit_time",
    "exit_reason",
    "final_pnl",
    "commissions",
    "status",
)
DAY_COLUMNS = (
    "id",
    "date",
    "trades_count",
    "winning_trades",
    "losing_trades",
    "total_pnl",
    "total_commissions",
    "net_pnl",
    "max_drawdown",
)
EXECUTION_COLUMNS = (
    "exec_id",
    "trade_id",
    "leg",
    "order_ref",
    "time",
    "account",
    "con_id",
    "symbol",
    "side",
    "quantity",
    "price",
    "commission",
    "commission_estimated",
)
TABLES: dict[str, tuple[str, ...]] = {
    "trades": TRADE_COLUMNS,
    "days": DAY_COLUMNS,
    "executions": EXECUTION_COLUMNS,
}
"""The tables of `report --csv` and the columns that each begins with."""

_CHECK = _null("name", "ok", "value", "limit", "message")
_LEG = _null(
    "symbol",
    "trading_class",
    "expiration",
    "strike",
    "right",
    "action",
    "quantity",
    "bid",
    "ask",
    "fill_price",
)
_POSITION = _null(
    "trade_id", "entry_time", "spy_strike", "spx_strike", "entry_credit", "current_pnl", "status"
)
_EXIT = _POSITION | _null("exit_reason", "action") | {"residual": []}
_TRADE = _null("id", "trade_date", "entry_credit", "final_pnl", "exit_reason", "status")

# Per command its own keys. A list holds one example of its items: what each of them has at least.
# `flat` is false until seen flat, `provisional` true until proven final: neither is ever assumed.
SHAPES: dict[str, Object] = {
    "enter": {
        "outcome": None,
        "would": None,
        "checks": [_CHECK],
        "prices": _null("spy", "spx", "ratio"),
        "legs": [_LEG],
        "credit": _null("gross", "commissions", "net"),
        "risk": _null("strike_mismatch_points", "edge", "worst_case"),
        "trade_id": None,
    },
    "monitor": {"positions": [_EXIT], "reconciliation": []},
    "settle": {
        "trades": [_null(*TRADE_COLUMNS)],
        "summary": _null(*DAY_COLUMNS),
        "provisional": True,
    },
    "close-all": {"positions": [_EXIT], "flat": False},
    "start": _null("is_trading", "reason"),
    "stop": _null("is_trading", "reason"),
    "status": {
        "status": _null("is_trading", "is_connected", "open_positions", "trades_today"),
        "account": _null("account_id", "net_liquidation", "total_cash", "available_funds", "buying_power"),
        "market": _null("spy_price", "spx_price", "ratio"),
        "positions": [_POSITION],
        "trades": [_TRADE],
        "performance": _null(
            "daily_realized_pnl",
            "unrealized_pnl",
            "total_pnl",
            "max_daily_loss",
            "risk_breached",
            "trades_count",
            "active_positions",
        ),
    },
    "record": _null("file", "rows", "lines", "left_out", "first", "last", "ended_by", "reconnects"),
    "report": {"trades": [_null(*TRADE_COLUMNS)], "days": [_null(*DAY_COLUMNS)], "statistics": {}},
    "sim": _null("host", "port", "control_port", "market"),
}


def as_object(result: Result) -> Object:
    """The JSON object of `result`: common keys, the command's own, whatever else the job said, notes."""
    data = complete(SHAPES.get(result.command, {}), plain(result.data))
    if result.command == "enter" and not data["checks"]:
        data["checks"] = [{**_CHECK, "name": name, "message": "not evaluated"} for name in CHECK_NAMES]
    return {
        "command": result.command,
        "at": plain(result.at),
        "mode": plain(result.mode),
        "exit_code": int(result.exit_code),
        "error": result.error,
        **data,
        "notes": list(result.notes),
    }


def as_json(result: Result, *, indent: int | None = None) -> str:
    """`as_object` as ASCII text, which no terminal's or pipe's encoding can spoil."""
    return json.dumps(as_object(result), indent=indent, allow_nan=False)


def complete(shape: object, value: object) -> Any:
    """`value` with every key of `shape` that it lacks; null is no object and no list."""
    match shape:
        case dict():
            given = value if isinstance(value, dict) else {}
            return {
                **{key: complete(part, given.get(key)) for key, part in shape.items()},
                **{key: part for key, part in given.items() if key not in shape},
            }
        case list():
            items = value if isinstance(value, list) else []
            return [complete(shape[0], item) for item in items] if shape else items
        case _:
            return shape if value is None else value


def as_csv(result: Result, table: str) -> str:
    """One of TABLES as CSV with a header, also when it has no rows; null is an empty field.

    Columns beyond the ones promised follow these, in the order in which the rows name them.
    """
    rows = plain(result.data.get(table) or [])
    columns = list(dict.fromkeys([*TABLES[table], *(key for row in rows for key in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _field(item) for key, item in row.items()} for row in rows)
    return text.getvalue()


def _field(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value
