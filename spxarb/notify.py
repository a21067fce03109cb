"""Alerts, sent by e-mail or to wherever `SPXARB_NOTIFY_URL` points (any URL of apprise's).

Sending never raises and never takes longer than its deadline: a process of its own sends (`python -m
spxarb.notify`, the message on its stdin), and it is ended at the deadline. A thread could not be: a server
that sends a byte a second keeps a library waiting for ever, and Python waits for it at its exit.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from spxarb.config.load import Config

SMTP_PORT = 25
DEADLINE_SECONDS = 20.0
KILLED_SECONDS = 2.0
"""After SIGKILL a process is gone at once, unless the kernel itself hangs."""
KEPT_VARIABLES = frozenset(
    {
        *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    }
)
"""All that the sender's process gets of the environment."""

log = logging.getLogger(__name__)


def send(config: Config, title: str, text: str, *, deadline: float = DEADLINE_SECONDS) -> str | None:
    """Send one alert within `deadline` seconds. None when it went out or alerts are off, else why not."""
    if not config.notifications.email_enabled:
        return None
    url = destination(config)
    if url is None:
        return "the alert was not sent: neither notifications.email_address nor SPXARB_NOTIFY_URL is set"
    problem = _sent_by_a_process(json.dumps({"url": url, "title": title, "text": text}), deadline)
    if not problem:
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


def way(config: Config) -> str:
    """Where alerts go, as far as it may be written down: the e-mail address, or the secret URL's kind."""
    if config.notify_url is not None:
        return config.notify_url.get_secret_value().partition(":")[0]
    return config.notifications.email_address or ""


def mail_url(address: str, port: int = SMTP_PORT) -> str:
    """Plain SMTP to this machine's mail server, which relays to `address`."""
    sender = f"spxarb@{socket.gethostname() or 'localhost'}"
    return f"mailto://localhost:{port}/?mode=insecure&from={quote(sender)}&to={quote(address)}"


def _sent_by_a_process(message: str, deadline: float) -> str:
    """Why the message was not sent; empty when it was."""
    environment = {name: text for name, text in os.environ.items() if name in KEPT_VARIABLES}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])  # a source tree is not installed
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "spxarb.notify"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C is the job's, and whatever the sender starts ends with it
        )
    except OSError as error:
        return f"its process cannot be started: {error}"
    try:
        answer, _ = process.communicate(message, timeout=deadline)
    except subprocess.TimeoutExpired:
        return f"no answer within {deadline:g} s"
    except OSError as error:
        return str(error)
    finally:
        _end(process)
    return answer.strip() if process.returncode == 0 else f"its process ended with {process.returncode}"


def _end(process: subprocess.Popen[str]) -> None:
    """The process and all that it has started are over; nobody waits for what they have to say."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError, ValueError):
                pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_SECONDS)


# --- in the process that sends ------------------------------------------------------------------------


def _send(url: str, title: str, text: str) -> str | None:
    try:
        import apprise  # noqa: PLC0415 -- 0.12 s, and only this process needs it

        post = apprise.Apprise()
        if not post.add(url):
            return "apprise does not understand the URL (see SPXARB_NOTIFY_URL)"
        warnings = _Warnings()
        logging.getLogger("apprise").addHandler(warnings)
        try:
            sent = post.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT)
        finally:
            logging.getLogger("apprise").removeHandler(warnings)
    except Exception as error:  # noqa: BLE001 -- an alert that fails is told, not raised
        return f"{type(error).__name__}: {error}"
    return None if sent else ("; ".join(warnings.lines) or "refused without a reason")


class _Warnings(logging.Handler):
    """Collects apprise's warnings: `notify` itself returns only True or False."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    """Send the message on stdin, and write to stdout why that failed; nothing when it did not."""
    message = json.loads(sys.stdin.read())
    sys.stdout.write(_send(message["url"], message["title"], message["text"]) or "")


if __name__ == "__main__":
    main()
