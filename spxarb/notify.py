"""Alerts, sent by e-mail or to wherever `SPXARB_NOTIFY_URL` points (any URL of apprise's).

Sending never raises and never takes longer than its deadline: an alert that fails must not stop an exit.
"""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from spxarb.config.load import Config

SMTP_PORT = 25
DEADLINE_SECONDS = 20.0

log = logging.getLogger(__name__)


def send(config: Config, title: str, text: str, *, deadline: float = DEADLINE_SECONDS) -> str | None:
    """Send one alert within `deadline` seconds. None when it went out or alerts are off, else why not."""
    if not config.notifications.email_enabled:
        return None
    url = destination(config)
    if url is None:
        return "the alert was not sent: neither notifications.email_address nor SPXARB_NOTIFY_URL is set"
    outcome: list[str | None] = []
    worker = threading.Thread(target=lambda: outcome.append(_send(url, title, text)), daemon=True)
    worker.start()
    worker.join(deadline)
    problem = outcome[0] if outcome else f"no answer within {deadline:g} s"
    if problem is None:
        return None
    reason = " ".join(problem.replace(url, "***").split())
    log.warning("the alert was not sent: %s", reason)
    return f"the alert was not sent: {reason}"


def destination(config: Config) -> str | None:
    """The apprise URL for alerts: the secret one of the environment, else this machine's mail server."""
    if config.notify_url is not None:
        return config.notify_url.get_secret_value()
    address = config.notifications.email_address
    return mail_url(address) if address else None


def mail_url(address: str, port: int = SMTP_PORT) -> str:
    """Plain SMTP to this machine's mail server, which relays to `address`."""
    sender = f"spxarb@{socket.gethostname() or 'localhost'}"
    return f"mailto://localhost:{port}/?mode=insecure&from={quote(sender)}&to={quote(address)}"


def _send(url: str, title: str, text: str) -> str | None:
    try:
        import apprise  # noqa: PLC0415 -- 0.12 s, and only an alert needs it

        post = apprise.Apprise()
        if not post.add(url):
            return "apprise does not understand the URL (see SPXARB_NOTIFY_URL)"
        warnings = _Warnings()
        logging.getLogger("apprise").addHandler(warnings)
        try:
            sent = post.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT)
        finally:
            logging.getLogger("apprise").removeHandler(warnings)
    except Exception as error:  # noqa: BLE001 -- an alert that fails must not stop the job that wanted it
        return f"{type(error).__name__}: {error}"
    return None if sent else ("; ".join(warnings.lines) or "refused without a reason")


class _Warnings(logging.Handler):
    """Collects apprise's warnings: `notify` itself returns only True or False."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
