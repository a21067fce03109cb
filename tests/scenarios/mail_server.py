"""A real SMTP server on loopback, with or without TLS and a log-in; and a certificate of its own making."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path


class Mailbox:
    """What came; `refusing`: every recipient is answered with 550. `users`: who was let in."""

    def __init__(self, *, refusing: bool = False) -> None:
        self.refusing = refusing
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.users: list[str] = []
        self.port = 0

    @property
    def bodies(self) -> list[str]:
        return [mail.get_content().replace("\r\n", "\n") for mail in self.mails]

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 -- the library calls it
        if self.refusing:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- likewise
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        self.recipients += envelope.rcpt_tos
        return "250 taken"

    def authenticate(self, server, session, envelope, mechanism, data):
        right = (data.login, data.password) == (b"me", b"open sesame")
        self.users += [data.login.decode()] if right else []
        return AuthResult(success=right, handled=right)


@contextmanager
def mail_server(
    mailbox: Mailbox | None = None,
    *,
    security: str = "none",
    certificate: Path | None = None,
    log_in: bool = False,
) -> Iterator[Mailbox]:
    """A server until the block ends; its mailbox knows the port."""
    made, context = mailbox or Mailbox(), None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    starttls = security == "starttls"
    options = {"tls_context": context, "require_starttls": True} if starttls else {}
    if log_in:
        options |= {"authenticator": made.authenticate, "auth_required": True, "auth_require_tls": starttls}
    loop = asyncio.new_event_loop()
    listening = loop.create_server(
        lambda: SMTP(made, loop=loop, hostname="127.0.0.1", **options),
        "127.0.0.1",
        0,
        ssl=context if security == "tls" else None,
    )
    server = loop.run_until_complete(listening)
    made.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def self_made_certificate(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@contextmanager
def dripping_server() -> Iterator[int]:
    """A server that sends a byte now and then, which restarts a library's own time-out; its port."""

    def drip(listener: socket.socket) -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            with client:
                while True:
                    client.sendall(b"2")
                    time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
