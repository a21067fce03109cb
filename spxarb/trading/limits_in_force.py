"""The numbers that decisions need: the configuration's, or those stored with a trade."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spxarb.config.load import Config
from spxarb.errors import ConfigError

if TYPE_CHECKING:
    from spxarb.core.limits import Limits
    from spxarb.core.records import Trade

log = logging.getLogger(__name__)


def limits_of(config: Config) -> Limits:
    """The numbers of a configuration that decisions need."""
    from spxarb.core.limits import Limits  # noqa: PLC0415 -- not needed while nothing is open

    names = Limits.__dataclass_fields__
    values = {**dict(config.trading), **dict(config.risk_management)}
    return Limits(**{name: value for name, value in values.items() if name in names})


def stored_config(trade: Trade, base: Config) -> Config:
    """The limits and connection stored with the trade; what is not usable there, from `base`."""
    try:
        return Config.from_limits(trade.limits, base)
    except ConfigError as error:
        log.warning("trade %s: %s", trade.id, error)
        return base
