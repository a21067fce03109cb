"""When an instrument trades.

Sources: Cboe Rule 5.1(b)(2)(C): SPXW stops at the close of the stock market on the day it expires; other SPX
options and SPY options trade 15 minutes longer, also on half-days.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.sim.market.trading_days import NEW_YORK, OPTIONS_LATER, closing, is_open, opening

if TYPE_CHECKING:
    from datetime import date

    from spxarb.sim.market.instruments import Instrument


def stops(instrument: Instrument, day: date) -> datetime:
    """When trading in an instrument ends on the trading day `day`."""
    expires = instrument.trading_class == "SPXW" and instrument.expiry == day
    return closing(day) if instrument.sec_type != "OPT" or expires else closing(day) + OPTIONS_LATER


def trades(instrument: Instrument, moment: datetime) -> bool:
    """True while there is a session in the instrument."""
    day = moment.astimezone(NEW_YORK).date()
    if not is_open(day) or (instrument.expiry is not None and day > instrument.expiry):
        return False
    return opening(day) <= moment < stops(instrument, day)


def session_end(instrument: Instrument, moment: datetime) -> datetime | None:
    """The end of the session in which `moment` lies, or of the next one; None after the last one."""
    day = moment.astimezone(NEW_YORK).date()
    while instrument.expiry is None or day <= instrument.expiry:
        if is_open(day) and stops(instrument, day) > moment:
            return stops(instrument, day)
        day += timedelta(days=1)
    return None


def next_opening(moment: datetime) -> datetime:
    """The first opening of the exchange after `moment`."""
    day = moment.astimezone(NEW_YORK).date()
    while not is_open(day) or opening(day) <= moment:
        day += timedelta(days=1)
    return opening(day)
