"""The client asks the right verbs with the right words, and waits without asking too often."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from muniment.errors import Invalid, MunimentError, NotFound
from muniment.sdk.client import Client
from muniment.sdk.datasets import Parts
from muniment.sdk.progress import quiet
from muniment.sdk.runs import Run
from muniment.testing.transport import ScriptedTransport
from muniment.wire import data as wd
from muniment.wire import execution as wx
from scripted import STARTED, dataset, detail, product


def test_training_waits_and_gives_the_run() -> None:
    """A training is asked for once, looked at until it ends, and the run is what comes back."""
    transport = ScriptedTransport(
        {"execution:TrainModel": STARTED, "execution:ShowRun": [detail("queued"), detail("running"), detail("ok")]}
    )
    seen: list[str] = []
    run = Client(transport, project="main").train(
        "xgboost", "data:credit/train", experiment="e", params={"eta": 0.1}, watch=lambda run: seen.append(run.status)
    )
    assert run.status == "ok"
    assert seen == ["running", "ok"]
    request = transport.asked[0][1]
    assert isinstance(request, wx.TrainModel)
    assert (request.project, request.data, request.params) == ("main", "data:credit/train", {"eta": 0.1})


def test_an_ended_run_is_not_asked_for_again() -> None:
    """Every look is a ledger entry, so a run that has ended is looked at no more."""
    transport = ScriptedTransport({"execution:ShowRun": detail("ok")})
    run = Run(Client(transport, project="main"), "run:1")
    run.wait(quiet)
    assert (run.status, run.metrics(), run.ended) == ("ok", {"auc": 0.77}, True)
    assert len(transport.asked) == 1


def test_a_worker_in_this_process_does_the_work() -> None:
    """Without a server the client lets the worker run, and shows the run meanwhile."""
    transport = ScriptedTransport({"execution:ShowRun": [detail("queued"), detail("running"), detail("ok")]})
    worked: list[str] = []

    def worker(run: str, tick: Callable[[], None]) -> None:
        worked.append(run)
        tick()

    client = Client(transport, project="main", worker=worker)
    Run(client, "run:1").wait(quiet)
    assert worked == ["run:1"]


def test_a_failed_run_raises_its_own_error() -> None:
    """What a job says about its failure is what the caller gets, with the run it came from."""
    error = {"code": "MUNI-D159", "message": "no such column", "facts": {"target": "y"}}
    transport = ScriptedTransport({"execution:TrainModel": STARTED, "execution:ShowRun": detail("failed", error=error)})
    with pytest.raises(Invalid) as caught:
        Client(transport, project="main").train("xgboost", "d", experiment="e", watch=quiet)
    assert caught.value.code == "MUNI-D159"
    assert caught.value.facts == {"target": "y", "run": "run:1", "status": "failed"}


@pytest.mark.parametrize("status", ["timeout", "oom", "limit", "cancelled", "refused", "lost"])
def test_every_bad_end_is_an_error(status: str) -> None:
    """A run that did not end well never passes for one that did, also when it left no error."""
    client = Client(ScriptedTransport({"execution:ShowRun": detail(status)}), project="main")
    with pytest.raises(MunimentError, match=status):
        Run(client, "run:1").wait(quiet).checked()


def test_a_split_gives_its_parts_in_the_order_asked_for() -> None:
    """Parts are found by name, as items and as attributes, and the proof is no part."""
    products = [product("data:c/b@1", "b"), product("data:c/a@1", "a"), product("sha256:" + "4" * 64, "proof")]
    transport = ScriptedTransport(
        {
            "data:ShowDataset": lambda request: dataset(request.dataset),
            "data:SplitDataset": STARTED,
            "execution:ShowRun": detail("ok", products=products),
        }
    )
    parts = Client(transport, project="main").data.get("data:c@1").split(a=0.5, b=0.5, seed=7, watch=quiet)
    assert list(parts) == ["a", "b"]
    assert parts.a.reference == parts["a"].reference == "data:c/a@1"
    asked = next(request for action, request in transport.asked if action == "data:SplitDataset")
    assert isinstance(asked, wd.SplitDataset)
    assert (asked.parts, asked.seed, asked.stratify) == ({"a": 0.5, "b": 0.5}, 7, None)
    with pytest.raises(AttributeError, match="there are a, b"):
        _ = parts.c
    assert isinstance(parts, Parts)


def test_adding_a_file_sends_its_bytes_and_its_last_name_only(tmp_path: Path) -> None:
    """The bytes of the file come along; where it lies on the caller's machine stays there."""
    file = tmp_path / "private folder" / "credit.csv"
    file.parent.mkdir()
    file.write_bytes(b"y\n1\n")
    transport = ScriptedTransport(
        {
            "data:AddDataset": STARTED,
            "execution:ShowRun": detail("ok", products=[product("data:credit@1", "snapshot")]),
            "data:ShowDataset": dataset("data:credit@1"),
        }
    )
    added = Client(transport, project="main").data.add("credit", file, target="y", watch=quiet)
    assert added.reference == "data:credit@1"
    request = transport.asked[0][1]
    assert isinstance(request, wd.AddDataset)
    assert (request.filename, transport.bodies) == ("credit.csv", [b"y\n1\n"])


def test_a_file_name_that_is_no_text_can_be_sent(tmp_path: Path) -> None:
    """File systems know names that are no UTF-8; the data in such a file are as good as any."""
    file = tmp_path / os.fsdecode(b"gr\xfcn.csv")
    file.write_bytes(b"a\n1\n")
    made = detail("ok", products=[product("data:c@1", "snapshot")])
    script = {"data:AddDataset": STARTED, "execution:ShowRun": made, "data:ShowDataset": dataset("data:c@1")}
    transport = ScriptedTransport(script)
    Client(transport, project="main").data.add("c", file, watch=quiet)
    assert getattr(transport.asked[0][1], "filename") == "gr?n.csv"  # noqa: B009


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Nothing is asked of the platform when the file is missing or a folder."""
    transport = ScriptedTransport({})
    client = Client(transport, project="main")
    with pytest.raises(NotFound, match="nowhere"):
        client.data.add("credit", tmp_path / "nowhere.csv")
    with pytest.raises(Invalid, match="regular file"):
        client.data.add("credit", tmp_path)
    assert transport.asked == []


def test_a_log_is_read_piece_by_piece() -> None:
    """A log is asked for from where the last piece ended, until there is no more."""
    parts = [
        wx.LogPart(text="one\n", next_offset=4, status="ok"),
        wx.LogPart(text="two\n", next_offset=8, status="ok"),
        wx.LogPart(text="", next_offset=8, status="ok"),
    ]
    transport = ScriptedTransport({"execution:GetLog": parts})
    assert Run(Client(transport, project="main"), "run:1").log() == "one\ntwo\n"
    assert [getattr(request, "offset") for _, request in transport.asked] == [0, 4, 8]  # noqa: B009


def test_a_run_without_a_model_says_so() -> None:
    """Asking for what a run did not generate is an error that names the run."""
    run = Run(Client(ScriptedTransport({"execution:ShowRun": detail("failed")}), project="main"), "run:1")
    with pytest.raises(NotFound, match="generated no model"):
        _ = run.model


def test_values_print_well() -> None:
    """A run prints its status, metrics and grade; nothing else is needed to read it."""
    text = repr(Run(Client(ScriptedTransport({"execution:ShowRun": detail("ok")}), project="main"), "run:1"))
    assert "run:1  train xgboost  ok" in text
    assert "auc = 0.7700" in text
    assert "grade proven" in text
