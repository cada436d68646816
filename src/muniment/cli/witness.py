"""``muni witness``: being a witness on a machine of one's own, and having witnesses of a ledger."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from muniment.adapters.witness.folder import WitnessFolder, make_witness
from muniment.cli.face import Face, Group, with_face
from muniment.cli.model import save
from muniment.cli.screen import Screen
from muniment.errors import Conflict, IntegrityError, Invalid, MunimentError, NotFound, Unavailable
from muniment.kernel.identifiers import format_time
from muniment.ledger.submission import parse_checkpoint, parse_submission, signed_by, submission
from muniment.ledger.verifier import KeyType, parse_key
from muniment.ledger.witness import Answer, Seen, Witness
from muniment.sdk.shown import count, duration
from muniment.wire import witness as wire

FOLDER = click.argument("folder", type=click.Path(path_type=Path))
REQUIRED = click.option(
    "--required", type=click.IntRange(1, 32), metavar="K", help="So many of all witnesses must cosign; else all."
)
_MOST_FILE = 1 << 20


@click.group(
    cls=Group,
    epilog="On the witness's machine: init, trust, serve, show, cosign. On the platform: add, list, remove, submit, "
    "request, accept.",
)
def witness() -> None:
    """Witnesses: they cosign what a ledger grows to, so that its own keeper cannot rewrite it."""


@witness.command(epilog="Example: muni witness init auditor-witness --name audit.example/w1")
@FOLDER
@click.option("--name", required=True, metavar="NAME", help="Unique in the world, such as audit.example/w1.")
@with_face
def init(face: Face, folder: Path, name: str) -> None:
    """Make a witness with a key of its own in an empty folder; it needs no platform."""
    key = make_witness(folder, name)

    def draw(screen: Screen) -> None:
        screen.done(f"{name} is a witness in {folder}")
        screen.facts("", {"key": str(key), "next": "give the key to the institution; trust its ledger; serve"})

    face.answer({"name": name, "key": str(key), "folder": str(folder)}, draw)


@witness.command(epilog="Example: muni witness trust auditor-witness key.txt --checkpoint checkpoint.txt")
@FOLDER
@click.argument("key")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A checkpoint had by a way you trust; nothing that does not begin with it is ever cosigned.",
)
@click.option("--also", is_flag=True, help="The ledger has another key besides the one that is trusted.")
@with_face
def trust(face: Face, folder: Path, key: str, checkpoint: Path | None, also: bool) -> None:
    """Cosign a ledger's checkpoints from now on. KEY is its verifier key, or a file that holds it."""
    parsed = parse_key(_key(key), KeyType.LEDGER)
    note = None if checkpoint is None else _note(checkpoint)
    if note is not None:
        stated = parse_checkpoint(note)
        if stated.origin != parsed.name or not signed_by(stated, (parsed,)):
            raise Invalid(
                "MUNI-A123", "the checkpoint is not signed by this key", origin=stated.origin[:200], key=str(parsed)
            )
    kept = WitnessFolder(folder)
    with kept.opened() as opened:
        seen = opened.trust(parsed, besides=also)
        if note is not None:
            _cosigned(opened, seen.size, (), note, seen.origin)
        seen = next(one for one in opened.ledgers() if one.origin == parsed.name)

    def draw(screen: Screen) -> None:
        screen.done(f"{kept.key.name} cosigns {seen.origin}, {_extent(seen)}")

    face.answer(_document(kept, seen), draw)


@witness.command(epilog="Example: muni witness serve auditor-witness --port 8610")
@FOLDER
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8610, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE", help="TLS certificate, PEM.")
@click.option("--private-key", type=click.Path(path_type=Path), metavar="FILE", help="Its private key, PEM.")
@with_face
def serve(face: Face, folder: Path, host: str, port: int, certificate: Path | None, private_key: Path | None) -> None:
    """Answer checkpoints until Ctrl-C: one small process, without a platform and without a database.

    Beyond loopback TLS is required.
    """
    listening, serving = import_module("muniment.http.listening"), import_module("muniment.http.witness")
    kept = WitnessFolder(folder)
    address = listening.Address(host=host, port=port, certificate=certificate, private_key=private_key)
    with kept.opened() as opened:

        def ready(url: str) -> None:
            if face.json:
                click.echo(json.dumps({"url": url, "key": str(kept.key), "folder": str(folder)}))
                return
            face.screen.done(f"the witness {kept.key.name} listens on {url}")
            for seen in opened.ledgers():
                face.screen.line(f"  cosigns  {seen.origin}, {_extent(seen)}")
            face.screen.line(f"  tell the platform   muni witness add {kept.key} --at {url}")
            face.screen.line("  stop it  Ctrl-C", style="dim")

        serving.serve(opened, address, ready, face.notes.line)


@witness.command()
@FOLDER
@with_face
def show(face: Face, folder: Path) -> None:
    """Show a witness's key, the ledgers it trusts, and the last checkpoint of each that it cosigned."""
    kept = WitnessFolder(folder)
    found = kept.show()

    def draw(screen: Screen) -> None:
        screen.facts(kept.key.name, {"key": str(kept.key)})
        screen.line()
        rows = [
            [seen.origin, format_time(seen.at)[:19] if seen.note else "", len(kept.refused(seen.origin)), seen.size]
            for seen in found
        ]
        screen.table(["ledger", "cosigned", "refused", "entries"], rows, right=2, empty="it trusts no ledger yet")
        for seen in found:
            if seen.note:
                screen.line()
                screen.raw(seen.note)

    face.answer(
        {
            "name": kept.key.name,
            "key": str(kept.key),
            "ledgers": [{**_document(kept, seen), "note": seen.note} for seen in found],
        },
        draw,
    )


@witness.command(epilog="Example: muni witness cosign auditor-witness submission.txt -o cosigned.txt")
@FOLDER
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--proof",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="When FILE is a bare checkpoint: 'old SIZE' and the proof lines.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where the answer is written.")
@with_face
def cosign(face: Face, folder: Path, file: Path, proof: Path | None, output: Path | None) -> None:
    """Cosign a checkpoint that came as a file, as muni witness request writes it; no network is needed."""
    content = _note(file)
    if proof is not None:
        content = f"{_read(proof).strip()}\n\n{content}"
    elif not content.startswith("old "):
        content = f"old 0\n\n{content}"
    kept, given = WitnessFolder(folder), parse_submission(content.encode())
    with kept.opened() as opened:
        line = _cosigned(opened, given.old, given.proof, given.checkpoint.note, given.checkpoint.origin)
    note = given.checkpoint.note + line
    if output is not None:
        save([note.encode()], output)
    document = {"origin": given.checkpoint.origin, "size": given.checkpoint.size, "line": line, "note": note}

    def draw(screen: Screen) -> None:
        if output is None:
            screen.raw(note)
        else:
            screen.done(f"{given.checkpoint.origin} is cosigned at {count(given.checkpoint.size)} entries: {output}")

    face.answer(document, draw)


@witness.command(epilog="Example: muni witness add audit.example/w1+1a2b3c4d+BAk… --at https://witness.audit.example")
@click.argument("key")
@click.option("--at", "where", metavar="URL", help="Where it listens; without, files are carried to it.")
@REQUIRED
@with_face
def add(face: Face, key: str, where: str | None, required: int | None) -> None:
    """Name a witness of this platform's ledger. KEY is its verifier key, or a file that holds it."""
    added = face.client.audit.witnesses.add(_key(key), where, required=required)

    def draw(screen: Screen) -> None:
        screen.done(f"{added.name} is a witness of this ledger, by {added.url or 'files that are carried to it'}")
        screen.line(
            "  ask it now   muni witness submit" if added.url else f"  muni witness request {added.name} -o FILE"
        )

    face.answer(added, draw)


@witness.command("list")
@with_face
def list_(face: Face) -> None:
    """List the witnesses of this platform's ledger, and how far each has cosigned."""
    found = face.client.audit.witnesses.list()

    def draw(screen: Screen) -> None:
        rows = [
            [
                one.name,
                one.url or "by files",
                "never" if one.age_s is None else f"{duration(one.age_s)} ago",
                one.problem,
                "" if one.size is None else one.size,
                "" if one.behind is None else one.behind,
            ]
            for one in found.witnesses
        ]
        screen.table(
            ["witness", "reached by", "cosigned", "problem", "entries", "behind"],
            rows,
            right=2,
            wrap=["problem"],
            spare=["reached by"],
            empty="nobody outside cosigns: this ledger protects against everyone but the holder of its key",
        )
        if found.witnesses:
            screen.line()
            screen.facts("", _policy(found))

    face.answer(found, draw)


@witness.command()
@click.argument("name")
@REQUIRED
@with_face
def remove(face: Face, name: str, required: int | None) -> None:
    """Forget a witness; what it cosigned stays, and is not counted any more."""
    dropped = face.client.audit.witnesses.remove(name, required=required)
    face.answer(dropped, lambda screen: screen.done(f"{dropped.name} is no witness of this ledger any more"))


@witness.command()
@with_face
def submit(face: Face) -> None:
    """Have the newest checkpoint cosigned by every witness now; exit code 1 when one that is asked does not."""
    found = face.client.audit.witnesses.submit()
    if not found.outcomes:
        raise NotFound("MUNI-A221", "this ledger has no witness", do="muni witness add KEY --at URL")
    silent = [one for one in found.outcomes if one.status not in ("cosigned", "current", "offline")]
    if silent:
        raise Unavailable(
            "MUNI-A521",
            "not every witness cosigned",
            witnesses=[f"{one.witness}: {one.problem}" for one in silent],
            cosigned=[one.witness for one in found.outcomes if one.status in ("cosigned", "current")],
            do=next((one.do for one in silent if one.do), "ask whoever runs them"),
        )

    def draw(screen: Screen) -> None:
        for one in found.outcomes:
            if one.status == "offline":
                screen.line(f"  {one.witness} takes files: muni witness request {one.witness} -o FILE", style="dim")
            else:
                screen.done(f"{one.witness} cosigned {count(one.size)} entries at {(one.time or '')[:19]}")

    face.answer(found, draw)


@witness.command(epilog="Example: muni witness request audit.example/w1 -o submission.txt")
@click.argument("name")
@click.option("--since", type=click.IntRange(0), metavar="SIZE", help="Entries that the witness saw last.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where it is written.")
@with_face
def request(face: Face, name: str, since: int | None, output: Path | None) -> None:
    """Write the newest checkpoint with its proof, to be carried to a witness that no network reaches."""
    made = face.client.audit.witnesses.request(name, since)
    if output is not None:
        save([made.body.encode()], output)

    def draw(screen: Screen) -> None:
        if output is None:
            screen.raw(made.body)
        else:
            screen.done(f"the checkpoint of {count(made.size)} entries for {name}: {output}")

    face.answer(made, draw)


@witness.command(epilog="Example: muni witness accept cosigned.txt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_face
def accept(face: Face, file: Path) -> None:
    """Keep what a witness cosigned, brought back as a file."""
    made = face.client.audit.witnesses.accept(_note(file))

    def draw(screen: Screen) -> None:
        for one in made.kept:
            screen.done(f"{one.witness} cosigned {count(one.size)} entries at {one.time[:19]}")

    face.answer(made, draw)


def _policy(found: wire.WitnessList) -> dict[str, Any]:
    """What the witnesses together have cosigned."""
    cosigned = "nothing yet" if found.cosigned is None else f"{count(found.cosigned)} of {count(found.size)} entries"
    return {"cosigned": f"{cosigned}, by {found.required} of {len(found.witnesses)}", "ledger's key": found.key}


def _cosigned(opened: Witness, old: int, proof: tuple[bytes, ...], note: str, origin: str) -> str:
    """The cosignature line of a checkpoint; raises what the witness has against it."""
    answer = opened.add_checkpoint(submission(old, proof, note).body().encode())
    if answer.status == 200:
        return answer.body
    raise _refusal(answer, old, origin)


def _refusal(answer: Answer, old: int, origin: str) -> MunimentError:
    if answer.status == 409 and int(answer.body) != old:
        return Conflict(
            "MUNI-A341",
            f"the witness saw {count(int(answer.body))} entries of {origin} last, not {count(old)}",
            seen=int(answer.body),
            given=old,
            do=f"take the proof from there: muni witness request NAME --since {int(answer.body)}",
        )
    if answer.status in (409, 422):
        return IntegrityError(
            "MUNI-A522",
            "the ledger signed a checkpoint that does not continue what the witness saw",
            origin=origin,
            reason=answer.said,
            do="keep both: muni witness show FOLDER names what was seen, the folder refused what was not",
        )
    if answer.status == 404:
        return NotFound("MUNI-A222", f"the witness trusts no ledger {origin[:200]}", do="muni witness trust FOLDER KEY")
    return Invalid("MUNI-A121", "the witness refuses the checkpoint", origin=origin[:200], reason=answer.body.strip())


def _document(kept: WitnessFolder, seen: Seen) -> dict[str, Any]:
    return {
        "origin": seen.origin,
        "keys": [str(key) for key in seen.keys],
        "size": seen.size,
        "time": format_time(seen.at) if seen.note else None,
        "refused": [str(file) for file in kept.refused(seen.origin)],
    }


def _extent(seen: Seen) -> str:
    return f"seen at {count(seen.size)} entries" if seen.note else "not seen yet"


def _read(file: Path) -> str:
    content = file.read_bytes()[: _MOST_FILE + 1]
    try:
        if len(content) > _MOST_FILE:
            raise ValueError("it is too long")
        return content.decode()
    except ValueError as broken:
        raise Invalid("MUNI-A122", "this file holds no checkpoint", file=str(file), reason=str(broken)) from broken


def _note(file: Path) -> str:
    """A checkpoint or a submission as it is, or in the document that a command printed with ``--json``."""
    content = _read(file)
    return _member(content, "note") or _member(content, "body") or content


def _key(given: str) -> str:
    """A verifier key as it is, or in a file: alone, or as a JSON document that has it."""
    if "+" in given and not Path(given).is_file():
        return given
    if not Path(given).is_file():
        raise NotFound("MUNI-A223", "this is neither a verifier key nor a file that holds one", given=given[:200])
    content = _read(Path(given))
    return _member(content, "key") or content.strip()


def _member(content: str, name: str) -> str | None:
    try:
        document = json.loads(content)
    except ValueError:
        return None
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else None
