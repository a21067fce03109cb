"""The machine's clock, set forward: loaded by every Python that has this folder on its PYTHONPATH.

In the modes paper and live the clock is the system's, and a test cannot set that. `MACHINE_CLOCK_AHEAD` is by
how many seconds this process believes the machine to be ahead; the monotonic clock is left alone. What
`tests/scenarios/warm_parent.py` forks sets its clock by this file, too.
"""

import datetime as dt
import os
import sys
import time

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


def seen_by():
    """The modules that show the real ones, and by which name of theirs."""
    modules = [module for module in [*sys.modules.values()] if isinstance(module, type(sys))]
    known = [module for module in modules if module.__name__ != "_datetime" and vars(module) is not globals()]
    return [
        (module, name)
        for module in known
        for name, value in [*vars(module).items()]
        if value is real_datetime or value is real_time
    ]


def set_as_asked(seen):
    """Set this process's clock as its environment says, for these modules and all that are imported later."""
    seconds = float(os.environ.get("MACHINE_CLOCK_AHEAD") or 0)
    if seconds:
        for module, name in seen:
            real = vars(module)[name]
            setattr(module, name, SetDatetime if real is real_datetime else lambda: real_time() + seconds)


set_as_asked(seen_by())
