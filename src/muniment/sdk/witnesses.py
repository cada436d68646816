"""The witnesses of the ledger: somebody outside who cosigns what it grows to."""

from __future__ import annotations

from muniment.sdk.asking import Asking
from muniment.wire import witness as ww

__all__ = ["Witnesses"]


class Witnesses:
    """The witnesses of the installation's ledger: ``m.audit.witnesses``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self) -> ww.WitnessList:
        """The witnesses, how far each has cosigned, and how many are required."""
        return self._asking.ask("ledger:ListWitnesses", ww.ListWitnesses(), ww.WitnessList)

    def add(self, key: str, url: str | None = None, *, required: int | None = None) -> ww.Witness:
        """Name a witness by its verifier key; without a URL files are carried to it."""
        request = ww.AddWitness(key=key, url=url, required=required)
        return self._asking.ask("ledger:AddWitness", request, ww.Witness)

    def remove(self, name: str, *, required: int | None = None) -> ww.Witness:
        """Forget a witness; what it cosigned stays."""
        request = ww.RemoveWitness(name=name, required=required)
        return self._asking.ask("ledger:RemoveWitness", request, ww.Witness)

    def submit(self) -> ww.SubmissionOutcomes:
        """Have the newest checkpoint cosigned by every witness, now.

        Raises:
            IntegrityError: a witness saw a history that this ledger does not continue.
        """
        return self._asking.ask("ledger:SubmitCheckpoint", ww.SubmitCheckpoint(), ww.SubmissionOutcomes)

    def request(self, name: str, since: int | None = None) -> ww.SubmissionFile:
        """What to carry to a witness that no network reaches."""
        return self._asking.ask("ledger:GetSubmission", ww.GetSubmission(name=name, since=since), ww.SubmissionFile)

    def accept(self, note: str) -> ww.Cosignatures:
        """Keep what such a witness cosigned: the checkpoint as it came back."""
        return self._asking.ask("ledger:AcceptCosignature", ww.AcceptCosignature(note=note), ww.Cosignatures)
