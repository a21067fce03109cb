"""Logging on to the gateway: retried only while nothing was requested, and explained when it fails."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_exponential

from spxarb.broker.questions import blocked_error
from spxarb.broker.wire import Wire
from spxarb.errors import GatewayError

_RESTART_SECONDS = 0.9  # for how long a port that refuses or closes at once is tried again
_MEND_START = (
    "Start the IB Gateway and log in, enable its API (Configure, Settings, API), "
    "and check ib.host and ib.port (Gateway: 4002 paper, 4001 live)"
)

_MEND_CUT = "Look which program listens at that port, and restart the IB Gateway"


class _NotConnectedError(GatewayError):
    """One attempt failed; another may follow until `patience` seconds after the first began"""

    def __init__(self, what: str, *, mend: str, patience: float) -> None:
        super().__init__(what, mend=mend)
        self.patience = patience


async def open_wire(
    host: str,
    port: int,
    client_id: int,
    deadline: float,
    client_id_patience: float = 0.0,
    user: str | None = None,
) -> Wire:
    """A connection that has sent its accounts, within `deadline` seconds for all attempts together.

    A refused or closed connection is tried again for a moment, a client id in use about every second until
    the deadline, or for `client_id_patience` seconds where that is longer. `user`: whose program must answer,
    a name or a number. Raises GatewayError saying what was found and how to fix it, RefusedError for another
    user's program.
    """
    patience = max(deadline, client_id_patience)
    quiet_library()
    wire = Wire(host, port, client_id)
    failure: GatewayError | None = None
    attempts = AsyncRetrying(
        wait=wait_exponential(multiplier=0.2, max=1),
        stop=_out_of_patience,
        retry=retry_if_exception_type(_NotConnectedError),
        reraise=True,
    )
    try:
        async with asyncio.timeout(patience):
            async for attempt in attempts:
                with attempt:
                    wire = Wire(host, port, client_id, user)
                    try:
                        async with asyncio.timeout(deadline):
                            await wire.open()
                    except OSError as error:
                        if isinstance(error, TimeoutError) and error.errno is None:  # not the network's own
                            raise _silent(wire, deadline) from None
                        failure = _explained(wire, error, patience)
                        raise failure from None
    except TimeoutError:
        raise failure or _silent(wire, deadline) from None
    return wire


def _out_of_patience(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    waited = state.seconds_since_start or 0.0
    return not isinstance(error, _NotConnectedError) or waited >= error.patience


def _explained(wire: Wire, error: OSError, id_patience: float) -> _NotConnectedError:
    def failed(what: str, mend: str, patience: float = 0.0) -> _NotConnectedError:
        return _NotConnectedError(what, mend=mend, patience=patience)

    where = wire.link.where
    if wire.link.cut:
        return failed(
            f"What answers at {where} is no IB Gateway, or a broken one: {wire.link.cut}", _MEND_CUT
        )
    if wire.client_id_in_use:
        # The id of a client that died, or of the session before a restart, stays taken for some seconds more.
        return failed(
            f"Client id {wire.client_id} is already in use at the gateway {where}",
            "Stop the other program that uses it, or set another ib.client_id",
            id_patience,
        )
    if wire.link.blocked:
        blocked = blocked_error(where, wire.link.blocked)
        return failed(blocked.what, blocked.mend)
    if wire.version_error:
        return failed(f"The gateway at {where} cannot be used: {wire.version_error}", "Update the IB Gateway")
    if wire.progress:
        return failed(
            f"The gateway at {where} accepted the connection and closed it at once",
            "Check that it is logged in and that this machine is among the trusted IPs in its API settings",
            _RESTART_SECONDS,
        )
    if isinstance(error, socket.gaierror):
        return failed(f"The gateway's host name {wire.host!r} cannot be resolved", "Check ib.host")
    # For a host of several addresses (localhost: ::1 and 127.0.0.1) asyncio raises one OSError: text is all.
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return failed(f"Nothing listens at {where}", _MEND_START, _RESTART_SECONDS)
    return failed(f"The gateway at {where} cannot be reached: {error}", _MEND_START)


def _silent(wire: Wire, deadline: float) -> GatewayError:
    if wire.link.blocked:
        return blocked_error(wire.link.where, wire.link.blocked)
    did = {
        "version": "began the logon but never sent its accounts",
        "tcp": "accepted the connection but sent nothing",
    }.get(wire.progress, "did not accept a connection")
    mend = {
        "version": "Look for an open dialog in the Gateway, or restart it",
        "tcp": "Check that ib.port is the API port, look for an open dialog in the Gateway, or restart it",
    }.get(wire.progress, _MEND_START)
    return GatewayError(f"The gateway at {wire.link.where} {did} within {deadline:g} s", mend=mend)


def quiet_library() -> None:
    """Silence ib_insync's own log: its errors reach the user in our words, the wire's bytes nowhere."""
    debug = logging.getLogger("spxarb").isEnabledFor(logging.DEBUG)
    for name in ("ib_insync", "eventkit"):
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.CRITICAL)
