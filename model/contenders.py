"""Contenders of an evaluation: whatever doubles a picture, by a name, behind one call."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import MissingExtraError, ModelError, UsageError, one_line
from deepupscale.model_file import load_model
from deepupscale.model_store import Store, find, is_name, scan
from deepupscale.resample import pad
from deepupscale.session import open_session
from deepupscale.upscaler import Upscaler
from model.baselines import BASELINES

Float32 = NDArray[np.float32]
Double = Callable[[Float32], Float32]

DEFAULT_MODEL = "default"
STANDARD = ("bicubic", "lanczos3", "nuke-lanczos6", "tviscale", "tviscale:lambda=500", "bicubic-compressed")
TILE = 256  # LR pixels; keeps the memory of large pictures in bounds
_LABEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9 ._+-]{0,39})=(.+)")


@dataclass(frozen=True)
class Contender:
    """Something that doubles pictures.

    Attributes:
        name: As tables show it; no two of an evaluation share one.
        kind: "baseline" or "model".
        double: (height, width, 3) to (2 height, 2 width, 3), both float32 and scene-linear.
        source: The model's file; empty for a baseline.
        digest: SHA-256 of that file.
        runs: What it runs on; empty for a baseline.
    """

    name: str
    kind: str
    double: Double
    source: str = ""
    digest: str = ""
    runs: str = ""


def baseline(text: str) -> Contender:
    """A baseline by name, with parameters after a colon, as in ``tviscale:lambda=500,iterations=20``.

    Raises:
        UsageError: No such baseline, no such parameter, or no number.
    """
    name, colon, rest = text.partition(":")
    if name not in BASELINES:
        raise UsageError(f"--baseline {text}: there is no such baseline: use {', '.join(BASELINES)} or none")
    method = BASELINES[name]
    taken = list(inspect.signature(method).parameters.values())[1:]
    defaults = {each.name.rstrip("_"): each for each in taken}
    given: dict[str, int | float] = {}
    for part in rest.split(",") if colon else []:
        key, _, value = part.partition("=")
        if key not in defaults:
            known = ", ".join(defaults) or "none"
            raise UsageError(f"--baseline {text}: {name} has no parameter {key!r}; its parameters: {known}")
        try:
            given[defaults[key].name] = type(defaults[key].default)(value)
        except ValueError:
            raise UsageError(f"--baseline {text}: {key} must be a number, not {value!r}") from None
    try:
        method(np.zeros((2, 2, 3), np.float32), **given)
    except ValueError as error:
        raise UsageError(f"--baseline {text}: {error}") from None
    return Contender(text, "baseline", lambda lr: method(lr, **given))


def models(texts: Sequence[str], device: str = "auto", precision: str = "auto") -> list[Contender]:
    """Models: exported ones as the engine runs them, checkpoints by the engine's steps in PyTorch.

    Args:
        texts: Each ``M`` or ``NAME=M``; a name of the model store, as in ``default``, an ``.onnx`` file, a
            ``.safetensors`` file, or the folder of a training run, whose last averaged weights are taken. A path
            that is not named here is called by its shortest end that tells it from the others.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``f32``, ``bf16``, ``f16`` or ``int8``.

    Raises:
        UsageError: Two of one name, or what is neither a model's name nor a path that can be a model.
        ModelError: A file that is not a model of ours, a run without a checkpoint, or two different files of one name
            in the store.
        RuntimeUnavailableError: The device or precision is not to be had here.
        MissingExtraError: A checkpoint needs packages that are not installed.
    """
    store = scan()
    given: list[tuple[str, str, Path | None]] = []
    for text in texts:
        match = None if _is(Path.exists, text) else _LABEL.fullmatch(text)
        label, what = (match[1], match[2]) if match else ("", text)
        named = _by_name(what, store)
        given.append((label or (what if named else ""), what, named))
    if any(named for _, _, named in given):
        store.warn()
    labels = [label or _shortest(Path(what), [Path(other) for _, other, _ in given]) for label, what, _ in given]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise UsageError(f"--model: two are called {twice[0]}: name them as in --model mine=PATH")
    files = [named or _file(what) for _, what, named in given]
    return [_model(label, file, device, precision) for label, file in zip(labels, files, strict=True)]


def _by_name(text: str, store: Store) -> Path | None:
    """The file of a model of the store; None for a path, such as that of a folder here that no model is called as."""
    if not is_name(text) or text.lower().endswith(".safetensors"):
        return None
    if _is(Path.is_dir, text):
        if text not in store:
            return None
        if text != DEFAULT_MODEL:
            raise UsageError(
                f"--model {text}: is a model's name and a folder here: write .{os.sep}{text} for the folder, or the "
                "model's path, which deepupscale models --json shows"
            )
    try:
        return store.find(text)
    except ModelError as error:
        if text in store:
            raise
        raise UsageError(f"--model {error}; or name an .onnx or .safetensors file, or the folder of a run") from None


def _is(what: Callable[[Path], bool], text: str) -> bool:
    try:
        return what(Path(text))
    except OSError:  # too long for a path
        return False


def _file(text: str) -> Path:
    path = Path(text)
    if _is(Path.is_dir, text):
        from model.snapshots import last_weights

        return last_weights(path)
    if path.suffix.lower() not in (".onnx", ".safetensors"):
        raise UsageError(f"--model {path}: name an .onnx or .safetensors file, the folder of a run, or a model's name")
    return find(text) if path.suffix.lower() == ".onnx" else path


def _shortest(path: Path, among: Sequence[Path]) -> str:
    """The shortest end of a path that no other one has."""
    others = [other.parts for other in among if other != path]
    counts = range(1, len(path.parts) + 1)
    count = next((n for n in counts if all(other[-n:] != path.parts[-n:] for other in others)), len(path.parts))
    return one_line("/".join(path.parts[-count:])).replace("|", " ")


def _model(label: str, path: Path, device: str, precision: str) -> Contender:
    if path.suffix.lower() == ".onnx":
        model = load_model(path)
        session = open_session(model, device, precision)
    else:
        for module in ("torch", "safetensors"):
            if find_spec(module) is None:
                raise MissingExtraError(f"{path}: a checkpoint", module, "train")
        from model.checkpoint import load_generator
        from model.torch_session import TorchSession, as_model_file

        generator = load_generator(path)
        model = as_model_file(generator, path, hashlib.sha256(path.read_bytes()).hexdigest())
        session = TorchSession(generator, device, precision)
    upscaler = Upscaler(model, session)
    return Contender(
        label, "model", lambda lr: double_by_tiles(upscaler, lr), str(path), model.digest, str(session.choice)
    )


def double_by_tiles(upscaler: Upscaler, lr: Float32, tile: int = TILE) -> Float32:
    """A whole picture doubled, in tiles with their full context, so without seams.

    Args:
        upscaler: The engine's.
        lr: (height, width, 3), scene-linear, finite.
        tile: Side of a tile in LR pixels.

    Raises:
        InferenceError: The runtime gave up.
    """
    margin, (height, width) = upscaler.margin, lr.shape[:2]
    around = pad(lr, margin, margin, margin, margin)
    hr = np.empty((2 * height, 2 * width, lr.shape[2]), np.float32)
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            bottom, right = min(y + tile, height), min(x + tile, width)
            cut = np.ascontiguousarray(around[y : bottom + 2 * margin, x : right + 2 * margin])
            hr[2 * y : 2 * bottom, 2 * x : 2 * right] = upscaler.double_colour(cut)
    return hr
