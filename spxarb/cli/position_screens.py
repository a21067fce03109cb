"""What `monitor` and `close-all` show: what was done with each open spread, and whether anything is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import (
    BAD,
    GOOD,
    HEAD,
    WARN,
    Block,
    Cell,
    Columns,
    Facts,
    Grid,
    Line,
    dollars,
    grid,
    moment,
    money,
    words,
)
from spxarb.core.events import count
from spxarb.core.results.actions import Action
from spxarb.core.sentences import lower_first

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.core.results.close_all import CloseAllResult, ClosingPreview, OpenSpread
    from spxarb.core.results.monitor import MonitorResult
    from spxarb.core.results.positions import ManagedPosition

_WORDS = {
    Action.FAILED: "NOT closed",
    Action.CLOSED: "Closed",
    Action.WOULD_CLOSE: "Would close",
    Action.HELD: "Held",
}
"""In the order in which they are told."""


def _action(action: Action) -> Cell:
    return action.replace("_", " "), BAD if action is Action.FAILED else ""


_MANAGED: Columns[ManagedPosition] = (
    (">trade", lambda position: words(position.trade_id)),
    ("action", lambda position: _action(position.action)),
    (">P&L", lambda position: money(_pnl(position))),
    (">credit", lambda position: dollars(position.entry_credit)),
    (">SPX strike", lambda position: words(position.spx_strike)),
    (">SPY strike", lambda position: words(position.spy_strike)),
    ("?exit reason", lambda position: words(position.exit_reason)),
    ("status", lambda position: position.status),
    ("?left to settlement", lambda position: words(position.residual)),
    ("entered", lambda position: moment(position.entry_time)),
)


def monitor(result: MonitorResult) -> list[Block]:
    asked, found = result.asked_broker, len(result.reconciliation)
    if not result.positions:
        text = "Nothing is open." if asked else "Nothing to look after, by the ledger alone."
        headline = Line(text, GOOD if asked and not found else HEAD)
    else:
        headline = _done(result.positions)
    same = [Line("Ledger and broker: no differences.", GOOD)] if asked and not found else []
    wrong = [Line(f"Ledger and broker: {count(found, 'difference')}, see below.", BAD)] if found else []
    return [*wrong, headline, *same, *_table(result.positions), *differences(result.reconciliation)]


def close_all(result: CloseAllResult) -> list[Block]:
    done = [_done(result.positions)] if result.positions else []
    verdict = [_flatness(result), *done]
    return [
        *(reversed(verdict) if _doubtful(result) else verdict),
        *_table(result.positions),
        *differences(result.reconciliation),
    ]


def differences(sentences: Sequence[str]) -> list[Block]:
    """Where ledger and broker differ; nothing where nobody found a difference."""
    if not sentences:
        return []
    rows: list[list[Cell]] = [[(sentence, BAD)] for sentence in sentences]
    return [Grid("Differences between ledger and broker", ("",), rows)]


def _table(positions: Sequence[ManagedPosition]) -> list[Block]:
    return [Line(""), grid("", _MANAGED, positions)] if positions else []


def _done(positions: Sequence[ManagedPosition]) -> Line:
    """What was done, the worst first."""
    parts = []
    for action, word in _WORDS.items():
        trades = [_trade(position) for position in positions if position.action is action]
        if trades:
            parts.append(f"{word}: {', '.join(trades)}")
    failed = any(position.action is Action.FAILED for position in positions)
    return Line("; ".join([*parts[:1], *map(lower_first, parts[1:])]), BAD if failed else HEAD)


def _trade(position: ManagedPosition) -> str:
    value, held = _pnl(position), position.action is Action.HELD
    said = [words(position.exit_reason)] if position.exit_reason and not held else []
    if value is not None:
        pnl = money(value)
        said.append(f"P&L {pnl if isinstance(pnl, str) else pnl[0]}")
    elif held:
        said.append("P&L not known")
    beside = f" ({', '.join(said)})" if said else ""
    return f"trade {position.trade_id}{beside}"


def _pnl(position: ManagedPosition) -> Decimal | None:
    """By its fills where it is closed, else as it was marked."""
    return position.current_pnl if position.final_pnl is None else position.final_pnl


def _doubtful(result: CloseAllResult) -> bool:
    """Whether the account shows none of our calls, and the ledger does not bear that out."""
    failed = any(position.action is Action.FAILED for position in result.positions)
    return bool(result.flat) and (failed or bool(result.reconciliation))


def _flatness(result: CloseAllResult) -> Line:
    if _doubtful(result):
        return Line("The account shows no call of spxarb, and the ledger does not bear that out.", BAD)
    if result.flat:
        seen = "Flat, seen at the broker." if result.asked_broker else "Nothing is open."
        return Line(seen, GOOD)
    actions = {position.action for position in result.positions}
    if actions == {Action.CLOSED}:
        return Line("Only worthless SPX calls are left, to cash settlement.", HEAD)
    if actions == {Action.WOULD_CLOSE}:
        return Line("Not flat: a dry run closes nothing.", HEAD)
    unknown = result.flat is None
    return Line("Not known to be flat." if unknown else "Not seen flat.", WARN if unknown else BAD)


# --- before close-all acts ------------------------------------------------------------------------


def _marked(spread: OpenSpread) -> str:
    if spread.marked_at is None or spread.age_seconds is None:
        return "never"
    return f"{moment(spread.marked_at, '%H:%M')}, {_age(spread.age_seconds)} ago"


def _age(seconds: float) -> str:
    """A time in its largest unit."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


_OPEN: Columns[OpenSpread] = (
    (">trade", lambda spread: words(spread.trade_id)),
    (">P&L", lambda spread: money(spread.pnl)),
    ("marked", _marked),
    (">credit", lambda spread: dollars(spread.entry_credit)),
    (">SPX strike", lambda spread: words(spread.spx_strike)),
    (">SPY strike", lambda spread: words(spread.spy_strike)),
    ("?not closed", lambda spread: words(spread.left_alone)),
)


def preview(found: ClosingPreview) -> list[Block]:
    """What `close-all` would close, how, and that entries stop: before it asks."""
    account = found.account or "not known yet"
    blocks: list[Block] = [
        Facts((("close-all, mode", found.mode), ("account", account), ("ledger", found.ledger)))
    ]
    if found.doubt:
        blocks.append(Line(f"Not all can be told: {found.doubt}. The broker is asked all the same.", WARN))
    if found.spreads:
        blocks += [
            Line(""),
            grid("", _OPEN, found.spreads),
            Line("P&L as it was last marked; the broker is asked before anything is sent."),
        ]
    elif not found.doubt:
        blocks.append(Line("No spread is open by this ledger; the broker is asked all the same."))
    way = f" and leaves {found.way}" if found.way else ""
    return [*blocks, Line(f"\nIt stops entries until `spxarb start`{way}.")]
