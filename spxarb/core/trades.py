"""The life of a trade: one table of states and events, from the first intent to the settled result.

A trade moves by evidence, never by date: only what executions and the account show makes it open, closed or
settled, and what cannot be shown is unproven until it is. The four words of the ledger's `status` column are
derived from the state, and so is every question that a job asks of a trade. `docs/trade-life.md` is written
from the table.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.model import TradeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class TradeState(StrEnum):
    """Where a trade stands."""

    ENTERING = "entering"  # its entry has begun, and neither both legs nor nothing is proven
    ENTRY_UNPROVEN = "entry unproven"  # likewise, and how an order of it ended cannot be shown
    OPEN = "open"  # both legs are filled
    EXITING = "exiting"  # an exit has begun: it goes on until nothing is held
    HANDING_OVER = "handing over"  # a human takes it: how an order of ours ended is not proven yet
    HANDED_OVER = "handed over"  # a human trades it, and no order of ours can
    RESIDUAL = "residual"  # SPY is bought back; an SPX call without a bid waits for its cash settlement
    EXPIRED = "expired"  # its last session is over, and what became of the calls held is not known yet
    UNPROVEN = "unproven"  # how an order of its exit ended, or what is held, cannot be shown
    LOST = "lost"  # the broker lists one day's executions only: the account's statement knows
    PROVISIONAL = "provisional"  # settled at the last print; the next trading day proves it
    SETTLED = "settled"  # settled for good
    CLOSED = "closed"  # both legs are traded away
    UNWOUND = "unwound"  # the entry was undone, or nothing of it was filled
    UNKNOWN = "unknown"  # nothing is held any more, but others ended it: its result is not known

    @property
    def status(self) -> TradeStatus:
        """The word of the `status` column."""
        return _STATUS[self]

    @property
    def is_open(self) -> bool:
        """Whether something of it may still be held or working."""
        return self.status is not TradeStatus.CLOSED

    @property
    def in_sight(self) -> bool:
        """Whether jobs can still find out what is held, and act on it."""
        return self.is_open and self is not TradeState.LOST

    @property
    def entry_interrupted(self) -> bool:
        """Whether its entry came to no end: it is completed or unwound before anything else."""
        return self in {TradeState.ENTERING, TradeState.ENTRY_UNPROVEN}

    @property
    def is_unproven(self) -> bool:
        """Whether orders or holdings of it cannot be shown: no other order may follow them."""
        return self in {TradeState.ENTRY_UNPROVEN, TradeState.UNPROVEN, TradeState.HANDING_OVER}

    @property
    def can_be_handed_over(self) -> bool:
        """Whether a human can take it: its entry came to its end, and something of it may be held."""
        return TradeEvent.HAND_OVER_BEGUN in TRANSITIONS[self]

    @property
    def can_exit(self) -> bool:
        """Whether there may be something for spxarb to trade away; see `Trade.can_exit` too."""
        others = {TradeState.RESIDUAL, TradeState.HANDING_OVER, TradeState.HANDED_OVER}
        return self.in_sight and self not in others

    @property
    def is_provisional(self) -> bool:
        """Whether a later day has yet to prove its settlement."""
        return self is TradeState.PROVISIONAL

    @property
    def result_known(self) -> bool:
        """Whether its P&L, once it is over, is the sum of its executions and settlements."""
        return self not in {TradeState.LOST, TradeState.UNKNOWN}


class TradeEvent(StrEnum):
    """What was shown to have happened to a trade."""

    ENTRY_FILLED = "entry filled"
    EXIT_BEGUN = "exit begun"
    HAND_OVER_BEGUN = "hand-over begun"
    ORDERS_ENDED = "orders ended"
    HELD = "held"
    HELD_BY_HAND = "held by hand"
    FLAT = "flat"
    RESIDUAL_LEFT = "residual left"
    NOT_PROVEN = "not proven"
    SESSION_OVER = "session over"
    PROVISIONALLY_SETTLED = "provisionally settled"
    SETTLEMENT_PROVEN = "settlement proven"
    TAKEN_BY_OTHERS = "taken by others"
    SIGHT_LOST = "sight lost"


_STATUS: Mapping[TradeState, TradeStatus] = {
    TradeState.ENTERING: TradeStatus.PENDING,
    TradeState.ENTRY_UNPROVEN: TradeStatus.ERROR,
    TradeState.OPEN: TradeStatus.ACTIVE,
    TradeState.EXITING: TradeStatus.ACTIVE,
    TradeState.HANDING_OVER: TradeStatus.ERROR,
    TradeState.HANDED_OVER: TradeStatus.ACTIVE,
    TradeState.RESIDUAL: TradeStatus.ACTIVE,
    TradeState.EXPIRED: TradeStatus.ACTIVE,
    TradeState.UNPROVEN: TradeStatus.ERROR,
    TradeState.LOST: TradeStatus.ERROR,
    TradeState.PROVISIONAL: TradeStatus.CLOSED,
    TradeState.SETTLED: TradeStatus.CLOSED,
    TradeState.CLOSED: TradeStatus.CLOSED,
    TradeState.UNWOUND: TradeStatus.CLOSED,
    TradeState.UNKNOWN: TradeStatus.CLOSED,
}

_S, _E = TradeState, TradeEvent
_ENTRY: Mapping[TradeEvent, TradeState] = {
    _E.ENTRY_FILLED: _S.OPEN,
    _E.HELD: _S.ENTERING,
    _E.FLAT: _S.UNWOUND,
    _E.RESIDUAL_LEFT: _S.RESIDUAL,
    _E.NOT_PROVEN: _S.ENTRY_UNPROVEN,
    _E.SESSION_OVER: _S.EXPIRED,
    _E.TAKEN_BY_OTHERS: _S.UNKNOWN,
    _E.SIGHT_LOST: _S.LOST,
}
_AFTER_ENTRY: Mapping[TradeEvent, TradeState] = {
    _E.EXIT_BEGUN: _S.EXITING,
    _E.HAND_OVER_BEGUN: _S.HANDING_OVER,
    _E.HELD: _S.EXITING,
    _E.FLAT: _S.CLOSED,
    _E.RESIDUAL_LEFT: _S.RESIDUAL,
    _E.NOT_PROVEN: _S.UNPROVEN,
    _E.SESSION_OVER: _S.EXPIRED,
    _E.TAKEN_BY_OTHERS: _S.UNKNOWN,
    _E.SIGHT_LOST: _S.LOST,
}

_WITH_A_HUMAN: Mapping[TradeEvent, TradeState] = {  # no exit: nothing of ours trades it again
    _E.ORDERS_ENDED: _S.HANDED_OVER,
    _E.FLAT: _S.CLOSED,
    _E.NOT_PROVEN: _S.HANDING_OVER,  # an order of ours works after all: it is ended anew
    _E.SESSION_OVER: _S.EXPIRED,
    _E.TAKEN_BY_OTHERS: _S.UNKNOWN,
    _E.SIGHT_LOST: _S.LOST,
}

TRANSITIONS: Mapping[TradeState, Mapping[TradeEvent, TradeState]] = {
    _S.ENTERING: _ENTRY,
    _S.ENTRY_UNPROVEN: _ENTRY,
    _S.OPEN: {**_AFTER_ENTRY, _E.HELD: _S.OPEN},
    _S.EXITING: _AFTER_ENTRY,
    _S.HANDING_OVER: {**_WITH_A_HUMAN, _E.HELD_BY_HAND: _S.HANDING_OVER},
    _S.HANDED_OVER: {**_WITH_A_HUMAN, _E.HELD_BY_HAND: _S.HANDED_OVER},
    _S.RESIDUAL: _AFTER_ENTRY,  # held: SPY is short after all, and is bought back
    _S.EXPIRED: {
        **_AFTER_ENTRY,
        _E.EXIT_BEGUN: _S.EXPIRED,  # SPY calls trade a quarter of an hour longer than SPX
        _E.HELD: _S.EXPIRED,
        _E.HELD_BY_HAND: _S.EXPIRED,
        _E.PROVISIONALLY_SETTLED: _S.PROVISIONAL,
    },
    _S.UNPROVEN: {
        **_AFTER_ENTRY,
        _E.ENTRY_FILLED: _S.OPEN,  # ledger and account agree again, and no exit has begun
        _E.EXIT_BEGUN: _S.UNPROVEN,
        _E.HELD_BY_HAND: _S.HANDED_OVER,
        _E.ORDERS_ENDED: _S.HANDED_OVER,
    },
    _S.LOST: {
        _E.FLAT: _S.CLOSED,  # a statement supplied its executions
        _E.SESSION_OVER: _S.EXPIRED,  # likewise, and what was left of it was settled
        _E.TAKEN_BY_OTHERS: _S.UNKNOWN,
        _E.SIGHT_LOST: _S.LOST,
    },
    _S.PROVISIONAL: {
        _E.HELD: _S.EXPIRED,  # settled anew, from what is held
        _E.HELD_BY_HAND: _S.EXPIRED,
        _E.PROVISIONALLY_SETTLED: _S.PROVISIONAL,
        _E.SETTLEMENT_PROVEN: _S.SETTLED,
        _E.SIGHT_LOST: _S.LOST,
    },
    _S.SETTLED: {
        _E.HELD: _S.EXPIRED,
        _E.HELD_BY_HAND: _S.EXPIRED,
        _E.SETTLEMENT_PROVEN: _S.SETTLED,
        _E.SIGHT_LOST: _S.LOST,
    },
    _S.CLOSED: {
        _E.HELD: _S.EXITING,
        _E.HELD_BY_HAND: _S.HANDED_OVER,
        _E.FLAT: _S.CLOSED,
        _E.TAKEN_BY_OTHERS: _S.UNKNOWN,  # others closed at the same time what its own orders did
        _E.SIGHT_LOST: _S.LOST,
    },
    _S.UNWOUND: {_E.HELD: _S.ENTERING, _E.FLAT: _S.UNWOUND, _E.SIGHT_LOST: _S.LOST},
    _S.UNKNOWN: {
        _E.HELD: _S.EXITING,
        _E.HELD_BY_HAND: _S.HANDED_OVER,
        _E.TAKEN_BY_OTHERS: _S.UNKNOWN,
        _E.SIGHT_LOST: _S.LOST,
    },
}
"""State -> event -> next state. A missing pair cannot happen and is an error."""


def following(state: TradeState, event: TradeEvent) -> TradeState:
    """The state after an event. ValueError: the event cannot happen in this state."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ValueError(f"a trade that is {state} cannot be {event}") from None
