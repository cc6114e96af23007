"""The verb of this folder. It imports the heavy modules it needs, so ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepupscale.errors import MissingExtraError, UsageError, one_line

if TYPE_CHECKING:
    from export.exporter import Exported
    from export.torchscript import Exported as Script

UNKNOWN = "unknown"
_PACKAGES = ("onnx", "onnxruntime", "onnxscript", "safetensors", "torch", "yaml")


def register(app: typer.Typer) -> None:
    """Add the verb to a command."""
    app.command()(export)


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A .safetensors file, or the folder of a training run."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file to make.")],
    name: Annotated[str | None, typer.Option(help="The model's name; a run's own if left out.")] = None,
    model_version: Annotated[str, typer.Option(help="The model's version.")] = UNKNOWN,
    licence: Annotated[str, typer.Option(help="The licence of the weights.")] = UNKNOWN,
    dataset: Annotated[
        str | None, typer.Option(help="What was learnt from, or its id; a run's own if left out.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Revision of the training code; a run's own if left out.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=0, help="Steps of training; a run's own if left out.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR|FILE", help="Take the figures of this checkpoint out of an evaluation's report."),
    ] = None,
    precision: Annotated[str, typer.Option(help="What the graph computes in: f32, f16 or int8.")] = "f32",
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="The packed store whose patches int8 is calibrated on; needed for int8."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Scene-linear light in and out, for other tools; the engine refuses it.")
    ] = False,
    torchscript: Annotated[
        bool, typer.Option("--torchscript", help="A .pt for Nuke's own Inference node, without a promise.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Export a trained network as one verified .onnx file with a promise inside.

    Of a run's folder the last averaged weights are taken. A file that fails a check is not written.
    """
    from importlib.util import find_spec

    from deepupscale.cli.output import say

    for module in _PACKAGES:
        if find_spec(module) is None:
            raise MissingExtraError("deepupscale export", module, "export")
    if torchscript:
        told = {
            "--name": name, "--model-version": model_version != UNKNOWN, "--licence": licence != UNKNOWN,
            "--dataset": dataset, "--revision": revision, "--iterations": iterations is not None, "--report": report,
            "--precision": precision != "f32", "--calibrate": calibrate, "--full": full,
        }  # fmt: skip
        if given := [option for option, value in told.items() if value]:
            raise UsageError(f"--torchscript: holds no promise, computes in float32, and takes no {given[0]}")
        from export.torchscript import export_torchscript

        for line in torchscript_summary(export_torchscript(checkpoint, out, overwrite)):
            say(one_line(line))
        return
    from export.exporter import Asked
    from export.exporter import export as run_it

    asked = Asked(
        checkpoint, out, name, model_version, licence, dataset, revision, iterations, report, precision, calibrate,
        full, overwrite,
    )  # fmt: skip
    for line in summary(run_it(asked)):
        say(one_line(line))


def torchscript_summary(done: Script) -> list[str]:
    """What was written and verified, line by line."""
    from export.torchscript import LARGEST_ERROR, LARGEST_HALF_ERROR

    return [
        f"{done.path}: {done.size / 2**20:.2f} MiB, TorchScript format {done.version}, "
        f"{len(done.operations)} kinds of operations, all in PyTorch 1.12",
        f"verified against the engine: largest error {done.error:.1e} (up to {LARGEST_ERROR:.0e}), "
        f"in half {done.half_error:.1e} (up to {LARGEST_HALF_ERROR:.0e})",
        f"sha256 {done.digest}",
    ]


def summary(done: Exported) -> list[str]:
    """What was written and verified, line by line."""
    from export.verify import FLIP_LIMIT

    model, promise = done.model, done.model.promise
    training = promise.training
    lines = [
        f"{model.path}: {promise.name} {promise.model_version} in {promise.precision}, "
        f"{len(model.data) / 2**20:.2f} MiB, halo {promise.halo} as measured on the graph",
        f"trained on {training.dataset}: {training.iterations} iterations of code revision {training.code_revision}",
    ]
    if done.unknown:
        lines.append(f"unknown, as the promise says: {', '.join(done.unknown)}")
    lines += [f"measured {metric.name} {metric.value:g} {metric.unit} on {metric.pairs}" for metric in training.metrics]
    lines += [
        f"verified {check.precision} by {check.runtime}: largest error {check.largest:.1e} "
        f"(up to {check.limit.largest:.0e}), mean {check.mean:.1e}, slow ramp {check.ramp:.1e}"
        + ("" if check.flip is None else f", HDR-FLIP {check.flip:.1e} on the store (up to {FLIP_LIMIT:.0e})")
        for check in done.checks
    ]
    if done.calibrated_on:
        lines.append(f"calibrated on patches of dataset {done.calibrated_on}")
    return [*lines, f"sha256 {model.digest}"]
