"""HDR-FLIP as a loss: how visible an error is to someone who flips between the two pictures, at any exposure.

FLIP (Andersson et al., "FLIP: A Difference Evaluator for Alternating Images", HPG 2020) filters both pictures by the
eye's contrast sensitivity, takes a colour difference, and amplifies it where edges or points differ. For high dynamic
range (Andersson et al., "Visualizing Errors in Rendered High Dynamic Range Images", Eurographics 2021) it is taken at
several exposures under the ACES tone mapper, and each pixel keeps its largest error. No weights are learnt.

Values agree with the package ``flip-evaluator``, which `model/perceptual.py` reports, but for these:

- There are at most ``most_exposures``, spread evenly over the same range; the package takes as many as the range asks.
- A median below DARKEST counts as DARKEST, where the package goes down to 2**-23: exposures that show nothing but the
  last bits of black would rule the loss of a night. A truth nowhere above DARKEST is seen as it is, at exposure 0.
- A flat truth is looked at once, not twice at the same exposure.
- Powers and roots have a finite slope at 0, which moves a pixel by about 0.001 at most and a mean by 0.0001.

What is clipped to white at every exposure, or is negative, has no gradient here: the fidelity term pulls it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from model.losses.precision import alike, full
from model.losses.transfer import to_linear

PIXELS_PER_DEGREE = 3840 * math.pi / 180.0  # 67.0: a screen of 3840 pixels seen from as far as it is wide
DARKEST = 2.0**-14  # scene-linear; below it a half float, so a plate, loses its bits

# sRGB primaries and D65 to XYZ (IEC 61966-2-1), each row divided by its white
_XYZ = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=torch.float64)
_XYZ = _XYZ / _XYZ.sum(dim=1, keepdim=True)
# Luminance, red-green and blue-yellow, linear: YyCxCz without factors and offset, which filters let pass
_OPPONENT = torch.tensor([[0.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64) @ _XYZ
_RGB = torch.linalg.inv(_OPPONENT)

# Contrast sensitivity: amplitude and spread of each channel's Gaussians; blue-yellow has two
_SENSITIVITY = ((1.0, 0.0047), (1.0, 0.0053), (34.1, 0.04), (13.5, 0.025))
_FEATURE_DEGREES = 0.082  # from peak to trough of the edge detector
_COLOUR_POWER, _KNEE, _KNEE_VALUE = 0.7, 0.4, 0.95  # q_c, p_c and p_t in the paper
_FEATURE_POWER = 0.5  # q_f
_SHOWN = 0.85  # where the brightest light and the median are brought by the tone mapper (2021)

_LEAST_COLOUR, _LEAST_ERROR, _LEAST_FEATURE = 1e-3, 1e-4, 1e-5  # below these a power is a straight line
_LEAST_CHROMA, _LEAST_EDGE = 1e-3, 1e-6  # and a length is round


class HdrFlipLoss:
    """The term as configured.

    Args:
        pixels_per_degree: Of visual angle; the more, the coarser are the errors that go unseen.
        most_exposures: Cost grows with their number. Seven spread over a range of twelve stops are two stops apart.

    Raises:
        ValueError: ``pixels_per_degree`` outside 1 to 1000, fewer than 2 exposures.
    """

    def __init__(self, pixels_per_degree: float = PIXELS_PER_DEGREE, most_exposures: int = 7) -> None:
        if not (1.0 <= pixels_per_degree <= 1000.0 and most_exposures >= 2):
            raise ValueError(
                f"HDR-FLIP needs 1 to 1000 pixels per degree and 2 exposures, not {pixels_per_degree}, {most_exposures}"
            )
        self.most_exposures = most_exposures
        self._across, self._down = _filters(pixels_per_degree)

    def __call__(self, ours: Tensor, truth: Tensor) -> Tensor:
        """The mean error of a batch.

        Args:
            ours: (batch, 3, height, width), in the compressed range of Rec.709 light, of any size.
            truth: The same shape. No gradient is kept for it.

        Returns:
            One number, 0 (alike) to 1, float32.

        Raises:
            ValueError: The shapes differ, or there are not three channels.
        """
        with torch.autocast(ours.device.type, enabled=False):
            return self.errors(to_linear(ours), to_linear(truth.detach())).mean()

    def errors(self, ours: Tensor, truth: Tensor) -> Tensor:
        """The error of each pixel.

        Args:
            ours: (batch, 3, height, width), scene-linear Rec.709, finite; negatives count as 0.
            truth: The same shape. Each picture's exposures follow from it alone.

        Returns:
            (batch, height, width), 0 to 1; float64 for float64.

        Raises:
            ValueError: As for the term.
        """
        alike(ours, truth)
        if ours.ndim != 4 or ours.shape[1] != 3:
            raise ValueError(f"HDR-FLIP needs red, green and blue, (batch, 3, height, width), not {tuple(ours.shape)}")
        with torch.autocast(ours.device.type, enabled=False):
            ours, truth = full(ours), full(truth.detach())
            start, step, counts = exposures(truth, self.most_exposures)
            worst = ours.new_zeros(ours.shape[0], *ours.shape[2:])
            for number in range(max(counts)):
                chosen = torch.tensor([i for i, count in enumerate(counts) if number < count], device=ours.device)
                gain = torch.exp2(start + number * step)[chosen].view(-1, 1, 1, 1)
                wanted = self._seen(truth[chosen] * gain)
                # Computed anew for the gradient: memory for one exposure, however many there are.
                found = checkpoint(
                    self._against, ours[chosen] * gain, *wanted, use_reentrant=False, preserve_rng_state=False
                )
                worst = worst.index_copy(0, chosen, torch.maximum(worst[chosen], found))
            return worst

    def _against(self, light: Tensor, colour: Tensor, edge: Tensor, point: Tensor) -> Tensor:
        """FLIP, (batch, height, width), of exposed light, (batch, 3, height, width), and what is seen in another."""
        our_colour, our_edge, our_point = self._seen(light)
        error = _redistributed(_distance(our_colour, colour))
        feature = torch.maximum((our_edge - edge).abs(), (our_point - point).abs()) / math.sqrt(2.0)
        feature = _power(feature, _FEATURE_POWER, _LEAST_FEATURE).clamp_max(1.0)
        return error * (error + _LEAST_ERROR) ** -feature  # error ** (1 - feature)

    def _seen(self, light: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hunt-adjusted L*a*b* after the eye's filter, (batch, 3, height, width); how strong edges are; and points."""
        opponent = _mixed(_tone_mapped(light), _OPPONENT)
        planes = torch.cat((opponent, opponent[:, 2:], opponent[:, :1].expand(-1, 4, -1, -1)), 1)
        weights, radius = self._across.to(planes), self._across.shape[1] // 2
        planes = functional.pad(planes, (radius, radius, 0, 0), mode="replicate")
        planes = functional.conv2d(planes, weights[:, None, None, :], groups=8)
        planes = functional.pad(planes, (0, 0, radius, radius), mode="replicate")
        planes = functional.conv2d(planes, self._down.to(planes)[:, None, :, None], groups=8)
        y, red_green, blue, yellow, edge_x, edge_y, point_x, point_y = planes.unbind(1)
        colour = _hunt_lab(_mixed(torch.stack((y, red_green, blue + yellow), 1), _RGB).clamp(0.0, 1.0))
        return colour, _length(edge_x, edge_y, _LEAST_EDGE), _length(point_x, point_y, _LEAST_EDGE)


def exposures(truth: Tensor, most: int) -> tuple[Tensor, Tensor, list[int]]:
    """The exposures that a picture is looked at with, after the 2021 paper.

    Args:
        truth: (batch, 3, height, width), scene-linear Rec.709.
        most: The largest number of exposures.

    Returns:
        In stops, the first exposure of each picture and the step to the next, (batch,); and how many there are: as many
        as the range from the brightest pixel to the median has stops, at least two unless it is flat.
    """
    luminance = _mixed(truth.clamp_min(0.0), _XYZ)[:, 1].flatten(1)
    brightest, middle = luminance.amax(1), luminance.kthvalue(luminance.shape[1] // 2 + 1, 1).values
    shown, seen = _light_shown_as(_SHOWN), brightest > DARKEST
    start = (shown / brightest.clamp_min(DARKEST)).log2().where(seen, 0.0)
    stop = (shown / middle.clamp_min(DARKEST)).log2().where(seen, 0.0)
    counts = (stop - start).ceil().clamp(2, most).where(stop > start, 1)
    return start, (stop - start) / (counts - 1.0).clamp_min(1.0), [int(count) for count in counts.tolist()]


def _light_shown_as(value: float) -> float:
    """The light that the tone mapper brings to a value."""
    a, b, c = 0.36 * (2.51 - 2.43 * value), 0.6 * (0.03 - 0.59 * value), -0.14 * value
    return (-b + math.sqrt(b * b - 4.0 * a * c)) / (2.0 * a)


def _tone_mapped(light: Tensor) -> Tensor:
    """Narkowicz's fit of ACES with the 0.6 of the 2021 paper, 0 to 1. Clipped before, so that no square overflows."""
    x = 0.6 * light.clamp(0.0, _light_shown_as(1.0))
    return (x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)).clamp_max(1.0)


def _mixed(planes: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel of (batch, 3, height, width) times a matrix. By hand, for a product might run in a lower precision."""
    a, b, c = planes.unbind(1)
    return torch.stack([i * a + j * b + k * c for i, j, k in matrix.tolist()], 1)


def _hunt_lab(rgb: Tensor) -> Tensor:
    """Linear RGB of 0 to 1 to L*a*b* whose a and b fade with L, as colours do in the dark (Hunt's effect)."""
    small = (6.0 / 29.0) ** 3
    xyz = _mixed(rgb, _XYZ)
    roots = (xyz.clamp_min(small) ** (1.0 / 3.0)).where(xyz > small, xyz / (3.0 * small ** (2.0 / 3.0)) + 4.0 / 29.0)
    x, y, z = roots.unbind(1)
    lightness = 116.0 * y - 16.0
    return torch.stack((lightness, 5.0 * lightness * (x - y), 2.0 * lightness * (y - z)), 1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """HyAB (Abasi, Tehran and Fairchild 2020): city-block in lightness, Euclidean in the plane of a and b."""
    lightness, red_green, blue_yellow = (a - b).unbind(1)
    return lightness.abs() + _length(red_green, blue_yellow, _LEAST_CHROMA)


def _redistributed(distance: Tensor) -> Tensor:
    """The distance to its power, laid out from 0 to 1: up to the knee most of the range, the rest above."""
    error = _power(distance, _COLOUR_POWER, _LEAST_COLOUR) / _LARGEST
    above = _KNEE_VALUE + (error - _KNEE) * ((1.0 - _KNEE_VALUE) / (1.0 - _KNEE))
    return (error * (_KNEE_VALUE / _KNEE)).where(error < _KNEE, above)


def _power(values: Tensor, exponent: float, least: float) -> Tensor:
    """Values from 0 to a power below 1, whose slope at 0 is finite: 0 stays 0."""
    return values * (values + least) ** (exponent - 1.0)


def _length(x: Tensor, y: Tensor, least: float) -> Tensor:
    """sqrt(x**2 + y**2) with a slope at 0."""
    return (x.square() + y.square() + least**2).sqrt() - least


def _filters(pixels_per_degree: float) -> tuple[Tensor, Tensor]:
    """The separable filters, across and down, (8, taps) each, float64.

    Those of luminance, red-green and blue-yellow (two Gaussians, to be added); edges across and down, points across and
    down.
    """
    feature = 0.5 * _FEATURE_DEGREES * pixels_per_degree
    widest = max(spread for _, spread in _SENSITIVITY)
    radius = max(math.ceil(3.0 * math.sqrt(widest / 2.0) / math.pi * pixels_per_degree), math.ceil(3.0 * feature))
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)

    gaussians = [torch.exp(-((math.pi * x / pixels_per_degree) ** 2) / spread) for _, spread in _SENSITIVITY]
    volumes = [
        amplitude * math.sqrt(math.pi / spread) * float(gaussian.sum()) ** 2
        for (amplitude, spread), gaussian in zip(_SENSITIVITY, gaussians, strict=True)
    ]
    shares = [1.0, 1.0, volumes[2] / (volumes[2] + volumes[3]), volumes[3] / (volumes[2] + volumes[3])]
    down = [gaussian / gaussian.sum() for gaussian in gaussians]
    across = [share * gaussian for share, gaussian in zip(shares, down, strict=True)]

    smooth = torch.exp(-0.5 * (x / feature) ** 2).where(x.abs() <= math.ceil(3.0 * feature), 0.0)
    edge, point = (_balanced(shape * smooth) for shape in (-x, (x / feature) ** 2 - 1.0))
    smooth = smooth / smooth.sum()
    return torch.stack([*across, edge, smooth, point, smooth]), torch.stack([*down, smooth, edge, smooth, point])


def _balanced(weights: Tensor) -> Tensor:
    """Positive weights add up to 1, negative ones to -1."""
    above, below = weights.clamp_min(0.0), (-weights).clamp_min(0.0)
    return above / above.sum() - below / below.sum()


def _largest() -> float:
    """The distance between pure green and pure blue, the farthest colours on a screen, to its power."""
    green, blue = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64).view(2, 1, 3, 1, 1)
    return float(_distance(_hunt_lab(green), _hunt_lab(blue))) ** _COLOUR_POWER


_LARGEST = _largest()
