"""The MLflow protocol as an ASGI application: each call is found in a table, and asked of the gate as verbs."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, BinaryIO, Final, cast

import anyio.from_thread
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from muniment.errors import Invalid, MunimentError, NotFound, Unauthenticated
from muniment.gate.door import Credential, Gate
from muniment.gateways.mlflow import artifacts, experiments, logged, registry, runs
from muniment.gateways.mlflow.asking import Calls, Fields, Question
from muniment.gateways.mlflow.errors import refusal
from muniment.kernel.verb import Download

__all__ = ["PREFIX", "gateway"]

PREFIX: Final = "/mlflow"
"""Where the gateway stands on a server."""

VERSION: Final = "3.0.0"
"""The version of MLflow's protocol that is spoken, as clients ask for it."""

MOST_DOCUMENT: Final = 4 << 20
"""Bytes that a request document may have."""

UPLOADS_AT_ONCE: Final = 16
PATIENCE_S: Final = 60.0
"""How long the next piece of a body may take."""

_NO_PAGES: Final = """MLflow's clients speak with this server; it has no pages of MLflow.
Runs are shown by: muni runs list --kind track, and muni runs show RUN
"""
"""What stands behind the links that clients print at the end of a run."""

_log = logging.getLogger("muniment.gateways.mlflow")
_API: Final = re.compile(r"(?:api|ajax-api)/(?:2\.0|3\.0)/(?P<call>.+)")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

Call = Callable[[Question], dict[str, Any] | Download]

CALLS: Final[Calls] = {
    **experiments.CALLS,
    **runs.CALLS,
    **artifacts.CALLS,
    **logged.CALLS,
    **registry.CALLS,
}
"""Everything that a client may call, by method and path."""

_PATTERNS: Final = [
    (method, re.compile(re.escape(path).replace(r"\{path\}", "(.+)").replace(r"\{id\}", "([^/]+)")), call)
    for (method, path), call in sorted(CALLS.items(), key=lambda one: "{" in one[0][1])
]


def gateway(gate: Gate, *, limit_bytes: int = 64 << 30, patience_s: float = PATIENCE_S) -> Starlette:
    """The MLflow protocol over a gate, to be mounted at ``PREFIX``.

    Args:
        gate: what every call asks.
        limit_bytes: bytes that one uploaded file may have.
        patience_s: how long the next piece of a body may take.
    """
    actions = {verb.request: verb.action for verb in gate.table if not verb.internal}
    slots = anyio.CapacityLimiter(UPLOADS_AT_ONCE)

    async def answer(request: Request) -> Response:
        project, rest = request.path_params["project"], request.path_params["rest"]
        if rest in ("health", "version"):
            return Response("OK" if rest == "health" else VERSION, media_type="text/plain", headers=_HEADERS)
        if not rest:
            return Response(_NO_PAGES, media_type="text/plain", headers=_HEADERS)
        if rest.endswith("mlflow/server-info"):
            return _json(_SERVER)
        try:
            call, parts = _find(request.method, rest)
            uploading = call is artifacts.upload
            fields = Fields({}) if uploading else await _fields(request)
            body = cast("BinaryIO", _Body(request, limit_bytes, patience_s)) if uploading else None
            question = Question(gate, actions, _credential(request), project, fields, parts, body)
            reply = await anyio.to_thread.run_sync(partial(call, question), limiter=slots if uploading else None)
        except MunimentError as refused:
            return _refused(refused)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as broken:
            _log.error("unexpected failure", exc_info=broken)
            return _refused(MunimentError("MUNI-Y501", "the server failed unexpectedly"))
        if isinstance(reply, Download):
            headers = {**_HEADERS, "Content-Disposition": "attachment"}
            return StreamingResponse(reply.chunks, media_type="application/octet-stream", headers=headers)
        return _json(reply)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{project}/{rest:path}", answer, methods=methods)])
    app.router.redirect_slashes = False
    return app


_SERVER: Final = {
    "store_type": "MunimentStore",
    "workspaces_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "trace_archival_enabled": False,
}


def _find(method: str, rest: str) -> tuple[Call, tuple[str, ...]]:
    found = _API.fullmatch(rest)
    path = found["call"].rstrip("/") if found else ""
    for takes, pattern, call in _PATTERNS:
        matched = pattern.fullmatch(path)
        if matched and takes == method:
            return call, tuple(matched.groups())
    raise NotFound(
        "MUNI-Y201",
        f"this server does not speak {method} {path[:120] or rest[:120]}",
        do="traces, prompts, evaluations and webhooks of MLflow are not kept here",
    )


async def _fields(request: Request) -> Fields:
    """The fields of a request: its query and, where it has one, its JSON document."""
    told: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in told:
            known = told[name]
            told[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            told[name] = value
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_DOCUMENT:
            raise Invalid("MUNI-Y134", "the request document is too large", limit_bytes=MOST_DOCUMENT)
    if not content.strip():
        return Fields(told)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Invalid("MUNI-Y135", "a request document is application/json", given=kind[:80])
    return Fields({**told, **_document(bytes(content))})


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as broken:
        raise Invalid("MUNI-Y136", "the request document is no JSON", reason=type(broken).__name__) from broken
    if not isinstance(document, dict):
        raise Invalid("MUNI-Y137", "the request document is no JSON object")
    return document


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise Invalid("MUNI-Y138", "the request says one thing twice", name=twice[0][:80])
    return dict(pairs)


class _Body:
    """The body of an upload as a file, read from the worker thread piece by piece; it never lies on a disk."""

    def __init__(self, request: Request, limit_bytes: int, patience_s: float) -> None:
        self._pieces: AsyncIterator[bytes] = aiter(request.stream())
        self._limit, self._patience = limit_bytes, patience_s
        self._taken, self._rest = 0, b""
        stated = request.headers.get("content-length", "0")
        self._stated = int(stated) if stated.isdecimal() else 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; empty at the end. Raises Invalid when it is too large or stops coming."""
        while not self._rest:
            piece = anyio.from_thread.run(self._next)
            if piece is None:
                return b""
            self._rest = piece
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    async def _next(self) -> bytes | None:
        self._check(self._stated)
        try:
            with anyio.fail_after(self._patience):
                piece = await anext(self._pieces, None)
        except (ClientDisconnect, TimeoutError):
            raise Invalid("MUNI-Y139", "the bytes stopped coming before the end", do="send them again") from None
        self._taken += len(piece or b"")
        self._check(self._taken)
        return piece

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise Invalid(
                "MUNI-Y140",
                "the file is larger than this server takes",
                limit_bytes=self._limit,
                do="raise upload_limit_gib in muniment.json",
            )


def _credential(request: Request) -> Credential:
    """The token: as MLFLOW_TRACKING_TOKEN, or as MLFLOW_TRACKING_PASSWORD beside any user name."""
    kind, _, shown = request.headers.get("authorization", "").partition(" ")
    token = shown.strip()
    if kind.lower() == "basic":
        try:
            token = base64.b64decode(token, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            token = ""
    elif kind.lower() != "bearer":
        token = ""
    return Credential(token or None, request.client.host if request.client else "", request.url.scheme == "https")


def _json(document: Any, status: int = 200, **headers: str) -> Response:
    content = msgspec.json.encode(document, enc_hook=str)
    return Response(content, status, headers={**_HEADERS, **headers}, media_type="application/json")


def _refused(error: MunimentError) -> Response:
    status, document = refusal(error)
    challenge = {"WWW-Authenticate": 'Bearer realm="muniment"'} if isinstance(error, Unauthenticated) else {}
    return _json(document, status, **challenge)
