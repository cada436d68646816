"""Reaching witnesses over HTTP, carefully: only where an administrator said, within a time, never somewhere else."""

from __future__ import annotations

import ipaddress
import ssl
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from muniment.errors import Invalid, Unavailable
from muniment.ledger.witness_ports import Reply

if TYPE_CHECKING:
    import httpx

CONNECT_S: Final = 5.0
ANSWER_S: Final = 15.0
"""How long an answer may take, from the first byte sent to the last byte read."""

MOST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read."""

_LONGEST: Final = 1000


class HttpWitnesses:
    """The WitnessClient over HTTP: no redirect is followed, no proxy of the environment is used.

    Beyond this machine it takes TLS, and believes the certificates that the machine believes (``SSL_CERT_FILE`` adds
    those of an institution).
    """

    def __init__(self, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S) -> None:
        self._connect_s, self._answer_s = connect_s, answer_s

    def check(self, url: str) -> str:
        """The URL without a slash at its end; raises Invalid for one that is never contacted."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        wrong = ""
        if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
            wrong = "it is not the http or https URL of a server"
        elif len(url) > _LONGEST or port == 0:
            wrong = "it is too long, or its port is no port"
        elif parts.username is not None or parts.query or parts.fragment or set(url) & {" ", "\\"}:
            wrong = "it carries more than host, port and path"
        elif parts.scheme == "http" and not _loopback(host):
            wrong = "beyond this machine witnesses are reached by https only"
        if wrong:
            raise Invalid(
                "MUNI-L119",
                "a witness cannot be reached by this URL",
                given=url[:200],
                reason=wrong,
                expected="https://…",
            )
        return url.rstrip("/")

    def add_checkpoint(self, url: str, body: str) -> Reply:
        """Send a submission to ``<url>/add-checkpoint``.

        Raises:
            Unavailable: no answer came within the time, or one that was too long.
            Invalid: this URL is never contacted.
        """
        import httpx  # noqa: PLC0415  slow to import, and seldom needed

        target = f"{self.check(url)}/add-checkpoint"
        headers = {"User-Agent": f"muniment/{version('muniment')}", "Content-Type": "text/plain; charset=utf-8"}
        end = time.monotonic() + self._answer_s
        try:
            with (
                httpx.Client(
                    follow_redirects=False,
                    trust_env=False,
                    verify=ssl.create_default_context() if target.startswith("https:") else False,
                    timeout=httpx.Timeout(self._answer_s, connect=self._connect_s),
                ) as client,
                client.stream("POST", target, content=body.encode(), headers=headers) as answer,
            ):
                content = self._read(answer, end)
        except (httpx.HTTPError, OSError, TimeoutError) as silence:
            raise Unavailable(
                "MUNI-L523",
                "a witness did not answer",
                url=target,
                reason=(str(silence) or type(silence).__name__)[:300],
                do="ask whoever runs the witness; the ledger goes on without it",
            ) from silence
        return Reply(answer.status_code, content.decode(errors="replace"), answer.headers.get("content-type", ""))

    def _read(self, answer: httpx.Response, end: float) -> bytes:
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > MOST_ANSWER:
                raise OSError("the answer is too long")
            if time.monotonic() > end:
                raise TimeoutError("the answer took too long")
        return bytes(content)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
