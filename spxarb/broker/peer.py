"""Whose program answers on loopback: the user whose process has the other end of our connection.

While the Gateway restarts, any user of the machine can listen at its port. Linux tells the owner of every TCP
socket (proc(5), /proc/net/tcp; read below /proc/self, which is there under ProcSubset=pid too). Until a
program has accepted a connection, its other end belongs to nobody, and its inode is 0.
"""

from __future__ import annotations

import asyncio
import ipaddress
import pwd
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spxarb.errors import StrangerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    End = tuple[Address, int]

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
USER_MAP = Path("/proc/self/uid_map")
OVERFLOW = 65534
"""How a user namespace shows every user that it does not know (user_namespaces(7))."""
ACCEPT_SECONDS, _LOOK_SECONDS = 2.0, 0.05
_MEND = "Look which program listens at that port; ib.gateway_user names the user that the Gateway runs as"


async def prove_owner(transport: Any, user: str) -> None:
    """Raises StrangerError unless a program of `user`, a name or a number, has accepted our connection.

    Nothing may have been sent yet. What cannot be known is refused: the check was asked for.
    """
    wanted = _number(user)
    socket = transport.get_extra_info("socket")
    ours, theirs = _end(socket.getsockname()), _end(socket.getpeername())
    where = f"{theirs[0]}:{theirs[1]}"
    if not theirs[0].is_loopback:
        raise _unknown(where, "it is not on this machine")
    for _ in range(round(ACCEPT_SECONDS / _LOOK_SECONDS)):
        owner = _owner(ours, theirs, where)
        if owner is not None:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    else:
        raise _unknown(where, f"no program of this machine has accepted it in {ACCEPT_SECONDS:g} s")
    if owner == OVERFLOW and _namespaced():
        raise _unknown(where, "a user namespace hides other users from us (systemd: PrivateUsers=)")
    if owner != wanted:
        raise StrangerError(
            f"A program of user {_name(owner)} answers at {where}, not of ib.gateway_user {user}",
            risk="Nothing was sent",
            mend=_MEND,
        )


def _number(user: str) -> int:
    try:
        return int(user) if user.isascii() and user.isdigit() else pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):
        raise StrangerError(
            f"There is no user {user!r} on this machine, whose Gateway ib.gateway_user asks for",
            risk="Nothing was sent",
            mend="Set ib.gateway_user to the user that the Gateway runs as, or to null",
        ) from None


def _name(number: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _unknown(where: str, why: str) -> StrangerError:
    return StrangerError(
        f"Whose program answers at {where} cannot be known ({why}), and ib.gateway_user asks for it",
        risk="Nothing was sent",
        mend=_MEND,
    )


def _owner(ours: End, theirs: End, where: str) -> int | None:
    """The user whose process has the other end; None while nobody has accepted it."""
    found = False
    for table in TABLES:
        with suppress(FileNotFoundError):  # a kernel without IPv6
            found = True
            for local, remote, owner, inode in _sockets(table, where):
                if (local, remote) == (theirs, ours) and inode:
                    return owner
    if not found or not TABLES[0].exists():
        raise _unknown(where, "this system does not tell the owners of sockets")
    return None


def _sockets(table: Path, where: str) -> Iterator[tuple[End, End, int, int]]:
    """Each socket of a table: its end, the other end, its user and its inode. Raises StrangerError."""
    try:
        with table.open(encoding="ascii") as file:
            next(file, None)
            for line in file:
                part = line.split()
                yield _decoded(part[1]), _decoded(part[2]), int(part[7]), int(part[9])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, IndexError) as error:
        raise _unknown(where, f"{table} cannot be read: {error}") from None


def _decoded(text: str) -> End:
    """`0100007F:0FA2` of a little-endian machine: 127.0.0.1, port 4002. Words of 32 bits in its own order."""
    words, _, port = text.partition(":")
    data = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return _plain(ipaddress.ip_address(data)), int(port, 16)


def _end(name: tuple[Any, ...]) -> End:
    return _plain(ipaddress.ip_address(name[0])), name[1]


def _plain(address: Address) -> Address:
    """An IPv4 address as such: Java listens on IPv6 for both."""
    return getattr(address, "ipv4_mapped", None) or address


def _namespaced() -> bool:
    """Whether we see fewer users than the machine has."""
    try:
        return USER_MAP.read_text(encoding="ascii").split() != ["0", "0", str(2**32 - 1)]
    except OSError:
        return True
