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
    Line,
    Pairs,
    amount,
    dollars,
    grid,
    moment,
    money,
    sparkline,
    words,
)
from spxarb.core.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spxarb.core.fees import FeeComparison
    from spxarb.core.price_state import PriceState
    from spxarb.core.result import Result
    from spxarb.core.results.ack import AckResult
    from spxarb.core.results.doctor import DoctorResult
    from spxarb.core.results.enter import EnterResult
    from spxarb.core.results.hand_over import EndedOrder, HandedLeg, HandOverResult
    from spxarb.core.results.log import LogResult
    from spxarb.core.results.positions import (
        CloseAllResult,
        MonitorResult,
        PositionResult,
    )
    from spxarb.core.results.reconcile import ReconcileResult
    from spxarb.core.results.report import DemoResult, ReportResult
    from spxarb.core.results.rows import MatterRow
    from spxarb.core.results.settle import SettleResult
    from spxarb.core.results.status import PositionPrices, SessionResult, StatusResult, TradeResult
    from spxarb.core.results.switch import SwitchResult


def screen(result: Result) -> list[Block]:
    """A headline, the command's own blocks, the notes. A failure with nothing to show has none of them."""
    blocks: list[Block] = []
    if not result.exit_code or _has_content(result):
        time = moment(result.at, "%a %Y-%m-%d %H:%M:%S ET")
        blocks.append(Line(" · ".join([result.command, words(result.mode), time]), HEAD))
        blocks += _SCREENS.get(result.command, _anything)(result)
    return blocks + ([Line("\n" + "\n".join(result.notes))] if result.notes else [])


def _has_content(result: Result) -> bool:
    """Whether any of the command's own fields says more than it does by itself."""
    return result.own() != type(result)(result.command, result.at, result.mode).own()


# --- cells ----------------------------------------------------------------------------------------


def _yes(value: bool | None, *, bad: bool = False) -> Cell:
    """Yes or no; the answer `bad` is red."""
    return DASH if value is None else (words(value), BAD if value is bad else GOOD)


# --- columns --------------------------------------------------------------------------------------

_POSITIONS: Columns[PositionResult] = (
    (">trade", lambda position: words(position.trade_id)),
    ("entered", lambda position: moment(position.entry_time)),
    (">SPY strike", lambda position: words(position.spy_strike)),
    (">SPX strike", lambda position: words(position.spx_strike)),
    (">credit", lambda position: money(position.entry_credit)),
    (">P&L now", lambda position: money(position.current_pnl)),
    ("status", lambda position: position.status),
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
_TODAY: Columns[TradeResult] = (
    (">id", lambda trade: words(trade.id)),
    ("date", lambda trade: words(trade.trade_date)),
    (">credit", lambda trade: money(trade.entry_credit)),
    (">P&L", lambda trade: money(trade.final_pnl)),
    ("exit reason", lambda trade: words(trade.exit_reason)),
    ("status", lambda trade: trade.status),
)
_PRICES: Columns[PositionPrices] = (
    (">trade", lambda one: words(one.trade_id)),
    ("prices", lambda one: _price_states(one.prices)),
)
_MATTERS: Columns[MatterRow] = (
    (">id", lambda matter: words(matter.id)),
    ("since", lambda matter: moment(matter.since, "%Y-%m-%d %H:%M")),
    ("what", lambda matter: (matter.text, BAD)),
)


def _price_states(prices: Sequence[PriceState]) -> Cell:
    """In few words what the prices are worth: live, and how old the oldest is, or which are not."""
    bad = [
        f"{'halted' if price.halted else word}: {price.of}"
        for price in prices
        for word in ["missing" if price.age_seconds is None else price.data or "unknown"]
        if price.halted or word != "live"
    ]
    if bad:
        return "; ".join(bad), WARN
    ages = [price.age_seconds for price in prices if price.age_seconds is not None]
    return f"live, {max(ages):.0f} s" if ages else DASH


# --- screens --------------------------------------------------------------------------------------


def _enter(result: EnterResult) -> list[Block]:
    from spxarb.cli import enter_screens  # noqa: PLC0415 -- no other command needs it

    return enter_screens.enter(result)


def _monitor(result: MonitorResult) -> list[Block]:
    from spxarb.cli import position_screens  # noqa: PLC0415 -- likewise

    return position_screens.monitor(result)


def _close_all(result: CloseAllResult) -> list[Block]:
    from spxarb.cli import position_screens  # noqa: PLC0415 -- likewise

    return position_screens.close_all(result)


def _settle(result: SettleResult) -> list[Block]:
    from spxarb.cli import day_screens  # noqa: PLC0415 -- likewise

    return day_screens.settle(result)


def _demo(result: DemoResult) -> list[Block]:
    from spxarb.cli import day_screens  # noqa: PLC0415 -- likewise

    return day_screens.demo(result)


def _switch(result: SwitchResult) -> list[Block]:
    if result.is_trading is None:
        return []
    reason = f" ({result.reason})" if result.reason else ""
    return [Line(f"New entries are {'allowed' if result.is_trading else 'forbidden'}{reason}; exits go on.")]


def _status(result: StatusResult) -> list[Block]:
    from spxarb.cli import risk_screens  # noqa: PLC0415 -- no other command needs it
    from spxarb.cli.position_screens import differences  # noqa: PLC0415 -- likewise

    return [
        Line(_session(result.session), WARN if result.session.doubt else ""),
        Beside(_dashboard(result)),
        grid("Positions", _POSITIONS, result.positions),
        *([grid("Prices of open spreads", _PRICES, result.prices)] if result.prices else []),
        *risk_screens.greeks(result),
        *risk_screens.risk(result),
        grid("Trades", _TODAY, result.trades),
        *differences(result.reconciliation),
        *_open_matters(result.matters),
    ]


def _session(session: SessionResult) -> str:
    """Today's session in one line."""
    day = f"{session.day:%a %Y-%m-%d}" if session.day else DASH
    why = f" ({session.why})" if session.why else ""
    doubt = f" {session.doubt}." if session.doubt else ""
    if session.open is None:
        return f"No session on {day}{why}.{doubt}"
    kind = "half-day" if session.half_day else "session"
    clock = {
        name: moment(getattr(session, name), "%H:%M") for name in ("open", "close", "exit_at", "settle_at")
    }
    return (
        f"{day}: {kind} {clock['open']}-{clock['close']}{why}, time exit {clock['exit_at']}, "
        f"settlement {clock['settle_at']}.{doubt}"
    )


def _dashboard(result: StatusResult) -> tuple[Pairs, ...]:
    system, account = result.status, result.account
    market, today = result.market, result.performance
    return (
        Pairs(
            "System",
            [
                ("new entries", _yes(system.is_trading)),
                ("connected", _yes(system.is_connected)),
                ("open positions", words(system.open_positions)),
                ("trades today", words(system.trades_today)),
            ],
        ),
        Pairs(
            "Market",
            [
                ("SPX", amount(market.spx_price)),
                ("SPY", amount(market.spy_price)),
                ("ratio", amount(market.ratio, 4)),
                ("prices", _price_states(result.market_prices)),
            ],
        ),
        Pairs(
            f"Account {words(account.account_id)}",
            [
                ("net liquidation", amount(account.net_liquidation)),
                ("total cash", amount(account.total_cash)),
                ("available funds", amount(account.available_funds)),
                ("buying power", amount(account.buying_power)),
            ],
        ),
        Pairs(
            "Today",
            [
                ("realized", money(today.daily_realized_pnl)),
                ("unrealized", money(today.unrealized_pnl)),
                ("total", money(today.total_pnl)),
                ("loss limit", amount(today.max_daily_loss)),
                ("limit breached", _yes(today.risk_breached, bad=True)),
            ],
        ),
    )


def _log(result: LogResult) -> list[Block]:
    from spxarb.cli import history_screens  # noqa: PLC0415 -- no other command needs it

    return history_screens.log(result)


def _report(result: ReportResult) -> list[Block]:
    from spxarb.cli import day_screens  # noqa: PLC0415 -- likewise

    if result.explained is not None:
        from spxarb.cli import history_screens  # noqa: PLC0415 -- likewise

        return history_screens.explanation(result)
    blocks: list[Block] = [
        grid("Trades", day_screens.TRADES, result.trades),
        *day_screens.settlements(result.settlements),
        grid("Days", day_screens.DAYS, result.days),
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
        Pairs(of, [(name, dollars(getattr(fees, name))) for name in ("estimated", "reported", "difference")])
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
    count = len(result.matters)
    verdict = f"{count} matter{' for a human is' if count == 1 else 's for a human are'} open."
    return [Line(verdict, BAD), *_open_matters(result.matters)]


def _hand_over(result: HandOverResult) -> list[Block]:
    if result.trade_id is None:
        return []
    trade = f"trade {result.trade_id}"
    done = Line(f"{trade.capitalize()} is yours: spxarb trades it no more.", GOOD)
    blocks: list[Block] = [
        done if result.complete else Line(f"The hand-over of {trade} is not complete.", BAD)
    ]
    if result.legs:
        blocks.append(grid("Yours", _HANDED, result.legs))
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
    "demo": _demo,
}
