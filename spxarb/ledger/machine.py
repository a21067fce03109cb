"""Which machine this is, in a few letters that tell nothing else about it."""

from __future__ import annotations

import hashlib
import platform
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")


@lru_cache(maxsize=1)
def machine() -> str:
    """Twelve hexadecimal digits: the same on one machine, others on another.

    By /etc/machine-id, which is to be given away hashed only (`man machine-id`); where there is none (macOS,
    most containers) by the host's name.
    """
    name = ""
    with suppress(OSError, UnicodeDecodeError):
        name = MACHINE_ID.read_text(encoding="ascii").strip()
    return hashlib.sha256(f"spxarb {name or platform.node()}".encode()).hexdigest()[:12]
