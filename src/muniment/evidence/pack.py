"""The evidence pack: one zip file about one model version, which a stranger verifies without us. Pure.

The same dossier and the same pages give the same bytes: files are stored in order of their names, without compression
and dated 1980, and signatures are deterministic. The layout of the archive is defined by the verifier, which takes no
other one.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from muniment.errors import Unavailable
from muniment.evidence import verify
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.ledger.note import sign_note, verifier_key
from muniment.ledger.ports import Signer

__all__ = ["MOST_BYTES", "Cosigned", "assemble", "paths_of"]

MOST_BYTES: Final = verify.PACK_BYTES
"""The largest pack that verifiers take."""

_README: Final = """\
Evidence about {model}
{digest}
in project {project}, as the ledger {origin}
told of it when it had {size} entries ({time})

Begin with report.pdf. To check what it says, you need Python 3.9 or newer and nothing else, no network:

    python3 verify.py PACK --key KEY

Take KEY from the institution by a way you trust, and verify.py from the project's release rather than from here:
whoever could forge a pack could forge what lies beside it. Give it the key of a witness (--witness KEY) and the
checkpoints you kept from earlier visits (--checkpoint FILE): then no other history can have been made for you.

report.pdf       the report: every figure in it names the record that bears it out
dossier.json     everything the report says, as data
lineage.svg      where the model comes from, as a picture
records/         what bears it out, in canonical JSON, each file named by its SHA-256: plans of jobs, what was seen of
                 them, their metrics, and what people stated
signatures/      people's signatures (Ed25519 over the text in "statement")
ledger/          the signed checkpoint with the cosignatures of witnesses, the entries that tell of the records, and for
                 each a proof that it is under the checkpoint (C2SP tlog-proof, RFC 6962)
formats/         the same evidence for other tools: in-toto and SLSA, CycloneDX, W3C PROV, OpenSSF model signature
keys.txt         public keys: of the ledger, of witnesses, of the people who signed
verify.py        the verifier, for convenience
manifest.txt     signed by the ledger: the SHA-256 of every other file
"""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness's cosignature of the checkpoint."""

    key: str
    """The witness's verifier key."""

    line: str
    """The signature line, with the newline that ends it."""


def assemble(
    dossier: Mapping[str, Any],
    signer: Signer,
    *,
    pages: Mapping[str, bytes],
    cosignatures: Iterable[Cosigned] = (),
    consistency: Mapping[int, Iterable[bytes]] | None = None,
) -> bytes:
    """The pack.

    Args:
        dossier: a ``muniment.dossier/1`` with its documents, entries and proofs.
        signer: the key of the ledger, which signs the manifest.
        pages: the report and whatever else was made of the dossier, by path in the pack.
        cosignatures: of the dossier's checkpoint.
        consistency: proofs that its tree begins with smaller ones, by their size.

    Raises:
        Unavailable: it would be larger than verifiers take.
    """
    checkpoint, model = dossier["checkpoint"], dossier["model"]
    witnessed = sorted(set(cosignatures), key=lambda one: one.key)
    note = checkpoint["note"] + "".join(one.line for one in witnessed)
    files = {
        "README.txt": _readme(dossier),
        "dossier.json": canonical(slim(dossier)),
        "keys.txt": _keys(dossier, signer, witnessed),
        "ledger/checkpoint.txt": note.encode(),
        "ledger/entries.jsonl": "".join(one["body"] + "\n" for one in dossier["entries"]).encode(),
        "verify.py": pkgutil.get_data("muniment.evidence", "verify.py") or b"",
        **{f"ledger/proofs/{one['index']:012d}.tlog-proof": _proof(one, note) for one in dossier["entries"]},
        **{f"ledger/consistency/{size}.txt": _lines(path) for size, path in (consistency or {}).items()},
        **{f"records/{one['digest'][7:]}.json": canonical(one["document"]) for one in dossier["records"]},
        **{f"signatures/{one['record'][7:]}.json": _signature(one) for one in dossier["signatures"]},
        **pages,
    }
    if dossier["lineage"]["svg"]:
        files["lineage.svg"] = dossier["lineage"]["svg"].encode()
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    root = base64.b64encode(Digest(checkpoint["root"]).raw).decode()
    head = f"{verify.PACK_TITLE}\n{checkpoint['origin']}\n{checkpoint['size']} {root}\n"
    subject = f"{model['digest']} {dossier['project']}\n"
    files[verify.MANIFEST] = sign_note(head + subject + sums, checkpoint["origin"], signer).encode()
    size = sum(map(len, files.values()))
    if size > MOST_BYTES // 2:
        raise Unavailable(
            "MUNI-E504",
            "the pack would be larger than verifiers take",
            bytes=size,
            limit_bytes=MOST_BYTES // 2,
            largest=max(files, key=lambda name: len(files[name])),
        )
    return verify.archive(files)


def slim(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """The dossier as it lies in a pack: what has a file of its own is not repeated."""
    return {
        **dossier,
        "records": [{name: one[name] for name in ("digest", "what", "entry")} for one in dossier["records"]],
        "entries": [{name: one[name] for name in ("index", "id", "type", "time")} for one in dossier["entries"]],
        "lineage": {**dossier["lineage"], "svg": "lineage.svg" if dossier["lineage"]["svg"] else None},
    }


def paths_of(pack: bytes) -> list[str]:
    """The paths of the files in a pack."""
    return list(verify.unarchive(pack))


def _readme(dossier: Mapping[str, Any]) -> bytes:
    checkpoint, model = dossier["checkpoint"], dossier["model"]
    return _README.format(
        model=model["reference"],
        digest=model["digest"],
        project=dossier["project"],
        origin=checkpoint["origin"],
        size=checkpoint["size"],
        time=checkpoint["time"],
    ).encode()


def _keys(dossier: Mapping[str, Any], signer: Signer, witnessed: Iterable[Cosigned]) -> bytes:
    people = {f"person {one['signer']} {one['key']} {one['public_key']}\n" for one in dossier["signatures"]}
    ledger = f"ledger {verifier_key(dossier['checkpoint']['origin'], signer.public_key)}\n"
    return "".join([ledger, *(f"witness {one.key}\n" for one in witnessed), *sorted(people)]).encode()


def _proof(entry: Mapping[str, Any], note: str) -> bytes:
    """The proof of an entry in the form of C2SP tlog-proof, version 1."""
    path = _lines(bytes.fromhex(one) for one in entry["path"]).decode()
    return f"c2sp.org/tlog-proof@v1\nindex {entry['index']}\n{path}\n{note}".encode()


def _lines(hashes: Iterable[bytes]) -> bytes:
    return b"".join(base64.b64encode(one) + b"\n" for one in hashes)


def _signature(one: Mapping[str, Any]) -> bytes:
    return canonical({name: value for name, value in one.items() if name not in ("meaning", "signer", "at")})
