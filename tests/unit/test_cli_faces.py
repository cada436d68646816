"""The command line against a scripted platform: what it asks, what it prints, how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from muniment.cli import muni
from muniment.cli.face import Face
from muniment.errors import Conflict, Denied, IntegrityError, Invalid, NotFound, Unavailable
from muniment.sdk.client import Client
from muniment.testing.transport import ScriptedTransport
from muniment.wire import catalog, data, execution, identity, ledger, rows
from scripted import STARTED, dataset, detail, product

EVIL = "evil\x1b[2J\u202e<b>"


def invoke(script: dict[str, Any], *arguments: str, transport: ScriptedTransport | None = None) -> Result:
    """Run a command line against a script."""
    asked = transport or ScriptedTransport(script)

    def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
        return Client(asked, project=project or "main")

    return CliRunner().invoke(muni, list(arguments), obj=Face(connect=connect))


def document(result: Result) -> Any:
    """The one JSON document on stdout."""
    return json.loads(result.stdout)


PROOF = catalog.AbsenceReply(
    unused=True, verdict="unused", grade="proven", scope="everything", reference="data:c/holdout@1", model="model:m@1",
    checkpoint=catalog.Checkpoint(size=7, root="sha256:" + "0" * 64), entities=3, activities=2,
)  # fmt: skip


def test_a_proof_has_its_fixed_keys() -> None:
    """prove-unused answers with unused, grade, scope, checkpoint and path, and exits 0 either way."""
    result = invoke({"catalog:ProveUnused": PROOF}, "prove-unused", "data:c/holdout", "--in", "m", "--json")
    answer = document(result)
    assert result.exit_code == 0
    assert {"unused", "grade", "scope", "checkpoint", "path"} <= set(answer)
    assert answer["checkpoint"] == {"size": 7, "root": "sha256:" + "0" * 64}


def test_what_an_absence_does_not_cover_stands_above_its_scope() -> None:
    """An answer that something was unused says first what it leaves open, and where to look on."""
    proof = msgspec.structs.replace(
        PROOF,
        reference="data:c/holdout@1",
        unused=True,
        verdict="unused",
        scope="Searched: all. Not covered: other files.",
    )
    lines = invoke({"catalog:ProveUnused": proof}, "prove-unused", "c/holdout", "--in", "m").stdout.splitlines()
    said = [line.split("  ")[1].strip() for line in lines if line.startswith("  ")]
    assert said.index("not covered") < said.index("scope")
    assert "--rows looks" in lines[-1]


def test_a_reproduction_has_its_fixed_key() -> None:
    """Reproduce answers with the verdict."""
    ended = detail("ok", verdict={"verdict": "identical", "rests_on": ["bytes"]})
    result = invoke({"execution:ReproduceModel": STARTED, "execution:ShowRun": ended}, "reproduce", "m", "--json")
    assert document(result)["verdict"] == "identical"


@pytest.mark.parametrize("where", [0, 1, 2])
def test_json_is_taken_before_and_after_the_command(where: int) -> None:
    """--json works at every place of a command line, and stdout is one document."""
    words = ["data", "list"]
    words.insert(where, "--json")
    assert document(invoke({"data:ListDatasets": data.Datasets(datasets=[])}, *words)) == {"datasets": []}


def test_common_options_reach_the_client() -> None:
    """--project after the command is the project that is asked about."""
    transport = ScriptedTransport({"data:ListDatasets": data.Datasets(datasets=[])})
    invoke({}, "data", "list", "--project", "risk", transport=transport)
    assert getattr(transport.asked[0][1], "project", None) == "risk"


@pytest.mark.parametrize(
    ("error", "headline"),
    [
        (Denied("MUNI-G403", "no", policies=["p/1"], because=["a b"], do="ask", entry="412"), "Refused"),
        (NotFound("MUNI-C203", "no"), "Not found"),
        (Conflict("MUNI-C301", "no"), "Conflict"),
        (Invalid("MUNI-C101", "no"), "Invalid"),
        (IntegrityError("MUNI-V501", "no"), "Integrity"),
        (Unavailable("MUNI-S501", "no"), "Unavailable"),
    ],
)
def test_an_error_is_shown_to_people_and_machines(error: Exception, headline: str) -> None:
    """Exit code 1; for people on stderr with headline and code; as JSON on stdout with code, message and facts."""
    plain = invoke({"data:ListDatasets": error}, "data", "list")
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert f"{headline} [{error.code}]" in plain.stderr  # type: ignore[attr-defined]
    machine = invoke({"data:ListDatasets": error}, "data", "list", "--json")
    assert (machine.exit_code, machine.stderr) == (1, "")
    assert document(machine)["code"] == error.code  # type: ignore[attr-defined]
    assert document(machine)["facts"] == error.facts  # type: ignore[attr-defined]


def test_a_refusal_says_what_why_and_what_to_do() -> None:
    """The lines stand in the order of reading: policy, because, facts, do, recorded."""
    error = Denied(
        "MUNI-G403", "ana may not", do="ask ben", principal="ana", policies=["four-eyes/1"], because=["ana made it"],
        entry="412",
    )  # fmt: skip
    lines = invoke({"data:ListDatasets": error}, "data", "list").stderr.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["policy", "because", "principal", "do", "recorded"]
    assert lines[-1].endswith("ledger entry 412")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("data", "add"),
        ("data", "list", "--limit", "many"),
        ("train", "--experiment", "e", "--data", "d", "--algorithm", "a", "--param", "novalue"),
        ("train", "--experiment", "e", "--data", "d"),
        ("train", "xgboost", "--experiment", "e", "--data", "d", "--algorithm", "lightgbm"),
        ("run", "x.py", "--input", "a=1", "--input", "a=2"),
        ("evaluate", "m", "--data", "d", "--threshold", "1.5"),
    ],
)
def test_wrong_usage_exits_2(words: tuple[str, ...]) -> None:
    """Wrong usage is exit code 2 with a hint on stderr, and a document with --json."""
    plain = invoke({}, *words)
    assert plain.exit_code == 2
    assert "Error" in plain.stderr or "Usage" in plain.stderr
    machine = invoke({}, *words, "--json")
    assert machine.exit_code == 2
    assert document(machine)["code"] == "MUNI-A108"


def test_a_defect_is_one_document_too() -> None:
    """Whatever goes wrong, with --json stdout holds one document and no traceback."""
    result = invoke({"data:ListDatasets": ZeroDivisionError("x")}, "data", "list", "--json")
    assert result.exit_code == 1
    assert document(result)["code"] == "MUNI-A500"


def test_parameters_are_json_or_text() -> None:
    """--param takes JSON where it parses, text otherwise; --drop repeats."""
    transport = ScriptedTransport({"execution:TrainModel": STARTED, "execution:ShowRun": detail("ok")})
    result = invoke(
        {}, "train", "--experiment", "e", "--data", "d", "--algorithm", "xgboost", "--param", "eta=0.2",
        "--param", "depth=5", "--param", "name=gb tree", "--param", "cols=[1, 2]", "--param", "flag=true",
        "--param", "eq=a=b", "--param", "big=NaN", "--drop", "ID", "--drop", "x", "--seed", "7", transport=transport,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    request = transport.asked[0][1]
    assert isinstance(request, execution.TrainModel)
    assert request.params == {
        "eta": 0.2, "depth": 5, "name": "gb tree", "cols": [1, 2], "flag": True, "eq": "a=b", "big": "NaN",
    }  # fmt: skip
    assert (request.drop, request.seed) == (["ID", "x"], 7)


def test_the_algorithm_is_named_first_or_by_an_option() -> None:
    """``muni train xgboost`` asks for what ``--algorithm xgboost`` asks for."""
    asked = []
    for words in (["xgboost"], ["--algorithm", "xgboost"], ["xgboost", "--algorithm", "xgboost"]):
        transport = ScriptedTransport({"execution:TrainModel": STARTED})
        invoke({}, "train", *words, "--experiment", "e", "--data", "d", "--detach", transport=transport)
        asked.append(transport.asked[0][1])
    assert asked[0] == asked[1] == asked[2]


@pytest.mark.parametrize(
    ("code", "shown", "silent"),
    [
        ({"entry": "t.py", "commit": "ab" * 20, "clean": True, "author": "Ana", "message": "why"}, "why", "changes"),
        ({"entry": "t.py", "commit": "ab" * 20, "clean": False}, "abababababab, with changes", "message"),
        ({"entry": "t.py", "clean": False}, "none: a snapshot of the files", "changes"),
        ({}, "run:1", "commit"),
    ],
)
def test_a_run_says_which_code_it_ran(code: dict[str, Any], shown: str, silent: str) -> None:
    """A script's run shows commit, author and message, or that there is no commit; other runs have no such part."""
    text = invoke({"execution:ShowRun": detail("ok", code=code)}, "runs", "show", "run:1").stdout
    assert shown in text
    assert silent not in text


def test_a_reproduction_that_cannot_be_scored_has_a_verdict_all_the_same() -> None:
    """Other bytes that no program opens are different; why they were not scored stands beside the verdict."""
    other = detail(
        "ok", kind="reproduce", verdict={"verdict": "different", "expected": "model:m@1", "made": "sha256:1"}
    )

    def shown(request: execution.ShowRun) -> execution.RunDetail:
        if request.run == "run:1":
            return other
        raise IntegrityError("MUNI-D535", "the model file does not open")

    script = {
        "execution:ReproduceModel": STARTED,
        "execution:CompareModels": execution.Started(run="run:2", plan="sha256:0"),
        "execution:ShowRun": shown,
    }
    answer = invoke(script, "reproduce", "m")
    assert answer.exit_code == 0
    assert "m: different" in answer.stdout
    assert "does not open [MUNI-D535]" in answer.stdout


def test_all_columns_but_some_are_compared_as_keys() -> None:
    """``--without`` asks for the other columns of the snapshot; a stranger, or nothing left, is refused."""
    shown = dataset("data:x@1")
    script = {
        "data:ShowDataset": msgspec.structs.replace(
            shown, columns=[data.Column(name=name, type="int64", nullable=False) for name in "abc"]
        ),
        "data:CompareRows": rows.RowsAsked(run="run:1"),
        "execution:ShowRun": detail("ok"),
    }
    transport = ScriptedTransport(script)
    invoke({}, "data", "overlap", "x", "y", "--without", "b", transport=transport)
    assert next(request for _, request in transport.asked if isinstance(request, rows.CompareRows)).keys == ["a", "c"]
    for words, code in ((("d",), "MUNI-A131"), (("a,b,c",), "MUNI-A132")):
        refused = invoke(script, "data", "overlap", "x", "y", "--without", *words, "--json")
        assert document(refused)["code"] == code
    assert invoke(script, "data", "overlap", "x", "y", "--without", "a", "--keys", "b").exit_code == 2


def test_a_failed_job_exits_1_with_its_own_error() -> None:
    """The job's error document is what comes out, with the run it came from."""
    failed = detail("failed", error={"code": "MUNI-D159", "message": "no column", "facts": {"target": "y"}})
    script = {"execution:TrainModel": STARTED, "execution:ShowRun": failed}
    words = ("train", "--experiment", "e", "--data", "d", "--algorithm", "a")
    result = invoke(script, *words, "--json")
    assert result.exit_code == 1
    assert document(result)["code"] == "MUNI-D159"
    assert document(result)["facts"]["run"] == "run:1"
    assert "MUNI-D159" in invoke(script, *words).stderr


def test_detached_jobs_return_at_once() -> None:
    """--detach answers with the run and does not wait for its end."""
    transport = ScriptedTransport({"execution:TrainModel": STARTED, "execution:ShowRun": detail("queued")})
    words = ("train", "--experiment", "e", "--data", "d", "--algorithm", "a", "--detach", "--json")
    assert document(invoke({}, *words, transport=transport)) == {"run": "run:1", "status": "queued", "answered": False}
    assert len(transport.asked) == 2


def test_an_interrupted_wait_says_how_to_come_back() -> None:
    """Ctrl-C leaves the run as it is, names the way back, and exits 130."""
    looks = iter([detail("queued"), KeyboardInterrupt()])

    def look(request: object) -> Any:
        found = next(looks)
        if isinstance(found, BaseException):
            raise found
        return found

    script = {"execution:TrainModel": STARTED, "execution:ShowRun": look}
    result = invoke(script, "train", "--experiment", "e", "--data", "d", "--algorithm", "a")
    assert result.exit_code == 130
    assert "muni runs watch run:1" in result.stderr
    assert "muni runs cancel run:1" in result.stderr


def test_nothing_from_outside_controls_the_terminal() -> None:
    """Names, labels and logs show their control characters instead of sending them."""
    row = data.DatasetSummary(
        dataset="data:c@1", digest="sha256:" + "0" * 64, rows=1, columns=1, bytes=1, target=EVIL, versions=1,
        created_at="2026-11-23T09:00:00Z",
    )  # fmt: skip
    log = [
        execution.LogPart(text=EVIL, next_offset=9, status="ok"),
        execution.LogPart(text="", next_offset=9, status="ok"),
    ]
    for result in (
        invoke({"data:ListDatasets": data.Datasets(datasets=[row])}, "data", "list"),
        invoke({"data:ShowDataset": dataset(f"data:{EVIL}@1")}, "data", "show", "c"),
        invoke({"execution:ShowRun": detail("ok", label=EVIL, params={EVIL: EVIL})}, "runs", "show", "run:1"),
        invoke({"execution:ShowRun": detail("ok"), "execution:GetLog": log}, "runs", "logs", "run:1"),
        invoke({"data:ListDatasets": NotFound("MUNI-C203", EVIL, **{"given": EVIL})}, "data", "list"),
        invoke({"data:ListDatasets": data.Datasets(datasets=[row])}, "data", "list", "--json"),
    ):
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output


def test_no_colour_where_no_terminal_is() -> None:
    """Output that is not a terminal has no escape sequences at all."""
    assert "\x1b" not in invoke({"execution:ShowRun": detail("ok")}, "runs", "show", "run:1").output


def test_lists_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 60 columns no line is longer, names stay whole, and spare columns go."""
    monkeypatch.setenv("COLUMNS", "60")
    summary = execution.RunSummary(
        run="run:01m83e3sshw8mzadk5dkc830p7", kind="train", status="ok", experiment="CreditCardDefault",
        label="logistic_regression", requested_by="User:ana", created_at="2026-11-23T09:00:00Z",
        products=["model:creditcarddefault-logistic-regression@12"],
    )  # fmt: skip
    result = invoke({"execution:ListRuns": execution.Runs(runs=[summary] * 3)}, "runs", "list")
    assert all(len(line) <= 60 for line in result.stdout.splitlines())
    assert result.stdout.count("run:01m83e3sshw8mzadk5dkc830p7") == 3
    assert "experiment" not in result.stdout


def test_grades_are_always_printed() -> None:
    """Data sets, runs and lineages say how far they can be trusted."""
    view = catalog.LineageView(
        reference="model:m@1", direction="upstream", grade="declared",
        nodes=[catalog.LineageNode(id="a", label="model:m@1", type="entity", kind="model", depth=0)], edges=[],
    )  # fmt: skip
    assert "proven" in invoke({"data:ShowDataset": dataset("data:c@1")}, "data", "show", "c").stdout
    assert "proven" in invoke({"execution:ShowRun": detail("ok")}, "runs", "show", "run:1").stdout
    assert "declared" in invoke({"catalog:GetLineage": view}, "lineage", "model:m").stdout


def test_a_lineage_is_a_tree_that_unfolds_each_node_once() -> None:
    """A thing used twice is unfolded once and marked the second time."""
    kinds = {"m": "entity", "run:r": "activity", "d": "entity", "s": "activity"}
    nodes = [
        catalog.LineageNode(id=name, label=name, type=kind, kind=kind, depth=depth)
        for depth, (name, kind) in enumerate(kinds.items())
    ]
    links = [("m", "run:r"), ("run:r", "d"), ("d", "s"), ("m", "s")]
    edges = [catalog.LineageEdge(source=a, target=b, relation="used", role="", grade="proven") for a, b in links]
    view = catalog.LineageView(reference="m", direction="upstream", grade="proven", nodes=nodes, edges=edges)
    lines = invoke({"catalog:GetLineage": view}, "lineage", "m").stdout.splitlines()
    width = lines[0].index("link")
    assert [line[:width].rstrip() for line in lines[1:6]] == [
        "m", "  run:r activity", "    d", "      s", "  s (see above)",
    ]  # fmt: skip


def test_a_picture_is_written_to_a_file(tmp_path: Path) -> None:
    """Lineage -o writes the picture, asked for as such."""
    view = catalog.LineageView(reference="m", direction="upstream", grade="proven", nodes=[], edges=[], svg="<svg/>")
    transport = ScriptedTransport({"catalog:GetLineage": view})
    target = tmp_path / "origin.svg"
    assert invoke({}, "lineage", "m", "-o", str(target), transport=transport).exit_code == 0
    assert target.read_text() == "<svg/>"
    assert getattr(transport.asked[0][1], "picture", None) is True


def test_a_download_is_whole_or_not_there(tmp_path: Path) -> None:
    """An export never overwrites a file, and leaves no half file behind."""
    target = tmp_path / "ledger.tar"
    assert invoke({"ledger:ExportLedger": b"tar"}, "audit", "export", "-o", str(target)).exit_code == 0
    assert target.read_bytes() == b"tar"
    assert invoke({"ledger:ExportLedger": b"other"}, "audit", "export", "-o", str(target)).exit_code == 1
    assert target.read_bytes() == b"tar"
    assert list(tmp_path.iterdir()) == [target]


def test_an_altered_ledger_exits_1() -> None:
    """Audit verify exits 1 as soon as anything is not as it was signed."""
    report = ledger.LedgerReport(
        ok=False, entries=9, waiting=0, first=4, checked=[], not_checked=[],
        findings=[ledger.LedgerFinding(index=4, what="altered")],
    )  # fmt: skip
    result = invoke({"ledger:VerifyLedger": report}, "audit", "verify", "--json")
    assert result.exit_code == 1
    assert document(result)["facts"]["findings"] == ["entry 4: altered"]


def test_a_token_is_printed_once_and_alone() -> None:
    """Token issue prints nothing but the token on stdout, so that it can be piped; the rest goes to stderr."""
    made = identity.IssuedToken(id="t1", owner="ana", token="mun_secret", expires_at="2026-12-23T09:00:00Z")
    result = invoke({"identity:IssueToken": made}, "token", "issue")
    assert result.stdout == "mun_secret\n"
    assert "mun_secret" not in result.stderr


def test_a_token_can_be_kept_as_a_profile(tmp_path: Path) -> None:
    """Token issue --save writes a private profile and prints no token."""
    made = identity.IssuedToken(id="t1", owner="ana", token="mun_secret", expires_at="2026-12-23T09:00:00Z")
    home = str(tmp_path)
    result = invoke({"identity:IssueTokenFor": made}, "token", "issue", "--for", "ana", "--save", "ana", "--home", home)
    assert result.exit_code == 0
    assert "mun_secret" not in result.output
    file = tmp_path / "profiles" / "ana.json"
    assert json.loads(file.read_text())["token"] == "mun_secret"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_split_is_shown_with_its_proof() -> None:
    """Data split prints the parts in the order asked for, then what proves them disjoint and complete."""
    proved = {"disjoint": True, "complete": True, "rows": 3}
    split_part = dataset("data:c/train@1")
    made = data.DatasetDetail(
        **{name: getattr(split_part, name) for name in split_part.__struct_fields__ if name != "proof"}, proof=proved
    )
    products = [product("data:c/test@1", "test"), product("data:c/train@1", "train")]
    script = {
        "data:SplitDataset": STARTED,
        "execution:ShowRun": detail("ok", products=products),
        "data:ShowDataset": made,
    }
    words = ("data", "split", "c", "--part", "train=0.7", "--part", "test=0.3")
    answer = document(invoke(script, *words, "--json"))
    assert list(answer["parts"]) == ["train", "test"]
    assert answer["proof"] == proved
    text = invoke(script, *words).stdout
    assert "disjoint" in text
    assert "complete" in text
    assert invoke(script, "data", "split", "c", "--part", "a=half").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    """Each shell gets a script that calls muni."""
    result = invoke({}, "completion", shell)
    assert result.exit_code == 0, result.output
    assert "_MUNI_COMPLETE" in result.stdout


def test_completion_knows_the_references() -> None:
    """A data set, a run and anything else complete to what the platform knows, and to nothing when it is silent."""

    def completed(script: dict[str, Any], *words: str) -> list[str]:
        face = Face(connect=lambda *_, **__: Client(ScriptedTransport(script), project="main"))
        completing = ShellComplete(muni, {"obj": face}, "muni", "_MUNI_COMPLETE")
        return [item.value for item in completing.get_completions(list(words[:-1]), words[-1])]

    one = catalog.EntitySummary(
        reference="data:credit/train@3", digest="sha256:" + "0" * 64, kind="data", grade="proven", author="User:ana",
        recorded_at="2026-11-23T09:00:00Z",
    )  # fmt: skip
    entities = {"catalog:ListEntities": catalog.Entities(entities=[one])}
    assert completed(entities, "data", "show", "cr") == ["credit/train@3"]
    assert completed(entities, "data", "show", "x") == []
    assert completed(entities, "lineage", "data:") == ["data:credit/train@3"]
    assert completed(entities, "lineage", "cred") == ["credit/train@3"]
    crowded = {"catalog:ListEntities": lambda asked: catalog.Entities(entities=[one] if asked.kind == "data" else [])}
    assert completed(crowded, "prove-unused", "cred") == ["credit/train@3"], "not crowded out by what has no name"
    assert completed({}, "data", "show", "cr") == []
    assert completed({}, "data", "sh") == ["show"]
    environment = execution.Environment(
        name="tabular", version=2, digest="sha256:" + "0" * 64, python="3.11", wheels=[], created_at="", ready=True
    )
    environments = {"execution:ListEnvironments": execution.Environments(environments=[environment])}
    assert completed(environments, "env", "sbom", "ta") == ["tabular@2"]
    assert completed({}, "env", "sbom", "ta") == []
    assert completed({}, "tune", "x") == ["xgboost"]
    assert completed({}, "tune", "run", "l") == ["lightgbm", "logistic_regression"]


def test_help_of_a_group_cuts_no_sentence() -> None:
    """What a command does stands there whole, also on a narrow terminal."""
    text = invoke({}, "data", "--help").stdout
    assert "Count the rows that snapshots A and B share, whatever their file formats, row order and column" in " ".join(
        text.split()
    )
    assert "..." not in text.partition("Commands:")[2]


def test_what_fails_at_closing_is_the_one_document() -> None:
    """Closing signs the ledger: where it finds that history does not verify, no answer is printed before that."""
    asked = ScriptedTransport({"data:ListDatasets": data.Datasets(datasets=[])})

    def fail() -> None:
        raise IntegrityError("MUNI-L504", "the database was set back")

    def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
        return Client(asked, project="main", close=fail)

    result = CliRunner().invoke(muni, ["data", "list", "--json"], obj=Face(connect=connect))
    assert (result.exit_code, document(result)["code"]) == (1, "MUNI-L504")
