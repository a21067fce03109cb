"""A driver's end of the pipe: one request a line in, one answer a line out, both JSON.

Drivers run in environments of their own: this file needs the standard library alone.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import traceback
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum

UNSET = 1e300
_TOLD = re.compile(r"^(Error|Warning) -?\d+, reqId|^Canceled order:")
"""What a library logs when the gateway sends an error frame: those come as errors, and are expected."""

faults = []
"""Sentences on what a client could not read."""


class _Listener(logging.Handler):
    def emit(self, record):
        text = record.getMessage()
        if record.exc_info or not _TOLD.match(text):
            cause = f" ({record.exc_info[1]!r})" if record.exc_info else ""
            faults.append(f"{record.name}: {text[:300]}{cause}")


def listen():
    """Collect every warning and error of every logger as a fault."""
    logging.getLogger().addHandler(_Listener(logging.WARNING))


def plain(value):
    """Anything as JSON: objects as their fields, unset and infinite numbers as None, times as UTC."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float, Decimal)):
        number = value if isinstance(value, int) else float(value)
        unset = math.isnan(number) or abs(number) >= UNSET or number in {2147483647, 9223372036854775807}
        return None if unset else number
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and not hasattr(value, "_fields"):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, Enum):
        return value.name
    names = getattr(value, "_fields", None) or getattr(value, "__dataclass_fields__", None) or vars(value)
    return {name: plain(getattr(value, name)) for name in names if not name.endswith(("Event", "events"))}


def read():
    """The next request, None at the end."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def answer(value):
    """Write an answer."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def end(error):
    """End the process at once, whatever threads it has, with the traceback and the faults as last words."""
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.write("".join(f"could not read: {fault}\n" for fault in faults))
    sys.stderr.flush()
    os._exit(1)
