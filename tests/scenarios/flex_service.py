"""A Flex web service on loopback: the real client reaches it as its proxy, and takes its certificate for IB's."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

HOST = "gdcdyn.interactivebrokers.com"
SENT = (
    "<FlexStatementResponse><Status>Success</Status><ReferenceCode>4711</ReferenceCode>"
    f"<Url>https://{HOST}/Universal/servlet/FlexStatementService.GetStatement</Url></FlexStatementResponse>"
)
"""The answer to a request for a statement: the reference under which it can be had."""


def refused(code: str, text: str, status: str = "Fail") -> str:
    return (
        f"<FlexStatementResponse><Status>{status}</Status><ErrorCode>{code}</ErrorCode>"
        f"<ErrorMessage>{text}</ErrorMessage></FlexStatementResponse>"
    )


class FlexService:
    """Answers one request after the other with `answers`; the last one again and again, None: with silence."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[str | None] = []
        self.asked: list[str] = []
        """The request lines so far."""
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        words = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-days", "2"]
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        if not self.certificate.exists():
            subprocess.run([*words, *subject, *files], check=True, capture_output=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to this service."""
        port = self._listener.getsockname()[1]
        return {
            "https_proxy": f"http://127.0.0.1:{port}",
            "SSL_CERT_FILE": str(self.certificate),
            "no_proxy": "",
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone wakes no `accept`
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=[client], daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            _head(client)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._tls.wrap_socket(client, server_side=True) as secure:
                self.asked.append(_head(secure).partition("\r\n")[0])
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    self._over.wait(60)
                    return
                body = answer.encode()
                secure.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
                )


def _head(connection: socket.socket) -> str:
    """The head of one request."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise OSError
        data += more
    return data.decode()
