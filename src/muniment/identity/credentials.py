"""Verbs about tokens, passwords and the first administrators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from muniment.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from muniment.identity import rules, tokens
from muniment.identity.authentication import LastUses
from muniment.identity.model import (
    BOOTSTRAP_LIFE,
    FIRST_ADMINISTRATORS,
    SESSION_LIFE,
    Account,
    BootstrapSecret,
    Password,
    Role,
    RoleGrant,
    SubjectKind,
    Token,
    TokenKind,
)
from muniment.identity.passwords import PasswordHasher, SignInDelays, check_password
from muniment.identity.people import account_named, check_active, check_free
from muniment.identity.ports import Accounts, Bootstraps, Grants, Passwords, Standings, Tokens
from muniment.identity.views import grant_view
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import check_name, format_time, new_id
from muniment.kernel.ports import Clock, Entropy, Session
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import identity as wire

_MOST: Final = 1000
_ACTION: Final = re.compile(r"[a-z]+:[A-Za-z]+")


@verb(
    "identity:IssueToken",
    on=INSTALLATION,
    request=wire.IssueToken,
    reply=wire.IssuedToken,
    event="token.issued",
    group="identity:self",
)
def issue_token(call: Call, request: wire.IssueToken) -> wire.IssuedToken:
    """Make an API token for oneself; it can do no more than the credential it is asked for with."""
    limits = _limits(request.actions)
    held = call.authentication.actions
    if held is not None and (limits is None or not limits <= held):
        raise Denied(
            "MUNI-I404",
            "a limited token cannot issue a wider one",
            limited_to=sorted(held),
            asked=sorted(limits) if limits is not None else "everything",
        )
    return _issue(call, account_named(call, call.principal.id), request.label, request.days, limits)


@verb(
    "identity:IssueTokenFor",
    on=INSTALLATION,
    request=wire.IssueTokenFor,
    reply=wire.IssuedToken,
    event="token.issued_for",
    group="identity:manage",
)
def issue_token_for(call: Call, request: wire.IssueTokenFor) -> wire.IssuedToken:
    """Make a token for a service account, or for a person who has none that works: a first one, or one after a loss.

    Nobody can act beside a person unnoticed: as long as one of his tokens works no other is made for him, and when one
    is made his password works no more.
    """
    owner = account_named(call, request.owner)
    check_active(call, owner)
    if owner.kind is PrincipalKind.USER:
        if any(_status(token, call.now) == "active" for token in call.use(Tokens).all(_MOST, owner.name)):
            raise Denied(
                "MUNI-I408",
                f"{owner.name} has a token that works, and so makes others himself",
                owner=owner.name,
                do="if it is lost, revoke it first: muni token revoke ID",
            )
        call.use(Passwords).forget(owner.name)
    return _issue(call, owner, request.label, request.days, _limits(request.actions))


@verb(
    "identity:RevokeToken",
    on=INSTALLATION,
    request=wire.RevokeToken,
    reply=wire.Token,
    event="token.revoked",
    group="identity:self",
)
def revoke_token(call: Call, request: wire.RevokeToken) -> wire.Token:
    """End one of one's own tokens, or one of a service account that one answers for, from this moment on."""
    found = call.use(Tokens).find(request.token)
    if found is None or call.principal.id not in (found[1].name, found[1].owner):
        raise NotFound("MUNI-I204", "you have no such token", token=request.token[:80])
    return _revoke(call, found[0])


@verb(
    "identity:RevokeTokenOf",
    on=INSTALLATION,
    request=wire.RevokeTokenOf,
    reply=wire.Token,
    event="token.revoked_of",
    group="identity:manage",
)
def revoke_token_of(call: Call, request: wire.RevokeTokenOf) -> wire.Token:
    """End anybody's token from this moment on."""
    found = call.use(Tokens).find(request.token)
    if found is None:
        raise NotFound("MUNI-I205", "there is no such token", token=request.token[:80])
    return _revoke(call, found[0])


@verb(
    "identity:ListTokens",
    on=INSTALLATION,
    request=wire.ListTokens,
    reply=wire.Tokens,
    event="tokens.listed",
    group="identity:self",
    effect=Effect.READ,
)
def list_tokens(call: Call, request: wire.ListTokens) -> wire.Tokens:
    """One's own tokens, newest first, without their texts."""
    return _tokens(call, request.limit, call.principal.id)


@verb(
    "identity:ListTokensOf",
    on=INSTALLATION,
    request=wire.ListTokensOf,
    reply=wire.Tokens,
    event="tokens.listed_of",
    group="identity:read",
    effect=Effect.READ,
)
def list_tokens_of(call: Call, request: wire.ListTokensOf) -> wire.Tokens:
    """The tokens of one account or of all, newest first, without their texts."""
    return _tokens(call, request.limit, request.owner)


@verb(
    "identity:SetPassword",
    on=INSTALLATION,
    request=wire.SetPassword,
    reply=wire.PasswordSet,
    event="password.set",
    group="identity:self",
)
def set_password(call: Call, request: wire.SetPassword) -> wire.PasswordSet:
    """Set one's own password; who has one must show it. Every session made with the former one ends."""
    if call.principal.kind is not PrincipalKind.USER:
        raise Invalid("MUNI-I105", "only people have passwords; a service account acts by tokens")
    check_password(request.password)
    name, hasher, delays = call.principal.id, call.use(PasswordHasher), call.use(SignInDelays)
    kept = call.use(Passwords).find(name)
    if kept is not None:
        delays.check(name, call.authentication.ip, call.now)
        if not hasher.verify(kept.hash, request.current or "").matches:
            delays.failed(name, call.authentication.ip, call.now)
            raise Denied("MUNI-I405", "the present password is needed to change it", do="give the present password too")
    call.use(Passwords).set(Password(name, hasher.hash(request.password), call.now))
    call.use(Tokens).revoke_sessions(name, call.now)
    return wire.PasswordSet(changed_at=format_time(call.now))


@verb(
    "identity:SignIn",
    on=INSTALLATION,
    request=wire.SignIn,
    reply=wire.IssuedToken,
    event="session.opened",
    group="identity:self",
    public=True,
)
def sign_in(call: Call, request: wire.SignIn) -> wire.IssuedToken:
    """Exchange a password for a token that lives 12 hours.

    Wrong name, wrong password, account without one, disabled account: the same answer after the same work.
    """
    hasher, delays, address = call.use(PasswordHasher), call.use(SignInDelays), call.authentication.ip
    delays.check(request.name, address, call.now)
    account = call.use(Accounts).find(request.name)
    kept = call.use(Passwords).find(request.name)
    verdict = hasher.verify(kept.hash if kept else None, request.password)
    if account is None or not verdict.matches or not account.active(call.now):
        delays.failed(request.name, address, call.now)
        why = "unknown" if account is None else "password" if not verdict.matches else "disabled"
        # the name stands in the ledger only when it is an account's: people type passwords into name fields
        raise Unauthenticated(
            "MUNI-I402",
            "name and password do not match",
            do="check both; after five failures each attempt must wait longer",
            ledger={"why": why, "account": account.name if account else ""},
        )
    delays.succeeded(request.name, address)
    if verdict.outdated:
        call.use(Passwords).set(Password(account.name, hasher.hash(request.password), call.now))
    call.note(account=account.name)
    return _keep(call, _Order(account, TokenKind.SESSION, "signed in", call.now + SESSION_LIFE))


@verb(
    "identity:WhoAmI",
    on=INSTALLATION,
    request=wire.WhoAmI,
    reply=wire.Identity,
    event="self.shown",
    group="identity:self",
    effect=Effect.READ,
)
def who_am_i(call: Call, request: wire.WhoAmI) -> wire.Identity:
    """Who one is to the platform: roles, groups, and the credential in use."""
    seen, standing = call.authentication, call.use(Standings).standing(call.principal.id, call.now)
    return wire.Identity(
        name=call.principal.id,
        kind=call.principal.kind.value,
        method=seen.method,
        credential=seen.credential,
        expires_at=format_time(seen.expires) if seen.expires else None,
        actions=sorted(seen.actions) if seen.actions is not None else None,
        groups=list(standing.groups) if standing else [],
        roles=[grant_view(grant, call.now) for grant in standing.grants] if standing else [],
    )


@verb(
    "identity:Bootstrap",
    on=INSTALLATION,
    request=wire.Bootstrap,
    reply=wire.Administrators,
    event="installation.bootstrapped",
    group="identity:self",
    public=True,
)
def bootstrap(call: Call, request: wire.Bootstrap) -> wire.Administrators:
    """Make exactly the first two administrators with the one-time secret, which dies with that."""
    presented = tokens.read(request.secret)
    secret = call.use(Bootstraps).find(presented.id) if presented else None
    if (
        presented is None
        or secret is None
        or not presented.matches(secret.digest)
        or secret.spent_at is not None
        or secret.expires_at <= call.now
        or call.use(Accounts).exist()
    ):
        raise Unauthenticated(
            "MUNI-I406",
            "this secret makes no administrators",
            do="on the machine itself: muni init prints a fresh one as long as there is no account",
        )
    names = [check_free(check_name(name, "person")) for name in request.administrators]
    if len(set(names)) != FIRST_ADMINISTRATORS or len(names) != FIRST_ADMINISTRATORS:
        raise Invalid(
            "MUNI-I106",
            "the first administrators are two different people: one alone could not satisfy four-eyes",
            given=names,
        )
    call.use(Bootstraps).spend(secret.id, call.now)
    call.note(administrators=names)
    issued = []
    for name in names:
        account = Account(name, PrincipalKind.USER, None, call.now, "bootstrap")
        call.use(Accounts).add(account)
        call.use(Grants).add(
            RoleGrant(
                call.new_id(), SubjectKind.USER, name, Role.ADMINISTRATOR, None, call.now, None, granted_by="bootstrap"
            )
        )
        end = rules.token_end(call.now, 30)
        issued.append(_keep(call, _Order(account, TokenKind.PERSONAL, "first token", end)))
    return wire.Administrators(administrators=issued)


@verb(
    "identity:RestoreAccess",
    on=INSTALLATION,
    request=wire.RestoreAccess,
    reply=wire.Administrators,
    event="access.restored",
    group="internal",
    internal=True,
)
def restore_access(call: Call, request: wire.RestoreAccess) -> wire.Administrators:
    """Issue a token to each of two administrators of an installation that was made from an export."""
    accounts = (account_named(call, name) for name in call.use(Standings).holders(Role.ADMINISTRATOR, call.now))
    holders = sorted(account.name for account in accounts if account.kind is PrincipalKind.USER)
    names = request.administrators or holders[:FIRST_ADMINISTRATORS]
    if len(set(names)) != FIRST_ADMINISTRATORS or set(names) - set(holders):
        raise Invalid(
            "MUNI-I119",
            "access is restored to two active administrators of the installation",
            given=names,
            administrators=holders,
        )
    end = rules.token_end(call.now, 30)
    call.note(administrators=names)
    orders = [_Order(account_named(call, name), TokenKind.PERSONAL, "restored", end) for name in names]
    return wire.Administrators(administrators=[_keep(call, order) for order in orders])


def open_bootstrap(session: Session, clock: Clock, entropy: Entropy) -> str:
    """A fresh one-time secret for ``muni init`` to show; lives 15 minutes, and every former one dies.

    Raises:
        Conflict: there are accounts already.
    """
    if session.use(Accounts).exist():
        raise Conflict(
            "MUNI-I305", "this installation has its administrators already", do="ask one of them: muni user list"
        )
    secret_id = new_id(clock, entropy)
    text = tokens.mint(TokenKind.BOOTSTRAP, secret_id, entropy)
    session.use(Bootstraps).add(BootstrapSecret(secret_id, Digest.of(text.encode()), clock.now() + BOOTSTRAP_LIFE))
    return text


def _limits(actions: list[str] | None) -> frozenset[str] | None:
    if actions is None:
        return None
    wrong = [action[:80] for action in actions if not _ACTION.fullmatch(action)]
    if wrong or not 1 <= len(actions) <= 50:
        raise Invalid(
            "MUNI-I107",
            "a token is limited to action groups like data:read or to actions like data:AddDataset, at most 50",
            given=wrong[:10],
        )
    return frozenset(actions)


def _issue(call: Call, owner: Account, label: str, days: int, limits: frozenset[str] | None) -> wire.IssuedToken:
    if len(label) > 200:
        raise Invalid("MUNI-I108", "a label has at most 200 characters", length=len(label))
    kind = TokenKind.PERSONAL if owner.kind is PrincipalKind.USER else TokenKind.SERVICE
    return _keep(call, _Order(owner, kind, label, rules.token_end(call.now, days), limits))


@dataclass(frozen=True, slots=True)
class _Order:
    """A token that shall be made."""

    owner: Account
    kind: TokenKind
    label: str
    expires_at: datetime
    limits: frozenset[str] | None = None


def _keep(call: Call, order: _Order) -> wire.IssuedToken:
    token_id = call.new_id()
    text = tokens.mint(order.kind, token_id, call.use(Entropy))
    call.use(Tokens).add(
        Token(
            token_id,
            order.kind,
            order.owner.name,
            Digest.of(text.encode()),
            order.label,
            order.limits,
            issued_by=call.principal.id,
            created_at=call.now,
            expires_at=order.expires_at,
        )
    )
    call.note(token=token_id, owner=order.owner.name)
    return wire.IssuedToken(
        id=token_id,
        owner=order.owner.name,
        token=text,
        expires_at=format_time(order.expires_at),
        actions=sorted(order.limits) if order.limits is not None else None,
    )


def _revoke(call: Call, token: Token) -> wire.Token:
    call.use(Tokens).revoke(token.id, call.now)
    call.note(token=token.id, owner=token.owner)
    found = call.use(Tokens).find(token.id)
    return _view(found[0] if found else token, call.now, {})


def _tokens(call: Call, limit: int, owner: str | None) -> wire.Tokens:
    pending = call.use(LastUses).pending()
    kept = call.use(Tokens).all(max(1, min(limit, _MOST)), owner)
    return wire.Tokens(tokens=[_view(token, call.now, pending) for token in kept])


def _status(token: Token, now: datetime) -> str:
    if token.revoked_at is not None and token.revoked_at <= now:
        return "revoked"
    return "expired" if token.expires_at <= now else "active"


def _view(token: Token, now: datetime, pending: dict[str, datetime]) -> wire.Token:
    used = max(filter(None, (token.last_used_at, pending.get(token.id))), default=None)
    return wire.Token(
        id=token.id,
        kind=token.kind.value,
        owner=token.owner,
        label=token.label,
        actions=sorted(token.actions) if token.actions is not None else None,
        issued_by=token.issued_by,
        created_at=format_time(token.created_at),
        expires_at=format_time(token.expires_at),
        last_used_at=format_time(used) if used else None,
        status=_status(token, now),
    )


VERBS: Final = (
    bootstrap,
    issue_token,
    issue_token_for,
    list_tokens,
    list_tokens_of,
    restore_access,
    revoke_token,
    revoke_token_of,
    set_password,
    sign_in,
    who_am_i,
)
