"""Jobs: which pairs are to be rendered, and how. Everything about a pair follows from its settings and its name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepupscale.errors import UsageError
from render.scenes import kind_of

AOVS = ("depth", "normal", "albedo", "motion", "alpha", "cryptomatte")
DEVICES = ("cpu", "cuda", "optix", "hip", "oneapi", "metal")
GENERATOR = 1  # raised when the same seed makes other scenes than before
MIDDLE = 12  # the frame of a generated shot that is rendered unless frames are named


@dataclass(frozen=True)
class Settings:
    """How pairs are rendered.

    Attributes:
        size: Width and height of the LR render in pixels; HR is twice that.
        samples: Paths a pixel, in both.
        denoise: Clean both with OpenImageDenoise.
        aovs: Of :data:`AOVS`.
        as_float: Write colour in 32 bits rather than in half.
        seed: Of the scenes and of the sampling.
        device: What Cycles computes on, of :data:`DEVICES`; another one gives other rounding and other noise.
    """

    size: tuple[int, int] = (640, 360)
    samples: int = 64
    denoise: bool = True
    aovs: tuple[str, ...] = ()
    as_float: bool = False
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise UsageError(f"--device {self.device}: use {', '.join(DEVICES)}")
        if unknown := [name for name in self.aovs if name not in AOVS]:
            raise UsageError(f"--aovs {unknown[0]}: no such AOV: use {', '.join(AOVS)}")
        if min(self.size) < 16 or max(self.size) > 16384:
            raise UsageError(f"--size {self.size[0]}x{self.size[1]}: sides must be from 16 to 16384 pixels")


@dataclass(frozen=True)
class Job:
    """One pair to be rendered.

    Attributes:
        name: Scene and frame; the files' stem.
        scene: What the worker is asked for.
        frame: Frame number.
        described: What the manifest says of the scene before it is built.
    """

    name: str
    scene: dict[str, Any]
    frame: int
    described: dict[str, Any]


def generated_jobs(scenes: int, frames: Sequence[int], kinds: tuple[str, ...], settings: Settings) -> list[Job]:
    """Jobs for scenes 0 to ``scenes`` - 1 of the generator."""
    jobs: list[Job] = []
    for index in range(scenes):
        kind = kind_of(settings.seed, index, kinds)
        scene = {"kind": kind, "seed": settings.seed, "index": index, "size": list(settings.size)}
        described = {"source": "generated", "generator": GENERATOR, "kind": kind, "seed": settings.seed, "index": index}
        jobs += [Job(f"scene{index:05d}.{f:04d}", scene, f, {**described, "frame": f}) for f in frames]
    return jobs


def blend_jobs(file: Path, camera: str | None, frames: Sequence[int], probed: dict[str, Any]) -> list[Job]:
    """Jobs for frames of a .blend file; ``probed`` is the worker's answer about it."""
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in file.stem)[:100] or "blend"
    stem = stem if stem[0].isalnum() else f"b{stem}"
    scene = {"blend": str(file.resolve()), "camera": camera}
    described = {"source": "blend", "kind": "blend", "file": file.name, "digest": digest(file)}
    described["camera"] = probed["camera"]
    return [Job(f"{stem}.{f:04d}", scene, f, {**described, "frame": f}) for f in frames]


def picture_of(settings: Settings, path: Path, factor: int, seed: int, threads: int) -> dict[str, Any]:
    """What the worker is asked for one picture of a pair; see `render.cycles.Render`.

    Args:
        settings: Of the pair.
        path: The multilayer file to write.
        factor: 1 for LR, 2 for HR.
        seed: Of the sampling noise.
        threads: CPU threads.
    """
    passes = [name for name in AOVS if name in settings.aovs and name != "alpha"]
    if not {"albedo", "motion"}.isdisjoint(passes) and "depth" not in passes:
        passes.append("depth")  # tells where nothing is
    return {
        "path": str(path.resolve()),
        "width": settings.size[0] * factor,
        "height": settings.size[1] * factor,
        "factor": factor,
        "samples": settings.samples,
        "seed": seed,
        "denoise": settings.denoise,
        "passes": passes,
        "transparent": "alpha" in settings.aovs,
        "threads": threads,
        "device": settings.device,
    }


def asked_of(settings: Settings, name: str) -> dict[str, Any]:
    """What the manifest says was asked for; equal where a finished pair need not be rendered again."""
    return {
        "samples": settings.samples,
        "denoise": settings.denoise,
        "aovs": [aov for aov in AOVS if aov in settings.aovs],
        "type": "float" if settings.as_float else "half",
        "device": settings.device,
        "seeds": [sampling_seed(settings.seed, name, factor) for factor in (1, 2)],
    }


def sampling_seed(seed: int, name: str, factor: int) -> int:
    """Seed of Cycles' noise for one render of a pair: never the same for both."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}/{factor}".encode()).digest()[:4], "big") >> 1


def digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
