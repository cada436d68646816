"""From a table to the numbers a model takes: fitted once, kept with the model, applied identically ever after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import type_name
from muniment.errors import Invalid
from muniment.programs.contract import visible

__all__ = ["Encoding", "Feature", "Target", "fit_encoding", "no_target"]

MOST_CATEGORIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Feature:
    """One column as a model sees it."""

    name: str
    type: str
    """Logical type in the data."""

    categories: tuple[str, ...] | None = None
    """Levels of a text or boolean column in order of their UTF-8 bytes; a level's code is its place. None: a number."""

    def document(self) -> dict[str, Any]:
        """As it stands in ``model.json``."""
        shown: dict[str, Any] = {"name": self.name, "type": self.type}
        return shown if self.categories is None else {**shown, "categories": list(self.categories)}


@dataclass(frozen=True, slots=True)
class Encoding:
    """All features of a model in their order. Features are bound by name, never by place."""

    features: tuple[Feature, ...]

    @classmethod
    def from_document(cls, documents: Iterable[dict[str, Any]]) -> Encoding:
        """The encoding that ``model.json`` holds."""
        return cls(
            tuple(
                Feature(entry["name"], entry["type"], tuple(entry["categories"]) if "categories" in entry else None)
                for entry in documents
            )
        )

    def matrix(self, table: pa.Table) -> np.ndarray:
        """The features as float64, one row for each row; a null or an unknown level is NaN.

        Raises:
            Invalid: a feature is absent, has another kind of type, or holds infinite values.
        """
        result = np.empty((table.num_rows, len(self.features)), np.float64, order="F")
        for number, feature in enumerate(self.features):
            if feature.name not in table.schema.names:
                raise Invalid(
                    "MUNI-D185",
                    f"the data lack the feature {feature.name[:80]!r}",
                    feature=feature.name[:80],
                    expected=feature.type,
                    do="give data with all features of the model",
                )
            column = table.column(feature.name)
            if (_categorical(type_name(column.type)), _numeric(type_name(column.type))) != (
                feature.categories is not None,
                feature.categories is None,
            ):
                raise Invalid(
                    "MUNI-D122",
                    f"the feature {feature.name[:80]!r} is of another type",
                    feature=feature.name[:80],
                    expected=feature.type,
                    found=type_name(column.type),
                    do="give data with the types of the training data",
                )
            result[:, number] = (
                _codes(column, feature.categories) if feature.categories is not None else _numbers(column)
            )
            if np.isinf(result[:, number]).any():
                raise Invalid(
                    "MUNI-D190",
                    f"the feature {feature.name[:80]!r} holds infinite values",
                    feature=feature.name[:80],
                    do="replace them before you add the data",
                )
        return result

    def unknown_levels(self, table: pa.Table) -> dict[str, int]:
        """Rows whose level was not seen in training, by feature; they are treated as missing."""
        counts = {}
        for feature in self.features:
            if feature.categories is not None:
                column = table.column(feature.name)
                unknown = int(np.isnan(_codes(column, feature.categories)).sum()) - column.null_count
                if unknown:
                    counts[feature.name] = unknown
        return counts


@dataclass(frozen=True, slots=True)
class Target:
    """What is predicted: a column of two classes."""

    name: str
    negative: str | int | bool
    positive: str | int | bool

    @classmethod
    def of(cls, table: pa.Table, name: str | None, positive: str | None) -> Target:
        """The target of a training table.

        Raises:
            Invalid: it is absent, holds nulls, or does not have exactly two classes; or ``positive`` is none of them.
        """
        if name is None:
            raise Invalid("MUNI-D138", "no target is declared", do="name the target column")
        if name not in table.schema.names:
            raise no_target(name, table.schema.names)
        column = table.column(name)
        if column.null_count:
            raise Invalid(
                "MUNI-D181",
                f"the target {name[:80]!r} is missing in {column.null_count} rows",
                target=name[:80],
                missing=column.null_count,
                do="leave out rows without a target",
            )
        kind = type_name(column.type)
        found = pc.unique(column)
        if len(found) != 2 or not (kind in ("string", "bool") or "int" in kind):
            raise Invalid(
                "MUNI-D180",
                f"the target {name[:80]!r} does not have two classes",
                target=name[:80],
                found=len(found),
                type=kind,
                expected="two distinct values of an integer, text or boolean column",
                do="choose a target with two classes",
            )
        low, high = sorted(found.to_pylist())
        if positive is not None:
            if positive not in (str(low), str(high)):
                raise Invalid(
                    "MUNI-D117",
                    f"{positive[:40]!r} is no class of the target",
                    parameter="positive",
                    given=positive[:40],
                    allowed=[visible(str(low)), visible(str(high))],
                    do="name one of the classes",
                )
            if positive == str(low):
                low, high = high, low
        return cls(name, low, high)

    def labels(self, table: pa.Table) -> np.ndarray:
        """True where the row is positive.

        Raises:
            Invalid: the target is absent, missing somewhere, or holds another class.
        """
        if self.name not in table.schema.names:
            raise no_target(self.name, table.schema.names)
        column = table.column(self.name)
        if column.null_count:
            raise Invalid(
                "MUNI-D181",
                f"the target {self.name[:80]!r} is missing in {column.null_count} rows",
                target=self.name[:80],
                missing=column.null_count,
                do="leave out rows without a target",
            )
        others = [value for value in pc.unique(column).to_pylist() if value not in (self.negative, self.positive)]
        if others:
            raise Invalid(
                "MUNI-D188",
                f"the target {self.name[:80]!r} holds a class the model does not know",
                target=self.name[:80],
                classes=len(others),
                do="give data with the model's two classes",
            )
        labels: np.ndarray = pc.equal(column, pa.scalar(self.positive, column.type)).to_numpy().astype(bool)
        return labels


def no_target(name: str, columns: list[str]) -> Invalid:
    """The refusal of a table without the target."""
    return Invalid(
        "MUNI-D159",
        f"there is no column {name[:80]!r} to be the target",
        target=name[:80],
        columns=columns[:50],
        do="name one of the columns as the target",
    )


def fit_encoding(table: pa.Table, names: Iterable[str]) -> Encoding:
    """The encoding of these columns as the training data show them.

    Raises:
        Invalid: a column has a type no model takes, or a text column has too many levels.
    """
    features = []
    for name in names:
        column = table.column(name)
        kind = type_name(column.type)
        if _numeric(kind):
            features.append(Feature(name, kind))
        elif _categorical(kind):
            levels = sorted(
                (str(level) for level in pc.unique(_texts(column)).to_pylist() if level is not None), key=str.encode
            )
            if len(levels) > MOST_CATEGORIES:
                raise Invalid(
                    "MUNI-D183",
                    f"the text column {name[:80]!r} has {len(levels)} levels",
                    column=name[:80],
                    found=len(levels),
                    allowed=MOST_CATEGORIES,
                    do="drop the column, or group its levels before you add the data",
                )
            features.append(Feature(name, kind, tuple(levels)))
        else:
            raise Invalid(
                "MUNI-D182",
                f"the column {name[:80]!r} is a {kind}: no model takes it",
                column=name[:80],
                type=kind,
                do="drop the column, or turn it into a number",
            )
    return Encoding(tuple(features))


def _numeric(kind: str) -> bool:
    return "int" in kind or kind.startswith(("float", "decimal"))


def _categorical(kind: str) -> bool:
    return kind in ("string", "bool")


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if column.type != pa.string() else column


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def _codes(column: pa.ChunkedArray, categories: tuple[str, ...]) -> np.ndarray:
    found = pc.index_in(_texts(column), value_set=pa.array(categories, pa.string()), skip_nulls=True)
    codes: np.ndarray = found.cast(pa.float64()).to_numpy()
    return codes
