"""The verbs that look at rows. Each starts hermetic jobs; rows are never read here, and fingerprints neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from muniment.catalog.model import ActivityKind, Entity, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.resources import DATASET, MODEL
from muniment.data.rows import proving
from muniment.data.rows.making import KEY_FILE, USE, find_or_make
from muniment.data.rows.views import Comparison, by_keys, by_names, by_values, over_keys, over_names, read_keys
from muniment.errors import Invalid
from muniment.execution.model import JobSpec
from muniment.execution.submitting import limits_from, submit
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, verb
from muniment.vault.service import Vault
from muniment.wire import rows as wire
from muniment.wire.execution import Started

_NAMED: Final = 50
"""So many columns that only one side has are named; all are counted."""


@verb(
    "data:FingerprintDataset",
    on=DATASET,
    request=wire.FingerprintDataset,
    reply=wire.Fingerprints,
    event="dataset.fingerprints_requested",
    group="run:validate",
)
def fingerprint_dataset(call: Call, request: wire.FingerprintDataset) -> wire.Fingerprints:
    """Fingerprint the rows of a snapshot, unless that was done before."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    columns = columns_of(data)
    keys = [name for name, _ in read_keys(request.keys, columns)]
    view = over_keys(sorted(keys)) if keys else over_names(columns, columns)
    found = find_or_make(call, [(data, view)], request.limits)
    call.note(dataset=str(data.digest), waiting=list(found.waiting))
    if found.waiting:
        return wire.Fingerprints(digest=None, run=found.waiting[0])
    return wire.Fingerprints(digest=str(found.of(data, view).digest), run=None)


@verb(
    "data:CompareRows",
    on=PROJECT,
    request=wire.CompareRows,
    reply=wire.RowsAsked,
    event="rows.comparison_requested",
    group="run:validate",
)
def compare_rows(call: Call, request: wire.CompareRows) -> wire.RowsAsked:
    """Count the rows that two snapshots share, whatever their formats, their row order and their column order."""
    a, b = (resolve(call.session, call.project, one, EntityKind.DATA) for one in (request.a, request.b))
    chosen = _comparison(request, columns_of(a), columns_of(b))
    found = find_or_make(call, [(a, chosen.view_a), (b, chosen.view_b)], request.limits)
    call.note(a=str(a.digest), b=str(b.digest), waiting=list(found.waiting))
    if found.waiting:
        return wire.RowsAsked(run=None, waiting=list(found.waiting), reused=len(found.made))
    question = {
        "a": label(call.session, call.project, a.digest),
        "b": label(call.session, call.project, b.digest),
        "a_digest": str(a.digest),
        "b_digest": str(b.digest),
        "rows_a": a.facts.get("rows"),
        "rows_b": b.facts.get("rows"),
        "by": chosen.by,
        "columns": chosen.columns,
        "keys": sorted(request.keys),
        "only_a": list(chosen.only_a[:_NAMED]),
        "only_a_columns": len(chosen.only_a),
        "only_b": list(chosen.only_b[:_NAMED]),
        "only_b_columns": len(chosen.only_b),
    }
    spec = JobSpec(
        kind=ActivityKind.OVERLAP.value,
        program="muniment.programs.overlap",
        label="overlap",
        inputs={side: str(found.of(data, view).digest) for side, data, view in _sides(a, b, chosen)},
        params={"pairs": {"rows": {"a": "a", "b": "b"}}, "question": question},
        limits=limits_from(request.limits),
        fresh=False,
    )
    return wire.RowsAsked(run=submit(call, spec).run, reused=len(found.made))


@verb(
    "data:DiffDatasets",
    on=PROJECT,
    request=wire.DiffDatasets,
    reply=Started,
    event="datasets.difference_requested",
    group="run:validate",
)
def diff_datasets(call: Call, request: wire.DiffDatasets) -> Started:
    """Say how two snapshots differ: schema, counts, distributions, and rows added, removed and changed."""
    a, b = (resolve(call.session, call.project, one, EntityKind.DATA) for one in (request.a, request.b))
    there = frozenset(columns_of(b))
    both = [name for name in columns_of(a) if name in there]
    if not both:
        raise _nothing_common(
            columns_of(a), columns_of(b), "count their equal rows: muni data overlap A B --ignore-names"
        )
    keys = [name for name, _ in read_keys(request.keys, both)]
    key = call.use(Vault).lending.name(call.session, call.project, USE)
    spec = JobSpec(
        kind=ActivityKind.DIFFERENCE.value,
        program="muniment.programs.difference",
        label="difference",
        inputs={"a": str(a.digest), "b": str(b.digest)},
        params={"keys": sorted(keys)} if keys else {},
        limits=limits_from(request.limits),
        keys={KEY_FILE: key},
        fresh=False,
    )
    return submit(call, spec)


@verb(
    "data:ProveRowsUnused",
    on=MODEL,
    request=wire.ProveRowsUnused,
    reply=wire.RowsAsked,
    event="rows.absence_requested",
    group="run:validate",
)
def prove_rows_unused(call: Call, request: wire.ProveRowsUnused) -> wire.RowsAsked:
    """Look for the rows of a snapshot in everything that a model was made from."""
    asked = resolve(call.session, call.project, request.reference)
    if asked.kind is not EntityKind.DATA:
        raise Invalid(
            "MUNI-O117",
            f"{request.reference[:80]} is no snapshot, so its rows are not known",
            reference=request.reference[:200],
            kind=asked.kind,
            do="ingest it (muni data add) and ask about the data set",
        )
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    keys = [name for name, _ in read_keys(request.keys, columns_of(asked))]
    search = proving.search(call, asked, model, sorted(keys))
    found = find_or_make(call, search.wanted(), request.limits)
    call.note(
        asked=str(asked.digest),
        model=str(model.digest),
        inputs=len(search.inputs),
        unsearched=len(search.unsearched),
        waiting=list(found.waiting),
    )
    if found.waiting:
        return wire.RowsAsked(run=None, waiting=list(found.waiting), reused=len(found.made))
    inputs, pairs, question = search.plan(found)
    spec = JobSpec(
        kind=ActivityKind.OVERLAP.value,
        program="muniment.programs.overlap",
        label="prove rows unused",
        inputs=inputs,
        params={"pairs": pairs, "question": question},
        limits=limits_from(request.limits),
    )
    return wire.RowsAsked(run=submit(call, spec).run, reused=len(found.made))


def columns_of(data: Entity) -> list[str]:
    """The columns of a snapshot, in its order."""
    return [str(column["name"]) for column in data.facts.get("schema", [])]


def _comparison(request: wire.CompareRows, a: Sequence[str], b: Sequence[str]) -> Comparison:
    if request.keys:
        if request.ignore_names:
            raise Invalid("MUNI-O118", "keys are compared, or whole rows without names, not both", do="leave one out")
        return by_keys(read_keys(request.keys, a, b))
    if request.ignore_names:
        chosen = by_values(a, b)
        if chosen is None:
            raise Invalid(
                "MUNI-O119",
                "rows of so many columns and of so many have no values in common by number alone",
                columns_a=len(a),
                columns_b=len(b),
                do="compare over keys: --keys NAME=OTHER,...",
            )
        return chosen
    named = by_names(a, b)
    if named is None:
        raise _nothing_common(
            a, b, "say which are the same: --keys NAME=OTHER,..., or compare values alone: --ignore-names"
        )
    return named


def _nothing_common(a: Sequence[str], b: Sequence[str], advice: str) -> Invalid:
    return Invalid(
        "MUNI-O120",
        "the snapshots have no column of the same name",
        columns_a=[name[:80] for name in a[:10]],
        columns_b=[name[:80] for name in b[:10]],
        do=advice,
    )


def _sides(a: Entity, b: Entity, chosen: Comparison) -> list[tuple[str, Entity, Any]]:
    return [("a", a, chosen.view_a), ("b", b, chosen.view_b)]


VERBS: Final = (
    fingerprint_dataset,
    compare_rows,
    diff_datasets,
    prove_rows_unused,
    proving.show_row_proof,
)
