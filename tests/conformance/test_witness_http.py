"""The witness over real HTTP, and the client that reaches it: exactly the protocol, within bounds, nowhere else."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ledgering import ORIGIN, PrivateKey
from muniment.adapters.witness.client import HttpWitnesses
from muniment.adapters.witness.folder import WitnessFolder, make_witness
from muniment.errors import Invalid, MunimentError, Unavailable
from muniment.http.listening import Address
from muniment.http.witness import application, serve
from muniment.kernel.ports import NoFaults
from muniment.ledger.cosignature import verify_cosignature
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.submission import LONGEST
from muniment.ledger.verifier import KeyType, parse_key
from muniment.ledger.witness import Witness
from muniment.testing.fakes import FakeClock, SeededEntropy
from witnessing import NAME, Grown, body

LEDGER = PrivateKey()
KEY = parse_key(verifier_key(ORIGIN, LEDGER.public_key), KeyType.LEDGER)
TREE = Grown(60)


def _note(size: int, tree: Grown = TREE) -> str:
    return sign_checkpoint(ORIGIN, size, tree.root(size), LEDGER).note


def _send(old: int, new: int, tree: Grown = TREE) -> str:
    return body(old, tree.proof(old, new), _note(new, tree)).decode()


@contextmanager
def _served(witness: Witness, body_s: float = 10.0, **more: str) -> Iterator[str]:
    """A real server for a witness, until the block ends."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    config = uvicorn.Config(application(witness, body_s=body_s), log_level="warning", lifespan="off", **more)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http{'s' if more else ''}://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        taken.close()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """A witness in a folder that trusts the ledger."""
    make_witness(tmp_path / "w", NAME, SeededEntropy())
    with WitnessFolder(tmp_path / "w").opened(FakeClock()) as opened:
        opened.trust(KEY)
        yield opened


@pytest.fixture
def url(witness: Witness) -> Iterator[str]:
    """Where it listens."""
    with _served(witness) as where:
        yield where


def _ask(url: str, method: str, path: str, content: bytes = b"") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, content)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        connection.close()


def test_the_protocol_over_the_wire(url: str, witness: Witness) -> None:
    """200 with a line that verifies, 409 with the size and its media type, 422, 400, 403, 404."""
    client = HttpWitnesses()
    good = client.add_checkpoint(url, _send(0, 10))
    assert (good.status, good.body.count("\n")) == (200, 1)
    assert verify_cosignature(_note(10), good.body, witness.key)
    stale = client.add_checkpoint(url + "/", _send(0, 12))
    assert (stale.status, stale.body, stale.media_type) == (409, "10\n", "text/x.tlog.size")
    other = Grown(60, salt="other")
    assert client.add_checkpoint(url, _send(10, 12, other)).status == 422
    assert client.add_checkpoint(url, _send(10, 10, other)).status == 409
    assert client.add_checkpoint(url, "old\n").status == 400
    stranger = sign_checkpoint(ORIGIN, 12, TREE.root(12), PrivateKey(8)).note
    assert client.add_checkpoint(url, body(10, TREE.proof(10, 12), stranger).decode()).status == 403
    unknown = sign_checkpoint("other.example/x", 12, TREE.root(12), LEDGER).note
    assert client.add_checkpoint(url, body(10, TREE.proof(10, 12), unknown).decode()).status == 404
    assert client.add_checkpoint(url, _send(10, 12)).status == 200


def test_there_is_one_path_and_one_method(url: str) -> None:
    """Nothing else is served."""
    assert _ask(url, "GET", "/add-checkpoint")[0] == 405
    for path in ("/", "/checkpoint", "/openapi.json", "/add-checkpoint/", "/key.pem"):
        assert _ask(url, "POST", path)[0] == 404


def test_a_body_is_bounded_in_size_and_time(witness: Witness) -> None:
    """Too much is 413, too slow is 408, broken off is nothing; the witness goes on."""
    with _served(witness, body_s=0.2) as url:
        assert _ask(url, "POST", "/add-checkpoint", b"o" * (LONGEST + 1))[0] == 413
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as slow:
            slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nold 0\n")
            assert b" 408 " in slow.recv(200)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as broken:
            broken.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nold 0\n")
        assert HttpWitnesses().add_checkpoint(url, _send(0, 10)).status == 200


def test_a_full_disk_is_no_promise(tmp_path: Path) -> None:
    """Where the state cannot be written the answer is 503 without a cosignature."""
    make_witness(tmp_path / "w", NAME, SeededEntropy())

    class Full(NoFaults):
        """The disk is full when something is to be written."""

        full = False

        def point(self, name: str) -> None:
            """Fail while writing."""
            if self.full and name == "witness.sync":
                raise OSError(28, "No space left on device")

    faults = Full()
    with WitnessFolder(tmp_path / "w", faults).opened(FakeClock()) as opened:
        opened.trust(KEY)
        faults.full = True
        with _served(opened) as url:
            refused = HttpWitnesses().add_checkpoint(url, _send(0, 10))
            assert (refused.status, "\N{EM DASH}" in refused.body) == (503, False)
            faults.full = False
            assert HttpWitnesses().add_checkpoint(url, _send(0, 7)).status == 200


def test_of_two_histories_at_once_one_is_cosigned(url: str, witness: Witness) -> None:
    """Many submitters of two forks at the same moment: every cosignature lies on one history."""
    fork = Grown(60, salt="fork")
    sizes = range(1, 31)
    with ThreadPoolExecutor(8) as pool:
        jobs = [(tree, size) for size in sizes for tree in (TREE, fork)]
        answers = list(pool.map(lambda job: HttpWitnesses().add_checkpoint(url, _send(0, job[1], job[0])).status, jobs))
    won = [job for job, status in zip(jobs, answers, strict=True) if status == 200]
    assert len(won) == 1
    (seen,) = witness.ledgers()
    assert (seen.size, seen.root) == (won[0][1], won[0][0].root(won[0][1]))


def test_submitters_who_race_all_end_cosigned_on_one_line(url: str, witness: Witness) -> None:
    """Each follows what it is told until it is cosigned or behind; sizes only grow, and nothing is lost."""
    promised: list[int] = []

    def submit(start: int) -> None:
        for new in range(start, 61, 4):
            old = 0
            while old <= new:
                reply = HttpWitnesses().add_checkpoint(url, _send(old, new))
                if reply.status == 200:
                    verify_cosignature(_note(new), reply.body, witness.key)
                    promised.append(new)
                    break
                assert reply.status == 409
                old = int(reply.body)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(submit, range(1, 5)))
    assert witness.ledgers()[0].size == max(promised) == 60


@pytest.mark.parametrize(
    "where",
    [
        "", "witness", "ftp://witness.example", "file:///etc/passwd", "http://witness.example", "http://10.0.0.1:80",
        "http://169.254.169.254/latest", "https://user:secret@witness.example", "https://witness.example/?q=1",
        "https://witness.example/#x", "https://", "http://[::2]/", "https://a b/", "https://witness.example:99999",
        "http://127.0.0.1.example.org/", "http://localhost.example.org", "https://wit\u00f6.example/", "https://x\\y/",
        "https://witness.example/" + "x" * 1000, "https://witness.example:0/", "//127.0.0.1/", "http://0.0.0.0/",
    ],
)  # fmt: skip
def test_urls_that_are_never_contacted(where: str) -> None:
    """Only https, and http to this machine; nothing with credentials, query or other tricks."""
    client = HttpWitnesses()
    with pytest.raises(Invalid, match="cannot be reached"):
        client.check(where)
    with pytest.raises(Invalid, match="cannot be reached"):
        client.add_checkpoint(where, "old 0\n")


@pytest.mark.parametrize(
    "where", ["https://witness.example", "https://witness.example:8443/w1/", "http://127.0.0.1:8610", "http://[::1]:1/"]
)
def test_urls_that_are(where: str) -> None:
    """The control: a witness's URL is kept without the slash at its end."""
    assert HttpWitnesses().check(where) == where.rstrip("/")


@contextmanager
def _playing(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """A server that is no witness."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            answer(self)

        def do_GET(self) -> None:
            asked.append(self.path)

        def log_message(self, *_: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_no_redirect_is_followed() -> None:
    """Whoever answers for a witness cannot send the platform elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", "/elsewhere")
        handler.end_headers()

    with _playing(answer) as (where, asked):
        assert HttpWitnesses().add_checkpoint(where, "old 0\n").status == 307
        assert asked == ["/add-checkpoint"]


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in HTTP_PROXY does not get to see checkpoints."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(404)
        handler.end_headers()

    with _playing(answer) as (where, asked):
        assert HttpWitnesses().add_checkpoint(where, "old 0\n").status == 404
        assert asked == ["/add-checkpoint"]


def test_an_answer_without_end_is_cut_off() -> None:
    """Neither in size nor in time does a bad server hold the platform."""

    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 10_000)

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    def mute(handler: BaseHTTPRequestHandler) -> None:
        for _ in range(60):
            time.sleep(0.02)

    for answer in (huge, dripping, mute):
        with _playing(_quietly(answer)) as (where, _):
            start = time.monotonic()
            with pytest.raises(Unavailable, match="did not answer"):
                HttpWitnesses(answer_s=0.3).add_checkpoint(where, "old 0\n")
            assert time.monotonic() - start < 5


def _quietly(answer: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[BaseHTTPRequestHandler], None]:
    def play(handler: BaseHTTPRequestHandler) -> None:
        try:
            answer(handler)
        except OSError:
            handler.close_connection = True

    return play


def test_a_witness_is_reached_by_tls_that_is_believed(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a certificate of an authority that the machine believes it is reached, with any other not."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "witness")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = tmp_path / "cert.pem", tmp_path / "tls.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with _served(witness, ssl_certfile=str(certificate), ssl_keyfile=str(secret)) as url:
        assert url.startswith("https:")
        with pytest.raises(Unavailable, match="did not answer") as refused:
            HttpWitnesses().add_checkpoint(url, _send(0, 10))
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.facts["reason"])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert HttpWitnesses().add_checkpoint(url, _send(0, 10)).status == 200


def test_beyond_this_machine_it_listens_with_tls_only(witness: Witness) -> None:
    """Without a certificate a witness listens on loopback; a taken port is said so."""
    with pytest.raises(Invalid, match="TLS only"):
        serve(witness, Address(host="0.0.0.0", port=0), print, print)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MunimentError, match="cannot listen"):
            serve(witness, Address(port=taken.getsockname()[1]), print, print)
