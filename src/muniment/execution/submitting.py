"""How a job enters the queue: names become digests, once, inside the transaction that records who asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Final

from muniment.catalog.model import Direction, Entity, EntityKind, Relation
from muniment.catalog.naming import check_entity_name, label, resolve
from muniment.catalog.ports import Entities, Lineage, Names
from muniment.catalog.recording import Recorder
from muniment.catalog.resources import MODEL
from muniment.errors import IntegrityError, Invalid, NotFound
from muniment.execution.admission import Admission, DataUse, Learning, Using
from muniment.execution.bases import Bases
from muniment.execution.environments import Environments, Workshop, find_environment
from muniment.execution.launching import variables
from muniment.execution.model import SCRIPT, JobSpec, ResolvedJob, Run, RunStatus
from muniment.execution.ports import Limits, check_variables
from muniment.execution.queue import RunQueue
from muniment.execution.reading import find_run
from muniment.execution.reproducing import Alikeness
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.reference import bears_kind
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Content, verb
from muniment.programs.algorithms import ALGORITHMS, training_parameters
from muniment.programs.groups import FAVOURABLE, read_groups
from muniment.programs.parameters import read_parameters
from muniment.programs.rules import read_rules
from muniment.vault.service import Vault
from muniment.wire import execution as wire

_CHANNEL: Final = re.compile(r"(?!(programs|base|environment|source)\Z)[a-z][a-z0-9_-]{0,31}")
"""Not the roles in which a job uses what the platform provides and what it runs."""

_EXPERIMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_RUNNABLE: Final = (".py", ".ipynb", ".R", ".r")
_PARAMS_BYTES: Final = 64 * 1024
_SCRIPT_BYTES: Final = 16 * 1024
"""Over HTTP they travel in the query, beside the source tree; clients and servers bound a URL at 64 KiB."""
_LABEL: Final = 200
_FIELDS: Final = ("algorithm", "target", "drop", "seed")
"""Parameters of a training that have fields of their own in the request."""


class Programs:
    """The platform's own programs, as the archive that every sandbox gets; built when a job first needs it."""

    def __init__(self, build: Callable[[], bytes]) -> None:
        self._build = build

    @cached_property
    def archive(self) -> bytes:
        """A zip of the modules that run inside."""
        return self._build()

    @cached_property
    def digest(self) -> Digest:
        """What plans call the archive."""
        return Digest.of(self.archive)


def submit(call: Call, spec: JobSpec, uploads: Mapping[str, Content] | None = None) -> wire.Started:
    """Resolve every name of a job and put it into the queue.

    Args:
        call: the request that asks for it.
        spec: the job as the asker wrote it.
        uploads: channels that hold bytes which came with the request.

    Raises:
        NotFound: an input or the environment does not exist in the project.
        Invalid: a channel, a parameter or a limit is out of its bounds.
    """
    project, session, agent = call.project, call.session, str(call.principal)
    inputs: dict[str, Digest] = {}
    asked: dict[str, str] = {}
    entities: list[Entity] = []
    for channel, reference in spec.inputs.items():
        _check(_CHANNEL, channel, "channel")
        entity = resolve(session, project, reference, None if bears_kind(reference) else EntityKind.DATA)
        _files(entity, reference)
        inputs[channel], asked[channel] = entity.digest, label(session, project, entity.digest)
        entities.append(entity)
    spec = _permitted(call, _admitted(call, spec, entities), entities)
    recorder = Recorder(session, project, call.now)
    for channel, content in (uploads or {}).items():
        recorder.entity(
            content.digest,
            EntityKind.FILE,
            author=agent,
            facts={
                "bytes": content.size,
                "files": [{"path": "source", "digest": str(content.digest), "size": content.size}],
                "classification": str(spec.facts.get("classification", "internal")),
            },
            parts=[content.digest],
        )
        inputs[channel], asked[channel] = content.digest, str(content.digest)
    if len(canonical(dict(spec.params))) > _PARAMS_BYTES:
        raise Invalid("MUNI-X105", "the parameters of a job are at most 64 KiB", limit_bytes=_PARAMS_BYTES)
    programs = call.use(Programs)
    job = ResolvedJob(
        kind=spec.kind,
        program=spec.program,
        code=programs.digest,
        source=spec.source,
        entry=spec.entry,
        inputs=inputs,
        params=spec.params,
        arguments=spec.arguments,
        env=find_environment(call.use(Environments), spec.env).digest,
        base=call.use(Workshop).base().digest,
        seed=spec.seed,
        limits={one.name: getattr(spec.limits, one.name) for one in fields(Limits)},
        rules=spec.rules,
        keys=spec.keys,
    )
    if job.keys and job.source is not None:
        raise Invalid("MUNI-X159", "a key of the project is lent to the platform's own programs alone", kind=job.kind)
    check_variables(variables(job, tuple(sorted(inputs))))
    if not spec.fresh and (known := _answer(call, job, spec)) is not None:
        call.note(answered_by=known.id, plan=str(job.digest), kind=spec.kind, label=spec.label)
        return wire.Started(run=f"run:{known.id}", plan=str(job.digest), answered=True)
    _keep(call, programs)
    return enqueue(call, job, spec, asked)


def check_permitted(call: Call, spec: JobSpec) -> None:
    """Refuse a job that may not use its inputs as ``submit`` would; nothing is kept.

    Raises:
        NotFound: an input does not exist in the project.
        Denied, Conflict: as ``DataUse`` says.
    """
    entities = [
        resolve(call.session, call.project, one, None if bears_kind(one) else EntityKind.DATA)
        for one in spec.inputs.values()
    ]
    _permitted(call, _admitted(call, spec, entities), entities)


def _permitted(call: Call, spec: JobSpec, entities: Sequence[Entity]) -> JobSpec:
    """The job with what was said of its use of data; one that may not use an input is refused."""
    frame = spec.facts.get("use_case") or {}
    using = Using(kind=spec.kind, purpose=spec.purpose, use_case=frame.get("name"), inputs=tuple(entities))
    kept = call.use(DataUse).permit(call, using) if entities else {}
    return replace(spec, facts={**spec.facts, **kept}) if kept else spec


def _admitted(call: Call, spec: JobSpec, entities: Sequence[Entity]) -> JobSpec:
    """The job with the use case that it belongs to; one that learns is refused outside of its use case."""
    if spec.kind not in ("train", "run"):
        return spec
    left_out = {spec.params["target"], *spec.params["drop"]} if spec.kind == "train" else set()
    columns: dict[str, frozenset[str] | None] = {}
    for entity in entities:
        if entity.kind is not EntityKind.MODEL:
            schema = entity.facts.get("schema")
            names = None if schema is None else frozenset(str(column["name"]) for column in schema) - left_out
            columns[label(call.session, call.project, entity.digest)] = names
    learning = Learning(
        experiment=spec.experiment,
        use_case=spec.use_case,
        algorithm=str(spec.params["algorithm"]) if spec.kind == "train" else "script",
        columns=columns,
        data=tuple(entity.digest for entity in entities if entity.kind is EntityKind.DATA),
    )
    frame = call.use(Admission).admit(call, learning)
    return spec if frame is None else replace(spec, facts={**spec.facts, "use_case": frame.document()})


def _answer(call: Call, job: ResolvedJob, spec: JobSpec) -> Run | None:
    """The newest run that answers a job: the same plan, asked for in the same words, and run behind whole walls.

    What it made must still be what its names mean, and must still be there: a data set that got another version since,
    or that was erased, is made again. So is everything of a plan that came out otherwise when somebody repeated it: an
    answer rests on the same plan giving the same result, and that is known not to hold for it.
    """
    runs = call.use(RunQueue).of_plan(call.project, job.digest)
    if any(_came_out_otherwise(run) for run in runs):
        return None
    for run in reversed(runs):
        same = (run.kind, run.experiment, run.trial, run.name) == (spec.kind, spec.experiment, spec.trial, spec.name)
        if (
            run.status is RunStatus.OK
            and same
            and canonical(dict(run.facts)) == canonical(dict(spec.facts))
            and run.result["enforcement"]["complete"]
            and all(_stands(call, product) for product in run.result["products"])
        ):
            return run
    return None


def _came_out_otherwise(run: Run) -> bool:
    """Whether a run is a reproduction that made something else."""
    verdict = (run.result or {}).get("verdict") or {}
    return run.kind == "reproduce" and verdict.get("verdict") == Alikeness.DIFFERENT.value


def _stands(call: Call, product: Mapping[str, str]) -> bool:
    """Whether what a run made is still the newest of its name, with all its bytes."""
    digest = Digest(product["digest"])
    reference = product["reference"]
    if not reference.startswith("sha256:"):
        kind, _, name = reference.rpartition("@")[0].partition(":")
        newest = call.use(Names).find(call.project, EntityKind(kind), name, None)
        if newest is None or newest.digest != digest:
            return False
    vault = call.use(Vault)
    entity = call.use(Entities).find(call.project, [digest]).get(digest)
    return entity is not None and all(
        vault.has(call.session, call.project, Digest(file["digest"])) for file in files_of(entity)
    )


def enqueue(call: Call, job: ResolvedJob, spec: JobSpec, asked: Mapping[str, str]) -> wire.Started:
    """Put a resolved job into the queue."""
    if spec.experiment is not None:
        _check(_EXPERIMENT, spec.experiment, "experiment")
    if spec.trial is not None:
        _check(_EXPERIMENT, spec.trial, "trial")
    if spec.name is not None:
        check_entity_name(EntityKind.DATA, spec.name)
    run = Run(
        id=call.new_id(),
        project=call.project,
        kind=spec.kind,
        label=spec.label[:_LABEL],
        experiment=spec.experiment,
        trial=spec.trial,
        name=spec.name,
        requested_by=str(call.principal),
        created_at=format_time(call.now),
        plan=job.digest,
        job=job.document(),
        asked=asked,
        facts=spec.facts,
    )
    call.use(RunQueue).add(run)
    told: dict[str, Any] = {
        "run": run.id,
        "plan": str(job.digest),
        "kind": spec.kind,
        "label": spec.label,
        "inputs": sorted(map(str, job.inputs.values())),
    }
    if call.noted("run"):  # one request may begin several jobs: its entry tells of each
        call.note_more(also=canonical(told).decode())
    else:
        call.note(**told)
    return wire.Started(run=f"run:{run.id}", plan=str(job.digest))


@verb(
    "execution:TrainModel",
    on=PROJECT,
    request=wire.TrainModel,
    reply=wire.Started,
    event="training.requested",
    group="run:write",
)
def train_model(call: Call, request: wire.TrainModel) -> wire.Started:
    """Train a built-in algorithm hermetically on one snapshot."""
    return submit(call, training_spec(call, request))


def training_spec(call: Call, request: wire.TrainModel) -> JobSpec:
    """The job that a request for a training asks for.

    Raises:
        NotFound: a snapshot does not exist.
        Invalid: a parameter, a column or a rule is unknown or out of range.
    """
    params = _training_parameters(request)
    data = resolve(call.session, call.project, request.data, EntityKind.DATA)
    target = request.target or data.facts.get("target")
    if not isinstance(target, str):
        raise Invalid("MUNI-X107", "training needs a target column", data=request.data, do="name it: --target COLUMN")
    columns = [column["name"] for column in data.facts.get("schema", [])]
    strangers = sorted({target, *request.drop} - set(columns))
    if strangers:
        raise Invalid("MUNI-X108", "the snapshot has no such column", columns=strangers, data=request.data)
    params |= {"algorithm": request.algorithm, "target": target, "drop": request.drop, "seed": request.seed}
    inputs = {"train": str(data.digest)}
    if request.validation is not None:
        if request.params.get("validation_fraction"):
            raise Invalid(
                "MUNI-X160",
                "validation is a snapshot or a share of the training rows, not both",
                data=request.validation,
            )
        inputs["validation"] = str(resolve(call.session, call.project, request.validation, EntityKind.DATA).digest)
    return JobSpec(
        kind="train",
        program="muniment.programs.train",
        label=request.algorithm,
        inputs=inputs,
        params=params,
        env=request.env,
        seed=request.seed,
        limits=limits_from(request.limits),
        experiment=request.experiment,
        trial=request.trial,
        name=request.name or _default_name(request.experiment, request.algorithm.replace("_", "-")),
        use_case=request.use_case,
        purpose=request.purpose or None,
        fresh=request.fresh,
        rules=_rules(call, request.watching, custom=False),
    )


@verb(
    "execution:RunScript",
    on=PROJECT,
    request=wire.RunScript,
    reply=wire.Started,
    event="script.requested",
    group="run:write",
    takes_body=True,
)
def run_script(call: Call, request: wire.RunScript) -> wire.Started:
    """Run a script unchanged and hermetically; its source tree came along as a tar."""
    entry = PurePosixPath(request.entry)
    if entry.is_absolute() or ".." in entry.parts or entry.suffix not in _RUNNABLE or "\0" in request.entry:
        raise Invalid(
            "MUNI-X109",
            "the script is a .py, .ipynb or .R file inside the tree that came along",
            entry=request.entry[:200],
        )
    for name in request.params:
        _check(_PARAMETER, name, "parameter")
    said = len(canonical([request.params, request.arguments]))
    if said > _SCRIPT_BYTES or any("\0" in argument for argument in request.arguments):
        raise Invalid(
            "MUNI-X125",
            "the parameters and arguments of a script are at most 16 KiB, without NUL",
            limit_bytes=_SCRIPT_BYTES,
            do="give larger ones as an input",
        )
    spec = JobSpec(
        kind="run",
        program=SCRIPT,
        label=entry.name,
        inputs=request.inputs,
        params=request.params,
        arguments=tuple(request.arguments),
        source=call.body.digest,
        entry=str(entry),
        env=request.env,
        seed=request.seed,
        limits=limits_from(request.limits),
        experiment=request.experiment,
        trial=request.trial,
        name=request.name or _default_name(request.experiment, entry.stem),
        use_case=request.use_case,
        purpose=request.purpose or None,
        fresh=request.fresh,
        rules=_rules(call, request.watching, custom=True),
        facts={"source_bytes": call.body.size, "origin": _origin(request.origin)},
    )
    return submit(call, spec)


@verb(
    "execution:EvaluateModel",
    on=PROJECT,
    request=wire.EvaluateModel,
    reply=wire.Started,
    event="evaluation.requested",
    group="run:validate",
)
def evaluate_model(call: Call, request: wire.EvaluateModel) -> wire.Started:
    """Measure a model on a snapshot, hermetically: quality, stability against a reference, how groups fare."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    data = resolve(call.session, call.project, request.data, EntityKind.DATA)
    if request.threshold is not None and not 0 < request.threshold < 1:
        raise Invalid("MUNI-X121", "a threshold lies between 0 and 1", threshold=str(request.threshold))
    params: dict[str, Any] = {} if request.threshold is None else {"threshold": request.threshold}
    inputs = {"model": str(model.digest), "data": str(data.digest)}
    people = [data]
    if request.protected is not None:
        people.append(resolve(call.session, call.project, request.protected, EntityKind.DATA))
        inputs["protected"] = str(people[1].digest)
    if request.groups:
        params |= {"groups": _groups(request, people), "favourable": request.favourable}
    if (request.protected is None) != (request.key is None) or (request.protected is not None and not request.groups):
        raise Invalid(
            "MUNI-X144",
            "protected data go with a key and with groups",
            do="name the column that both snapshots hold, and the columns to compare groups by",
        )
    if request.key is not None:
        params["key"] = request.key
    if request.reference is not None:
        inputs["reference"] = str(resolve(call.session, call.project, request.reference, EntityKind.DATA).digest)
    spec = JobSpec(
        kind="evaluate",
        program="muniment.programs.evaluate",
        label="evaluate",
        inputs=inputs,
        params=params,
        limits=limits_from(request.limits),
        experiment=None,
    )
    return submit(call, spec)


@verb(
    "execution:ReproduceModel",
    on=MODEL,
    request=wire.ReproduceModel,
    reply=wire.Started,
    event="reproduction.requested",
    group="run:reproduce",
)
def reproduce_model(call: Call, request: wire.ReproduceModel) -> wire.Started:
    """Run again, from the record alone, the job that made a model; the verdict compares what comes out."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    original = making_of(call, model)
    job = ResolvedJob.parse(original.job)
    if job.digest != original.plan:
        raise IntegrityError("MUNI-X503", "the plan of this run was changed after it was made", run=original.id)
    if call.use(Workshop).base().digest != job.base and call.use(Bases).archive(job.base) is None:
        raise Invalid(
            "MUNI-X122",
            "the base root that this model was made on is neither this machine's nor kept",
            recorded=str(job.base),
            here=str(call.use(Workshop).base().digest),
            do="reproduce on a machine with the same Python and system libraries",
        )
    spec = JobSpec(
        kind="reproduce",
        program=job.program,
        label=f"reproduce {original.label}",
        inputs={},
        seed=job.seed,
        experiment=original.experiment,
        facts={"reproduces": str(model.digest), "original": original.id, "original_kind": original.kind},
    )
    found = call.use(Entities).find(call.project, job.inputs.values())
    spec = _permitted(call, spec, [found[one] for one in sorted(found)])
    return enqueue(call, job, spec, original.asked)


def making_of(call: Call, model: Entity) -> Run:
    """The first run that generated a model.

    Raises:
        NotFound: no recorded run of this project made it, so there is nothing to repeat.
    """
    for run in makings_of(call, model.digest):
        if run.kind != "reproduce":
            return run
    raise NotFound(
        "MUNI-X202",
        "no recorded run made this model, so it cannot be made again",
        model=str(model.digest),
        grade=model.grade,
    )


def makings_of(call: Call, model: Digest) -> list[Run]:
    """The runs that generated a model, reproductions too, in their order."""
    graph = call.use(Lineage).closure(call.project, model, Direction.UPSTREAM, 1)
    makers = sorted(
        edge.activity for edge in graph.edges if edge.relation is Relation.GENERATED and edge.entity == model
    )
    queue = call.use(RunQueue)
    return [run for maker in makers if (run := queue.get(call.project, maker)) is not None]


def _groups(request: wire.EvaluateModel, people: Sequence[Entity]) -> dict[str, Any]:
    """The columns to compare groups by, as the program reads them.

    Raises:
        Invalid: a column is named twice or is not in the data, a rule is not readable, or the direction is none.
    """
    columns = [one.column for one in request.groups]
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise Invalid("MUNI-X142", f"the column {twice[0][:80]!r} is named twice", columns=twice[:10])
    known = [{column["name"] for column in one.facts.get("schema", [])} for one in people]
    # The key is looked for in each of them: where it is missing nobody would be found.
    keys = set() if request.key is None else {request.key}
    strangers = sorted((set(columns) - set().union(*known)) | (keys - set.intersection(*known)))
    if strangers:
        raise Invalid("MUNI-X108", "the snapshot has no such column", columns=strangers, data=request.data)
    if request.favourable not in FAVOURABLE:
        raise Invalid(
            "MUNI-X143",
            f"{request.favourable[:40]!r} is no prediction",
            given=request.favourable[:80],
            allowed=list(FAVOURABLE),
        )
    given = {one.column: {"favoured": one.favoured, "cuts": one.cuts} for one in request.groups}
    return {rule.column: rule.document() for rule in read_groups(given)}


def _training_parameters(request: wire.TrainModel) -> dict[str, Any]:
    """The given parameters in their own types and by their own names, by the table that the program itself reads.

    Raises:
        Invalid: an unknown algorithm or parameter, a value of another type or out of range.
    """
    if request.algorithm not in ALGORITHMS:
        raise Invalid(
            "MUNI-X106",
            f"{request.algorithm[:40]!r} is not a built-in algorithm",
            given=request.algorithm[:80],
            algorithms=list(ALGORITHMS),
            do="for anything else: muni run your_script.py",
        )
    if twice := sorted(set(_FIELDS) & request.params.keys()):
        raise Invalid("MUNI-X126", f"{twice[0]} is no parameter but a field of the request", fields=twice)
    if missing := sorted(name for name, value in request.params.items() if value is None):
        raise Invalid("MUNI-X127", f"the parameter {missing[0][:40]!r} has no value", parameters=missing[:10])
    known = training_parameters(request.algorithm)
    values = read_parameters({**request.params, "algorithm": request.algorithm, "seed": request.seed}, known)
    own = {alias: parameter.name for parameter in known for alias in parameter.aliases}
    return {name: values[name] for name in (own.get(given, given) for given in request.params)}


def _rules(call: Call, asked: wire.Watching, *, custom: bool) -> dict[str, Any]:
    """What a job is watched by, as its plan says it: runs to compare with by their ids."""
    plan = read_rules(asked.rules, asked.settings, asked.stop_on, custom=custom)
    if (alike := plan.get("rules", {}).get("SimilarAcrossRuns")) is not None:
        others = [find_run(call.session, call.project, other) for other in alike["other_trials"]]
        alike["other_trials"] = sorted(other.id for other in others)
    return plan


def _default_name(experiment: str, what: str) -> str:
    """What a model is called when nobody names it."""
    return re.sub(r"[^a-z0-9.-]+", "-", f"{experiment}-{what}".lower()).strip("-.")[:100].rstrip("-.")


def limits_from(asked: wire.JobLimits) -> Limits:
    """The limits a request asks for, defaults where it says nothing; raises Invalid when one is out of its bounds."""
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if getattr(asked, name) is not None}
    return Limits(**given)


def files_of(entity: Entity) -> list[dict[str, Any]]:
    """The sealed files an entity is made of."""
    files = entity.facts.get("files")
    return list(files) if isinstance(files, list) else []


def entity_files(call: Call, digest: Digest) -> list[dict[str, Any]]:
    """The sealed files of the entity with this digest."""
    return files_of(call.use(Entities).find(call.project, [digest])[digest])


def _files(entity: Entity, reference: str) -> None:
    if not files_of(entity):
        raise Invalid(
            "MUNI-X123",
            f"{reference[:80]} holds no files that a job could read",
            reference=reference[:200],
            kind=entity.kind,
        )


def _keep(call: Call, programs: Programs) -> None:
    """Have the programs sealed in the project, so that the code of each run can be read years later."""
    vault = call.use(Vault)
    if not vault.has(call.session, call.project, programs.digest):
        vault.register(call.session, call.project, vault.seal_bytes(call.project, programs.archive))


def _origin(origin: wire.CodeOrigin) -> dict[str, Any]:
    return {name: getattr(origin, name) for name in origin.__struct_fields__ if getattr(origin, name) is not None}


def _check(rule: re.Pattern[str], text: str, what: str) -> None:
    if not rule.fullmatch(text):
        message = f"{text[:80]!r} is no valid name of a run's {what}"
        raise Invalid("MUNI-X124", message, given=text[:200], rule=rule.pattern)


VERBS: Final = (train_model, run_script, evaluate_model, reproduce_model)
