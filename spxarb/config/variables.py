"""The environment: which variables are read, what else a `.env` may hold, and the nearest right name.

A `.env` is shared with other programs (the gateway's container reads one too), so a name that is nobody's
here is told by `config` and `doctor` and stops nothing. A name that is almost one of ours, or that of a key
which has no variable, was meant for us: what it was to set is not set, so it is a problem.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from spxarb.config.problems import Problem
from spxarb.config.schema import every_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Environment variable -> (key, kind of its text).
ENVIRONMENT: dict[str, tuple[str, str]] = {
    "IB_HOST": ("ib.host", "text"),
    "IB_PORT": ("ib.port", "whole"),
    "IB_CLIENT_ID": ("ib.client_id", "whole"),
    "IB_ACCOUNT": ("ib.account", "text"),
    "TRADING_MODE": ("trading.mode", "text"),
    "MAX_SPREADS_PER_DAY": ("trading.max_spreads_per_day", "whole"),
    "MIN_ENTRY_CREDIT": ("trading.min_entry_credit", "number"),
    "MAX_DAILY_LOSS": ("risk_management.max_daily_loss", "number"),
    "DASHBOARD_HOST": ("dashboard.host", "text"),
    "DASHBOARD_PORT": ("dashboard.port", "whole"),
    "EMAIL_ENABLED": ("notifications.email_enabled", "bool"),
    "EMAIL_ADDRESS": ("notifications.email_address", "text"),
    "SPXARB_DATABASE": ("storage.database", "path"),
}
CONFIG_VARIABLE = "SPXARB_CONFIG"
NOTIFY_VARIABLE = "SPXARB_NOTIFY_URL"
ALERTS_VARIABLE = "SPXARB_ALERTS"
IN_OUTBOX = "outbox"
"""The one value of SPXARB_ALERTS: alerts wait in the ledger for `send-alerts`."""
WAIT_VARIABLE = "SPXARB_WAIT_SCALE"
WIRE_VARIABLE = "SPXARB_WIRE_FOLDER"
FLEX_TOKEN_VARIABLE = "SPXARB_FLEX_TOKEN"  # noqa: S105 -- its name alone
FLEX_QUERY_VARIABLE = "SPXARB_FLEX_QUERY_ID"
STATE_VARIABLE = "STATE_DIRECTORY"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
ENVIRONMENT_ONLY = (
    CONFIG_VARIABLE,
    NOTIFY_VARIABLE,
    FLEX_TOKEN_VARIABLE,
    FLEX_QUERY_VARIABLE,
    ALERTS_VARIABLE,
    WAIT_VARIABLE,
    WIRE_VARIABLE,
    STATE_VARIABLE,
    CREDENTIALS_VARIABLE,
)
"""What has no key in the file."""
SECRETS = frozenset({NOTIFY_VARIABLE, FLEX_TOKEN_VARIABLE})
"""Variables whose text is shown nowhere."""
_NEAR = 0.85
"""How like one of ours a name must be to be taken for a slip: IB_PROT is 0.86 like IB_PORT."""


def known_variables() -> tuple[str, ...]:
    """Every variable that is read."""
    return (*ENVIRONMENT, *ENVIRONMENT_ONLY)


def unknown_names(names: Iterable[str], path: Path) -> tuple[list[Problem], list[str]]:
    """Of the names in a `.env` that are not ours: the problems among them, and those of other programs."""
    problems: list[Problem] = []
    foreign: list[str] = []
    for name in names:
        if name in known_variables():
            continue
        if meant := _meant(name):
            about = "dashboard" if name.upper().startswith("DASHBOARD_") else ""
            problems.append(Problem(f"{name} in {path}: no such variable ({meant})", about))
        else:
            foreign.append(name)
    return problems, foreign


def _meant(name: str) -> str:
    """What a name that is not ours was surely meant for; empty: it may be another program's."""
    upper = name.upper()
    if upper in known_variables():
        return f"did you mean {upper}?"
    by_name = {spelled: key for key in every_key() for spelled in _spellings(key)}
    if key := by_name.get(upper):
        return f"{key} has none: set it in the YAML file" if _variable_of(key) is None else _did(key)
    if near := _nearest(upper, known_variables()):
        return f"did you mean {near}?"
    if near := _nearest(upper, _long_names(by_name)):
        return f"did you mean {by_name[near]}? Set it in the YAML file"
    return "did you mean one of docs/configuration.md?" if upper.startswith("SPXARB_") else ""


def _nearest(name: str, names: Iterable[str]) -> str:
    """The name of which this is a slip: nearly the same letters from the first on, or its beginning."""
    near = [one for one in difflib.get_close_matches(name, list(names), 3, _NEAR) if one[0] == name[0]]
    begun = [one for one in names if "_" in name and one.startswith(f"{name}_")]
    return next(iter([*near, *begun]), "")


def _did(key: str) -> str:
    return f"did you mean {_variable_of(key)}?"


def _variable_of(key: str) -> str | None:
    return next((name for name, (target, _) in ENVIRONMENT.items() if target == key), None)


def _spellings(key: str) -> tuple[str, ...]:
    """As a variable the key would be called: with its section always, alone where that says enough."""
    section, _, name = key.partition(".")
    long = f"{section}_{name}".upper()
    own = (long, f"SPXARB_{long}", f"SPXARB_{name}".upper())
    return (*own, name.upper()) if "_" in name else own


def _long_names(names: Iterable[str]) -> list[str]:
    """Those in which a slip is seen: in a short word it is another word."""
    return [name for name in names if name.count("_") > 1]
