"""Alerts are sent: by e-mail, and to any URL of apprise's (`channels`).

Sending never raises and never takes longer than its deadline: a process of its own sends (`python -m
spxarb.notify`, the messages on its stdin), each way in a thread of its own, and it is ended at the deadline.
A thread of the job could not be: a server that sends a byte a second keeps a library waiting for ever, and
Python waits for it at its exit.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Any

from spxarb import children
from spxarb.core.masking import masked_addresses
from spxarb.core.printable import from_outside, lines_from_outside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.channels import Channel
    from spxarb.config.load import Config

DEADLINE_SECONDS = 20.0
SMTP_SECONDS = 15.0
"""How long each answer of a mail server is waited for."""
"""After SIGKILL a process is gone at once, unless the kernel itself hangs."""
log = logging.getLogger(__name__)


def send(config: Config, title: str, text: str, *, deadline: float = DEADLINE_SECONDS) -> str | None:
    """Send one alert by every way. None when it went out or alerts are off, else why not."""
    if not config.notifications.email_enabled:
        return None
    from spxarb.channels import channels  # noqa: PLC0415 -- not needed while alerts are off

    ways = channels(config)
    if not ways:
        return "the alert was not sent: neither notifications.email_address nor SPXARB_NOTIFY_URL is set"
    failures = deliver(ways, title, dict.fromkeys((way.name for way in ways), text), deadline=deadline)
    problem = why_not(failures, all_ways=len(failures) == len(ways))
    return f"the alert was not sent: {problem}" if problem else None


def why_not(failures: Mapping[str, str], *, all_ways: bool) -> str | None:
    """Failures in words; where other ways worked, each with its own name."""
    reasons = dict.fromkeys(failures.values())
    if all_ways and len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{name}: {why}" for name, why in failures.items()) or None


def way(config: Config) -> str:
    """Where alerts go, as far as it may be written down: e-mail addresses, and each URL's kind."""
    from spxarb.channels import channels  # noqa: PLC0415 -- likewise

    return ", ".join(channel.name for channel in channels(config))


def problems(config: Config) -> list[str]:
    """Why nothing can be sent by some of the ways as things are."""
    from spxarb.channels import channels  # noqa: PLC0415 -- likewise

    return [channel.problem for channel in channels(config) if channel.problem]


def deliver(
    ways: list[Channel], title: str, texts: Mapping[str, str], *, deadline: float = DEADLINE_SECONDS
) -> dict[str, str]:
    """Send each way its text, all at once, within `deadline` seconds. Way -> why, of those that failed."""
    title, texts = from_outside(title), {name: lines_from_outside(text) for name, text in texts.items()}
    failures = {way.name: way.problem for way in ways if way.problem and way.name in texts}
    usable = [way for way in ways if way.name in texts and not way.problem]
    if usable:
        messages = [{**way.how, "title": title, "text": texts[way.name]} for way in usable]
        for channel, problem in zip(usable, _sent_by_a_process(messages, deadline), strict=True):
            if problem:
                failures[channel.name] = _clean(problem, usable)
    for name, problem in failures.items():
        log.warning("the alert was not sent to %s: %s", name, problem)
    return failures


def _clean(problem: str, ways: list[Channel]) -> str:
    """One line, without the secrets of any way."""
    from spxarb.channels import without_pieces  # noqa: PLC0415 -- loaded by whoever made the ways

    for secret in (secret for channel in ways for secret in channel.secrets):
        problem = problem.replace(secret, "***")
    for url in filter(None, (channel.how.get("url") for channel in ways)):
        problem = without_pieces(problem, url)
    return from_outside(masked_addresses(problem))


def _sent_by_a_process(messages: list[dict[str, Any]], deadline: float) -> list[str]:
    """Why each message was not sent; empty when it was."""
    with children.private_folder() as folder:
        return _sent_from(folder, messages, deadline)


def _sent_from(folder: str, messages: list[dict[str, Any]], deadline: float) -> list[str]:
    try:
        process = subprocess.Popen(  # noqa: S603 -- our own command
            children.python("spxarb.notify"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=children.environment(),
            cwd=folder,
            start_new_session=True,  # Ctrl-C is the job's, and whatever the sender starts ends with it
        )
    except OSError as error:
        return [f"its process cannot be started: {error}"] * len(messages)
    silent, answers = f"no answer within {deadline:g} s", ""
    try:
        answers, _ = process.communicate(json.dumps(messages), timeout=deadline)
        silent = f"its process ended with {process.returncode}"
    except subprocess.TimeoutExpired:
        answers = _rest(process)  # other ways may have been faster
    except OSError as error:
        silent = str(error)
    finally:
        children.end(process)
    return _read(answers, [silent] * len(messages))


def _rest(process: subprocess.Popen[str]) -> str:
    """What a process that was too slow had answered by then."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired, OSError, ValueError):
        return process.communicate(timeout=children.KILLED_SECONDS)[0]
    return ""


def _read(answers: str, problems: list[str]) -> list[str]:
    """The problems, with those in place of which there is an answer: a line each, `[number, problem]`."""
    for line in answers.splitlines():
        with suppress(ValueError, TypeError, LookupError):
            number, problem = json.loads(line)
            problems[number] = str(problem)
    return problems


# --- in the process that sends ------------------------------------------------------------------------


def _send(message: dict[str, Any]) -> str:
    """Why it was not sent; empty when it was."""
    try:
        if "mail" in message:
            _send_mail(message["mail"], message["title"], message["text"])
            return ""
        return _send_by_apprise(message["url"], message["title"], message["text"])
    except Exception as error:  # noqa: BLE001 -- an alert that fails is told, not raised
        return f"{type(error).__name__}: {error}"


def _send_mail(how: dict[str, Any], title: str, text: str) -> None:
    """Raises smtplib.SMTPException, OSError or ssl.SSLError."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(title.split())
    mail["From"], mail["To"] = how["sender"], how["to"]
    mail["Date"], name = formatdate(localtime=True), socket.gethostname() or "localhost"
    mail["Message-ID"] = make_msgid(domain=name)  # the library would ask the network for a name
    mail.set_content(text)
    context = ssl.create_default_context()
    where = how["host"], how["port"]
    server: smtplib.SMTP
    if how["security"] == "tls":
        server = smtplib.SMTP_SSL(*where, local_hostname=name, timeout=SMTP_SECONDS, context=context)
    else:
        server = smtplib.SMTP(*where, local_hostname=name, timeout=SMTP_SECONDS)
    with server:
        if how["security"] == "starttls":
            server.starttls(context=context)
        if how["user"] is not None:
            server.login(how["user"], how["password"])
        refused = server.send_message(mail)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)


def _send_by_apprise(url: str, title: str, text: str) -> str:
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
    return "" if sent else ("; ".join(warnings.lines) or "refused without a reason")


class _Warnings(logging.Handler):
    """Collects apprise's warnings: `notify` itself returns only True or False.

    It sends in threads of its own, so where several ways fail at once each may have the words of all.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    """Send the messages on stdin at the same time; a line on stdout says how each has ended."""
    writing = threading.Lock()

    def work(number: int, message: dict[str, Any]) -> None:
        answer = json.dumps([number, _send(message)])
        with writing:
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()

    messages = json.loads(sys.stdin.read())
    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(messages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
