"""Recognising who is behind a token.

Unknown, mistyped, expired, revoked and disabled are one answer to the asker and distinct facts in the ledger: the fact
``ledger`` of the error is what the gate writes there and takes out of the answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock
from typing import Final, NoReturn

from muniment.errors import Unauthenticated
from muniment.identity import tokens
from muniment.identity.model import Account, Token, TokenKind
from muniment.identity.ports import Tokens
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Clock, Session
from muniment.kernel.principal import Authentication

_NOBODY: Final = Digest.of(b"no token has this digest")
_USE_NOTED_EVERY: Final = timedelta(minutes=1)


def authenticate(session: Session, token: str, now: datetime, ip: str) -> Authentication:
    """The principal that a token stands for, by one indexed query.

    Args:
        session: a reading or writing transaction.
        token: the text that came with the request.
        now: the moment of the request.
        ip: the peer's address as the socket says.

    Raises:
        Unauthenticated: nobody is known by this token; says no more than that.
    """
    presented = tokens.read(token)
    if presented is None:
        _refuse("malformed" if token else "missing", "")
    found = session.use(Tokens).find(presented.id)
    genuine = presented.matches(found[0].digest if found else _NOBODY)
    if found is None or not genuine:
        _refuse("unknown", presented.id)
    kept, owner = found
    why = _dead(kept, owner, now)
    if why:
        _refuse(why, kept.id)
    method = "password" if kept.kind is TokenKind.SESSION else "token"
    return Authentication(owner.principal, method, now, ip, kept.id, kept.actions, kept.expires_at)


def _dead(token: Token, owner: Account, now: datetime) -> str:
    """Why a genuine token is good for nothing; empty when it is good."""
    if token.revoked_at is not None and token.revoked_at <= now:
        return "revoked"
    if token.expires_at <= now:
        return "expired"
    return "" if owner.active(now) else "disabled"


def _refuse(why: str, credential: str) -> NoReturn:
    raise Unauthenticated(
        "MUNI-I401",
        "nobody is known by this credential",
        do="sign in again, or ask an administrator for a new token",
        ledger={"why": why, "credential": credential},
    )


class LastUses:
    """Remembers when tokens were last used and writes it down at most once a minute per token.

    Each use stands in the ledger, where every entry names its credential; this is the summary that lists show.
    """

    def __init__(self) -> None:
        self._noted: dict[str, datetime] = {}
        self._written: dict[str, datetime] = {}
        self._lock = Lock()

    def note(self, token: str, now: datetime) -> None:
        """A token was used."""
        self._noted[token] = now

    def pending(self) -> dict[str, datetime]:
        """Last uses that are not written yet."""
        with self._lock:
            return dict(self._noted)

    def flush(self, session: Session, now: datetime) -> int:
        """Write what is due in this writing transaction; how many tokens it touched."""
        with self._lock:
            due = {
                token: at
                for token, at in list(self._noted.items())
                if token not in self._written or now - self._written[token] >= _USE_NOTED_EVERY
            }
            for token in due:
                self._noted.pop(token, None)
            self._written = {token: at for token, at in self._written.items() if now - at < _USE_NOTED_EVERY}
            self._written |= dict.fromkeys(due, now)
        session.use(Tokens).used(due)
        return len(due)


class TokenAuthenticator:
    """``authenticate`` by the platform's clock, with last uses remembered; what the gate is given."""

    def __init__(self, clock: Clock, uses: LastUses) -> None:
        self._clock, self._uses = clock, uses

    def __call__(self, session: Session, token: str, ip: str) -> Authentication:
        """Who this is; raises Unauthenticated."""
        known = authenticate(session, token, self._clock.now(), ip)
        self._uses.note(known.credential, known.at)
        return known
