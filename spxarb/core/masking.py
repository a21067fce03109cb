"""Account numbers and secret addresses, shortened wherever they are shown; and names from outside, quoted."""

from __future__ import annotations

import re

_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])(D?[UFI][A-Z]?|SIM[A-Z]*)\d{2,}(\d{3})(?![A-Za-z0-9])")
"""IBKR's ids: U1234567, DU1234567 and DUM123456 on paper, F and I of advisors; SIM... is simulated."""
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):(//+|(?<=http:)/|(?<=https:)/)([^\s'\"<>`]*)")
"""Also `https:/host/key`: what is left of an address that was taken for the path of a file."""
_WITH_A_HOST = frozenset({"http", "https"})
"""Of any other kind of address the host may be the secret: `tgram://TOKEN/CHAT`."""
HIDDEN = "***"
SHOWN = 3
"""How many characters at the end of an account are left: enough to tell one's own accounts apart."""


def masked_accounts(text: str, *known: str | None) -> str:
    """The text without a full account number; `known`: accounts that need not look like one."""
    text = _ACCOUNT.sub(r"\1***\2", text)
    for account in known:
        if account and len(account) > SHOWN:
            text = text.replace(account, f"***{account[-SHOWN:]}")
    return text


def masked_addresses(text: str) -> str:
    """The text with no more than scheme and host of each URL in it: what follows may be a token."""
    return _ADDRESS.sub(_without_its_secret, text) if ":/" in text else text


def _without_its_secret(found: re.Match[str]) -> str:
    scheme, _, rest = found.groups()
    if scheme.lower() not in _WITH_A_HOST:
        return f"{scheme}://{HIDDEN}" if rest else found[0]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    end = rest[len(authority) :]
    user = f"{HIDDEN}@" if host != authority else ""
    return f"{scheme}://{user}{host}" + (f"/{HIDDEN}" if end.strip("/,.;:)") else end)


def masked(account: str) -> str:
    """`DU***567` of DU1234567: its letters and its end; of a short one nothing but the letters."""
    letters = account[: len(account) - len(account.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
    digits = account[len(letters) :]
    return f"{letters}***{digits[-SHOWN:] if len(digits) > 2 * SHOWN else ''}"


def quoted(name: str) -> str:
    """A name from outside; in quotation marks where blanks or letters that cannot be seen are part of it."""
    return name if re.fullmatch(r"[!-~]+", name) else ascii(name)
