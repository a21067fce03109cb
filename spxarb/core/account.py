"""The account bears the ledger out, or does not: one comparison of both, in contracts.

The ledger believes what its own executions add up to; the account holds what it holds. For each contract of
ours: the account's position is what it held before us, plus our executions, plus those of others. What
others took away since is not ours any more, and no order may trade more of a leg than is still there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.broker_books import latest_revisions
from spxarb.core.model import ZERO, LegName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerSnapshot, Execution
    from spxarb.core.contracts import Contract
    from spxarb.core.identity import OrderIndex
    from spxarb.core.records import OrderRecord


class Break(StrEnum):
    """How ledger and account disagree."""

    LIQUIDATED = "liquidated"  # IB closed contracts of ours; its executions say so
    TAKEN = "taken"  # others traded contracts of ours away; their executions say so
    MISSING = "missing"  # the account holds less than the ledger, and no execution tells why
    UNEXPLAINED = "unexplained"  # the account holds more in our direction, and no execution tells why
    UNTOLD = "untold"  # the broker says that an order filled more than its executions add up to
    NAKED = "naked"  # short SPY calls that the long SPX calls do not cover
    ALONE = "alone"  # long SPX calls against which nothing is short


BY_OTHERS = frozenset({Break.LIQUIDATED, Break.TAKEN})
"""An execution of somebody else explains it."""
UNHEDGED = frozenset({Break.NAKED, Break.ALONE})
"""A leg without the other is itself a reason to exit."""

AT_THE_SAME_TIME = timedelta(minutes=1)
"""After our last order closed a contract, whoever else closes it so soon took it for open still."""


@dataclass(frozen=True, slots=True)
class OwnLeg:
    """One leg of one trade as the ledger has it. Contracts, signed, short negative.

    `held` is what our own executions and settlements leave, less what others are known to have taken.
    `overnight` were the account's contracts when our first order there was made, less all executions of the
    day (it stays the same all day); None: not known.
    """

    trade_id: int
    leg: LegName
    contract: Contract
    held: int
    overnight: Decimal | None = None

    @property
    def direction(self) -> int:
        """+1 for the leg that we hold long, -1 for the one that we are short."""
        return 1 if self.leg is LegName.SPX else -1


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """Both legs of one trade. `whole`: entered, and nothing of it was closed yet: no leg may stand alone.

    `spx_contracts` and `spy_contracts` are what an entry buys and sells: their ratio is the hedge.
    `handed_over`: a human trades it, and leaves what he likes without its hedge.
    """

    spx: OwnLeg
    spy: OwnLeg
    spx_contracts: int
    spy_contracts: int
    whole: bool
    handed_over: bool = False

    def covered(self, spx_held: int) -> int:
        """SPY calls that so many long SPX calls hedge."""
        return self.spy_contracts * max(spx_held, 0) // self.spx_contracts


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement. `quantity` in contracts, unsigned; `text` is a sentence without a full stop.

    `may_lag`: a position or an execution may only be late; it counts when a second look shows it too.
    """

    kind: Break
    trade_id: int
    leg: LegName
    quantity: int
    text: str
    may_lag: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the comparison found; `lost` are contracts of a trade's leg that the account holds no more.

    They are signed as they were held, and no order may trade them.
    """

    findings: tuple[Finding, ...] = ()
    lost: Mapping[tuple[int, LegName], int] = field(default_factory=dict)

    def gone(self, trade_id: int, leg: LegName) -> int:
        """Contracts of the leg, signed, that the ledger holds and the account does not."""
        return self.lost.get((trade_id, leg), 0)

    @property
    def may_lag(self) -> bool:
        return any(finding.may_lag for finding in self.findings)


def compare(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> Comparison:
    """Compare every trade that may hold something with the account.

    Trades that share a contract are compared together: the older ones keep what is there.
    """
    findings: list[Finding] = []
    available: dict[tuple[int, LegName], int] = {}
    lost: dict[tuple[int, LegName], int] = {}
    for own in _by_contract([leg for trade in trades for leg in (trade.spx, trade.spy)]):
        early, late = _others(own[0].contract.con_id, snapshot, orders)
        there = _there(own[0], early, snapshot)
        there += sum(_beyond(leg) for leg in own)  # the same contract of another trade
        for leg in own:
            wanted = max(leg.held * leg.direction, 0)
            available[leg.trade_id, leg.leg] = min(wanted, max(there, 0))
            missing = wanted - available[leg.trade_id, leg.leg]
            there -= wanted
            if missing:
                lost[leg.trade_id, leg.leg] = missing * leg.direction
                findings += _lost(leg, missing, late)
        for leg in own:
            missing = min(_beyond(leg), max(there, 0))
            there -= missing
            if missing:
                lost[leg.trade_id, leg.leg] = -missing * leg.direction
                findings.append(_not_beyond(leg, missing))
        findings += _unexplained(own, snapshot)
        findings += _crossed(own, snapshot, orders)
    for trade in trades:
        findings += _hedge(trade, available)
    return Comparison(tuple(findings), lost)


def after_the_close(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> Comparison:
    """Compare trades whose calls have expired with the account; `held` leaves their settlements out."""
    gone = taken(trades, snapshot, orders)
    more = left_over(trades, snapshot, orders).findings
    legs = [leg for trade in trades for leg in (trade.spx, trade.spy)]
    both = [finding for own in _by_contract(legs) for finding in _crossed(own, snapshot, orders)]
    return Comparison((*gone.findings, *more, *both), gone.lost)


def taken(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> Comparison:
    """What others closed of trades whose calls have expired, by the day's executions alone.

    Expired calls vanish from the list of positions, sooner or later: that they are not there says nothing.
    """
    findings: list[Finding] = []
    lost: dict[tuple[int, LegName], int] = {}
    for own in _by_contract([leg for trade in trades for leg in (trade.spx, trade.spy)]):
        _, late = _others(own[0].contract.con_id, snapshot, orders)
        against = max(int(sum(map(_signed, late), start=ZERO)) * -own[0].direction, 0)
        for leg in own:
            closed = min(max(leg.held * leg.direction, 0), against)
            against -= closed
            if closed:
                lost[leg.trade_id, leg.leg] = closed * leg.direction
                findings += _lost(leg, closed, late)
    return Comparison(tuple(findings), lost)


def left_over(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> Comparison:
    """Expired calls that the account shows where our executions leave none: they may become shares overnight.

    That calls are not there says nothing after the close; that they are there does.
    """
    findings: list[Finding] = []
    for own in _by_contract([leg for trade in trades for leg in (trade.spx, trade.spy)]):
        first, newest = own[0], own[-1]
        if any(leg.held for leg in own) or first.overnight is None:
            continue
        early, late = _others(first.contract.con_id, snapshot, orders)
        added = int(sum(map(_signed, late), start=ZERO)) * first.direction
        there = _there(first, early, snapshot) - added
        if there:
            kind = "long" if there * first.direction > 0 else "short"
            text = (
                f"the account shows {_counted(abs(there), kind, newest)} after the close, and the executions "
                f"of trade {newest.trade_id} leave none"
            )
            findings.append(
                Finding(Break.UNEXPLAINED, newest.trade_id, newest.leg, abs(there), text, may_lag=True)
            )
    return Comparison(tuple(findings))


def not_flat(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> list[str]:
    """What the account shows in our contracts that came of our trades, in words; nothing when it is flat."""
    return [*still_there(trades, snapshot, orders), *_the_other_way(trades, snapshot, orders)]


def still_there(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> list[str]:
    """Calls of ours that the account shows, in words; what others added to the same contract is theirs.

    Those that were closed beyond what a leg held stand on its other side.
    """
    found = []
    for own in _by_contract([leg for trade in trades for leg in (trade.spx, trade.spy)]):
        first = own[0]
        early, late = _others(first.contract.con_id, snapshot, orders)
        there = _there(first, early, snapshot)
        added = sum(map(_signed, late), start=ZERO)
        ours = min(there, there - int(added) * first.direction)
        if ours > 0:
            found.append(f"{_calls(ours, first)} ({first.contract})")
        elif (beyond := min(-there, sum(map(_beyond, own)))) > 0:
            kind = "short" if first.direction > 0 else "long"
            found.append(f"{_counted(beyond, kind, first)} ({first.contract})")
    return found


def _the_other_way(trades: Sequence[OwnTrade], snapshot: BrokerSnapshot, orders: OrderIndex) -> list[str]:
    """Calls that the account shows the other way, in words: others closed ours as well, or nobody knows why.

    What an execution of others has added there is theirs.
    """
    found = []
    for own in _by_contract([leg for trade in trades for leg in (trade.spx, trade.spy)]):
        first = own[0]
        early, late = _others(first.contract.con_id, snapshot, orders)
        there = -_there(first, early, snapshot) - sum(map(_beyond, own))
        added = -int(sum(map(_signed, late), start=ZERO)) * first.direction
        unexplained = there - max(added, 0)
        if (left := max(min(there, _closed_by_both(own, snapshot, orders)), unexplained)) > 0:
            kind = "short" if first.direction > 0 else "long"
            found.append(f"{_counted(left, kind, first)} ({first.contract})")
    return found


def untold_fills(
    records: Iterable[OrderRecord],
    known: Mapping[str, Decimal],
    snapshot: BrokerSnapshot,
    orders: OrderIndex,
) -> list[Finding]:
    """Orders of ours that filled more than the executions that the ledger has seen; `known` by reference.

    What a later correction took back was shown, so `known` counts each execution at its largest.
    """
    day = snapshot.time.date()
    by_ref = {record.ref: record for record in records}
    said: dict[str, Decimal] = {}
    for order in snapshot.listed_orders:
        record = orders.of_order(order, day)
        if record is not None and order.filled is not None:
            said[record.ref] = max(said.get(record.ref, ZERO), order.filled)
    return [
        Finding(
            Break.UNTOLD,
            by_ref[ref].trade_id,
            by_ref[ref].leg,
            int(filled - known.get(ref, ZERO)),
            f"order {ref} filled {filled.normalize():f} at the broker, and its executions add up to "
            f"{known.get(ref, ZERO).normalize():f}",
            may_lag=True,
        )
        for ref, filled in said.items()
        if ref in by_ref and filled > known.get(ref, ZERO)
    ]


def known_fills(records: Iterable[OrderRecord], executions: Iterable[Execution]) -> dict[str, Decimal]:
    """Contracts that each order filled by the executions seen, what a correction took back included."""
    shown: dict[str, dict[str, Decimal]] = {record.ref: {} for record in records}
    for execution in executions:
        families = shown.get(execution.order_ref)
        if families is not None:
            largest = families.get(execution.family, ZERO)
            families[execution.family] = max(largest, execution.quantity)
    return {ref: sum(families.values(), start=ZERO) for ref, families in shown.items()}


def _by_contract(legs: Sequence[OwnLeg]) -> list[list[OwnLeg]]:
    """The legs that share a contract, oldest trade first."""
    groups: dict[int, list[OwnLeg]] = {}
    for leg in sorted(legs, key=lambda leg: leg.trade_id):
        groups.setdefault(leg.contract.con_id, []).append(leg)
    return list(groups.values())


def _others(
    con_id: int, snapshot: BrokerSnapshot, orders: OrderIndex
) -> tuple[list[Execution], list[Execution]]:
    """Others' executions of the day in a contract, as they stand: before our first one there, and after it.

    Times are whole seconds, so within one the order of the broker's list decides.
    """
    standing = latest_revisions(row for row in snapshot.todays_executions if row.con_id == con_id)
    standing.sort(key=lambda row: row.time)
    ours = [number for number, row in enumerate(standing) if orders.of_execution(row) is not None]
    first = ours[0] if ours else len(standing)
    early = standing[:first]
    return early, orders.of_others(standing[first:])


def _position(con_id: int, snapshot: BrokerSnapshot) -> Decimal:
    return sum((row.quantity for row in snapshot.positions if row.con_id == con_id), start=ZERO)


def _there(first: OwnLeg, early: Sequence[Execution], snapshot: BrokerSnapshot) -> int:
    """Contracts of our direction in the account beyond what it held before our first order there.

    What it held then is its overnight position and what others traded until then.
    """
    before = (first.overnight or ZERO) + sum(map(_signed, early), start=ZERO)
    return int((_position(first.contract.con_id, snapshot) - before) * first.direction)


def _beyond(leg: OwnLeg) -> int:
    """Contracts traded against the leg beyond what it held: two buy-backs filled where one should."""
    return max(-leg.held * leg.direction, 0)


def _not_beyond(leg: OwnLeg, missing: int) -> Finding:
    """The account does not show what was closed beyond the leg; to trade it back would open a position."""
    text = (
        f"by its executions trade {leg.trade_id} closed {missing} {leg.leg} calls more than it held, and the "
        "account does not show them"
    )
    return Finding(Break.MISSING, leg.trade_id, leg.leg, missing, text, may_lag=True)


def _crossed(own: Sequence[OwnLeg], snapshot: BrokerSnapshot, orders: OrderIndex) -> list[Finding]:
    """Contracts that others closed while our orders closed them too: the account may hold them the other way.

    Both took them for open, so whose result is which nobody can say.
    """
    closed = _closed_by_both(own, snapshot, orders)
    if not closed:
        return []
    first, newest = own[0], own[-1]
    text = (
        f"others closed {_calls(closed, newest)} of trade {newest.trade_id} while its own orders did: the "
        f"account may hold {closed} {first.contract} the other way"
    )
    return [Finding(Break.TAKEN, newest.trade_id, newest.leg, closed, text)]


def _closed_by_both(own: Sequence[OwnLeg], snapshot: BrokerSnapshot, orders: OrderIndex) -> int:
    """How many contracts others closed between our first order and our last, or at the same time as that.

    Told by executions, of a contract in which we hold nothing now. What others trade there later is theirs.
    """
    first = own[0]
    if any(leg.held for leg in own):
        return 0
    rows = list(latest_revisions(row for row in snapshot.executions if row.con_id == first.contract.con_id))
    ours = sorted(row.time for row in rows if orders.of_execution(row) is not None)
    if not ours:
        return 0
    others = orders.of_others(rows)
    between = [row for row in others if ours[0] < row.time <= ours[-1] + AT_THE_SAME_TIME]
    return max(int(sum(map(_signed, between), start=ZERO)) * -first.direction, 0)


def _signed(execution: Execution) -> Decimal:
    """Contracts: bought positive, sold negative, busted zero."""
    return execution.quantity * execution.side.sign


def _lost(leg: OwnLeg, missing: int, against: Sequence[Execution]) -> list[Finding]:
    """Why the account holds less than the ledger: who took it, as far as executions say."""
    net = -leg.direction * sum(map(_signed, against), start=ZERO)
    explained = min(missing, max(int(net), 0))
    by_ib = any(execution.liquidation for execution in against)
    found = []
    if explained:
        who, kind = ("IB liquidated", Break.LIQUIDATED) if by_ib else ("others closed", Break.TAKEN)
        found.append(Finding(kind, leg.trade_id, leg.leg, explained, _words(who, explained, leg)))
    if missing > explained:
        rest = missing - explained
        found.append(
            Finding(
                Break.MISSING,
                leg.trade_id,
                leg.leg,
                rest,
                f"the account does not hold {_calls(rest, leg)} of trade {leg.trade_id}, and no execution "
                "says why",
                may_lag=True,
            )
        )
    return found


def _unexplained(own: Sequence[OwnLeg], snapshot: BrokerSnapshot) -> list[Finding]:
    """Contracts in our direction that no execution of anybody explains: an order of ours may have filled."""
    first = own[0]
    if first.overnight is None:
        return []
    moved = snapshot.overnight(first.contract.con_id) - first.overnight
    extra = int(moved * first.direction)
    if extra <= 0:
        return []
    newest = own[-1]
    text = (
        f"the account holds {_calls(extra, newest)} more than all executions add up to since trade "
        f"{newest.trade_id}"
    )
    return [Finding(Break.UNEXPLAINED, newest.trade_id, newest.leg, extra, text, may_lag=True)]


def _hedge(trade: OwnTrade, available: Mapping[tuple[int, LegName], int]) -> list[Finding]:
    """Short SPY calls beyond what SPX covers, by the ledger or by the account; or SPX with nothing short."""
    number = trade.spx.trade_id
    if trade.handed_over:
        return []
    spx, spy = available[number, LegName.SPX], available[number, LegName.SPY]
    naked = max(spy - trade.covered(spx), -trade.spy.held - trade.covered(trade.spx.held))
    if naked > 0 and spy > 0:
        text = f"trade {number} is short {min(naked, spy)} SPY calls without their hedge"
        return [Finding(Break.NAKED, number, LegName.SPY, min(naked, spy), text, may_lag=True)]
    if trade.whole and spx > 0 and not spy:
        text = f"trade {number} holds {_calls(spx, trade.spx)} and nothing is short against it"
        return [Finding(Break.ALONE, number, LegName.SPX, spx, text, may_lag=True)]
    return []


def _words(who: str, quantity: int, leg: OwnLeg) -> str:
    return f"{who} {_calls(quantity, leg)} of trade {leg.trade_id} ({leg.contract})"


def _calls(quantity: int, leg: OwnLeg) -> str:
    return _counted(quantity, "long" if leg.direction > 0 else "short", leg)


def _counted(quantity: int, kind: str, leg: OwnLeg) -> str:
    return f"{quantity} {kind} {leg.leg} call{'s' if quantity != 1 else ''}"
