"""Matters for a human: found by jobs, kept in the ledger, told by every command that connects.

What the ledger itself says needs a human (an order without a proven end, an exit that is not complete, calls
that expired and are still there) follows from the states of trades and orders: `review` raises and resolves
it. What only a comparison with the account can say is raised by whoever compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.account import BY_OTHERS
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import ZERO
from spxarb.core.order_words import ACKNOWLEDGED
from spxarb.core.sentences import sentence, trouble_of
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.errors import HumanNeededError, UsageError
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from spxarb.core.account import Finding
    from spxarb.core.broker_words import Message
    from spxarb.core.matters import Matter
    from spxarb.core.records import Trade
    from spxarb.ledger.ledger import Ledger

AGREE_AGAIN = "ledger and account agree again"


def needs_human(ledger: Ledger, finding: NewMatter, at: datetime) -> bool:
    """Keep a finding as a matter; False when a human has acknowledged it already."""
    return ledger.matters.raise_(finding.key, finding.text, finding.trade_id, at).is_open


def key_of(finding: Finding) -> str:
    """What others took stays a matter until a human says so; all else until ledger and account agree."""
    taken = finding.kind in BY_OTHERS
    kind = MatterKind.TAKEN if taken else MatterKind.ACCOUNT
    return kind.key(f"{finding.kind}:{finding.trade_id}:{finding.leg}")


def compared(ledger: Ledger, findings: Iterable[NewMatter], at: datetime) -> list[NewMatter]:
    """Keep all that a whole comparison with the account found; what it did not find again is resolved.

    Returns those that no human has acknowledged.
    """
    found = {finding.key: finding for finding in findings}
    not_over = {trade.id for trade in ledger.trades.open()} | ledger.trades.unreadable.keys()
    for matter in ledger.matters.unresolved():
        if matter.kind is MatterKind.ACCOUNT and matter.key not in found:
            ledger.matters.resolve(matter.key, AGREE_AGAIN, at)
        if matter.kind is MatterKind.FAILSAFE and matter.trade_id not in not_over:
            ledger.matters.resolve(matter.key, "its trade is over", at)
    for finding in found.values():
        _withdraw_result(ledger, finding)
    return [finding for finding in found.values() if needs_human(ledger, finding, at)]


def _withdraw_result(ledger: Ledger, finding: NewMatter) -> None:
    """A trade that was closed by its own orders, and by others at the same time, has no known result."""
    taken = finding.key.startswith(MatterKind.TAKEN.key(""))
    if taken and finding.trade_id is not None and finding.trade_id not in ledger.trades.unreadable:
        trade = ledger.trades.get(finding.trade_id)
        if trade.state is TradeState.CLOSED:
            bookkeeping.move(ledger, trade, TradeEvent.TAKEN_BY_OTHERS, note=finding.text)
            bookkeeping.summarize(ledger, trade.trade_date)


def not_acknowledged(ledger: Ledger, findings: Iterable[NewMatter]) -> list[NewMatter]:
    """As `compared`, and nothing is kept: for a job that only looks."""
    dealt_with = {matter.key for matter in ledger.matters.unresolved() if not matter.is_open}
    return [finding for finding in findings if finding.key not in dealt_with]


def review(ledger: Ledger, at: datetime) -> None:
    """Raise what the states of trades and orders say needs a human, and resolve what they no longer say."""
    standing = {finding.key: finding for finding in _standing(ledger)}
    for finding in standing.values():
        needs_human(ledger, finding, at)
    for matter in ledger.matters.unresolved():
        kind = matter.kind
        by_evidence = kind is not None and kind.follows_from_the_ledger and not kind.needs_acknowledgement
        unread = matter.trade_id in ledger.trades.unreadable  # of such a trade nothing is shown
        if by_evidence and not unread and matter.key not in standing:
            ledger.matters.resolve(matter.key, _how_it_ended(ledger, matter), at)
        if kind in _OF_A_SETTLEMENT and not unread and _nothing_expired(ledger, matter):
            ledger.matters.resolve(matter.key, "nothing of the trade was held at the close", at)


def of_warning(message: Message, at: datetime) -> NewMatter:
    """A warning of the broker about the account. The same words on one day are the same matter."""
    key = MatterKind.WARNING.key(f"{at:%Y-%m-%d} {message.code} {trouble_of(message.text)}")
    return NewMatter(key, f"the broker warns of the account: {message}")


def not_told(ledger: Ledger, told: Iterable[str]) -> list[HumanNeededError]:
    """The open matters that these sentences do not name yet, as the one error that they make.

    Warnings of the broker are left out: see `warnings_not_told`.
    """
    others = [matter for matter in _not_named(ledger, told) if matter.kind is not MatterKind.WARNING]
    return _as_error(others, "Look at the account; once it is dealt with,")


def warnings_not_told(ledger: Ledger, told: Iterable[str]) -> list[HumanNeededError]:
    """As `not_told`, of the broker's warnings about the account."""
    warnings = [matter for matter in _not_named(ledger, told) if matter.kind is MatterKind.WARNING]
    return _as_error(warnings, "Close positions or add funds; entries are allowed again by")


def _not_named(ledger: Ledger, told: Iterable[str]) -> list[Matter]:
    known = " ".join(told).casefold()
    return [matter for matter in ledger.matters.open() if matter.text.casefold() not in known]


def _as_error(matters: Sequence[Matter], mend: str) -> list[HumanNeededError]:
    if not matters:
        return []
    text = " ".join(sentence(matter.text) for matter in matters)
    ids = ", ".join(str(matter.id) for matter in matters)
    return [HumanNeededError(text, mend=f"{mend} `spxarb ack ID` (open: {ids})")]


def acknowledge(ledger: Ledger, matter_id: int, note: str | None, at: datetime) -> Matter:
    """A human has dealt with a matter: of an order whose end is not known, it is over.

    Raises UsageError for one that is not open.
    """
    try:
        with ledger.write():
            matter = ledger.matters.acknowledge(matter_id, note, at)
            if matter.kind is MatterKind.ORDER:
                _end_order(ledger, matter, at)
    except KeyError:
        ids = ", ".join(str(matter.id) for matter in ledger.matters.open())
        raise UsageError(f"no matter {matter_id} is open; {f'open: {ids}' if ids else 'none is'}") from None
    return matter


def _end_order(ledger: Ledger, matter: Matter, at: datetime) -> None:
    """The order is over by a human's word; what it filled is what its executions add up to."""
    record = ledger.orders.find(matter.subject)
    if record is None or record.final:
        return
    fills = ledger.fills.of_trade(record.trade_id)
    own = (fill.execution for fill in fills if fill.execution.order_ref == record.ref)
    filled = sum((execution.quantity for execution in own), start=ZERO)
    proof = f"a human has looked{f': {matter.note}' if matter.note else ''}"
    ledger.orders.finish(record.ref, ACKNOWLEDGED, filled, at, proof)


# --- what the ledger itself says ---------------------------------------------------------------------


def _standing(ledger: Ledger) -> Iterator[NewMatter]:
    trades = ledger.trades.open()
    for trade in trades:
        yield from _of_trade(ledger, trade)
    not_closed = {trade.id for trade in trades} | ledger.trades.unreadable.keys()
    for record in ledger.orders.unproven():
        if record.trade_id not in not_closed:
            text = f"how order {record.ref} ended is not known, though its trade was closed"
            yield NewMatter(MatterKind.ORDER.key(record.ref), text, record.trade_id)


def _of_trade(ledger: Ledger, trade: Trade) -> Iterator[NewMatter]:
    """What the state of an open trade says at the end of a job."""
    kind, otherwise = _BY_STATE.get(trade.state, (None, ""))
    if kind is None:
        return
    if trade.state.is_unproven:
        orders = [record.ref for record in ledger.orders.of_trade(trade.id) if not record.final]
        for ref in orders:
            text = f"how order {ref} ended is not known"
            if trade.handed_over:
                text = trade.note or f"trade {trade.id} is being handed over, and {text}"
            yield NewMatter(MatterKind.ORDER.key(ref), text, trade.id)
        if orders:
            return
    yield NewMatter(kind.key(trade.id), f"trade {trade.id}: {trade.note or otherwise}", trade.id)


_BY_STATE = {
    TradeState.ENTERING: (MatterKind.ENTRY, "its entry is neither whole nor undone"),
    TradeState.ENTRY_UNPROVEN: (MatterKind.UNPROVEN, "what its entry filled is not known"),
    TradeState.EXITING: (MatterKind.EXIT, "its exit is not complete"),
    TradeState.HANDING_OVER: (MatterKind.HAND_OVER, "its hand-over is not complete"),
    TradeState.EXPIRED: (MatterKind.EXPIRED, "its calls have expired, and what became of them is not known"),
    TradeState.UNPROVEN: (MatterKind.UNPROVEN, "what is held of it is not known"),
    TradeState.LOST: (MatterKind.LOST, "how its orders ended is not known"),
}


_OF_A_SETTLEMENT = frozenset({MatterKind.ASSIGNMENT, MatterKind.SETTLEMENT})


def _nothing_expired(ledger: Ledger, matter: Matter) -> bool:
    """Whether executions, maybe told after it was settled, show that nothing of the trade expired."""
    return matter.trade_id is not None and ledger.trades.get(matter.trade_id).state is TradeState.CLOSED


def _how_it_ended(ledger: Ledger, matter: Matter) -> str:
    """By which evidence a matter that followed from the ledger is resolved."""
    if matter.kind is MatterKind.ORDER and (record := ledger.orders.find(matter.subject)):
        return f"the order is final: {record.status}" if record.final else "its trade is in order again"
    if matter.trade_id is None:
        return "it is in order again"
    return f"the trade is {ledger.trades.get(matter.trade_id).state}"
