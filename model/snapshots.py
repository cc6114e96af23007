"""Snapshots of a training run: everything that a resume needs, whole or not at all, the last few kept.

    checkpoints/step_0001000/
        generator.safetensors     one file a group of tensors; ``ema`` is what gets exported
        ema.safetensors
        optimiser.safetensors
        state.json                step, counts, what is not a tensor

A snapshot is written beside its place, synced and renamed, so a killed run or a full disk leaves the one before.
Tensors are read by safetensors and the state as JSON: nothing in a snapshot can run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from deepupscale.errors import ModelError, WriteError

Groups = dict[str, dict[str, Tensor]]
_STATE = "state.json"
_STEP = re.compile(r"step_(\d{7,12})")
_LARGEST_STATE = 64 << 20  # bytes


def write(
    folder: Path,
    step: int,
    groups: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    keep: int = 3,
) -> Path:
    """Write a snapshot and remove the oldest beyond ``keep``.

    Args:
        folder: Of all snapshots; made if it is not there.
        step: Steps done.
        groups: Group name to tensors by name. Tensors may be on any device and in any layout.
        state: JSON-ready values.
        metadata: Strings for every file's header, such as a network's name and shape.
        keep: How many snapshots stay, this one included; at least 1.

    Returns:
        The snapshot.

    Raises:
        WriteError: It cannot be written; older ones are untouched and nothing of it is left.
    """
    place = folder / f"step_{step:07d}"
    temporary = folder / f".{place.name}.{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, tensors in groups.items():
            _save(temporary / f"{name}.safetensors", tensors, metadata)
        (temporary / _STATE).write_text(json.dumps({**state, "step": step}, allow_nan=False) + "\n", encoding="utf-8")
        for file in temporary.iterdir():
            _finish(file)
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        raise WriteError(f"{place}: cannot be written: {error}: is the disk full?") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in steps(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def write_tensors(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write one safetensors file, whole or not at all; what lies there is replaced.

    Raises:
        WriteError: It cannot be written; what was there is untouched.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _save(temporary, tensors, metadata)
        _finish(temporary)
        temporary.replace(file)
        _sync(file.parent)
    except (OSError, SafetensorError) as error:
        raise WriteError(f"{file}: cannot be written: {error}: is the disk full?") from None
    finally:
        temporary.unlink(missing_ok=True)


def steps(folder: Path) -> list[Path]:
    """All whole snapshots of a folder, oldest first."""
    found = [p for p in folder.glob("step_*") if _STEP.fullmatch(p.name) and (p / _STATE).is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))


def last_weights(run: Path) -> Path:
    """The averaged weights of a run's last snapshot: what is evaluated, exported and pruned.

    Raises:
        ModelError: The folder holds no snapshot.
    """
    whole = steps(run / "checkpoints")
    if not whole:
        raise ModelError(f"{run}: is a folder without checkpoints: name a model file or a training run")
    return whole[-1] / "ema.safetensors"


def read(place: Path) -> tuple[Groups, dict[str, Any]]:
    """A snapshot's groups of tensors, on the CPU, and its state.

    Raises:
        ModelError: A file is missing, truncated or of another kind.
    """
    try:
        if (place / _STATE).stat().st_size > _LARGEST_STATE:
            raise ModelError(f"{place / _STATE}: is too large for a snapshot's state")
        state = json.loads((place / _STATE).read_text(encoding="utf-8"))
        if not isinstance(state, dict) or not isinstance(state.get("step"), int):
            raise ModelError(f"{place / _STATE}: is no state of a snapshot")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{place}: is no whole snapshot: {error}") from None
    groups: Groups = {}
    for file in sorted(place.glob("*.safetensors")):
        try:
            groups[file.stem] = load_file(file)
        except (OSError, SafetensorError, ValueError) as error:
            raise ModelError(f"{file}: is damaged or no safetensors file: {error}") from None
    return groups, state


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments and counts as flat tensors, ``parameter.moment``."""
    flat: dict[str, Tensor] = {}
    for index, moments in optimiser.state_dict()["state"].items():
        flat |= {f"{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    return flat


def restore_optimiser(optimiser: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`optimiser_tensors`; the settings of the groups stay as they are.

    Raises:
        ModelError: They are another network's.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in flat.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or not name:
            raise ModelError(f"the optimiser's tensor {key!r} has no place: the snapshot is another program's")
        state.setdefault(int(index), {})[name] = tensor
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, moments in state.items():
        shapes = {tuple(t.shape) for t in moments.values() if t.ndim}
        if index >= len(parameters) or shapes - {tuple(parameters[index].shape)}:
            raise ModelError("the optimiser's tensors do not fit the network: the snapshot is another configuration's")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _save(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> None:
    ready = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    save_file(ready, file, dict(metadata or {}))


def _finish(file: Path) -> None:
    file.chmod(0o644)  # safetensors makes files that only their owner may read
    _sync(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
