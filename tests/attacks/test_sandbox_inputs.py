"""Inputs reach a job whole and verified, or the job never runs."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from muniment.adapters.sandbox.canaries import Runner
from muniment.errors import IntegrityError, Invalid
from muniment.execution.ports import ExitStatus, Inline, Input, Limits
from muniment.kernel.digest import Digest
from sandboxing import job, left, run, sealed

pytestmark = pytest.mark.slow

PATH = "/opt/ml/input/data/train/part-00000.bin"
READ = (
    "import hashlib, os, sys\nroot = os.environ.get('MUNIMENT_ML_ROOT', '/opt/ml')\n"
    "content = open(root + '/input/data/train/part-00000.bin', 'rb').read()\nprint(hashlib.sha256(content).hexdigest())"
)


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 8 << 20])
def test_an_input_arrives_byte_for_byte(walls: Runner, size: int) -> None:
    """Any size, also nothing and more than a pipe holds."""
    content = secrets.token_bytes(size)
    end, recorder = run(walls, job(READ, inputs=(sealed(PATH, content),)))
    assert (end.status, recorder.text.strip()) == (ExitStatus.OK, hashlib.sha256(content).hexdigest())


def test_many_inputs_arrive(walls: Runner) -> None:
    """As many parts as a job may have, in two channels."""
    parts = tuple(sealed(f"/opt/ml/input/data/c{n % 2}/part-{n}", str(n).encode() * 1000) for n in range(512))
    code = (
        "import glob, os\nroot = os.environ.get('MUNIMENT_ML_ROOT', '/opt/ml')\n"
        "print(sum(len(open(p, 'rb').read()) for p in glob.glob(root + '/input/data/*/*')))"
    )
    end, recorder = run(walls, job(code, inputs=parts))
    assert (end.status, recorder.text.strip()) == (ExitStatus.OK, str(sum(one.size for one in parts)))


@pytest.mark.parametrize("how", ["digest", "shorter", "longer", "raises", "half then raises"])
def test_an_input_that_does_not_verify_holds_and_kills_the_job(walls: Runner, how: str) -> None:
    """A wrong byte, a pipe that closes early, a stream that does not decrypt: no line of the job's code runs."""
    content = secrets.token_bytes(3 << 20)
    mark = secrets.token_hex(16)

    @contextmanager
    def broken() -> Iterator[BinaryIO]:
        if how == "raises":
            raise IntegrityError("MUNI-V501", "the object was altered")
        yield Tampered(content)

    class Tampered(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1 << 20:
                raise IntegrityError("MUNI-V501", "the object was altered")
            return super().read(size)

    given = {
        "digest": sealed(PATH, content, digest=Digest.of(b"another")),
        "shorter": sealed(PATH, content[: 1 << 20], size=len(content), digest=Digest.of(content)),
        "longer": sealed(PATH, content + b"x", size=len(content), digest=Digest.of(content)),
    }.get(how) or Input(PATH, len(content), Digest.of(content), broken)
    end, recorder = run(walls, job("print('ran')", mark, inputs=(given, sealed("/opt/ml/input/data/x/y", b"z"))))
    assert (end.status, recorder.text, recorder.ran.is_set()) == (ExitStatus.REFUSED, "", False)
    assert "does not verify" in end.reason
    assert (end.exit_code, recorder.outputs) == (None, {})
    assert left(mark) == []


def test_what_opening_an_input_raises_passes_through(walls: Runner) -> None:
    """An error that is not of the data, such as a vault that does not answer, reaches the caller; nothing runs on."""
    mark = secrets.token_hex(16)

    @contextmanager
    def absent() -> Iterator[BinaryIO]:
        raise ConnectionError("vault is away")
        yield io.BytesIO()

    with pytest.raises(ConnectionError, match="vault is away"):
        run(walls, job("print('ran')", mark, inputs=(Input(PATH, 1, Digest.of(b"x"), absent),)))
    assert left(mark) == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/opt/ml/model/x",
        "/opt/ml/input",
        "/opt/ml/input/../../etc/x",
        "/opt/ml/input/.hidden",
        "/opt/ml/input//x",
        "/opt/ml/input/a\nb",
        "/opt/ml/inputs/x",
        "/opt/ml/input/" + "x" * 201,
        "opt/ml/input/x",
    ],
)
def test_paths_that_leave_the_input_folder_are_refused(path: str) -> None:
    """No input can be declared at another place than below the input and code folders."""
    with pytest.raises(Invalid) as refused:
        Inline(path, b"")
    assert refused.value.code == "MUNI-X111"


def test_two_inputs_at_one_path_are_refused() -> None:
    """An input cannot stand in for another, nor be a file and a folder."""
    with pytest.raises(Invalid) as twice:
        job("", inputs=(sealed(PATH, b"a"), sealed(PATH, b"b")))
    with pytest.raises(Invalid) as nested:
        job("", inputs=(sealed(PATH, b"a"), sealed(PATH + "/below", b"b")))
    assert (twice.value.code, nested.value.code) == ("MUNI-X118", "MUNI-X119")


@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
def test_each_limit_is_bounded_and_named(name: str) -> None:
    """A limit of zero, below zero, absurdly large or of another type is refused by its name."""
    for wrong in (0, -1, 1 << 60, True, 1.5):
        with pytest.raises(Invalid) as refused:
            Limits(**{name: wrong})  # type: ignore[arg-type]
        assert refused.value.facts["field"] == name
