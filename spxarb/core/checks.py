"""The names of an entry's checks, in the order in which they are told."""

from __future__ import annotations

ENTRY_CHECKS = (
    "time_window",
    "trading_enabled",
    "max_trades",
    "daily_loss",
    "market_data",
    "halted",
    "quote_age",
    "legs_apart",
    "index_price",
    "underlying_drift",
    "strikes",
    "tracking_ratio",
    "ratio_drift",
    "spx_spread",
    "spy_spread",
    "net_credit",
    "credit_plausible",
)
"""What one look at ledger and market answers."""
SECOND_LOOK = "second_look"
"""Whether another look, seconds later, allows the same entry; made when the first one does."""
MARGIN = "margin"
"""The check that comes last, from the job that asks the broker."""


def out_of_window(value: object, limit: object) -> bool:
    """Whether the time of day itself speaks against an entry, by the figures of the check `time_window`.

    Within its window the check may still say no: by a date without entries, or the broker's hours. On a day
    without a session there is no window.
    """
    least, dash, most = str(limit).partition("-")
    return not (dash and least <= str(value) < most)
