"""The verbs of instructions for use: shown as the records write them, acknowledged by a signature over their digest."""

from __future__ import annotations

from typing import Final

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import label, resolve
from muniment.errors import Conflict
from muniment.inventory.facts.instructions import Instructions, instructions_of
from muniment.inventory.facts.known import Known, load
from muniment.inventory.lifecycle import State
from muniment.inventory.meanings import Meaning
from muniment.inventory.model import RecordKind
from muniment.inventory.recording import keep
from muniment.inventory.signing import accept
from muniment.inventory.versions import MODEL_VERSION, registered
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import assurance as wire

__all__ = ["VERBS"]


@verb(
    "inventory:ShowInstructions",
    on=MODEL_VERSION,
    request=wire.ShowInstructions,
    reply=wire.Instructions,
    event="instructions.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_instructions(call: Call, request: wire.ShowInstructions) -> wire.Instructions:
    """Show the instructions for use of a version, as its records write them, and who acknowledged which text."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL).digest
    known, written = _written(call, model)
    call.note(model=str(model), instructions=str(written.digest))
    return _view(call, known, written)


@verb(
    "inventory:AcknowledgeInstructions",
    on=MODEL_VERSION,
    request=wire.AcknowledgeInstructions,
    reply=wire.Instructions,
    event="instructions.acknowledged",
    group="inventory:sign",
)
def acknowledge_instructions(call: Call, request: wire.AcknowledgeInstructions) -> wire.Instructions:
    """Sign that one read and understood the instructions for use; it counts as long as the text stays the same."""
    signed = accept(call, Meaning.ACKNOWLEDGED, request)
    if signed.version.state_at(call.now) is not State.APPROVED:
        raise Conflict(
            "MUNI-M373",
            "what is not approved is not used, so its instructions are not acknowledged",
            model=label(call.session, call.project, signed.model),
            state=signed.version.state_at(call.now).value,
        )
    _, written = _written(call, signed.model)
    if signed.terms["instructions"] != written.digest:
        raise Conflict(
            "MUNI-M374",
            "the instructions are not those that were read",
            read=signed.terms["instructions"],
            now=str(written.digest),
            do="read them again: muni instructions show MODEL",
        )
    body = {**signed.terms, "signature": dict(signed.signature)}
    keep(call, RecordKind.ACKNOWLEDGEMENT, str(signed.model), body, Grade.ATTESTED)
    call.note(instructions=str(written.digest))
    known, written = _written(call, signed.model)
    return _view(call, known, written)


def _written(call: Call, model: Digest) -> tuple[Known, Instructions]:
    registered(call, model)
    known = load(call, model)
    written = instructions_of(known)
    assert written is not None, "a registered version has instructions"
    return known, written


def _view(call: Call, known: Known, written: Instructions) -> wire.Instructions:
    told = [record for record in known.records if record.kind is RecordKind.ACKNOWLEDGEMENT]
    return wire.Instructions(
        model=label(call.session, call.project, known.model.digest),
        digest=str(known.model.digest),
        instructions=str(written.digest),
        text=written.text,
        missing=list(written.missing),
        acknowledged=[
            wire.Acknowledgement(
                by=one.by,
                at=format_time(one.at),
                instructions=str(one.body["instructions"]),
                current=one.body["instructions"] == written.digest,
                independent=one.by.partition(":")[2] not in known.parties.authors,
                record=str(one.digest),
            )
            for one in told
        ],
    )


VERBS: Final = (show_instructions, acknowledge_instructions)
