"""What stands in the units of this machine: the configuration in force, and where the program is."""

from __future__ import annotations

import ipaddress
import re
import sys
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import spxarb
from spxarb.channels import PASSWORD_CREDENTIALS, URLS_CREDENTIALS
from spxarb.core.firings import JOBS, TimerTimes
from spxarb.core.units import ANY, GATEWAY_UNIT, STATE_FOLDER, UnitValues

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.config.load import Config

USER = "spxarb"
USUAL_PROGRAM = Path("/usr/local/bin/spxarb")
HOMES = ("/home", "/root", "/run/user")
HIDDEN = (*HOMES, "/tmp", "/var/tmp")  # noqa: S108 -- no file is made there: the units' own take their places
"""What the units do not see unless it is shown to them."""
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")


def times_of_config(config: Config) -> TimerTimes:
    """What of the configuration decides when timers fire."""
    trading = config.trading
    return TimerTimes(trading.entry_time, trading.entry_cutoff, trading.exit_check_time)


def values_of(config: Config, *, user: str | None, gateway_unit: str = GATEWAY_UNIT) -> UnitValues:
    """The units' values; `user`: whom the machine's units run as, None for a user's own."""
    folders = [Path(prefix) for prefix in dict.fromkeys([sys.prefix, sys.base_prefix])]
    source = Path(spxarb.__file__).parents[1]
    files = [file.absolute() for file in (config.source, config.env_file) if file is not None]
    needed = [*folders, source, *files]
    return UnitValues(
        times=times_of_config(config),
        waits=config.execution,
        max_spreads_per_day=config.trading.max_spreads_per_day,
        program=str(program()),
        config=str(config.source.absolute()) if config.source else None,
        user=user,
        gateway_unit=gateway_unit,
        code=tuple(f"-{folder}" for folder in folders if not folder.is_relative_to("/usr")),
        shown=tuple(_outermost(str(path) for path in needed if _below(path, HIDDEN))),
        writable=tuple(_outermost(map(str, _kept_elsewhere(config)))),
        gateway_hosts=_addresses([config.ib.host]),
        alert_hosts=_alert_hosts(config),
        ping_hosts=_ping_hosts(config),
        email_address=_mail_to(config),
        secrets=_secrets(config) if user is not None else {},
    )


def program() -> Path:
    """The command that a unit starts: the usual link to it where there is one, else where it is installed."""
    own = Path(sys.prefix) / "bin" / "spxarb"
    if not own.exists() and sys.argv and Path(sys.argv[0]).name == "spxarb":
        own = Path(sys.argv[0]).absolute()
    return USUAL_PROGRAM if USUAL_PROGRAM.resolve() == own.resolve() else own


def _below(path: Path, folders: Iterable[str]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Each path once, and none that lies below another."""
    found = sorted(set(paths))
    return [path for path in found if not any(_is_inside(path, other) for other in found)]


def _is_inside(path: str, other: str) -> bool:
    return path != other and Path(path).is_relative_to(other)


def _kept_elsewhere(config: Config) -> list[Path]:
    """Folders outside the units' state folder in which the configuration keeps what commands write."""
    files = [config.storage.database, config.logging.path]
    folders = [file.parent for file in files if file is not None]
    if config.backup.folder is not None:
        folders.append(config.backup.folder)
    return [path for path in folders if not path.is_relative_to(STATE_FOLDER)]


def _addresses(hosts: Iterable[str | None]) -> tuple[str, ...]:
    """What a unit must be allowed to reach so many hosts; `any` where one is a name."""
    found: list[str] = []
    for host in hosts:
        if host is None or host.lower() in {"localhost", "localhost.localdomain"}:
            continue
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return (ANY,)
        if not address.is_loopback:
            found.append(str(address))
    return tuple(dict.fromkeys(found))


def _alert_hosts(config: Config) -> tuple[str, ...]:
    """Where alerts go: the mail server alone where that is the only way that is known, else anywhere."""
    notify = config.notifications
    only_mail = (
        notify.email_enabled and notify.email_address and not config.notify_url and not notify.urls_file
    )
    return _addresses([notify.smtp_host]) if only_mail else (ANY,)


def _ping_hosts(config: Config) -> dict[str, tuple[str, ...]]:
    """Where each job pings a dead-man service, if it does."""
    ping: Any = getattr(config, "ping", None)
    urls = {job.name: ping.url_of(job.verb) for job in JOBS} if ping is not None else {}
    return {name: _addresses([urlsplit(url).hostname]) for name, url in urls.items() if url}


def _secrets(config: Config) -> dict[str, str]:
    """The files of secrets, which systemd reads as root and hands to the unit that sends alerts."""
    notify = config.notifications
    files = {URLS_CREDENTIALS[0]: notify.urls_file, PASSWORD_CREDENTIALS[0]: notify.smtp_password_file}
    return {name: str(path) for name, path in files.items() if path is not None}


def _mail_to(config: Config) -> str:
    """Whom the notifier mails: the first address of the configuration, else the machine's root."""
    given = config.notifications.email_address
    found = [address for _, address in getaddresses([given])] if given else []
    return found[0] if found and _PLAIN_ADDRESS.fullmatch(found[0]) else "root"
