"""The verb of this folder. It imports the heavy modules it needs, so ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepupscale.errors import MissingExtraError, one_line

if TYPE_CHECKING:
    from export.exporter import Exported

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
    full: Annotated[
        bool, typer.Option("--full", help="Scene-linear light in and out, for other tools; the engine refuses it.")
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
    from export.exporter import Asked
    from export.exporter import export as run_it

    asked = Asked(
        checkpoint, out, name, model_version, licence, dataset, revision, iterations, report, full, overwrite
    )  # fmt: skip
    for line in summary(run_it(asked)):
        say(one_line(line))


def summary(done: Exported) -> list[str]:
    """What was written and verified, line by line."""
    from export.verify import LIMITS

    model, promise = done.model, done.model.promise
    training = promise.training
    lines = [
        f"{model.path}: {promise.name} {promise.model_version}, {len(model.data) / 2**20:.2f} MiB, "
        f"halo {promise.halo} as measured on the graph",
        f"trained on {training.dataset}: {training.iterations} iterations of code revision {training.code_revision}",
    ]
    if done.unknown:
        lines.append(f"unknown, as the promise says: {', '.join(done.unknown)}")
    lines += [f"measured {metric.name} {metric.value:g} {metric.unit} on {metric.pairs}" for metric in training.metrics]
    lines += [
        f"verified {check.precision} by {check.runtime}: largest error {check.largest:.1e} "
        f"(up to {LIMITS[check.precision].largest:.0e}), mean {check.mean:.1e}, slow ramp {check.ramp:.1e}"
        for check in done.checks
    ]
    return [*lines, f"sha256 {model.digest}"]
