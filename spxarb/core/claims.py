"""What the strategy's own document promises, beside what was measured, and whether that can be told yet.

A verdict is drawn only by intervals that may be looked at after every trade (`core/sequential.py`), each of
them right at all looks with 95 %. Rates are parts of one, money is dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import erfc, exp, log, pi, sqrt
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, cents
from spxarb.core.performance import YEAR_DAYS
from spxarb.core.sequential import Supposed, mean_sequence, rate_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.sequential import Sequence95

CAPITAL = Decimal(50_000)
"""Dollars: the capital on which the document's yearly result stands."""
WIN_RATE = (Decimal("0.85"), Decimal("0.90"))
AVERAGE_PROFIT = (Decimal(500), Decimal(800))
AVERAGE_WIN = Decimal(600)
AVERAGE_LOSS = Decimal(-200)
TRADES_A_DAY = (Decimal(1), Decimal(2))
YEARLY = (Decimal(126_000), Decimal(403_000))
"""252 days of one trade at $500, and of two at $800."""
RUIN = Decimal("0.01")
FEW_DAYS = 30
"""With fewer days nothing is said of the risk of ruin: it rests on how far days lie apart, too."""

TRADE = Supposed(*map(Decimal, (-5_000, 2_000, -1_000, 1_500)))
"""No spread loses more than ten times the limit of a position, or wins more than $2,000."""
WIN = Supposed(*map(Decimal, (0, 2_000, 0, 1_500)))
LOSS = Supposed(*map(Decimal, (-5_000, 0, -1_000, 0)))
DAY = TRADE.times(int(TRADES_A_DAY[1]))
SQUARE = Supposed(ZERO, DAY.least**2, ZERO, DAY.cut_below**2)
"""Of a day's result squared."""
_RATE = Decimal("0.0001")
_RISK = Decimal("0.000001")


class Unit(StrEnum):
    """What the figures of a claim are."""

    RATE = "rate"
    DOLLARS = "dollars"
    TRADES = "trades"


class ClaimVerdict(StrEnum):
    """Whether a claim can be told true or false."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "too few to tell"


@dataclass(frozen=True)
class DocumentClaim:
    """One claim of the strategy's document beside what was measured."""

    name: str
    unit: Unit
    """Of every figure: rates are parts of one."""
    claimed_low: Decimal | None
    """Null: no end on this side. The claim holds from here on."""
    claimed_high: Decimal | None
    """Of the risk of ruin the end below which the claim holds."""
    measured: Decimal | None
    """Null while there is nothing to measure."""
    low: Decimal | None
    """Of an interval at 95 % that may be looked at after every trade; null while there are too few."""
    high: Decimal | None
    observations: int
    """Trades or days behind it."""
    verdict: ClaimVerdict


def claims(
    pnls: Sequence[Decimal], daily: Sequence[Decimal], trades_a_day: Sequence[int], capital: Decimal = CAPITAL
) -> tuple[DocumentClaim, ...]:
    """Every claim, from the net results of trades, of trading days, and how many were entered on each day."""
    wins = [pnl for pnl in pnls if pnl > 0]
    losses = [pnl for pnl in pnls if pnl < 0]
    rate = _quotient(len(wins), len(pnls))
    scale = capital / CAPITAL
    yearly = tuple(end if end is None else cents(end * YEAR_DAYS) for end in mean_sequence(daily, DAY))
    mean = _mean(daily)
    return (
        _from("win rate", Unit.RATE, WIN_RATE, rate, rate_sequence(len(wins), len(pnls)), len(pnls)),
        _of_mean("average profit a trade", AVERAGE_PROFIT, pnls, TRADE),
        _of_mean("average win", (AVERAGE_WIN, None), wins, WIN),
        _of_mean("average loss", (AVERAGE_LOSS, None), losses, LOSS),
        _trades_a_day(trades_a_day),
        _from(
            "P&L a year",
            Unit.DOLLARS,
            (YEARLY[0] * scale, YEARLY[1] * scale),
            None if mean is None else cents(mean * YEAR_DAYS),
            (yearly[0], yearly[1]),
            len(daily),
        ),
        _ruin(daily, capital),
    )


def _of_mean(name: str, claimed: Sequence95, results: Sequence[Decimal], supposed: Supposed) -> DocumentClaim:
    mean = _mean(results)
    measured = None if mean is None else cents(mean)
    return _from(name, Unit.DOLLARS, claimed, measured, mean_sequence(results, supposed), len(results))


def _trades_a_day(counts: Sequence[int]) -> DocumentClaim:
    """By the days' trades, counted up to the two that are claimed, so that a rate's sequence tells."""
    most = int(TRADES_A_DAY[1])
    ends = rate_sequence(Decimal(sum(min(count, most) for count in counts)) / most, len(counts))
    low, high = (None if end is None else end * most for end in ends)
    mean = _quotient(sum(counts), len(counts))
    return _from("trades a day", Unit.TRADES, TRADES_A_DAY, mean, (low, high), len(counts))


def _ruin(daily: Sequence[Decimal], capital: Decimal) -> DocumentClaim:
    """Mean and deviation as measured give the figure, the ends of their sequences the interval.

    Quiet days alone show no deviation, however many they are: it is no better known than the mean.
    """
    mean = _mean(daily)
    figure = low = high = None
    if mean is not None and len(daily) > 1:
        variance = sum(((pnl - mean) ** 2 for pnl in daily), start=ZERO) / (len(daily) - 1)
        figure = risk_of_ruin(mean, variance.sqrt(), capital)
        low, high = _ruin_ends(daily, capital)
    verdict = ClaimVerdict.OPEN
    if high is not None and high < RUIN:
        verdict = ClaimVerdict.HOLDS
    elif low is not None and low >= RUIN:
        verdict = ClaimVerdict.FAILS
    return DocumentClaim("risk of ruin", Unit.RATE, None, RUIN, figure, low, high, len(daily), verdict)


def _ruin_ends(daily: Sequence[Decimal], capital: Decimal) -> Sequence95:
    """The risk at the best mean with the least deviation, and at the worst mean with the largest."""
    if len(daily) < FEW_DAYS:
        return None, None
    worst, best = mean_sequence(daily, DAY)
    least, most = mean_sequence([pnl**2 for pnl in daily], SQUARE)
    low = high = None
    if worst is not None and best is not None and least is not None:
        variance = max(least - max(worst**2, best**2), ZERO)
        low = risk_of_ruin(best, variance.sqrt(), capital)
    if worst is not None and most is not None:
        high = risk_of_ruin(worst, most.sqrt(), capital)
    return low, high


def risk_of_ruin(mean: Decimal, deviation: Decimal, capital: Decimal, days: int = YEAR_DAYS) -> Decimal:
    """The probability that `capital` dollars are lost within a year of 252 trading days, part of one.

    `mean` and `deviation` of a day's net P&L, dollars. The running total is taken for a Brownian motion with
    drift, and the loss of all capital for its first passage: Phi((-K - mT) / (s sqrt T)) + exp(-2mK / s^2)
    Phi((-K + mT) / (s sqrt T)); A. Borodin and P. Salminen, Handbook of Brownian Motion (2002), II.2.1.2. The
    days measured have not seen what is rarer than they are many: the true risk is higher.
    """
    drift, spread, capital_lost = float(mean), float(deviation), float(capital)
    if spread <= 0:
        return Decimal(1) if drift * days <= -capital_lost else ZERO
    scale = spread * sqrt(days)
    at_end = exp(_log_phi((-capital_lost - drift * days) / scale))
    exponent = -2 * drift * capital_lost / spread**2 + _log_phi((-capital_lost + drift * days) / scale)
    return Decimal(str(min(1.0, at_end + exp(min(exponent, 0.0))))).quantize(_RISK)


def _log_phi(x: float) -> float:
    """The logarithm of the normal distribution function, also far in its tail."""
    if x > -30:
        return log(erfc(-x / sqrt(2)) / 2)
    return -x * x / 2 - log(-x * sqrt(2 * pi))


def _from(
    name: str,
    unit: Unit,
    claimed: Sequence95,
    measured: Decimal | None,
    interval: Sequence95,
    observations: int,
) -> DocumentClaim:
    """A claim that something is at least `claimed[0]`: more than `claimed[1]` refutes nobody."""
    low, high = interval
    least = claimed[0]
    verdict = ClaimVerdict.OPEN
    if least is not None and low is not None and low >= least:
        verdict = ClaimVerdict.HOLDS
    elif least is not None and high is not None and high < least:
        verdict = ClaimVerdict.FAILS
    return DocumentClaim(name, unit, *claimed, measured, low, high, observations, verdict)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return sum(values, start=ZERO) / len(values) if values else None


def _quotient(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(_RATE) if whole else None
