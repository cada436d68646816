"""What surrounds the model, what this report does not say, and how to check it."""

from __future__ import annotations

from muniment.evidence.chapters.subject import ROWS, Subject, abbreviated, at, code, dicts, text
from muniment.evidence.displaying import count, number, shortened
from muniment.evidence.document import (
    Block,
    Callout,
    Facts,
    Line,
    Missing,
    Paragraph,
    Part,
    Points,
    Row,
    Shape,
    Table,
    Tone,
    Value,
    Words,
    said,
)
from muniment.evidence.wording import GRADES

__all__ = ["checking", "environment", "limits"]

_PACKAGES = 40


def environment(subject: Subject) -> Part:
    """The environment and its components."""
    env = subject.part("environment")
    if not env:
        return Part("Environment and components", (Missing("No environment is recorded."),))
    mark = subject.citations.mark(
        "environment of the training",
        digest=text(env.get("digest")) or None,
        grade=text(subject.part("training").get("grade")) or "declared",
    )
    facts: tuple[tuple[str, Line], ...] = (
        ("Environment", said(code(env.get("name")))),
        ("Digest", said(code(env.get("digest"), None, 80))),
        ("Python", said(Value(text(env.get("python")) or "–"))),
    )
    packages = dicts(env.get("packages"))
    rows = tuple(
        Row(
            (
                said(code(one.get("name"))),
                said(Value(text(one.get("version")) or "–")),
                said(code(one.get("sha256"), None, 80)),
            )
        )
        for one in packages[:_PACKAGES]
    )
    blocks: list[Block] = [Facts(facts, mark)]
    if rows:
        blocks.append(
            Table(("Package", "Version", "SHA-256 of the wheel"), rows, "lll", (1, 0, 0), mark=mark, small=True)
        )
    note = (
        "The bill of materials in the pack lists every component with its digest."
        if len(packages) <= _PACKAGES
        else ("The table is cut; the bill of materials in the pack lists every component with its digest.")
    )
    blocks.append(Paragraph(said(note)))
    return Part("Environment and components", tuple(blocks))


def limits(subject: Subject) -> Part:
    """What is proven, attested and declared, and what is not guaranteed."""
    ledger = subject.ledger()
    blocks: list[Block] = [_graded(subject)]
    witnesses = subject.parts("witnesses")
    if witnesses:
        names = ", ".join(text(one.get("name")) for one in witnesses[:10])
        line = said(
            "The checkpoint is cosigned by ",
            Value(names, ledger),
            ". An operator could rewrite the ledger only together with them.",
        )
        blocks.append(Callout("Witnesses", (Paragraph(line),), Tone.GOOD))
    else:
        line = said(
            "No witness has cosigned this checkpoint. Whoever holds the ledger's key could have written another "
            "history "
            "of the same form; what speaks against it is that others may hold earlier checkpoints."
        )
        blocks.append(Callout("Witnesses", (Paragraph(line),), Tone.CAREFUL))
    points = (
        said(
            "That the data are true. The platform knows what was given to it, and every byte of it; not whether the "
            "world "
            "was so."
        ),
        said(
            "That a person did not learn something elsewhere and write it into code or parameters: lineage ends where "
            "thought begins."
        ),
        said("What is declared. It is shown because it matters, and marked because nobody checked it."),
        said("Anything after the checkpoint: a finding raised later, an approval withdrawn. A newer report says."),
        said("That the machine was not taken over while it ran: who controls the kernel controls what it says."),
    )
    blocks.append(Part("What is not guaranteed", (Points(points),)))
    return Part("Limits of this report", tuple(blocks))


def _graded(subject: Subject) -> Part:
    facts = dicts(subject.dossier.get("facts"))
    if not facts:
        counts = tuple(
            (
                name,
                said(
                    Value(count(int(at(subject.dossier, "grades", name) or 0)), subject.ledger()),
                    f" statements, {meaning}",
                ),
            )
            for name, meaning in GRADES.items()
        )
        return Part("What is proven, attested and declared", (Facts(counts),))
    rows = []
    for one in sorted(facts, key=lambda one: text(one.get("name")))[:ROWS]:
        name, mark = text(one.get("name")), subject.of_fact(one)
        value = one.get("value")
        shown = number(value) if isinstance(value, (bool, int, float)) else _list(value)
        rows.append(
            Row(
                (
                    said(code(name, None, 40)),
                    said(Value(shortened(abbreviated(shown), 44))),
                    said(Value(abbreviated(one.get("text")) or "–", None, Shape.MUTED)),
                ),
                mark,
            )
        )
    table = Table(("Fact", "Value", "What it says"), tuple(rows), "lll", (0, 0.4, 0.6), small=True)
    intro = said("The facts that gates and catalogues may ask of this model, with who stands behind each.")
    blocks: list[Block] = [Paragraph(intro), table]
    absent = subject.part("absent")
    if absent:
        ledger = subject.ledger()
        unknown = tuple(
            Row((said(code(_family(name), None, 40)), said(Value(abbreviated(why) or "–", None, Shape.MUTED))))
            for name, why in sorted(absent.items())[:ROWS]
        )
        heads = ("Fact", "Why it is not known")
        blocks.append(Part("Facts that are not known", (Table(heads, unknown, "ll", (0, 1), mark=ledger, small=True),)))
    return Part("What is proven, attested and declared", tuple(blocks))


def _family(name: str) -> str:
    return f"{name}…" if name.endswith(".") else name


def _list(value: object) -> str:
    return ", ".join(text(one) for one in value) if isinstance(value, (list, tuple)) else text(value) or "–"


def checking(subject: Subject) -> Part:
    """How a reader checks all of it without the platform."""
    checkpoint, ledger = subject.part("checkpoint"), subject.ledger()
    steps = (
        said(
            "Take the institution's public key from it by a way you trust, and ",
            Words("verify.py", Shape.CODE),
            " from the program's release, not from this pack: who could forge a pack could forge it too.",
        ),
        said(
            "Run ",
            Words("python3 verify.py PACK --key KEY", Shape.CODE),
            " on the pack that this report came in. It needs Python alone, and no network. Add ",
            Words("--witness KEY", Shape.CODE),
            " for a witness that you know, and ",
            Words("--checkpoint FILE", Shape.CODE),
            " for each checkpoint that you kept from before.",
        ),
        said(
            "It checks every file, this report among them, against the signed list in the pack; the signatures of the "
            "checkpoint; that each ledger entry is under it; each record against the entry that names it; and each "
            "person's signature. It says what it checked, and what it could not."
        ),
        said("Compare the root that it prints with the one on the first page."),
        said(
            "To follow a number, take the small number beside it and find its line in the index. The record's file "
            "lies in the folder ",
            Words("records", Shape.CODE),
            " under its digest, and the entry that names it in ",
            Words("ledger/entries.jsonl", Shape.CODE),
            ", with its proof beside it.",
        ),
        said("The installation can make this report again from the same checkpoint, byte for byte."),
    )
    note = text(checkpoint.get("note")).strip()
    blocks: list[Block] = [Points(steps, numbered=True)]
    if note:
        lines: list[Words | Value] = []
        for line in note.splitlines():
            lines += [*([Words("\n")] if lines else []), code(line or " ", None, 200)]
        blocks.append(Callout("The signed checkpoint", (Paragraph(tuple(lines), mark=ledger),)))
    else:
        blocks.append(Missing("The dossier names no signed checkpoint."))
    version = Value(text(at(subject.dossier, "installation", "version")) or "–", ledger)
    blocks.append(Paragraph(said("Made with Muniment ", version, ".")))
    return Part("How to verify this report", tuple(blocks))
