"""Two persons: who decides is a person, and neither the one who asked nor anybody who moves him or whom he moves."""

from __future__ import annotations

from muniment.errors import Denied
from muniment.identity.ports import Ties
from muniment.inventory.independence import dependants
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.verb import Call

__all__ = ["check_second"]


def check_second(call: Call, first: str, what: str) -> None:
    """Refuse the second signature of whoever is not independent of the first.

    Not independent is who is the same person (linked accounts, service accounts of one owner), whose account, token or
    role came from the one who asked, and who made the asker's account or a token of it, for he could act as both.

    Args:
        call: the request of the one who decides.
        first: the agent who asked, as ``User:ana``.
        what: what is decided, such as ``approve this grant``.

    Raises:
        Denied: he is not independent; the facts say why.
    """
    principal = call.principal
    asker = first.partition(":")[2]
    reasons: list[str] = []
    if principal.kind is not PrincipalKind.USER:
        reasons.append(f"{principal.id} is no person")
    ties = call.use(Ties)
    same = ties.same([asker])
    if principal.id == asker:
        reasons.append(f"{asker} asked for it")
    elif principal.id in same:
        reasons.append(f"{principal.id} and {asker}, who asked for it, are one person")
    else:
        asked = {one: (f"{one} asked for it",) for one in sorted(same | {asker})}
        reasons += dependants(ties, asked, call.project).get(principal.id, ())
        moved = dependants(ties, {principal.id: (f"{principal.id} decides",)}, call.project, moved=True)
        reasons += [why for one in sorted(asked) for why in moved.get(one, ())]
    if reasons:
        raise Denied(
            "MUNI-W401",
            f"{principal.id} may not {what}: it takes a second, independent person",
            principal=str(principal),
            asked_by=first,
            because=reasons[:5],
            ledger={"asked_by": first, "why": reasons[0][:300]},
            do="ask another data steward: muni role list",
        )
