"""What each command's screen says: lines, tables and pairs as plain values. The view draws them.

Every function takes the command's result. Missing is a dash, never 0.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from spxarb.cli.blocks import (
    BAD,
    DASH,
    GOOD,
    HEAD,
    WARN,
    Block,
    Cell,
    Columns,
    Line,
    Pairs,
    Part,
    grid,
    moment,
    words,
)
from spxarb.cli.folding import folded
from spxarb.cli.layout import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spxarb.core.result import Result
    from spxarb.core.results.ack import AckResult
    from spxarb.core.results.hand_over import EndedOrder, HandedLeg, HandOverResult
    from spxarb.core.results.record import RecordResult
    from spxarb.core.results.report import ReportResult
    from spxarb.core.results.rows import MatterRow
    from spxarb.core.results.sim import SimResult
    from spxarb.core.results.status import StatusResult
    from spxarb.core.results.switch import SwitchResult


def screen(result: Result) -> list[Block]:
    """A headline, the command's own blocks, the notes. A failure with nothing to show has none of them."""
    blocks: list[Block] = []
    if not result.exit_code or _has_content(result):
        time = moment(result.at, "%a %Y-%m-%d %H:%M:%S ET")
        if result.command == "status":  # it has a headline of its own
            return _SCREENS[result.command](result) + _notes(result)
        blocks.append(Line(" · ".join([result.command, words(result.mode), time]), HEAD))
        blocks += _SCREENS.get(result.command, _anything)(result)
    return blocks + _notes(result)


def fitted(result: Result, width: int, height: int) -> list[Block]:
    """As `screen`, as far as so many lines have room for it."""
    blocks = screen(result)
    if result.command == "status" and len(lines(blocks, width)) > height:
        from spxarb.cli.status_screens import in_parts  # noqa: PLC0415 -- no other command needs it

        return folded(in_parts(cast("StatusResult", result)), width, height, gap="")
    return folded(blocks, width, height)


def brief_error(result: Result) -> str:
    """The line on stderr where the screen above it has told the rest; empty where it is the error's own."""
    failed = [line.name for line in getattr(result, "checks", ()) if getattr(line, "verdict", "") == "failed"]
    if result.command != "doctor" or not failed:
        return ""
    return f"{', '.join(failed)} failed; the screen says how to mend it. Mend it and run this again."


def _notes(result: Result) -> list[Block]:
    return [Line("\n" + "\n".join(result.notes))] if result.notes else []


def _has_content(result: Result) -> bool:
    """Whether any of the command's own fields says more than it does by itself."""
    return result.own() != type(result)(result.command, result.at, result.mode).own()


# --- cells ----------------------------------------------------------------------------------------


def _yes(value: bool | None, *, bad: bool = False) -> Cell:
    """Yes or no; the answer `bad` is red."""
    return DASH if value is None else (words(value), BAD if value is bad else GOOD)


# --- columns --------------------------------------------------------------------------------------

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
_MATTERS: Columns[MatterRow] = (
    (">id", lambda matter: words(matter.id)),
    ("since", lambda matter: moment(matter.since, "%Y-%m-%d %H:%M")),
    ("what", lambda matter: (matter.text, BAD)),
)


# --- screens --------------------------------------------------------------------------------------


def _elsewhere(module: str, name: str) -> Callable[[Any], list[Block]]:
    """The screen of a command in a file of its own, which no other command needs."""

    def draw(result: Any) -> list[Block]:
        blocks: list[Block] = getattr(import_module(f"spxarb.cli.{module}"), name)(result)
        return blocks

    return draw


def _switch(result: SwitchResult) -> list[Block]:
    if result.is_trading is None:
        return []
    reason = f" ({result.reason})" if result.reason else ""
    first = Line(f"New entries are {'allowed' if result.is_trading else 'forbidden'}{reason}; exits go on.")
    if result.trading.state is None:
        return [first]
    return [first, Line(f"{result.trading}.", GOOD if result.trading.state == "ACTIVE" else WARN)]


def _report(result: ReportResult) -> list[Block]:
    from spxarb.cli import day_screens, history_screens, report_screens  # noqa: PLC0415 -- likewise

    if result.explained is not None:
        return history_screens.explanation(result)
    if result.tax_year is not None:
        return report_screens.tax(result)
    settled, fees = day_screens.settlements(result.settlements), report_screens.fees(result.fees)
    return [
        *report_screens.report(result),
        *([Part("settlements", tuple(settled), leaves=6)] if settled else []),
        *([Part("fees", tuple(fees), leaves=9)] if fees else []),
        *_open_matters(result.matters),
    ]


def _named(values: dict[str, Any]) -> list[tuple[str, Cell]]:
    """Names and values in one column."""
    return [(name.replace("_", " "), words(value)) for name, value in values.items()]


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


def _record(result: RecordResult) -> list[Block]:
    """What was recorded: quotes, the wire, or both."""
    told = {name: value for name, value in result.own().items() if value is not None}
    return [Pairs("", _named(told))] if told else []


def _sim(result: SimResult) -> list[Block]:
    """Of a gateway whose clock was moved: from when to when, and what happened in its account meanwhile."""
    was, now = moment(result.was, "%Y-%m-%d %H:%M:%S"), moment(result.time, "%H:%M:%S")
    quiet = "; nothing happened in the account" if not result.events else ""
    return [Line(f"The clock went from {was} to {now}{quiet}."), *map(Line, result.events)]


def _anything(result: Result) -> list[Block]:
    """A command without a screen of its own: its fields."""
    return [Pairs("", _named(result.own()))]


_SCREENS: dict[str, Callable[[Any], list[Block]]] = {
    "enter": _elsewhere("enter_screens", "enter"),
    "monitor": _elsewhere("position_screens", "monitor"),
    "close-all": _elsewhere("position_screens", "close_all"),
    "start": _switch,
    "stop": _switch,
    "settle": _elsewhere("day_screens", "settle"),
    "reconcile": _elsewhere("statement_screens", "reconcile"),
    "ack": _ack,
    "hand-over": _hand_over,
    "doctor": _elsewhere("doctor_screens", "doctor"),
    "config": _elsewhere("config_screens", "config"),
    "backup": _elsewhere("backup_screens", "backup"),
    "restore": _elsewhere("backup_screens", "restore"),
    "timers": _elsewhere("timer_screens", "timers"),
    "send-alerts": _elsewhere("timer_screens", "send_alerts"),
    "status": _elsewhere("status_screens", "status"),
    "record": _record,
    "report": _report,
    "log": _elsewhere("history_screens", "log"),
    "demo": _elsewhere("day_screens", "demo"),
    "sim": _sim,
    "watchdog": _elsewhere("watching_screens", "watchdog"),
}
