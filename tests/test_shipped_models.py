"""What the models that ship must not do to flat areas and grain: periodic patterns, the mark of a bad pixel shuffle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepupscale.model_file import default_model_path
from deepupscale.range_compression import RangeCompression
from model.baselines import BASELINES
from model.contenders import models

Float32 = NDArray[np.float32]
SHIPPED = sorted(default_model_path().parent.glob("*.onnx"))
LEVELS = [0.01, 0.18, 1.0, 20.0]  # scene-linear
SIDE, RIM = 96, 32
PHASES = [(row, column) for row in (0, 1) for column in (0, 1)]


def doubled(file: Path, plate: Float32) -> Float32:
    """What the model adds to plain interpolation, in the compressed range, without the rim."""
    curve = RangeCompression()
    (model,) = models([str(file)], "cpu", "f32")
    result, plain = (curve.compress(upscale(plate)) for upscale in (model.double, BASELINES["bicubic-compressed"]))
    return (result - plain)[RIM:-RIM, RIM:-RIM]


def unevenness(correction: Float32) -> tuple[float, float]:
    """How far the four phases of the pixel shuffle differ: in their means, and in their spreads by the mean spread."""
    phases = [correction[row::2, column::2] for row, column in PHASES]
    means, spreads = ([float(f(each)) for each in phases] for f in (np.mean, np.std))
    return max(means) - min(means), (max(spreads) - min(spreads)) / float(np.mean(spreads))


def pattern(correction: Float32) -> float:
    """Amplitude of the strongest wave of period 2 over the spread of the correction, mean over channels."""
    waves = np.abs(np.fft.fft2(correction, axes=(0, 1))) / (correction.shape[0] * correction.shape[1])
    high, wide = (size // 2 for size in correction.shape[:2])
    strongest = np.max([waves[high, wide], waves[high, 0], waves[0, wide]], axis=0)
    return float(np.mean(strongest / correction.std(axis=(0, 1))))


@pytest.fixture(scope="module")
def noise() -> Float32:
    return np.random.default_rng(3).standard_normal((SIDE, SIDE, 3)).astype(np.float32)


def test_there_are_models_to_look_at() -> None:
    assert default_model_path() in SHIPPED


def test_planted_patterns_are_seen(noise: Float32) -> None:
    plain = 1e-3 * np.repeat(np.repeat(noise, 2, 0), 2, 1)
    chequered = plain.copy()
    chequered[::2, ::2] += 3e-4
    assert unevenness(plain)[0] < 1e-6
    assert unevenness(chequered)[0] > 1e-4
    assert pattern(plain) < 1e-3
    assert pattern(chequered) > 0.05
    uneven = plain.copy()
    uneven[1::2, ::2] *= 1.5
    assert unevenness(uneven)[1] > 0.3


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("file", SHIPPED, ids=lambda p: p.stem)
def test_grain_on_flat_areas_gets_no_pattern(file: Path, noise: Float32, level: float) -> None:
    correction = doubled(file, (level * (1.0 + 0.03 * noise)).astype(np.float32))
    means, spreads = unevenness(correction)
    assert means < 1e-4
    assert spreads < 0.15
    assert pattern(correction) < 0.03


@pytest.mark.parametrize("file", SHIPPED, ids=lambda p: p.stem)
def test_a_slow_ramp_gets_no_pattern(file: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0.1, 0.3, SIDE, dtype=np.float32)[None, :, None], (SIDE, SIDE, 3))
    means, _ = unevenness(doubled(file, np.ascontiguousarray(ramp)))
    assert means < 1e-4
