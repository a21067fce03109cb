"""The sections `watchdog` and `ping`: who notices that no job runs any more."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr

from spxarb.config.section import Section

HIDDEN = "***"
PINGED = ("enter", "monitor", "settle", "watchdog")
"""The commands that ping: those that timers start."""
VERB = "{command}"
"""What stands in `ping.url` for the command's name."""


def masked_url(url: str) -> str:
    """`https://hc-ping.com/***`: scheme and host, for everything behind them is a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{host}/{HIDDEN}" if parts.scheme in {"http", "https"} and host else HIDDEN


def _address(value: SecretStr) -> SecretStr:
    """An address that can be asked as it stands. Raises ValueError for any other."""
    url = value.get_secret_value()
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and not any(letter in url for letter in ' "<>\\')
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise ValueError
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError
    parts.port  # noqa: B018 -- raises ValueError for one out of range
    return value


def _as_shown(value: SecretStr | None) -> str | None:
    return None if value is None else masked_url(value.get_secret_value())


PingUrl = Annotated[SecretStr, AfterValidator(_address)]
Shown = PlainSerializer(_as_shown, when_used="json")


class WatchdogSettings(Section):
    """`spxarb watchdog`."""

    minutes: int = Field(
        default=10,
        ge=5,
        le=120,
        description="With something open, so long without a monitor that succeeded is an alarm, in minutes.",
    )


class PingSettings(Section):
    """Pings of enter, monitor, settle and watchdog to a dead-man service in the manner of Healthchecks."""

    url: Annotated[PingUrl | None, Shown] = Field(
        default=None,
        description="Address that is told of start (/start) and end (/<exit code>) of each; {command} in it "
        "is the command's name. A secret; null: no pings.",
    )
    enter_url: Annotated[PingUrl | None, Shown] = Field(
        default=None, description="The address for enter instead."
    )
    monitor_url: Annotated[PingUrl | None, Shown] = Field(
        default=None, description="The address for monitor instead."
    )
    settle_url: Annotated[PingUrl | None, Shown] = Field(
        default=None, description="The address for settle instead."
    )
    watchdog_url: Annotated[PingUrl | None, Shown] = Field(
        default=None, description="The address for watchdog instead."
    )
    deadline_seconds: float = Field(
        default=5.0,
        gt=0,
        le=30,
        description="How long the end of a command waits for its pings at the most, in seconds.",
    )

    def url_of(self, command: str) -> str | None:
        """Where the command pings; None: nowhere."""
        if command not in PINGED:
            return None
        own: SecretStr | None = getattr(self, f"{command}_url") or self.url
        return None if own is None else own.get_secret_value().replace(VERB, command)

    def secrets(self) -> list[str]:
        """What nothing may show: each address, its path, and what in it is long enough to be a key."""
        found: set[str] = set()
        for name in ("url", *(f"{command}_url" for command in PINGED)):
            value: SecretStr | None = getattr(self, name)
            if value is not None:
                url = value.get_secret_value()
                path = url.partition("://")[2].partition("/")[2]
                found |= {url, path, *(part for part in path.split("/") if len(part) >= LONG_ENOUGH)}
        return sorted(filter(None, found), key=len, reverse=True)


LONG_ENOUGH = 16
"""Letters of a part of an address that is a key: Healthchecks' have 22, its UUIDs 36."""
SECRET_KEYS = frozenset(f"ping.{name}" for name in PingSettings.model_fields if name.endswith("url"))
"""The keys whose values are shown as scheme and host alone."""
