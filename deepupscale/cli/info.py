"""``deepupscale info``: a model's promise, for people and for scripts."""

from __future__ import annotations

import json

from deepupscale.cli.output import say
from deepupscale.errors import one_line
from deepupscale.model_file import load_model
from deepupscale.promise import Input, LogTransfer, Output


def show_model(asked: str | None, as_json: bool) -> None:
    """Print the promise of a model: a name, a file, or None for the default.

    Raises:
        ModelError: Not a model of ours.
    """
    model = load_model(asked)
    promise = model.promise
    if as_json:
        say(json.dumps(json.loads(promise.to_json()), indent=2))
        return
    rows = [
        ("model", f"{promise.name} {promise.model_version}"),
        ("file", str(model.path)),
        ("sha256", model.digest),
        ("task", f"{promise.task}, {promise.rank} dimensions"),
        ("licence", promise.licence),
        *(("input", _tensor(tensor)) for tensor in promise.inputs),
        *(("output", _tensor(tensor)) for tensor in promise.outputs),
        ("precision", f"{promise.precision} inside the graph"),
        ("halo", f"{promise.halo} pixels; sides a multiple of {promise.multiple}"),
        ("trained on", promise.training.dataset),
        ("trained by", f"{promise.training.iterations} iterations of code revision {promise.training.code_revision}"),
        *(("measured", f"{m.name} {m.value:g} {m.unit} on {m.pairs}") for m in promise.training.metrics),
        *(
            ("verified", f"{v.precision} by {v.runtime}: largest error {v.max_error:.1e} in the transfer's range")
            for v in promise.verified
        ),
    ]
    for name, value in rows:
        say(f"{name:<11} {one_line(value)}")


def _tensor(tensor: Input | Output) -> str:
    transfer = tensor.transfer
    curve = f"log (k {transfer.k:g}, mu {transfer.mu:g})" if isinstance(transfer, LogTransfer) else transfer.kind
    text = f"{tensor.name}: {tensor.field} {', '.join(tensor.channels)}, transfer {curve}, {tensor.scale}x"
    if isinstance(tensor, Input):
        return text + (f", frames {list(tensor.frames)}" if tensor.frames != (0,) else "")
    return text + (f", residual over {tensor.residual_over} ({tensor.interpolation})" if tensor.residual_over else "")
