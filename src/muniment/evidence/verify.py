#!/usr/bin/env python3
"""Check what Muniment hands out, offline: one file, the standard library of Python 3.9 or newer, no network.

    python3 verify.py PACK [--key KEY] [--checkpoint FILE]... [--witness KEY]... [--tolerance SECONDS] [--json]

PACK is an evidence pack about one model (a zip file), or an export of a whole ledger (a tar file); or the folder that
either was unpacked to. Exit code: 0 everything that was checked is true, 1 something was tampered with or is damaged,
2 this is neither, or the call is wrong. It rests on SHA-256, Ed25519 (RFC 8032), the Merkle tree of RFC 6962 and
signed notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof), and believes nothing but the key.

To read it, begin at ``check_pack`` or ``check_export`` below: each is an argument in numbered steps.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

TITLE = "muniment ledger export v1"
FOLDER = "ledger-export/"
MANIFEST = "manifest.txt"
FIXED = ["README.txt", "key.txt", "verify.py"]
NUMBERED = re.compile(r"(?:entries|checkpoints)/([0-9]{12})\.jsonl")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
ENTRY_BYTES = 65_535
FILE_BYTES = 256 * 2**20
UNPACKED_BYTES = 8 * 2**30
PACKED = {b"\x1f\x8b": "r:gz", b"BZ": "r:bz2", b"\xfd7": "r:xz"}
TOLERANCE_S = 900.0


parse_json = json.JSONDecoder().raw_decode  # half the time of json.loads, and no space around the document


class Tampered(Exception):
    """Something is not what was signed, or is damaged."""


class NotAnExport(Exception):
    """There is nothing here that could be checked."""


# --- Ed25519 (RFC 8032, section 5.1), verification only. A point is (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z. ---

Point = tuple[int, int, int, int]
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ZERO: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    """The sum of two points."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def decode(raw: bytes) -> Point:
    """The point with this encoding; ValueError when there is none."""
    sign, y = divmod(int.from_bytes(raw, "little"), 1 << 255)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if v * x * x % P == P - u:
        x = x * pow(2, (P - 1) // 4, P) % P
    if len(raw) != 32 or y >= P or (v * x * x - u) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def encode(point: Point) -> bytes:
    """The 32 bytes of a point."""
    inverse = pow(point[2], P - 2, P)
    return (point[1] * inverse % P | (point[0] * inverse % P & 1) << 255).to_bytes(32, "little")


class Multiples:
    """A point's multiples by 8-bit windows: a ledger has many signatures of one key."""

    def __init__(self, point: Point) -> None:
        self.rows = []
        for _ in range(32):
            row = [ZERO]
            for _ in range(256):
                row.append(add(row[-1], point))
            point = row.pop()
            self.rows.append(row)

    def times(self, factor: int) -> Point:
        """The point, that many times."""
        total = ZERO
        for row, window in zip(self.rows, factor.to_bytes(32, "little")):  # noqa: B905 - not in Python 3.9
            total = add(total, row[window]) if window else total
        return total


multiples = lru_cache(maxsize=4)(Multiples)


class PublicKey:
    """An Ed25519 public key of 32 bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        x, y, z, t = multiple = decode(raw)
        for _ in range(3):
            multiple = add(multiple, multiple)
        if encode(multiple) == encode(ZERO):
            raise ValueError("a key of small order, under which forgeries verify")
        self.minus = multiples((P - x, y, z, P - t))
        self.base = multiples(decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")))

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        s = int.from_bytes(signature[32:], "little")
        if len(signature) != 64 or s >= L:
            return False
        h = int.from_bytes(hashlib.sha512(signature[:32] + self.raw + message).digest(), "little") % L
        return encode(add(self.base.times(s), self.minus.times(h))) == signature[:32]


class Key(PublicKey):
    """A key with a name, ``<name>+<key id>+<base64(type + key)>``: a ledger's has type 1, a witness's type 4."""

    def __init__(self, text: str, kind: int = 1) -> None:
        parts = re.fullmatch(r"([!-*,-~]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})", text)
        if not parts:
            raise ValueError("not the key of a ledger or a witness")
        self.text, self.origin, raw = text, parts[1], base64.b64decode(parts[3])
        self.id = hashlib.sha256(self.origin.encode() + b"\n" + raw).digest()[:4]
        if raw[0] != kind or self.id.hex() != parts[2]:
            raise ValueError(f"not the Ed25519 key of a {'ledger' if kind == 1 else 'witness'}, or damaged")
        super().__init__(raw[1:])

    def line(self, line: str, size: int) -> bytes | None:
        """What stands in a signature line of this name and key, ``size`` bytes long; None when it is of another."""
        mark = f"\N{EM DASH} {self.origin} "
        encoded = line[len(mark) :]
        if not line.startswith(mark) or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", encoded) or len(encoded) % 4:
            return None
        raw = base64.b64decode(encoded)
        good = base64.b64encode(raw).decode() == encoded and len(raw) == 4 + size and raw[:4] == self.id
        return raw[4:] if good else None

    def open(self, note: str, what: str) -> list[str]:
        """The lines of a note that carries one signature, by this key."""
        text, _, line = note.rpartition("\n\n")
        if not line.startswith(f"\N{EM DASH} {self.origin} ") or line[-1:] != "\n":
            raise Tampered(f"{what} is not a note signed in the name of {self.origin}")
        signature = self.line(line[:-1], 64)
        if signature is None:
            raise Tampered(f"{what} is signed with another key")
        if not self.signed((text + "\n").encode(), signature):
            raise Tampered(f"the signature of {what} does not fit")
        return text.split("\n")

    def checkpoint(self, note: Any, what: str) -> tuple[int, str]:
        """The size and the root that a signed checkpoint states."""
        lines = self.open(str(note), what)
        if len(lines) != 3 or lines[0] != self.origin or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
            raise Tampered(f"{what} is not a checkpoint of {self.origin}")
        return int(lines[1]), lines[2]

    def kept(self, note: str) -> tuple[int, str]:
        """The same of a checkpoint that an auditor kept, whoever else signed it."""
        text, gap, lines = note.rpartition("\n\n")
        own = [f"{line}\n" for line in lines.splitlines() if line.startswith(f"\N{EM DASH} {self.origin} ")]
        return self.checkpoint("".join([text, gap, *own[:1]]), "a checkpoint that you kept")

    def cosigned(self, line: str, text: str) -> datetime | None:
        """When this witness cosigned a checkpoint, if the line is its own; Tampered when its signature does not fit."""
        raw = self.line(line, 72)
        if raw is None:
            return None
        seconds = int.from_bytes(raw[:8], "big")
        if seconds >= 2**40 or not self.signed(f"cosignature/v1\ntime {seconds}\n{text}".encode(), raw[8:]):
            raise Tampered(f"the cosignature of the witness {self.origin} does not fit the checkpoint")
        return datetime.fromtimestamp(seconds, timezone.utc)  # noqa: UP017 - not in Python 3.9


# --- The Merkle tree (RFC 6962, section 2.1): a leaf is SHA-256(0 + entry), a node SHA-256(1 + left + right). ---


class Tree:
    """Grows entry by entry and keeps only the roots of the perfect subtrees it consists of."""

    def __init__(self) -> None:
        self.size, self.frontier = 0, list[bytes]()

    def grow(self, entry: bytes) -> None:
        """Add an entry on the right."""
        node, rest = hashlib.sha256(b"\0" + entry).digest(), self.size
        while rest & 1:
            node = hashlib.sha256(b"\1" + self.frontier.pop() + node).digest()
            rest >>= 1
        self.frontier.append(node)
        self.size += 1

    def root(self) -> str:
        """The root, in base64 as checkpoints write it."""
        node = self.frontier[-1] if self.frontier else hashlib.sha256(b"").digest()
        for left in reversed(self.frontier[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return base64.b64encode(node).decode()


def included(entry: bytes, index: int, size: int, path: list[bytes]) -> str:
    """The root to which a proof leads from an entry (RFC 9162, section 2.1.3.2); Tampered when it leads nowhere."""
    position, last, node = index, size - 1, hashlib.sha256(b"\0" + entry).digest()
    for other in path:
        if last == 0:
            raise Tampered(f"the proof of entry {index} is too long")
        if position & 1 or position == last:
            node = hashlib.sha256(b"\1" + other + node).digest()
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + other).digest()
        position, last = position >> 1, last >> 1
    if last or not 0 <= index < size:
        raise Tampered(f"the proof of entry {index} is too short")
    return base64.b64encode(node).decode()


def begins(old: int, old_root: str, new: int, new_root: str, proof: list[bytes]) -> bool:
    """Whether a proof shows that the larger tree begins with the smaller (RFC 9162, section 2.1.4.2)."""
    if not 0 < old < new or not proof:
        return False
    nodes = [base64.b64decode(old_root), *proof] if old & (old - 1) == 0 else proof
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = (
                hashlib.sha256(b"\1" + node + first).digest(),
                hashlib.sha256(b"\1" + node + second).digest(),
            )
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            second = hashlib.sha256(b"\1" + second + node).digest()
        position, last = position >> 1, last >> 1
    return last == 0 and (encoded(first), encoded(second)) == (old_root, new_root)


def encoded(raw: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(raw).decode()


# --- The export of a ledger. ---


class Pack:
    """The files of an export: a folder, a tar file or a zip file."""

    def __init__(self, path: Path) -> None:
        self.read_raw: Callable[[str], IO[bytes] | None]
        self.archive: zipfile.ZipFile | tarfile.TarFile | None = None
        if path.is_dir():
            top = path / FOLDER if (path / FOLDER).is_dir() else path
            names = [p.relative_to(top).as_posix() for p in top.rglob("*") if not p.is_dir()]
            self.read_raw = lambda name: (top / name).open("rb") if (top / name).is_file() else None
        elif zipfile.is_zipfile(path):
            self.archive = pack = zipfile.ZipFile(path)
            names, self.read_raw = [n for n in pack.namelist() if not n.endswith("/")], pack.open
        else:
            with path.open("rb") as file:
                mode = PACKED.get(file.read(2), "r:")
            self.archive = tar = tarfile.open(path, mode)  # type: ignore[call-overload] # noqa: SIM115
            for _ in tar:  # to look for the next one means to unpack this one
                need(mode == "r:" or tar.offset <= UNPACKED_BYTES, "it is too large when unpacked: give it unpacked")
            names, self.read_raw = [m.name for m in tar.getmembers() if not m.isdir()], tar.extractfile
        self.prefix = FOLDER if names and all(name.startswith(FOLDER) for name in names) else ""
        self.names = sorted(name[len(self.prefix) :] for name in names)

    def close(self) -> None:
        """Close the archive."""
        if self.archive is not None:
            self.archive.close()

    def read(self, name: str) -> bytes:
        """The content of a file."""
        file = self.read_raw(self.prefix + name)
        if file is None:
            raise Tampered(f"{name} is not a file")
        with file:
            content = file.read(FILE_BYTES + 1)
        if len(content) > FILE_BYTES:
            raise Tampered(f"{name} is larger than any file of an export")
        return content

    def lines(self, name: str, digest: str) -> Iterable[bytes]:
        """The lines of a file, and after them an error when the file is not the one that was exported."""
        content = self.read(name)
        yield from content.split(b"\n")[:-1]
        if hashlib.sha256(content).hexdigest() != digest:
            raise Tampered(f"{name} is not as it was exported")


def check_entry(body: bytes, index: int, origin: str, seen: set[str]) -> str:
    """An entry must be an event of this ledger with an id of its own; returns its time."""
    try:
        text = body.decode()
        event, end = parse_json(text)
        time, id_, kinds = event["time"], event["id"], {type(event[name]) for name in ("id", "subject", "time", "type")}
        good = kinds == {str} and type(event["data"]) is dict and TIME.fullmatch(time) and end == len(text)
        good = good and event["source"] == origin and event["specversion"] == "1.0" and len(body) <= ENTRY_BYTES
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise Tampered(f"entry {index} is not an event of {origin}")
    if id_ in seen:
        raise Tampered(f"entry {index} has the id of an earlier one")
    seen.add(id_)
    return str(time)


def check_order(time: str, highest: str, index: int, tolerance: float) -> None:
    """An entry may be dated before an earlier one, but only a little: requests in parallel commit out of order."""
    early, late = (datetime.fromisoformat(text[:-1]) for text in (time, highest))
    if late - early > timedelta(seconds=tolerance):
        raise Tampered(f"entry {index} is dated {time}, but one before it {highest}")


def check_manifest(pack: Pack, key: Key) -> tuple[str, dict[str, str]]:
    """The manifest is signed and names exactly the files there are; returns the stated head, and digests by name."""
    title, origin, stated, *sums = [*key.open(pack.read(MANIFEST).decode(), MANIFEST), "", "", ""]
    digests = {name: digest for digest, _, name in (line.partition("  ") for line in sums[:-3])}
    numbered = [name for name in digests if NUMBERED.fullmatch(name)]
    if title != TITLE or origin != key.origin or list(digests) != FIXED + numbered or len(digests) != len(sums) - 3:
        raise Tampered(f"{MANIFEST} is not that of a ledger's export")
    if pack.names != sorted([*digests, MANIFEST]):
        raise Tampered(f"the files of the export are not those that {MANIFEST} names")
    for name in FIXED:
        list(pack.lines(name, digests[name]))
    return stated, digests


def check_checkpoints(pack: Pack, key: Key, stated: str, digests: dict[str, str]) -> list[tuple[int, str]]:
    """Every checkpoint is signed and larger than the one before; returns their sizes and roots."""
    signed: list[tuple[int, str]] = []
    for name in (name for name in digests if name.startswith("checkpoints/")):
        for line in pack.lines(name, digests[name]):
            signed.append(key.checkpoint(json.loads(line), f"checkpoint number {len(signed) + 1}"))
            if len(signed) > 1 and signed[-1][0] <= signed[-2][0]:
                raise Tampered(f"checkpoint number {len(signed)} is not larger than the one before it")
    if not signed or "{} {}".format(*signed[-1]) != stated:
        raise Tampered(f"the last checkpoint is not the one that {MANIFEST} states")
    return signed


def check_entries(
    pack: Pack, origin: str, digests: dict[str, str], goals: list[tuple[int, str]], tolerance: float
) -> tuple[Tree, str, str]:
    """Every entry is well-formed, once there and in order of time; under every checkpoint stands the root it states."""
    tree, seen, first, highest, last = Tree(), set[str](), "", "", 0
    pending = sorted(goals, reverse=True)

    def compare() -> int:
        while pending and pending[-1][0] == tree.size:
            if pending.pop()[1] != tree.root():
                raise Tampered(f"among the entries {last} to {tree.size - 1} one is not as it was signed")
        return tree.size

    compare()
    for name in (name for name in digests if name.startswith("entries/")):
        if int(name[8:20]) != tree.size:
            raise Tampered(f"{name} does not begin with entry {tree.size}")
        for body in pack.lines(name, digests[name]):
            time = check_entry(body, tree.size, origin, seen)
            if time < highest:
                check_order(time, highest, tree.size, tolerance)
            else:
                first, highest = first or time, time
            tree.grow(body)
            if pending and pending[-1][0] == tree.size:
                last = compare()
    if pending or tree.size != max(goals)[0]:
        raise Tampered(f"{max(goals)[0]} entries were signed, the export holds {tree.size}")
    return tree, first, highest


def check_export(pack: Pack, given: str | None, kept: Iterable[str], tolerance: float) -> dict[str, Any]:
    """Check the export of a ledger.

    1. The manifest is signed by the ledger's key and names exactly the files there are, each with its SHA-256.
    2. Every checkpoint is signed, and larger than the one before.
    3. Every entry is an event, there once, in order of time; under every checkpoint stands the root that it states.
    """
    enclosed = pack.read("key.txt").decode()
    key = Key(enclosed[:-1] if given is None else given)
    if enclosed != key.text + "\n":
        raise Tampered("the key in the export is not the key that was given")
    stated, digests = check_manifest(pack, key)
    signed = check_checkpoints(pack, key, stated, digests)
    own = [key.kept(note) for note in kept]
    if max(own, default=(0,))[0] > signed[-1][0]:
        raise Tampered("a checkpoint that you kept is larger: the ledger was set back, or the export is older")
    tree, first, highest = check_entries(pack, key.origin, digests, signed + own, tolerance)
    return {
        "kind": "ledger export", "origin": key.origin, "entries": tree.size, "root": tree.root(), "from": first,
        "to": highest, "checkpoints": len(signed), "kept": len(own), "key": key.text,
        "key_from": "you" if given else "the export", "tolerance": tolerance,
    }  # fmt: skip


def explain_export(found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """In plain words, what was checked and what was not."""
    checked = [
        f"{found['entries']} entries give the root {found['root']}, which the ledger signed",
        f"{found['checkpoints']} signed checkpoint(s), the earlier ones over beginnings of the same entries",
        f"every entry is a well-formed event of {found['origin']}, has its own id, and none is dated more than "
        f"{found['tolerance']:g} s before an earlier one",
        "the export holds exactly the files it was made with",
    ]
    checked += [f"{found['kept']} checkpoint(s) that you kept are of this same history"] if found["kept"] else []
    missing = ["whether what the entries say happened: only that it was recorded so, and not changed since"]
    if found["key_from"] != "you":
        missing.append(untrusted_key(found, "the export"))
    if not found["kept"]:
        missing.append("whether the holder of the key rewrote it all: give an earlier checkpoint with --checkpoint")
    return checked, [*missing, "what was recorded after the last checkpoint of this export"]


def untrusted_key(found: Mapping[str, Any], what: str) -> str:
    """That a key which lies beside what it signs proves little."""
    return (
        f"whether the key is the institution's: it was taken from {what} itself, and who made the one may have made "
        f"the other. Ask for it by another way, compare {found['key']}, give it with --key"
    )


# --- The evidence pack: its archive. One set of files has one archive, so no bit of it is free to change. ---

PACK_TITLE = "muniment evidence pack v1"
PACK_BYTES = 64 * 2**20
PATH = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}(/[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}){0,3}")
NEEDED = {
    "README.txt",
    "dossier.json",
    "keys.txt",
    "ledger/checkpoint.txt",
    "ledger/entries.jsonl",
    "verify.py",
    MANIFEST,
}
MEMBER = rb"(?:PK\x03\x04.{26}|PK\x01\x02.{42})(?:dossier\.json|keys\.txt|records/|ledger/)"
"""How a file that only packs have stands in an archive."""
KNOWN = re.compile(
    r"records/[0-9a-f]{64}\.json|signatures/[0-9a-f]{64}\.json|ledger/proofs/[0-9]{12}\.tlog-proof|"
    r"ledger/consistency/[1-9][0-9]{0,17}\.txt|formats/[a-zA-Z0-9._-]+|report\.pdf|lineage\.svg"
)


def archive(files: Mapping[str, bytes]) -> bytes:
    """The one zip archive of these files: stored, in order of their names, dated 1980, without any extra."""
    body, directory = bytearray(), bytearray()
    for name, content in sorted(files.items()):
        shared = struct.pack(
            "<HHHHHIIIHH", 10, 0, 0, 0, 33, binascii.crc32(content), len(content), len(content), len(name), 0
        )
        directory += b"PK\1\2" + struct.pack("<H", 0x031E) + shared
        directory += struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(body)) + name.encode("ascii")
        body += b"PK\3\4" + shared + name.encode("ascii") + content
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\5\6" + end)


def unarchive(raw: bytes) -> dict[str, bytes]:
    """The files of such an archive; nothing is unpacked, so nothing can grow. Tampered when it is not exactly one."""
    files: dict[str, bytes] = {}
    at = 0
    while raw[at : at + 4] == b"PK\3\4" and len(raw) >= at + 30:
        size, length = struct.unpack_from("<I", raw, at + 22)[0], struct.unpack_from("<H", raw, at + 26)[0]
        start = at + 30 + length
        name = raw[at + 30 : start].decode("latin-1")
        if not PATH.fullmatch(name):
            raise Tampered("the archive holds a file whose name is none of a pack")
        if start + size > len(raw):
            raise Tampered(f"the archive is cut off within {name}")
        if name in files:
            raise Tampered(f"the archive holds {name} twice")
        files[name] = raw[start : start + size]
        if struct.unpack_from("<I", raw, at + 14)[0] != binascii.crc32(files[name]):
            raise Tampered(f"{name} in the archive is damaged or altered")
        at = start + size
    if archive(files) != raw:
        raise Tampered("the archive is not laid out as packs are: something was added, cut off, moved or altered")
    return files


def canonical(value: Any) -> bytes:
    """The one form of a JSON value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def printed(value: Any) -> bytes:
    """A report as the programs write it that make one."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def digest_of(content: bytes) -> str:
    """The name of these bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def need(holds: Any, reason: str) -> None:
    """Refuse with a reason unless something holds."""
    if not holds:
        raise Tampered(reason)


def read_canonical(content: bytes, what: str) -> Any:
    """The JSON value of a file that is in its one form."""
    value = json.loads(content.decode())
    need(canonical(value) == content, f"{what} is not in canonical form")
    return value


# --- The evidence pack: what is in it, and what the ledger tells of it. ---

RUN_ENDED = "muniment.execution.run.ended.v1"
ENROLLED = "muniment.identity.signingkey.enrolled.v1"
REVOKED = ("muniment.identity.signingkey.revoked.v1", "muniment.identity.signingkey.revoked_of.v1")
LINKED, UNLINKED = "muniment.identity.accounts.linked.v1", "muniment.identity.accounts.unlinked.v1"
SIGNED_KINDS = {"submission", "review", "approval", "rejection", "retirement", "break-glass"}
MEANINGS = {
    "submission": "submitted for validation", "review": "validated", "approval": "approved", "rejection": "rejected",
    "retirement": "retired", "break-glass": "break-glass", "determination": "determined",
    "acknowledgement": "read and understood", "examination": "examined", "governance": "stated as governance",
    "board-report": "laid before the board",
}  # fmt: skip


class Entry:
    """An entry of the ledger that is enclosed with its proof."""

    def __init__(self, index: int, body: bytes, facts: dict[str, Any] | None = None) -> None:
        event = json.loads(body.decode())
        self.index, self.body, self.event = index, body, event
        self.id, self.type, self.time = str(event["id"]), str(event["type"]), str(event["time"])
        self.data: dict[str, Any] = event["data"]
        self.facts: dict[str, Any] = self.data.get("facts", {}) if facts is None else facts
        self.done = self.data.get("outcome") == "ok"


class Evidence:
    """The files of a pack, with what was shown of them so far."""

    def __init__(self, files: Mapping[str, bytes], key: Key) -> None:
        self.files, self.key = files, key
        self.size, self.root, self.text = 0, "", ""
        self.entries: list[Entry] = []
        self.documents: dict[str, Any] = {}
        """What lies in records/, by digest."""
        self.dossier: dict[str, Any] = {}
        self.runs: dict[str, Run] = {}
        self.records: dict[str, dict[str, Any]] = {}
        """What people stated, by digest."""
        self.tellers: dict[str, list[tuple[str, Entry]]] = {}
        """By digest, the entries that tell of it, and as what."""
        self.names: dict[str, set[str]] = {}
        """What runs called the things that they made, by digest."""
        self.in_force: list[dict[str, Any]] = []
        """The approvals by which the model is approved."""
        self.required = 1
        """Approvals that the tier asked for when the last of them was given; a later tier is for the next approval."""
        self.four_eyes = False
        """Whether it is approved, by enough people who had no part in it."""
        self.signatures: list[dict[str, Any]] = []
        self.witnesses: list[dict[str, Any]] = []
        self.kept: list[int] = []
        """Sizes of checkpoints that the auditor kept and that this history goes on from."""
        self.notes: list[str] = []
        """What could not be checked."""

    def tell(self, digest: str, what: str, entry: Entry) -> None:
        """An entry tells of something, directly or by a document that it names."""
        self.tellers.setdefault(digest, []).append((what, entry))


class Run:
    """A job: the entry that tells of its end, the one that tells who asked for it, and what is kept of it."""

    def __init__(self, evidence: Evidence, ended: Entry, asked: Entry) -> None:
        facts, documents = ended.facts, evidence.documents
        self.id, self.ended, self.asked, self.agent = str(facts["run"]), ended, asked, str(asked.data["principal"])
        self.label = str(asked.facts["label"])[:200]
        self.plan, self.seen = documents[facts["plan"]], documents[facts["record"]]
        self.products = documents[facts["products"]]
        self.record, self.plan_digest = facts["record"], facts["plan"]
        self.metrics = documents.get(self.seen["metrics"]["digest"], {})
        self.outputs = {one["digest"]: one["path"] for one in self.seen["outputs"]}
        self.generated = {one["digest"] for one in self.products}
        self.grade = "proven" if self.seen["enforcement"]["complete"] else "declared"
        need(set(facts["generated"]) == self.generated, f"entry {ended.index} tells of other results than are enclosed")
        need(asked.facts["plan"] == facts["plan"], f"entry {asked.index} asked for another plan than was run")
        projects = {ended.data["project"], asked.data["project"], evidence.dossier["project"]}
        need(len(projects) == 1, f"entry {ended.index} is about another project")
        pinned = {("programs", self.plan["code"]), ("base", self.plan["base"]), ("environment", self.plan["env"])}
        source = {("source", self.plan["source"])} if self.plan["source"] else set()
        self.used = pinned | source | set(self.plan["inputs"].items())

    def wrote(self, report: Any, path: str) -> bool:
        """Whether a document is the file that this run left at this path."""
        return self.outputs.get(digest_of(printed(report))) == path


def check_pack(
    files: Mapping[str, bytes], given: str | None, kept: Iterable[str], witnesses: Iterable[str], tolerance: float
) -> dict[str, Any]:
    """Check an evidence pack.

    The argument, from the key to every figure:

    1. The manifest is signed by the ledger's key; it names exactly the files there are, each with its SHA-256.
    2. The checkpoint is signed by the ledger's key: so many entries, under this root. Witnesses cosigned it.
    3. Each enclosed entry is an event of this ledger, and its proof leads to that root.
    4. Each enclosed document is in its one form, and an enclosed entry names its digest, directly or by another one.
    5. The dossier says of runs, data, figures and lineage what those documents say.
    6. Each signature is a person's, by a key that an entry tells was his by then, over the manifest of this model.
    7. Nobody approved what he had a part in, and as many people approved as the tier asks for.
    """
    enclosed = check_keys(files)
    key = Key(enclosed["ledger"][0] if given is None else given)
    need(enclosed["ledger"] == [key.text], "the key in the pack is not the key that was given")
    evidence = Evidence(files, key)
    check_pack_manifest(evidence)
    check_checkpoint(evidence, list(kept), list(witnesses), enclosed["witness"])
    check_proofs(evidence, tolerance)
    check_documents(evidence)
    check_dossier(evidence)
    check_registration(evidence)
    check_signatures(evidence, enclosed["person"])
    check_four_eyes(evidence)
    dossier = evidence.dossier
    return {
        "kind": "evidence pack", "origin": key.origin, "project": dossier["project"],
        "model": dossier["model"]["reference"], "digest": dossier["model"]["digest"],
        "state": dossier["state"]["value"], "entries": evidence.size, "root": evidence.root,
        "time": dossier["checkpoint"]["time"], "proofs": len(evidence.entries), "documents": len(evidence.documents),
        "records": len(evidence.records), "runs": len(evidence.runs), "files": len(files),
        "signatures": evidence.signatures, "witnesses": evidence.witnesses, "key": key.text,
        "key_from": "you" if given else "the pack", "kept": evidence.kept, "notes": evidence.notes,
        "four_eyes": evidence.four_eyes, "verifier": Path(__file__).read_bytes() == files["verify.py"],
    }  # fmt: skip


def check_keys(files: Mapping[str, bytes]) -> dict[str, list[str]]:
    """The keys that are enclosed, by whose they are: one of the ledger, any number of witnesses and people."""
    keys: dict[str, list[str]] = {"ledger": [], "witness": [], "person": []}
    for line in files["keys.txt"].decode().splitlines():
        kind, _, text = line.partition(" ")
        need(kind in keys and text, "keys.txt holds something other than keys")
        keys[kind].append(text)
    lines = [f"{kind} {text}\n" for kind, texts in keys.items() for text in texts]
    need("".join(lines).encode() == files["keys.txt"] and len(keys["ledger"]) == 1, "keys.txt is not that of a pack")
    return keys


def check_pack_manifest(evidence: Evidence) -> None:
    """Step 1: the manifest is signed, and names exactly the files there are, each with its SHA-256."""
    files = evidence.files
    lines = [*evidence.key.open(files[MANIFEST].decode(), MANIFEST), "", "", "", ""]
    title, origin, state, subject, *sums = lines[:-4]
    need(title == PACK_TITLE and origin == evidence.key.origin, f"{MANIFEST} is not that of an evidence pack")
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in sums)}
    need(list(stated) == sorted(set(files) - {MANIFEST}), f"the files of the pack are not those that {MANIFEST} names")
    need(len(stated) == len(sums), f"{MANIFEST} names a file twice")
    for name in sorted(set(files) - NEEDED):
        need(KNOWN.fullmatch(name), f"{name} is no file of a pack")
    for name, digest in stated.items():
        need(hashlib.sha256(files[name]).hexdigest() == digest, f"{name} is not as it was packed")
    size, _, root = state.partition(" ")
    need(re.fullmatch(r"[1-9][0-9]{0,17}", size), f"{MANIFEST} states no checkpoint")
    evidence.size, evidence.root = int(size), root
    evidence.dossier = read_canonical(files["dossier.json"], "dossier.json")
    dossier = evidence.dossier
    need(subject == f"{dossier['model']['digest']} {dossier['project']}", "the dossier is about another model")


def check_checkpoint(evidence: Evidence, kept: list[str], witnesses: list[str], enclosed: list[str]) -> None:
    """Step 2: the checkpoint is signed by the ledger, cosigned by witnesses, and goes on from those that were kept."""
    key, files = evidence.key, evidence.files
    note = files["ledger/checkpoint.txt"].decode()
    evidence.text, gap, lines = note.partition("\n\n")
    evidence.text += "\n"
    own, *others = lines.splitlines()
    need(gap and "".join(f"{line}\n" for line in [own, *others]) == lines, "the checkpoint is not a note")
    state = key.checkpoint(f"{evidence.text}\n{own}\n", "the checkpoint")
    need(state == (evidence.size, evidence.root), f"the checkpoint is not the one that {MANIFEST} states")
    need(evidence.dossier["checkpoint"]["note"] == f"{evidence.text}\n{own}\n", "the dossier states another checkpoint")
    known = {text: Key(text, 4) for text in [*witnesses, *enclosed]}
    for line in others:
        moments = {text: moment for text, one in known.items() if (moment := one.cosigned(line, evidence.text))}
        need(len(moments) == 1, "the checkpoint bears a cosignature by a witness whose key is not here")
        text, moment = next(iter(moments.items()))
        evidence.witnesses.append(
            {
                "witness": known[text].origin,
                "key": text,
                "time": moment.isoformat().replace("+00:00", "Z"),
                "key_from": "you" if text in witnesses else "the pack",
            }
        )
    shown = [
        {"name": one["witness"], "key": one["key"], "size": evidence.size, "line": f"{line}\n"}
        for one, line in zip(evidence.witnesses, others)  # noqa: B905 - not in Python 3.9
    ]
    need(evidence.dossier["witnesses"] == shown, "the dossier names other witnesses than cosigned")
    cosigned = [one["key"] for one in evidence.witnesses]
    need(len(set(cosigned)) == len(cosigned), "a witness cosigned twice")
    for text in witnesses:
        need(text in cosigned, f"the witness {known[text].origin}, whose key you gave, did not cosign this checkpoint")
    for mine in kept:
        check_kept(evidence, *key.kept(mine))


def check_kept(evidence: Evidence, size: int, root: str) -> None:
    """A checkpoint that the auditor kept is of the same history."""
    name = f"ledger/consistency/{size}.txt"
    need(
        size <= evidence.size,
        f"you kept a checkpoint of {size} entries: this pack is older, or the ledger was set back",
    )
    if size == evidence.size:
        need(root == evidence.root, "the checkpoint that you kept has another root: there are two histories")
        evidence.kept.append(size)
    elif name in evidence.files:
        proof = [base64.b64decode(line) for line in evidence.files[name].decode().splitlines()]
        need(
            begins(size, root, evidence.size, evidence.root, proof),
            f"the history does not go on from your {size} entries: there are two",
        )
        evidence.kept.append(size)
    else:
        evidence.notes.append(
            f"whether the ledger goes on from the {size} entries that you kept: the pack holds no proof of it; ask for "
            f"one that does (muni evidence --since {size}), or for an export of the ledger"
        )


def check_proofs(evidence: Evidence, tolerance: float) -> None:
    """Step 3: each entry is an event of this ledger, in order of time, and its proof leads to the root."""
    files, note = evidence.files, evidence.files["ledger/checkpoint.txt"].decode()
    names = sorted(name for name in files if name.startswith("ledger/proofs/"))
    bodies = files["ledger/entries.jsonl"].split(b"\n")
    need(bodies.pop() == b"" and len(bodies) == len(names), "there are not as many proofs as entries")
    seen: set[str] = set()
    highest = ""
    for name, body in zip(names, bodies):  # noqa: B905 - not in Python 3.9
        head, gap, rest = files[name].decode().partition("\n\n")
        lines = head.split("\n")
        index = int(name[len("ledger/proofs/") : -len(".tlog-proof")])
        need(lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {index}"] and gap, f"{name} is not a proof")
        need(name == f"ledger/proofs/{index:012d}.tlog-proof" and rest == note, f"{name} is of another checkpoint")
        path = [base64.b64decode(line, validate=True) for line in lines[2:]]
        need([encoded(one) for one in path] == lines[2:] and {*map(len, path)} <= {32}, f"{name} is not a proof")
        root = included(body, index, evidence.size, path)
        need(root == evidence.root, f"entry {index} is not under the checkpoint")
        time = check_entry(body, index, evidence.key.origin, seen)
        if time < highest:
            check_order(time, highest, index, tolerance)
        highest = max(time, highest)
        evidence.entries.append(Entry(index, body))
    need(evidence.entries and evidence.entries[-1].index == evidence.size - 1, "the last entry is not enclosed")
    need(evidence.dossier["checkpoint"]["time"] == evidence.entries[-1].time, "the dossier states another time")


def check_documents(evidence: Evidence) -> None:
    """Step 4: each document is in its one form, and an entry names its digest, directly or by another document."""
    for name in (name for name in evidence.files if name.startswith("records/")):
        digest = digest_of(evidence.files[name])
        need(name == f"records/{digest[7:]}.json", f"{name} is not the document that its name says")
        evidence.documents[digest] = read_canonical(evidence.files[name], name)
    done = [entry for entry in evidence.entries if entry.done]
    asked: dict[Any, Entry] = {}
    for entry in done:  # a request may begin several jobs
        for facts in (entry.facts, *map(json.loads, entry.facts.get("also", ()))):
            if {"kind", "plan", "inputs"} <= facts.keys():
                asked[facts["run"]] = Entry(entry.index, entry.body, facts)
    for entry in done:
        named = entry.facts.get("records", ())
        for digest in named if isinstance(named, list) else ():
            if digest in evidence.documents:
                need(digest not in evidence.records, f"two entries tell of the record {digest}")
                check_record(evidence, evidence.documents[digest], digest, entry)
        # the last entry is enclosed whatever it tells, also of the end of a job that has nothing to do with the model
        if entry.type == RUN_ENDED and (entry.facts["run"] in asked or entry.index < evidence.size - 1):
            check_run(evidence, entry, asked.get(entry.facts["run"]))
    unnamed = sorted(set(evidence.documents) - set(evidence.tellers))
    need(not unnamed, f"no enclosed entry tells of {', '.join(unnamed[:3])}")


def check_record(evidence: Evidence, record: Mapping[str, Any], digest: str, entry: Entry) -> None:
    """An entry of the ledger tells of a record: who stated it, where, in the request that the entry is about."""
    what = f"the record {digest} of entry {entry.index}"
    need(record["format"] == "muniment.record/1", f"{what} is no record")
    same(record, what, by=entry.data["principal"], project=entry.data["project"])
    same(record, what, project=evidence.dossier["project"])
    need(record["at"] <= entry.time, f"{what} is dated after it")
    own = record["subject"] == evidence.dossier["model"]["digest"]
    need(own or record["kind"] not in SIGNED_KINDS, f"{what} is about another model")
    evidence.records[digest] = dict(record)
    evidence.tell(digest, "record", entry)
    if record["kind"] == "registration":
        evidence.tell(record["body"]["digest"], "files", entry)


def check_run(evidence: Evidence, ended: Entry, asked: Entry | None) -> None:
    """An entry tells of the end of a run: by digest of its plan, of what was seen of it, and of what came out."""
    id_ = str(ended.facts["run"])
    need(asked is not None, f"no enclosed entry tells who asked for run:{id_}")
    need(id_ not in evidence.runs, f"run:{id_} ended twice")
    assert asked is not None
    try:
        run = evidence.runs[id_] = Run(evidence, ended, asked)
    except KeyError as missing:
        raise Tampered(f"a document of run:{id_} is missing: {missing}") from missing
    told = {"plan": run.plan_digest, "run": run.record, "products": ended.facts["products"]}
    told.update({"metrics": run.seen["metrics"]["digest"], "environment": run.plan["env"]})
    for what, digest in told.items():
        evidence.tell(digest, what, ended)
    for one in run.products:
        evidence.tell(one["digest"], {"model": "files", "data": "snapshot"}.get(one["kind"], ""), ended)
        evidence.names.setdefault(one["digest"], set()).add(one["reference"])
    for digest in run.outputs:
        evidence.tell(digest, "description", ended)


def same(one: Mapping[str, Any], what: str, **wanted: Any) -> None:
    """What is said of something is what was recorded of it."""
    for name, value in wanted.items():
        need(one.get(name) == value, f"{what}: its {name.replace('_', ' ')} is not the recorded one")


def check_dossier(evidence: Evidence) -> None:
    """Step 5: the dossier says what the documents say, of every run, figure and edge that it names."""
    dossier = evidence.dossier
    same(dossier, "the dossier", format="muniment.dossier/1")
    same(dossier["installation"], "the installation", origin=evidence.key.origin)
    root = "sha256:" + base64.b64decode(evidence.root).hex()
    same(dossier["checkpoint"], "the checkpoint", origin=evidence.key.origin, size=evidence.size, root=root)
    told = [{"index": e.index, "id": e.id, "type": e.type, "time": e.time} for e in evidence.entries]
    same(dossier, "the dossier", entries=told)
    need({one["digest"] for one in dossier["records"]} == set(evidence.documents), "it lists other documents")
    for one in dossier["records"]:
        entries = {entry.index: entry.id for what, entry in evidence.tellers[one["digest"]] if what == one["what"]}
        need(entries.get(one["entry"]["index"]) == one["entry"]["id"], f"another entry tells of {one['digest']}")
    check_training(evidence)
    for one in dossier["evaluations"] + dossier["explanations"]:
        check_measurement(evidence, one)
    for one in dossier["alternatives"]:
        check_alternative(evidence, one)
    for one in dossier["reproductions"]:
        run = run_of(evidence, one)
        need(run.plan_digest == (dossier["training"] or {}).get("plan"), f"{one['run']} repeated another plan")
        verdict = run.ended.facts.get("verdict", run.ended.facts["status"])
        same(one, one["run"], verdict=verdict, at=run.ended.time)
        need(one["made"] is None or one["made"] in run.generated, f"{one['run']} made something else")
    for one in dossier["data"]:
        check_data(evidence, one)
    if dossier["split"] is not None:
        check_split(evidence, dossier["split"])
    check_environment(evidence)
    check_lineage(evidence)
    check_statements(evidence)
    check_state(evidence)
    check_judged(evidence)
    check_nothing_left_out(evidence)


REPORT = "output/data/report.json"


def run_named(evidence: Evidence, reference: Any) -> Run:
    """The run that the dossier names."""
    run = evidence.runs.get(str(reference)[4:])
    need(run is not None and str(reference)[:4] == "run:", f"no enclosed entry tells of {reference}")
    assert run is not None
    return run


def run_of(evidence: Evidence, one: Mapping[str, Any]) -> Run:
    """The run that something in the dossier rests on: its record, its grade, and who asked for it."""
    run = run_named(evidence, one["run"])
    same(one, one["run"], record=run.record, grade=run.grade)
    need(one.get("by", one.get("requested_by")) == run.agent, f"somebody else asked for {one['run']}")
    return run


def check_name(evidence: Evidence, reference: Any, digest: Any) -> None:
    """A name is one that a run gave to these bytes, or their digest where none did."""
    names = evidence.names.get(digest, set()) | {digest}
    need(reference in names, f"{reference} is not what was called so")


def check_figures(one: Mapping[str, Any], run: Run) -> None:
    """The metrics are those that the run reported, each to the last digit."""
    finite = {name: float(text) for name, text in run.metrics.items() if float(text) - float(text) == 0}
    need(one["metrics"] == finite, f"the figures of {one['run']} are not those that were recorded")


def check_training(evidence: Evidence) -> None:
    """The model came out of the run that is said to have made it, with these parameters, behind these walls."""
    model, one = evidence.dossier["model"], evidence.dossier["training"]
    listed, registration = evidence.documents.get(model["digest"]), evidence.dossier["registration"]
    if listed is not None:
        same(model, "the model", files=listed["files"])
    if registration is not None:
        evidence.names.setdefault(model["digest"], set()).add(registration["model"])
    check_name(evidence, model["reference"], model["digest"])
    if model["name"] is not None:
        need(model["reference"] == f"model:{model['name']}@{model['version']}", "the model is called otherwise")
    if one is None:
        evidence.notes.append("how the model was made: it was not trained here, and what is said of it is declared")
        return
    run = run_of(evidence, one)
    need(model["digest"] in run.generated and listed is not None, "the model did not come out of the run that is named")
    same(model, "the model", run=one["run"], grade=run.grade, created_at=run.ended.time, created_by=run.agent)
    same(one, "the training", plan=run.plan_digest, inputs_by_digest=run.plan["inputs"], ended_at=run.ended.time)
    same(one, "the training", requested_at=run.asked.time, label=run.label)
    same(one, "the training", enforcement=run.seen["enforcement"], usage=run.seen["usage"])
    fixed = ("kind", "params", "seed", "env", "base", "code", "program", "limits")
    same(one, "the training", **{name: run.plan[name] for name in fixed})
    need(run.asked.time <= one["started_at"] <= run.ended.time, "the training started at another time")
    need(
        (one["source"] or {"digest": None})["digest"] == run.plan["source"],
        "the training is said to have had other code",
    )
    need(one["report"] is None or run.wrote(one["report"], REPORT), "the report of the training is not what it wrote")
    need(one["inputs"].keys() == run.plan["inputs"].keys(), "the training is said to have read something else")
    for channel, reference in one["inputs"].items():
        check_name(evidence, reference, run.plan["inputs"][channel])
    check_figures(one, run)
    described = [
        d
        for digest, path in run.outputs.items()
        if path == "model/model.json" and (d := evidence.documents.get(digest))
    ]
    if run.plan["kind"] == "run":
        same(model, "the model", algorithm=f"script {run.plan['entry']}")
    for description in described:
        facts = {name: description[name] for name in ("target", "classes", "canonical_digest") if name in description}
        need(model["facts"].keys() == {"features", *facts}, "the model is described otherwise")
        same(model, "the model", algorithm=description["algorithm"])
        same(model["facts"], "the model", features=len(description["features"]), **facts)


def check_measurement(evidence: Evidence, one: Mapping[str, Any]) -> None:
    """An evaluation or an explanation is of this model, on these data, and says what its program wrote."""
    run, plan = run_of(evidence, one), run_of(evidence, one).plan
    need(plan["inputs"].get("model") == evidence.dossier["model"]["digest"], f"{one['run']} measured another model")
    same(one, one["run"], data_digest=plan["inputs"].get("data"), params=plan["params"], at=run.ended.time)
    check_name(evidence, one["data"], one["data_digest"])
    need(not one["report"] or run.wrote(one["report"], REPORT), f"the report of {one['run']} is not what it wrote")
    roles = [data["role"] for data in evidence.dossier["data"] if data["digest"] == one["data_digest"]]
    need(roles == [one["role"]], f"the data of {one['run']} played another part")
    check_figures(one, run)


def check_alternative(evidence: Evidence, one: Mapping[str, Any]) -> None:
    """A model that was tried came out of the run that is named, and was measured as is said."""
    run = run_of(evidence, one)
    made = next((product["digest"] for product in run.products if product["kind"] == "model"), None)
    same(one, one["run"], digest=made, params=run.plan["params"], seed=run.plan["seed"], at=run.asked.time)
    same(one, one["run"], status=run.ended.facts["status"], error=run.ended.facts.get("error"))
    same(one, one["run"], chosen=made == evidence.dossier["model"]["digest"])
    same(one, one["run"], algorithm=str(run.plan["params"].get("algorithm") or run.label))
    if one["data"] is not None:
        check_name(evidence, one["data"], run.plan["inputs"].get("train"))
    if made is not None:
        check_name(evidence, one["model"], made)
    if one["measured_by"] is None:
        same(one, one["run"], metrics={}, measured_on=None)
    else:
        measured = run_named(evidence, one["measured_by"])
        need(measured.plan["inputs"].get("model") == made, f"{one['measured_by']} measured another model")
        check_name(evidence, one["measured_on"], measured.plan["inputs"].get("data"))
        check_figures(one, measured)


def check_data(evidence: Evidence, one: Mapping[str, Any]) -> None:
    """Rows and columns of a snapshot are those that its digest names; a profile is what the program wrote of it."""
    digest, what = one["digest"], str(one["reference"])
    check_name(evidence, one["reference"], digest)
    makers = [run for run in evidence.runs.values() if digest in run.generated and run.plan["kind"] != "reproduce"]
    first = min(makers, key=lambda run: run.id, default=None)
    if first is not None:
        product = next(product for product in first.products if product["digest"] == digest)
        same(one, what, kind=product["kind"], record=first.record, grade=first.grade, author=first.agent)
        same(one, what, at=first.ended.time)
        check_origin(evidence, one, first)
        manifest = evidence.documents.get(digest)
        need(manifest is not None, f"the list of parts of {what} is missing")
        assert manifest is not None
        same(one, what, rows=manifest["rows"], schema=manifest["schema"], columns=len(manifest["schema"]) or None)
        same(one, what, target=manifest.get("target"), content_digest=manifest["content_digest"])
        same(one, what, bytes=sum(part["bytes"] for part in manifest["parts"]))
        need(
            one["report"] is None or first.wrote(one["report"], REPORT), f"the report on {what} is not what was written"
        )
        same(one, what, findings=(one["report"] or {}).get("findings", []))
        same(one, what, role=role_of(evidence, first, product))
    else:
        readers = [run for run in evidence.runs.values() if digest in run.plan["inputs"].values()]
        reader = min(readers, key=lambda run: run.id, default=None)
        need(one["kind"] in ("file", "data") and one["record"] is None, f"no enclosed run made {what}")
        if reader is not None and reader.asked.facts.get("file") == digest:
            same(one, what, kind="file", role="source file", at=reader.asked.time, author=reader.agent, rows=None)
            same(one, what, bytes=reader.asked.facts["bytes"], schema=[], columns=None, target=None)
            same(one, what, content_digest=None, findings=[], report=None)
            check_origin(evidence, one, reader)
        else:
            evidence.notes.append(f"where {what} comes from: no enclosed run made it")
    if one["profile"] is None:
        same(one, what, profiled_by=None)
    else:
        run = run_named(evidence, one["profiled_by"])
        need(run.plan["inputs"].get("data") == digest, f"the profile is not of {what}")
        need(run.wrote(one["profile"], REPORT), f"the profile of {what} is not what was written")


def role_of(evidence: Evidence, maker: Run, product: Mapping[str, Any]) -> str:
    """What data were to the model: what it was trained on, measured on, kept away from it, or split up."""
    digest, training = product["digest"], evidence.dossier["training"] or {"inputs_by_digest": {}}
    channels = [name for name, used in training["inputs_by_digest"].items() if used == digest]
    if channels or maker.plan["kind"] == "split":
        return str((channels or [product["role"]])[0])
    if any(one["data_digest"] == digest for one in evidence.dossier["evaluations"]):
        return "test"
    splits = (run for run in evidence.runs.values() if run.plan["kind"] == "split")
    return "whole" if any(run.plan["inputs"].get("data") == digest for run in splits) else "data"


def check_origin(evidence: Evidence, one: Mapping[str, Any], run: Run) -> None:
    """Data came from the run that is named, which read what is said."""
    origin = one["origin"]
    same(origin, str(one["reference"]), run=f"run:{run.id}", kind=run.plan["kind"], by=run.agent)
    need(origin["from"].keys() == run.plan["inputs"].keys(), f"{one['reference']} was made from something else")
    for channel, reference in origin["from"].items():
        check_name(evidence, reference, run.plan["inputs"][channel])


def check_split(evidence: Evidence, split: Mapping[str, Any]) -> None:
    """The parts are those of the split, and it is as disjoint and complete as its proof says."""
    run = run_named(evidence, split["run"])
    proof, digest = split["proof"], digest_of(printed(split["proof"]))
    need(digest in run.generated, "the proof of the split is not what was recorded")
    same(split, "the split", digest=digest, record=run.record, grade=run.grade, disjoint=proof.get("disjoint"))
    same(split, "the split", complete=proof.get("complete"), params=run.plan["params"], seed=run.plan["seed"])
    same(split, "the split", parts={one["role"]: one["digest"] for one in run.products if one["kind"] == "data"})
    check_name(evidence, split["data"], run.plan["inputs"]["data"])


def check_environment(evidence: Evidence) -> None:
    """The packages are the wheels that the digest of the environment names."""
    environment, training = evidence.dossier["environment"], evidence.dossier["training"]
    if training is None:
        need(environment is None, "there is an environment, but no training")
        return
    same(environment, "the environment", digest=training["env"])
    document = evidence.documents.get(environment["digest"])
    if document is None:
        same(environment, "the environment", packages=[])
        return
    need(document["wheels"] == sorted(f"sha256:{one['sha256']}" for one in environment["packages"]), "other packages")
    reported = ((training["report"] or {}).get("environment") or {}).get("python")
    same(environment, "the environment", python=reported or document["python"])


def check_lineage(evidence: Evidence) -> None:
    """Each edge is what a plan or an end says, none that a plan says is missing, and the ways lead to the model."""
    dossier, lineage, model = evidence.dossier, evidence.dossier["lineage"], evidence.dossier["model"]["digest"]
    entities = {one["digest"]: one for one in lineage["entities"]}
    edges: dict[str, list[Any]] = {activity["id"]: [] for activity in lineage["activities"]}
    for edge in lineage["edges"]:
        need(edge["activity"] in edges and edge["entity"] in entities, "an edge of the lineage leads nowhere")
        edges[edge["activity"]].append(edge)
    same(lineage, "the lineage", svg="lineage.svg" if "lineage.svg" in evidence.files else None)
    made: set[str] = set()
    for activity in lineage["activities"]:
        id_, own = activity["id"], edges[activity["id"]]
        run, what = evidence.runs.get(id_), f"run:{activity['id']}"
        if run is None:
            need({edge["grade"] for edge in own} <= {"declared"}, f"{what} is graded proven without a record")
            evidence.notes.append(f"what {what} did: it was recorded elsewhere, and is declared")
            continue
        used = {(edge["role"], edge["entity"]) for edge in own if edge["relation"] == "used"}
        came = {(edge["role"], edge["entity"]) for edge in own if edge["relation"] == "was_generated_by"}
        same(activity, what, agent=run.agent, plan=run.plan_digest, kind=run.plan["kind"], ended_at=run.ended.time)
        same(activity, what, label=run.label, grade=run.grade)
        need(run.asked.time <= activity["started_at"] <= run.ended.time, f"{what} started at another time")
        need(used == run.used, f"what {what} used is not what its plan names")
        need(came <= {(one["role"], one["digest"]) for one in run.products}, f"{what} made something else")
        need({edge["record"] for edge in own} <= {run.record}, f"{what} is told of by another record")
        need({edge["grade"] for edge in own} <= {run.grade}, f"an edge of {what} is graded otherwise than it ran")
        made |= {entity for _, entity in came}
    need(dossier["training"] is None or model in made, "the lineage does not lead to the model")
    makers = [run for run in evidence.runs.values() if run.plan["kind"] != "reproduce"]
    for digest, one in entities.items():
        called = evidence.names.get(digest, set()) | {digest}
        need(one["label"] in called or one["label"].endswith(f" ({digest[7:19]})"), f"{digest} is called otherwise")
        first = min((run for run in makers if digest in run.generated), key=lambda run: run.id, default=None)
        if first is not None:
            need(digest in made, f"the lineage leaves out where {digest} came from")
            kinds = {product["kind"] for product in first.products if product["digest"] == digest}
            same(one, digest, at=first.ended.time, author=first.agent, grade=first.grade)
            need(one["kind"] in kinds, f"{digest} is of another kind")
        else:
            uses = [edge for edge in lineage["edges"] if edge["entity"] == digest and edge["relation"] == "used"]
            kinds = {PINNED.get(edge["role"], "file") for edge in uses}
            users = {run.plan["kind"] for run in map(evidence.runs.get, (edge["activity"] for edge in uses)) if run}
            kinds |= {"features"} if users & {"transform", "join", "publish", "skew", "drift"} else set()
            need(one["kind"] in kinds or one["grade"] == "declared" or digest == model, f"{digest} is of another kind")


PINNED = {"programs": "code", "source": "code", "base": "base", "environment": "env"}


def check_statements(evidence: Evidence) -> None:
    """Use case, registration, tier, findings, reviews, approvals and so on are what the records say, none left out."""
    dossier, told = evidence.dossier, set()
    singles = [dossier[name] for name in ("use_case", "registration", "determination", "tier") if dossier[name]]
    lists = ("findings", "challenge", "submissions", "reviews", "approvals", "changes", "dependencies", "statements")
    several = [one for name in lists for one in dossier.get(name, ())]
    for one in [*singles, *several, *(one["closed"] for one in dossier["findings"] if one["closed"])]:
        record = evidence.records.get(one["record"])
        need(record is not None, f"no enclosed entry tells of the record {one['record']}")
        assert record is not None
        told.add(one["record"])
        shown = {**record["body"], "by": record["by"]}
        if one not in singles:
            shown.update({name: record[name] for name in ("id", "kind", "subject", "at", "by", "grade")})
        same(one, f"the record {one['record']}", **shown)
    for digest, record in evidence.records.items():
        if record["kind"] not in ("use-case", "gate", "registration", "determination", "tier"):
            need(digest in told, f"the dossier leaves out the {record['kind']} {digest}")
    for name in ("registration", "determination", "tier"):
        newest = max((r["id"] for r in evidence.records.values() if r["kind"] == name), default=None)
        shown_id = evidence.records[dossier[name]["record"]]["id"] if dossier[name] else None
        need(shown_id == newest, f"the dossier does not show the newest {name}")
    grades = [edge["grade"] for edge in dossier["lineage"]["edges"]] + [r["grade"] for r in evidence.records.values()]
    same(dossier, "the dossier", grades={name: grades.count(name) for name in ("proven", "attested", "declared")})


class Life:
    """What the records of a model come to, step by step."""

    def __init__(self) -> None:
        self.value: Any = None
        self.since: Any = None
        self.approvals: list[dict[str, Any]] = []
        """Of the submission that is looked at."""
        self.force: list[dict[str, Any]] = []
        """By which the model is approved."""
        self.emergency: list[dict[str, Any]] = []
        self.asked = 1
        """Approvals that the tier asks for."""
        self.required = 1
        """The same, when the approvals in force were complete."""

    @property
    def final(self) -> bool:
        """Whether nothing can happen to the model any more."""
        return self.value in ("rejected", "retired")

    def become(self, value: str, since: Any) -> None:
        """Stand as this, since then."""
        self.value, self.since = value, since

    def take(self, record: dict[str, Any]) -> None:
        """Go on by a record."""
        kind, body, at = record["kind"], record["body"], record["at"]
        if kind == "registration" and self.value in (None, "draft"):
            self.become("draft", self.since or at)
        elif self.value is None:
            return
        elif kind == "tier":
            self.asked = int(body["requires"].get("approvals", 1))
        elif kind == "submission":
            self.approvals = []
            self.become("submitted", at)
        elif kind == "review" and self.value != "in_validation":
            self.become("in_validation", at)
        elif kind in ("approval", "promotion"):
            self.approve(record, body, at)
        elif kind in ("rejection", "retirement") and not self.final:
            self.become({"rejection": "rejected", "retirement": "retired"}[kind], at)

    def approve(self, record: dict[str, Any], body: Mapping[str, Any], at: Any) -> None:
        """One approval more: of the last that was needed, of an emergency, or of another project."""
        if body["emergency"]:
            self.emergency = [record]
        elif record["kind"] == "promotion" and not self.final:
            self.become("approved", self.since if self.value == "approved" else at)
            self.force, self.emergency = [record], []
        elif record["kind"] == "approval":
            self.approvals.append(record)
            if body["completes"]:
                counted = {*body["counted"], record["id"]}
                self.force, self.emergency = [one for one in self.approvals if one["id"] in counted], []
                self.required = self.asked
                self.become("approved", at)


def check_state(evidence: Evidence) -> None:
    """Where the model stands is what its records come to."""
    dossier, now, life = evidence.dossier, evidence.entries[-1].time, Life()
    subject, state = dossier["model"]["digest"], dossier["state"]
    own = [record for record in evidence.records.values() if record["subject"] == subject]
    for record in sorted(own, key=lambda r: (r["body"].get("step", 0), r["at"], r["id"])):
        life.take(record)
    steps = sorted(record["body"]["step"] for record in own if "step" in record["body"])
    need(steps == [*range(len(steps))], "a step in the life of the model is missing, or is there twice")
    urgent = bool(life.emergency) and now < life.emergency[0]["body"]["expires"] and not life.final
    standing = life.emergency if urgent else life.force
    evidence.in_force = life.force if life.value == "approved" else []
    evidence.required = life.required
    expires = min((one["body"]["expires"] for one in standing), default=None)
    ended = bool(life.force) and not urgent and now >= min(one["body"]["expires"] for one in life.force)
    same(state, "the state", value="approved" if urgent else life.value, since=life.since, emergency=urgent)
    same(state, "the state", expires=expires)
    for name in ("conditions", "use_limits"):
        each = list(dict.fromkeys(text for one in standing for text in one["body"].get(name, [])))
        same(state, "the state", **{name: each})
    if life.value is None:
        same(state, "the state", tier=None, next_review=None, required_approvals=None)
        return
    tier = dossier["tier"]
    required = int(((tier or {}).get("requires") or {}).get("approvals", 1))
    same(state, "the state", tier=tier["level"] if tier else None, expired=ended, required_approvals=required)


def check_judged(evidence: Evidence) -> None:
    """Facts and gates name what bears them out; that data were not used, at least not themselves, is seen here."""
    dossier = evidence.dossier
    closure = {one["digest"] for one in dossier["lineage"]["entities"]}
    for one in dossier["absence"]:
        check_name(evidence, one["data"], one["digest"])
        need(not one["unused"] or one["digest"] not in closure, f"{one['data']} was used, and is said not to be")
        same(one, str(one["data"]), unused=one["verdict"] != "used")
    for one in dossier["gates"]:
        if one["record"] is not None:
            record = evidence.records.get(one["record"]) or {"body": {}, "kind": None}
            need(record["kind"] == "gate", f"no enclosed entry tells of the gate {one['name']}")
            same(
                one,
                f"the gate {one['name']}",
                **{n: record["body"][n] for n in ("name", "version", "expression", "stage")},
            )
        same(one, f"the gate {one['name']}", open=one["outcome"] == "yes")
    for one in dossier["facts"]:
        family, _, name = one["name"].partition(".")
        if family == "metric":
            figures = [m["metrics"].get(name) for m in dossier["evaluations"] if m["run"] == one["record"]]
            need(figures == [one["value"]], f"the fact {one['name']} is not what its evaluation says")


def check_nothing_left_out(evidence: Evidence) -> None:
    """No enclosed job, no data that one made, no gate that stands: whatever is enclosed, the dossier tells of it."""
    dossier = evidence.dossier
    shown = [dossier["training"], dossier["split"], *(one["origin"] for one in dossier["data"])]
    for name in ("evaluations", "explanations", "reproductions", "alternatives"):
        shown += dossier[name]
    told = {one.get("run") for one in shown if one} | {f"run:{one['id']}" for one in dossier["lineage"]["activities"]}
    told |= {one["measured_by"] for one in dossier["alternatives"]} | {one["profiled_by"] for one in dossier["data"]}
    data = {one["digest"] for one in dossier["data"]}
    closure = {one["digest"] for one in dossier["lineage"]["entities"]}
    for id_, run in evidence.runs.items():
        need(f"run:{id_}" in told or run.generated & data, f"the dossier leaves out run:{id_}")
        made = {one["digest"] for one in run.products if one["kind"] == "data"}
        need(run.plan["kind"] not in ("ingest", "split") or made <= data, f"the dossier leaves out what run:{id_} made")
    files = {one["digest"] for one in dossier["lineage"]["entities"] if one["kind"] in ("file", "data")}
    need(files <= data, "the dossier leaves out data that the lineage shows")
    if dossier["training"] is not None:
        tried = {one["run"] for one in dossier["alternatives"]}
        need(dossier["training"]["run"] in tried, "the dossier leaves the model out of what was tried")
        answered = {one["digest"] for one in dossier["absence"]}
        need(data - closure <= answered, "the dossier leaves out whether some of the data were used")
    case = (dossier["registration"] or {}).get("use_case")
    newest: dict[Any, dict[str, Any]] = {}
    for digest, record in sorted(evidence.records.items(), key=lambda pair: str(pair[1]["id"])):
        if record["kind"] == "gate" and record["subject"] in ("project", f"usecase:{case}"):
            newest[record["subject"], record["body"]["name"]] = {**record["body"], "digest": digest}
    standing = {one["digest"] for one in newest.values() if not one.get("withdrawn")}
    need(standing <= {one["record"] for one in dossier["gates"]}, "the dossier leaves out a gate")


def check_signatures(evidence: Evidence, people: list[str]) -> None:
    """Step 6: each signature is over the manifest of this model, by a key that was its signer's at that moment."""
    enrolled = {e.facts["key"]: e for e in evidence.entries if e.done and e.type == ENROLLED}
    revoked = {e.facts["key"]: e for e in evidence.entries if e.done and e.type in REVOKED}
    keys: dict[str, PublicKey] = {}
    shown = []
    for digest, record in sorted(evidence.records.items(), key=lambda pair: str(pair[1]["id"])):
        signed, what = record["body"].get("signature"), f"the {record['kind']} of {record['at'][:10]} by {record['by']}"
        if signed is None:
            need(record["grade"] != "attested", f"{what} is graded attested without a signature")
            if record["kind"] in SIGNED_KINDS:
                evidence.notes.append(f"{what}: it bears no signature")
            continue
        name = signed["key"]
        entry, end = enrolled.get(name), revoked.get(name)
        need(entry is not None, f"{what}: no entry tells whose the key is")
        assert entry is not None
        owner, public = f"User:{entry.facts['account']}", entry.facts["public_key"]
        need(owner == record["by"] == entry.data["principal"], f"{what} is signed with the key of {owner}")
        need(
            public == signed["public_key"] and digest_of(base64.b64decode(public)) == name,
            f"{what}: another key is shown",
        )
        need(f"{owner} {name} {public}" in people, f"{what}: the key is not enclosed")
        need(entry.time <= record["at"], f"{what} was signed before the key was known")
        need(end is None or record["at"] <= end.time, f"{what} was signed after the key was revoked")
        keys[name] = keys.get(name) or PublicKey(base64.b64decode(public))
        statement = str(signed["statement"]).encode()
        need(keys[name].signed(statement, base64.b64decode(signed["signature"])), f"{what}: the signature does not fit")
        check_statement(evidence, json.loads(statement), record, what)
        copy = evidence.files.get(f"signatures/{digest[7:]}.json")
        need(copy == canonical({**signed, "record": digest}), f"{what}: the copy in signatures/ is another one")
        shown.append(f"signatures/{digest[7:]}.json")
        evidence.signatures.append({"by": record["by"], "meaning": record["kind"], "at": record["at"], "key": name})
    need(
        sorted(shown) == sorted(n for n in evidence.files if n.startswith("signatures/")),
        "signatures/ holds another one",
    )
    need(
        {one["key"] for one in evidence.signatures} == {p.split(" ")[1] for p in people},
        "keys.txt holds a key nobody used",
    )
    shown_of = {one["record"]: one for one in evidence.dossier["signatures"]}
    need(shown_of.keys() == {n for n, r in evidence.records.items() if r["body"].get("signature")}, "other signatures")
    for digest, one in shown_of.items():
        record = evidence.records[digest]
        meaning = json.loads(record["body"]["signature"]["statement"])["meaning"]
        same(one, digest, signer=record["by"], at=record["at"], meaning=meaning, **record["body"]["signature"])


def check_statement(evidence: Evidence, statement: Mapping[str, Any], record: Mapping[str, Any], what: str) -> None:
    """What was signed is about this model, in this project of this ledger, and means what the record says."""
    registration = evidence.dossier["registration"] or {}
    need(statement.get("format") == "muniment.statement/1", f"{what}: what was signed is no statement")
    wanted = {
        "origin": evidence.key.origin, "project": evidence.dossier["project"], "signer": record["by"],
        "key": record["body"]["signature"]["key"],
        "meaning": "break-glass" if record["body"].get("emergency") else MEANINGS.get(record["kind"], record["kind"]),
    }  # fmt: skip
    for name, value in wanted.items():
        need(statement.get(name) == value, f"{what}: another {name} was signed")
    if record["subject"] == evidence.dossier["model"]["digest"]:
        need(statement["model"] == record["subject"], f"{what}: of another model")
        need(statement["subject"] == registration.get("manifest"), f"{what}: another manifest was signed")
    if record["subject"] == "governance":
        whole = {"format": "muniment.project/1", "origin": wanted["origin"], "project": wanted["project"]}
        need(statement["subject"] == digest_of(canonical(whole)), f"{what}: of another project")
        need(statement["model"] == "", f"{what}: of one model")
    need(statement["prepared_at"] <= record["at"], f"{what}: it was signed before it was prepared")
    if record["body"].get("emergency"):
        check_emergency(evidence, record, what)
        return
    for name, value in statement["terms"].items():
        need(record["body"].get(name) == value, f"{what}: another {name} was signed than stands in the record")


def check_emergency(evidence: Evidence, record: Mapping[str, Any], what: str) -> None:
    """An emergency approval rests on the signatures of two people, and lasts no longer than both asked for."""
    ids = (record["body"]["first"], record["body"]["second"])
    broken = [one for one in evidence.records.values() if one["kind"] == "break-glass" and one["id"] in ids]
    need(len({one["by"] for one in broken if one["body"].get("signature")}) == 2, f"{what}: not two people signed it")
    days = min(int(one["body"]["days"]) for one in broken)
    start, end = (datetime.fromisoformat(text[:-1]) for text in (record["at"], record["body"]["expires"]))
    need(end - start <= timedelta(days=days), f"{what}: it lasts longer than was signed")


def check_registration(evidence: Evidence) -> None:
    """The manifest that people sign is one of this model, and the ledger's key signed it at registration."""
    one, model = evidence.dossier["registration"], evidence.dossier["model"]
    if one is None:
        return
    document, note = one.get("manifest_document"), one.get("manifest_note")
    need(one["digest"] == model["digest"], "the registration is of another model")
    need(digest_of(canonical(document)) == one["manifest"], "the manifest of the model is not the one that is named")
    need((document["digest"], document["files"]) == (model["digest"], model["files"]), "the manifest is of other files")
    lines = evidence.key.open(note, "the manifest of the model")
    need(lines == ["muniment.model-manifest/1", one["manifest"]], "another manifest of the model was signed")


def check_four_eyes(evidence: Evidence) -> None:
    """Step 7: nobody judged what he had a part in, by no account of his; as many approved as the tier asks for."""
    dossier, records = evidence.dossier, sorted(evidence.records.values(), key=lambda record: str(record["id"]))
    agents = {activity["agent"] for activity in dossier["lineage"]["activities"]}
    need(set(dossier["authors"]) == agents, "the dossier names other authors than ran the jobs")
    submitted = [record for record in records if record["kind"] == "submission"]
    registered = [record for record in records if record["kind"] == "registration"]
    parts = agents.union(record["by"] for record in (*registered, *submitted))
    links: list[set[str]] = []
    for entry in (entry for entry in evidence.entries if entry.done and entry.type in (LINKED, UNLINKED)):
        pair = {f"User:{name}" for name in entry.facts["accounts"]}
        links = [*links, pair] if entry.type == LINKED else [one for one in links if one != pair]
    grown: set[str] = set()
    while grown != parts:
        grown, parts = parts, parts.union(*(pair for pair in links if pair & parts))
    for who in sorted(one for one in agents if one.startswith("ServiceAccount:")):
        evidence.notes.append(f"whose service account {who} is")
    since = submitted[-1]["id"] if submitted else ""
    judged = [
        r for r in records if r["kind"] in ("review", "approval") and r["id"] > since and not r["body"].get("emergency")
    ]
    for record in judged:
        need(record["by"] not in parts, f"{record['by']} had a part in the model, and gave the {record['kind']}")
    if dossier["state"]["value"] != "approved":
        return
    if dossier["state"]["emergency"]:
        evidence.notes.append("approval by four eyes: the model is in use by an emergency approval")
        return
    if evidence.in_force[-1:] and evidence.in_force[-1]["kind"] == "promotion":
        source = evidence.in_force[-1]["body"]["source"]
        evidence.notes.append(f"approval by four eyes: it was approved in project {source}, whose own pack tells")
        return
    approvers = {record["by"] for record in evidence.in_force if record["body"].get("signature")}
    for one, other in (sorted(pair) for pair in links if len(pair) == 2):
        approvers -= {other} if one in approvers else set()
    required = evidence.required
    if dossier["state"]["required_approvals"] > len(approvers):
        evidence.notes.append("approval by as many as its tier asks for now: it was raised after the approval")
    need(len(approvers) >= required, f"{len(approvers)} of {required} approvals that are required are signed")
    evidence.four_eyes = True


def explain_pack(found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """In plain words, what was checked and what was not."""
    state = f"it stands as {found['state']}" if found["state"] else "it is not in the inventory"
    checked = [
        f"the pack is about {found['model']} ({found['digest']}) in project {found['project']}: {state}",
        f"its {found['files']} files are exactly those that were packed, and no bit of the archive could differ",
        f"the ledger {found['origin']} signed {found['entries']} entries under the root {found['root']}, "
        f"the last of them at {found['time']}",
        f"{found['proofs']} of these entries are enclosed, and each has a proof that leads to that root",
        f"{found['documents']} documents are in canonical form, and an enclosed entry tells of each: "
        f"{found['runs']} jobs, {found['records']} statements by people",
        "the dossier says of data, training, figures, alternatives and lineage what those documents say",
    ]
    for one in found["signatures"]:
        checked.append(f"{one['by']} signed the {one['meaning']} at {one['at']}, with a key that was his by the ledger")
    if found["four_eyes"]:
        checked.append(
            "no approver asked for a job that the model came from, and as many approved as its tier asked for"
        )
    for one in found["witnesses"]:
        whose = f"(key from {one['key_from']})"
        checked.append(f"the witness {one['witness']} cosigned the checkpoint at {one['time']} {whose}")
    for size in found["kept"]:
        checked.append(
            f"the history goes on from the {size} entries whose checkpoint you kept: none of them was changed"
        )
    missing = list(found["notes"])
    if found["key_from"] != "you":
        missing.append(untrusted_key(found, "the pack"))
    missing.append(rewritable(found))
    if not found["verifier"]:
        missing.append("the verify.py in the pack: it is not this program, but of another release, or altered")
    missing += [
        "whether more was recorded about the model than the pack holds, such as a finding, another evaluation, a later "
        "step, the revocation of a key, or that two accounts are one person's: an export of the whole ledger tells",
        "the report (PDF), the picture and formats/ beyond their bytes: they are what was packed",
        "what the platform works out from the records, such as the outcome of a gate or that data were not used: that "
        "the records are those, and that no such data stand in the lineage",
        "what people say in words and names, file names and commits included: who said it when, not whether it is so",
        "who depends on whom: whose account somebody made, and whose role he granted; the platform asks, at each step",
        "what was recorded after the checkpoint",
    ]
    return checked, missing


def rewritable(found: Mapping[str, Any]) -> str:
    """What an operator who holds the ledger's key could have made up, given who else saw the history."""
    trusted = [one["witness"] for one in found["witnesses"] if one["key_from"] == "you"]
    if trusted:
        return (
            f"whether {', '.join(trusted)} and the institution act together: unless they do, nobody is shown another "
            f"history of these {found['entries']} entries"
        )
    if found["kept"]:
        return (
            f"whether whoever holds the ledger's key shows others other entries after the first {max(found['kept'])}: "
            "the key of a witness (--witness) tells"
        )
    return (
        "whether whoever holds the ledger's key shows others another history: he could have made all of this anew, "
        "people's keys included. The key of a witness (--witness) or a checkpoint you kept (--checkpoint) tells"
    )


# --- The command. ---


def verify(
    path: Path, given: str | None, kept: Iterable[str], tolerance: float = TOLERANCE_S, witnesses: Iterable[str] = ()
) -> dict[str, Any]:
    """Check an evidence pack or an export of a ledger; returns what is true of it, raises Tampered or NotAnExport.

    Args:
        path: the file, or the folder that it was unpacked to.
        given: the ledger's key from a trusted place.
        kept: notes of checkpoints that the auditor kept himself.
        tolerance: how many seconds an entry may be dated before an earlier one.
        witnesses: keys of witnesses from a trusted place, each of which must have cosigned.
    """
    files = pack_files(path)
    if files is not None:
        found = check_pack(files, given, kept, witnesses, tolerance)
        found["checked"], found["not_checked"] = explain_pack(found)
        return {"ok": True, **found}
    try:
        pack = Pack(path)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as broken:
        raise NotAnExport(f"{path}: {broken}") from broken
    with closing(pack):
        if MANIFEST not in pack.names or "key.txt" not in pack.names:
            raise NotAnExport(
                f"{path}: no {MANIFEST} and key.txt: neither a pack nor an export of a ledger, or cut off"
            )
        found = check_export(pack, given, kept, tolerance)
    found["checked"], found["not_checked"] = explain_export(found)
    return {"ok": True, **found}


def pack_files(path: Path) -> dict[str, bytes] | None:
    """The files of an evidence pack; None for anything else."""
    if path.is_dir():
        if not (path / "dossier.json").is_file() and not (path / "records").is_dir():
            return None
        found = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if not p.is_dir()}
        need(sum(p.lstat().st_size for p in found.values()) <= PACK_BYTES, "the folder is larger than any pack")
        need(all(p.is_file() and not p.is_symlink() for p in found.values()), "the folder holds more than plain files")
        files = {name: p.read_bytes() for name, p in found.items()}
    else:
        try:
            with path.open("rb") as file:
                raw = file.read(PACK_BYTES + 1)
        except OSError as broken:
            raise NotAnExport(f"{path}: {broken}") from broken
        zipped = raw[:2] == b"PK" or b"PK\5\6" in raw[-(2**16) :]
        if not zipped or not re.search(MEMBER, raw, re.DOTALL):
            return None
        need(len(raw) <= PACK_BYTES, "the file is larger than any pack")
        files = unarchive(raw)
    missing = NEEDED - set(files)
    need(not missing, f"the pack is cut off: {', '.join(sorted(missing))} is missing")
    return files


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Check an evidence pack or a ledger export, offline."
    )
    parser.add_argument("pack", type=Path, help="zip or tar file, or the folder that it was unpacked to")
    parser.add_argument("--key", help="the ledger's public key, or a file with it, from a place you trust")
    parser.add_argument("--checkpoint", action="append", type=Path, default=[], help="a file with a note that you kept")
    parser.add_argument(
        "--witness", action="append", default=[], help="a witness's key or a file with it: must have cosigned"
    )
    parser.add_argument("--tolerance", type=float, default=TOLERANCE_S, help="seconds of disorder (%(default)g)")
    parser.add_argument("--json", action="store_true", help="answer with one JSON document")
    asked = parser.parse_args(arguments)
    try:
        given = None if asked.key is None else key_text(asked.key)
        witnesses = [key_text(one) for one in asked.witness]
        kept = [path.read_bytes().decode() for path in asked.checkpoint]
    except (OSError, ValueError) as broken:
        parser.error(str(broken))
    code, found = answer(asked.pack, given, kept, asked.tolerance, witnesses)
    if asked.json:
        print(json.dumps(found, indent=1, sort_keys=True))
    elif code:
        print({1: "NOT TRUE: ", 2: "NOT A PACK: "}[code] + ascii(found["reason"])[1:-1])
    else:
        print("TRUE. Checked:", *map(plain, found["checked"]), sep="\n  + ")
        print("Not checked:", *map(plain, found["not_checked"]), sep="\n  - ")
    return code


def answer(
    path: Path, given: str | None, kept: Iterable[str], tolerance: float = TOLERANCE_S, witnesses: Iterable[str] = ()
) -> tuple[int, dict[str, Any]]:
    """The exit code, and what was found or why it was refused; every way out but these two is a refusal."""
    try:
        return 0, verify(path, given, kept, tolerance, witnesses)
    except NotAnExport as broken:
        return 2, {"ok": False, "reason": str(broken)}
    except Exception as broken:  # whatever cannot be read is not what was handed out
        kind = "" if isinstance(broken, Tampered) else f"{type(broken).__name__}: "
        return 1, {"ok": False, "reason": kind + str(broken)}


def key_text(text: str) -> str:
    """A key, or the content of the file that holds it."""
    return text if "+" in text else Path(text).read_text(encoding="utf-8").strip()


def plain(text: str) -> str:
    """Text on one line, whatever stands in it; letters that look like others are spelt out."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


if __name__ == "__main__":
    sys.exit(main())
