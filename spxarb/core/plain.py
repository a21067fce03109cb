"""Values in JSON's own types: what the ledger keeps as JSON and what `--json` prints are written here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

from spxarb.core.model import NEW_YORK


def plain(value: object) -> Any:
    """The value in JSON's own types: Decimal as float, times in New York ISO 8601, NaN and infinity null."""
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value)
        case int() | str():
            return value
        case float() | Decimal():
            number = math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)
            return number if math.isfinite(number) else None
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=NEW_YORK)
            return aware.astimezone(NEW_YORK).isoformat()
        case date() | time():
            return value.isoformat()
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple() | AbstractSet():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
        case _:
            return str(value)
