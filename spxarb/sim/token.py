"""The token of a gateway's control: whoever steers it shows that he is the user who started it.

Any program of the machine can reach a port on loopback: another user's, and a web page in a browser. The
token is made at each start, told to whoever started the gateway, and kept in a file that its user alone can
read, where his other programs find it by the port.
"""

from __future__ import annotations

import os
import secrets
import socket
import stat
from contextlib import suppress
from pathlib import Path

LONGEST = 200
"""Bytes of the file at the most."""


def new_token() -> str:
    """One that nobody guesses: 128 bits."""
    return secrets.token_hex(16)


def keep(host: str, port: int, token: str) -> Path | None:
    """Write the token where `kept` finds it, mode 0600. None where no folder is the user's own."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_ours(folder.lstat(), stat.S_IFDIR):
                continue
            _clear(folder)
            path, new = folder / _name(host, port), folder / f"{_name(host, port)}.{os.getpid()}"
            with suppress(FileNotFoundError):
                new.unlink()
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(token)
            new.replace(path)
            return path
    return None


def kept(host: str, port: int) -> str:
    """The token that was kept for a port; empty where there is none that this user wrote."""
    for folder in _folders():
        with suppress(OSError, UnicodeDecodeError):
            if not _is_ours(folder.lstat(), stat.S_IFDIR):
                continue
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(folder / _name(host, port), flags), "rb") as file:
                if _is_ours(os.fstat(file.fileno()), stat.S_IFREG):
                    return file.read(LONGEST).decode("ascii").strip()
    return ""


def forget(path: Path | None, token: str) -> None:
    """Remove the file, unless a later gateway at the same port has written its own."""
    with suppress(OSError):
        if path is not None and path.read_text(encoding="ascii") == token:
            path.unlink()


def _clear(folder: Path) -> None:
    """Remove what gateways left that were killed: nobody listens at the port of such a token."""
    for path in folder.iterdir():
        host, _, port = path.name.rpartition("-")
        with suppress(OSError, ValueError, OverflowError):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as nobodys:
                nobodys.bind((host, int(port)))
            path.unlink()


def _folders() -> list[Path]:
    """By the user alone: a test, a timer and a terminal have other environments, and the same user."""
    user = os.getuid()
    runtime = Path(f"/run/user/{user}")
    own = [runtime / "spxarb-sim"] if runtime.is_dir() else []
    return [*own, Path(f"/tmp/spxarb-sim-{user}")]  # noqa: S108 -- only where `_is_ours`


def _is_ours(found: os.stat_result, kind: int) -> bool:
    """Whether it is of this kind, this user's, and no other's to read or write."""
    return stat.S_IFMT(found.st_mode) == kind and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _name(host: str, port: int) -> str:
    return f"{'127.0.0.1' if host == 'localhost' else host}-{port}".replace("/", "_")
