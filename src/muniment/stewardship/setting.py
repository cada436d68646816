"""Stating the terms of a data set: narrower ones hold at once, wider ones once a second person agrees."""

from __future__ import annotations

from typing import Any, Final

from muniment.catalog.resources import DATASET
from muniment.errors import Conflict, Invalid, NotFound
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, verb
from muniment.stewardship.apart import check_second
from muniment.stewardship.standing import of_snapshot
from muniment.stewardship.terms import read_terms, wider
from muniment.stewardship.using import statement_view, subject_for
from muniment.wire import stewardship as wire

__all__ = ["VERBS", "reason_of", "record_of"]

_FIELDS: Final = (
    "classification", "owner", "purposes", "legal_basis", "rights", "use_until", "retention", "keep_until", "access",
)  # fmt: skip
_LONGEST: Final = 2000


@verb(
    "stewardship:SetTerms",
    on=DATASET,
    request=wire.SetTerms,
    reply=wire.Statement,
    event="terms.stated",
    group="data:steward",
)
def set_terms(call: Call, request: wire.SetTerms) -> wire.Statement:
    """State terms of a data set; what widens them waits for a second person, and nothing is overwritten."""
    reason = reason_of(request.reason)
    given = {name: getattr(request, name) for name in _FIELDS}
    states = sorted(name for name, value in given.items() if value is not None)
    if not states and not request.stands_alone:
        raise Invalid("MUNI-W104", "no term is stated", fields=list(_FIELDS))
    data, subject = subject_for(call, request.dataset, every_version=request.every_version)
    situation = of_snapshot(call.session, call.project, data.digest)
    terms = read_terms(given, situation.own)
    widens = [*wider(situation.own, terms), *(["inheritance"] if request.stands_alone else [])]
    body: dict[str, Any] = {
        "reason": reason,
        "snapshot": str(data.digest),
        "states": states,
        "terms": terms.document(),
        "before": situation.own.document(),
        "stands_alone": request.stands_alone,
        "widens": widens,
    }
    record = keep(call, RecordKind.DATA_TERMS, subject, body)
    call.note(dataset=subject, states=states, widens=widens)
    return statement_view(record, waiting=bool(widens))


@verb(
    "stewardship:ConfirmTerms",
    on=PROJECT,
    request=wire.ConfirmTerms,
    reply=wire.Statement,
    event="terms.confirmed",
    group="data:steward",
)
def confirm_terms(call: Call, request: wire.ConfirmTerms) -> wire.Statement:
    """Agree to wider terms as the second person; they hold from now on."""
    reason = reason_of(request.reason)
    stated = record_of(call, request.statement, RecordKind.DATA_TERMS, "statement of terms")
    said = call.use(Records).about(call.project, [stated.id], RecordKind.DATA_TERMS_CONFIRMATION)
    if said or not stated.body["widens"]:
        raise Conflict("MUNI-W302", "these terms hold already", statement=stated.id, by=[one.by for one in said])
    check_second(call, stated.by, "agree to these terms")
    keep(call, RecordKind.DATA_TERMS_CONFIRMATION, stated.id, {"reason": reason, "record": str(stated.digest)})
    call.note(dataset=stated.subject, asked_by=stated.by, widens=list(stated.body["widens"]))
    return statement_view(stated, waiting=False)


def record_of(call: Call, id_: str, kind: RecordKind, what: str) -> Record:
    """The record of this id and kind.

    Raises:
        NotFound: there is none.
    """
    found = call.use(Records).get(call.project, id_)
    if found is None or found.kind is not kind:
        raise NotFound("MUNI-W201", f"there is no {what} {id_[:40]!r}", given=id_[:80], what=what)
    return found


def reason_of(text: str, *, least: int = 1) -> str:
    """A reason that somebody gives, without the space around it.

    Raises:
        Invalid: he gives none, or a book.
    """
    reason = text.strip()
    if not least <= len(reason) <= _LONGEST:
        raise Invalid("MUNI-W105", f"a reason has 1 to {_LONGEST:,} characters", characters=len(reason))
    return reason


VERBS: Final = (set_terms, confirm_terms)
