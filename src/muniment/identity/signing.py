"""Signing keys of people, and which accounts are one person or depend on another: what four eyes rest on.

Each person makes an Ed25519 key of his own (RFC 8032) and enrols the public half; the private half never comes here. A
key belongs to one account for ever: a second account cannot enrol it, and a revoked one never comes back.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.identity.model import AccountLink, SigningKey
from muniment.identity.people import account_named
from muniment.identity.ports import SigningKeys, Ties
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.principal import Principal, PrincipalKind
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import identity as wire

__all__ = ["ENROLMENT_FORMAT", "VERBS", "enrolment", "fingerprint", "public_bytes", "signed_by"]

ENROLMENT_FORMAT: Final = "muniment.enrolment/1"
_MOST: Final = 1000
_MOST_KEYS: Final = 20
_WEAK: Final = frozenset(
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    )
)
"""Points of small order: a signature by one of them says nothing, for it fits many messages (RFC 8032, section 8)."""


def public_bytes(text: str) -> bytes:
    """The 32 bytes of a public key, from base64 of these or of the DER form that openssl writes.

    Raises:
        Invalid: it is no Ed25519 public key, or one that everybody can sign with.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) == len(_SPKI) + 32 and raw.startswith(_SPKI):
        raw = raw[len(_SPKI) :]
    if len(raw) != 32 or raw in _WEAK:
        raise Invalid(
            "MUNI-I111",
            "this is no Ed25519 public key",
            given=text[:80],
            do="give base64 of its 32 bytes: muni user key enrol does it",
        )
    return raw


_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before the key in SubjectPublicKeyInfo (RFC 8410)."""


def fingerprint(public_key: bytes) -> Digest:
    """The name of a key: the SHA-256 of its 32 bytes."""
    return Digest.of(public_key)


def enrolment(signer: Principal, public_key: bytes) -> bytes:
    """What the holder of a key signs to enrol it, so that nobody enrols a key that he does not hold."""
    encoded = base64.b64encode(public_key).decode()
    return canonical({"format": ENROLMENT_FORMAT, "public_key": encoded, "signer": str(signer)})


def signed_by(public_key: bytes, message: bytes, signature: str) -> bool:
    """Whether a signature in base64 over these bytes was made with the private half of a key."""
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, message)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return base64.b64encode(raw).decode() == signature


@verb(
    "identity:EnrolSigningKey",
    on=INSTALLATION,
    request=wire.EnrolSigningKey,
    reply=wire.SigningKey,
    event="signingkey.enrolled",
    group="identity:self",
)
def enrol_signing_key(call: Call, request: wire.EnrolSigningKey) -> wire.SigningKey:
    """Make known the public half of a key that one signs with; only people sign."""
    if call.principal.kind is not PrincipalKind.USER:
        raise Invalid("MUNI-I112", "only people sign; a service account cannot", principal=str(call.principal))
    if len(request.label) > 200:
        raise Invalid("MUNI-I108", "a label has at most 200 characters", length=len(request.label))
    public_key = public_bytes(request.public_key)
    if not signed_by(public_key, enrolment(call.principal, public_key), request.proof):
        raise Denied(
            "MUNI-I409",
            "the proof does not show that you hold this key",
            do="sign the enrolment statement for your own account with it: muni user key enrol",
        )
    keys, name = call.use(SigningKeys), fingerprint(public_key)
    known = keys.find(name)
    if known is not None and known.account != call.principal.id:
        raise Denied(
            "MUNI-I410",
            "another account holds this key; two accounts with one key are one person",
            do="make a key of your own: muni user key enrol",
        )
    if known is not None:
        raise Conflict("MUNI-I308", "this key is enrolled already, or was and is revoked", key=str(name))
    own = keys.of(call.principal.id)
    if not _may_enrol(own, enrolment(call.principal, public_key), request.endorsement):
        raise Denied(
            "MUNI-I412",
            "whoever has had a key enrols another one with a signature by a former one that is good",
            do="muni user key renew; if the key is lost, an administrator revokes it first: muni user key revoke --of",
        )
    if len(own) >= _MOST_KEYS:
        raise Conflict("MUNI-I309", f"an account has at most {_MOST_KEYS} signing keys, revoked ones included")
    key = SigningKey(name, call.principal.id, public_key, request.label, call.now)
    keys.add(key)
    call.note(key=str(name), public_key=base64.b64encode(public_key).decode(), account=key.account)
    return _view(key)


@verb(
    "identity:RevokeSigningKey",
    on=INSTALLATION,
    request=wire.RevokeSigningKey,
    reply=wire.SigningKey,
    event="signingkey.revoked",
    group="identity:self",
)
def revoke_signing_key(call: Call, request: wire.RevokeSigningKey) -> wire.SigningKey:
    """Let one of one's own keys sign no more from this moment on; what it signed before stays signed."""
    return _revoke(call, request.key, own=True)


@verb(
    "identity:RevokeSigningKeyOf",
    on=INSTALLATION,
    request=wire.RevokeSigningKeyOf,
    reply=wire.SigningKey,
    event="signingkey.revoked_of",
    group="identity:manage",
)
def revoke_signing_key_of(call: Call, request: wire.RevokeSigningKeyOf) -> wire.SigningKey:
    """Let anybody's key sign no more from this moment on."""
    return _revoke(call, request.key, own=False)


@verb(
    "identity:ListSigningKeys",
    on=INSTALLATION,
    request=wire.ListSigningKeys,
    reply=wire.SigningKeys,
    event="signingkeys.listed",
    group="identity:self",
    effect=Effect.READ,
)
def list_signing_keys(call: Call, request: wire.ListSigningKeys) -> wire.SigningKeys:
    """One's own signing keys, newest first, also revoked ones."""
    return wire.SigningKeys(keys=[_view(key) for key in call.use(SigningKeys).of(call.principal.id)])


@verb(
    "identity:ListSigningKeysOf",
    on=INSTALLATION,
    request=wire.ListSigningKeysOf,
    reply=wire.SigningKeys,
    event="signingkeys.listed_of",
    group="identity:read",
    effect=Effect.READ,
)
def list_signing_keys_of(call: Call, request: wire.ListSigningKeysOf) -> wire.SigningKeys:
    """The signing keys of one account or of all, newest first, also revoked ones."""
    most = max(1, min(request.limit, _MOST))
    return wire.SigningKeys(keys=[_view(key) for key in call.use(SigningKeys).of(request.owner)[:most]])


@verb(
    "identity:LinkAccounts",
    on=INSTALLATION,
    request=wire.LinkAccounts,
    reply=wire.AccountLink,
    event="accounts.linked",
    group="identity:manage",
)
def link_accounts(call: Call, request: wire.LinkAccounts) -> wire.AccountLink:
    """State that two accounts belong to one person: what one of them made, the other cannot approve."""
    one, other = (account_named(call, name) for name in (request.account, request.other))
    if one.name == other.name or {one.kind, other.kind} != {PrincipalKind.USER}:
        raise Invalid(
            "MUNI-I113", "a link joins the accounts of one person, two of them", accounts=[one.name, other.name]
        )
    if other.name in call.use(Ties).same([one.name]):
        raise Conflict("MUNI-I310", "these accounts are linked already", accounts=[one.name, other.name])
    link = AccountLink(call.new_id(), one.name, other.name, call.now, call.principal.id)
    call.use(Ties).link(link)
    call.note(accounts=[one.name, other.name])
    return _link(link)


@verb(
    "identity:UnlinkAccounts",
    on=INSTALLATION,
    request=wire.UnlinkAccounts,
    reply=wire.AccountLink,
    event="accounts.unlinked",
    group="identity:manage",
)
def unlink_accounts(call: Call, request: wire.UnlinkAccounts) -> wire.AccountLink:
    """End a link that was made in error; nobody ends one of his own, nor the one who made it."""
    found = next((link for link in call.use(Ties).links() if link.id == request.link), None)
    if found is None:
        raise NotFound("MUNI-I208", "there is no such link that holds", link=request.link[:80])
    concerned = {*call.use(Ties).same([found.account, found.other]), found.linked_by}
    if call.principal.id in concerned:
        raise Denied("MUNI-I411", "another administrator must end this link", concerned=sorted(concerned))
    call.use(Ties).unlink(found.id, call.now, call.principal.id)
    call.note(accounts=[found.account, found.other])
    return _link(found)


@verb(
    "identity:ListAccountLinks",
    on=INSTALLATION,
    request=wire.ListAccountLinks,
    reply=wire.AccountLinks,
    event="accountlinks.listed",
    group="identity:read",
    effect=Effect.READ,
)
def list_account_links(call: Call, request: wire.ListAccountLinks) -> wire.AccountLinks:
    """Which accounts are known to belong to one person."""
    return wire.AccountLinks(links=[_link(link) for link in call.use(Ties).links()])


def _may_enrol(own: Sequence[SigningKey], statement: bytes, endorsement: str | None) -> bool:
    """Whether another key may be bound to an account: a stolen token alone must not make a thief a signer.

    The first key is taken on the word of the credential. Every later one is endorsed by a good one; when none is good
    any more, it comes after an administrator revoked the last: revoking it oneself opens nothing.
    """
    good = [key for key in own if key.revoked_at is None]
    if good:
        return endorsement is not None and any(signed_by(key.public_key, statement, endorsement) for key in good)
    last = max((key.revoked_at for key in own if key.revoked_at is not None), default=None)
    return last is None or any(key.revoked_by != key.account for key in own if key.revoked_at == last)


def _revoke(call: Call, text: str, *, own: bool) -> wire.SigningKey:
    keys = call.use(SigningKeys)
    known = keys.find(Digest(text))
    if known is None or (own and known.account != call.principal.id):
        raise NotFound("MUNI-I209", "there is no such signing key", key=text[:80], do="muni user key list")
    if known.revoked_at is not None:
        raise Conflict("MUNI-I311", "this key is revoked already", key=text)
    keys.revoke(known.fingerprint, call.now, call.principal.id)
    call.note(key=str(known.fingerprint), account=known.account)
    return _view(keys.find(known.fingerprint) or known)


def _view(key: SigningKey) -> wire.SigningKey:
    return wire.SigningKey(
        key=str(key.fingerprint),
        owner=key.account,
        public_key=base64.b64encode(key.public_key).decode(),
        label=key.label,
        enrolled_at=format_time(key.enrolled_at),
        revoked_at=format_time(key.revoked_at) if key.revoked_at else None,
        revoked_by=key.revoked_by,
    )


def _link(link: AccountLink) -> wire.AccountLink:
    return wire.AccountLink(
        id=link.id,
        account=link.account,
        other=link.other,
        since=format_time(link.since),
        linked_by=link.linked_by,
    )


VERBS: Final = (
    enrol_signing_key,
    link_accounts,
    list_account_links,
    list_signing_keys,
    list_signing_keys_of,
    revoke_signing_key,
    revoke_signing_key_of,
    unlink_accounts,
)
