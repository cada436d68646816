"""Replies that tests of the SDK and the command line let a scripted platform give."""

from __future__ import annotations

from typing import Any, Final

from muniment.wire import data as wd
from muniment.wire import execution as wx


def detail(status: str, **changes: Any) -> wx.RunDetail:
    """A run in some state."""
    fields: dict[str, Any] = {
        "run": "run:1", "kind": "train", "status": status, "experiment": "e", "label": "xgboost",
        "requested_by": "User:ana", "created_at": "2026-11-23T09:00:00.000000Z", "started_at": None, "ended_at": None,
        "attempt": 1, "plan": "sha256:" + "0" * 64, "job": {}, "inputs": {}, "params": {}, "metrics": {"auc": 0.77},
        "products": [], "enforcement": None, "usage": None, "refused": [], "exit_code": None, "error": None,
        "grade": "proven", "log_bytes": 0,
    }  # fmt: skip
    return wx.RunDetail(**{**fields, **changes})


def dataset(name: str) -> wd.DatasetDetail:
    """A snapshot."""
    return wd.DatasetDetail(
        dataset=name, digest="sha256:" + "1" * 64, content_digest="sha256:" + "2" * 64, rows=3, bytes=10, target="y",
        columns=[wd.Column(name="y", type="int64", nullable=False)], created_at="2026-11-23T09:00:00.000000Z",
        created_by="User:ana", run=None, grade="proven", facts={}, findings=[],
    )  # fmt: skip


def product(reference: str, role: str) -> wx.Product:
    """Something a run generated."""
    return wx.Product(reference=reference, kind="data", digest="sha256:" + "3" * 64, role=role)


STARTED: Final = wx.Started(run="run:1", plan="sha256:" + "0" * 64)
