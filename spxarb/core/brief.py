"""A command in a few words: what `log` shows of it in a line, and what the log file says that it decided."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from spxarb.core.checks import out_of_window
from spxarb.core.decisions import ASKED_LAST, StoredDecision
from spxarb.core.events import count
from spxarb.core.plain import plain
from spxarb.core.sentences import beside, lower_first, usd, usd_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spxarb.core.events import Row

_WIDTHS = {"spx_spread": "SPX", "spy_spread": "SPY"}


def brief(row: Row) -> str:
    """The decision in a row of the ledger, in a few words; one that cannot be read is told as that."""
    try:
        decision = StoredDecision(row)
        text = _OF.get(decision.command, _other)(decision)
    except (ValueError, TypeError, LookupError, AttributeError):
        return "unreadable"
    return f"dry run: {text}" if decision.dry_run and decision.outcome != "dry_run" else text


def brief_of(command: str, fields: Mapping[str, object], *, dry_run: bool) -> str:
    """The same of a result's own fields, before the ledger has them."""
    values = plain(fields)
    row = {
        "at": "",
        "command": command,
        "dry_run": dry_run,
        "outcome": values.get("outcome"),
        "would": values.get("would"),
        "checks": json.dumps(values.get("checks", [])),
        "payload": json.dumps(values),
    }
    return brief(row)


def dollars(value: object) -> str:
    """Dollars and cents; a dash where they are not known."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "–"  # noqa: RUF001 -- a dash is what is meant
    return usd(Decimal(str(value)))


def _signed(value: object) -> str:
    """A result: `+$446.47`."""
    text = dollars(value)
    return f"+{text}" if isinstance(value, int | float) and text.strip("$0.–") and value > 0 else text  # noqa: RUF001


# --- by command -----------------------------------------------------------------------------------


def _enter(decision: StoredDecision) -> str:
    net = dollars(decision.figures("credit").get("net"))
    worst = decision.figures("risk").get("worst_case")
    worth = f"credit {net}{'' if worst is None else f', worst case {dollars(worst)}'}"
    match decision.outcome:
        case "entered":
            return f"entered: trade {decision.payload.get('trade_id')}, {worth}"
        case "aborted":
            return f"aborted: trade {decision.payload.get('trade_id')} was begun and undone, {net}"
        case "dry_run" if decision.would == "enter":
            return f"dry run: would enter: {worth}"
        case "dry_run":
            return f"dry run: would skip: {_why(decision)}"
        case "skipped":
            return f"skipped: {_why(decision)}"
        case _:
            return "no decision"


def _why(decision: StoredDecision) -> str:
    """What stopped an entry, and how many checks passed of those that were made."""
    checks = [check for check in decision.checks if isinstance(check, dict)]
    stopping = stopping_checks(checks)
    made = [check for check in checks if check.get("ok") is not None]
    passed = sum(check["ok"] is True for check in made)
    # An entry may also stop at something said while the margin was asked; that is the last note.
    said = "; ".join(map(_stop, stopping)) or _last_note(decision)
    return f"{said} ({passed} of {len(made)} passed)" if made else said


def stopping_checks(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks that speak against an entry.

    One that could not be evaluated does so only where none failed: else nobody may have asked for it.
    """
    failed = [check for check in checks if check.get("ok") is False]
    return failed or [c for c in checks if c.get("ok") is None and c.get("name") not in ASKED_LAST]


def _last_note(decision: StoredDecision) -> str:
    notes = decision.list("notes")
    return lower_first(str(notes[-1])).rstrip(".") if notes else "see the notes"


def _stop(check: Mapping[str, Any]) -> str:
    """A check against an entry: its figure beside its limit, else what it says."""
    name, value, limit = str(check.get("name")), check.get("value"), check.get("limit")
    match name, value, limit:
        case "net_credit", float() | int(), float() | int():
            return f"credit {dollars(value)} < {dollars(limit)}"
        case (("spx_spread" | "spy_spread"), float() | int(), float() | int()) if value > limit:
            return f"{_WIDTHS[name]} width {dollars(value)} > {usd_limit(Decimal(str(limit)))}"
        case "tracking_ratio", float() | int(), [float() | int() as least, float() | int() as most]:
            nearest = least if value < (least + most) / 2 else most
            return f"ratio {beside(value, nearest, 4)}, not {least:g} to {most:g}"
        case "max_trades", int(), int() if value >= limit:
            return f"{value} of {limit} spreads entered today"
        case "time_window", str(), str() if out_of_window(value, limit):
            return f"outside the entry window {limit}"
    said = str(check.get("message") or f"{name} not evaluated")
    return lower_first(said).rstrip(".")


def _managed(decision: StoredDecision) -> str:
    positions = [position for position in decision.list("positions") if isinstance(position, dict)]
    parts = [_position(position) for position in positions] or ["nothing open"]
    differences = len(decision.list("reconciliation"))
    parts += [count(differences, "difference")] if differences else []
    if decision.command == "close-all":
        flat = decision.payload.get("flat")
        parts.append("flat not known" if flat is None else "flat" if flat else "not flat")
    return "; ".join(parts)


def _position(position: Mapping[str, Any]) -> str:
    """A spread, what was done with it and why, and its P&L: the result, or when that was decided."""
    did = {"would_close": "would close", "failed": "could not close"}
    action = str(position.get("action"))
    why = position.get("exit_reason")
    reason = f" ({why})" if why else ""
    text = f"{did.get(action, action)} trade {position.get('trade_id')}{reason}"
    return f"{text}, P&L {_signed(result_of(position))}"


def result_of(position: Mapping[str, Any]) -> object:
    """By its fills where it was closed, else as it was marked."""
    final = position.get("final_pnl")
    return position.get("current_pnl") if final is None else final


def _settle(decision: StoredDecision) -> str:
    summary = decision.figures("summary")
    state = "provisional" if decision.payload.get("provisional") else "final"
    trades = count(summary.get("trades_count") or 0, "trade")
    fees = dollars(summary.get("total_commissions"))
    return f"{state}: {trades}, net {dollars(summary.get('net_pnl'))}, commissions {fees}"


def _switch(decision: StoredDecision) -> str:
    allowed = decision.payload.get("is_trading")
    reason = decision.payload.get("reason")
    told = f"entries {'allowed' if allowed else 'stopped'}{f': {reason}' if reason else ''}"
    state = decision.figures("trading")
    beside = ", ".join(map(str, state.get("beside") or []))
    named = f"; {state['state']}{f' ({beside})' if beside else ''}" if state.get("state") else ""
    return f"{told}{named}"


def _hand_over(decision: StoredDecision) -> str:
    done = "not complete" if decision.payload.get("complete") is False else "handed over"
    return f"trade {decision.payload.get('trade_id')} {done}"


def _other(decision: StoredDecision) -> str:
    return lower_first(str(decision.outcome or "done"))


_OF: dict[str, Callable[[StoredDecision], str]] = {
    "enter": _enter,
    "monitor": _managed,
    "close-all": _managed,
    "settle": _settle,
    "hand-over": _hand_over,
    "start": _switch,
    "stop": _switch,
}
