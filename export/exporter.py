"""From a checkpoint to a verified file: export, convert, measure, compare, write, read back.

Nothing is left of what fails.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import onnx
from pydantic import ValidationError

from deepupscale.errors import FrameError, ModelError, UsageError
from deepupscale.model_file import ModelFile
from deepupscale.promise import GraphPrecision, Metric, Promise, Training
from deepupscale.temporary import check_target, writer
from export.calibration import Calibration, calibration
from export.full import full_graph, full_halo, full_tensors
from export.graph import check_graph, export_graph, with_promise
from export.half import half_graph
from export.halo import measure_halo
from export.measurements import measurements
from export.provenance import UNKNOWN, Provenance, provenance_of
from export.quantise import quantised_graph
from export.verify import Check, check_written, verify
from model.checkpoint import load_generator
from model.networks import Generator
from model.torch_session import upscale_tensors

_SPARE = 4  # pixels beyond the network's own claim that a halo is looked for
_OPTION_OF = {
    "name": "--name", "model_version": "--model-version", "licence": "--licence", "training": "--dataset",
    "dataset": "--dataset", "code_revision": "--revision", "iterations": "--iterations", "metrics": "--report",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What to export; None takes what the run says, or "unknown".

    Attributes:
        source: A safetensors checkpoint, or the folder of a training run.
        out: The ``.onnx`` file to make.
        name: Of the model.
        model_version: Of the model.
        licence: Of the weights.
        dataset: What was learnt from, or its id.
        revision: Of the training code.
        iterations: Steps of training.
        report: An evaluation's report that measures this checkpoint, its folder or file.
        precision: What the graph computes in: ``f32``, ``f16`` or ``int8``.
        calibrate: The packed store that ``int8`` is calibrated on.
        full: Make the self-contained graph; ``f32`` only.
        overwrite: Replace the file if it exists.
    """

    source: Path
    out: Path
    name: str | None = None
    model_version: str = UNKNOWN
    licence: str = UNKNOWN
    dataset: str | None = None
    revision: str | None = None
    iterations: int | None = None
    report: Path | None = None
    precision: str = "f32"
    calibrate: Path | None = None
    full: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        model: The file.
        checks: What it was verified with.
        unknown: What the promise does not know, by the option that would say it; iterations are 0 then.
        calibrated_on: Id of the dataset of an int8 file; else empty.
    """

    model: ModelFile
    checks: tuple[Check, ...]
    unknown: tuple[str, ...]
    calibrated_on: str = ""


def export(asked: Asked) -> Exported:
    """Write a checkpoint as one verified ``.onnx`` file with a promise inside.

    Raises:
        UsageError: What is asked for cannot be, or the report does not measure this checkpoint.
        StoreError: The store cannot be calibrated on.
        ModelError: The checkpoint cannot be used, the graph fails a check, or the file cannot be written; no part of it
            is left, and a file of that name is as it was.
        MissingExtraError: ONNX Runtime is not installed.
    """
    out = asked.out
    check_target(out, ".onnx", asked.overwrite)
    precision = _precision(asked)
    drawn = calibration(asked.calibrate) if asked.calibrate is not None else None
    known = provenance_of(asked.source)
    network = load_generator(known.checkpoint)
    if (network.channels, network.scale) != (3, 2):
        raise ModelError(
            f"{known.checkpoint}: takes {network.channels} channels to {network.scale}x: only RGB to 2x can be exported"
        )
    metrics = () if asked.report is None else measurements(asked.report, _digest(known.checkpoint))
    promise = _promise(asked, known, network.receptive_radius, metrics)
    try:
        graph = export_graph(network)
        check_graph(with_promise(graph, promise), str(out))
        graph = _converted(graph, precision, drawn, str(out))
        promise = promise.model_copy(update={"precision": precision})
        core = _file(out, graph, promise)
        check_graph(core.data, str(out))
        _check_halo(core, network)
        if asked.full:
            taken, returned = full_tensors()
            halo = full_halo(promise.halo)
            promise = promise.model_copy(update={"inputs": (taken,), "outputs": (returned,), "halo": halo})
            graph = full_graph(graph, network.receptive_radius)
        checks = tuple(verify(network, _file(out, graph, promise), asked.full, drawn.others if drawn else ()))
        verified = tuple(check.verification() for check in checks)
        model = _file(out, graph, promise.model_copy(update={"verified": verified}))
        check_graph(model.data, str(out))
        _write(model)
    except FrameError as error:  # there is no frame here: what fails is the whole
        raise ModelError(f"{out}: {error}") from None
    return Exported(model, checks, _unknown(promise, asked, known), drawn.dataset if drawn else "")


def _precision(asked: Asked) -> GraphPrecision:
    precision = next((each for each in get_args(GraphPrecision) if each == asked.precision), None)
    if precision is None:
        raise UsageError(
            f"--precision {asked.precision}: use {', '.join(get_args(GraphPrecision))} "
            "(bf16 is for an f32 file to be run in)"
        )
    if precision == "int8" and asked.calibrate is None:
        raise UsageError("--precision int8: needs --calibrate STORE, the packed store to measure ranges on")
    if precision != "int8" and asked.calibrate is not None:
        raise UsageError(f"--calibrate {asked.calibrate}: is for --precision int8, not {precision}")
    if precision != "f32" and asked.full:
        raise UsageError(f"--full: is for --precision f32, not {precision}: its range compression needs the digits")
    return precision


def _converted(
    graph: onnx.ModelProto, precision: GraphPrecision, drawn: Calibration | None, source: str
) -> onnx.ModelProto:
    """The float32 graph in the precision asked for."""
    if drawn is not None:
        return quantised_graph(graph, drawn.patches, source)
    return half_graph(graph, source) if precision == "f16" else graph


def _promise(asked: Asked, known: Provenance, halo: int, metrics: tuple[Metric, ...]) -> Promise:
    """The promise of the network alone, with the halo that it claims and nothing verified yet."""
    taken, returned = upscale_tensors()
    iterations = known.iterations if asked.iterations is None else asked.iterations
    try:
        return Promise(
            task="upscale",
            name=known.name if asked.name is None else asked.name,
            model_version=asked.model_version,
            licence=asked.licence,
            inputs=(taken,),
            outputs=(returned,),
            halo=halo,
            training=Training(
                dataset=known.dataset if asked.dataset is None else asked.dataset,
                code_revision=known.revision if asked.revision is None else asked.revision,
                iterations=iterations or 0,
                metrics=metrics,
            ),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][-1]) if first["loc"] else "document"
        what = _OPTION_OF.get(field, field)
        raise UsageError(f"{what}: {first['msg']}: the promise cannot say that") from None


def _unknown(promise: Promise, asked: Asked, known: Provenance) -> tuple[str, ...]:
    said = {
        "--name": promise.name, "--model-version": promise.model_version, "--licence": promise.licence,
        "--dataset": promise.training.dataset, "--revision": promise.training.code_revision,
    }  # fmt: skip
    missing = [option for option, value in said.items() if value == UNKNOWN]
    return tuple(missing + ["--iterations"] * (asked.iterations is None and known.iterations is None))


def _file(out: Path, graph: onnx.ModelProto, promise: Promise) -> ModelFile:
    """The file as it would be written."""
    data = with_promise(graph, promise)
    return ModelFile(out, promise, data, hashlib.sha256(data).hexdigest())


def _check_halo(core: ModelFile, network: Generator) -> None:
    measured, claimed = measure_halo(core, network.receptive_radius + _SPARE), network.receptive_radius
    if measured != claimed:
        raise ModelError(
            f"{core.path}: the graph looks {measured} pixels far, the network {network.kind} claims {claimed}: "
            "its receptive radius or its export is wrong"
        )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _write(model: ModelFile) -> None:
    """Write a file whole, read it back, and give it its name."""
    temporary = model.path.with_name(f".{model.path.name}.writing-{writer()}")
    try:
        with temporary.open("wb") as file:
            file.write(model.data)
            file.flush()
            os.fsync(file.fileno())
        check_written(temporary, model)
        os.replace(temporary, model.path)
    except OSError as error:
        raise ModelError(f"{model.path}: cannot be written: {error.strerror or error}: is the disk full?") from None
    finally:
        temporary.unlink(missing_ok=True)
