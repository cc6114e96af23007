"""Coherence of a training pair: do two renders of one scene, at 1x and at 2x, show the same thing?

Renders drift apart for many reasons: a simulation that runs on, a lamp in only one of the files, a camera one frame
late, bump and dicing that follow the resolution. *Deep Learned Super Resolution for Feature Film Production* (SIGGRAPH
2020) drops such pairs. `measure` gives figures, `Limits` says how far they may go, `fault` says which one went too far.

Sampling noise, denoising and pixel filters differ between good renders too, so nothing is compared pixel by pixel. HR
is reduced to LR's size by its area in scene-linear light; in both, pixels far brighter than all around (fireflies)
are brought down to their neighbours; then both are blurred in linear light, where a bright edge keeps its energy
whatever filter drew it, and taken to the compressed range with its foot lifted (see `tone`). Local figures are of
blocks of about 32 LR pixels that overlap by half.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from deepupscale.resample import double, kernel_radius, pad
from render.alignment import Float64, block_means, edges, shifts
from render.comparable import LUMA, Comparable, Float32, finite, halve, tone

PATCH = 8  # LR pixels; squares whose linear means give the global offset
FEWEST = 4  # such squares, below which their spread tells nothing
UNLIKE = 0.5  # correlation of edges under which a shift has no meaning


@dataclass(frozen=True)
class Coherence:
    """How alike the two renders of a pair are. Differences are in the compressed range, HR minus LR.

    Attributes:
        difference: Mean absolute difference of the low-passed pictures (Gaussian, sigma 2.2 LR pixels).
        worst_difference: The same over the worst block.
        offset: Signed offset of red, green and blue: the mean over the middle half of all lit squares of 8 LR pixels,
            as far as it goes beyond twice its standard error. A gain g of scene-linear light gives up to 0.07 log g.
        shift: How far HR's content lies right of and below LR's, in LR pixels; (0, 0) where nothing tells.
        worst_shift: The largest shift that any block shows beyond twice its standard error, in LR pixels.
        edges: Correlation of the gradients of both luminances, -1 to 1; 1 without texture.
        worst_edges: The same over the worst block of strong texture; 1 without such.
        textured: Share of blocks, 0 to 1, in which a shift can be measured.
        detail: HR's finest octave relative to LR's: how much the second render adds. A figure to look at, without a
            limit: it is near 0.2 where HR was upsampled from LR, but also where the scene is soft and free of noise.
        nonfinite: Values that are NaN or Inf, in both pictures; in the other figures they count as 0 and 65504.
    """

    difference: float
    worst_difference: float
    offset: tuple[float, float, float]
    shift: tuple[float, float]
    worst_shift: float
    edges: float
    worst_edges: float
    textured: float
    detail: float
    nonfinite: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON: floats rounded to five digits after the point, so that a manifest repeats; tuples as lists."""
        return {
            name: [_rounded(v) for v in value] if isinstance(value, tuple) else _rounded(value)
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Limits:
    """How far the figures of a good pair go.

    Chosen on Cycles renders of two dozen generated scenes, and of one set under several lights and lenses, with 8 to 64
    samples, denoised or not (good); on that set with lamps, objects or the camera changed between the two (bad); and on
    plates and drawn pictures that were reduced, shifted and graded. What is said of each is where the good ended.

    Attributes:
        difference: At most. Good: 0.004, and 0.005 in a dark set at 8 samples. A key lamp 30 % stronger: 0.0056.
        worst_difference: At most. Good: 0.009, and 0.0104 in that dark set. A glass ball of 26 LR pixels moved by four:
            0.0126; a patch of 16 LR pixels of something else: 0.015 to 0.03.
        offset: At most, in any channel. Good: 0.0004, and 0.0008 in the dark set. Exposure by 5 %: 0.0022 to 0.003; a
            key lamp 10 % stronger: 0.002; bump whose filter does not follow the resolution: 0.0016.
        tint: At most, between the largest and the smallest offset. Good: 0.0004. Red up and blue down by 2 %: 0.0016 to
            0.0023.
        shift: At most, LR pixels. Good: 0.08. Half an HR pixel: 0.25 to 0.28.
        worst_shift: At most, LR pixels. Good: 0.4, and 0.6 among specks of light. Half the frame moved by one: 1.0.
        edges: At least. Good: 0.89, on hair and weave at 16 samples. A shift by two LR pixels: below 0.8.
        worst_edges: At least. Good: 0.57, and 0.53 at 8 samples without denoising. A moved object: 0.3 and less.
    """

    difference: float = 0.006
    worst_difference: float = 0.012
    offset: float = 0.0015
    tint: float = 0.0015
    shift: float = 0.15
    worst_shift: float = 0.75
    edges: float = 0.8
    worst_edges: float = 0.45


def fault(coherence: Coherence, limits: Limits | None = None) -> str:
    """Why the pair should not be trained on, with the figure and its limit, in one short line; "" when coherent."""
    found, most = coherence, limits or Limits()
    shift, tint = math.hypot(*found.shift), max(found.offset) - min(found.offset)
    channel = max(range(3), key=lambda c: abs(found.offset[c]))
    colour, offset = ("red", "green", "blue")[channel], found.offset[channel]
    light = "HR is brighter" if offset > 0.0 else "HR is darker"
    alike = f"edges correlate by {found.edges:.2f} (at least {most.edges:.2f})"
    checks = (  # what explains most comes first
        (found.nonfinite > 0, f"holds NaN or Inf ({found.nonfinite} values)"),
        (found.edges < min(UNLIKE, most.edges), f"shows something else: {alike}"),
        (shift > most.shift, f"shifted by {shift:.2f} LR pixels (at most {most.shift:.2f})"),
        (
            found.worst_shift > most.worst_shift,
            f"shifted by {found.worst_shift:.2f} LR pixels in the worst block (at most {most.worst_shift:.2f})",
        ),
        (tint > most.tint, f"differs in colour: channels drift apart by {tint:.4f} (at most {most.tint:.4f})"),
        (abs(offset) > most.offset, f"{light} throughout: {colour} by {abs(offset):.4f} (at most {most.offset:.4f})"),
        (
            found.worst_difference > most.worst_difference,
            f"low frequencies differ by {found.worst_difference:.4f} in the worst block "
            f"(at most {most.worst_difference:.4f})",
        ),
        (
            found.difference > most.difference,
            f"low frequencies differ by {found.difference:.4f} (at most {most.difference:.4f})",
        ),
        (found.edges < most.edges, alike),
        (
            found.worst_edges < most.worst_edges,
            f"edges correlate by {found.worst_edges:.2f} in the worst block (at least {most.worst_edges:.2f})",
        ),
    )
    return next((reason for wrong, reason in checks if wrong), "")


def measure(lr: Float32, hr: Float32) -> Coherence:
    """Measure a pair.

    Args:
        lr: (height, width, 3), scene-linear, at least 16 pixels a side. Any values; what is not finite is counted.
        hr: (2 height, 2 width, 3), scene-linear.

    Raises:
        ValueError: Shapes that are no pair.
    """
    pair = Comparable.of(lr, hr)
    difference = np.abs(pair.difference()).mean(axis=2, dtype=np.float64)
    smooth = pair.smooth()
    shift, worst_shift, textured = shifts(*smooth)
    correlation, worst_correlation = edges(*smooth)
    return Coherence(
        difference=float(difference.mean()),
        worst_difference=float(block_means(difference).max()),
        offset=_offset(pair.lr, pair.reduced, pair.foot),
        shift=shift,
        worst_shift=worst_shift,
        edges=correlation,
        worst_edges=worst_correlation,
        textured=textured,
        detail=_octave(finite(hr), pair.foot) / max(_octave(finite(lr), pair.foot), 1e-6),
        nonfinite=int(np.count_nonzero(~np.isfinite(lr)) + np.count_nonzero(~np.isfinite(hr))),
    )


def difference_picture(lr: Float32, hr: Float32) -> Float32:
    """What the differences are figures of, to be looked at; arguments and errors are those of :func:`measure`.

    Returns:
        (height, width, 3) float32: HR minus LR, low-passed, in the compressed range with its foot lifted.
    """
    return Comparable.of(lr, hr).difference()


def _rounded(value: float) -> float:
    return round(value, 5) + 0.0 if isinstance(value, float) else value  # + 0.0: no negative zero


# ---- figures


def _offset(lr: Float32, reduced: Float32, foot: float) -> tuple[float, float, float]:
    """Means of squares have little noise; the middle half of their differences knows no moved object."""
    height, width = (side // PATCH for side in lr.shape[:2])
    means: list[Float64] = []
    for picture in (lr, reduced):
        squares = picture[: height * PATCH, : width * PATCH].reshape(height, PATCH, width, PATCH, 3)
        means.append(squares.mean(axis=(1, 3), dtype=np.float64).reshape(-1, 3))
    lit = (means[0] + means[1]) @ LUMA > 2.0 * foot
    if np.count_nonzero(lit) < FEWEST:
        return (0.0, 0.0, 0.0)
    before, after = (tone(mean[lit].astype(np.float32), foot) for mean in means)
    steps = np.sort((after - before).astype(np.float64), axis=0)
    quarter = len(steps) // 4
    mean = steps[quarter : len(steps) - quarter].mean(axis=0)
    error = (steps[-1 - quarter] - steps[quarter]) / (1.35 * math.sqrt(len(steps)))  # quartiles of a normal spread
    red, green, blue = np.copysign(np.maximum(np.abs(mean) - 2.0 * error, 0.0), mean)
    return (float(red), float(green), float(blue))


def _octave(picture: Float32, foot: float) -> float:
    """Mean absolute size of what halving and interpolating the luminance loses."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    fine = (picture[:height, :width] @ LUMA)[:, :, None]
    radius = kernel_radius("cubic")
    small = tone(halve(fine), foot)
    return float(np.abs(tone(fine, foot) - double(pad(small, *[radius] * 4), radius, "cubic")).mean(dtype=np.float64))
