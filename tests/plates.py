"""Plates made, and results looked at, with the OpenEXR module and by bytes: not by the engine's own reader."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression

exr = cast(Any, OpenEXR)
SHARED = Path(__file__).resolve().parents[2] / "shared"
Planes = dict[str, NDArray[Any]]


def picture(width: int = 24, height: int = 16, names: str = "RGB", seed: int = 0, dtype: Any = np.float16) -> Planes:
    """Smooth light with grain and one highlight, scene-linear; channel name to (height, width)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes: Planes = {}
    for i, name in enumerate(names):
        light = 0.18 + 0.1 * np.sin(x / (3.0 + i)) * np.cos(y / 4.0) + rng.normal(0.0, 0.01, (height, width))
        light[height // 2, width // 2] = 40.0
        planes[name] = (np.clip(x / width, 0.0, 1.0) if name == "A" else light).astype(dtype)
    return planes


def ids(width: int, height: int, seed: int = 0) -> NDArray[np.uint32]:
    """Ids over the whole range of 32 bits, most of them above 2**24 where float32 leaves gaps."""
    return np.random.default_rng(seed).integers(0, 1 << 32, (height, width), dtype=np.uint32)


def window(x: int, y: int, width: int, height: int) -> tuple[Any, Any]:
    """A header's window: inclusive corners."""
    return np.array([x, y], np.int32), np.array([x + width - 1, y + height - 1], np.int32)


def write_plate(path: Path, planes: Mapping[str, Any] | None = None, **header: Any) -> Path:
    """Write one part. Header attributes are given by name; windows default to the planes' size at 0, 0."""
    return write_parts(path, [(dict(header), planes if planes is not None else picture())])


def write_parts(path: Path, parts: Sequence[tuple[dict[str, Any], Mapping[str, Any]]]) -> Path:
    """Write parts, each a header and its planes (names to arrays or ``OpenEXR.Channel``)."""
    made = [
        exr.Part({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage, **header}, dict(planes))
        for header, planes in parts
    ]
    with exr.File(made) as file:
        file.write(str(path))
    return path


def write_sequence(
    folder: Path, numbers: Sequence[int], name: str = "shot", width: int = 24, height: int = 16
) -> list[Path]:
    """Plates that differ, one for each frame number."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_plate(folder / f"{name}.{n:04d}.exr", picture(width, height, seed=n)) for n in numbers]


def headers(path: Path) -> list[dict[str, Any]]:
    """Every part's header, the channel list left out."""
    with exr.File(str(path), header_only=True) as file:
        return [{k: v for k, v in dict(part.header).items() if k != "channels"} for part in file.parts]


def channel_names(path: Path) -> list[list[str]]:
    """Every part's channel names as the header lists them."""
    with exr.File(str(path), header_only=True) as file:
        return [[channel.name for channel in part.header["channels"]] for part in file.parts]


def pixels(path: Path) -> list[Planes]:
    """Every part's planes. The module drops a damaged part with only a warning: that is an error here."""
    with exr.File(str(path), separate_channels=True) as file:
        planes = [{name: np.array(channel.pixels) for name, channel in part.channels.items()} for part in file.parts]
    names = channel_names(path)
    assert [sorted(part) for part in planes] == [sorted(part) for part in names], f"{path} has damaged parts"
    return planes


def corners(header: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """A window as (x0, y0, x1, y1), inclusive."""
    low, high = header[name]
    return tuple(int(v) for v in (*low, *high))


Attributes = dict[str, tuple[str, bytes]]


def raw_headers(path: Path) -> list[Attributes]:
    """Every part's attributes as their bytes lie in the file: name to (type, value). No library takes part.

    OpenEXR file layout: magic, version and flags, then for each part attributes up to an empty name; a multi-part file
    (flag 0x1000) ends its headers with one more empty name.
    """
    data, at = path.read_bytes(), 8
    multipart = bool(int.from_bytes(data[4:8], "little") & 0x1000)
    found: list[Attributes] = []
    while True:
        part, at = _raw_header(data, at)
        if not part:
            return found
        found.append(part)
        if not multipart:
            return found


def _raw_header(data: bytes, at: int) -> tuple[Attributes, int]:
    part: Attributes = {}
    while data[at]:
        name, kind, _ = data[at : at + 1024].split(b"\0", 2)
        at += len(name) + len(kind) + 2
        size = int.from_bytes(data[at : at + 4], "little")
        part[name.decode("latin-1")] = (kind.decode("latin-1"), data[at + 4 : at + 4 + size])
        at += 4 + size
    return part, at + 1


def add_attribute(path: Path, name: str, kind: str, value: bytes) -> None:
    """Put an attribute of any type into the header of a one-part file; the chunk offsets behind it move along."""
    data = path.read_bytes()
    part, end = _raw_header(data, 8)
    chunks = (int.from_bytes(data[end : end + 8], "little") - end) // 8
    added = b"".join((name.encode(), b"\0", kind.encode(), b"\0", len(value).to_bytes(4, "little"), value))
    offsets = np.frombuffer(data, "<u8", chunks, end) + np.uint64(len(added))
    assert name not in part
    path.write_bytes(data[: end - 1] + added + b"\0" + offsets.tobytes() + data[end + 8 * chunks :])


# All that may differ in a header, each for its reason; the rest must be equal byte for byte.
MAY_DIFFER = {
    "preview",  # a thumbnail of the plate, lost
    "chunkCount",  # follows the height
    "deepupscale/settings",  # ours
    "xDensity",  # doubled: the physical size is kept
    "lineOrder",  # results are written from the top
    "dataWindow",  # doubled
    "displayWindow",  # doubled
    "channels",  # compared by the module: names, types, order
}
SINGLE_PART_ONLY = {"name", "type"}  # a single part needs no name and no type, and may be given its type
INCREASING_Y = b"\0"


def assert_headers_kept(source: Path, result: Path, *also_differing: str) -> None:
    """Parts in order; windows doubled; every attribute that may not differ equal in type and bytes."""
    before, after = raw_headers(source), raw_headers(result)
    assert [part.get("name") for part in after] == [part.get("name") for part in before]
    may_differ = MAY_DIFFER | set(also_differing) | (SINGLE_PART_ONLY if len(before) == 1 else set())
    for old, new in zip(before, after, strict=True):
        for name in ("dataWindow", "displayWindow"):
            a, b, c, d = struct.unpack("<4i", old[name][1])
            assert struct.unpack("<4i", new[name][1]) == (2 * a, 2 * b, 2 * c + 1, 2 * d + 1), name
        assert kept(new, may_differ) == kept(old, may_differ)
        assert new["lineOrder"][1] == INCREASING_Y
        assert new["deepupscale/settings"][0] == "string"
        if "xDensity" in old:
            assert struct.unpack("<f", new["xDensity"][1])[0] == 2 * struct.unpack("<f", old["xDensity"][1])[0]
        else:
            assert "xDensity" not in new
    assert [list_of_channels(part) for part in after] == [list_of_channels(part) for part in before]


def kept(part: Attributes, may_differ: set[str]) -> Attributes:
    return {name: value for name, value in part.items() if name not in may_differ}


def list_of_channels(part: Attributes) -> list[tuple[bytes, int, int, int]]:
    """Names, pixel types and samplings in file order, from the bytes of a ``chlist``."""
    data, found = part["channels"][1], []
    while len(data) > 1:
        name, _, rest = data.partition(b"\0")
        kind, x, y = struct.unpack("<i4xii", rest[:16])
        found.append((name, kind, x, y))
        data = rest[16:]
    return found


def assert_pixels_fit(source: Path, result: Path) -> list[Planes]:
    """The module reads every part; types are kept, sizes doubled, and every value lies near what was there."""
    before, after = pixels(source), pixels(result)
    assert len(after) == len(before) == len(headers(source)) == len(headers(result))
    for old, new in zip(before, after, strict=True):
        assert list(new) == list(old)
        for name, plane in old.items():
            assert new[name].dtype == plane.dtype, name
            assert new[name].shape == (2 * plane.shape[0], 2 * plane.shape[1]), name
            if name.rpartition(".")[2] in ("R", "G", "B", "A"):
                assert_near(plane, new[name], name)
    return after


def assert_near(plane: Any, doubled: Any, name: str) -> None:
    """No doubled pixel strays far from the values around it: one channel or row off by one would."""
    curve = RangeCompression()
    wide = np.nan_to_num(plane.astype(np.float32), nan=0.0, posinf=65504.0, neginf=-65504.0)
    size = np.pad(curve.compress(wide), 6, mode="edge")
    # A correction reaches as far as the steps between the 49 pixels around; NaN is filled from two pixels further.
    reach = range(13) if not np.isfinite(plane).all() else range(3, 10)
    shifted = [size[y : y + plane.shape[0], x : x + plane.shape[1]] for y in reach for x in reach]
    low, high = np.min(shifted, axis=0), np.max(shifted, axis=0)
    slack = 2.4 * (high - low) + 0.002
    found = curve.compress(doubled.astype(np.float32)).reshape(plane.shape[0], 2, plane.shape[1], 2)
    found = found.transpose(1, 3, 0, 2)
    assert np.isfinite(found).all(), name
    assert (found >= low - slack).all(), name
    assert (found <= high + slack).all(), name
