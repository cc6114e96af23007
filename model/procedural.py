"""Procedural HDR pictures: the edges, hair, lettering, patterns, lights and ramps that a few plates cannot teach.

Shapes are drawn in scene-linear light at several times the size and integrated by a pixel filter, so a bright
shape's antialiased edge has the values that a renderer would give it. Ramps are evaluated at the pixels in
float32: they have no steps. The same seed gives the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.patterns import OVERSAMPLING, PATTERNS, Rng, fractal
from model.pixel_filters import Float32, blackman_harris, box, gaussian, reduce_whole


def procedural_image(seed: int, size: int = 320) -> Float32:
    """One picture, (size, size, 3) float32, scene-linear, finite.

    Values reach from slightly below zero in a few pictures to several hundred, rarely thousands.
    """
    rng = np.random.default_rng([seed, 0xD0])
    kind = rng.random()
    if kind < 0.15:
        picture = _ramp(rng, size)
        if rng.random() < 0.4:  # something sharp on the smooth ground, so that both meet in one patch
            picture = _scene(rng, size, ground=picture)
    else:
        picture = _scene(rng, size, ground=None)
    if kind >= 0.15 and rng.random() < 0.2:
        picture = _defocused(picture, rng)
    picture *= np.float32(2.0 ** rng.uniform(-3.0, 3.0))
    if kind >= 0.15 and rng.random() < 0.2:
        picture = _grain(picture, rng)
    if rng.random() < 0.1:  # a conversion out of a wider gamut leaves small negatives in saturated colours
        mix = np.eye(3) * 1.12 - 0.04
        picture = picture @ mix.T.astype(np.float32)
    return np.clip(np.ascontiguousarray(picture, np.float32), -0.05, 65504.0)


# --- colour and smooth grounds ---


def _light(rng: Rng, low: float = 0.005, high: float = 2.0) -> Float32:
    """A colour of log-uniform brightness, from grey to saturated."""
    level = math.exp(rng.uniform(math.log(low), math.log(high)))
    tint = rng.random(3) ** (2.0 * rng.random())
    return (level * (tint / max(tint.max(), 1e-3))).astype(np.float32)


def _coordinates(size: int) -> tuple[Float32, Float32]:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size)
    return x, y


def _ramp(rng: Rng, size: int) -> Float32:
    """A smooth picture: straight, radial, a glow, a wave; from very slow to deep shadow against hundreds."""
    x, y = _coordinates(size)
    angle = rng.uniform(0.0, 2.0 * math.pi)
    straight = 0.5 + (x - 0.5) * math.cos(angle) / 1.42 + (y - 0.5) * math.sin(angle) / 1.42
    if rng.random() < 0.15:
        straight = (x if rng.random() < 0.5 else y) * np.ones_like(x)
    centre = rng.uniform(-0.3, 1.3, 2)
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    kind = int(rng.integers(5))
    if kind == 0:
        t = straight
    elif kind == 1:
        t = np.sqrt(squared + 1e-3) / 1.9
    elif kind == 2:
        t = np.exp(-squared / (2.0 * rng.uniform(0.05, 0.5) ** 2))
    elif kind == 3:
        t = 0.5 + 0.5 * np.sin(straight * rng.uniform(1.0, 12.0) + angle)
    else:
        t = straight**2 * (3.0 - 2.0 * straight)
    t = t[:, :, None].astype(np.float32)
    start = _light(rng, 0.0005, 2.0)
    if rng.random() < 0.4:  # slow: a few per cent to half a stop across the picture
        end = start * np.float32(rng.uniform(1.02, 1.5))
    elif rng.random() < 0.5:  # wide: up to several hundred
        end = _light(rng, 1.0, 500.0)
    else:
        end = _light(rng)
    if rng.random() < 0.5:
        floor = np.float32(1e-4)
        return np.exp(np.log(start + floor) * (1.0 - t) + np.log(end + floor) * t).astype(np.float32) - floor
    return np.asarray(start * (1.0 - t) + end * t, np.float32)


# --- shapes, drawn as masks ---

Draw = Callable[[Rng, ImageDraw.ImageDraw, int], None]


def _polygon(rng: Rng, draw: ImageDraw.ImageDraw, size: int) -> None:
    centre, radius = rng.uniform(0, size, 2), rng.uniform(0.02, 0.35) * size
    corners, spiky = int(rng.integers(3, 12)), rng.uniform(0.0, 0.8)
    turns = np.sort(rng.uniform(0, 2 * math.pi, corners))
    reach = radius * (1.0 - spiky * rng.random(corners))
    draw.polygon(
        [(centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for a, r in zip(turns, reach, strict=True)],
        fill=255,
    )


def _ellipse(rng: Rng, draw: ImageDraw.ImageDraw, size: int) -> None:
    x, y = rng.uniform(0, size, 2)
    a, b = rng.uniform(0.01, 0.25, 2) * size
    rim = int(rng.uniform(1, 12)) if rng.random() < 0.4 else 0
    draw.ellipse((x - a, y - b, x + a, y + b), fill=None if rim else 255, outline=255, width=max(rim, 1))


def _curves(rng: Rng, draw: ImageDraw.ImageDraw, size: int) -> None:
    """A lock of hair, wires or one thick stroke: Bezier curves of nearly the same course."""
    strands = int(rng.integers(1, 4)) if rng.random() < 0.5 else int(rng.integers(8, 50))
    width = int(rng.integers(1, 14)) if strands < 4 else int(rng.integers(1, 4))
    course = rng.uniform(-0.2, 1.2, (4, 2)) * size
    t = np.linspace(0.0, 1.0, 48)[:, None]
    spread = rng.uniform(0.01, 0.15) * size
    for _ in range(strands):
        p = course + rng.standard_normal((4, 2)) * spread
        line = (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t**2 * (1 - t) * p[2] + t**3 * p[3]
        draw.line([(float(x), float(y)) for x, y in line], fill=255, width=width, joint="curve")


def _lines(rng: Rng, draw: ImageDraw.ImageDraw, size: int) -> None:
    """Straight thin lines: a fence, rigging, a grid in perspective."""
    meeting, width = rng.uniform(-0.5, 1.5, 2) * size, int(rng.integers(1, 8))
    ends = np.linspace(-0.3, 1.3, int(rng.integers(3, 30))) * size
    edge, across = rng.uniform(-0.3, 1.3) * size, rng.random() < 0.5
    for end in ends:
        target = (float(end), float(edge)) if across else (float(edge), float(end))
        draw.line([(float(meeting[0]), float(meeting[1])), target], fill=255, width=width)


_LETTERS = "abcdefghijklmnopqrstuvwxyzaeioutnrs"


def _word(rng: Rng) -> str:
    word = "".join(_LETTERS[int(i)] for i in rng.integers(0, len(_LETTERS), int(rng.integers(2, 10))))
    style = rng.random()
    if style < 0.15:
        return str(int(rng.integers(0, 100000)))
    return word.capitalize() if style < 0.5 else word.upper() if style < 0.7 else word


def _text(rng: Rng, draw: ImageDraw.ImageDraw, size: int) -> None:
    """A sign or the lines of a credit roll."""
    height = math.exp(rng.uniform(math.log(6.0), math.log(60.0))) * OVERSAMPLING
    font = ImageFont.load_default(size=height)
    lines = int(rng.integers(1, max(2, min(14, int(size / height)))))
    text = "\n".join(" ".join(_word(rng) for _ in range(int(rng.integers(1, 6)))) for _ in range(lines))
    at = (float(rng.uniform(-0.1, 0.6) * size), float(rng.uniform(-0.1, 0.8) * size))
    draw.multiline_text(at, text, fill=255, font=font, align=("left", "center", "right")[int(rng.integers(3))])


def _points(rng: Rng, draw: ImageDraw.ImageDraw, size: int) -> None:
    """Stars, sparks, highlights: discs from a fraction of a pixel to a few."""
    for _ in range(int(rng.integers(3, 60))):
        x, y = rng.uniform(0, size, 2)
        r = math.exp(rng.uniform(math.log(0.5), math.log(2.5 * OVERSAMPLING)))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)


_SHAPES: tuple[tuple[Draw, float], ...] = (
    (_polygon, 0.28),
    (_ellipse, 0.14),
    (_curves, 0.24),
    (_lines, 0.10),
    (_text, 0.16),
    (_points, 0.08),
)


def _scene(rng: Rng, size: int, ground: Float32 | None) -> Float32:
    """Shapes over a ground, each flat, shaded or patterned; then lamps, highlights and out-of-focus discs."""
    fine = size * OVERSAMPLING
    picture = np.zeros((fine, fine, 3), np.float32)
    if ground is None:
        picture += _light(rng, 0.002, 1.0)
        choice = rng.random()
        if choice < 0.35:
            pattern = PATTERNS[int(rng.integers(len(PATTERNS)))](rng, fine)[:, :, None]
            picture = picture * (1.0 - pattern) + _light(rng) * pattern
        elif choice < 0.7:
            picture *= np.exp(fractal(rng, fine, float(rng.uniform(0.8, 2.0))) * rng.uniform(0.1, 0.8))[:, :, None]
        elif choice < 0.85:
            picture = _ramp(rng, fine)
    covered = None if ground is None else np.zeros((fine, fine, 1), np.float32)
    draws, odds = [draw for draw, _ in _SHAPES], [share for _, share in _SHAPES]
    for _ in range(int(rng.integers(2, 22)) if ground is None else int(rng.integers(1, 4))):
        canvas = Image.new("L", (fine, fine))
        draws[int(rng.choice(len(draws), p=odds))](rng, ImageDraw.Draw(canvas), fine)
        bounds = canvas.getbbox()
        if bounds is None:
            continue
        left, top, right, bottom = bounds
        mask = np.asarray(canvas, np.float32)[top:bottom, left:right, None] / np.float32(255.0)
        if rng.random() < 0.15:
            mask *= np.float32(rng.uniform(0.2, 0.9))
        region = picture[top:bottom, left:right]
        region[...] = region * (1.0 - mask) + _paint(rng, bottom - top, right - left) * mask
        if covered is not None:
            under = covered[top:bottom, left:right]
            under[...] = under + mask - under * mask
    chance = rng.random()
    pixel = box() if chance < 0.35 else blackman_harris() if chance < 0.7 else gaussian(float(rng.uniform(0.3, 0.45)))
    small = reduce_whole(np.asarray(picture, np.float32), pixel, OVERSAMPLING)
    if ground is not None and covered is not None:
        small += ground * (1.0 - reduce_whole(covered, pixel, OVERSAMPLING))
    if rng.random() < 0.25:
        small += _bokeh(rng, size)
    return small


def _paint(rng: Rng, height: int, width: int) -> Float32:
    """What fills a shape: a colour, at times an emitter's, perhaps shaded or patterned; broadcasts over the shape."""
    emits = rng.random() < 0.18
    colour = _light(rng, 2.0, 600.0) if emits else _light(rng)
    choice = rng.random()
    if choice < 0.55:
        return colour
    if choice < 0.75:
        shade = np.linspace(rng.uniform(0.2, 1), rng.uniform(0.2, 1), height, dtype=np.float32)[:, None, None]
        return colour * shade
    side = max(height, width)
    if choice < 0.85:
        texture = np.exp(fractal(rng, side, float(rng.uniform(0.8, 2.0))) * rng.uniform(0.1, 0.6))
    else:
        texture = PATTERNS[int(rng.integers(len(PATTERNS)))](rng, side) * 0.9 + 0.1
    return colour * texture[:height, :width, None].astype(np.float32)


# --- the camera ---


def _disc(radius: float, size: int) -> Float32:
    """A pupil's image: a disc of unit sum with a one-pixel soft rim, centred for an FFT."""
    away = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size, 1.0 / size)] * 2))
    disc = np.clip(radius + 0.5 - away, 0.0, 1.0).astype(np.float32)
    return disc / disc.sum()


def _blurred(picture: Float32, radius: float) -> Float32:
    """The picture through a disc of this radius; its borders are mirrored."""
    size, context = picture.shape[0], math.ceil(radius) + 1
    padded = np.pad(picture, ((context, context), (context, context), (0, 0)), mode="symmetric")
    spectrum = np.fft.rfft2(_disc(radius, size + 2 * context))
    through = [np.fft.irfft2(np.fft.rfft2(padded[:, :, c]) * spectrum, padded.shape[:2]) for c in range(3)]
    blurred = np.stack(through, axis=2)[context : context + size, context : context + size]
    return np.maximum(blurred, 0.0).astype(np.float32)


def _defocused(picture: Float32, rng: Rng) -> Float32:
    """Whole or in part out of focus: sharp and blurred on either side of a soft border."""
    blurred = _blurred(picture, float(math.exp(rng.uniform(math.log(0.7), math.log(12.0)))))
    x, y = _coordinates(picture.shape[0])
    angle = rng.uniform(0, 2 * math.pi)
    where = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + rng.uniform(-0.3, 0.3)
    mix = np.clip(0.5 + where * rng.uniform(2.0, 20.0), 0.0, 1.0)[:, :, None].astype(np.float32)
    return np.asarray(picture * (1.0 - mix) + blurred * mix, np.float32)


def _bokeh(rng: Rng, size: int) -> Float32:
    """Out-of-focus lights: additive discs."""
    x, y = _coordinates(size)
    light = np.zeros((size, size, 3), np.float32)
    for _ in range(int(rng.integers(1, 15))):
        radius = math.exp(rng.uniform(math.log(2.0), math.log(30.0)))
        away = np.hypot(x * size - rng.uniform(0, size), y * size - rng.uniform(0, size))
        light += np.clip(radius + 0.5 - away, 0.0, 1.0)[:, :, None] * _light(rng, 0.02, 60.0)
    return light


def _grain(picture: Float32, rng: Rng) -> Float32:
    """Film-like grain: deviation grows with the root of light, slightly correlated between neighbours."""
    noise = rng.standard_normal(picture.shape).astype(np.float32)
    if rng.random() < 0.6:
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 2.0
    strength = np.float32(rng.uniform(0.003, 0.04))
    return np.asarray(picture + noise * strength * np.sqrt(np.maximum(picture, 0.0) * 0.2 + 1e-5), np.float32)
