"""One command, one process: the HTTP API, the workers that run jobs, and the sequencer that signs checkpoints."""

from __future__ import annotations

import ipaddress
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from muniment.bootstrap import Platform
from muniment.errors import Invalid, Unavailable
from muniment.http.app import application

_USES_S: Final = 60.0
_LONGEST_HEAD: Final = 128 << 10
"""Bytes of a request before its body: verbs that take bytes have all their parameters in the query."""

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
        Invalid: a plain-HTTP server may listen on loopback only, or the certificate or its key cannot be read.
        Unavailable: the address cannot be had.
    """
    loopback = _is_loopback(listen.host)
    _check_tls(listen, loopback=loopback)
    taken = _bind(listen)
    port = taken.getsockname()[1]
    config = configuration(platform, listen)
    stop = threading.Event()
    threads = [
        threading.Thread(target=platform.worker.serve, args=(stop,), name=f"worker-{n}") for n in range(listen.workers)
    ]
    threads.append(threading.Thread(target=_note_uses, args=(platform, stop), name="uses"))
    for thread in threads:
        thread.start()
    try:
        platform.ledger.start(listen.checkpoint_s)
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        ready(f"{'https' if listen.tls else 'http'}://{host}:{port}")
        with _signals_only_stop():
            uvicorn.Server(config).run(sockets=[taken])
    finally:
        stop.set()
        platform.ledger.stop()
        for thread in threads:
            thread.join()
        taken.close()


def configuration(platform: Platform, listen: Listen) -> uvicorn.Config:
    """How the server speaks HTTP."""
    return uvicorn.Config(
        application(platform.gate, hosts=_LOOPBACK if _is_loopback(listen.host) else None),
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


@contextmanager
def _signals_only_stop() -> Iterator[None]:
    """Uvicorn raises the signals that stopped it once more when it is done; by then they have done their work."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_tls(listen: Listen, *, loopback: bool) -> None:
    given = [path for path in (listen.certificate, listen.private_key) if path is not None]
    if len(given) == 1 or (not given and not loopback):
        raise Invalid(
            "MUNI-H107",
            "beyond this machine the API speaks TLS only, which takes a certificate and its key",
            host=listen.host,
            do="give --certificate and --private-key, or listen on 127.0.0.1",
        )
    if given:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(given[0], given[1])
        except OSError as broken:  # SSLError is one
            raise Invalid(
                "MUNI-H109",
                "the certificate and its key cannot be used",
                files=[str(path) for path in given],
                reason=str(broken),
            ) from broken


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
