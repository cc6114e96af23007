"""Checkpoints that others read: averaged weights as safetensors, with the network's size in the file's metadata."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from model.networks import ResidualGenerator


def load_generator(checkpoint: Path) -> ResidualGenerator:
    """The generator of an ``ema.safetensors``, ready to evaluate."""
    with safe_open(checkpoint, framework="pt") as file:
        size = file.metadata() or {}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    network = ResidualGenerator(width=int(size["width"]), blocks=int(size["blocks"]))
    network.load_state_dict(weights)
    return network.eval()
