"""`docs/trade-life.md`, written from the table of a trade's states so that it cannot rot."""

from __future__ import annotations

from pathlib import Path

from spxarb.core.orders import diagram
from spxarb.core.trades import TRANSITIONS, TradeEvent, TradeState
from tools.docs.order_life import transition_rows

_INTRO = """\
# The life of a trade

Written from the table in `spxarb/core/trades.py`, which is also what runs: `spxarb/trading/bookkeeping.py`
(`move`) is the one place that changes a trade's state. A trade moves by evidence, never by date. The state is
the column `state` of the table `trades`; the column `status` is derived from it.

In the table `=` means that the state stays, `-` that the event cannot happen then and is an error.

"""

_STATES = {
    TradeState.ENTERING: "its entry has begun, and neither both legs nor nothing is proven",
    TradeState.ENTRY_UNPROVEN: "likewise, and how an order of it ended cannot be shown",
    TradeState.OPEN: "both legs are filled",
    TradeState.EXITING: "an exit has begun: it goes on until nothing is held",
    TradeState.HANDING_OVER: "a human takes it (`hand-over`): nothing of ours trades it any more, and "
    "how an order of ours ended is not proven yet",
    TradeState.HANDED_OVER: "a human trades it, every order of ours is over, and his executions are its exit",
    TradeState.RESIDUAL: "SPY is bought back; an SPX call that nobody bids for waits for its cash settlement",
    TradeState.EXPIRED: "its last session is over, and what became of the calls held is not known yet",
    TradeState.UNPROVEN: "how an order of its exit ended, or what is held, cannot be shown",
    TradeState.LOST: "its day ended before anybody saw how an order ended: the account's statement knows",
    TradeState.PROVISIONAL: "settled at the last print; the next trading day proves it",
    TradeState.SETTLED: "settled for good",
    TradeState.CLOSED: "both legs are traded away",
    TradeState.UNWOUND: "the entry was undone, or nothing of it was filled",
    TradeState.UNKNOWN: "nothing is held any more, but others ended it: its result is not known",
}

_EVENTS = {
    TradeEvent.ENTRY_FILLED: "executions add up to both legs as wanted",
    TradeEvent.EXIT_BEGUN: "a reason to exit is stored, before the first order",
    TradeEvent.HAND_OVER_BEGUN: "that a human takes it is stored, before the first cancel",
    TradeEvent.ORDERS_ENDED: "every order of ours is proven over, or its fills are counted",
    TradeEvent.HELD: "executions, the account or a live order show that something is held, or held after all",
    TradeEvent.HELD_BY_HAND: "likewise, of a trade that a human has taken: it is his, and stays his",
    TradeEvent.FLAT: "executions and the account agree that nothing is held",
    TradeEvent.RESIDUAL_LEFT: "SPY is flat; SPX has no bid, or trades no more",
    TradeEvent.NOT_PROVEN: "how an order ended, or what is held, cannot be shown",
    TradeEvent.SESSION_OVER: "its calls trade no more, every order of it is proven, and something is held",
    TradeEvent.PROVISIONALLY_SETTLED: "every call held has its cash by the last print; the account shows no "
    "SPY call of it",
    TradeEvent.SETTLEMENT_PROVEN: "a later trading day shows no assigned shares, or a human has looked",
    TradeEvent.TAKEN_BY_OTHERS: "nothing of it is left, and others traded a part of it",
    TradeEvent.SIGHT_LOST: "the day of an order ended before anybody saw how the order ended",
}


def trade_life() -> str:
    """The text of `docs/trade-life.md`."""
    return "".join(
        [
            _INTRO,
            f"```mermaid\n{diagram(TRANSITIONS)}```\n",
            "\n| state | status | meaning |\n|---|---|---|\n",
            *(f"| {state} | {state.status} | {meaning} |\n" for state, meaning in _STATES.items()),
            "\n| event | meaning |\n|---|---|\n",
            *(f"| {event} | {meaning} |\n" for event, meaning in _EVENTS.items()),
            "\n",
            *transition_rows(TRANSITIONS, _EVENTS),
        ]
    )


def write(folder: Path) -> None:
    """Write it below `folder`, the project's root."""
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "trade-life.md").write_text(trade_life(), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
