"""Properties of the socket that a server listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from muniment.errors import Unavailable
from muniment.http.listening import bind


def test_an_answer_is_sent_as_it_is_written() -> None:
    """No connection holds back what is written until the other side has acknowledged what was written before."""

    async def accepted() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            seen.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = bind("127.0.0.1", 0)
        async with await asyncio.start_server(look, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            try:
                return await asyncio.wait_for(seen, 10)
            finally:
                writer.close()

    assert asyncio.run(accepted()) != 0


def test_an_address_in_use_cannot_be_had() -> None:
    """A second server on the same port is refused with the port in the message."""
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            bind("127.0.0.1", port)
    assert refused.value.code == "MUNI-H501"
    assert str(port) in refused.value.message
