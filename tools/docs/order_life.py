"""`docs/order-life.md`, written from the tables of the order's machines so that it cannot rot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from spxarb.core.broker_codes import (
    CANCEL_ID_NOT_FOUND,
    CANCEL_REFUSALS,
    CANCELLATION,
    CHANGE_REFUSALS,
    ORDER_NOT_FOUND,
    REFUSALS,
    WARNINGS,
)
from spxarb.core.orders import (
    ABSENCE_SECONDS,
    CANCEL_TRANSITIONS,
    CHANGE_TRANSITIONS,
    PRESENCE_TRANSITIONS,
    SILENCE_SECONDS,
    TRANSITIONS,
    CancelEvent,
    CancelState,
    ChangeEvent,
    ChangeState,
    OrderEvent,
    OrderState,
    Presence,
    PresenceEvent,
    diagram,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

    from spxarb.core.orders import Table

    S = TypeVar("S", bound=StrEnum)
    E = TypeVar("E", bound=StrEnum)

_INTRO = """\
# The life of one order

Written from the tables in `spxarb/core/orders.py`, which are also what runs: `spxarb/core/tracking.py` takes
each order through four machines. What the broker says is an event, not a proof: only executions are fills,
and only the broker's lists prove an end. An order follows another of the same leg only when that one is
*filled*, or *ended* with every fill that any status claimed.

In the tables `=` means that the state stays, `-` that the event cannot happen then and is an error.
"""

_ORDER = """
## Where it stands

"""

_PRESENCE = f"""
## Its presence in the broker's lists

An order is missing when a snapshot shows it neither among the open nor among the completed orders. Missing
from two snapshots, {ABSENCE_SECONDS:g} seconds or more apart over a link that stayed whole, it is absent.
That proves the end only of an order that the broker said is over, or spoke of with a code that we do not know
and does not find when its cancel comes. One that the broker had must be listed as completed.

Silence is no end: orders have been acknowledged a minute after they were sent. An order of which the broker
never said a word is sent again under its own order id, so that a second arrival is a change of it or is
refused. Where a doubt about another order of the spread forbids that, it is cancelled, for both might fill.
A purchase is over after two snapshots {SILENCE_SECONDS:g} seconds or more apart and a cancel that
was answered with "not found": if it fills all the same it costs no more than its premium. A sale that was
named by a code that we do not know takes as long. One of which nobody heard a word is over by the broker's
word, by the gateway's next order id where that is known to count what it has received (in the sim mode), or
by a human's acknowledgement; until then its hedge is kept.

Nothing is proven while the account's position moved the order's way and no execution of anybody explains it,
or while somebody else's order stands under its id; a buy-back that slept until its cancel was confirmed has
filled nothing, whatever moved the position. An order that is over by absence alone is looked for again
at every job until its day ends; if it is live after all, it is tracked again, and its trade is open again.

"""

_CHANGE = """
## A change of its price

"""

_CANCEL = """
## Its cancel

"""

_ORDER_WORDS = {
    OrderState.INTENDED: "committed to the ledger, not known to have been sent",
    OrderState.SENT: "handed to the socket, not acknowledged",
    OrderState.LIVE: "the broker has it, and it may fill",
    OrderState.PENDING_CANCEL: "its cancel was sent; it may still fill",
    OrderState.REPORTED_DONE: "the broker said cancelled or refused; fills may be on their way",
    OrderState.FILLED: "executions add up to the whole quantity (final)",
    OrderState.ENDED: "proven over with less than the whole quantity (final)",
}

_ORDER_EVENTS = {
    OrderEvent.SENT: "it goes out; again under its own id, with another price or because nobody heard of it",
    OrderEvent.NOT_SENT: "it, or another price for it, never reached the socket",
    OrderEvent.NOTED: "a warning, a pending status, the status Filled: proves nothing",
    OrderEvent.SPOKEN_OF: "a code that we do not know: proves nothing, and its end is looked for at once",
    OrderEvent.WORKING: "status PreSubmitted or Submitted",
    OrderEvent.FILLED_PARTLY: "executions add up to less than the whole",
    OrderEvent.FILLED_WHOLLY: "executions add up to the whole",
    OrderEvent.CANCEL_SENT: "its cancel goes out",
    OrderEvent.CANCEL_REFUSED: "the cancel was refused, often because the order is filled",
    OrderEvent.CANCELLED: f"status Cancelled or ApiCancelled, or code {CANCELLATION}",
    OrderEvent.REFUSED: "status Inactive, or the code of a refusal",
    OrderEvent.SEEN_LIVE: "a snapshot has it among the open orders",
    OrderEvent.SEEN_INACTIVE: "a snapshot has it there as Inactive: it can come back to life",
    OrderEvent.SEEN_ENDED: "a snapshot has it completed, with every fill that any status claimed",
    OrderEvent.ABSENT_TWICE: "two snapshots prove it over: see its presence",
    OrderEvent.NEVER_ARRIVED: "the gateway's next order id is not above its own, and nobody heard of it",
}

_PRESENCE_WORDS = {
    Presence.UNHEARD: "not a word of it: perhaps it never arrived, perhaps it is late",
    Presence.SPOKEN_OF: "never acknowledged; said to be over, or named by a code that we do not know",
    Presence.ACKNOWLEDGED: "the broker has it, or had it",
    Presence.LISTED: "the last snapshot had it among the open orders",
    Presence.SILENT_ONCE: "not a word of it, and one snapshot did not show it",
    Presence.ABSENT_ONCE: "spoken of, never acknowledged, and one snapshot did not show it open",
    Presence.GONE_ONCE: "acknowledged, then reported done, and one snapshot did not show it open",
    Presence.ABSENT: "missing from two snapshots: over, by the weakest proof",
    Presence.COMPLETED: "listed as completed: over",
}

_AGAIN = (
    f"so does another, {ABSENCE_SECONDS:g} s (after silence {SILENCE_SECONDS:g} s) or more after the first, "
    "over the same link"
)
_PRESENCE_EVENTS = {
    PresenceEvent.ACKNOWLEDGED: "a working status, or an execution",
    PresenceEvent.SPOKEN_OF: "the broker said that it is over, or what we do not know: count anew",
    PresenceEvent.RESTARTED: "its state changed, or it was sent again: count anew",
    PresenceEvent.LISTED: "a snapshot has it among the open orders",
    PresenceEvent.COMPLETED: "a snapshot has it completed, with every fill that any status claimed",
    PresenceEvent.UNCOUNTED: "a snapshot has it completed, without how much was filled",
    PresenceEvent.UNCOUNTED_AGAIN: _AGAIN,
    PresenceEvent.MISSING: "a snapshot has it in no list",
    PresenceEvent.MISSING_AGAIN: _AGAIN,
    PresenceEvent.INCONCLUSIVE: "a snapshot does not have it open, and that proves nothing",
}

_CHANGE_WORDS = {
    ChangeState.UNCHANGED: "no other price was sent",
    ChangeState.SENT: "another price was sent; a refusal may mean it alone",
    ChangeState.REFUSED: "a change was refused; no other is sent",
}

_CHANGE_EVENTS = {
    ChangeEvent.SENT: "another price goes out",
    ChangeEvent.REFUSED: "the code of a refused change; after a change also the code of a refusal",
}

_CANCEL_WORDS = {
    CancelState.NOT_SENT: "no cancel was sent; a cancellation is the broker's own doing",
    CancelState.SENT: "a cancel was sent",
    CancelState.REFUSED: "the last cancel was refused",
    CancelState.NOT_FOUND: "the broker does not find it: proves nothing by itself",
}

_CANCEL_EVENTS = {
    CancelEvent.SENT: "a cancel goes out",
    CancelEvent.REFUSED: "the code of a refused cancel",
    CancelEvent.ORDER_SENT_AGAIN: "the order goes out again, or with another price",
    CancelEvent.NOT_FOUND: f"code {ORDER_NOT_FOUND} or {CANCEL_ID_NOT_FOUND}",
}

_CODES = (
    ("nothing: the order is live", WARNINGS),
    ("that its cancel was refused", CANCEL_REFUSALS),
    ("that a change of it was refused", CHANGE_REFUSALS),
    ("that it was refused; once its price was changed, perhaps only the change", REFUSALS),
    ("that it was cancelled", {CANCELLATION}),
    ("nothing, but perhaps all that ever comes: its end is looked for at once", None),
)


def order_life() -> str:
    """The text of `docs/order-life.md`."""
    return "".join(
        [
            _INTRO,
            _machine(_ORDER, TRANSITIONS, _ORDER_WORDS, _ORDER_EVENTS),
            _machine(_PRESENCE, PRESENCE_TRANSITIONS, _PRESENCE_WORDS, _PRESENCE_EVENTS),
            _machine(_CHANGE, CHANGE_TRANSITIONS, _CHANGE_WORDS, _CHANGE_EVENTS),
            _machine(_CANCEL, CANCEL_TRANSITIONS, _CANCEL_WORDS, _CANCEL_EVENTS),
            "\n## Codes of error and warning frames tied to an order\n\n| code | says |\n|---|---|\n",
            *(f"| {_codes(codes)} | {says} |\n" for says, codes in _CODES),
        ]
    )


def _machine(intro: str, table: Table[S, E], states: Mapping[S, str], events: Mapping[E, str]) -> str:
    """One machine: its diagram, its words, its table."""
    return "".join(
        [
            intro,
            f"```mermaid\n{diagram(table)}```\n",
            "\n| state | meaning |\n|---|---|\n",
            *(f"| {state.value} | {meaning} |\n" for state, meaning in states.items()),
            "\n| event | meaning |\n|---|---|\n",
            *(f"| {event.value} | {meaning} |\n" for event, meaning in events.items()),
            "\n",
            *transition_rows(table, events),
        ]
    )


def transition_rows(table: Table[S, E], events: Iterable[E]) -> list[str]:
    """The table of a machine: a row an event, a column a state."""
    return [
        _row(["event", *(state.value for state in table)]),
        _row(["---"] * (len(table) + 1)),
        *(_row([event.value, *(_cell(table, state, event) for state in table)]) for event in events),
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(table: Table[S, E], state: S, event: E) -> str:
    target = table[state].get(event)
    if target is None:
        return "-"
    return "=" if target is state else target.value


def _codes(codes: Iterable[int] | None) -> str:
    """Codes in ascending order, neighbours as a range."""
    if codes is None:
        return "any other"
    spans: list[list[int]] = []
    for code in sorted(codes):
        if spans and code == spans[-1][-1] + 1:
            spans[-1].append(code)
        else:
            spans.append([code])
    return ", ".join(f"{s[0]}-{s[-1]}" if len(s) > 2 else ", ".join(map(str, s)) for s in spans)


def write(folder: Path) -> None:
    """Write it below `folder`, the project's root."""
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "order-life.md").write_text(order_life(), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
