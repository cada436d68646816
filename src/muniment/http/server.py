"""One command, one process: the HTTP API, the workers that run jobs, and the sequencer that signs checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from muniment.bootstrap import Platform
from muniment.errors import Unavailable
from muniment.http.app import Uploads, application
from muniment.http.listening import Address, bind, signals_only_stop

_USES_S: Final = 60.0
_LONGEST_HEAD: Final = 128 << 10
"""Bytes of a request before its body: verbs that take bytes have all their parameters in the query."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen(Address):
    """Where and how a server listens, and what runs beside it."""

    workers: int = 1
    """Jobs that run at once."""

    checkpoint_s: float = 1.0
    """Seconds between two checkpoints, at most."""

    witness_s: float = 30.0
    """Seconds between two visits to the witnesses."""


def serve(
    platform: Platform,
    listen: Listen,
    ready: Callable[[str], None],
    mounts: Mapping[str, ASGIApp] | None = None,
) -> None:
    """Serve until a signal says stop.

    Args:
        platform: what is served.
        listen: where.
        ready: called with the server's URL once it listens.
        mounts: other people's protocols, by the path under which each is found.

    Raises:
        Invalid: a plain-HTTP server may listen on loopback only, or the certificate or its key cannot be read.
        Unavailable: the address cannot be had.
    """
    listen.check()
    taken = bind(listen.host, listen.port)
    config = configuration(platform, listen, mounts)
    stop = threading.Event()
    threads = [
        threading.Thread(target=platform.worker.serve, args=(stop,), name=f"worker-{n}") for n in range(listen.workers)
    ]
    threads.append(threading.Thread(target=_note_uses, args=(platform, stop), name="uses"))
    threads.append(threading.Thread(target=_visit_witnesses, args=(platform, stop, listen.witness_s), name="witnesses"))
    for thread in threads:
        thread.start()
    try:
        platform.ledger.start(listen.checkpoint_s)
        ready(listen.url(taken.getsockname()[1]))
        with signals_only_stop():
            uvicorn.Server(config).run(sockets=[taken])
    finally:
        stop.set()
        platform.ledger.stop()
        for thread in threads:
            thread.join()
        taken.close()


def configuration(platform: Platform, listen: Listen, mounts: Mapping[str, ASGIApp] | None = None) -> uvicorn.Config:
    """How the server speaks HTTP."""
    return uvicorn.Config(
        application(
            platform.gate,
            hosts=_LOOPBACK if listen.loopback else None,
            uploads=Uploads(limit_bytes=platform.settings.upload_limit_gib << 30),
            mounts=mounts,
        ),
        host=listen.host,
        port=listen.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        http="h11",
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ssl_certfile=str(listen.certificate) if listen.tls else None,
        ssl_keyfile=str(listen.private_key) if listen.tls else None,
    )


def _note_uses(platform: Platform, stop: threading.Event) -> None:
    while not stop.wait(_USES_S):
        with suppress(Unavailable):
            platform.note_uses()


def _visit_witnesses(platform: Platform, stop: threading.Event, interval_s: float) -> None:
    while not stop.wait(interval_s):
        platform.witnesses.beat()
