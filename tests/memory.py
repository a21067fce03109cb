"""``python tests/memory.py`` makes a folder in memory for the files of all tests, and prints it.

The ledger waits for the disk at each commit, and the tests commit tens of thousands of times. Their files are half a
gigabyte; where there is no room for them nothing is printed.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

PLACE = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes that must be free in the place, and twice as many of the machine's memory."""


def roomy(place: Path = PLACE, meminfo: Path = Path("/proc/meminfo")) -> bool:
    """Whether the place takes the files, and runs those among them that are programs."""
    try:
        state = os.statvfs(place)
        available = re.search(r"^MemAvailable: +(\d+) kB$", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return False
    return (
        state.f_bavail * state.f_frsize >= ROOM
        and not state.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
        and available is not None
        and int(available[1]) * 1024 >= 2 * ROOM
    )


if __name__ == "__main__" and roomy():
    print(tempfile.mkdtemp(prefix="spxarb-tests-", dir=PLACE))
