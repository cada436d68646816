"""Models that a user's own script left: files of a format that carries no code, opened to be compared.

Each is read by the library that wrote it and known by a *canonical digest* of what decides its predictions. It scores
the probe by the feature names that it holds, or, where it holds none, by the numeric columns in their order; where
neither fits it has no scores, and is compared by its digest alone. A network in safetensors holds weights and no
architecture: it has scores where its graph lies beside it as ONNX.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from muniment.errors import IntegrityError, Invalid
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.programs.engines.skops_files import settled
from muniment.programs.model_formats import HEAD_BYTES, refuse_code

__all__ = ["ForeignModel", "open_foreign"]

Predict = Callable[[np.ndarray], np.ndarray]

_PARAMETER_LINES: Final = re.compile(r"\nparameters:\n.*?\nend of parameters\n", re.DOTALL)
_TRUSTED: Final = ["sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
"""What skops does not know of scikit-learn itself; nothing is ever added to it from a file."""

_HEADER: Final = 100 << 20
_WEIGHTS: Final = ".safetensors"
_SUFFIXES: Final = (".ubj", ".json", ".txt", ".skops", ".onnx", _WEIGHTS)


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A model that somebody else's code made."""

    file: str
    file_digest: str
    """Of the file, or of all files where there are several."""

    canonical_digest: str
    scores: np.ndarray | None
    """What it gives the probe rows, float64; None where it cannot be asked."""

    why_not: str | None
    """Why it has no scores."""


@dataclass(frozen=True, slots=True)
class _Opened:
    essence: Any
    names: Sequence[str]
    width: int
    predict: Predict | None
    why_not: str = "the file holds weights and no architecture: leave it as ONNX too"


def open_foreign(folder: Path, probe: pa.Table | None, target: str | None) -> ForeignModel:
    """The one model in a folder, with the weights that lie beside it.

    Args:
        folder: the files of a model, without the platform's ``model.json``.
        probe: rows to score; None leaves it at the digests.
        target: the column that is no feature.

    Raises:
        Invalid: there is no model of a known format, or there are several, or it would run code.
        IntegrityError: it does not open.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in _SUFFIXES)
    models = [path for path in files if path.suffix != _WEIGHTS] or files
    if len(models) != 1:
        raise Invalid(
            "MUNI-D199",
            "a model is compared by its one file",
            found=[path.name[:80] for path in files[:10]],
            known=list(_SUFFIXES),
            do="leave one file: XGBoost .ubj or .json, LightGBM .txt, .skops, .onnx or .safetensors",
        )
    opened = {path: _open(path) for path in sorted(files, key=lambda path: path != models[0])}
    first, *beside = opened.values()
    scores, why_not = _scores(first, probe, target)
    essence: dict[str, Any] = {"model": first.essence}
    if beside:
        essence["beside"] = {_within(folder, path): opened[path].essence for path in opened if path != models[0]}
    every = {_within(folder, path): _digest(path) for path in folder.rglob("*") if path.is_file()}
    files_digest = digest_of(every) if len(every) > 1 else every[_within(folder, models[0])]
    return ForeignModel(models[0].name, files_digest, digest_of(essence), scores, why_not)


def _within(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _open(path: Path) -> _Opened:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - HEAD_BYTES))
        refuse_code(path.name, head, path.stat().st_size, file.read())
    try:
        return _OPENERS[path.suffix](path)
    except ImportError as absent:
        why_not = f"the job environment holds no {absent.name}"
        return _Opened(_digest(path), (), 0, None, why_not)
    except Exception as broken:
        raise IntegrityError("MUNI-D535", "the model file does not open", type=type(broken).__name__) from broken


def _scores(opened: _Opened, probe: pa.Table | None, target: str | None) -> tuple[np.ndarray | None, str | None]:
    if opened.predict is None:
        return None, opened.why_not
    if probe is None:
        return None, "there are no rows to score"
    numeric = [
        field.name
        for field in probe.schema
        if field.name != target
        and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_boolean(field.type))
    ]
    named = opened.names if opened.names and set(opened.names) <= set(numeric) else numeric
    if len(named) != opened.width:
        return None, f"it takes {opened.width} features, and the probe has {len(numeric)} numeric columns"
    columns = [probe.column(name).cast(pa.float64()).to_numpy().astype(np.float64) for name in named]
    try:
        found = np.asarray(opened.predict(np.column_stack(columns)), np.float64)
    except Exception as broken:  # whatever a stranger's model does with the rows
        return None, f"it does not take the rows: {type(broken).__name__}"
    scores = np.ascontiguousarray(found[:, -1] if found.ndim == 2 else found)
    if scores.shape != (len(probe),):
        return None, f"it gives {found.shape} for {len(probe)} rows, and not a score for each"
    return (scores, None) if np.isfinite(scores).all() else (None, "its scores are not finite")


def _xgboost(path: Path) -> _Opened:
    xgboost = import_module("xgboost")
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(path.read_bytes()))
    names = list(booster.feature_names or [])

    def predict(matrix: np.ndarray) -> np.ndarray:
        rows = xgboost.DMatrix(matrix, feature_names=names or None, feature_types=booster.feature_types)
        found: np.ndarray = booster.predict(rows)
        return found

    return _Opened(Digest.of(bytes(booster.save_raw("ubj"))), names, booster.num_features(), predict)


def _lightgbm(path: Path) -> _Opened:
    lightgbm = import_module("lightgbm")
    booster = lightgbm.Booster(model_str=path.read_bytes().decode())
    text = _PARAMETER_LINES.sub("\n", booster.model_to_string())

    def predict(matrix: np.ndarray) -> np.ndarray:
        return np.asarray(booster.predict(matrix, num_threads=1))

    return _Opened(Digest.of(text.encode()), booster.feature_name(), booster.num_feature(), predict)


def _skops(path: Path) -> _Opened:
    skops = import_module("skops.io")
    estimator = skops.loads(path.read_bytes(), trusted=_TRUSTED)
    threads = [name for name in estimator.get_params() if name.rpartition("__")[2] == "n_jobs"]
    estimator.set_params(**dict.fromkeys(threads))
    ask = getattr(estimator, "predict_proba", None) or estimator.predict

    def predict(matrix: np.ndarray) -> np.ndarray:
        # A forest adds up its trees in the order in which its threads come back.
        with import_module("joblib").parallel_config(backend="sequential"):
            found: np.ndarray = ask(matrix)
        return found

    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    width = int(getattr(estimator, "n_features_in_", len(names)))
    return _Opened(_members(settled(skops.dumps(estimator))), names, width, predict)


def _members(data: bytes) -> dict[str, str]:
    """What a skops file holds, by name. Of an array of records each field counts, and the padding between them not."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".npy"):
                array = np.load(io.BytesIO(content), allow_pickle=False)
                fields = [array[field] for field in array.dtype.names or ()]
                content = str((array.dtype.descr, array.shape)).encode()
                content += b"".join(np.ascontiguousarray(field).tobytes() for field in fields or [array])
            found[name] = Digest.of(content)
    return found


def _onnx(path: Path) -> _Opened:
    """The graph without the words about it, with weights that lie in a file beside it.

    It is asked by ONNX Runtime on one thread where the environment holds it, else by the reference of the format.
    """
    onnx = import_module("onnx")
    model = onnx.load(str(path))
    for one in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.value_info):
        for words in ("doc_string", "metadata_props"):
            one.ClearField(words)
    for words in ("producer_name", "producer_version"):
        model.ClearField(words)
    data = model.SerializeToString(deterministic=True)
    constants = {one.name for one in model.graph.initializer}
    taken = [one for one in model.graph.input if one.name not in constants]
    shape = [size.dim_value for size in taken[0].type.tensor_type.shape.dim] if len(taken) == 1 else []
    if len(shape) != 2:
        return _Opened(Digest.of(data), (), 0, None, "the graph does not take one table of rows and columns")
    ask = _asked(model, data)
    kind = onnx.helper.tensor_dtype_to_np_dtype(taken[0].type.tensor_type.elem_type)

    def predict(matrix: np.ndarray) -> np.ndarray:
        rows = matrix.astype(kind)
        most = shape[0] or len(rows)  # a graph that was exported for so many rows takes no others
        short = -len(rows) % most
        padded = np.concatenate([rows, np.repeat(rows[-1:], short, axis=0)])
        pieces = [ask({taken[0].name: padded[at : at + most]}) for at in range(0, len(padded), most)]
        return np.concatenate([np.asarray(one).reshape(most, -1) for one in pieces])[: len(rows)]

    return _Opened(Digest.of(data), (), shape[1], predict)


def _asked(model: Any, data: bytes) -> Callable[[dict[str, np.ndarray]], Any]:
    """The last output of a graph, by its inputs."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        reference = import_module("onnx.reference").ReferenceEvaluator(model)
        return lambda given: reference.run(None, given)[-1]
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda given: session.run(None, given)[-1]


def _safetensors(path: Path) -> _Opened:
    """Names, types, shapes and bytes of all tensors, whatever their order in the file.

    Source: the safetensors format: eight bytes with the length of a JSON header, the header, the tensors.
    """
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= min(_HEADER, len(data) - 8):
        raise ValueError("the header is longer than the file")
    header = json.loads(data[8 : 8 + size])
    return _Opened([list(tensor) for tensor in _tensors(header, data[8 + size :])], (), 0, None)


def _tensors(header: dict[str, Any], body: bytes) -> Iterator[tuple[str, str, list[int], str]]:
    for name in sorted(header.keys() - {"__metadata__"}):
        start, end = header[name]["data_offsets"]
        if not 0 <= start <= end <= len(body):
            raise ValueError("a tensor lies outside of the file")
        yield name, header[name]["dtype"], header[name]["shape"], Digest.of(body[start:end])


_OPENERS: Final[dict[str, Callable[[Path], _Opened]]] = {
    ".ubj": _xgboost,
    ".json": _xgboost,
    ".txt": _lightgbm,
    ".skops": _skops,
    ".onnx": _onnx,
    _WEIGHTS: _safetensors,
}
