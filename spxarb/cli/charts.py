"""The day's P&L as a line of characters, by plotext."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.results.status import PnlPoint

LEAST_HEIGHT = 6
TALLEST = 12


def pnl_chart(points: Sequence[PnlPoint], width: int, height: int) -> list[str]:
    """The net P&L over the day, dollars, in at most so many lines; none where there is nothing to draw."""
    if len(points) < 2 or height < LEAST_HEIGHT:
        return []
    import plotext as plt  # noqa: PLC0415 -- only a chart needs it

    start = points[0].at
    minutes = [(point.at - start).total_seconds() / 60 for point in points]
    values = [float(point.net_pnl) for point in points]
    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, min(height, TALLEST) - 1)
    plt.plot(minutes, values, marker="braille")
    plt.hline(0)
    ticks = sorted({min(*values, 0.0), 0.0, max(*values, 0.0)})
    plt.yticks(ticks, [f"{'-' if value < 0 else ''}${abs(value):,.2f}" for value in ticks])
    middle = points[len(points) // 2]
    shown = {0: points[0], len(points) // 2: middle, len(points) - 1: points[-1]}
    plt.xticks([minutes[index] for index in shown], [f"{point.at:%H:%M}" for point in shown.values()])
    drawn = str(plt.uncolorize(plt.build()))
    return ["P&L today", *(line.rstrip() for line in drawn.rstrip("\n").split("\n"))]
