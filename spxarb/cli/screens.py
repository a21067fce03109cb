"""What each command's screen says: lines, tables and pairs as plain values. The view draws them.

Every function takes the command's result. Missing is a dash, never 0.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from spxarb.cli.blocks import (
    BAD,
    DASH,
    GOOD,
    HEAD,
    WARN,
    Beside,
    Block,
    Cell,
    Columns,
    Grid,
    Line,
    Pairs,
    amount,
    grid,
    moment,
    money,
    sparkline,
    words,
)
from spxarb.core.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from spxarb.core.fees import FeeComparison
    from spxarb.core.model import Check
    from spxarb.core.result import Result
    from spxarb.core.results.ack import AckResult
    from spxarb.core.results.doctor import DoctorResult
    from spxarb.core.results.enter import EnterResult, EntryLeg
    from spxarb.core.results.hand_over import EndedOrder, HandedLeg, HandOverResult
    from spxarb.core.results.log import LogResult
    from spxarb.core.results.positions import (
        Action,
        CloseAllResult,
        ManagedPosition,
        MonitorResult,
        PositionResult,
    )
    from spxarb.core.results.reconcile import ReconcileResult
    from spxarb.core.results.report import ReportResult
    from spxarb.core.results.rows import DayRow, MatterRow, SettlementRow, TradeRow
    from spxarb.core.results.settle import SettleResult
    from spxarb.core.results.status import StatusResult
    from spxarb.core.results.switch import SwitchResult


def screen(result: Result) -> list[Block]:
    """A headline, the command's own blocks, the notes. A failure with nothing to show has none of them."""
    blocks: list[Block] = []
    if not result.exit_code or _has_content(result):
        if result.command == "status":  # it has a headline of its own
            return _SCREENS[result.command](result) + _notes(result)
        time = moment(result.at, "%a %Y-%m-%d %H:%M:%S ET")
        blocks.append(Line(" · ".join([result.command, words(result.mode), time]), HEAD))
        blocks += _SCREENS.get(result.command, _anything)(result)
    return blocks + _notes(result)


def _notes(result: Result) -> list[Block]:
    return [Line("\n" + "\n".join(result.notes))] if result.notes else []


def _has_content(result: Result) -> bool:
    """Whether any of the command's own fields says more than it does by itself."""
    return result.own() != type(result)(result.command, result.at, result.mode).own()


# --- cells ----------------------------------------------------------------------------------------


def _verdict(ok: bool | None) -> Cell:
    return DASH if ok is None else ("ok", GOOD) if ok else ("NO", BAD)


def _yes(value: bool | None, *, bad: bool = False) -> Cell:
    """Yes or no; the answer `bad` is red."""
    return DASH if value is None else (words(value), BAD if value is bad else GOOD)


def _action(action: Action) -> Cell:
    return action, BAD if action is type(action).FAILED else ""


# --- columns --------------------------------------------------------------------------------------

_CHECKS: Columns[Check] = (
    ("check", lambda check: check.name),
    ("", lambda check: _verdict(check.ok)),
    (">value", lambda check: words(check.value)),
    (">limit", lambda check: words(check.limit)),
    ("why", lambda check: words(check.message)),
)
_LEGS: Columns[EntryLeg] = (
    ("", lambda leg: leg.action),
    (">quantity", lambda leg: words(leg.quantity)),
    ("class", lambda leg: words(leg.trading_class)),
    ("expiry", lambda leg: words(leg.expiration)),
    (">strike", lambda leg: words(leg.strike)),
    ("", lambda leg: words(leg.right)),
    (">bid", lambda leg: amount(leg.bid)),
    (">ask", lambda leg: amount(leg.ask)),
    (">filled at", lambda leg: amount(leg.fill_price)),
)
_POSITIONS: Columns[PositionResult] = (
    (">trade", lambda position: words(position.trade_id)),
    ("entered", lambda position: moment(position.entry_time)),
    (">SPY strike", lambda position: words(position.spy_strike)),
    (">SPX strike", lambda position: words(position.spx_strike)),
    (">credit", lambda position: money(position.entry_credit)),
    (">P&L now", lambda position: money(position.current_pnl)),
    ("status", lambda position: position.status),
)
_MANAGED: Columns[ManagedPosition] = (
    *_POSITIONS,
    ("exit reason", lambda position: words(position.exit_reason)),
    ("action", lambda position: _action(position.action)),
    ("left to settlement", lambda position: words(position.residual)),
)
_HANDED: Columns[HandedLeg] = (
    ("leg", lambda leg: leg.leg),
    ("class", lambda leg: words(leg.trading_class)),
    ("expires", lambda leg: words(leg.expiration)),
    (">strike", lambda leg: words(leg.strike)),
    (">contracts", lambda leg: f"{leg.quantity:+d}" if leg.quantity else "0"),
)
_ENDED: Columns[EndedOrder] = (
    ("order", lambda order: order.order_ref),
    ("was to", lambda order: f"{order.side} {order.quantity} {order.leg}"),
    (">filled", lambda order: words(order.filled)),
    ("over", lambda order: _yes(order.proven)),
)
_TRADES: Columns[TradeRow] = (
    (">id", lambda trade: words(trade.id)),
    ("date", lambda trade: trade.trade_date),
    (">SPY strike", lambda trade: words(trade.spy_strike)),
    (">SPX strike", lambda trade: words(trade.spx_strike)),
    (">credit", lambda trade: money(trade.entry_credit)),
    (">exit cost", lambda trade: amount(trade.exit_cost)),
    (">P&L", lambda trade: money(trade.final_pnl)),
    (">commissions", lambda trade: amount(trade.commissions)),
    ("exit reason", lambda trade: words(trade.exit_reason)),
    ("status", lambda trade: trade.status),
)
_DAYS: Columns[DayRow] = (
    ("date", lambda day: words(day.date)),
    (">trades", lambda day: words(day.trades_count)),
    (">won", lambda day: words(day.winning_trades)),
    (">lost", lambda day: words(day.losing_trades)),
    (">before commissions", lambda day: money(day.total_pnl)),
    (">commissions", lambda day: amount(day.total_commissions)),
    (">net", lambda day: money(day.net_pnl)),
    (">drawdown", lambda day: amount(day.max_drawdown)),
)
_SETTLEMENTS: Columns[SettlementRow] = (
    (">trade", lambda row: words(row.trade_id)),
    ("leg", lambda row: row.leg),
    (">quantity", lambda row: words(row.quantity)),
    ("stage", lambda row: row.stage),
    (">price", lambda row: amount(row.price)),
    (">cash", lambda row: money(row.cash)),
    (">against the one before", lambda row: money(row.difference)),
    ("source", lambda row: row.source),
)

_MATTERS: Columns[MatterRow] = (
    (">id", lambda matter: words(matter.id)),
    ("since", lambda matter: moment(matter.since, "%Y-%m-%d %H:%M")),
    ("what", lambda matter: (matter.text, WARN)),
)


def _about(value: Decimal | None, uncertainty: Decimal | None) -> str:
    """A figure, and how far it may be off."""
    text = amount(value)
    return text if value is None or uncertainty is None else f"{text} ± {amount(uncertainty)}"


# --- screens --------------------------------------------------------------------------------------


def _enter(result: EnterResult) -> list[Block]:
    prices, credit, risk = result.prices, result.credit, result.risk
    quotes: list[tuple[str, Cell]] = [
        ("SPX", _about(prices.spx, prices.spx_uncertainty)),
        ("SPX by", words(prices.spx_source)),
        ("index print", amount(prices.spx_print)),
        ("SPY", amount(prices.spy)),
        ("ratio", amount(prices.ratio, 4)),
    ]
    earned: list[tuple[str, Cell]] = [
        ("gross", money(credit.gross)),
        ("commissions", amount(credit.commissions)),
        ("net", money(credit.net)),
    ]
    behind: list[tuple[str, Cell]] = [
        ("strike mismatch, index points", _about(risk.strike_mismatch_points, risk.mismatch_uncertainty)),
        ("edge, dollars", money(risk.edge)),
        ("worst case, dollars", money(risk.worst_case)),
    ]
    return [
        _entry_headline(result),
        grid("Checks", _CHECKS, result.checks),
        grid("Legs", _LEGS, result.legs),
        Line(""),
        Beside(
            (
                Pairs("Prices", quotes),
                Pairs("Credit, dollars", earned),
                Pairs("What stands behind the credit", behind),
            )
        ),
        *_edge(risk.edge),
    ]


def _entry_headline(result: EnterResult) -> Line:
    from spxarb.core.results.enter import EntryOutcome  # noqa: PLC0415 -- loaded with the result

    match result.outcome:
        case EntryOutcome.ENTERED:
            return Line(f"Entered: trade {words(result.trade_id)}", GOOD)
        case EntryOutcome.SKIPPED:
            failed = [check.name for check in result.checks if check.ok is False]
            return Line(f"No entry: {', '.join(failed) or 'see the notes'}", WARN)
        case EntryOutcome.ABORTED:
            return Line("Aborted: begun and undone", BAD)
        case EntryOutcome.DRY_RUN:
            return Line(f"Dry run: would {words(result.would)}", WARN)
        case None:
            return Line("No decision", BAD)


def _edge(edge: Decimal | None) -> list[Block]:
    """Whether the credit is a gain or the price of a risk."""
    if edge is None:
        return []
    if edge <= 0:
        return [Line("\nNo edge: the credit only pays for the mismatch of the strikes and for costs.", WARN)]
    return [Line(f"\nOf the credit {amount(edge)} dollars are more than the strikes' mismatch is worth.")]


def _monitor(result: MonitorResult) -> list[Block]:
    return [grid("Positions", _MANAGED, result.positions), _differences(result.reconciliation)]


def _differences(sentences: Sequence[str]) -> Grid:
    rows: list[list[Cell]] = [[(sentence, WARN)] for sentence in sentences]
    return Grid("Differences between ledger and broker", ("what",), rows)


def _close_all(result: CloseAllResult) -> list[Block]:
    return [grid("Positions", _MANAGED, result.positions), _flatness(result)]


def _flatness(result: CloseAllResult) -> Line:
    if result.flat:
        seen = "Flat, seen at the broker." if result.asked_broker else "Nothing is open."
        return Line(f"\n{seen}", GOOD)
    from spxarb.core.results.positions import Action  # noqa: PLC0415 -- loaded with the result

    actions = {position.action for position in result.positions}
    if actions == {Action.CLOSED}:
        return Line("\nOnly worthless SPX calls are left, to cash settlement.", WARN)
    return Line("\nNot seen flat.", "" if actions == {Action.WOULD_CLOSE} else BAD)


def _switch(result: SwitchResult) -> list[Block]:
    if result.is_trading is None:
        return []
    reason = f" ({result.reason})" if result.reason else ""
    return [Line(f"New entries are {'allowed' if result.is_trading else 'forbidden'}{reason}; exits go on.")]


def _settle(result: SettleResult) -> list[Block]:
    summary = [result.summary] if result.summary.date else []
    state = (
        Line("\nProvisional: final once the next morning shows the official closes and no new shares.", WARN)
        if result.provisional
        else Line("\nFinal.", GOOD)
    )
    return [
        grid("Trades", _TRADES, result.trades),
        *_settlements(result.settlements),
        grid("Day", _DAYS, summary),
        state,
    ]


def _settlements(rows: Sequence[SettlementRow]) -> list[Block]:
    return [grid("Settlements", _SETTLEMENTS, rows)] if rows else []


def _status(result: StatusResult) -> list[Block]:
    from spxarb.cli import status_screens  # noqa: PLC0415 -- no other command needs it

    return status_screens.status(result)


def _log(result: LogResult) -> list[Block]:
    from spxarb.cli import history_screens  # noqa: PLC0415 -- no other command needs it

    return history_screens.log(result)


def _report(result: ReportResult) -> list[Block]:
    if result.explained is not None:
        from spxarb.cli import history_screens  # noqa: PLC0415 -- likewise

        return history_screens.explanation(result)
    blocks: list[Block] = [
        grid("Trades", _TRADES, result.trades),
        *_settlements(result.settlements),
        grid("Days", _DAYS, result.days),
    ]
    dated = [(day.date or "", day.net_pnl) for day in result.days if day.net_pnl is not None]
    curve = list(accumulate(net for _, net in sorted(dated)))
    if len(curve) > 1:
        blocks.append(Line(f"\nNet P&L, summed over the days: {sparkline(curve)} {curve[-1]:+,.2f}"))
    figures = _named(plain(result.statistics))
    return [
        *blocks,
        Line(""),
        Pairs("Statistics of the closed trades", figures),
        *_fees(result.fees),
        *_open_matters(result.matters),
    ]


def _fees(fees: FeeComparison) -> list[Block]:
    if not fees.executions:
        return []
    of = f"Fees of {fees.executions} executions, estimated and reported"
    return [
        Pairs(of, [(name, amount(getattr(fees, name))) for name in ("estimated", "reported", "difference")])
    ]


def _named(values: dict[str, Any]) -> list[tuple[str, Cell]]:
    """Names and values in one column."""
    return [(name.replace("_", " "), words(value)) for name, value in values.items()]


def _reconcile(result: ReconcileResult) -> list[Block]:
    from spxarb.cli import statement_screens  # noqa: PLC0415 -- no other command needs it

    return statement_screens.reconcile(result)


def _ack(result: AckResult) -> list[Block]:
    if not result.matters:
        return [Line("No matter for a human is open.", GOOD)]
    return _open_matters(result.matters)


def _hand_over(result: HandOverResult) -> list[Block]:
    blocks: list[Block] = []
    if result.legs:
        blocks.append(grid(f"Trade {words(result.trade_id)}: yours", _HANDED, result.legs))
    if result.orders:
        blocks.append(grid("Orders of spxarb in it", _ENDED, result.orders))
    return blocks


def _open_matters(matters: Sequence[MatterRow]) -> list[Block]:
    """What a human has not dealt with yet; nothing where there is nothing."""
    return [grid("Matters for a human: spxarb ack ID", _MATTERS, matters)] if matters else []


def _doctor(result: DoctorResult) -> list[Block]:
    from spxarb.cli import doctor_screens  # noqa: PLC0415 -- no other command needs it

    return doctor_screens.doctor(result)


def _anything(result: Result) -> list[Block]:
    """A command without a screen of its own: its fields."""
    return [Pairs("", _named(result.own()))]


_SCREENS: dict[str, Callable[[Any], list[Block]]] = {
    "enter": _enter,
    "monitor": _monitor,
    "close-all": _close_all,
    "start": _switch,
    "stop": _switch,
    "settle": _settle,
    "reconcile": _reconcile,
    "ack": _ack,
    "hand-over": _hand_over,
    "doctor": _doctor,
    "status": _status,
    "report": _report,
    "log": _log,
    "demo": _report,
}
