"""Where a server listens: beyond this machine with TLS only, and until a signal says stop."""

from __future__ import annotations

import ipaddress
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from muniment.errors import Invalid, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens, and with which certificate."""

    host: str = "127.0.0.1"
    port: int = 8600
    """0 takes a free one."""

    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def tls(self) -> bool:
        """Whether the server speaks TLS."""
        return self.certificate is not None and self.private_key is not None

    @property
    def loopback(self) -> bool:
        """Whether nobody beyond this machine reaches it."""
        return is_loopback(self.host)

    def url(self, port: int) -> str:
        """The URL of the server that was given this port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{port}"

    def check(self) -> None:
        """See that it may listen so.

        Raises:
            Invalid: beyond loopback without TLS, or the certificate or its key cannot be read.
        """
        given = [path for path in (self.certificate, self.private_key) if path is not None]
        if len(given) == 1 or (not given and not self.loopback):
            raise Invalid(
                "MUNI-H107",
                "beyond this machine a server speaks TLS only, which takes a certificate and its key",
                host=self.host,
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


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; raises Unavailable when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends what is written at once. Otherwise the second half of every answer waits
    # for the client's word that it has the first, which clients hold back for 40 ms.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(512)
    except OSError as broken:
        taken.close()
        raise Unavailable(
            "MUNI-H501",
            f"cannot listen on {host}:{port}",
            reason=broken.strerror or "",
            do="choose another --port, or stop what listens there",
        ) from broken
    return taken


def is_loopback(host: str) -> bool:
    """Whether this is an address, or the name, of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def signals_only_stop() -> Iterator[None]:
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
