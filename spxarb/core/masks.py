"""What is shown of a value that not everybody should read."""

from __future__ import annotations

import re

_SHOWN = 2
"""Characters of an account number that stay at each end: its kind, and enough to tell two apart."""


def masked_account(account: str) -> str:
    """An account number such as DU1234567 as DU*****67; a short one keeps its beginning alone."""
    hidden = len(account) - 2 * _SHOWN
    if hidden <= _SHOWN:
        return account[:1] + "*" * (len(account) - 1)
    return account[:_SHOWN] + "*" * hidden + account[-_SHOWN:]


def quoted(name: str) -> str:
    """A name from outside; in quotation marks where blanks or letters that cannot be seen are part of it."""
    return name if re.fullmatch(r"[!-~]+", name) else ascii(name)
