"""What the newest run of a command came to, in a few words: for a dashboard's line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spxarb.core.brief import stopping_checks
from spxarb.core.checks import out_of_window
from spxarb.core.decisions import StoredDecision, outcome_of

if TYPE_CHECKING:
    from spxarb.core.events import Row

CODES = {
    1: "failed by a bug",
    2: "wrong use",
    3: "configuration invalid",
    4: "gateway not reached",
    5: "refused for safety",
    6: "NEEDS A HUMAN",
    7: "another job held the lock",
}
"""An exit code in words: see exit-codes.md."""
_CHECKS = {
    "time_window": "outside the entry window",
    "trading_enabled": "entries are stopped",
    "going_live": "live is shut",
    "max_trades": "the day's trades are used up",
    "daily_loss": "the day's loss limit",
    "market_data": "prices in doubt",
    "strikes": "no strikes at the money",
    "tracking_ratio": "ratio out of range",
    "spx_spread": "SPX too wide",
    "spy_spread": "SPY too wide",
    "net_credit": "credit too small",
    "margin": "margin",
}


def dollars(value: float) -> str:
    """`-$41.80`, `$1,408.19`."""
    return f"{'-' if round(value, 2) < 0 else ''}${abs(value):,.2f}"


def in_words(run: Row, decision: Row | None) -> str:
    """What a run came to; `decision`: the newest that it wrote down, None for none.

    Never more than some fifty characters.
    """
    code = run["exit_code"]
    if code is None:
        return "has not ended"
    if code in CODES:
        return CODES[code]
    if code != 0:
        return f"ended with exit code {code}"
    if decision is None:
        return "nothing to do"
    try:
        stored = StoredDecision(decision)
    except (ValueError, TypeError):
        return "its decision cannot be read"
    said = _OF.get(stored.command, _outcome)(stored, decision)
    return f"dry run: {said}" if stored.dry_run else said


def _outcome(_: StoredDecision, row: Row) -> str:
    return outcome_of(row)


def _entered(decision: StoredDecision, row: Row) -> str:
    if decision.outcome == "entered":
        net = decision.figures("credit").get("net")
        credit = f", credit {dollars(net)}" if isinstance(net, int | float) else ""
        return f"entered trade {decision.payload.get('trade_id')}{credit}"
    if decision.outcome == "aborted":
        return "begun and undone"
    if decision.would == "enter":
        return "would enter"
    checks = [check for check in decision.checks if isinstance(check, dict)]
    stopping = stopping_checks(checks)
    if not stopping:
        return outcome_of(row)
    made = [check for check in checks if check.get("ok") is not None]
    passed = sum(check["ok"] is True for check in made)
    said = f"skipped: {_check(stopping[0])}"
    return f"{said} ({passed} of {len(made)} passed)" if made else said


def _check(check: dict[str, Any]) -> str:
    name, value, limit = str(check.get("name")), check.get("value"), check.get("limit")
    if check.get("ok") is None:
        return f"{name.replace('_', ' ')} not known"
    match name, value, limit:
        case "net_credit", int() | float(), int() | float():
            return f"credit {dollars(value)} < {dollars(limit)}"
        case "time_window", _, _ if not out_of_window(value, limit):
            return "no entries on this date"
        case "trading_enabled", True, _:
            return "not all is in order"
        case "daily_loss", int() | float(), int() | float() if value <= limit:
            return "the day's limits"
        case (("spx_spread" | "spy_spread"), int() | float(), _) if value < 0:
            return f"{name[:3].upper()} crossed"
    return _CHECKS.get(name, name.replace("_", " "))


def _settled(decision: StoredDecision, row: Row) -> str:
    net = decision.figures("summary").get("net_pnl")
    return f"{outcome_of(row)}, net {dollars(net)}" if isinstance(net, int | float) else outcome_of(row)


_OF = {"enter": _entered, "settle": _settled}
