"""`docs/order-state.md`, written from the table of the order life itself so that it cannot rot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.core.broker_codes import CANCEL_REFUSALS, CANCELLATION, CHANGE_REFUSALS, REFUSALS, WARNINGS
from spxarb.core.orders import (
    ABSENCE_SECONDS,
    TRANSITIONS,
    OrderEvent,
    OrderState,
    diagram,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_INTRO = f"""\
# The life of one order

Written from the table in `spxarb/core/orders.py`, which is also what runs. What the broker says is news, not
proof: only executions are fills, and only the broker's books prove an end. An order follows another of the
same leg only when that one is *filled*, or *ended* with every fill that any status told of.

Absent means: in two looks into executions, open and completed orders, {ABSENCE_SECONDS:g} seconds or more
apart, over a link that stayed whole. It proves the end only of an order that the broker never acknowledged,
or said to be over: one that it had must be shown completed. Nor does it while the account's position moved
the order's way and no execution of anybody tells why. An order that is over by absence alone is looked for
again at every job until its day ends; one that then lives is followed again, and its trade is open again.

"""

_STATES = {
    OrderState.INTENDED: "committed to the ledger, not known to have been sent",
    OrderState.SENT: "handed to the socket, no word yet",
    OrderState.LIVE: "the broker has it, and it may fill",
    OrderState.PENDING_CANCEL: "its end was asked for; it may still fill",
    OrderState.REPORTED_DONE: "the broker said cancelled or refused; fills may be on their way",
    OrderState.FILLED: "executions add up to the whole quantity (final)",
    OrderState.ENDED: "proven over with less than the whole quantity (final)",
}

_NEWS = {
    OrderEvent.SENT: "it goes out, or while it lives another price for it",
    OrderEvent.NOT_SENT: "it, or another price for it, never reached the socket",
    OrderEvent.NOTED: "a warning, an unknown code, a pending state, the status Filled: proves nothing",
    OrderEvent.WORKING: "status PreSubmitted or Submitted",
    OrderEvent.FILLED_PARTLY: "executions add up to less than the whole",
    OrderEvent.FILLED_WHOLLY: "executions add up to the whole",
    OrderEvent.CANCEL_SENT: "its end is asked for",
    OrderEvent.CANCEL_REFUSED: "that was refused: often because it is filled",
    OrderEvent.CANCELLED: f"status Cancelled or ApiCancelled, or code {CANCELLATION}",
    OrderEvent.REFUSED: "status Inactive, or the code of a refusal",
    OrderEvent.SEEN_LIVE: "a look shows it among the open orders",
    OrderEvent.SEEN_INACTIVE: "a look shows it there as Inactive: it does not work, and can come alive again",
    OrderEvent.SEEN_ENDED: "a look shows it completed, with every fill that was told of",
    OrderEvent.ABSENT_TWICE: "two looks show it neither open nor completed, and no word contradicts that",
}

_CODES = (
    ("nothing: the order lives", WARNINGS),
    ("that its end was refused", CANCEL_REFUSALS),
    ("that a change of it was refused", CHANGE_REFUSALS),
    ("that it was refused; once its price was changed, perhaps only the change", REFUSALS),
    ("that it was cancelled", {CANCELLATION}),
    ("nothing", None),
)


def order_life() -> str:
    """The text of `docs/order-state.md`."""
    return "".join(
        [
            _INTRO,
            f"```mermaid\n{diagram()}```\n",
            "\n## States\n\n| state | meaning |\n|---|---|\n",
            *(f"| {state.value} | {_STATES[state]} |\n" for state in OrderState),
            "\n## News\n\n| news | meaning |\n|---|---|\n",
            *(f"| {event.value} | {_NEWS[event]} |\n" for event in OrderEvent),
            "\n## What news makes of a state\n\n`=` it stays, `-` cannot happen and is an error.\n\n",
            _row(["news", *(state.value for state in OrderState)]),
            _row(["---"] * (len(OrderState) + 1)),
            *(_row([event.value, *(_cell(state, event) for state in OrderState)]) for event in OrderEvent),
            "\n## Codes of error and warning frames tied to an order\n\n| code | says |\n|---|---|\n",
            *(f"| {_codes(codes)} | {says} |\n" for says, codes in _CODES),
        ]
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(state: OrderState, event: OrderEvent) -> str:
    if event not in TRANSITIONS[state]:
        return "-"
    following = TRANSITIONS[state][event]
    return "=" if following in {None, state} else str(following)


def _codes(codes: Iterable[int] | None) -> str:
    """Codes in order, neighbours as a range."""
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
