"""What each command's screen says: lines, tables and pairs as plain values. The view draws them.

Every function takes the command's JSON object, complete with all its keys. Missing is a dash, never 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from spxarb.cli.shapes import as_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spxarb.cli.shapes import Object
    from spxarb.core.result import Result

DASH = "–"  # noqa: RUF001 -- a dash is what is meant
BARS = "▁▂▃▄▅▆▇█"
GOOD, BAD, WARN, HEAD = "green", "bold red", "yellow", "bold"

_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


@dataclass(frozen=True)
class Line:
    """One line, or several, of text."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Grid:
    """A table; a leading > in a column's name aligns it to the right."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Pairs:
    """Names and their values."""

    title: str
    rows: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Beside:
    """Blocks next to each other, as many as the width allows."""

    blocks: tuple[Pairs, ...]


Block = Line | Grid | Pairs | Beside


def screen(result: Result) -> list[Block]:
    """A headline, the command's own blocks, the notes. A job that failed before it had anything has none."""
    blocks: list[Block] = []
    if result.data or not result.exit_code:
        content = as_object(result)
        time = moment(content["at"], "%a %Y-%m-%d %H:%M:%S ET")
        blocks.append(Line(" · ".join([result.command, words(content["mode"]), time]), HEAD))
        blocks += _SCREENS.get(result.command, _anything)(content)
    return blocks + ([Line("\n" + "\n".join(result.notes))] if result.notes else [])


# --- cells ----------------------------------------------------------------------------------------


def money(value: float | None) -> Cell:
    """Dollars with sign and cents: gains green, losses red."""
    if value is None:
        return DASH
    rounded = round(value, 2)
    if not rounded:
        return "0.00"
    return f"{rounded:+,.2f}", GOOD if rounded > 0 else "red"


def amount(value: float | None, places: int = 2) -> str:
    """A price, a balance or a limit: only a debt has a sign."""
    return DASH if value is None else f"{value:,.{places}f}"


def words(value: object) -> str:
    """Any plain value in few words."""
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4f}".rstrip("0").rstrip(".")
        case list():
            return ", ".join(map(words, value)) or DASH
        case dict():
            return ", ".join(f"{key} {words(item)}" for key, item in value.items()) or DASH
        case _:
            text = str(value)
            return moment(text) if _ISO_TIME.match(text) else text


def moment(value: str | None, form: str = "%m-%d %H:%M:%S") -> str:
    """An ISO 8601 time, shorter."""
    try:
        return datetime.fromisoformat(value).strftime(form) if value else DASH
    except ValueError:
        return str(value)


def sparkline(values: Sequence[float]) -> str:
    """One bar a value, from the least to the greatest."""
    low = min(values)
    step = (max(values) - low) / (len(BARS) - 1) or 1.0
    return "".join(BARS[round((value - low) / step)] for value in values)


def _verdict(ok: bool | None) -> Cell:
    return DASH if ok is None else ("ok", GOOD) if ok else ("NO", BAD)


def _yes(value: bool | None, *, bad: bool = False) -> Cell:
    """Yes or no; the answer `bad` is red."""
    return DASH if value is None else (words(value), BAD if value is bad else GOOD)


def _cells(row: Object, columns: Sequence[tuple[str, str, Callable[[Any], Cell]]]) -> list[Cell]:
    return [form(row[key]) for _, key, form in columns]


def _grid(
    title: str, columns: Sequence[tuple[str, str, Callable[[Any], Cell]]], rows: Iterable[Object]
) -> Grid:
    """A table of objects: for each column its head, the key, and how its value is written."""
    return Grid(title, tuple(head for head, _, _ in columns), [_cells(row, columns) for row in rows])


# --- columns: head, key, form ---------------------------------------------------------------------

_CHECKS = (
    ("check", "name", words),
    ("", "ok", _verdict),
    (">value", "value", words),
    (">limit", "limit", words),
    ("why", "message", words),
)
_LEGS = (
    ("", "action", words),
    (">quantity", "quantity", words),
    ("class", "trading_class", words),
    ("expiry", "expiration", words),
    (">strike", "strike", words),
    ("", "right", words),
    (">bid", "bid", amount),
    (">ask", "ask", amount),
    (">filled at", "fill_price", amount),
)
_POSITIONS = (
    (">trade", "trade_id", words),
    ("entered", "entry_time", moment),
    (">SPY strike", "spy_strike", words),
    (">SPX strike", "spx_strike", words),
    (">credit", "entry_credit", money),
    (">P&L now", "current_pnl", money),
    ("status", "status", words),
)
_EXITS = (
    *_POSITIONS,
    ("exit reason", "exit_reason", words),
    ("action", "action", lambda value: (words(value), BAD if value == "failed" else "")),
    ("left to settlement", "residual", words),
)


def _day(value: str | None) -> str:
    return words(value)[:10]


_TRADES = (
    (">id", "id", words),
    ("date", "trade_date", _day),
    (">SPY strike", "spy_strike", words),
    (">SPX strike", "spx_strike", words),
    (">credit", "entry_credit", money),
    (">exit cost", "exit_cost", amount),
    (">P&L", "final_pnl", money),
    (">commissions", "commissions", amount),
    ("exit reason", "exit_reason", words),
    ("status", "status", words),
)
_DAYS = (
    ("date", "date", words),
    (">trades", "trades_count", words),
    (">won", "winning_trades", words),
    (">lost", "losing_trades", words),
    (">before commissions", "total_pnl", money),
    (">commissions", "total_commissions", amount),
    (">net", "net_pnl", money),
    (">drawdown", "max_drawdown", amount),
)


# --- screens --------------------------------------------------------------------------------------


def _enter(content: Object) -> list[Block]:
    failed = [check["name"] for check in content["checks"] if check["ok"] is False]
    headline = {
        "entered": Line(f"Entered: trade {words(content['trade_id'])}", GOOD),
        "skipped": Line(f"No entry: {', '.join(failed) or 'see the notes'}", WARN),
        "aborted": Line("Aborted: begun and undone", BAD),
        "dry_run": Line(f"Dry run: would {words(content['would'])}", WARN),
    }.get(content["outcome"], Line("No decision", BAD))
    prices, credit, risk = content["prices"], content["credit"], content["risk"]
    quotes = [
        ("SPX", amount(prices["spx"])),
        ("SPY", amount(prices["spy"])),
        ("ratio", amount(prices["ratio"], 4)),
    ]
    earned = [
        ("gross", money(credit["gross"])),
        ("commissions", amount(credit["commissions"])),
        ("net", money(credit["net"])),
    ]
    truth = [
        ("strike mismatch, index points", amount(risk["strike_mismatch_points"])),
        ("edge, dollars", money(risk["edge"])),
        ("worst case, dollars", money(risk["worst_case"])),
    ]
    return [
        headline,
        _grid("Checks", _CHECKS, content["checks"]),
        _grid("Legs", _LEGS, content["legs"]),
        Line(""),
        Beside(
            (
                Pairs("Prices", quotes),
                Pairs("Credit, dollars", earned),
                Pairs("What stands behind the credit", truth),
            )
        ),
        *_truth(risk["edge"]),
    ]


def _truth(edge: float | None) -> list[Block]:
    """Whether the credit is a gain or the price of a risk."""
    if edge is None:
        return []
    if edge <= 0:
        return [Line("\nNo edge: the credit only pays for the mismatch of the strikes and for costs.", WARN)]
    return [Line(f"\nOf the credit {amount(edge)} dollars are more than the strikes' mismatch is worth.")]


def _monitor(content: Object) -> list[Block]:
    differences: list[list[Cell]] = [[(words(each), WARN)] for each in content["reconciliation"]]
    return [
        _grid("Positions", _EXITS, content["positions"]),
        Grid("Differences between ledger and broker", ("what",), differences),
    ]


def _close_all(content: Object) -> list[Block]:
    return [_grid("Positions", _EXITS, content["positions"]), _flatness(content)]


def _flatness(content: Object) -> Line:
    if content["flat"]:
        asked = content.get("asked_broker", True)
        return Line("\nFlat, seen at the broker.", GOOD) if asked else Line("\nNothing is open.", GOOD)
    actions = {position["action"] for position in content["positions"]}
    if actions == {"closed"}:
        return Line("\nOnly worthless SPX calls are left, to cash settlement.", WARN)
    return Line("\nNot seen flat.", "" if actions == {"would_close"} else BAD)


def _switch(content: Object) -> list[Block]:
    if content["is_trading"] is None:
        return []
    reason = f" ({content['reason']})" if content["reason"] else ""
    return [
        Line(f"New entries are {'allowed' if content['is_trading'] else 'forbidden'}{reason}; exits go on.")
    ]


def _settle(content: Object) -> list[Block]:
    summary = [content["summary"]] if content["summary"]["date"] else []
    state = (
        Line("\nProvisional: final when the next morning shows no assigned shares.", WARN)
        if content["provisional"]
        else Line("\nFinal.", GOOD)
    )
    return [_grid("Trades", _TRADES, content["trades"]), _grid("Day", _DAYS, summary), state]


def _status(content: Object) -> list[Block]:
    # This command tells only part of a trade.
    keys = ("id", "trade_date", "entry_credit", "final_pnl", "exit_reason", "status")
    return [
        Beside(_dashboard(content)),
        _grid("Positions", _POSITIONS, content["positions"]),
        _grid("Trades", [each for each in _TRADES if each[1] in keys], content["trades"]),
    ]


def _dashboard(content: Object) -> tuple[Pairs, ...]:
    system, account = content["status"], content["account"]
    market, today = content["market"], content["performance"]
    return (
        Pairs(
            "System",
            [
                ("new entries", _yes(system["is_trading"])),
                ("connected", _yes(system["is_connected"])),
                ("open positions", words(system["open_positions"])),
                ("trades today", words(system["trades_today"])),
            ],
        ),
        Pairs(
            "Market",
            [
                ("SPX", amount(market["spx_price"])),
                ("SPY", amount(market["spy_price"])),
                ("ratio", amount(market["ratio"], 4)),
            ],
        ),
        Pairs(
            f"Account {words(account['account_id'])}",
            [
                (name.replace("_", " "), amount(account[name]))
                for name in ("net_liquidation", "total_cash", "available_funds", "buying_power")
            ],
        ),
        Pairs(
            "Today",
            [
                ("realized", money(today["daily_realized_pnl"])),
                ("unrealized", money(today["unrealized_pnl"])),
                ("total", money(today["total_pnl"])),
                ("loss limit", amount(today["max_daily_loss"])),
                ("limit breached", _yes(today["risk_breached"], bad=True)),
            ],
        ),
    )


def _report(content: Object) -> list[Block]:
    blocks: list[Block] = [
        _grid("Trades", _TRADES, content["trades"]),
        _grid("Days", _DAYS, content["days"]),
    ]
    dated = [(day["date"], day["net_pnl"]) for day in content["days"] if day["net_pnl"] is not None]
    curve = list(accumulate(net for _, net in sorted(dated)))
    if len(curve) > 1:
        blocks.append(Line(f"\nNet P&L, summed over the days: {sparkline(curve)} {curve[-1]:+,.2f}"))
    return [*blocks, Line(""), Pairs("Statistics of the closed trades", _named(content["statistics"]))]


def _named(values: Object, above: str = "") -> list[tuple[str, Cell]]:
    """Nested names and values in one column; a pair of numbers is an interval."""
    rows: list[tuple[str, Cell]] = []
    for key, value in values.items():
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(value, dict):
            rows += _named(value, name)
        elif isinstance(value, list) and len(value) == 2 and not isinstance(value[0], str):
            rows.append((name, f"{words(value[0])} to {words(value[1])}"))
        else:
            rows.append((name, words(value)))
    return rows


def _anything(content: Object) -> list[Block]:
    """A command without a screen of its own: single values first, then a table for each list of objects."""
    single: Object = {}
    grids: list[Block] = []
    for key, value in content.items():
        if key in {"command", "at", "mode", "exit_code", "error", "notes"}:
            continue
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            names = tuple(dict.fromkeys(name for item in value for name in item))
            rows = [[words(item.get(name)) for name in names] for item in value]
            grids.append(Grid(key.replace("_", " ").capitalize(), names, rows))
        else:
            single[key] = value
    return [*([Pairs("", _named(single))] if single else []), *grids]


_SCREENS: dict[str, Callable[[Object], list[Block]]] = {
    "enter": _enter,
    "monitor": _monitor,
    "close-all": _close_all,
    "start": _switch,
    "stop": _switch,
    "settle": _settle,
    "status": _status,
    "report": _report,
}
