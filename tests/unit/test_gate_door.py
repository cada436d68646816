"""What the gate does with requests that do not fit, verbs that break, secrets, and bytes that nobody will keep."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from asking import furnish_catalog, objects, recorded, state
from muniment.bootstrap import VERBS, Platform
from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Denied, IntegrityError, Invalid, MunimentError, NotFound, Unauthenticated
from muniment.gate.door import Credential, Gate
from muniment.gate.grant import Grant
from muniment.gate.table import VerbTable
from muniment.identity.model import Group
from muniment.identity.ports import Groups
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Verb, verb
from muniment.policy.authorizer import CedarAuthorizer
from muniment.testing.platform import People
from muniment.wire.data import AddDataset, ListDatasets, ShowDataset
from muniment.wire.execution import TrainModel
from muniment.wire.identity import AddGroup, SignIn
from muniment.wire.inventory import FetchModel


class Poke(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request for the verbs of this file."""

    project: str
    how: str = ""


class Poked(Struct, kw_only=True, frozen=True):
    """Nothing."""


def gate_with(platform: Platform, extra: Verb) -> Gate:
    """The platform's gate with one verb more."""
    table = VerbTable([*VERBS, extra])
    gate, clock = platform.gate, SystemClock()
    return Gate(
        table,
        platform.store,
        platform.ledger,
        platform.vault,
        gate._authenticate,
        CedarAuthorizer(table, clock),
        gate._services,
        clock,
        SystemEntropy(),
    )


def breaking(run: Any) -> Verb:
    """A verb that does this."""

    @verb("data:Poke", on=PROJECT, request=Poke, reply=Poked, event="thing.poked", group="data:write")
    def poke(call: Call, request: Poke) -> Poked:
        """Poke."""
        run(call)
        return Poked()

    return poke


def test_a_defect_is_answered_without_its_insides(platform: Platform, people: People) -> None:
    """An unexpected exception becomes one code and the id of its entry; its text and traceback stay inside."""

    def fall(call: Call) -> None:
        raise KeyError("the secret of the house")

    gate, before = gate_with(platform, breaking(fall)), state(platform)
    with pytest.raises(MunimentError) as broken:
        gate.invoke("data:Poke", Poke(project="main"), Credential(people.tokens["scientist"]))
    assert broken.value.code == "MUNI-G500"
    assert broken.value.facts.keys() == {"kind", "entry"}
    assert "secret of the house" not in str(broken.value.document())
    assert recorded(platform, broken.value)["outcome"] == "failed"
    assert state(platform) == before


def test_what_a_refused_verb_noted_and_wrote_is_gone(platform: Platform, people: People) -> None:
    """A verb that writes, notes and then refuses leaves neither; its refusal is recorded."""

    def half(call: Call) -> None:
        call.use(Groups).add(Group("half", call.now, "me"))
        call.note(text="never happened")
        raise Conflict("MUNI-I301", "too late")

    before = state(platform)
    with pytest.raises(Conflict) as refused:
        gate_with(platform, breaking(half)).invoke(
            "data:Poke", Poke(project="main"), Credential(people.tokens["scientist"])
        )
    assert "facts" not in recorded(platform, refused.value)
    assert state(platform) == before


def test_an_entry_that_cannot_be_written_refuses_the_act(platform: Platform, people: People) -> None:
    """A verb whose notes do not fit into an entry is refused, and the refusal fits."""
    gate, before = gate_with(platform, breaking(lambda call: call.note(text="x" * 70_000))), state(platform)
    with pytest.raises(Invalid) as refused:
        gate.invoke("data:Poke", Poke(project="main"), Credential(people.tokens["scientist"]))
    assert refused.value.code == "MUNI-L101"
    assert recorded(platform, refused.value)["outcome"] == "failed"
    assert state(platform) == before


@pytest.mark.parametrize(
    "request_",
    [
        TrainModel(project="main", experiment=5, data="data:x", algorithm="xgboost"),  # type: ignore[arg-type]
        TrainModel(project="main", experiment="e", data="data:x", algorithm="xgboost", params={"a": object()}),
        TrainModel(project="main", experiment="\ud800", data="data:x", algorithm="xgboost"),
        ListDatasets(project="main", limit=1.5),  # type: ignore[arg-type]
        AddGroup(name="g"),
    ],
)
def test_callers_in_this_process_are_checked_too(platform: Platform, people: People, request_: Struct) -> None:
    """A typed request whose values do not have their types is refused as the same document from outside would be."""
    action = "data:ListDatasets" if isinstance(request_, (ListDatasets, AddGroup)) else "execution:TrainModel"
    with pytest.raises(Invalid) as refused:
        platform.gate.invoke(action, request_, Credential(people.tokens["scientist"]))
    assert refused.value.code == "MUNI-G104"
    assert recorded(platform, refused.value)["principal"] == "User:scientist"


def test_an_endless_reference_is_refused(platform: Platform, people: People) -> None:
    """A reference or a project that no entry could hold is refused, and recorded."""
    for request in (ShowDataset(project="main", dataset="d" * 70_000), ListDatasets(project="p" * 70_000)):
        with pytest.raises(Invalid) as refused:
            people.ask("scientist", request)
        assert refused.value.code == "MUNI-G105"
        assert recorded(platform, refused.value)["principal"] == "User:scientist"


def test_strange_references_are_refused_and_recorded(platform: Platform, people: People) -> None:
    """References with control characters, quotes and other alphabets are a clean refusal."""
    for reference in (
        "\0",
        '"',
        "data:\n",
        "données:é",
        "data:../../x",
        "\u202edata",
        "data:x@0",
        "data:x@99999999999",
    ):
        with pytest.raises((Invalid, NotFound)) as refused:
            people.ask("scientist", ShowDataset(project="main", dataset=reference))
        assert recorded(platform, refused.value)["outcome"] == "failed"
        with pytest.raises(Denied):
            people.ask("outsider", ShowDataset(project="main", dataset=reference))


def test_a_password_leaves_no_digest(platform: Platform, people: People) -> None:
    """Two attempts to sign in with different passwords have one request digest: nothing to guess against."""
    digests = set()
    for password in ("correct horse battery", "staple"):
        with pytest.raises(Unauthenticated) as refused:
            people.ask_with(None, SignIn(name="scientist", password=password))
        digests.add(recorded(platform, refused.value)["request"])
    assert len(digests) == 1
    assert {v.action: sorted(v.secrets) for v in VERBS if v.secrets} == {
        "identity:Bootstrap": ["secret"],
        "identity:SetPassword": ["current", "password"],
        "identity:SignIn": ["password"],
        "stewardship:SearchSubject": ["value"],
    }


def test_the_bytes_of_a_refused_request_are_dropped(platform: Platform, people: People) -> None:
    """Bytes that came with a request that the verb then refuses are not kept: nothing new is on the disk."""
    before, sound = objects(platform.home), platform.vault.fsck()
    request = AddDataset(project="main", name="credit", filename="c.csv", classification="wrong")
    with pytest.raises(Invalid) as refused:
        people.ask("scientist", request, b"a,b\n1,2\n")
    assert refused.value.code == "MUNI-D145"
    assert objects(platform.home) == before
    assert platform.vault.fsck() == sound


def test_a_refused_request_does_not_take_what_another_kept(platform: Platform, people: People) -> None:
    """When the same bytes are kept already, dropping those of a refused request leaves the kept ones."""
    good = AddDataset(project="main", name="credit", filename="c.csv")
    people.ask("scientist", good, b"a,b\n1,2\n")
    before = objects(platform.home)
    with pytest.raises(Invalid):
        people.ask("scientist", msgspec.structs.replace(good, name="Not A Name"), b"a,b\n1,2\n")
    people.ask("scientist", good, b"a,b\n1,2\n")
    assert objects(platform.home) == before
    assert platform.vault.fsck(deep=True).sound


def test_bytes_are_needed_and_nobody_reads_them_before_he_may(platform: Platform, people: People) -> None:
    """A verb that takes bytes refuses a request without any; bytes of someone who may not are never read."""

    class Untouchable(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("read before the decision")

    request = AddDataset(project="main", name="credit", filename="c.csv")
    with pytest.raises(Invalid) as refused:
        people.ask("scientist", request)
    assert refused.value.code == "MUNI-G103"
    with pytest.raises(Denied):
        people.ask("approver", request, Untouchable())


def test_a_swapped_object_is_found_on_the_way_out(platform: Platform, people: People, tmp_path: Path) -> None:
    """A download whose stored bytes were changed ends in an error, and the ledger has it."""
    furnish_catalog(people)
    with platform.store.write() as session:
        sealed = platform.vault.seal_bytes("main", b"the model")
        platform.vault.register(session, "main", sealed)
        recorder = Recorder(session, "main", SystemClock().now())
        files = [{"path": "model.txt", "digest": str(sealed.digest), "size": sealed.size}]
        recorder.entity(sealed.digest, EntityKind.MODEL, author="User:scientist", facts={"files": files})
    newest = max(objects(platform.home), key=lambda path: path.stat().st_mtime_ns)
    swapped = bytearray(newest.read_bytes())
    swapped[-1] ^= 1
    newest.chmod(0o600)
    newest.write_bytes(swapped)
    download = people.ask("scientist", FetchModel(project="main", model=str(sealed.digest)))
    with pytest.raises(IntegrityError) as refused:
        list(download.chunks)
    entry = recorded(platform, refused.value)
    assert (entry["action"], entry["outcome"], entry["code"]) == ("inventory:FetchModel", "failed", refused.value.code)


def test_nobody_makes_a_grant() -> None:
    """A grant cannot be constructed: only a decision mints one."""
    with pytest.raises(TypeError):
        Grant("User:me", "data:AddDataset", "Project:main", (), None)


def test_a_table_refuses_two_verbs_of_one_action() -> None:
    """An action belongs to one verb."""
    with pytest.raises(Invalid) as refused:
        VerbTable([*VERBS, next(iter(VERBS))])
    assert refused.value.code == "MUNI-G101"
