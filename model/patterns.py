"""Patterns of the procedural pictures: gratings, bricks, fabric, foliage; each 0 to about 1.

They are evaluated at the oversampled pixels and given in those of the finished picture, so that a period of 2 is the
finest that it can hold.
"""

from __future__ import annotations

import math

import numpy as np

from model.pixel_filters import Float32

OVERSAMPLING = 3  # fine pixels per finished pixel
Rng = np.random.Generator


def fractal(rng: Rng, size: int, roughness: float) -> Float32:
    """Noise of power spectrum f^-2*roughness, zero mean, unit deviation, (size, size)."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1.0
    spectrum *= frequency**-roughness
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, (size, size))
    return (noise / noise.std()).astype(np.float32)


def grating(rng: Rng, size: int) -> Float32:
    """Stripes or a zone plate up to the Nyquist frequency of the finished picture, 0 to 1."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / OVERSAMPLING
    angle = rng.uniform(0.0, math.pi)
    if rng.random() < 0.4:
        span = size / OVERSAMPLING
        squared = (x - rng.uniform(0, span)) ** 2 + (y - rng.uniform(0, span)) ** 2
        wave = np.cos(squared * (0.5 * math.pi / span) * rng.uniform(0.4, 1.3))
    else:
        period = math.exp(rng.uniform(math.log(2.0), math.log(24.0)))
        wave = np.cos((x * math.cos(angle) + y * math.sin(angle)) * (2.0 * math.pi / period))
    return (wave > rng.uniform(-0.5, 0.5)).astype(np.float32) if rng.random() < 0.6 else 0.5 + 0.5 * wave


def bricks(rng: Rng, size: int) -> Float32:
    """Rotated courses of bricks with joints, each brick its own shade, 0 to 1."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / OVERSAMPLING
    angle = rng.uniform(-0.5, 0.5)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    long, high = rng.uniform(8, 40), rng.uniform(4, 16)
    course = np.floor(v / high)
    u = u / long + 0.5 * (course % 2)
    shade = rng.uniform(0.4, 1.0, (64, 64)).astype(np.float32)
    brick = shade[course.astype(int) % 64, np.floor(u).astype(int) % 64]
    joint = rng.uniform(0.5, 2.0)
    return brick * ((v % high) > joint) * ((u % 1.0) * long > joint)


def weave(rng: Rng, size: int) -> Float32:
    """Over-and-under threads of a fabric, 0 to 1."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / OVERSAMPLING
    angle, pitch = rng.uniform(0.0, math.pi), rng.uniform(2.5, 10.0)
    u = (x * math.cos(angle) + y * math.sin(angle)) / pitch
    v = (y * math.cos(angle) - x * math.sin(angle)) / pitch
    twill = int(rng.integers(2, 4))
    over = (np.floor(u) + np.floor(v)) % twill < 1
    warp, weft = np.abs(np.sin(math.pi * u)), np.abs(np.sin(math.pi * v))
    return np.where(over, 0.4 + 0.6 * warp, rng.uniform(0.2, 0.8) * weft).astype(np.float32)


def speckle(rng: Rng, size: int) -> Float32:
    """Foliage or gravel: thresholded or lognormal noise, 0 to about 1."""
    noise = fractal(rng, size, float(rng.uniform(0.6, 1.8)))
    return (noise > rng.uniform(-1, 1)).astype(np.float32) if rng.random() < 0.5 else np.exp(noise * 0.7 - 1.0)


PATTERNS = (grating, bricks, weave, speckle)
