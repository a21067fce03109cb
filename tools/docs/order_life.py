"""`docs/order-life.md`, written from the table of the order life itself so that it cannot rot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.core.orders import (
    ABSENCE_SECONDS,
    CANCEL_REFUSALS,
    CANCELLATION,
    CHANGE_REFUSALS,
    REFUSALS,
    TRANSITIONS,
    WARNINGS,
    Life,
    News,
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
    Life.INTENDED: "committed to the ledger, not known to have been sent",
    Life.SENT: "handed to the socket, no word yet",
    Life.LIVE: "the broker has it, and it may fill",
    Life.CANCELLING: "its end was asked for; it may still fill",
    Life.SAID_ENDED: "the broker said cancelled or refused; fills may be on their way",
    Life.FILLED: "executions add up to the whole quantity (final)",
    Life.ENDED: "proven over with less than the whole quantity (final)",
}

_NEWS = {
    News.SENT: "it goes out, or while it lives another price for it",
    News.NOT_SENT: "it, or another price for it, never reached the socket",
    News.NOTED: "a warning, a code that nobody knows, a pending state, the status Filled: proves nothing",
    News.WORKING: "status PreSubmitted or Submitted",
    News.FILLED_PARTLY: "executions add up to less than the whole",
    News.FILLED_WHOLLY: "executions add up to the whole",
    News.CANCEL_SENT: "its end is asked for",
    News.CANCEL_REFUSED: "that was refused: often because it is filled",
    News.CANCELLED: f"status Cancelled or ApiCancelled, or code {CANCELLATION}",
    News.REFUSED: "status Inactive, or the code of a refusal",
    News.SEEN_LIVE: "a look shows it among the open orders",
    News.SEEN_INACTIVE: "a look shows it there as Inactive: it does not work, and can come back to life",
    News.SEEN_ENDED: "a look shows it completed, with every fill that was told of",
    News.ABSENT_TWICE: "two looks show it neither open nor completed, and no word contradicts that",
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
    """The text of `docs/order-life.md`."""
    return "".join(
        [
            _INTRO,
            f"```mermaid\n{diagram()}```\n",
            "\n## States\n\n| state | meaning |\n|---|---|\n",
            *(f"| {life.value} | {_STATES[life]} |\n" for life in Life),
            "\n## News\n\n| news | meaning |\n|---|---|\n",
            *(f"| {news.value} | {_NEWS[news]} |\n" for news in News),
            "\n## What news makes of a state\n\n`=` it stays, `-` cannot happen and is an error.\n\n",
            _row(["news", *(life.value for life in Life)]),
            _row(["---"] * (len(Life) + 1)),
            *(_row([news.value, *(_cell(life, news) for life in Life)]) for news in News),
            "\n## Codes of error and warning frames tied to an order\n\n| code | says |\n|---|---|\n",
            *(f"| {_codes(codes)} | {says} |\n" for says, codes in _CODES),
        ]
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(life: Life, news: News) -> str:
    if news not in TRANSITIONS[life]:
        return "-"
    following = TRANSITIONS[life][news]
    return "=" if following in {None, life} else str(following)


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
