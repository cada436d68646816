"""What a model file is, by its content: the formats that are data, and those that run code when they are opened.

A pickle is a program for a stack machine. joblib, PyTorch's ``.pt`` and Keras' ``.h5`` carry pickles or marshalled
code under other names, so names say nothing here and content decides. Standard library only: the control plane calls
this on the first bytes of a file without opening the model.
"""

from __future__ import annotations

import bz2
import io
import lzma
import pickletools
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

from muniment.errors import Invalid

__all__ = ["HEAD_BYTES", "ModelFormat", "recognise", "refuse_code"]

HEAD_BYTES: Final = 65_536
"""How many bytes from the start are enough to recognise every format."""

_EXPANDED: Final = 65_536


@dataclass(frozen=True, slots=True)
class ModelFormat:
    """What a file is."""

    name: str
    dangerous: bool
    """Whether opening it with its own library runs code from the file."""

    advice: str = ""


_SAVE: Final = "save the model as XGBoost UBJSON, LightGBM text, skops, ONNX or safetensors instead"
_PICKLE: Final = ModelFormat("a Python pickle", True, f"a pickle runs code when it is opened; {_SAVE}")
_TORCH: Final = ModelFormat(
    "a PyTorch file that holds a pickle",
    True,
    "save the weights with safetensors.torch.save_file, and the graph with torch.onnx.export where it is to score too; "
    "checkpoints go to /tmp",
)
_KERAS: Final = ModelFormat("a Keras archive", True, "export the network to ONNX")
_HDF5: Final = ModelFormat("an HDF5 file", True, "Keras keeps marshalled code in HDF5; export the network to ONNX")
_NUMPY: Final = ModelFormat("a numpy file of Python objects", True, f"object arrays are pickles; {_SAVE}")
_PYC: Final = ModelFormat("compiled Python code", True, f"this is a program, not a model; {_SAVE}")
_R: Final = ModelFormat(
    "an R data file",
    True,
    "unserialising R objects can run code; save XGBoost UBJSON, LightGBM text, ONNX or PMML, or coefficients as CSV",
)
_SKOPS: Final = ModelFormat("skops", False)
_ZIP: Final = ModelFormat("a zip archive", False)


def recognise(head: bytes, tail: bytes = b"") -> ModelFormat | None:
    """The format of a file by its first bytes, also within gzip, zlib, bzip2, xz or zip; None when unknown.

    Args:
        head: the first bytes, ``HEAD_BYTES`` of them if there are as many.
        tail: the last bytes, when known; lets a zip's directory be read.
    """
    found = _plain(head, tail)
    if found is not None:
        return found
    inner = _expanded(head)
    return _plain(inner, b"") if inner else None


def refuse_code(name: str, head: bytes, size: int, tail: bytes = b"") -> ModelFormat | None:
    """The format of a model file, which carries no code.

    Args:
        name: the file's name, for the message.
        head: the first ``HEAD_BYTES`` bytes, or the whole file when it is shorter.
        size: the size of the whole file in bytes.
        tail: the last bytes of a larger file, for zip archives.

    Raises:
        Invalid: opening the file runs code from it; the message says what to save instead.
    """
    found = recognise(head, tail if size > len(head) else b"")
    if found is not None and found.dangerous:
        raise Invalid(
            "MUNI-D187",
            f"{name[:80]!r} is {found.name}: it would run code when opened",
            file=name[:200],
            found=found.name,
            bytes=size,
            do=found.advice,
        )
    return found


def _plain(head: bytes, tail: bytes) -> ModelFormat | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(head, tail)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _HDF5
    if head.startswith(b"\x93NUMPY"):
        return _NUMPY if b"'O'" in head[:256] or b"|O" in head[:256] else ModelFormat("a numpy array", False)
    if head[2:4] == b"\r\n" and head[:2] in _PYC_MAGICS:
        return _PYC
    if head.startswith((b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n", b"X\n\0\0\0", b"B\n\2\0\0\0", b"B\n\3\0\0\0")):
        return _R
    if head.startswith((b"tree\nversion=", b"boosting", b"tree\r\nversion=")):
        return ModelFormat("LightGBM text", False)
    if head.startswith((b"{L", b"{l", b"{U", b"{i")) and b"learner" in head[:64]:
        return ModelFormat("XGBoost UBJSON", False)
    if _is_pickle(head):
        return _PICKLE
    return ModelFormat("safetensors", False) if _is_safetensors(head) else None


# The low halves of the magic numbers of CPython 3.8 to 3.15.
_PYC_MAGICS: Final = frozenset(
    value.to_bytes(2, "little") for low, high in ((3400, 3440), (3450, 3700)) for value in range(low, high)
)


def _is_pickle(head: bytes) -> bool:
    """Whether the bytes begin like a pickle of any protocol.

    Protocols 2 to 5 begin with PROTO: they are one unless an opcode is met that there is none of before anything could
    have run; the length that a safetensors file begins with may look like PROTO. Protocols 0 and 1 have no mark: their
    opcodes are walked instead, and bytes that walk to STOP, or through an import, are a pickle.
    """
    if len(head) >= 2 and head[0] == 0x80 and head[1] <= 5:
        try:
            return any(opcode.name in _RUNS for opcode, _, _ in pickletools.genops(head))
        except ValueError as ended:
            return "unknown" not in str(ended)
    return _walks(head)


_RUNS: Final = frozenset(
    {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "STOP"}
    | {"EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
)
"""What imports, calls or ends: from there on a pickle has done what it does."""


def _is_safetensors(head: bytes) -> bool:
    """Whether the bytes begin with the length of a JSON object and that object."""
    return len(head) > 8 and head[4:8] == b"\0\0\0\0" and head[8:9] == b"{"


def _walks(head: bytes) -> bool:  # noqa: PLR0912 - one branch for each shape of an opcode's argument
    """Walk opcodes of protocols 0 and 1; True at an import or instantiation, or at STOP after at least two opcodes."""
    at, opcodes = 0, 0
    while at < len(head):
        op = head[at : at + 1]
        at += 1
        if op in b"ci":
            first = head.find(b"\n", at)
            second = head.find(b"\n", first + 1) if first >= 0 else -1
            return second > 0 and _is_word(head[at:first]) and _is_word(head[first + 1 : second])
        if op == b".":
            return (opcodes >= 2 and not head[at : at + 1].strip()) or (opcodes >= 1 and at == len(head))
        if op in b"IFLSVPpg":
            end = head.find(b"\n", at)
            if end < 0 or not _fits(op, head[at:end]):
                return False
            at = end + 1
        elif op in b"(02NtldabsueoQR)]}1":
            pass
        elif op in b"Kqh":
            at += 1
        elif op == b"M":
            at += 2
        elif op in b"Jrj":
            at += 4
        elif op == b"G":
            at += 8
        elif op in b"TBX" and len(head) >= at + 4:
            at += 4 + int.from_bytes(head[at : at + 4], "little")
        elif op in b"UC" and len(head) > at:
            at += 1 + head[at]
        else:
            return False
        opcodes += 1
    return False


def _is_word(text: bytes) -> bool:
    return 0 < len(text) < 200 and text.replace(b".", b"").replace(b"_", b"").isalnum() and text.isascii()


def _fits(op: bytes, argument: bytes) -> bool:
    """Whether the text after an opcode can be its argument; ordinary text files fail here."""
    if op in b"Ppg":
        return bool(argument) if op == b"P" else argument.isdigit()
    if op in b"IL":
        return argument.rstrip(b"L").lstrip(b"+-").isdigit()
    if op == b"F":
        try:
            float(argument)
        except ValueError:
            return False
        return True
    if op == b"S":
        return len(argument) >= 2 and argument[:1] in b"'\"" and argument[-1:] == argument[:1]
    return True


def _zip(head: bytes, tail: bytes) -> ModelFormat:
    names = _zip_names(head, tail)
    if any(name == "data.pkl" or name.endswith(("/data.pkl", ".pkl", ".pickle", ".joblib")) for name in names):
        return _TORCH
    if "config.json" in names and any(name.endswith((".h5", ".weights.h5")) for name in names):
        return _KERAS
    for content in _zip_beginnings(head, tail):
        found = _plain(content, b"") if not content.startswith(b"PK") else None
        if found is not None and found.dangerous:
            return found
    if "schema.json" in names:
        return _SKOPS
    return _ZIP


def _zip_names(head: bytes, tail: bytes) -> list[str]:
    names = [name for name, _ in _local_entries(head)]
    at = tail.find(b"PK\x01\x02")
    while at >= 0:
        size = int.from_bytes(tail[at + 28 : at + 30], "little")
        names.append(tail[at + 46 : at + 46 + size].decode("utf-8", "replace"))
        at = tail.find(b"PK\x01\x02", at + 46)
    return names


def _zip_beginnings(head: bytes, tail: bytes) -> list[bytes]:
    """The first bytes of the members that the head shows, expanded."""
    try:
        with zipfile.ZipFile(io.BytesIO(head)) as archive:
            beginnings = []
            for member in archive.infolist()[:1000]:
                with archive.open(member) as file:
                    beginnings.append(file.read(4096))
            return beginnings
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError):
        return [content for _, content in _local_entries(head)]


def _local_entries(head: bytes) -> list[tuple[str, bytes]]:
    """Names and first bytes of the members by their local headers, which lie before each member."""
    entries = []
    at = head.find(b"PK\x03\x04")
    while at >= 0 and at + 30 <= len(head):
        method = int.from_bytes(head[at + 8 : at + 10], "little")
        size = int.from_bytes(head[at + 26 : at + 28], "little")
        extra = int.from_bytes(head[at + 28 : at + 30], "little")
        name = head[at + 30 : at + 30 + size].decode("utf-8", "replace")
        content = head[at + 30 + size + extra : at + 30 + size + extra + 4096]
        if method == 8:
            content = _inflate(content, -15)
        entries.append((name, content))
        at = head.find(b"PK\x03\x04", at + 30)
    return entries


def _expanded(head: bytes) -> bytes:
    """The first bytes under one layer of compression, or nothing."""
    if head.startswith(b"\x1f\x8b"):
        return _inflate(head, 31)
    if len(head) > 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:
        return _inflate(head, 15)
    try:
        if head.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(head, _EXPANDED)
        if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
            return lzma.LZMADecompressor(memlimit=2**27).decompress(head, _EXPANDED)
    except (OSError, EOFError, lzma.LZMAError, ValueError):
        return b""
    return b""


def _inflate(data: bytes, window: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(data, _EXPANDED)
    except zlib.error:
        return b""
