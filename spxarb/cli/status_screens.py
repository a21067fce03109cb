"""`status` on the screen: six panels for any width from 80 columns, short enough for 24 lines.

Every panel is a list of lines (`cli/lines.py`). Missing is a dash, never 0; colours say good, bad, unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, DASH, GOOD, HEAD, WARN, Fitted, amount, moment, words
from spxarb.cli.lines import beside, flow, in_columns, pairs, prose, title, width_of
from spxarb.core.masking import masked
from spxarb.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from spxarb.cli.blocks import Block, Cell
    from spxarb.cli.lines import Parts
    from spxarb.core.price_state import PriceState
    from spxarb.core.results.status import (
        PositionExits,
        RoutineResult,
        SessionResult,
        StatusPosition,
        StatusResult,
        TradeResult,
    )

TRADES_SHOWN = 10
WIDE = 116
"""From so many columns on, words stand in full."""
INDENT = 3


def status(result: StatusResult) -> list[Block]:
    """The screen of one look; with the tables of `--risk`, if they were asked for."""
    from spxarb.cli import risk_screens  # noqa: PLC0415 -- no other command needs it

    return [
        Fitted(lambda width: [*headline(result, width), *trouble(result, width), *upper(result, width)]),
        *risk_screens.risk(result),
        Fitted(lambda width: trades(result, width)),
    ]


def headline(result: StatusResult, width: int) -> list[Parts]:
    """Command, mode and time; the session's hours where the day is an ordinary one."""
    first = f"status · {words(result.mode)} · {moment(result.at, '%a %Y-%m-%d %H:%M:%S ET')}"
    session = result.session
    if session.open is None or not _ordinary(session):
        return [[(first, HEAD)], *prose(session_line(session), width, WARN if session.doubt else "")]
    hours = f"session {moment(session.open, '%H:%M')}-{moment(session.close, '%H:%M')}"
    return flow([(first, HEAD), hours], width)


def _ordinary(session: SessionResult) -> bool:
    return not (session.half_day or session.why or session.doubt)


def session_line(session: SessionResult) -> str:
    """The day's session in one sentence."""
    day = f"{session.day:%a %Y-%m-%d}" if session.day else DASH
    why = f" ({session.why})" if session.why else ""
    doubt = f" {session.doubt}." if session.doubt else ""
    if session.open is None:
        return f"No session on {day}{why}.{doubt}" if session.day else DASH
    kind = "half-day" if session.half_day else "session"
    clock = {
        name: moment(getattr(session, name), "%H:%M") for name in ("open", "close", "exit_at", "settle_at")
    }
    return (
        f"{day}: {kind} {clock['open']}-{clock['close']}{why}, time exit {clock['exit_at']}, "
        f"settlement {clock['settle_at']}.{doubt}"
    )


def trouble(result: StatusResult, width: int, *, told: str = "") -> list[Parts]:
    """What needs a human and where ledger and broker differ; without what `told` has said already."""
    lines: list[Parts] = []
    known = told.casefold()
    for matter in result.matters:
        if matter.text.casefold() not in known:
            since = f"since {_when(datetime.fromisoformat(matter.since), result.at)}"
            text = (
                f"NEEDS A HUMAN: {sentence(matter.text)} Matter {matter.id} {since}: spxarb ack {matter.id}."
            )
            lines += prose(text, width, BAD)
    for difference in result.reconciliation:
        if difference.casefold() not in known:
            lines += prose(f"Differences between ledger and broker: {sentence(difference)}", width, WARN)
    return lines


def upper(result: StatusResult, width: int, *, paths: bool = True) -> list[Parts]:
    """All panels but the trades."""
    return [
        *system(result, width, paths=paths),
        *beside([_account(result), _day(result, width), _market(result, width)], width),
        *positions(result, width),
    ]


# --- System Status ----------------------------------------------------------------------------------


def system(result: StatusResult, width: int, *, paths: bool = True) -> list[Parts]:
    rows: list[tuple[str, list[Cell]]] = [
        ("gateway", _connected(result)),
        ("trading", _trading(result)),
        *((one.command, _routine(one, result.at, wide=width >= WIDE)) for one in result.routines),
    ]
    if result.lock.pid is not None:
        since = moment(result.lock.since, "%H:%M:%S")
        rows.append(("lock", [f"`{result.lock.command}`", f"process {result.lock.pid}", f"since {since}"]))
    if paths and result.paths.ledger:
        missing: list[Cell] = [] if result.paths.ledger_exists else [("there is none", WARN)]
        rows += [
            ("ledger", [result.paths.ledger, *missing]),
            ("config", [result.paths.configuration or "no file: the defaults"]),
        ]
    wide = max(len(name) for name, _ in rows) + 2
    lines = [title("System Status")]
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
    if found.state == "ACTIVE":
        return [("ACTIVE", GOOD), *lock]
    told: list[Cell] = [("STOPPED", BAD)]
    if found.since:
        told.append(f"since {_when(found.since, result.at)}")
    told += [f"by {found.by}"] if found.by else []
    return [*told, *([found.reason] if found.reason and not _same(found.reason, found.by) else []), *lock]


def _same(reason: str, by: str | None) -> bool:
    return by is not None and by.endswith(reason)


def _routine(one: RoutineResult, now: datetime, *, wide: bool) -> list[Cell]:
    if one.last_run is None:
        said: Cell = "never ran"
    else:
        style = "" if one.exit_code == 0 else BAD if one.exit_code in {1, 6} else WARN
        words_of = one.said or DASH
        told = words_of if wide else words_of.replace(" passed)", ")")
        said = (f"{_when(one.last_run, now)} {told}", style)
    late: list[Cell] = [(f"DID NOT RUN at {one.missed:%H:%M}", BAD)] if one.missed else []
    due = [f"next {_when(one.next_due, now)}"] if one.next_due else []
    return [said, *late, *due]


def _when(at: datetime, now: datetime) -> str:
    """The clock alone today, with the day of the week within six days, else with the date."""
    apart = abs(at.date() - now.date())
    form = "%H:%M" if not apart else "%a %H:%M" if apart < timedelta(days=7) else "%Y-%m-%d %H:%M"
    return moment(at, form)


# --- Account, Daily P&L, Market Prices --------------------------------------------------------------


def dollars(value: Decimal | float | None, *, signed: bool = False) -> str:
    """`$1,000.00`, `-$41.80`; `signed`: `+$152.30`."""
    if value is None:
        return DASH
    rounded = round(float(value), 2)
    sign = "-" if rounded < 0 else "+" if signed and rounded > 0 else ""
    return f"{sign}${abs(rounded):,.2f}"


def gain(value: Decimal | float | None) -> Cell:
    """Dollars won or lost: green or red."""
    text = dollars(value, signed=True)
    if value is None or not round(float(value), 2):
        return text
    return text, GOOD if value > 0 else "red"


def _account(result: StatusResult) -> list[Parts]:
    account = result.account
    name = f"Account {masked(account.account_id)}" if account.account_id else "Account"
    return [
        title(name),
        *pairs(
            [
                ("net liquidation", dollars(account.net_liquidation)),
                ("total cash", dollars(account.total_cash)),
                ("available funds", dollars(account.available_funds)),
                ("buying power", dollars(account.buying_power)),
            ]
        ),
    ]


def _day(result: StatusResult, width: int) -> list[Parts]:
    today = result.performance
    rows = pairs(
        [
            ("realized", gain(today.daily_realized_pnl)),
            ("unrealized", gain(today.unrealized_pnl)),
            ("total", gain(today.total_pnl)),
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


def _market(result: StatusResult, width: int) -> list[Parts]:
    market, last = result.market, result.last_prices
    lines = [title("Market Prices")]
    if market.spx_price is None and market.spy_price is None and last.at is not None:
        return [
            *lines,
            *pairs([("SPX", amount(last.spx_price)), ("SPY", amount(last.spy_price))]),
            [(f"marked {_when(last.at, result.at)}, {_ago(last.at, result.at)}", WARN)],
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
        ["P&L ", gain(position.current_pnl)],
    ]
    worst = gain(position.worst_case)
    head = flow([*first, ["worst case ", worst]], width, INDENT)
    if len(head) > 1:
        head = flow([*first, ["worst ", worst]], width, INDENT)
    what = prose(sentence(position.what), width, WARN, indent=" " * INDENT) if position.what else []
    rest = [*_behind(result, position, exits, width), *age]
    indented = [[" " * INDENT, *line] for line in flow(rest, width - INDENT)]
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
    clock = f"{_span(found.to_time_exit)}"
    items: list[Cell | Parts] = [
        ["exits: assignment ", price, f" to SPY {at}" if wide else f" ({at})"],
        ["loss ", loss, f" to {least}" if wide else ""],
        f"time {clock} {'to ' if wide else '('}{found.time_exit_at:%H:%M}{'' if wide else ')'}",
    ]
    if found.brought_forward:
        items.append((found.brought_forward, WARN))
    return [[" " * INDENT, *line] for line in flow(items, width - INDENT)]


def _behind(
    result: StatusResult, position: StatusPosition, exits: PositionExits | None, width: int
) -> list[Cell | Parts]:
    points = position.strike_mismatch_points
    mismatch = DASH if points is None else f"{float(points):+.2f}"
    items: list[Cell | Parts] = [f"mismatch {mismatch}{' points' if width >= WIDE else ''}"]
    if exits is not None:
        items.append(_failsafe(exits))
    if result.show_greeks:
        items.append(_greeks(position, wide=width >= WIDE))
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


def _greeks(position: StatusPosition, *, wide: bool) -> Cell:
    found = position.greeks
    names = ("delta", "gamma", "theta", "vega") if wide else ("Δ", "Γ", "Θ", "ν")  # noqa: RUF001 -- the trader's letters
    values = (found.delta, found.gamma, found.theta, found.vega)
    if found.source is None:
        return "greeks not known"
    told = [f"{name} {_slope(value, wide=wide)}" for name, value in zip(names, values, strict=True)]
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
    return [(f"marked {_when(exits.as_of, result.at)}, {_ago(exits.as_of, result.at)}", WARN)]


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
    pnls = max(len(dollars(trade.final_pnl, signed=True)) for trade in shown)
    cells: list[Parts] = []
    for trade in shown:
        pnl = gain(trade.final_pnl)
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


# --- the live screen --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """What a live screen has room for."""

    width: int
    height: int


def live(result: StatusResult, frame: Frame, chart: Sequence[str] = ()) -> list[Parts]:
    """The whole screen of a look, at most `frame.height` lines: trouble first, then the panels.

    What leaves first where there is no room: the chart, older trades, notes, the paths. `chart`: its lines.
    """
    width = frame.width
    error = prose(result.error, width, BAD) if result.error else []
    top = [*headline(result, width), *error, *trouble(result, width, told=result.error or "")]
    notes = [line for note in result.notes for line in prose(note, width, WARN)]
    for paths, most in ((True, TRADES_SHOWN), (True, 4), (False, 4), (False, 1)):
        body = [*top, *upper(result, width, paths=paths), *trades(result, width, most)]
        if len(body) <= frame.height:
            return _filled(body, notes, chart, frame.height)
    body = [*top, *positions(result, width), *upper(result, width, paths=False)]
    return _with_end(_once(body), frame.height)


def _filled(body: list[Parts], notes: list[Parts], chart: Sequence[str], height: int) -> list[Parts]:
    """With the notes and the chart, as far as there is room for them whole."""
    if len(body) + len(notes) <= height:
        body = [*body, *notes]
    elif notes and len(body) < height:
        body = [*body, [(f"{len(notes)} lines of notes: a taller window shows them", WARN)]]
    drawn: list[Parts] = [[line] for line in chart]
    return [*body, *drawn] if len(body) + len(drawn) <= height else body


def _once(lines: Iterable[Parts]) -> list[Parts]:
    """The lines, none of them a second time."""
    seen: list[Parts] = []
    for line in lines:
        if line not in seen:
            seen.append(line)
    return seen


def _with_end(lines: list[Parts], height: int) -> list[Parts]:
    if len(lines) <= height:
        return lines
    left = len(lines) - height + 1
    return [*lines[: height - 1], [(f"{left} lines more: make the window taller", WARN)]]
