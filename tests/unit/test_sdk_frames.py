"""Every list and every answer becomes a real data frame, also when it is empty."""

from __future__ import annotations

import sys
from typing import Any

import polars
import pytest

from muniment.errors import Invalid
from muniment.sdk.client import Client
from muniment.sdk.datasets import Parts
from muniment.sdk.frames import to_frame
from muniment.sdk.lineage import Lineage, Proof
from muniment.testing.transport import ScriptedTransport
from muniment.wire import catalog as wc
from muniment.wire import data as wd
from muniment.wire import execution as wx
from muniment.wire import inventory as wi
from muniment.wire import ledger as wl
from scripted import dataset, detail

AT = "2026-11-23T09:00:00.000000Z"


@pytest.fixture(autouse=True)
def _polars_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandas is out of reach where it happens to be installed, so that each machine tests the same."""
    monkeypatch.setitem(sys.modules, "pandas", None)


def asked(**script: Any) -> Client:
    """A client whose platform gives these answers by the verb's last part."""
    rooms = {"Runs": "execution", "Entries": "ledger", "Datasets": "data", "Dataset": "data", "Models": "inventory"}
    return Client(
        ScriptedTransport({f"{next(r for n, r in rooms.items() if v.endswith(n))}:{v}": a for v, a in script.items()}),
        project="main",
    )


def summary(run: str, **changes: Any) -> wx.RunSummary:
    """A run in a list."""
    fields: dict[str, Any] = {
        "run": run, "kind": "train", "status": "ok", "experiment": "e", "label": "xgboost", "requested_by": "User:ana",
        "created_at": AT, "started_at": AT, "ended_at": "2026-11-23T09:00:02.500000Z", "grade": "proven",
    }  # fmt: skip
    return wx.RunSummary(**{**fields, **changes})


def test_runs_become_rows_with_parameters_inputs_metrics_model_and_grade() -> None:
    """One row per run; what one run has and another has not is empty there; spans are seconds."""
    one = summary(
        "run:1", inputs={"train": "data:c/train@1"}, params={"max_depth": 5, "drop": ["id"]}, metrics={"auc": 0.77},
        products=["model:m@1", "sha256:" + "1" * 64],
    )  # fmt: skip
    two = summary("run:2", status="failed", params={"max_depth": "deep"}, grade="declared")
    frame = asked(ListRuns=wx.Runs(runs=[one, two])).runs().to_frame()
    assert isinstance(frame, polars.DataFrame)
    assert frame["run"].to_list() == ["run:1", "run:2"]
    assert frame["took_s"].to_list() == [2.5, 2.5]
    assert frame["model"].to_list() == ["model:m@1", None]
    assert frame["input.train"].to_list() == ["data:c/train@1", None]
    assert frame["param.max_depth"].to_list() == ["5", "deep"]
    assert frame["param.drop"].to_list() == ['["id"]', None]
    assert frame["auc"].to_list() == [0.77, None]
    assert frame["grade"].to_list() == ["proven", "declared"]


def test_the_metrics_of_a_run_become_rows() -> None:
    """A run's metrics are a frame of names and numbers."""
    client = Client(ScriptedTransport({"execution:ShowRun": detail("ok", metrics={"auc": 0.77, "n": 3})}), project="p")
    assert client.run("run:1").to_frame().rows() == [("auc", 0.77), ("n", 3.0)]


def test_a_lineage_becomes_links() -> None:
    """One row per link in reading order, with its level and grade."""
    nodes = [
        wc.LineageNode(id="sha256:m", label="model:m@1", type="entity", kind="model", depth=0),
        wc.LineageNode(id="run:1", label="train", type="activity", kind="train", depth=1, agent="User:ana", at=AT),
    ]
    edge = wc.LineageEdge(source="sha256:m", target="run:1", relation="was_generated_by", role="model", grade="proven")
    view = wc.LineageView(reference="model:m@1", direction="upstream", grade="proven", nodes=nodes, edges=[edge])
    frame = Lineage(view).to_frame()
    assert frame.select("level", "node", "relation", "grade").rows() == [
        (0, "model:m@1", "", ""),
        (1, "run:1", "was_generated_by", "proven"),
    ]


def test_data_sets_their_columns_and_parts_become_rows() -> None:
    """A list of data sets, the columns of one, and the parts of a split are frames; rows of data never are."""
    row = wd.DatasetSummary(
        dataset="data:c@1", digest="sha256:1", rows=3, columns=1, bytes=10, target=None, created_at=AT, versions=1
    )
    client = asked(ListDatasets=wd.Datasets(datasets=[row]), ShowDataset=dataset("data:c@1"))
    listed = client.data.list().to_frame()
    assert listed.select("dataset", "rows", "target").rows() == [("data:c@1", 3, None)]
    one = client.data.get("c")
    assert one.to_frame().rows() == [("y", "int64", False)]
    assert Parts({"train": one}).to_frame().select("part", "reference", "rows").rows() == [("train", "data:c@1", 3)]


def test_models_become_rows() -> None:
    """A list of models has a column per metric."""
    row = wi.ModelSummary(
        model="model:m@1", digest="sha256:1", algorithm="xgboost", run=None, grade="proven", created_at=AT,
        metrics={"auc": 0.7},
    )  # fmt: skip
    frame = asked(ListModels=wi.Models(models=[row])).models.list().to_frame()
    assert frame.select("model", "auc").rows() == [("model:m@1", 0.7)]


def test_ledger_entries_become_rows() -> None:
    """An entry that is not numbered yet has an empty number."""
    entries = [
        wl.LedgerEntry(
            index=index, id=str(index), time=AT, type="runs.listed", subject="main", principal="User:ana",
            project="main", outcome="ok", data={}, line="",
        )
        for index in (None, 7)
    ]  # fmt: skip
    frame = asked(TailEntries=wl.LedgerEntries(entries=entries)).audit.tail().to_frame()
    assert frame["entry"].to_list() == [None, 7]
    assert frame.columns == ["entry", "time", "type", "principal", "project", "subject", "outcome"]


def test_a_comparison_becomes_rows() -> None:
    """One row per aspect, one column per run; words and numbers stand in one column as words."""
    rows = [
        wx.ComparisonRow(section="parameter", name="eta", values=[None, 0.2], differs=True),
        wx.ComparisonRow(section="run", name="label", values=["logistic", "xgboost"], differs=True),
    ]
    client = asked(CompareRuns=wx.Comparison(runs=["run:1", "run:2"], rows=rows))
    assert client.compare("run:1", "run:2").to_frame().rows() == [
        ("parameter", "eta", None, "0.2"),
        ("run", "label", "logistic", "xgboost"),
    ]


def test_a_proof_becomes_the_way_it_shows() -> None:
    """The steps of the way are rows, and the verdict is part of what is printed."""
    step = wc.ProofStep(
        relation="was_generated_by", source="s", source_label="model:m@1", target="t", target_label="run:1",
        role="model", grade="proven",
    )  # fmt: skip
    reply = wc.AbsenceReply(
        unused=True, verdict="unused-object", grade="declared", scope="", reference="data:c@1", model="model:m@1",
        checkpoint=wc.Checkpoint(size=1, root="r"), entities=2, activities=1, path=[step],
    )  # fmt: skip
    proof = Proof(reply)
    assert proof.to_frame().rows() == [("model:m@1", "was generated by", "model", "run:1", "proven")]
    assert (proof.unused, proof.verdict) == (True, "unused-object")
    assert "verdict='unused-object'" in repr(proof)
    assert "unused-object" in proof._repr_html_()
    assert "rows of it may have come another way" in proof._repr_html_()


def test_an_empty_list_is_a_frame_with_its_columns() -> None:
    """A program that reads a column need not ask first whether there are rows."""
    client = asked(
        ListRuns=wx.Runs(runs=[]), ListDatasets=wd.Datasets(datasets=[]), ListModels=wi.Models(models=[]),
        TailEntries=wl.LedgerEntries(entries=[]),
    )  # fmt: skip
    for empty, column in (
        (client.runs(), "status"),
        (client.data.list(), "dataset"),
        (client.models.list(), "model"),
        (client.audit.tail(), "outcome"),
    ):
        assert empty.to_frame()[column].to_list() == []


def test_frames_need_a_library_and_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas and polars a data frame is refused with advice; the SDK itself needs neither."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(Invalid, match="pandas or polars"):
        to_frame([{"a": 1}])
