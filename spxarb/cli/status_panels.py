"""The six panels of `status`, each as lines for a width: System Status, Account, Daily P&L, Market Prices,
Open Positions, Recent Trades.

Missing is a dash, never 0; colours say good, bad, unknown.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, DASH, GOOD, HEAD, WARN, amount, dollars, moment, money, words
from spxarb.cli.lines import flow, in_columns, pairs, prose, text_of, title, width_of
from spxarb.core.masking import masked
from spxarb.core.sentences import sentence
from spxarb.core.trading_state import StillTrue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spxarb.cli.blocks import Cell
    from spxarb.cli.lines import Parts
    from spxarb.core.price_state import PriceState
    from spxarb.core.results.status import (
        PositionExits,
        RoutineResult,
        StatusPosition,
        StatusResult,
        TradeResult,
    )

TRADES_SHOWN = 10
WIDE = 116
"""From so many columns on, words stand in full."""
INDENT = 3


# --- System Status ----------------------------------------------------------------------------------


def system(result: StatusResult, width: int, *, paths: bool = True) -> list[Parts]:
    rows: list[tuple[str, list[Cell]]] = [
        ("gateway", _connected(result)),
        ("trading", _trading(result)),
        *([("live", _live_gate(result))] if result.going_live.state else []),
        *((one.command, _routine(result, one, wide=width >= WIDE)) for one in result.routines),
    ]
    if result.lock.pid is not None:
        since = moment(result.lock.since, "%H:%M:%S")
        rows.append(("lock", [f"`{result.lock.command}`", f"process {result.lock.pid}", f"since {since}"]))
    return [title("System Status"), *_named(rows, width), *(paths_of(result, width) if paths else [])]


def paths_of(result: StatusResult, width: int) -> list[Parts]:
    """The files in use."""
    if not result.paths.ledger:
        return []
    missing: list[Cell] = [] if result.paths.ledger_exists else [("there is none", WARN)]
    ledger: list[Cell] = [result.paths.ledger, *missing]
    return _named(
        [("ledger", ledger), ("config", [result.paths.configuration or "no file: the defaults"])], width
    )


def _named(rows: Sequence[tuple[str, list[Cell]]], width: int) -> list[Parts]:
    """What stands behind each name of the panel System Status."""
    wide = len("gateway") + 2
    lines: list[Parts] = []
    for name, items in rows:
        first, *rest = flow(items, width - wide)
        lines.append([(name.ljust(wide), "dim"), *first])
        lines += [[" " * wide, *more] for more in rest]
    return lines


def _connected(result: StatusResult) -> list[Cell]:
    at, is_up = result.connection, result.status.is_connected
    account = [f"account {masked(at.account)}"] if at.account else []
    where = [] if at.host is None else [f"{at.host}:{at.port}", *account, words(result.mode)]
    if is_up is None:
        return [DASH]
    if not is_up and result.error is None:
        return ["not asked", *where]
    return [("connected", GOOD) if is_up else ("NOT CONNECTED", BAD), *where]


def _trading(result: StatusResult) -> list[Cell]:
    found = result.trading
    if found.state is None:
        return [DASH]
    lock: list[Cell] = [] if result.lock.pid is not None else ["lock free"]
    beside: list[Cell] = [(str(word), WARN if word is StillTrue.FAILURES else "") for word in found.beside]
    if found.state == "ACTIVE":
        return [("ACTIVE", GOOD), *beside, *lock]
    told: list[Cell] = [("STOPPED", BAD)]
    if found.since:
        told.append(f"since {when(found.since, result.at)}")
    told += [f"by {found.by}"] if found.by else []
    why = [found.reason] if found.reason and not _same(found.reason, found.by) else []
    return [*told, *why, *beside, *lock]


def _live_gate(result: StatusResult) -> list[Cell]:
    """One line: whether the gate is open, and what keeps it shut."""
    found = result.going_live
    told = words(found.text)
    return [("SHUT", BAD), told] if found.state == "shut" else [("OPEN", GOOD), told]


def _same(reason: str, by: str | None) -> bool:
    return by is not None and by.endswith(reason)


def _routine(result: StatusResult, one: RoutineResult, *, wide: bool) -> list[Cell]:
    now = result.at
    if one.last_run is None:
        said: Cell = "never ran"
    else:
        style = "" if one.exit_code == 0 else BAD if one.exit_code in {1, 6} else WARN
        words_of = one.said or DASH
        told = words_of if wide else words_of.replace(" passed)", ")")
        said = (f"{when(one.last_run, now)} {told}", style)
    late: list[Cell] = [(f"DID NOT RUN at {one.missed:%H:%M}", BAD)] if one.missed else []
    due = [f"next {when(one.next_due, now)}"] if one.next_due else []
    gaps = [gap for gap in result.missing_runs or () if gap.command == one.command]
    failing = [run for run in result.failing_runs or () if run.command == one.command and run.times > 1]
    if gaps and not late:
        times = sum(gap.times for gap in gaps)
        late = [(f"{times} missed from {gaps[0].first:%H:%M}", WARN)]
    late += [(f"{run.times} without success from {run.since:%H:%M}", BAD) for run in failing]
    return [said, *late, *due]


def when(at: datetime, now: datetime) -> str:
    """The clock alone today, with the day of the week within six days, else with the date."""
    apart = abs(at.date() - now.date())
    form = "%H:%M" if not apart else "%a %H:%M" if apart < timedelta(days=7) else "%Y-%m-%d %H:%M"
    return moment(at, form)


# --- Account, Daily P&L, Market Prices --------------------------------------------------------------


def account(result: StatusResult) -> list[Parts]:
    found = result.account
    name = f"Account {masked(found.account_id)}" if found.account_id else "Account"
    return [
        title(name),
        *pairs(
            [
                ("net liquidation", dollars(found.net_liquidation)),
                ("total cash", dollars(found.total_cash)),
                ("available funds", dollars(found.available_funds)),
                ("buying power", dollars(found.buying_power)),
            ]
        ),
    ]


def day(result: StatusResult, width: int) -> list[Parts]:
    today = result.performance
    rows = pairs(
        [
            ("realized", money(today.daily_realized_pnl)),
            ("unrealized", money(today.unrealized_pnl)),
            ("total", money(today.total_pnl)),
        ]
    )
    return [title("Daily P&L"), *rows, _bar(result, 6 if width < WIDE else 16)]


def _bar(result: StatusResult, cells: int) -> Parts:
    """How much of the day's loss limit is used up."""
    today = result.performance
    limit = dollars(today.max_daily_loss)
    if today.total_pnl is None or today.max_daily_loss is None:
        return [(f"limit {limit}", "")]
    if today.risk_breached:
        return [("█" * cells, BAD), (f" BREACHED {limit}", BAD)]
    lost = abs(min(float(today.total_pnl), 0.0))
    used = lost / float(today.max_daily_loss) if today.max_daily_loss else 1.0
    full = min(round(used * cells), cells)
    style = GOOD if not full else WARN if used < 1 else BAD
    return [("█" * full, style), ("░" * (cells - full), "dim"), f" {used:.0%} of {limit}"]


def market(result: StatusResult, width: int) -> list[Parts]:
    market, last = result.market, result.last_prices
    lines = [title("Market Prices")]
    if market.spx_price is None and market.spy_price is None and last.at is not None:
        return [
            *lines,
            *pairs([("SPX", amount(last.spx_price)), ("SPY", amount(last.spy_price))]),
            [(f"marked {when(last.at, result.at)}, {_ago(last.at, result.at)}", WARN)],
        ]
    states = {state.of: state for state in result.market_prices}
    both = (("SPX", market.spx_price), ("SPY", market.spy_price))
    figures = max(len(amount(price)) for _, price in both)
    for name, price in both:
        told = _state(states.get(name))
        shown: Parts = [(f"{name} ", "dim"), amount(price).rjust(figures)]
        if width < WIDE and width_of([told]) > len("live 12 s"):
            lines += [shown, ["  ", told]]
        else:
            lines.append([*shown, " ", told])
    return [*lines, [("ratio ", "dim"), amount(market.ratio, 4)]]


def _state(state: PriceState | None) -> Cell:
    """Data type and age of one price."""
    if state is None:
        return ""
    if state.age_seconds is None:
        return "missing", BAD
    word = f"halted, {state.data or 'unknown'}" if state.halted else state.data or "unknown"
    return f"{word} {state.age_seconds:.0f} s", "" if word == "live" else WARN


def _ago(at: datetime, now: datetime) -> str:
    seconds = max((now - at).total_seconds(), 0.0)
    return f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    """`40 s`, `5 min`, `5 h 04 min`, `3 days`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} days"


# --- Open Positions ---------------------------------------------------------------------------------


def positions(result: StatusResult, width: int) -> list[Parts]:
    if not result.positions:
        return [[("Open Positions", HEAD), "  none"]]
    exits = {one.trade_id: one for one in result.exits}
    old = [_old(result, exits.get(position.trade_id)) for position in result.positions]
    together = all(one == old[0] for one in old)
    lines = flow([("Open Positions", HEAD), *(old[0] if together else [])], width)
    for position, age in zip(result.positions, old, strict=True):
        lines += _position(result, position, exits.get(position.trade_id), [] if together else age, width)
    return lines


def _position(
    result: StatusResult,
    position: StatusPosition,
    exits: PositionExits | None,
    age: list[Cell],
    width: int,
) -> list[Parts]:
    status: Cell = (position.status.value, GOOD if position.status == "ACTIVE" else BAD)
    if position.needs_human:
        status = (f"{position.status.value}: NEEDS A HUMAN", BAD)
    entered = [f"entered {moment(position.entry_time, '%H:%M:%S')}"] if width >= WIDE else []
    first: list[Cell | Parts] = [
        [(f"#{position.trade_id}", HEAD), " ", status],
        f"SPY {words(position.spy_strike)} SPX {words(position.spx_strike)}",
        *entered,
        f"credit {dollars(position.entry_credit)}",
        ["P&L ", money(position.current_pnl)],
    ]
    worst = money(position.worst_case)
    head = flow([*first, ["worst case ", worst]], width, INDENT)
    if len(head) > 1:
        head = flow([*first, ["worst ", worst]], width, INDENT)
    what = prose(sentence(position.what), width, WARN, indent=" " * INDENT) if position.what else []
    spaced, tight = (
        flow([*_behind(result, position, exits, width, blank), *age], width - INDENT) for blank in (" ", "")
    )
    rest = tight if len(tight) < len(spaced) else spaced
    indented = [[" " * INDENT, *line] for line in rest]
    return [*head, *what, *_distances(exits, width), *indented]


def _distances(exits: PositionExits | None, width: int) -> list[Parts]:
    found = None if exits is None else exits.distances
    if found is None:
        return []
    wide = width >= WIDE
    to_price, to_loss = found.to_assignment, found.to_loss_limit
    at, least = amount(found.assignment_at), dollars(-found.loss_limit)
    reached = to_price is not None and to_price <= 0
    price: Cell = (f"{dollars(to_price)}", BAD if reached else "")
    loss: Cell = (dollars(to_loss), BAD if to_loss is not None and to_loss < 0 else "")
    due = found.to_time_exit <= 0
    clock: Cell = ("DUE", BAD) if due else _span(found.to_time_exit)
    until = f"{'since ' if due else 'to '}{found.time_exit_at:%H:%M}"
    items: list[Cell | Parts] = [
        ["exits: assignment ", price, f" to SPY {at}" if wide else f" ({at})"],
        ["loss ", loss, f" to {least}" if wide else ""],
        ["time ", clock, f" {until}" if wide else f" ({found.time_exit_at:%H:%M})"],
    ]
    if found.brought_forward:
        items.append((found.brought_forward, WARN))
    return [[" " * INDENT, *line] for line in flow(items, width - INDENT)]


def _behind(
    result: StatusResult, position: StatusPosition, exits: PositionExits | None, width: int, blank: str
) -> list[Cell | Parts]:
    """What is behind a position; `blank` stands between a greek's name and its figure."""
    points = position.strike_mismatch_points
    mismatch = DASH if points is None else f"{float(points):+.2f}"
    items: list[Cell | Parts] = [f"mismatch {mismatch}{' points' if width >= WIDE else ''}"]
    if exits is not None:
        items.append(_failsafe(exits))
    if result.show_greeks:
        items.append(_greeks(position, blank, wide=width >= WIDE))
    return items


def _failsafe(exits: PositionExits) -> Cell:
    found = exits.failsafe
    start = f" from {found.active_from:%H:%M}" if found.active_from else ""
    if found.resting is None:
        if found.sent:
            return f"fail-safe sent {found.sent}{start}"
        return ("no fail-safe", WARN) if found.wanted else "no fail-safe"
    if found.resting:
        return f"fail-safe {found.resting}{start}"
    return ("NO FAIL-SAFE", BAD) if found.wanted else "no fail-safe"


def _greeks(position: StatusPosition, blank: str, *, wide: bool) -> Cell:
    found = position.greeks
    names = ("delta", "gamma", "theta", "vega") if wide else ("Δ", "Γ", "Θ", "ν")  # noqa: RUF001 -- the trader's letters
    values = (found.delta, found.gamma, found.theta, found.vega)
    if found.source is None:
        return "greeks not known"
    told = [f"{name}{blank}{_slope(value, wide=wide)}" for name, value in zip(names, values, strict=True)]
    return " ".join(told)


def _slope(value: float | None, *, wide: bool) -> str:
    """A greek with its sign: three digits, a large one whole."""
    if value is None:
        return DASH
    if wide:
        return f"{value:+,.2f}" if abs(value) >= 1 else f"{value:+.4f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 3
    return f"{value:+,.{digits}f}"


def _old(result: StatusResult, exits: PositionExits | None) -> list[Cell]:
    """How old all this is, where it is not of now."""
    if exits is None or result.status.is_connected:
        return []
    if exits.as_of is None:
        return [("never marked", WARN)]
    return [(f"marked {when(exits.as_of, result.at)}, {_ago(exits.as_of, result.at)}", WARN)]


# --- Recent Trades ----------------------------------------------------------------------------------


def trades(result: StatusResult, width: int, most: int = TRADES_SHOWN) -> list[Parts]:
    """The newest trades, as many beside each other as fit."""
    shown = result.trades[:most]
    if not shown:
        return [[("Recent Trades", HEAD), "  none"]]
    return [title("Recent Trades"), *in_columns(_trade_cells(shown, result.at), width)]


def _trade_cells(shown: Sequence[TradeResult], now: datetime) -> list[Parts]:
    this_year = all(f"{trade.trade_date:%Y}" == f"{now:%Y}" for trade in shown)
    form = "%m-%d" if this_year else "%Y-%m-%d"
    numbers = max(len(str(trade.id)) for trade in shown)
    outcomes = max(len(_outcome(trade)) for trade in shown)
    pnls = max(len(text_of(money(trade.final_pnl))) for trade in shown)
    cells: list[Parts] = []
    for trade in shown:
        pnl = money(trade.final_pnl)
        blank = " " * (pnls - width_of([pnl]))
        style = BAD if trade.status == "ERROR" else ""
        cells.append(
            [
                f"{trade.trade_date.strftime(form)} #{str(trade.id).ljust(numbers)} ",
                (_outcome(trade).ljust(outcomes), style),
                f" {blank}",
                pnl,
            ]
        )
    return cells


def _outcome(trade: TradeResult) -> str:
    """Why it was exited; of an open one its status."""
    if trade.status == "CLOSED":
        return str(trade.exit_reason or trade.status)
    return str(trade.status)
