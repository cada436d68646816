"""Model files that would run code are recognised by content under any name; those that are data pass."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import marshal
import pickle
import random
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muniment.errors import Invalid
from muniment.programs.model_formats import HEAD_BYTES, recognise, refuse_code


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return sink.getvalue()


def dangerous() -> dict[str, bytes]:
    trap = Trap(Path("/nonexistent/marker"))
    plain = pickle.dumps(trap)
    found = {f"pickle protocol {p}": pickle.dumps(trap, p) for p in range(6)}
    found |= {f"pickle of data, protocol {p}": pickle.dumps({"a": [1.5, "x"]}, p) for p in range(6)}
    sink = io.BytesIO()
    joblib.dump({"w": np.arange(3)}, sink)
    found["joblib"] = sink.getvalue()
    for name, compress in (
        ("gzip", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zlib", zlib.compress),
    ):
        found[f"pickle within {name}"] = compress(plain)
    found["lzma of old"] = lzma.compress(plain, lzma.FORMAT_ALONE)
    found["torch"] = zipped(model__data_dot_pkl=plain, model__version=b"3")
    found["torch, large"] = zipped(model__weights=random.Random(0).randbytes(200_000), model__data_dot_pkl=plain)
    found["pickle within a zip, renamed"] = zipped(weights_dot_bin=plain)
    found["keras"] = zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b"\x89HDF\r\n\x1a\n")
    found["hdf5"] = b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    sink = io.BytesIO()
    np.save(sink, np.array([{}], dtype=object), allow_pickle=True)
    found["object array"] = sink.getvalue()
    sink = io.BytesIO()
    np.savez(sink, w=np.array([trap], dtype=object))
    found["object array within npz"] = sink.getvalue()
    code = compile("1", "x", "exec")
    found["compiled python"] = struct.pack("<HH", 3495, 0x0A0D) + b"\0" * 12 + marshal.dumps(code)
    found["r data"] = gzip.compress(b"RDX3\nX\n\0\0\0\3")
    return found


DANGEROUS = dangerous()


@pytest.mark.parametrize("name", DANGEROUS)
def test_code_is_refused_under_any_name(name: str) -> None:
    """The refusal names what it is and what to save instead, whatever the file is called."""
    content = DANGEROUS[name]
    with pytest.raises(Invalid) as refused:
        refuse_code("model.ubj", content[:HEAD_BYTES], len(content), content[-HEAD_BYTES:])
    assert refused.value.code == "MUNI-D187"
    assert refused.value.facts["do"]


def test_the_control_runs(tmp_path: Path) -> None:
    """The trap is real: unpickled, it leaves its mark; refused, it does not."""
    mark = tmp_path / "mark"
    content = pickle.dumps(Trap(mark))
    with pytest.raises(Invalid):
        refuse_code("model.bin", content, len(content))
    assert not mark.exists()
    pickle.loads(content)
    assert mark.exists()


HARMLESS = {
    "text": b"The tree\nstands.\n",
    "csv": b"a,b\n1,2\n3,4\n",
    "json": b'{"coefficients": [1, 2]}',
    "xgboost": b"{L\0\0\0\0\0\0\0\x07learner{" + b"\0" * 40,
    "lightgbm": b"tree\nversion=v4\nnum_class=1\n",
    "onnx": b"\x08\x08\x12\x08skl2onnx\x1a\x061.17.0",
    "safetensors": struct.pack("<Q", 60) + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}      ',
    "pmml": b"<?xml version='1.0'?><PMML/>",
    "empty": b"",
    "one letter": b"X",
    "full stop": b".",
    "numbers": b"1\n2\n3\n",
    "zip of text": zipped(readme_dot_txt=b"hello"),
    "skops": zipped(schema_dot_json=b"{}"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_data_passes(name: str) -> None:
    """Formats that hold data, and plain text, are not refused."""
    refuse_code("model", HARMLESS[name], len(HARMLESS[name]))


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(content: bytes) -> None:
    """Recognition ends with an answer on any bytes, also behind the marks of archives."""
    for mark in (b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\x78\x9c", b"\x93NUMPY", b"c", b"("):
        found = recognise(mark + content, content)
        assert found is None or found.name


@settings(deadline=None, max_examples=300)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), st.integers(0, 5))  # fmt: skip
def test_every_pickle_is_a_pickle(value: Any, protocol: int) -> None:
    """A pickle of any value in any protocol is recognised."""
    found = recognise(pickle.dumps(value, protocol))
    assert found is not None
    assert found.dangerous


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=12), min_size=2, max_size=6)
)
def test_text_tables_are_no_pickles(words: list[str]) -> None:
    """Lines of comma-separated words are not taken for pickles of the old, unmarked protocols."""
    found = recognise(("name,value\n" + "\n".join(f"{word},1" for word in words)).encode())
    assert found is None or not found.dangerous


@pytest.mark.parametrize("size", [0x80, 0x180, 0x280, 0x480, 0x580, 0x10480])
def test_a_length_that_looks_like_a_pickle_is_none(size: int) -> None:
    """Safetensors begins with the length of its header, and 128 is the mark of a pickle: only the rest tells."""
    header = b'{"__metadata__":{"a":"b"}}'.ljust(size)
    content = size.to_bytes(8, "little") + header + b"\0" * 16
    found = recognise(content[:HEAD_BYTES])
    assert found is not None
    assert (found.name, found.dangerous) == ("safetensors", False)
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(content)


def test_a_file_that_is_both_is_a_pickle(tmp_path: Path) -> None:
    """A length whose bytes jump over the brace as opcodes, and an import behind it: it runs, and so it is refused."""
    marker = tmp_path / "marker"
    number = b"\x47" + b"\0\0\0\0\0" + b'{" '  # BINFLOAT takes the eight bytes that hold the brace
    content = b"\x80\x02" + number + pickle.dumps(Trap(marker), 0)
    assert int.from_bytes(content[:8], "little") < 1 << 24
    found = recognise(content)
    assert found is not None
    assert found.dangerous
    pickle.loads(content)
    assert marker.exists()
