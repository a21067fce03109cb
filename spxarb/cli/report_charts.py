"""Drawings of a report as inline SVG: the equity curve, the histogram of results, the calendar of days.

Pure text from numbers. Colours are classes of the page's style sheet, so that they follow light and dark. A
drawing has a width of its own and shrinks with the page; what it says stands in its title and in a table too.
"""

from __future__ import annotations

from datetime import date, timedelta
from html import escape
from itertools import accumulate
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from spxarb.core.events import count as counted
from spxarb.core.sentences import usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from spxarb.core.performance import DayResult

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 12, 12, 28
MOST_BARS = 24
LEAST_SPAN = 5.0
CELL, GAP = 16, 3
WEEKDAYS = 5
MONTHS_IN_ROW = 6
WEEKS = 6


def _svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, said: str, kind: str = "label", anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _dollars(value: float) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,.0f}"


def round_steps(low: float, high: float, most: int = 5) -> list[float]:
    """Two or more round sums from at most `low` to at least `high`: 1, 2 or 5 times a power of ten apart."""
    rough = max(high - low, LEAST_SPAN) / most
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = floor(low / step)
    last = max(ceil(high / step), first + 1)
    return [number * step for number in range(first, last + 1)]


# --- the equity curve -----------------------------------------------------------------------------


def equity_curve(days: Sequence[DayResult]) -> str:
    """The running total of the net P&L over trading days, from 0."""
    if not days:
        return ""
    totals = [0.0, *accumulate(float(day.net_pnl) for day in days)]
    steps = round_steps(min(totals), max(totals))
    low, high = steps[0], steps[-1]

    def x(index: float) -> float:
        return LEFT + index * (WIDTH - LEFT - RIGHT) / (len(totals) - 1)

    def y(value: float) -> float:
        return TOP + (high - value) * (HEIGHT - TOP - BOTTOM) / ((high - low) or 1)

    parts = []
    for step in steps:
        parts.append(_line(LEFT, y(step), WIDTH - RIGHT, y(step), "axis" if step == 0 else "grid"))
        parts.append(_text(LEFT - 6, y(step) + 4, _dollars(step), anchor="end"))
    points = " ".join(f"{x(index):.1f},{y(total):.1f}" for index, total in enumerate(totals))
    area = f"{x(0):.1f},{y(0):.1f} {points} {x(len(totals) - 1):.1f},{y(0):.1f}"
    parts.append(f'<polygon points="{area}" class="area"/><polyline points="{points}" class="curve"/>')
    parts.append(_text(LEFT, HEIGHT - 8, days[0].day.isoformat(), anchor="start"))
    if len(days) > 1:
        parts.append(_text(WIDTH - RIGHT, HEIGHT - 8, days[-1].day.isoformat(), anchor="end"))
    title = f"Running total of net P&L over {counted(len(days), 'trading day')}: {usd(sum_of(days))}"
    return _svg(WIDTH, HEIGHT, title, parts)


def sum_of(days: Sequence[DayResult]) -> Decimal:
    """The net P&L of these days, dollars."""
    from spxarb.core.model import ZERO  # noqa: PLC0415 -- a name for the line below alone

    return sum((day.net_pnl for day in days), start=ZERO)


# --- the histogram --------------------------------------------------------------------------------


def bins(pnls: Sequence[float]) -> list[tuple[float, float, int]]:
    """From, to (without it), how many: bars of one width with an edge at 0, at most 24 or so."""
    steps = round_steps(min(pnls), max(pnls), MOST_BARS if len(pnls) > MOST_BARS else max(len(pnls), 4))
    width = steps[1] - steps[0]
    first = round(steps[0] / width)
    counts = [0] * len(steps)
    for pnl in pnls:
        counts[min(floor(pnl / width) - first, len(counts) - 1)] += 1
    found = [((first + place) * width, (first + place + 1) * width, n) for place, n in enumerate(counts)]
    while found and not found[-1][2]:
        found.pop()
    return found


def histogram(results: Sequence[Decimal]) -> str:
    """How many trades made how much."""
    if not results:
        return ""
    bars = bins([float(pnl) for pnl in results])
    most = max(count for _, _, count in bars)
    width = (WIDTH - LEFT - RIGHT) / len(bars)
    bottom = HEIGHT - BOTTOM

    def y(count: float) -> float:
        return bottom - count * (bottom - TOP) / most

    parts = []
    for count in sorted({0, ceil(most / 2), most}):
        parts.append(_line(LEFT, y(count), WIDTH - RIGHT, y(count), "grid"))
        parts.append(_text(LEFT - 6, y(count) + 4, str(count), anchor="end"))
    every = ceil(len(bars) / 6)
    for place, (low, high, count) in enumerate(bars):
        x = LEFT + place * width
        kind = "loss" if low < 0 else "gain"
        told = escape(f"{_dollars(low)} to {_dollars(high)}: {count}")
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{y(count):.1f}" width="{max(width - 2, 1):.1f}" '
            f'height="{bottom - y(count):.1f}" class="{kind}"><title>{told}</title></rect>'
        )
        if place % every == 0:
            parts.append(_text(x, HEIGHT - 8, _dollars(low)))
    return _svg(WIDTH, HEIGHT, f"Results of {counted(len(results), 'trade')}", parts)


# --- the calendar ---------------------------------------------------------------------------------


def calendar(days: Sequence[DayResult]) -> str:
    """Every month of the period, a row a week, a cell a trading day: gains, losses, days without a trade."""
    if not days:
        return ""
    known = {day.day: day for day in days}
    months = sorted({day.day.replace(day=1) for day in days})
    most = max((abs(float(day.net_pnl)) for day in days), default=0.0) or 1.0
    block_width = WEEKDAYS * (CELL + GAP) + 14
    block_height = WEEKS * (CELL + GAP) + 26
    columns = min(len(months), MONTHS_IN_ROW)
    parts = []
    for place, month in enumerate(months):
        x = (place % columns) * block_width
        y = (place // columns) * block_height
        parts.append(_text(x, y + 13, f"{month:%b %Y}", "label", "start"))
        parts += _month(month, known, most, x, y + 20)
    height = ceil(len(months) / columns) * block_height
    return _svg(
        max(columns, 3) * block_width, height, f"Net P&L of {counted(len(days), 'trading day')}", parts
    )


def _month(month: date, known: dict[date, DayResult], most: float, x: float, y: float) -> list[str]:
    parts, day, offset = [], month, month.weekday()
    while day.month == month.month:
        if day in known and day.weekday() < WEEKDAYS:
            week = (day.day - 1 + offset) // 7
            parts.append(_cell(known[day], most, x + day.weekday() * (CELL + GAP), y + week * (CELL + GAP)))
        day += timedelta(days=1)
    return parts


def _cell(day: DayResult, most: float, x: float, y: float) -> str:
    pnl = float(day.net_pnl)
    if not day.trades:
        kind, strength, told = "none", 1.0, "no trade"
    else:
        kind = "gain" if pnl > 0 else "loss" if pnl < 0 else "zero"
        strength = 0.35 + 0.65 * abs(pnl) / most
        told = f"{usd(day.net_pnl)}, {day.trades} trade{'' if day.trades == 1 else 's'}"
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" rx="2" class="{kind}" '
        f'fill-opacity="{strength:.2f}"><title>{day.day.isoformat()}: {escape(told)}</title></rect>'
    )
