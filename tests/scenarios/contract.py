"""What the contract promises of each command's JSON object, and how a test looks at it."""

from __future__ import annotations

import re
from types import UnionType
from typing import Any

DAY = "2026-02-10"
CHECKS = [
    "time_window", "trading_enabled", "max_trades", "daily_loss", "market_data", "halted", "quote_age",
    "legs_apart", "index_price", "underlying_drift", "strikes", "tracking_ratio", "ratio_drift", "spx_spread",
    "spy_spread", "net_credit", "credit_plausible", "second_look", "margin",
]  # fmt: skip
TRADES = [
    "id", "trade_date", "spy_price", "spx_price", "spy_strike", "spx_strike", "spy_entry_bid", "spy_entry_ask",
    "spx_entry_bid", "spx_entry_ask", "entry_credit", "entry_time", "entry_filled", "spy_exit_price",
    "spx_exit_price", "exit_cost", "exit_time", "exit_reason", "final_pnl", "commissions", "status",
]  # fmt: skip
DAYS = [
    "id", "date", "trades_count", "winning_trades", "losing_trades", "total_pnl", "total_commissions", "net_pnl",
    "max_drawdown",
]  # fmt: skip
STATE = ["id", "last_updated", "is_trading", "open_positions", "daily_pnl", "trades_today", "errors_today"]

NUMBER = int | float
NEW_YORK_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?-0[45]:00")

COMMON = {"command": str, "at": NEW_YORK_TIME, "mode": "sim", "exit_code": int, "error": str | None}
CHECK = {"name": str, "ok": bool | None, "value": object, "limit": object, "message": str}
LEG = {
    "symbol": str,
    "trading_class": str,
    "expiration": DAY,
    "strike": NUMBER,
    "right": "C",
    "action": str,
    "quantity": int,
    "bid": NUMBER | None,
    "ask": NUMBER | None,
    "fill_price": NUMBER | None,
}
ENTER = COMMON | {
    "outcome": str | None,
    "would": str,
    "checks": [CHECK],
    "prices": {"spy": NUMBER | None, "spx": NUMBER | None, "ratio": NUMBER | None},
    "legs": [LEG],
    "credit": {"gross": NUMBER | None, "commissions": NUMBER | None, "net": NUMBER | None},
    "risk": {"strike_mismatch_points": NUMBER | None, "edge": NUMBER | None, "worst_case": NUMBER | None},
    "trade_id": int | None,
}
POSITION = {
    "trade_id": int,
    "entry_time": NEW_YORK_TIME,
    "spy_strike": NUMBER,
    "spx_strike": NUMBER,
    "entry_credit": NUMBER,
    "current_pnl": NUMBER | None,
    "status": str,
}
EXIT = POSITION | {"exit_reason": str | None, "action": str, "residual": list}
MONITOR = COMMON | {"positions": [EXIT], "reconciliation": [str]}
CLOSE_ALL = COMMON | {"positions": [EXIT], "flat": bool}
SETTLE = COMMON | {
    "trades": [dict.fromkeys(TRADES, object)],
    "summary": dict.fromkeys(DAYS, object),
    "provisional": bool,
}
STATUS = COMMON | {
    "status": {"is_trading": bool, "is_connected": bool, "open_positions": int, "trades_today": int},
    "account": dict.fromkeys(
        ["account_id", "net_liquidation", "total_cash", "available_funds", "buying_power"], object
    ),
    "market": {"spy_price": NUMBER | None, "spx_price": NUMBER | None, "ratio": NUMBER | None},
    "positions": [POSITION],
    "trades": [
        {
            "id": int,
            "trade_date": DAY,
            "entry_credit": NUMBER | None,
            "final_pnl": NUMBER | None,
            "exit_reason": str | None,
            "status": str,
        }
    ],
    "performance": {
        "daily_realized_pnl": NUMBER | None,
        "unrealized_pnl": NUMBER | None,
        "total_pnl": NUMBER | None,
        "max_daily_loss": NUMBER,
        "risk_breached": bool | None,
        "trades_count": int,
        "active_positions": int,
    },
}
REPORT = COMMON | {
    "trades": [dict.fromkeys(TRADES, object)],
    "days": [dict.fromkeys(DAYS, object)],
    "statistics": dict,
}

SHAPES: dict[str, dict[str, Any]] = {
    "enter": ENTER,
    "monitor": MONITOR,
    "settle": SETTLE,
    "close-all": CLOSE_ALL,
    "status": STATUS,
    "report": REPORT,
    "start": COMMON | {"is_trading": bool | None, "reason": str | None},
    "stop": COMMON | {"is_trading": bool | None, "reason": str | None},
}


def assert_whole(value: Any, shape: Any, where: str = "$") -> None:
    """Every object and list of the shape is there, with all keys; what their fields say does not matter."""
    if isinstance(shape, dict):
        assert_fits(value, dict.fromkeys(shape, object), where)
        for key, part in shape.items():
            assert_whole(value[key], part, f"{where}.{key}")
    elif isinstance(shape, list):
        assert_fits(value, list, where)


def assert_fits(value: Any, shape: Any, where: str = "$") -> None:
    """The value has at least the keys of the shape, each of the type, pattern or literal that it names."""
    match shape:
        case _ if shape is object:
            pass
        case dict():
            assert isinstance(value, dict), f"{where}: {value!r} is no object"
            assert shape.keys() <= value.keys(), f"{where} lacks {sorted(shape.keys() - value.keys())}"
            for key, part in shape.items():
                assert_fits(value[key], part, f"{where}.{key}")
        case list():
            assert isinstance(value, list), f"{where}: {value!r} is no list"
            for number, item in enumerate(value):
                assert_fits(item, shape[0], f"{where}[{number}]")
        case re.Pattern():
            assert isinstance(value, str), f"{where}: {value!r} is no text"
            assert shape.fullmatch(value), f"{where}: {value!r}"
        case type() | UnionType():
            allowed = shape is bool or (isinstance(shape, UnionType) and bool in shape.__args__)
            assert isinstance(value, shape), f"{where}: {value!r} is no {shape}"
            assert allowed or not isinstance(value, bool), f"{where}: {value!r} is no {shape}"
        case _:
            assert value == shape, f"{where}: {value!r} is not {shape!r}"
