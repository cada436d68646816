"""Witnesses for tests: a real one in a folder, reached without a network, and what a ledger knows of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ledgering import LedgerRoom
from muniment.adapters.witness.folder import WitnessFolder, make_witness
from muniment.errors import Unavailable
from muniment.kernel.ports import Faults
from muniment.ledger.submission import submission
from muniment.ledger.tree import consistency_proof, extend, leaf_hash, perfect_root, root_of
from muniment.ledger.verifier import KeyType, VerifierKey, parse_key
from muniment.ledger.witness import Answer, Witness
from muniment.ledger.witness_ports import Reply
from muniment.ledger.witnessing import Witnesses
from muniment.testing.fakes import SeededEntropy

NAME = "audit.example/w1"


@dataclass
class Reached:
    """The WitnessClient in one process: each URL leads to something that answers."""

    at: dict[str, Callable[[bytes], Answer]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def check(self, url: str) -> str:
        """Every URL will do."""
        return url.rstrip("/")

    def add_checkpoint(self, url: str, body: str) -> Reply:
        """What answers there; Unavailable when nothing does."""
        self.sent.append(body)
        if url not in self.at:
            raise Unavailable("MUNI-L523", "a witness did not answer", url=url)
        answer = self.at[url](body.encode())
        return Reply(answer.status, answer.body, answer.media_type)


@dataclass
class Stand:
    """A ledger and the witnesses it knows."""

    room: LedgerRoom
    witnesses: Witnesses
    client: Reached
    ends: ExitStack

    def witness(self, folder: Path, name: str = NAME, seed: int = 1, *, trusting: bool = True) -> Witness:
        """A witness in a folder, which trusts the ledger and is found at ``https://<name>``."""
        make_witness(folder, name, SeededEntropy(seed))
        opened = self.reopen(folder)
        if trusting:
            opened.trust(parse_key(self.room.ledger.key, KeyType.LEDGER))
        return opened

    def reopen(self, folder: Path, faults: Faults | None = None) -> Witness:
        """Open what lies in the folder and let it answer."""
        opened = self.ends.enter_context(WitnessFolder(folder, faults).opened(self.room.clock))
        self.client.at[f"https://{opened.key.name}"] = opened.add_checkpoint
        return opened

    def register(self, key: VerifierKey, url: str | None = "", required: int | None = None) -> None:
        """Name a witness in a transaction of its own; by default at ``https://<name>``."""
        with self.room.store.write() as session:
            where = f"https://{key.name}" if url == "" else url
            self.witnesses.register(session, str(key), where, required, "User:admin")


def stand(room: LedgerRoom, ends: ExitStack) -> Stand:
    """What a ledger knows of witnesses, nobody being named yet."""
    client = Reached()
    return Stand(room, Witnesses(room.store, room.ledger, client, room.clock, SeededEntropy(5)), client, ends)


class Grown:
    """A tree in memory that anything can be proved of."""

    def __init__(self, entries: int, salt: str = "") -> None:
        self.leaves = [leaf_hash(f"{salt}{number}".encode()) for number in range(entries)]

    def root(self, size: int) -> bytes:
        """The root of the first entries."""
        return root_of(extend(0, [], self.leaves[:size])[1])

    def proof(self, old: int, new: int) -> list[bytes]:
        """That the tree of one size begins with that of the other."""
        return consistency_proof(old, new, self._node)

    def _node(self, level: int, index: int) -> bytes:
        return perfect_root(self.leaves[index << level : (index + 1) << level])


def body(old: int, proof: list[bytes], note: str) -> bytes:
    """What is sent to a witness."""
    return submission(old, proof, note).body().encode()
