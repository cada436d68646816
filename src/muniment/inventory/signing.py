"""Signatures: who, with which meaning, authenticated now, about which digest. They verify offline, without us.

Two steps. ``PrepareSignature`` gives the exact statement, with a challenge that is good once and for five minutes; the
signer's own program signs its bytes with his own key, which never comes here. The verb that acts takes statement and
signature, and goes on only when the statement is the one that was prepared, for this person, this act and this model,
and still says what is true.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import label, resolve
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.identity.model import SigningKey
from muniment.identity.ports import SigningKeys
from muniment.identity.signing import signed_by
from muniment.inventory.lifecycle import Act, Version
from muniment.inventory.meanings import Meaning, read_meaning
from muniment.inventory.ports import Challenge, Challenges
from muniment.inventory.registering import manifest_now
from muniment.inventory.terms import read_terms
from muniment.inventory.versions import MODEL_VERSION, registered
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, is_id
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, verb
from muniment.ledger.service import Ledger
from muniment.wire import inventory as wire

__all__ = ["STATEMENT_FORMAT", "VERBS", "Signed", "accept", "accept_of_project"]

STATEMENT_FORMAT: Final = "muniment.statement/1"
LIFE: Final = timedelta(minutes=5)
_LONGEST: Final = 64 * 1024
_WHAT: Final = ("format", "origin", "project", "model", "subject", "meaning", "terms")
_KEYS: Final = frozenset({*_WHAT, "signer", "key", "challenge", "prepared_at"})


_OF_PROJECT: Final = (Meaning.EXAMINED, Meaning.STATED, Meaning.LAID)
"""What can be signed about a whole project."""


class SignedOfProject(Protocol):
    """A request that carries a signature."""

    @property
    def statement(self) -> str:
        """The prepared statement, as it was signed."""

    @property
    def signature(self) -> str:
        """Base64 of the signature over its bytes."""


class SignedRequest(SignedOfProject, Protocol):
    """A request about a model that carries a signature."""

    @property
    def model(self) -> str:
        """Reference of the model."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was checked: what it says, and what a record keeps of it."""

    model: Digest
    version: Version
    """As it was before."""

    terms: Mapping[str, Any]
    signature: Mapping[str, str]
    """``statement``, ``signature``, ``key`` and ``public_key``: everything that is needed to verify it offline."""


@verb(
    "inventory:PrepareSignature",
    on=MODEL_VERSION,
    request=wire.PrepareSignature,
    reply=wire.Statement,
    event="signature.prepared",
    group="inventory:sign",
)
def prepare_signature(call: Call, request: wire.PrepareSignature) -> wire.Statement:
    """Write down the exact statement that one is about to sign, with a challenge good once and for five minutes."""
    act = _act(request.meaning)
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL).digest
    version = registered(call, model)
    terms = _read(act, request.terms, version, call.now)
    named = label(call.session, call.project, model)
    return _prepare(call, act, (named, model, version.manifest), terms, request.key)


@verb(
    "inventory:PrepareProjectSignature",
    on=PROJECT,
    request=wire.PrepareProjectSignature,
    reply=wire.Statement,
    event="signature.prepared_for_project",
    group="inventory:sign",
)
def prepare_project_signature(call: Call, request: wire.PrepareProjectSignature) -> wire.Statement:
    """Write down the exact statement about the whole project that one is about to sign, good once and for minutes."""
    if request.meaning not in _OF_PROJECT:
        meanings = [meaning.value for meaning in _OF_PROJECT]
        raise Invalid("MUNI-M177", f"{request.meaning[:80]!r} is not signed about a whole project", meanings=meanings)
    meaning = Meaning(request.meaning)
    terms = read_meaning(meaning, request.terms, call.now)
    return _prepare(call, meaning, ("", None, str(_whole(call))), terms, request.key)


def _prepare(
    call: Call,
    act: Act | Meaning,
    about: tuple[str, Digest | None, str],
    terms: Mapping[str, Any],
    fingerprint: str | None,
) -> wire.Statement:
    """Write a statement down: about the name, the digest and the subject of a model, or no model and the project's."""
    named, model, subject = about
    key = _own_key(call, fingerprint)
    challenge = call.new_id()
    statement = canonical(
        {
            "format": STATEMENT_FORMAT,
            "origin": call.use(Ledger).origin,
            "project": call.project,
            "model": str(model or ""),
            "subject": subject,
            "meaning": act.value,
            "signer": str(call.principal),
            "key": str(key.fingerprint),
            "challenge": challenge,
            "prepared_at": format_time(call.now),
            "terms": terms,
        }
    )
    if len(statement) > _LONGEST:
        raise Invalid("MUNI-M139", "a statement has at most 64 KiB", bytes=len(statement))
    expires = call.now + LIFE
    call.use(Challenges).add(
        Challenge(
            id=challenge,
            project=call.project,
            model=model or _whole(call),
            meaning=act.value,
            signer=call.principal.id,
            key=key.fingerprint,
            statement=Digest.of(statement),
            prepared_at=call.now,
            expires=expires,
        )
    )
    about_model = {"model": str(model)} if model else {}
    call.note(meaning=act.value, challenge=challenge, statement=str(Digest.of(statement)), **about_model)
    return wire.Statement(
        statement=statement.decode(),
        challenge=challenge,
        model=named,
        meaning=act.value,
        key=str(key.fingerprint),
        expires_at=format_time(expires),
    )


def accept(call: Call, act: Act | Meaning, request: SignedRequest) -> Signed:
    """Check a signature and spend its challenge.

    Args:
        call: the request that carries it.
        act: what it must mean.
        request: the model, the statement and the signature.

    Raises:
        Invalid: there is no statement, or it is none of ours.
        Denied: it was prepared for somebody or something else, the key is revoked, or the signature is wrong.
        Conflict: it was used already, is too old, or what it says is not true any more.
    """
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL).digest
    version = registered(call, model)
    stated = _parse(request.statement, act)
    challenge = _challenge(call, stated, request.statement, act)
    if challenge.model != model or stated["model"] != str(model):
        raise Conflict(
            "MUNI-M322",
            "the model that was prepared to be signed is another one than this reference now means",
            signed=stated["model"][:100],
            now=str(model),
            do="look at what changed, then prepare the signature again",
        )
    now = {str(version.manifest), str(manifest_now(call, version))}
    if now != {stated["subject"]}:
        raise Conflict(
            "MUNI-M323",
            "the manifest of this model is another one than the one that was signed",
            signed=stated["subject"][:100],
            now=sorted(now),
            do="look at what changed, then prepare the signature again",
        )
    kept = _checked(call, challenge, request)
    call.note(model=str(model), manifest=version.manifest, key=kept["key"], challenge=challenge.id)
    terms = _read(act, _plain_terms(act, stated["terms"]), version, challenge.prepared_at)
    return Signed(model, version, terms, kept)


def accept_of_project(
    call: Call, meaning: Meaning, request: SignedOfProject
) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Check a signature about the whole project and spend its challenge; gives its terms and what a record keeps of it.

    Raises:
        Invalid: there is no statement, or it is none of ours.
        Denied: it was prepared for somebody or something else, the key is revoked, or the signature is wrong.
        Conflict: it was used already, or is too old.
    """
    stated = _parse(request.statement, meaning)
    challenge = _challenge(call, stated, request.statement, meaning)
    if challenge.model != _whole(call):
        raise Denied(
            "MUNI-M470", "this statement was prepared for one model, not for the project", model=stated["model"][:100]
        )
    kept = _checked(call, challenge, request)
    call.note(key=kept["key"], challenge=challenge.id)
    return read_meaning(meaning, stated["terms"], challenge.prepared_at), kept


def _checked(call: Call, challenge: Challenge, request: SignedOfProject) -> dict[str, str]:
    """Spend the challenge of a signature that fits; gives what a record keeps of it."""
    key = _valid_key(call, challenge)
    if not signed_by(key.public_key, request.statement.encode(), request.signature):
        raise Denied(
            "MUNI-M406",
            "the signature does not fit the statement and the key",
            key=str(key.fingerprint),
            do="sign exactly the bytes of the statement",
        )
    call.use(Challenges).spend(challenge.id, call.now)
    return {
        "statement": request.statement,
        "signature": request.signature,
        "key": str(key.fingerprint),
        "public_key": base64.b64encode(key.public_key).decode(),
    }


def _whole(call: Call) -> Digest:
    """What statements about the whole project are about."""
    return digest_of({"format": "muniment.project/1", "origin": call.use(Ledger).origin, "project": call.project})


def _read(act: Act | Meaning, given: Mapping[str, Any], version: Version, now: datetime) -> dict[str, Any]:
    if isinstance(act, Meaning):
        return read_meaning(act, given, now)
    return read_terms(act, given, version, now)


def _act(text: str) -> Act | Meaning:
    """What is signed about a version."""
    signed: tuple[Act | Meaning, ...] = (*Act, Meaning.ACKNOWLEDGED, Meaning.EXAMINED)
    found = {act.value: act for act in signed}
    if text not in found:
        raise Invalid("MUNI-M140", f"{text[:80]!r} is no meaning of a signature", meanings=[*found])
    return found[text]


def _own_key(call: Call, fingerprint: str | None) -> SigningKey:
    """The asker's key to sign with: the one he names, else his newest."""
    own = [key for key in call.use(SigningKeys).of(call.principal.id) if key.revoked_at is None]
    found = [key for key in own if fingerprint is None or key.fingerprint == fingerprint]
    if not found:
        raise NotFound(
            "MUNI-M202",
            f"{call.principal.id} has enrolled no key to sign with",
            keys=[str(key.fingerprint) for key in own],
            do="muni user key enrol",
        )
    return found[0]


def _parse(text: str, act: Act | Meaning) -> dict[str, Any]:
    if not text:
        raise Invalid("MUNI-M141", "this takes a signature", meaning=act.value, do="prepare it: muni model --help")
    try:
        stated = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        stated = None
    if (
        not isinstance(stated, dict)
        or stated.keys() != _KEYS
        or stated["format"] != STATEMENT_FORMAT
        or not isinstance(stated["terms"], dict)
        or not all(isinstance(value, str) for name, value in stated.items() if name != "terms")
    ):
        raise Invalid("MUNI-M142", "this is no statement that was prepared to be signed", meaning=act.value)
    return stated


def _challenge(call: Call, stated: Mapping[str, Any], text: str, act: Act | Meaning) -> Challenge:
    """The challenge of a statement, when it is ours, this person's, for this act, unspent and fresh."""
    named = stated["challenge"]
    challenge = call.use(Challenges).get(call.project, named) if is_id(named) else None
    if challenge is None:
        raise Denied("MUNI-M401", "this statement was not prepared here", challenge=named[:80])
    if challenge.statement != Digest.of(text.encode()):
        raise Denied("MUNI-M402", "this is not the statement that was prepared", challenge=named)
    if challenge.signer != call.principal.id:
        raise Denied("MUNI-M403", "this statement was prepared for somebody else", signer=stated["signer"][:200])
    if challenge.meaning != act.value:
        raise Denied("MUNI-M404", f"this signature means {stated['meaning'][:40]!r}", asked=act.value)
    if challenge.spent_at is not None:
        raise Conflict("MUNI-M320", "this signature was used already", challenge=named, do="prepare a new one")
    if call.now >= challenge.expires:
        raise Conflict("MUNI-M321", "this statement was prepared too long ago", challenge=named, do="prepare a new one")
    return challenge


def _valid_key(call: Call, challenge: Challenge) -> SigningKey:
    key = call.use(SigningKeys).find(challenge.key)
    if key is None or key.account != call.principal.id or key.revoked_at is not None:
        raise Denied(
            "MUNI-M405",
            "the key of this signature is revoked",
            key=str(challenge.key),
            revoked_at=format_time(key.revoked_at) if key and key.revoked_at else None,
            do="enrol another key: muni user key enrol",
        )
    return key


def _plain_terms(act: Act | Meaning, terms: Mapping[str, Any]) -> dict[str, Any]:
    """The terms without what was worked out from them."""
    computed = ("result", "questionnaire") if act is Act.DETERMINE else ()
    return {name: value for name, value in terms.items() if name not in computed}


VERBS: Final = (prepare_signature, prepare_project_signature)
