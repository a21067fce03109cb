"""Where alerts go, with the secrets that this takes: the e-mail of the configuration, and apprise URLs.

Secrets come from files that only their owner can read, from systemd's credentials or from the environment,
never from the configuration file or a command line. They are read when an alert is sent, and nowhere kept.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import stat
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formataddr, getaddresses
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from spxarb.config.notifications import SMTP_PORTS
from spxarb.config.trusted import UntrustedError, is_kept, read
from spxarb.config.variables import NOTIFY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from spxarb.config.load import Config

PASSWORD_CREDENTIALS = ("smtp-password", "smtp_password")
URLS_CREDENTIALS = ("notify-urls", "notify_url", NOTIFY_VARIABLE)
"""Names under which systemd may be told to hand the secrets over; the first is the one that is documented."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Permissions that a file with a secret must not have."""
EVERYBODY = stat.S_IRWXO
"""Likewise of systemd's credentials: the ACL for the unit's user shows as its group's right."""
LARGEST = 64 * 1024
"""Bytes of a file with secrets: more is no such file."""
SHORTEST_SECRET = 6
SHORTEST_PIECE = 2
_KIND = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20})://")


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
    return Channel(address, {"mail": how}, secrets=tuple(_as_sent(notify.smtp_user or "", password)))


def _as_sent(user: str, password: str) -> Iterator[str]:
    """A password, and the forms of it that a server may repeat (RFC 4616: AUTH PLAIN)."""
    if password:
        yield from (base64.b64encode(text.encode()).decode() for text in (f"\0{user}\0{password}", password))
        yield password


def _password(config: Config) -> str:
    """Raises _UnusableError."""
    named, given = config.notifications.smtp_password_file, _credential(config, PASSWORD_CREDENTIALS)
    path = given or named
    if path is None:
        raise _UnusableError(
            "notifications.smtp_user needs a password: smtp_password_file, or systemd's credential "
            f"{PASSWORD_CREDENTIALS[0]}"
        )
    password = _secret(path, EVERYBODY if given else OTHERS).strip("\r\n")
    if not password:
        raise _UnusableError(f"the password file {path} is empty")
    return password


def _urls(config: Config) -> Iterator[Channel]:
    """The URLs of environment, file and systemd's credential; their names say no more than the kind."""
    found = config.notify_url.get_secret_value().split() if config.notify_url else []
    named, credential = config.notifications.urls_file, _credential(config, URLS_CREDENTIALS)
    for path, most in ((named, OTHERS), (credential, EVERYBODY)):
        if path is None:
            continue
        try:
            lines = [line.strip() for line in _secret(path, most).splitlines()]
        except _UnusableError as error:
            if credential not in {None, path} and not (is_kept(path) or os.access(path, os.R_OK)):
                continue  # the file is root's: systemd hands over what is in it
            yield Channel(f"the addresses in {path}", problem=str(error))
            continue
        found += [line for line in lines if line and not line.startswith("#")]
    kinds: Counter[str] = Counter()
    for url in dict.fromkeys(found):
        match = _KIND.match(url)
        kind = match[1] if match else "address"
        kinds[kind] += 1
        name = kind if kinds[kind] == 1 else f"{kind} {kinds[kind]}"
        yield Channel(name, {"url": url}, secrets=tuple(secret_parts(url)))


def _credential(config: Config, names: Iterable[str]) -> Path | None:
    """The first file of these names from systemd (LoadCredential=); None: it was given none."""
    if config.credentials is None:
        return None
    return next(filter(_may_be_there, map(config.credentials.joinpath, names)), None)


def _may_be_there(path: Path) -> bool:
    """Whether a file is there; one that cannot be seen is read all the same, to say so."""
    try:
        return is_kept(path) or path.exists()
    except OSError:
        return True


def files_of_secrets(config: Config) -> list[Path]:
    """Every file from which a secret of the alerts is read."""
    notify = config.notifications
    credentials = [_credential(config, names) for names in (PASSWORD_CREDENTIALS, URLS_CREDENTIALS)]
    return [path for path in (notify.smtp_password_file, notify.urls_file, *credentials) if path is not None]


def _secret(path: Path, nobody: int) -> str:
    """What a file holds that none but its owner can have written, and to which others have no right in
    `nobody`.

    Raises _UnusableError for any other, and says why.
    """
    try:
        found = read(path, most=LARGEST)
        if found.mode & nobody:
            raise _UnusableError(f"{path} can be read by others (mode {found.mode:04o}): chmod 600 it")
        return found.raw.decode()
    except UntrustedError as error:
        raise _UnusableError(f"{path} is not trusted, and was not read: {error.strerror}") from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise _UnusableError(f"{path} cannot be read: {why}") from None


def secret_parts(url: str) -> list[str]:
    """A URL, and what a library may tell of it: passwords, keys and hosts.

    Short words are in every text, and no secret.
    """
    found = {url, *re.split(r"[:/@?&=#]", url.partition("://")[2])}
    forms = {form for part in found for form in (part, unquote(part), quote(part, safe="", errors="replace"))}
    return sorted((part for part in forms if len(part) >= SHORTEST_SECRET), key=len, reverse=True)


def without_pieces(text: str, url: str) -> str:
    """The text without any word that is a piece of the URL, however short: a chat's number, a room's name."""
    pieces = set(re.split(r"[^A-Za-z0-9]+", unquote(url.partition("://")[2] or url)))
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= SHORTEST_PIECE:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(piece)}(?![A-Za-z0-9])", "***", text)
    return text
