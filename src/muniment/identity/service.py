"""What other rooms use of identity: recognising a token, opening the bootstrap, and the verbs."""

from __future__ import annotations

from typing import Final

from muniment.identity import credentials, people, signing, stages
from muniment.identity.authentication import LastUses, TokenAuthenticator, authenticate
from muniment.identity.credentials import open_bootstrap
from muniment.identity.passwords import PasswordHasher, SignInDelays

__all__ = [
    "VERBS",
    "LastUses",
    "PasswordHasher",
    "SignInDelays",
    "TokenAuthenticator",
    "authenticate",
    "open_bootstrap",
]

VERBS: Final = (*people.VERBS, *credentials.VERBS, *signing.VERBS, *stages.VERBS)
