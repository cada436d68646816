"""One command, one process: the HTTP API, the workers that run jobs, and the sequencer that signs checkpoints."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from muniment.bootstrap import Platform
from muniment.errors import Invalid, Unavailable
from muniment.http.app import application

_USES_S: Final = 60.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where and how a server listens."""

    host: str = "127.0.0.1"
    port: int = 8600
    """0 takes a free one."""

    certificate: Path | None = None
    private_key: Path | None = None
    workers: int = 1
    """Jobs that run at once."""

    checkpoint_s: float = 1.0

    @property
    def tls(self) -> bool:
        """Whether the server speaks TLS."""
        return self.certificate is not None and self.private_key is not None


def serve(platform: Platform, listen: Listen, ready: Callable[[str], None]) -> None:
    """Serve until a signal says stop.

    Args:
        platform: what is served.
        listen: where.
        ready: called with the server's URL once it listens.

    Raises:
        Invalid: a plain-HTTP server may listen on loopback only.
        Unavailable: the address cannot be had.
    """
    loopback = _is_loopback(listen.host)
    if not loopback and not listen.tls:
        raise Invalid(
            "MUNI-H107",
            "beyond this machine the API speaks TLS only",
            host=listen.host,
            do="give --certificate and --private-key, or listen on 127.0.0.1",
        )
    taken = _bind(listen)
    port = taken.getsockname()[1]
    config = uvicorn.Config(
        application(platform.gate, hosts=_LOOPBACK if loopback else None),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        ssl_certfile=str(listen.certificate) if listen.tls else None,
        ssl_keyfile=str(listen.private_key) if listen.tls else None,
    )
    stop = threading.Event()
    threads = [
        threading.Thread(target=platform.worker.serve, args=(stop,), name=f"worker-{n}") for n in range(listen.workers)
    ]
    threads.append(threading.Thread(target=_note_uses, args=(platform, stop), name="uses"))
    for thread in threads:
        thread.start()
    platform.ledger.start(listen.checkpoint_s)
    try:
        ready(f"{'https' if listen.tls else 'http'}://{listen.host}:{port}")
        uvicorn.Server(config).run(sockets=[taken])
    finally:
        stop.set()
        platform.ledger.stop()
        for thread in threads:
            thread.join()
        taken.close()


def _note_uses(platform: Platform, stop: threading.Event) -> None:
    while not stop.wait(_USES_S):
        with suppress(Unavailable):
            platform.note_uses()


def _bind(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((listen.host, listen.port))
        taken.listen(512)
    except OSError as broken:
        taken.close()
        raise Unavailable(
            "MUNI-H501",
            f"cannot listen on {listen.host}:{listen.port}",
            reason=broken.strerror or "",
            do="choose another --port, or stop what listens there",
        ) from broken
    return taken


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
