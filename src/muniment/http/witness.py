"""The witness over HTTP: one path, ``POST /add-checkpoint`` (C2SP tlog-witness). It knows no platform."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from muniment.errors import MunimentError
from muniment.http.listening import Address, bind, signals_only_stop
from muniment.ledger.submission import LONGEST
from muniment.ledger.witness import Answer, Witness

BODY_S: Final = 10.0
"""How long a submission may take to arrive."""

AT_ONCE: Final = 64
"""Requests that are answered at once; more are told to come again (503)."""

_log = logging.getLogger("muniment.witness")


def application(witness: Witness, said: Callable[[str], None] = lambda line: None, body_s: float = BODY_S) -> Starlette:
    """The witness as an ASGI application.

    Args:
        witness: what decides.
        said: called with one line for each submission that was decided.
        body_s: how long a submission may take to arrive.
    """

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(body_s):
                body = await _body(request)
        except TimeoutError:
            return _response(Answer(408, "the submission took too long to arrive\n"))
        except ClientDisconnect:
            return Response(status_code=499)
        if body is None:
            return _response(Answer(413, f"a submission is at most {LONGEST} bytes\n"))
        try:
            answer = await run_in_threadpool(witness.add_checkpoint, body)
        except MunimentError as failed:
            _log.error("%s %s %s", failed.code, failed.message, failed.facts.get("reason", ""))
            said(f"{failed.code} {failed.message}: nothing was promised")
            return _response(Answer(503, "the witness cannot remember, so it promises nothing; come again\n"))
        said(answer.said)
        return _response(answer)

    app = Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])
    app.router.redirect_slashes = False
    return app


def serve(witness: Witness, address: Address, ready: Callable[[str], None], said: Callable[[str], None]) -> None:
    """Serve until a signal says stop.

    Args:
        witness: what decides.
        address: where it listens.
        ready: called with its URL once it listens.
        said: called with one line for each submission that was decided.

    Raises:
        Invalid: beyond loopback it listens with TLS only, or the certificate or its key cannot be read.
        Unavailable: the address cannot be had.
    """
    address.check()
    taken = bind(address.host, address.port)
    try:
        config = uvicorn.Config(
            application(witness, said),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=30,
            limit_concurrency=AT_ONCE,
            http="h11",
            h11_max_incomplete_event_size=16 << 10,
            ssl_certfile=str(address.certificate) if address.tls else None,
            ssl_keyfile=str(address.private_key) if address.tls else None,
        )
        ready(address.url(taken.getsockname()[1]))
        with signals_only_stop():
            uvicorn.Server(config).run(sockets=[taken])
    finally:
        taken.close()


async def _body(request: Request) -> bytes | None:
    """The body; None as soon as it is longer than any submission."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LONGEST:
            return None
    return bytes(content)


def _response(answer: Answer) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": answer.media_type}
    return Response(answer.body, answer.status, headers=headers)
