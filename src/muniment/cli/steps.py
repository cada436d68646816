"""``muni model register`` and what follows: each step takes a signature, which is made here with one's own key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from muniment.cli.face import Command, Face, pairs, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.sdk.client import Client
from muniment.sdk.models import Model
from muniment.sdk.shown import visible
from muniment.wire import inventory as wire

__all__ = ["STEPS", "signing", "unlocked"]

_OUTCOMES = click.Choice(["satisfactory", "satisfactory with findings", "unsatisfactory"])


def unlocked(face: Face) -> Client:
    """The client of somebody who is about to sign; asks for the passphrase of his key where it needs one."""
    keys = face.client.keys
    if keys.locked:
        keys.unlock(click.prompt("passphrase of your signing key", hide_input=True, err=True))
    return face.client


def signing(face: Face, reference: str) -> Model:
    """A model in the hands of somebody who is about to sign."""
    return unlocked(face).models.get(reference)


@click.command("register", cls=Command)
@click.argument("model", type=MODEL, required=False)
@click.option("--use-case", metavar="NAME", help="What it is for; exposure and purpose make its tier.")
@click.option("--owner", metavar="NAME", help="Who answers for it; else whoever registers it.")
@click.option("--description", metavar="TEXT", default="", help="What it does, in a few sentences.")
@click.option("--assumption", "assumptions", multiple=True, metavar="TEXT", help="What it rests on. Repeatable.")
@click.option("--limit", "limits", multiple=True, metavar="TEXT", help="What it must not be relied on for. Repeatable.")
@click.option(
    "--kind", "model_kind", type=click.Choice(["model", "non-model", "eut"]), default="model", help="What it is."
)
@click.option("--external", metavar="NAME", help="Enter a model that was made elsewhere, under this name.")
@click.option("--supplier", metavar="NAME", help="With --external: the vendor; else it is off-platform.")
@click.option("--contract", metavar="TEXT", default="", help="With --external: reference of the contract.")
@click.option("--supplier-version", metavar="TEXT", default="", help="With --external: the supplier's own version.")
@click.option("--location", metavar="TEXT", default="", help="With --external: where it lives.")
@click.option("--algorithm", metavar="TEXT", default="", help="With --external: its method, as far as it is known.")
@click.option("--file", type=click.Path(path_type=Path), help="With --external: its file, sealed and never opened.")
@with_face
def register(face: Face, model: str | None, external: str | None, file: Path | None, **given: Any) -> None:
    """Enter MODEL into the inventory, as a draft, or with --external one that was made elsewhere."""
    outside = {name: given.pop(name) for name in ("supplier", "contract", "supplier_version", "location", "algorithm")}
    if (model is None) == (external is None):
        raise click.UsageError("name a MODEL, or one from outside with --external NAME")
    if model is not None:
        if file is not None or any(outside.values()):
            raise click.UsageError("--supplier, --contract, --location, --algorithm and --file go with --external")
        made = face.client.models.get(model).register(**given)
    else:
        origin = "vendor" if outside["supplier"] else "off-platform"
        if not given["owner"] or not given["description"]:
            raise click.UsageError("a model from outside needs --owner and --description")
        given |= {"assumptions": list(given["assumptions"]), "limits": list(given["limits"])}
        inventory = face.client.inventory
        made = inventory.register_external(str(external), origin=origin, file=file, **given, **outside)

    def draw(screen: Screen) -> None:
        screen.done(f"{made.model} is registered, as a draft")
        screen.facts(
            "", {"tier": f"{made.tier}, because {made.because}", **asked(made.requires), "manifest": made.manifest}
        )

    face.answer(made, draw)
    if not face.json:
        face.notes.line(f"  next  muni model submit {made.model}", style="dim")


@click.command("determine", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--answer", "answers", multiple=True, metavar="ID=yes|no", callback=pairs, help="An answer. Repeatable.")
@click.option("--text", metavar="TEXT", default="", help="Why.")
@with_face
def determine(face: Face, model: str, answers: dict[str, str], text: str) -> None:
    """Determine by signed answers whether it is a model; without --answer the questions are shown."""
    if not answers:
        document = face.client.inventory.questions()
        rows = [[one["id"], one["text"]] for one in document["questions"]]
        face.answer(document, lambda screen: screen.table(["id", "question"], rows, wrap=["question"]))
        return
    words = {"yes": True, "no": False, "true": True, "false": False}
    if wrong := [name for name, word in answers.items() if word.lower() not in words]:
        raise click.UsageError(f"an answer is yes or no: {', '.join(wrong)}")
    said = {name: words[word.lower()] for name, word in answers.items()}
    _answer(face, signing(face, model).determine(said, text), "determined")


@click.command("submit", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--note", metavar="TEXT", default="", help="What the validator should know.")
@with_face
def submit(face: Face, model: str, note: str) -> None:
    """Submit a registered model for validation, with your signature."""
    _answer(face, signing(face, model).submit(note), "submitted for validation")


@click.command("review", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--outcome", type=_OUTCOMES, required=True, help="What came out.")
@click.option("--text", metavar="TEXT", required=True, help="What was found.")
@click.option("--scope", metavar="TEXT", default="", help="What was looked at.")
@click.option("--soundness", metavar="TEXT", default="", help="Whether theory, data and method fit the purpose.")
@with_face
def review(face: Face, model: str, outcome: str, text: str, scope: str, soundness: str) -> None:
    """Record what an independent validation found, with your signature; no author of the model may."""
    done = signing(face, model).review(outcome, text, scope=scope, conceptual_soundness=soundness)
    _answer(face, done, f"validated: {outcome}")


@click.command("approve", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--condition", "conditions", multiple=True, metavar="TEXT", help="On what condition. Repeatable.")
@click.option("--use-limit", "use_limits", multiple=True, metavar="TEXT", help="A limit of its use. Repeatable.")
@click.option(
    "--expires", metavar="DAY", help="When the approval ends, as 2027-06-30; else as late as its tier allows."
)
@with_face
def approve(
    face: Face, model: str, conditions: tuple[str, ...], use_limits: tuple[str, ...], expires: str | None
) -> None:
    """Approve a validated model, with your signature; no author of any part of it may."""
    done = signing(face, model).approve(conditions=conditions, use_limits=use_limits, expires=expires)
    said = "approved" if done.state == "approved" else f"approved by you, {len(done.approvals)} of {done.required}"
    _answer(face, done, said)


@click.command("reject", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def reject(face: Face, model: str, reason: str) -> None:
    """Reject a submitted model for good, with your signature."""
    _answer(face, signing(face, model).reject(reason), "rejected")


@click.command("retire", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def retire(face: Face, model: str, reason: str) -> None:
    """Take a model out of use for good, with your signature."""
    _answer(face, signing(face, model).retire(reason), "retired")


@click.command("break-glass", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--reason", required=True, metavar="TEXT", help="Why the ordinary steps cannot be waited for.")
@click.option("--days", type=click.IntRange(1, 7), default=7, show_default=True, help="How long it lasts.")
@with_face
def break_glass(face: Face, model: str, reason: str, days: int) -> None:
    """Sign an emergency approval: two administrators sign within a day, it lasts days, and it is reviewed."""
    done = signing(face, model).break_glass(reason, days=days)
    said = (
        f"EMERGENCY approval until {(done.expires or '')[:16]}" if done.emergency else "signed; a second one is needed"
    )
    _answer(face, done, said)


@click.command("status", cls=Command)
@click.argument("model", type=MODEL)
@with_face
def status(face: Face, model: str) -> None:
    """Show where a model stands: tier, steps so far, whether it may be used, who may not judge it."""
    found = face.client.models.get(model).standing()

    def draw(screen: Screen) -> None:
        screen.facts(found.model, {**_standing(found), "may be used": "yes" if found.usable else "no"})
        screen.facts("", {"because": tuple(found.because)})
        if found.not_independent:
            screen.line()
            rows = [[name, Text("; ".join(map(visible, why)))] for name, why in found.not_independent.items()]
            screen.table(["may not judge it", "because"], rows, wrap=["because"])
        if found.history:
            screen.line()
            rows = [[e.at[:19], e.kind, e.by, "signed" if e.signed else "", e.grade] for e in found.history]
            screen.table(["at", "record", "by", "", "grade"], rows)
        if found.state is not None and found.state.emergency:
            screen.line()
            screen.line("EMERGENCY: approved by break-glass, outside of the ordinary steps", style="bold red")

    face.answer(found, draw)


@click.command("depends", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--on", metavar="MODEL", type=MODEL, help="State that this model feeds it, where lineage cannot know it.")
@click.option("--reason", metavar="TEXT", default="", help="How it feeds it.")
@with_face
def depends(face: Face, model: str, on: str | None, reason: str) -> None:
    """Show which registered models feed MODEL and which it feeds, or with --on state one."""
    inventory = face.client.inventory
    if on is not None and not reason:
        raise click.UsageError("--on needs --reason")
    found = inventory.dependencies(model) if on is None else inventory.depends_on(model, on, reason)
    rows = [["feeds it", one.model, one.state, one.grade] for one in found.feeds_on]
    rows += [["is fed by it", one.model, one.state, one.grade] for one in found.feeds]
    empty = "no registered model feeds it or is fed by it"
    face.answer(found, lambda screen: screen.table(["", "model", "state", "grade"], rows, empty=empty))


@click.command("tiering", cls=Command)
@click.option("--publish", "file", type=click.Path(path_type=Path), metavar="JSON", help="Put another rule in force.")
@with_face
def tiering(face: Face, file: Path | None) -> None:
    """Show the rule by which exposure and purpose come to a tier, and what each tier asks for."""
    inventory = face.client.inventory
    found = inventory.tiering() if file is None else inventory.publish_tiering(json.loads(file.read_text("utf-8")))

    def draw(screen: Screen) -> None:
        document = found.document
        by = found.published_by or "ships with the product"
        screen.facts(found.rule, {"in force by": by, "bands of exposure": document["bands"], "why": document["text"]})
        screen.line()
        rows = [
            [
                f"tier {level}",
                asks["approvals"],
                ", ".join(asks["steps"]),
                ", ".join(asks["evidence"]),
                asks["review_months"],
            ]
            for level, asks in sorted(document["levels"].items())
        ]
        columns = ["", "approvals", "steps", "evidence", "review, months"]
        screen.table(columns, rows, wrap=["steps", "evidence"])
        screen.line()
        purposes = {**document["purposes"], "any other": document["other_purposes"]}
        bands = [f"from {floor:,}" for floor in (0, *document["bands"])]
        screen.table(["purpose", *bands], [[name, *levels] for name, levels in purposes.items()], right=len(bands))

    face.answer(found, draw)


def asked(requires: dict[str, Any]) -> dict[str, Any]:
    """What a tier asks for, for people."""
    return {
        "steps": ", ".join(requires.get("steps", ())),
        "evidence": ", ".join(requires.get("evidence", ())),
        "approvals": requires.get("approvals"),
        "reviewed every": f"{requires['review_months']} months" if "review_months" in requires else None,
    }


def _standing(found: wire.VersionDetail) -> dict[str, Any]:
    s = found.state
    if s is None:
        return {"state": "not registered"}
    state = "approved (EMERGENCY)" if s.emergency else "approved, expired" if s.expired else s.state
    told = found.registration or {}
    return {
        "state": f"{state} since {s.since[:19]}",
        "waits for": s.waits_for,
        "tier": f"{s.tier}, because {(found.tier or {}).get('because', '')}",
        **asked(s.requires),
        "kind": s.model_kind,
        "use case": told.get("use_case"),
        "owner": told.get("owner"),
        "origin": told.get("origin"),
        "supplier": told.get("supplier"),
        "approved by": ", ".join(s.approvals),
        "expires": s.expires and s.expires[:19],
        "conditions": tuple(s.conditions),
        "use limits": tuple(s.use_limits),
        "manifest": told.get("manifest"),
    }


def _answer(face: Face, done: wire.VersionState, said: str) -> None:
    def draw(screen: Screen) -> None:
        screen.done(f"{done.model} is {said}")
        screen.facts(
            "",
            {
                "state": "approved (EMERGENCY)" if done.emergency else done.state,
                "waits for": done.waits_for,
                "expires": done.expires and done.expires[:19],
                "conditions": tuple(done.conditions),
                "use limits": tuple(done.use_limits),
            },
        )
        if done.emergency:
            screen.line("outside of the ordinary steps; it is to be reviewed within 5 days", style="bold red")

    face.answer(done, draw)


STEPS = (register, determine, submit, review, approve, reject, retire, break_glass, status, depends, tiering)
"""The commands that belong to ``muni model``."""
