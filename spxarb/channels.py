"""Where alerts go, with the secrets that this takes: the e-mail of the configuration, and apprise URLs.

Secrets come from files that only their owner can read, from systemd's credentials or from the environment,
never from the configuration file or a command line. They are read when an alert is sent, and nowhere kept.
"""

from __future__ import annotations

import os
import socket
import stat
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formataddr, getaddresses
from typing import TYPE_CHECKING, Any

from spxarb.config.notifications import SMTP_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spxarb.config.load import Config

PASSWORD_CREDENTIAL = "smtp-password"  # noqa: S105 -- its name alone
URLS_CREDENTIAL = "notify-urls"
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Permissions that a file with a secret must not have."""
LARGEST = 64 * 1024
"""Bytes of a file with secrets: more is no such file."""
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Channel:
    """One way for alerts; `name` may be written down, `how` is for the process that sends.

    `problem`: why nothing can be sent that way as things are.
    """

    name: str
    how: dict[str, Any] = field(default_factory=dict, repr=False)
    problem: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


class _UnusableError(Exception):
    """A file with secrets cannot be used"""


def channels(config: Config) -> list[Channel]:
    """Every way that alerts go. An e-mail address alone is for the case that no URL is configured."""
    urls = list(_urls(config))
    notify = config.notifications
    if notify.email_address and (notify.smtp_host or not urls):
        return [*(_mail(config, address) for address in _addresses(notify.email_address)), *urls]
    return urls


def _addresses(text: str) -> list[str]:
    """Each address by itself: where one is refused, the others are not sent the same again and again."""
    found = [formataddr(pair) if pair[0] else pair[1] for pair in getaddresses([text])]
    return list(dict.fromkeys(found)) if all(found) else [text]


def _mail(config: Config, address: str) -> Channel:
    notify = config.notifications
    password = ""
    try:
        if notify.smtp_user is not None:
            password = _password(config)
    except _UnusableError as error:
        return Channel(address, problem=str(error))
    how = {
        "host": notify.smtp_host or "localhost",
        "port": notify.smtp_port or SMTP_PORTS[notify.smtp_security],
        "security": notify.smtp_security,
        "user": notify.smtp_user,
        "password": password,
        "sender": notify.smtp_from or f"spxarb@{socket.gethostname() or 'localhost'}",
        "to": address,
    }
    return Channel(address, {"mail": how}, secrets=tuple(filter(None, [password])))


def _password(config: Config) -> str:
    """Raises _UnusableError."""
    path = _credential(config, PASSWORD_CREDENTIAL) or config.notifications.smtp_password_file
    if path is None:
        raise _UnusableError(
            "notifications.smtp_user needs a password: smtp_password_file, or systemd's credential "
            f"{PASSWORD_CREDENTIAL}"
        )
    password = _secret(path).strip("\r\n")
    if not password:
        raise _UnusableError(f"the password file {path} is empty")
    return password


def _urls(config: Config) -> Iterator[Channel]:
    """The URLs of environment, file and systemd's credential; their names say no more than the kind."""
    found = config.notify_url.get_secret_value().split() if config.notify_url else []
    credential = _credential(config, URLS_CREDENTIAL)
    for path in (config.notifications.urls_file, credential):
        if path is None:
            continue
        try:
            lines = [line.strip() for line in _secret(path).splitlines()]
        except _UnusableError as error:
            if credential not in {None, path} and not os.access(path, os.R_OK):
                continue  # the file is root's: systemd hands over what is in it
            yield Channel(f"the addresses in {path}", problem=str(error))
            continue
        found += [line for line in lines if line and not line.startswith("#")]
    kinds: Counter[str] = Counter()
    for url in dict.fromkeys(found):
        kind = url.partition("://")[0] if "://" in url else "address"
        kinds[kind] += 1
        name = kind if kinds[kind] == 1 else f"{kind} {kinds[kind]}"
        yield Channel(name, {"url": url}, secrets=tuple(secret_parts(url)))


def _credential(config: Config, name: str) -> Path | None:
    """The file of that name from systemd (LoadCredential=); None: it was given none."""
    path = config.credentials / name if config.credentials is not None else None
    return path if path is not None and path.exists() else None


def _secret(path: Path) -> str:
    """What a file holds that only its owner can read. Raises _UnusableError for any other, and says why."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _UnusableError(f"{path} is not a file")
        if mode & OTHERS:
            raise _UnusableError(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 it"
            )
        with path.open(encoding="utf-8") as file:
            return file.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise _UnusableError(f"{path} cannot be read: {why}") from None


def secret_parts(url: str) -> list[str]:
    """A URL, and what a library may tell of it: passwords, keys and hosts.

    Short words are in every text, and no secret.
    """
    found, part = {url}, ""
    for letter in f"{url.partition('://')[2]}/":
        if letter in ":/@?&=":
            found.add(part)
            part = ""
        else:
            part += letter
    return sorted((part for part in found if len(part) >= SHORTEST_SECRET), key=len, reverse=True)
