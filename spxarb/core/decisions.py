"""What a command decided, in sentences: from the row that the ledger keeps of a decision."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spxarb.core.checks import MARGIN, SECOND_LOOK
from spxarb.core.events import EventKind, Explained, Row, count, number, picked, side, signed
from spxarb.core.sentences import lower_first, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASKED_LAST = (SECOND_LOOK, MARGIN)
"""Checks that are not asked for once another one has failed: of these silence is no reason."""


class StoredDecision:
    """A row of `decisions`, opened; parts that are not there, or not as they should be, are empty."""

    def __init__(self, row: Row) -> None:
        """Raises ValueError when its JSON is none."""
        self.at = str(row["at"])
        self.command = str(row["command"])
        self.dry_run = bool(row["dry_run"])
        self.outcome = row["outcome"]
        self.would = row["would"]
        self.checks = _list(json.loads(row["checks"] or "[]"))
        payload = json.loads(row["payload"] or "{}")
        self.payload: dict[str, Any] = payload if isinstance(payload, dict) else {}

    def list(self, name: str) -> list[Any]:
        return _list(self.payload.get(name))

    def figures(self, *names: str) -> dict[str, Any]:
        """The figures of these objects of the result, together."""
        found: dict[str, Any] = {}
        for name in names:
            part = self.payload.get(name)
            found |= part if isinstance(part, dict) else {}
        return found

    def event(self, what: EventKind, text: str, figures: dict[str, object] | None = None) -> Explained:
        return Explained(self.at, what, text, figures or {})


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def decision_events(row: Row) -> Iterator[Explained]:
    """What was decided, which checks stopped it, what differed, and what was said beside it."""
    try:
        decision = StoredDecision(row)
    except (ValueError, TypeError):
        yield Explained(str(row["at"]), EventKind.DECISION, f"{row['command']}: cannot be read.", {})
        return
    yield from _OF.get(decision.command, _other)(decision)
    for text in decision.list("reconciliation"):
        yield decision.event(EventKind.DIFFERENCE, f"{decision.command}: {sentence(str(text))}")
    for text in decision.list("notes"):
        yield decision.event(EventKind.NOTE, f"{decision.command}: {sentence(str(text))}")


def outcome_of(row: Row) -> str:
    """The outcome in a word or two, for a list of runs."""
    try:
        decision = StoredDecision(row)
    except (ValueError, TypeError):
        return "unreadable"
    if decision.outcome is not None:
        return str(decision.outcome)
    match decision.command:
        case "monitor" | "close-all":
            actions = [str(position.get("action")) for position in decision.list("positions")]
            counted = [f"{actions.count(one)} {one.replace('_', ' ')}" for one in dict.fromkeys(actions)]
            return ", ".join(counted) or "nothing open"
        case "settle":
            return "provisional" if decision.payload.get("provisional") else "final"
        case "start" | "stop":
            return "allowed" if decision.payload.get("is_trading") else "forbidden"
        case "hand-over" if decision.payload.get("complete") is False:
            return "not complete"
        case _:
            return "done"


# --- by command -----------------------------------------------------------------------------------


def _enter(decision: StoredDecision) -> Iterator[Explained]:
    figures = decision.figures("prices", "credit", "risk") | picked(decision.payload, "legs", "trade_id")
    checks = [check for check in decision.checks if isinstance(check, dict)]
    stopping = [check for check in checks if _stops(check)]
    text = f"{_entry(decision, figures, stopping)}{_seen(figures)}."
    yield decision.event(EventKind.DECISION, text, figures)
    for check in stopping:
        name, said = check.get("name"), str(check.get("message") or "not evaluated")
        about = {"check": name, "ok": check.get("ok"), **picked(check, "value", "limit")}
        yield decision.event(EventKind.VETO, f"{name}: {sentence(said)}", about)


def _entry(decision: StoredDecision, figures: dict[str, Any], stopping: list[dict[str, Any]]) -> str:
    """What came of an attempt to enter, without a full stop."""
    failed = ", ".join(str(check.get("name")) for check in stopping) or "see the notes"
    credit, trade = signed(figures.get("net")), decision.payload.get("trade_id")
    match decision.outcome:
        case "entered":
            return f"Every check passed: entered trade {trade} for a credit of {credit}{_worth(figures)}"
        case "skipped":
            return f"No entry: {failed}; the credit would have been {credit}"
        case "aborted":
            return f"The entry was begun and undone; its credit had been {credit}"
        case "dry_run" if decision.would == "enter":
            return f"Dry run: would enter for a credit of {credit}{_worth(figures)}"
        case "dry_run":
            return f"Dry run: would not enter: {failed}; the credit would have been {credit}"
        case _:
            return "No decision came about"


def _stops(check: dict[str, Any]) -> bool:
    """Whether a check speaks against an entry: it failed, or could not be evaluated and should have been."""
    ok = check.get("ok")
    return ok is False or (ok is None and check.get("name") not in ASKED_LAST)


def _worth(figures: dict[str, Any]) -> str:
    """What stands behind a credit."""
    parts = []
    if figures.get("edge") is not None:
        parts.append(f"edge {signed(figures['edge'])}")
    if figures.get("worst_case") is not None:
        parts.append(f"worst case {signed(figures['worst_case'])}")
    return f" ({', '.join(parts)})" if parts else ""


def _seen(figures: dict[str, Any]) -> str:
    """The prices and quotes that were looked at."""
    prices = [f"{name.upper()} {figures[name]:,.2f}" for name in ("spx", "spy") if figures.get(name)]
    quotes = [_quote(leg) for leg in _list(figures.get("legs")) if isinstance(leg, dict)]
    return f"; seen: {', '.join([*prices, *quotes])}" if prices or quotes else ""


def _quote(leg: dict[str, Any]) -> str:
    call = f"{leg.get('symbol')} {number(leg.get('strike'))} call"
    return f"{call} {side(leg.get('bid'))} at {side(leg.get('ask'))}"


def _managed(decision: StoredDecision) -> Iterator[Explained]:
    """`monitor` and `close-all`: each open spread, and why it was held or exited."""
    positions = [position for position in decision.list("positions") if isinstance(position, dict)]
    dry = "Dry run: " if decision.dry_run else ""
    for position in positions:
        trade, reason = position.get("trade_id"), position.get("exit_reason")
        marked = f"marked at {signed(position.get('current_pnl'))}"
        match position.get("action"):
            case "held":
                text = f"held trade {trade}, {marked}."
            case "closed":
                text = f"closed trade {trade} because of {reason}, {marked}{_left(position)}."
            case "would_close":
                text = f"would close trade {trade} because of {reason}, {marked}."
            case _:
                text = f"could not close trade {trade} though {reason} was due, {marked}."
        figures = picked(position, "trade_id", "current_pnl", "entry_credit", "exit_reason", "action")
        yield decision.event(EventKind.DECISION, f"{decision.command}: {dry}{text}", figures)
    if not positions:
        told = " and the broker shows flat" if decision.payload.get("flat") else ""
        yield decision.event(EventKind.DECISION, f"{decision.command}: {dry}nothing of ours is open{told}.")


def _left(position: dict[str, Any]) -> str:
    legs = _list(position.get("residual"))
    return f"; {', '.join(map(str, legs))} left to cash settlement" if legs else ""


def _settle(decision: StoredDecision) -> Iterator[Explained]:
    figures = decision.figures("summary")
    state = "provisional" if decision.payload.get("provisional") else "final"
    trades = count(figures.get("trades_count") or 0, "trade")
    day, net = figures.get("date") or "the day", signed(figures.get("net_pnl"))
    text = f"settle: {day} has {trades} and a net result of {net}, {state}."
    yield decision.event(EventKind.DECISION, text, {**figures, **picked(decision.payload, "provisional")})


def _switch(decision: StoredDecision) -> Iterator[Explained]:
    allowed = "allowed" if decision.payload.get("is_trading") else "forbidden"
    reason = decision.payload.get("reason")
    text = f"New entries are {allowed}{f': {reason}' if reason else ''}."
    yield decision.event(EventKind.DECISION, text, picked(decision.payload, "is_trading", "reason"))


def _hand_over(decision: StoredDecision) -> Iterator[Explained]:
    """An order of ours may still trade until it is complete."""
    trade = f"trade {decision.payload.get('trade_id')}"
    text = f"hand-over: {trade} is the human's, and no order of ours works in it."
    if decision.dry_run:
        text = f"hand-over: dry run, {trade} was not handed over."
    elif decision.payload.get("complete") is False:
        text = f"hand-over: that of {trade} is not complete."
    figures = picked(decision.payload, "trade_id", "complete", "handed_over_at")
    yield decision.event(EventKind.DECISION, text, figures)


def _other(decision: StoredDecision) -> Iterator[Explained]:
    """A command without words of its own here: what came of it, and its plain figures."""
    plain = {key: value for key, value in decision.payload.items() if not isinstance(value, list | dict)}
    text = f"{decision.command}: {lower_first(str(decision.outcome or 'done'))}."
    yield decision.event(EventKind.DECISION, text, plain)


_OF: dict[str, Callable[[StoredDecision], Iterator[Explained]]] = {
    "enter": _enter,
    "monitor": _managed,
    "close-all": _managed,
    "settle": _settle,
    "hand-over": _hand_over,
    "start": _switch,
    "stop": _switch,
}
