"""Pairs and stores for tests: arrays with every kind of value, and folders of EXR files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plates import write_plate

from deepupscale.fields import Kind
from model.pixel_filters import blackman_harris, reduce_whole
from model.store_format import FieldSpec
from model.store_writer import StoreWriter

Planes = dict[str, NDArray[Any]]
Pair = tuple[str, Planes, Planes]

RGB = FieldSpec(name="rgb", kind=Kind.COLOUR, channels=("R", "G", "B"), dtype="half")
NORMAL = FieldSpec(name="N", kind=Kind.UNIT_VECTOR, channels=("X", "Y", "Z"), dtype="half")
DEPTH = FieldSpec(name="Z", kind=Kind.DISTANCE, channels=("Z",), dtype="float")
ALBEDO = FieldSpec(name="albedo", kind=Kind.COLOUR, channels=("R", "G", "B"), dtype="half")
ALPHA = FieldSpec(name="alpha", kind=Kind.ALPHA, channels=("A",), dtype="half")
FORWARD = FieldSpec(name="forward", kind=Kind.MOTION, channels=("u", "v"), dtype="float")
ALL = (RGB, NORMAL, DEPTH, ALBEDO, ALPHA, FORWARD)


def finite_bits(shape: tuple[int, ...], dtype: str, seed: int) -> NDArray[Any]:
    """Arrays of any bits that are finite numbers: subnormals, negatives, -0, the largest."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 256, (*shape, 2 if dtype == "half" else 4), dtype=np.uint8)
    values = bits.view("<f2" if dtype == "half" else "<f4")[..., 0]
    return np.where(np.isfinite(values), values, values.dtype.type(-0.0))


def noise_pair(name: str, width: int, height: int, fields: Sequence[FieldSpec] = (RGB,), seed: int = 0) -> Pair:
    """A pair of any bits; the size is LR's."""
    low, high = (
        {
            field.name: finite_bits(
                (scale * height, scale * width, len(field.channels)), field.dtype, seed + 10 * scale
            )
            for field in fields
        }
        for scale in (1, 2)
    )
    return name, low, high


def make_store(path: Path, pairs: Sequence[Pair], fields: Sequence[FieldSpec] = (RGB,), **options: Any) -> Path:
    """A store of these pairs."""
    with StoreWriter(path, fields, **options) as writer:
        for name, low, high in pairs:
            assert writer.add(name, "folder", "pairs", low, high) is not None
    return path


def scene(width: int, height: int, seed: int = 0) -> NDArray[np.float32]:
    """Soft shapes and edges, scene-linear, (height, width, 3): something that two renders can agree on."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.zeros((height, width, 3), np.float32) + 0.05
    for _ in range(12):
        cx, cy, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(4, 20)
        inside = np.clip(radius - np.hypot(x - cx, y - cy), 0.0, 1.0)[:, :, None]
        picture = picture * (1 - inside) + rng.uniform(0.02, 3.0, 3).astype(np.float32) * inside
    return picture.astype(np.float16).astype(np.float32)


def halved(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture at half its size, as a renderer's filter would have it."""
    return reduce_whole(picture, blackman_harris(), 2)


def write_rgb(path: Path, rgb: NDArray[Any], more: Mapping[str, Any] | None = None, **header: Any) -> Path:
    """An EXR of half R, G, B and what ``more`` adds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = {name: np.ascontiguousarray(rgb[:, :, i], np.float16) for i, name in enumerate("RGB")}
    return write_plate(path, {**planes, **(more or {})}, **header)


def aov_planes(width: int, height: int) -> dict[str, NDArray[Any]]:
    """All AOVs that render-pairs writes, a cryptomatte among them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    half, full = (x / width).astype(np.float16), y + 1.0
    return {
        "A": half, "Z": np.where(x < 3, np.float32(1e10), full), "N.X": half, "N.Y": -half, "N.Z": half,
        "albedo.R": half, "albedo.G": half * np.float16(0.5), "albedo.B": half, "forward.u": full, "forward.v": -full,
        "backward.u": -full, "backward.v": full, "CryptoObject00.R": full, "CryptoObject00.G": full,
        "CryptoObject00.B": full, "CryptoObject00.A": full,
    }  # fmt: skip


def pair_folder(folder: Path, names: Sequence[str] = ("a", "b"), aovs: bool = False, seed: int = 0) -> Path:
    """A studio's folder: lr/ and hr/ of coherent pairs, LR 40x32."""
    for number, name in enumerate(names):
        high = scene(80, 64, seed + number)
        write_rgb(folder / "hr" / f"{name}.exr", high, aov_planes(80, 64) if aovs else None)
        write_rgb(folder / "lr" / f"{name}.exr", halved(high), aov_planes(40, 32) if aovs else None)
    return folder


def record(folder: Path, name: str, status: str = "accepted", **changes: Any) -> str:
    """A line of a manifest."""
    low, high = f"lr/{name}.exr", f"hr/{name}.exr"
    digests = {
        level: hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for level, path in (("lr", low), ("hr", high))
        if (folder / path).exists()
    }
    found = {
        "name": name, "status": status, "reason": "shifted" if status == "rejected" else "", "lr": low, "hr": high,
        "size": [40, 32], "scene": {"kind": "test"}, "render": {}, "coherence": {}, "digest": digests,
    }  # fmt: skip
    return json.dumps({**found, **changes}) + "\n"


def rendered_folder(folder: Path, names: Sequence[str] = ("s.0001", "s.0002"), rejected: Sequence[str] = ()) -> Path:
    """What render-pairs makes, with AOVs."""
    pair_folder(folder, (*names, *rejected), aovs=True)
    lines = [record(folder, name) for name in names] + [record(folder, name, "rejected") for name in rejected]
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder
