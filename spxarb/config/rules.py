"""What is wrong between settings that are right alone, and which of them is moved."""

from __future__ import annotations

import ipaddress
from datetime import date, datetime
from typing import TYPE_CHECKING

from spxarb.config.problems import Problem, shown
from spxarb.config.variables import NOTIFY_VARIABLE
from spxarb.core.sessions import CLOSE, LAST_EXIT_BEFORE_CLOSE, OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.config.schema import Sections


Rule = tuple[tuple[str, ...], str]
"""Keys that contradict each other, and what to say of it."""


def contradictions(sections: Sections, bad: frozenset[str], *, notified: bool) -> list[Problem]:
    """What is wrong between values; a rule about a bad key is skipped, that key is reported already.

    `notified`: a secret address says where alerts go.
    """
    return [
        Problem(sentence, keys[0])
        for keys, sentence in (*_of_trading(sections), *_of_the_rest(sections, notified=notified))
        if not bad.intersection(keys)
    ]


ADDRESSES = frozenset(
    {"ping.url", *(f"ping.{verb}_url" for verb in ("enter", "monitor", "settle", "watchdog"))}
)
"""The keys that want a URL, and judge it themselves."""


def address_problem(key: str, value: object) -> str:
    """Why the text is surely not meant for this key, for it is a URL, whole or mistyped; it is not shown.

    The address of an alert is a secret, and would be written down wherever its place is named.
    """
    if not isinstance(value, str) or key in ADDRESSES:
        return ""
    mistyped = key == "notifications.email_address" and not set("/:").isdisjoint(value)
    if "://" not in value and not mistyped:
        return ""
    what = "its value is written as a URL, and is not shown"
    if not key.startswith("notifications."):
        return what
    return f"{what}; alerts go to the URLs in {NOTIFY_VARIABLE}, or in the file of notifications.urls_file"


def _of_trading(config: Sections) -> Iterator[Rule]:
    trading = config.trading
    first, cutoff, time_exit = trading.entry_time, trading.entry_cutoff, trading.exit_check_time
    spy, spx = trading.spy_contracts_per_spread, trading.spx_contracts_per_spread
    if trading.min_ratio >= trading.max_ratio:
        yield (
            ("trading.min_ratio", "trading.max_ratio"),
            f"trading.min_ratio {trading.min_ratio} must be below trading.max_ratio {trading.max_ratio}",
        )
    if first >= cutoff:
        yield (
            ("trading.entry_time", "trading.entry_cutoff"),
            f"trading.entry_time {first:%H:%M} must be before trading.entry_cutoff {cutoff:%H:%M}",
        )
    if cutoff >= time_exit:
        yield (
            ("trading.entry_cutoff", "trading.exit_check_time"),
            f"trading.entry_cutoff {cutoff:%H:%M} must be before trading.exit_check_time {time_exit:%H:%M}",
        )
    if first < OPEN:
        yield (
            ("trading.entry_time",),
            f"trading.entry_time {first:%H:%M} must not be before the market opens at {OPEN:%H:%M}",
        )
    if time_exit >= CLOSE:
        yield (
            ("trading.exit_check_time",),
            f"trading.exit_check_time {time_exit:%H:%M} must be before the market closes at {CLOSE:%H:%M}",
        )
    if spy > 10 * spx:
        yield (
            ("trading.spy_contracts_per_spread", "trading.spx_contracts_per_spread"),
            (
                f"trading.spy_contracts_per_spread {spy} must be at most "
                f"10 x trading.spx_contracts_per_spread {spx}"
            ),
        )
    if trading.mode == "live" and config.ib.account is None:
        yield (
            ("trading.mode", "ib.account"),
            "ib.account must name the account when trading.mode is live",
        )


def _of_the_rest(config: Sections, *, notified: bool) -> Iterator[Rule]:
    """Of the dashboard, alerts and the calendar."""
    notify, host = config.notifications, config.dashboard.host
    if not is_loopback(host):
        yield (
            ("dashboard.host",),
            f"dashboard.host {shown(host)} must be a loopback address such as 127.0.0.1",
        )
    if notify.email_enabled and not (notify.email_address or notify.urls_file or notified):
        yield (
            ("notifications.email_enabled", "notifications.email_address"),
            f"notifications.email_address (or {NOTIFY_VARIABLE}) must be set when email_enabled is true",
        )
    smtp = notify.smtp_host or "localhost"
    if notify.smtp_user is not None and notify.smtp_security == "none" and not is_loopback(smtp):
        yield (
            ("notifications.smtp_user", "notifications.smtp_security"),
            f"notifications.smtp_security must be starttls or tls where a password goes to {smtp}",
        )
    if both := sorted(set(config.calendar.closed) & set(config.calendar.early_close)):
        yield (
            ("calendar.closed", "calendar.early_close"),
            f"calendar: {', '.join(map(str, both))} cannot be both closed and early_close",
        )


def moved(sections: Sections) -> Iterator[str]:
    """A sentence for each value that is right and is not used as it stands."""
    latest = (datetime.combine(date.min, CLOSE) - LAST_EXIT_BEFORE_CLOSE).time()
    time_exit = sections.trading.exit_check_time
    if time_exit > latest:
        minutes = int(LAST_EXIT_BEFORE_CLOSE.total_seconds() // 60)
        yield (
            f"trading.exit_check_time {time_exit:%H:%M} is less than {minutes} minutes before the close: the "
            f"time exit is at {latest:%H:%M}."
        )


def is_loopback(host: str) -> bool:
    if host in {"localhost", "127.0.0.1"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
