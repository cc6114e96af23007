#!/usr/bin/env python3
"""Stands in for Blender under `render-pairs`: the same jobs and answers, pictures by formula, and accidents on demand.

The pictures are sums of waves too broad to alias, so both sizes show one scene; every scene has waves of its own.
FAKE_BLENDER names accidents as JSON: {"scene index": "crash" | "crash once" | "hang" | "error" | "shift" | "empty"}.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR as exr


def waves(index: int, width: int, height: int, shift: float) -> Any:
    """(height, width, 3) scene-linear; shift: of the content to the right, in shares of the width."""
    rng = np.random.default_rng(index)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width - shift, (np.arange(height) + 0.5) / width)
    total = np.zeros((height, width, 3))
    for _ in range(12):
        turn, period, phase = rng.uniform(0.0, np.pi), rng.uniform(0.12, 0.5), rng.uniform(0.0, 2.0 * np.pi)
        wave = np.sin(2.0 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period + phase)
        total += wave[:, :, None] * rng.uniform(0.2, 1.0, 3)
    return 0.18 * np.exp2(0.7 * total)


def write(picture: dict[str, Any], index: int, shift: float) -> None:
    width, height = picture["width"], picture["height"]
    noise = np.random.default_rng(picture["seed"]).normal(1.0, 0.01, (height, width, 1))
    colour = waves(index, width, height, shift) * noise
    planes = {f"ViewLayer.Combined.{c}": colour[:, :, i] for i, c in enumerate("RGB")}
    planes["ViewLayer.Combined.A"] = np.ones((height, width))
    flat = {"depth": {"Depth.Z": 5.0}, "normal": {"Normal.X": 0.0, "Normal.Y": -1.0, "Normal.Z": 0.0},
            "albedo": {f"Denoising Albedo.{c}": 0.5 for c in "RGB"},
            "motion": {"Vector.X": 1.0, "Vector.Y": 2.0, "Vector.Z": 3.0, "Vector.W": 4.0},
            "cryptomatte": {f"CryptoObject00.{c}": 1.0 for c in "rgba"}}  # fmt: skip
    for name in picture["passes"]:
        planes |= {f"ViewLayer.{channel}": np.full((height, width), value) for channel, value in flat[name].items()}
    header = {"compression": exr.NO_COMPRESSION, "type": exr.scanlineimage}
    if "cryptomatte" in picture["passes"]:
        header |= {"cryptomatte/542cafa/name": "ViewLayer.CryptoObject", "cryptomatte/542cafa/manifest": "{}"}
    with exr.File(header, {name: plane.astype(np.float32) for name, plane in planes.items()}) as file:
        file.write(picture["path"])


def answer(job: dict[str, Any]) -> dict[str, Any]:
    if "probe" in job:
        if "cameraless" in job["probe"]:
            return {"ok": False, "error": f"{job['probe']}: scene 'Scene' has no active camera: add one"}
        return {"ok": True, "camera": job["camera"] or "Camera", "frames": [1, 2], "missing": []}
    index = job["scene"].get("index", job["frame"])
    accident = json.loads(os.environ.get("FAKE_BLENDER", "{}")).get(str(index))
    for picture in job["pictures"]:
        path = Path(picture["path"])
        second = picture["factor"] == 2
        if accident == "error":
            return {"ok": False, "error": "ValueError: the scene cannot be built"}
        if second and (accident == "crash" or (accident == "crash once" and not path.with_name("once").exists())):
            path.with_name("once").touch()
            sys.stderr.write("Segmentation fault in a shader\n")
            sys.stderr.flush()
            os._exit(11)
        if second and accident == "hang":
            time.sleep(600.0)
        write(picture, index, 0.02 if second and accident == "shift" else 0.0)
        if second and accident == "empty":
            path.write_bytes(b"")
    identity = np.eye(3).tolist()
    views = {"rotation": [[1, 0, 0], [0, 0, 1], [0, -1, 0]], "directions": [identity] * 3}
    return {"ok": True, "views": views, "motion_blur": False, "separate_motion": False, "notes": {"waves": 12},
            "blender": "4.5.0 fake"}  # fmt: skip


def main() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # only Blender's disk
    delay = float(os.environ.get("FAKE_BLENDER_SECONDS", "0"))
    for line in sys.stdin:
        job = json.loads(line)
        time.sleep(delay)
        sys.stdout.write(json.dumps(answer(job)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
