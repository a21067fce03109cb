"""A day of the ledger as events in their order: what was seen, decided, sent and filled, and why.

Pure: rows as the ledger stores them in, sentences and figures out. A row that something else has written, and
that cannot be told, is told as that: it hides no other.

Two events of the same instant stand as cause and effect: a simulated clock stands still, and the broker tells
executions to the second. A command first, then what it saw, what it sent, what came of that, what it decided,
its alert. Events of commands of the same instant stand with the last of them, unless they name theirs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.core.decisions import decision_events
from spxarb.core.events import EventKind, Explained, Row, count, number, picked, side, signed, usd
from spxarb.core.order_words import Purpose
from spxarb.core.records import order_name
from spxarb.core.run_gaps import run_moment
from spxarb.core.sentences import lower_first, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOTHING: tuple[Row, ...] = ()
SEEN, SENT, CAME, DECIDED, ALARMED, ENDED = range(1, 7)
"""The order of events of one command at the same instant."""


@dataclass(frozen=True)
class DayRows:
    """All that the ledger has of one day: rows as stored, oldest first, each table's under its name.

    `orders`: also those of other days that something happened to on this one, so that steps and executions
    can be told.
    """

    runs: Sequence[Row] = NOTHING
    decisions: Sequence[Row] = NOTHING
    trades: Sequence[Row] = NOTHING
    orders: Sequence[Row] = NOTHING
    order_steps: Sequence[Row] = NOTHING
    executions: Sequence[Row] = NOTHING
    settlement_stages: Sequence[Row] = NOTHING
    entry_stops: Sequence[Row] = NOTHING
    marks: Sequence[Row] = NOTHING
    day_marks: Sequence[Row] = NOTHING
    baselines: Sequence[Row] = NOTHING
    matters: Sequence[Row] = NOTHING
    alerts: Sequence[Row] = NOTHING


@dataclass(frozen=True)
class _Placed:
    """An event and its place: when it counts as having happened, whose it is, what kind, which one."""

    event: Explained
    when: datetime
    phase: int
    number: float = 0
    run_id: int | None = None


def explain(day: str, rows: DayRows) -> tuple[Explained, ...]:
    """The day's events in order; `day` is ISO text in New York."""
    found = [
        placed
        for told in (
            _runs,
            _marks,
            _orders,
            _trades,
            _settlements,
            _stops,
            _account,
            _matters,
            _decisions,
            _alerts,
        )
        for placed in told(rows)
        if placed.event.at[:10] == day
    ]
    last: dict[datetime, int] = {}
    for row in rows.runs:
        last[run_moment(row)] = row["id"]

    def place(placed: _Placed) -> tuple[datetime, int, int, float]:
        run_id = last.get(placed.when, 0) if placed.run_id is None else placed.run_id
        return placed.when, run_id, placed.phase, placed.number

    return tuple(placed.event for placed in sorted(found, key=place))


# --- commands -------------------------------------------------------------------------------------


def _runs(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.runs:
        began = run_moment(row)
        figures = {"run_id": row["id"], **picked(row, "command", "exit_code")}
        seen = ", and the account was compared with the ledger" if row["account_seen"] else ""
        ended = f"exit code {row['exit_code']}" if row["ended_at"] else "its end was not written down"
        text = f"{_words(row)} ran: {ended}{seen}."
        yield _Placed(Explained(began.isoformat(), EventKind.RUN, text, figures), began, 0, 0, row["id"])
        if row["error"]:
            at = _end_of(row, began)
            text = f"{row['command']} ended with exit code {row['exit_code']}: {sentence(row['error'])}"
            event = Explained(at.isoformat(), EventKind.RUN, text, figures)
            yield _Placed(event, at, ENDED, 0, row["id"])


def _words(row: Row) -> str:
    """The command as it was called, without what says nothing of the day."""
    try:
        given = list(map(str, json.loads(row["arguments"])))
    except (ValueError, TypeError):
        return str(row["command"])
    if given[:1] == ["--config"]:
        given = given[2:]
    return " ".join(word for word in given if word != "--json") or str(row["command"])


def _end_of(row: Row, began: datetime) -> datetime:
    """When a command ended. Of a simulated day only the market's time is of use, and the end has none."""
    if row["market_time"] is not None:
        return max(began, datetime.fromisoformat(row["market_time"]))
    ended = datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else began
    return ended if began <= ended < began + timedelta(days=1) else began


def _decisions(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.decisions:
        for place, event in enumerate(decision_events(row)):
            yield _at(event, DECIDED, row["id"] + place / 1000, row["run_id"])


def _alerts(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.alerts:
        said = " ".join(str(row["text"]).split())
        went = f"Alert to {row['sent_to'] or 'nobody'}"
        if row["failure"]:
            went = f"An alert did not go out ({row['failure']})"
        event = Explained(
            row["at"], EventKind.ALERT, f"{went}: {said}", picked(row, "title", "sent_to", "failure")
        )
        yield _at(event, ALARMED, row["id"], row["run_id"])


# --- what was seen --------------------------------------------------------------------------------


def _marks(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.marks:
        quotes = "; ".join(
            f"{leg.upper()} call {side(row[f'{leg}_bid'])} at {side(row[f'{leg}_ask'])}"
            for leg in ("spx", "spy")
        )
        under = ", ".join(f"{leg.upper()} {side(row[leg])}" for leg in ("spx", "spy"))
        text = (
            f"Trade {row['trade_id']} would make {signed(row['pnl'])} if closed now: {under}; {quotes}"
            f"{_greeks(row)}."
        )
        figures = {name: value for name, value in row.items() if name not in {"id", "at"}}
        yield _at(Explained(row["at"], EventKind.MARK, text, figures), SEEN, row["id"])
    for row in rows.day_marks:
        text = f"The day stands at {signed(row['net_pnl'])}."
        event = Explained(row["at"], EventKind.MARK, text, picked(row, "net_pnl"))
        yield _at(event, SEEN, 1e9 + row["id"])


def _greeks(row: Row) -> str:
    if row["greeks_source"] is None:
        return ""
    slopes = ", ".join(
        f"{name} {row[name]:+,.2f}" for name in ("delta", "theta", "vega") if row[name] is not None
    )
    return f"; {slopes} ({row['greeks_source']})"


def _account(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.baselines:
        closes = [
            f"{leg.upper()} closed at {row[f'{leg}_close']:,.2f}"
            for leg in ("spx", "spy")
            if row[f"{leg}_close"] is not None
        ]
        text = f"After the close the account held {number(row['spy_shares'])} SPY shares"
        figures = picked(row, "spy_shares", "spx_close", "spy_close")
        event = Explained(row["taken_at"], EventKind.ACCOUNT, f"{'; '.join([text, *closes])}.", figures)
        yield _at(event, SEEN)


# --- what was sent, and what came of it -----------------------------------------------------------

PURPOSES = {
    Purpose.ENTRY: "to enter",
    Purpose.UNWIND: "to undo the entry",
    Purpose.EXIT: "to exit",
    Purpose.FAILSAFE: "as fail-safe",
}


def _short(ref: str) -> str:
    """An order's name without prefix and ledger: `trade 1 SPX e1`."""
    name = order_name(ref)
    return ref if name is None else f"trade {name.trade_id} {name.leg} {name.purpose}{name.attempt}"


def _orders(rows: DayRows) -> Iterator[_Placed]:
    """Intents, steps and executions, in the order in which the ledger took them down."""
    orders = {row["order_ref"]: row for row in rows.orders}
    finals: dict[str, int] = {}
    status: dict[str, str] = {}
    for step in rows.order_steps:
        ref, order = step["order_ref"], orders.get(step["order_ref"])
        if order is None:
            continue
        at = step["at"] or order["created_at"]
        if step["step"] == "final":
            finals[ref] = step["id"]
        if step["step"] == "status":
            told = str(step["detail"])
            if told == status.get(ref) or (ref in finals and told == "Filled"):
                continue  # brokers tell the same status again and again
            status[ref] = told
        text = _intent(order, step) if step["step"] == "intent" else _step(step)
        figures = {
            "order_ref": ref,
            **picked(order, "trade_id", "leg", "side", "quantity"),
            "limit": step["limit_price"],
        }
        yield _at(Explained(at, EventKind.ORDER, text, {**figures, "step": step["step"]}), SENT, step["id"])
    for place, fill in enumerate(rows.executions):
        yield _fill(fill, orders.get(fill["order_ref"]), finals.get(fill["order_ref"]), place)


def _intent(order: Row, step: Row) -> str:
    price = "at the market" if step["limit_price"] is None else f"at {usd(step['limit_price'])} or better"
    asleep = f", inactive until {order['good_after'][11:16]}" if order["good_after"] else ""
    verb = "Buy" if order["side"] == "BUY" else "Sell"
    why = PURPOSES.get(order["purpose"], "")
    what = count(order["quantity"], _call(order))
    return f"{verb} {what} {price}{asleep} {why} ({_short(order['order_ref'])})."


def _call(order: Row) -> str:
    """The contract in words; only its leg where it cannot be read."""
    try:
        contract = json.loads(order["contract"])
        strike = f"{float(contract['strike']):g}"
        return f"{contract['trading_class'] or contract['symbol']} {strike} {_RIGHTS[contract['right']]}"
    except (ValueError, TypeError, KeyError):
        return f"{order['leg']} call"


_RIGHTS = {"C": "call", "P": "put"}


def _step(step: Row) -> str:
    name, detail = _short(step["order_ref"]), str(step["detail"] or "").strip()
    match step["step"]:
        case "reprice":
            said = (
                f"limit moved to {usd(step['limit_price'])}" if step["limit_price"] else "now at the market"
            )
        case "status":
            said = detail
        case "message":
            said = f"the broker says {detail}"
        case "final":
            state, _, proof = detail.partition(": ")
            said = f"it is over: {state if proof in state else detail}"
        case "cancel":
            said = "cancel sent"
        case other:
            said = f"{other} {detail}".strip()
    return f"{name}: {said.rstrip('.')}."


def _cause(fill: Row) -> str:
    """By which order: of ours its short name; of a human's his trade, and what he called it."""
    ref = fill["order_ref"]
    if fill.get("purpose") != Purpose.BY_HAND:
        return _short(ref) if ref else ""
    return f"trade {fill['trade_id']}, by hand{f', order {ref}' if ref else ''}"


def _fill(fill: Row, order: Row | None, final: int | None, place: int) -> _Placed:
    """An execution. It cannot have been before its order, though its time is told to the second alone."""
    verb = "Bought" if fill["side"] == "BUY" else "Sold"
    call = f"{fill['leg']} call" if order is None else _call(order)
    fee = f"commission {usd(fill['commission'])}{' (estimated)' if fill['commission_estimated'] else ''}"
    said = "; ".join(filter(None, [_cause(fill), "corrected since" if fill["superseded"] else ""]))
    text = f"{verb} {count(fill['quantity'], call)} at {usd(fill['price'])}, {fee}{said and f' ({said})'}."
    names = "exec_id", "order_ref", "trade_id", "leg", "side", "quantity", "price", "commission", "superseded"
    when = datetime.fromisoformat(fill["time"])
    if order is not None:
        when = max(when, datetime.fromisoformat(order["created_at"]))
    event = Explained(fill["time"], EventKind.FILL, text, picked(fill, *names))
    before_its_end = (1e9 if final is None else final - 0.5) + place / 1e6
    return _Placed(event, when, SENT, before_its_end)


def _trades(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.trades:
        strikes = f"SPX {number(row['spx_strike'])} against SPY {number(row['spy_strike'])}"
        if row["entry_time"] and row["entry_filled"]:
            text = f"Trade {row['id']} is open: {strikes}, for a credit of {signed(row['entry_credit'])}."
            names = "id", "entry_credit", "ratio", "strike_mismatch", "edge", "worst_case"
            yield _at(
                Explained(row["entry_time"], EventKind.TRADE, text, picked(row, *names)), CAME, row["id"]
            )
        if row["exit_time"]:
            text = (
                f"Trade {row['id']} is over ({row['exit_reason']}): credit {signed(row['entry_credit'])}, "
                f"exit cost {usd(row['exit_cost'])}, result {signed(row['final_pnl'])}."
            )
            names = "id", "exit_reason", "entry_credit", "exit_cost", "final_pnl", "commissions"
            yield _at(
                Explained(row["exit_time"], EventKind.TRADE, text, picked(row, *names)), CAME, row["id"]
            )


def _settlements(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.settlement_stages:
        at = "" if row["price"] is None else f" at {number(row['price'])}"
        changed = row["difference"]
        against = "" if changed is None else f", {signed(changed)} against the figure before"
        text = (
            f"Trade {row['trade_id']}: {row['quantity']:+g} {row['leg']} calls settled{at} for "
            f"{signed(row['cash'])} by the {row['stage']} ({row['source']}){against}."
        )
        names = "trade_id", "leg", "stage", "quantity", "price", "cash", "difference", "source"
        yield _at(Explained(row["at"], EventKind.SETTLEMENT, text, picked(row, *names)), CAME)


def _stops(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.entry_stops:
        text = f"No more entries on {row['date']}: {lower_first(sentence(row['reason']))}"
        yield _at(Explained(row["at"], EventKind.VETO, text, picked(row, "date", "reason")), CAME)


def _matters(rows: DayRows) -> Iterator[_Placed]:
    for row in rows.matters:
        name, figures = f"Matter {row['id']}", picked(row, "id", "key", "trade_id")
        told = sentence(str(row["text"]))
        note = f": {sentence(row['note'])}" if row["note"] else "."
        ends = (
            (row["since"], f"{name} for a human: {told}"),
            (row["resolved_at"], f"{name} is resolved, by {row['resolution']}."),
            (row["acknowledged_at"], f"{name} was acknowledged{note}"),
        )
        for place, (at, text) in enumerate(ends):
            if at:
                yield _at(Explained(at, EventKind.MATTER, text, figures), CAME, row["id"] + place / 10)


def _at(event: Explained, phase: int, place: float = 0, run_id: int | None = None) -> _Placed:
    return _Placed(event, datetime.fromisoformat(event.at), phase, place, run_id)
