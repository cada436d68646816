"""What can be asked about the witnesses of the ledger. It belongs to the whole installation, not to a project."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.ledger.service import Ledger
from muniment.ledger.witness_ports import Cosignature, Outcome, Standing, Witnessed
from muniment.ledger.witnessing import Witnesses
from muniment.wire import witness as wire


@verb(
    "ledger:AddWitness",
    on=INSTALLATION,
    request=wire.AddWitness,
    reply=wire.Witness,
    event="witness.added",
    group="identity:manage",
)
def add_witness(call: Call, request: wire.AddWitness) -> wire.Witness:
    """Name a witness: somebody outside who cosigns what the ledger grows to, and nothing else."""
    added = call.use(Witnesses).register(
        call.session, request.key, request.url, request.required, by=str(call.principal)
    )
    call.note(witness=added.name, key=str(added.key), url=added.url or "")
    if request.required is not None:
        call.note(required=request.required)
    return shown(Standing(added, None, None), call.now, 0)


@verb(
    "ledger:ListWitnesses",
    on=INSTALLATION,
    request=wire.ListWitnesses,
    reply=wire.WitnessList,
    event="witnesses.listed",
    group="audit:verify",
    effect=Effect.READ,
)
def list_witnesses(call: Call, request: wire.ListWitnesses) -> wire.WitnessList:
    """Show the witnesses, and how far each has cosigned."""
    witnesses, ledger = call.use(Witnesses), call.use(Ledger)
    latest = ledger.latest()
    size = latest.size if latest else 0
    standing, required = witnesses.standing()
    return wire.WitnessList(
        witnesses=[shown(one, call.now, size) for one in standing],
        required=required,
        cosigned=_cosigned(witnesses),
        size=size,
        key=ledger.key,
    )


@verb(
    "ledger:RemoveWitness",
    on=INSTALLATION,
    request=wire.RemoveWitness,
    reply=wire.Witness,
    event="witness.removed",
    group="identity:manage",
)
def remove_witness(call: Call, request: wire.RemoveWitness) -> wire.Witness:
    """Forget a witness; what it cosigned stays, and is not counted any more."""
    dropped = call.use(Witnesses).drop(call.session, request.name, request.required)
    call.note(witness=dropped.name, key=str(dropped.key))
    if request.required is not None:
        call.note(required=request.required)
    return shown(Standing(dropped, None, None), call.now, 0)


@verb(
    "ledger:SubmitCheckpoint",
    on=INSTALLATION,
    request=wire.SubmitCheckpoint,
    reply=wire.SubmissionOutcomes,
    event="checkpoint.submitted",
    group="system:operate",
    effect=Effect.READ,
)
def submit_checkpoint(call: Call, request: wire.SubmitCheckpoint) -> wire.SubmissionOutcomes:
    """Have the newest checkpoint cosigned by every witness, now.

    It changes nothing that is governed: cosignatures are kept beside the tree, and each verifies by itself.

    Raises:
        IntegrityError: a witness saw a history that this ledger does not continue.
    """
    witnesses = call.use(Witnesses)
    outcomes = witnesses.submit()
    for outcome in outcomes:
        if outcome.status is Witnessed.FORKED and outcome.error is not None:
            raise outcome.error
    call.note(outcomes=[f"{outcome.witness} {outcome.status}" for outcome in outcomes])
    return wire.SubmissionOutcomes(
        outcomes=[_outcome(outcome) for outcome in outcomes],
        required=witnesses.standing()[1],
        cosigned=_cosigned(witnesses),
    )


@verb(
    "ledger:GetSubmission",
    on=INSTALLATION,
    request=wire.GetSubmission,
    reply=wire.SubmissionFile,
    event="submission.read",
    group="audit:verify",
    effect=Effect.READ,
)
def get_submission(call: Call, request: wire.GetSubmission) -> wire.SubmissionFile:
    """Give the newest checkpoint with its proof, to be carried to a witness that no network reaches."""
    body, checkpoint = call.use(Witnesses).request(request.name, request.since)
    return wire.SubmissionFile(witness=request.name, size=checkpoint.size, body=body)


@verb(
    "ledger:AcceptCosignature",
    on=INSTALLATION,
    request=wire.AcceptCosignature,
    reply=wire.Cosignatures,
    event="cosignature.accepted",
    group="system:operate",
)
def accept_cosignature(call: Call, request: wire.AcceptCosignature) -> wire.Cosignatures:
    """Keep what a witness cosigned, brought back as a file."""
    kept = call.use(Witnesses).accept(call.session, request.note)
    call.note(witnesses=[one.witness for one in kept], size=kept[0].size)
    return wire.Cosignatures(kept=[cosignature(one) for one in kept])


def shown(one: Standing, now: datetime, size: int) -> wire.Witness:
    """A witness as people see it, when the newest checkpoint has that size."""
    newest, problem = one.newest, one.problem
    return wire.Witness(
        name=one.witness.name,
        key=str(one.witness.key),
        url=one.witness.url,
        added_at=format_time(one.witness.added_at),
        added_by=one.witness.added_by,
        size=newest.size if newest else None,
        time=format_time(newest.time) if newest else None,
        age_s=max(int((now - newest.time).total_seconds()), 0) if newest else None,
        behind=max(size - newest.size, 0) if newest else None,
        problem=_reason(problem.message, str(problem.facts.get("reason", ""))) if problem else "",
        code=problem.code if problem else "",
    )


def cosignature(one: Cosignature) -> wire.Cosignature:
    """A cosignature as it goes over the wire."""
    return wire.Cosignature(witness=one.witness, key=one.key, size=one.size, line=one.line, time=format_time(one.time))


def _outcome(outcome: Outcome) -> wire.SubmissionOutcome:
    made, error = outcome.cosignature, outcome.error
    return wire.SubmissionOutcome(
        witness=outcome.witness,
        status=str(outcome.status),
        size=outcome.size,
        time=format_time(made.time) if made else None,
        problem=_reason(error.message, str(error.facts.get("reason", ""))) if error else "",
        code=error.code if error else "",
        do=str(error.facts.get("do", "")) if error else "",
    )


def _reason(message: str, reason: str) -> str:
    return f"{message}: {reason}" if reason else message


def _cosigned(witnesses: Witnesses) -> int | None:
    checkpoint = witnesses.cosigned_checkpoint()
    return checkpoint.size if checkpoint else None


VERBS: Final = (
    add_witness,
    list_witnesses,
    remove_witness,
    submit_checkpoint,
    get_submission,
    accept_cosignature,
)
