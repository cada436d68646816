"""Job environments: what jobs run in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from muniment.sdk.asking import Asking
from muniment.wire import execution as wx

__all__ = ["Environments"]


class Environments:
    """The job environments of the installation: ``m.environments``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self) -> list[wx.Environment]:
        """Every version of every environment, newest first."""
        return self._asking.ask("execution:ListEnvironments", wx.ListEnvironments(), wx.Environments).environments

    def get(self, reference: str) -> wx.Environment:
        """One environment, ``tabular`` or ``env:tabular@2``."""
        request = wx.ShowEnvironment(env=reference)
        return self._asking.ask("execution:ShowEnvironment", request, wx.Environment)

    def define(
        self, name: str, lock: str, wheels: Sequence[Path], kept: Callable[[int, int], None] = lambda done, of: None
    ) -> wx.Environment:
        """Seal wheels and name them as the next version of an environment; the same wheels give the same version.

        Args:
            name: name of the environment.
            lock: text of the lock the wheels were taken from, with hashes.
            wheels: files.
            kept: is told after each wheel how many of how many are sealed.
        """
        named = []
        for position, wheel in enumerate(wheels, 1):
            with wheel.open("rb") as body:
                request = wx.StoreWheel(filename=wheel.name)
                stored = self._asking.ask("execution:StoreWheel", request, wx.StoredWheel, body)
            named.append(wx.WheelName(filename=stored.filename, digest=stored.digest))
            kept(position, len(wheels))
        definition = wx.DefineEnvironment(name=name, wheels=named, lock=lock)
        return self._asking.ask("execution:DefineEnvironment", definition, wx.Environment)
