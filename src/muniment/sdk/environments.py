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

    def describe(self, reference: str) -> wx.EnvironmentPackages:
        """The packages of an environment with what they say of their licences, and its bill of materials."""
        request = wx.DescribeEnvironment(env=reference)
        return self._asking.ask("evidence:DescribeEnvironment", request, wx.EnvironmentPackages)

    def indexes(self) -> Sequence[wx.PackageIndex]:
        """The allowed package indexes; none when any will do."""
        return self._asking.ask("execution:ListIndexes", wx.ListIndexes(), wx.PackageIndexes).indexes

    def allow_index(self, name: str, url: str) -> wx.PackageIndex:
        """Allow a package index; from then on environments come from allowed ones only."""
        return self._asking.ask("execution:AllowIndex", wx.AllowIndex(name=name, url=url), wx.PackageIndex)

    def forbid_index(self, name: str) -> Sequence[wx.PackageIndex]:
        """Take a package index off the list; gives those that are left."""
        return self._asking.ask("execution:ForbidIndex", wx.ForbidIndex(name=name), wx.PackageIndexes).indexes

    def define(
        self,
        name: str,
        lock: str,
        wheels: Sequence[Path],
        kept: Callable[[int, int], None] = lambda done, of: None,
        *,
        index: str | None = None,
    ) -> wx.Environment:
        """Seal wheels and name them as the next version of an environment; the same wheels give the same version.

        Args:
            name: name of the environment.
            lock: text of the lock the wheels were taken from, with hashes.
            wheels: files.
            kept: is told after each wheel how many of how many are sealed.
            index: name of the package index that the wheels came from.
        """
        named = []
        for position, wheel in enumerate(wheels, 1):
            with wheel.open("rb") as body:
                request = wx.StoreWheel(filename=wheel.name)
                stored = self._asking.ask("execution:StoreWheel", request, wx.StoredWheel, body)
            named.append(wx.WheelName(filename=stored.filename, digest=stored.digest))
            kept(position, len(wheels))
        definition = wx.DefineEnvironment(name=name, wheels=named, lock=lock, index=index)
        return self._asking.ask("execution:DefineEnvironment", definition, wx.Environment)
