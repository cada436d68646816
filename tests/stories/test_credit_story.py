"""The founding example as a user plays it: one command, then the questions a stranger asks of what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

MUNI = Path(sysconfig.get_path("scripts")) / "muni"


@dataclass(frozen=True)
class Told:
    """A home in which the story was told."""

    home: Path
    answer: dict[str, Any]

    def muni(self, *arguments: str, profile: str = "scientist") -> tuple[int, dict[str, Any]]:
        """A command as a person would type it, with ``--json``: exit code and document."""
        return muni(self.home, "--profile", profile, *arguments)


def muni(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command in a home; its one JSON document and its exit code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUNI")}
    environment |= {"MUNIMENT_HOME": str(home), "XDG_CONFIG_HOME": str(home.parent / "config")}
    if "MUNIMENT_CACHE" in os.environ:
        environment["MUNIMENT_CACHE"] = os.environ["MUNIMENT_CACHE"]
    done = subprocess.run(
        [MUNI, "--json", *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, shared_data: Path | None) -> Iterator[Told]:
    """The story, told once: on the real file where it lies, on generated data otherwise."""
    home = tmp_path_factory.mktemp("story") / "home"
    real = shared_data / "credit_default" / "UCI_Credit_Card.csv.gz" if shared_data else None
    code, answer = muni(home, "demo", *(["--data", str(real)] if real else []))
    assert code == 0, answer
    assert answer["generated"] is (real is None)
    return Told(home, answer)


def test_the_story_holds_and_says_what_it_came_to(told: Told) -> None:
    """Every promised key is there; the best model is good; it was reproduced to the byte; each cheat was refused."""
    answer = told.answer
    assert answer["metrics"]["auc"] >= 0.77
    assert answer["verdict"] == "identical-bytes"
    assert (answer["unused"], answer["grade"]) == (True, "proven")
    assert answer["model_digest"].startswith("sha256:")
    assert answer["checkpoint"]["size"] > 100
    assert answer["checkpoint"]["root"].startswith("sha256:")
    assert answer["state"] == "approved"
    assert len(answer["refused"]) == 11
    unrecorded = [refused["what"] for refused in answer["refused"] if not refused["recorded"]]
    assert unrecorded == ["a pack with one flipped bit"], "what happens on the stranger's machine is not ours to record"


def test_the_author_was_refused_by_four_eyes(told: Told) -> None:
    """Made an approver by an administrator, the author is refused by the core policy, which says what he did."""
    refused = next(one for one in told.answer["refused"] if "approves his own model" in one["what"])
    assert refused["code"] == "MUNI-G403"
    assert "core/four-eyes" in refused["why"]
    assert "scientist trained run:" in refused["why"]


def test_the_pack_verifies_and_a_changed_one_does_not(told: Told, tmp_path: Path) -> None:
    """``muni verify`` takes the pack under the ledger's key, needs no home for it, and refuses one that was changed."""
    pack = Path(told.answer["pack"])
    assert pack.stat().st_size < 5_000_000
    code, found = muni(tmp_path / "nowhere", "verify", str(pack), "--key", told.answer["key"])
    assert (code, found["ok"]) == (0, True), found
    changed = bytearray(pack.read_bytes())
    changed[-1000] ^= 1
    (tmp_path / "changed.zip").write_bytes(changed)
    code, found = muni(tmp_path / "nowhere", "verify", str(tmp_path / "changed.zip"), "--key", told.answer["key"])
    assert code == 1
    (tmp_path / "letter.txt").write_text("no pack")
    assert muni(tmp_path / "nowhere", "verify", str(tmp_path / "letter.txt"))[0] == 2


def test_an_approved_model_stands_on_the_board(told: Told) -> None:
    """The board counts it in its tier, the gate is open, and it may be used."""
    code, board = told.muni("board", profile="auditor")
    assert code == 0, board
    assert {"tier": 1, "state": "approved", "versions": 1}.items() <= board["cells"][0].items()
    code, gate = told.muni("gate", "check", told.answer["model"])
    assert (code, gate["open"]) == (0, True)


def test_the_split_is_proven_and_the_holdout_was_not_used(told: Told) -> None:
    """Disjoint and complete by the record; the holdout unused, the training part used, both at a checkpoint."""
    code, holdout = told.muni("data", "show", "credit/holdout")
    assert code == 0
    assert (holdout["proof"]["disjoint"], holdout["proof"]["complete"], holdout["rows"]) == (True, True, 6000)
    code, proof = told.muni("prove-unused", "data:credit/holdout", "--in", told.answer["model"], profile="auditor")
    assert code == 0, proof
    assert (proof["unused"], proof["grade"], proof["path"]) == (True, "proven", [])
    assert proof["checkpoint"]["size"] >= told.answer["checkpoint"]["size"]
    code, proof = told.muni("prove-unused", "data:credit/train", "--in", told.answer["model"])
    assert (code, proof["unused"]) == (0, False)
    assert proof["path"]


def test_the_lineage_goes_back_to_file_code_and_environment(told: Told) -> None:
    """Upstream of the model stand the raw file, the programs, the environment and the base root, by proven edges."""
    code, lineage = told.muni("lineage", told.answer["model"], "--upstream")
    assert code == 0
    kinds = {node["kind"] for node in lineage["nodes"] if node["type"] == "entity"}
    assert {"file", "data", "code", "env", "base", "model"} <= kinds
    assert {edge["grade"] for edge in lineage["edges"]} == {"proven"}


def test_another_person_reproduces_the_model_and_the_verdict_is_json(told: Told) -> None:
    """``reproduce`` as the validator answers with a verdict, and makes no second version of the model."""
    code, verdict = told.muni("reproduce", told.answer["model"], profile="validator")
    assert code == 0, verdict
    assert verdict["verdict"] == "identical-bytes"
    code, models = told.muni("model", "list")
    assert sorted(model["model"].rpartition("@")[2] for model in models["models"]) == ["1", "1", "1"]


def test_refusals_are_documents_with_exit_code_one_and_usage_with_two(told: Told) -> None:
    """A scientist reads no ledger; what does not exist is named; wrong usage is not a refusal."""
    code, refused = told.muni("audit", "tail")
    assert (code, refused["code"]) == (1, "MUNI-G403")
    assert set(refused) >= {"code", "message", "facts"}
    code, missing = told.muni("data", "show", "data:nothing")
    assert (code, missing["code"]) == (1, "MUNI-C203")
    code, usage = told.muni("data", "show")
    assert code == 2, usage
    code, entries = told.muni("audit", "search", "--outcome", "denied", profile="auditor")
    assert code == 0
    assert any(refused["facts"]["entry"] == entry["id"] for entry in entries["entries"])


def test_keys_rotate_and_everything_still_opens(told: Told) -> None:
    """After a rotation every sealed object opens, no stored byte has changed, and the ledger verifies."""
    blobs = {path: path.stat().st_mtime_ns for path in (told.home / "objects").rglob("*") if path.is_file()}
    code, rotated = told.muni("key", "rotate", profile="admin")
    assert code == 0, rotated
    assert {path: path.stat().st_mtime_ns for path in blobs} == blobs
    code, checked = told.muni("fsck", profile="operator")
    assert (code, checked["sound"]) == (0, True), checked
    code, report = told.muni("audit", "verify", profile="auditor")
    assert (code, report["ok"]) == (0, True)


def test_nothing_of_the_file_lies_in_clear_under_the_home(told: Told) -> None:
    """No file of the home holds the header of the credit file or the magic of a Parquet file."""
    for path in told.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"LIMIT_BAL,SEX,EDUCATION" not in content, path
            assert not content.startswith(b"PAR1"), path


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "data",
        "train",
        "run",
        "runs",
        "lineage",
        "prove-unused",
        "reproduce",
        "model",
        "gate",
        "evidence",
        "verify",
    ],
)
def test_every_command_explains_itself(name: str, tmp_path: Path) -> None:
    """``--help`` works without a home and names the common options."""
    done = subprocess.run([MUNI, name, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "--json" in done.stdout
