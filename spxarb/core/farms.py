"""IB's data farms: which of them matters to SPX and SPY, and what the gateway last said of each. Pure.

Each market's data comes from a farm of its own. One that breaks and is back 50 ms later, or that serves
Japan, says nothing about SPX. The texts end with the farm's name, as public logs show: `Market data farm
connection is broken:usfarm.nj`, `... is inactive but should be available upon demand.usfarm`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from spxarb.core.broker_codes import (
    DEFINITION_FARM_DOWN,
    DEFINITION_FARM_OK,
    FARM_TROUBLE,
    MARKET_DATA_FARM_DOWN,
    MARKET_DATA_FARM_IDLE,
    MARKET_DATA_FARM_OK,
)

_KINDS = {
    MARKET_DATA_FARM_DOWN: "market data",
    MARKET_DATA_FARM_OK: "market data",
    MARKET_DATA_FARM_IDLE: "market data",
    DEFINITION_FARM_DOWN: "definitions",
    DEFINITION_FARM_OK: "definitions",
}
_ELSEWHERE = re.compile(
    r"(jfarm|hfarm|eufarm(nj)?|cashfarm|usfuture|secdef(hk|eu|jp|jn))(\..*)?", re.IGNORECASE
)
"""Japan, Hong Kong, Europe, currencies, futures. A name that is not known here may matter."""


def farm_named(text: str) -> str:
    """The farm that a message is about; empty when it names none."""
    after = re.split(r":|upon demand\.", text.strip(), maxsplit=1)
    return after[1].strip() if len(after) > 1 else ""


def matters(farm: str) -> bool:
    """Whether SPX, SPY or their options may come from this farm; one without a name may be any."""
    return _ELSEWHERE.fullmatch(farm) is None


MOST = 150
"""Farms that are remembered; IB has some thirty."""


@dataclass(slots=True)
class Farms:
    """What the gateway last said of each farm, by kind and name."""

    _broken: dict[tuple[str, str], str] = field(default_factory=dict)

    def on_message(self, code: int, text: str) -> None:
        """Take one of the gateway's messages; those of other things are no matter here."""
        kind = _KINDS.get(code)
        if kind is None:
            return
        if code in FARM_TROUBLE:
            if len(self._broken) >= MOST:
                self._broken.pop(next(iter(self._broken)))
            self._broken[kind, farm_named(text)] = f"{code} {text}"
        else:
            self._broken.pop((kind, farm_named(text)), None)

    def trouble(self) -> str:
        """What was said last of a farm that is broken and matters; empty for none."""
        return next((text for (_, farm), text in self._broken.items() if matters(farm)), "")
