"""Where weights come from: a checkpoint, or the folder of a training run with what it wrote down about itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepupscale.errors import ModelError, UsageError

UNKNOWN = "unknown"
_LARGEST_DOCUMENT = 1 << 20  # bytes


@dataclass(frozen=True)
class Provenance:
    """What is known of a checkpoint.

    Attributes:
        checkpoint: The safetensors file of averaged weights.
        name: What the run calls its model; "unknown" for a bare checkpoint.
        dataset: What was learnt from, or its id; or "unknown".
        revision: Of the training code; or "unknown".
        iterations: Steps done; None if unknown.
    """

    checkpoint: Path
    name: str = UNKNOWN
    dataset: str = UNKNOWN
    revision: str = UNKNOWN
    iterations: int | None = None


def provenance_of(source: Path) -> Provenance:
    """Find the weights, and what the run says of them.

    Args:
        source: A safetensors file, of which nothing is known, or a run's folder, whose last checkpoint is taken.

    Raises:
        UsageError: Neither.
        ModelError: A run without a checkpoint, or one whose documents are damaged.
    """
    if not _is_folder(source):
        if source.suffix.lower() != ".safetensors":
            raise UsageError(f"{source}: name a .safetensors file, or the folder of a training run")
        return Provenance(source)
    from model import snapshots

    weights = snapshots.last_weights(source)
    environment, state = _document(source / "environment.json"), _document(weights.with_name("state.json"))
    step = state.get("step")
    return Provenance(
        weights,
        _name(source / "config.yaml"),
        _text(environment, "dataset"),
        _text(environment, "revision"),
        step if type(step) is int and step >= 0 else None,
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _name(config: Path) -> str:
    import yaml

    return _text(_read(config, yaml.safe_load, yaml.YAMLError), "name")


def _document(file: Path) -> dict[str, Any]:
    return _read(file, json.loads, ValueError)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) and value else UNKNOWN


def _read(file: Path, parse: Callable[[str], Any], wrong: type[Exception]) -> dict[str, Any]:
    """A mapping; empty where there is no such file, as after a kill in a run's first moments."""
    try:
        if not file.exists():
            return {}
        if file.stat().st_size > _LARGEST_DOCUMENT:
            raise ModelError(f"{file}: is too large for what a run says of itself")
        found = parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, wrong) as error:
        raise ModelError(f"{file}: cannot be read: {error}: export the checkpoint by its own path instead") from None
    if not isinstance(found, dict):
        raise ModelError(f"{file}: holds no names with values: export the checkpoint by its own path instead")
    return found
