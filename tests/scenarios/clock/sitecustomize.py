"""The machine's clock, set forward: loaded by every Python that has this folder on its PYTHONPATH.

In the modes paper and live the clock is the system's, and a test cannot set that. `MACHINE_CLOCK_AHEAD` is by
how many seconds this process believes the machine to be ahead; the monotonic clock is left alone.
"""

import datetime as dt
import os
import time

AHEAD = float(os.environ.get("MACHINE_CLOCK_AHEAD") or 0)
real_datetime, real_time = dt.datetime, time.time


class AnyDatetime(type):
    """What the C code makes is a datetime, too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, real_datetime)


class SetDatetime(real_datetime, metaclass=AnyDatetime):
    """`datetime` by the clock that was set."""

    @classmethod
    def now(cls, tz=None):
        return real_datetime.fromtimestamp(time.time(), tz)


if AHEAD:
    time.time = lambda: real_time() + AHEAD
    dt.datetime = SetDatetime
