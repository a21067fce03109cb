"""The doors of the stage: what a port is at which nothing listens, among other tests that open theirs."""

from __future__ import annotations

import asyncio
import socket

import pytest
from relay import free_port


def test_a_free_port_answers_nobody_and_is_given_to_nobody_who_does_not_name_it():
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", port))


def test_a_server_that_is_given_a_free_port_listens_there():
    port = free_port()

    async def served() -> None:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(served())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
