"""What of an account number may be shown to whoever looks over a shoulder."""

from __future__ import annotations

SHOWN = 3
"""How many of its last characters."""


def masked(account: str) -> str:
    """`DU***567` of DU1234567: its letters and its end; of a short one nothing but the letters."""
    letters = account[: len(account) - len(account.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
    digits = account[len(letters) :]
    return f"{letters}***{digits[-SHOWN:] if len(digits) > 2 * SHOWN else ''}"
