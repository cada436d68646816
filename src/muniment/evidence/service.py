"""The verb of evidence packs. A pack is gathered from one view of the past and made without any transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import resolve
from muniment.catalog.resources import MODEL
from muniment.errors import Conflict, Invalid
from muniment.evidence.dossier import gather
from muniment.evidence.formats import ModelSigner, documents
from muniment.evidence.formats.slsa import provenance
from muniment.evidence.history import signed
from muniment.evidence.pack import Cosigned, assemble
from muniment.evidence.ports import Typesetter
from muniment.evidence.reporting import report
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Store
from muniment.kernel.verb import Call, Download, Effect, Later, verb
from muniment.ledger.model import Checkpoint
from muniment.ledger.ports import Signer
from muniment.ledger.service import Ledger
from muniment.ledger.witnessing import Witnesses
from muniment.wire import evidence as wire

__all__ = ["VERBS", "Packs"]

_PIECE: Final = 1 << 20
_MOST_SINCE: Final = 20


class Packs:
    """Makes evidence packs."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        witnesses: Witnesses,
        signer: Signer,
        models: ModelSigner,
        typesetter: Typesetter,
    ) -> None:
        """``signer`` holds the ledger's key, ``models`` the key that signs models."""
        self._store, self._ledger, self._witnesses = store, ledger, witnesses
        self._signer, self._models, self._typesetter = signer, models, typesetter

    def dossier(self, call: Call, model: Digest, checkpoint: Checkpoint, *, cosigned: bool = False) -> dict[str, Any]:
        """The dossier of a model version as it was at a checkpoint; raises as ``gather`` does.

        Args:
            call: the request; its own transaction is not used.
            model: the version.
            checkpoint: of this ledger.
            cosigned: whether to name the witnesses that cosigned the checkpoint.
        """
        with self._store.read() as session:
            found = gather(call.over(session, call.now), model, checkpoint)
        if cosigned:
            found["witnesses"] = [
                {"name": one.witness, "key": one.key, "size": one.size, "line": one.line}
                for one in sorted(self._witnesses.cosignatures(checkpoint.size), key=lambda one: one.key)
            ]
        return found

    def statement(self, call: Call, model: Digest, size: int) -> dict[str, Any]:
        """The signed statement about how a model was made, as it was at a checkpoint of this size.

        Raises:
            Conflict: it was not trained here.
        """
        dossier = self.dossier(call, model, self._past(size))
        if not dossier.get("training"):
            raise untold(dossier["model"]["reference"])
        return provenance(dossier, self._signer)

    def build(self, call: Call, model: Digest, request: wire.BuildPack) -> Download:
        """A pack, ready to be sent; what it is stands in the ledger entry of the request.

        Raises:
            NotFound: no checkpoint of that size was signed, or the project knew no such model by then.
            Conflict: no checkpoint is cosigned by as many witnesses as are required.
            IntegrityError: the database tells another story than the ledger.
        """
        checkpoint = self._checkpoint(request)
        dossier = self.dossier(call, model, checkpoint, cosigned=request.cosigned)
        pack = assemble(
            dossier,
            self._signer,
            pages={
                "report.pdf": report(dossier, self._typesetter),
                **documents(dossier, self._signer, self._models),
            },
            cosignatures=[Cosigned(one["key"], one["line"]) for one in dossier["witnesses"]],
            consistency={
                size: self._ledger.prove_consistency(size, checkpoint.size).path for size in _kept(request, checkpoint)
            },
        )
        call.note(
            model=str(model), pack=str(Digest.of(pack)), bytes=len(pack), size=checkpoint.size, root=checkpoint.root
        )
        name = f"{dossier['model']['name'] or 'model'}-{dossier['model']['version'] or model.short}.evidence.zip"
        return Download(name.replace("/", "-"), "application/zip", _pieces(pack))

    def _checkpoint(self, request: wire.BuildPack) -> Checkpoint:
        if request.checkpoint is not None:
            return self._past(request.checkpoint)
        if not request.cosigned:
            return self._ledger.checkpoint()
        self._witnesses.submit()
        found = self._witnesses.cosigned_checkpoint()
        if found is None:
            raise Conflict(
                "MUNI-E301",
                "no checkpoint is cosigned by as many witnesses as are required",
                do="muni witness list --profile auditor tells who did not; or ask for a pack without cosignatures",
            )
        return found

    def _past(self, size: int) -> Checkpoint:
        with self._store.read() as session:
            return signed(session, size)


def untold(reference: str) -> Conflict:
    """Nobody here knows how it was made."""
    return Conflict(
        "MUNI-E302",
        "nothing recorded here made it, so there is nothing to state about its making",
        reference=reference,
        do="muni lineage REFERENCE shows what is recorded; of bytes that came from outside nobody knows the making",
    )


@verb(
    "evidence:BuildPack",
    on=MODEL,
    request=wire.BuildPack,
    reply=Download,
    event="pack.built",
    group="evidence:read",
    effect=Effect.READ,
)
def build_pack(call: Call, request: wire.BuildPack) -> Later:
    """Make the evidence pack of a model version: a report and everything that bears it out, verifiable offline."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL).digest
    packs = call.use(Packs)
    return Later(lambda: packs.build(call, model, request))


def _kept(request: wire.BuildPack, checkpoint: Checkpoint) -> list[int]:
    """The sizes from which the pack has to show that the ledger goes on."""
    if len(request.since) > _MOST_SINCE or any(not 0 < size <= checkpoint.size for size in request.since):
        raise Invalid(
            "MUNI-E101",
            "the ledger can only go on from a checkpoint that is not larger than the pack's own",
            since=request.since[:_MOST_SINCE],
            size=checkpoint.size,
            most=_MOST_SINCE,
        )
    return sorted({size for size in request.since if size < checkpoint.size})


def _pieces(pack: bytes) -> Iterator[bytes]:
    return (pack[at : at + _PIECE] for at in range(0, len(pack), _PIECE))


VERBS: Final = (build_pack,)
