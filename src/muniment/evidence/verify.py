#!/usr/bin/env python3
"""Check an export of a Muniment ledger, offline: one file, the standard library of Python 3.9 or newer, no network.

    python3 verify.py EXPORT [--key KEY] [--checkpoint FILE]... [--tolerance SECONDS] [--json]

EXPORT is the tar file as exported, a zip of its files, or the folder they were unpacked to. Exit code: 0 everything
that was checked is true, 1 something was tampered with or is damaged, 2 this is not an export or the call is wrong.
It rests on SHA-256, Ed25519 (RFC 8032), the Merkle tree of RFC 6962 and signed notes (C2SP signed-note,
tlog-checkpoint), and believes nothing but the key.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime, timedelta
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


class Key:
    """A ledger's public key, written ``<origin>+<key id>+<base64(type 1 + key)>``."""

    def __init__(self, text: str) -> None:
        parts = re.fullmatch(r"([!-*,-~]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})", text)
        if not parts:
            raise ValueError("not the key of a ledger")
        self.text, self.origin, raw = text, parts[1], base64.b64decode(parts[3])
        self.id, self.raw = hashlib.sha256(self.origin.encode() + b"\n" + raw).digest()[:4], raw[1:]
        if raw[:1] != b"\1" or self.id.hex() != parts[2]:
            raise ValueError("not an Ed25519 key, or damaged")
        x, y, z, t = multiple = decode(self.raw)
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

    def open(self, note: str, what: str) -> list[str]:
        """The lines of a note that carries one signature, by this key."""
        text, _, line = note.rpartition("\n\n")
        mark = f"\N{EM DASH} {self.origin} "
        encoded = line[len(mark) : -1]
        if not line.startswith(mark) or line[-1:] != "\n" or not re.fullmatch(r"[A-Za-z0-9+/]{91}=", encoded):
            raise Tampered(f"{what} is not a note signed in the name of {self.origin}")
        raw = base64.b64decode(encoded)
        if base64.b64encode(raw).decode() != encoded or raw[:4] != self.id:
            raise Tampered(f"{what} is signed with another key")
        if not self.signed((text + "\n").encode(), raw[4:]):
            raise Tampered(f"the signature of {what} does not fit")
        return text.split("\n")

    def checkpoint(self, note: Any, what: str) -> tuple[int, str]:
        """The size and the root that a signed checkpoint states."""
        lines = self.open(str(note), what)
        if len(lines) != 3 or lines[0] != self.origin or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
            raise Tampered(f"{what} is not a checkpoint of {self.origin}")
        return int(lines[1]), lines[2]


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


# --- The export. ---


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
            self.archive = tar = tarfile.open(path)  # noqa: SIM115 - closed by close
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


def verify(path: Path, given: str | None, kept: Iterable[str], tolerance: float = TOLERANCE_S) -> dict[str, Any]:
    """Check an export; returns what is true of it, raises Tampered or NotAnExport.

    ``given`` is the key from a trusted place, ``kept`` are notes of checkpoints that the auditor kept himself.
    """
    try:
        pack = Pack(path)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as broken:
        raise NotAnExport(f"{path}: {broken}") from broken
    with closing(pack):
        if MANIFEST not in pack.names or "key.txt" not in pack.names:
            raise NotAnExport(f"{path}: no {MANIFEST} and key.txt; not an export of a ledger, or cut off")
        enclosed = pack.read("key.txt").decode()
        key = Key(enclosed[:-1] if given is None else given)
        if enclosed != key.text + "\n":
            raise Tampered("the key in the export is not the key that was given")
        stated, digests = check_manifest(pack, key)
        signed = check_checkpoints(pack, key, stated, digests)
        own = [key.checkpoint(note, "a checkpoint that you kept") for note in kept]
        if max(own, default=(0,))[0] > signed[-1][0]:
            raise Tampered("a checkpoint that you kept is larger: the ledger was set back, or the export is older")
        tree, first, highest = check_entries(pack, key.origin, digests, signed + own, tolerance)
    return {
        "ok": True, "origin": key.origin, "entries": tree.size, "root": tree.root(), "from": first, "to": highest,
        "checkpoints": len(signed), "kept": len(own), "key": key.text, "key_from": "you" if given else "the export",
    }  # fmt: skip


def explain(found: dict[str, Any], tolerance: float) -> tuple[list[str], list[str]]:
    """In plain words, what was checked and what was not."""
    checked = [
        f"{found['entries']} entries give the root {found['root']}, which the ledger signed",
        f"{found['checkpoints']} signed checkpoint(s), the earlier ones over beginnings of the same entries",
        f"every entry is a well-formed event of {found['origin']}, has its own id, and none is dated more than "
        f"{tolerance:g} s before an earlier one",
        "the export holds exactly the files it was made with",
    ]
    checked += [f"{found['kept']} checkpoint(s) that you kept are of this same history"] if found["kept"] else []
    missing = ["whether what the entries say happened: only that it was recorded so, and not changed since"]
    if found["key_from"] != "you":
        missing.append(
            "whether the key is the institution's: it was taken from the export itself, and who made the one may have "
            f"made the other. Ask for it by another way, compare {found['key']}, give it with --key"
        )
    if not found["kept"]:
        missing.append("whether the holder of the key rewrote it all: give an earlier checkpoint with --checkpoint")
    return checked, [*missing, "what was recorded after the last checkpoint of this export"]


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Check an export of a Muniment ledger, offline.")
    parser.add_argument("export", type=Path, help="tar or zip file, or folder")
    parser.add_argument("--key", help="the ledger's public key, or a file with it, from a place you trust")
    parser.add_argument("--checkpoint", action="append", type=Path, default=[], help="a file with a note that you kept")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE_S, help="seconds of disorder (%(default)g)")
    parser.add_argument("--json", action="store_true", help="answer with one JSON document")
    asked = parser.parse_args(arguments)
    found: dict[str, Any]
    try:
        given = asked.key
        if given is not None and "+" not in given:
            given = Path(given).read_text(encoding="utf-8").strip()
        kept = [path.read_bytes().decode() for path in asked.checkpoint]
    except (OSError, ValueError) as broken:
        parser.error(str(broken))
    try:
        found = verify(asked.export, given, kept, asked.tolerance)
        found["checked"], found["not_checked"] = explain(found, asked.tolerance)
        code = 0
    except NotAnExport as broken:
        found, code = {"ok": False, "reason": str(broken)}, 2
    except Exception as broken:  # whatever cannot be read is not what was exported
        kind = "" if isinstance(broken, Tampered) else f"{type(broken).__name__}: "
        found, code = {"ok": False, "reason": kind + str(broken)}, 1
    if asked.json:
        print(json.dumps(found, indent=1, sort_keys=True))
    elif code:
        print({1: "NOT TRUE: ", 2: "NOT AN EXPORT: "}[code] + ascii(found["reason"])[1:-1])
    else:
        print("TRUE. Checked:", *found["checked"], sep="\n  + ")
        print("Not checked:", *found["not_checked"], sep="\n  - ")
    return code


if __name__ == "__main__":
    sys.exit(main())
