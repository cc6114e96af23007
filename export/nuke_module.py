"""The module that Nuke's Inference node runs: the engine's steps in TorchScript, around a trained network.

The node hands over one tensor and takes one of the same height and width, so the plate arrives already doubled by
repeating its pixels (Reformat, scale 2, filter impulse) and leaves as the doubled plate. Between the two stand the
steps of :class:`deepupscale.upscaler.Upscaler` and :func:`deepupscale.resample.fill_nonfinite`, in float32 whatever the
network runs in: with the curve's mu = 5000, half precision would overflow above a scene-linear 13.

What stands below is compiled by ``torch.jit.script`` into operations that PyTorch 1.12 has
(``export.torchscript.KNOWN_OPS``). Interpolation is written as sums of shifted planes, in the engine's order, not as a
convolution: autocast would run that in low precision. The compiler looks at annotations, so they are no text here.
"""

import copy
import math

import torch
from torch import Tensor, fx, nn

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import phase_weights
from model.networks import Generator

CURVATURE_REACH = 3  # pixels on each side that the bound on the correction looks at: see deepupscale.upscaler
FILL_REACH = 2  # likewise for what replaces NaN: see deepupscale.resample.fill_nonfinite
STRIP_PIXELS = 1 << 20  # plate pixels that go through the network at once; bounds memory, changes no result


class NukeModule(nn.Module):
    """A generator with everything around it.

    After ``.half()`` the network alone runs in half precision, and on a GPU only: PyTorch 1.12 has no convolution in
    half for CPUs. Elsewhere its weights are rounded to half and no more.

    Attributes:
        correction: How much of the network's correction is added, 0 (interpolation alone) to 1 (the engine's result);
            beyond, it is held there. A float attribute, so that a knob of that name in Nuke can set it.
        strip_pixels: Plate pixels that the network sees at once.
    """

    even: list[float]
    odd: list[float]

    def __init__(self, generator: Generator) -> None:
        """Copy a generator's weights.

        Args:
            generator: Three channels, 2x; left as it is.
        """
        super().__init__()
        curve = RangeCompression()
        self.network = straight_line(generator)
        self.correction: float = 1.0
        self.strip_pixels: int = STRIP_PIXELS
        self.margin: int = max(generator.receptive_radius, CURVATURE_REACH)
        self.fill: int = FILL_REACH
        self.gain: float = curve.gain
        self.mu: float = curve.mu
        even, odd = phase_weights("cubic")
        self.even = even
        self.odd = odd
        self.register_buffer("precision", torch.zeros(1))  # follows .half(), and so tells what is asked for

    def forward(self, plate: Tensor) -> Tensor:
        """Double a plate.

        Args:
            plate: (batch, 3 or more channels, height, width), any floating type, scene-linear, every plate pixel
                repeated in a 2x2 block. The first three channels are colour; others are left out of the result. Of
                each block the mean is taken: the pixel itself where pixels were repeated, and still centred right
                where another filter was used. An odd side ends in half a block. Inf counts as 65504, NaN as the mean
                of what is finite among the 25 plate pixels around, or 0.

        Returns:
            (batch, 3, height, width) of the same type, scene-linear, finite; in half held to +-65504.
        """
        if plate.dim() != 4 or plate.size(1) < 3:
            raise ValueError("DeepUpscale takes one picture of three channels: set channelsIn to red, green and blue")
        height, width = plate.size(2), plate.size(3)
        small = block_means(plate[:, :3].float())
        context = self.margin + self.fill
        padded = repeat_border(small, context)
        rows = max(self.strip_pixels // small.size(3), 16)
        done: list[Tensor] = []
        for top in range(0, small.size(2), rows):
            bottom = min(top + rows, small.size(2)) + 2 * context
            done.append(self.enlarge(padded[:, :, top:bottom]))
        result = torch.cat(done, 2)[:, :, :height, :width]
        if plate.dtype == torch.float16:
            result = torch.clamp(result, -65504.0, 65504.0)
        return result.to(plate.dtype)

    def enlarge(self, plane: Tensor) -> Tensor:
        """A plane with ``margin + fill`` pixels of context to its doubled interior; scene-linear float32."""
        compressed = compress(fill_nonfinite(plane), self.gain, self.mu)
        margin = self.margin
        height, width = compressed.size(2) - 2 * margin, compressed.size(3) - 2 * margin
        low = plane.is_cuda and self.precision.dtype == torch.float16
        residual = self.network(compressed.half() if low else compressed).float()
        residual = torch.nan_to_num(residual[:, :, 2 * margin :, 2 * margin :][:, :, : 2 * height, : 2 * width], 0.0)
        bound = repeat_pixels(curvature(inner(compressed, margin - 3)) * 0.5)
        correction = torch.minimum(torch.maximum(residual, -bound), bound)
        base = interpolate(inner(compressed, margin - 2), self.even, self.odd)
        return expand(base + correction * min(max(self.correction, 0.0), 1.0), self.gain, self.mu)


class CastConv2d(nn.Module):
    """A convolution in the type of its input, whatever its weights were converted to."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride = list(conv.stride)
        self.padding = [int(side) for side in conv.padding]
        self.dilation = list(conv.dilation)
        self.groups: int = conv.groups

    def forward(self, features: Tensor) -> Tensor:
        """As :class:`torch.nn.Conv2d`, with zero padding."""
        bias = self.bias
        if bias is not None:
            bias = bias.to(features.dtype)
        weight = self.weight.to(features.dtype)
        return torch.conv2d(features, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def straight_line(generator: Generator) -> fx.GraphModule:
    """A copy of a generator without loops or properties, which TorchScript compiles whatever its Python looks like.

    Symbolic tracing sees no sizes, so none is baked in; a network that decides by them is refused.

    Raises:
        ValueError: A network that decides by its input, or a convolution that does not pad with zeros.
    """
    twin = copy.deepcopy(generator).float().eval().requires_grad_(False)
    traced = fx.symbolic_trace(twin.to(memory_format=torch.contiguous_format))  # type: ignore[call-overload]
    for node in traced.graph.nodes:
        node.type = None  # annotations kept as text, which the compiler could not look up
    traced.recompile()
    for name, module in list(traced.named_modules()):
        if isinstance(module, nn.Conv2d):
            if module.padding_mode != "zeros" or isinstance(module.padding, str):
                raise ValueError(f"{name} pads by {module.padding_mode} {module.padding}: pad by a number of zeros")
            traced.set_submodule(name, CastConv2d(module))
    return traced


def inner(plane: Tensor, cut: int) -> Tensor:
    """Without ``cut`` pixels on every side."""
    return plane[:, :, cut : plane.size(2) - cut, cut : plane.size(3) - cut]


def block_means(plate: Tensor) -> Tensor:
    """Means of 2x2 blocks, an odd last row or column counted twice; exact where a block repeats one pixel."""
    columns = plate * 0.25
    columns = columns[:, :, :, 0::2] + repeat_end(columns, 3)[:, :, :, 1::2]
    return columns[:, :, 0::2] + repeat_end(columns, 2)[:, :, 1::2]


def repeat_end(plane: Tensor, dim: int) -> Tensor:
    """With its last row (2) or column (3) repeated where their number is odd."""
    size = plane.size(dim)
    return plane if size % 2 == 0 else torch.cat([plane, plane.narrow(dim, size - 1, 1)], dim)


def repeat_border(plane: Tensor, margin: int) -> Tensor:
    """Padded by repeating the border pixels, by any margin whatever the size."""
    for dim in (2, 3):
        size = plane.size(dim)
        index = torch.arange(-margin, size + margin, device=plane.device)
        plane = torch.index_select(plane, dim, torch.clamp(index, 0, size - 1))
    return plane


def fill_nonfinite(plane: Tensor) -> Tensor:
    """:func:`deepupscale.resample.fill_nonfinite`; two pixels on every side are context only.

    Sums are in float32, of values divided by 32, so that none overflows.
    """
    if bool(torch.isfinite(plane).all()):
        return inner(plane, 2)
    absent = torch.isnan(plane)
    known = torch.nan_to_num(plane, 0.0, 65504.0, -65504.0)
    total = box_sum(known * 0.03125)
    count = box_sum((~absent).float()) * 0.03125
    mean = torch.where(count > 0.0, total / torch.clamp(count, min=0.03125), total)
    return torch.where(inner(absent, 2), mean, inner(known, 2))


def box_sum(plane: Tensor) -> Tensor:
    """Sum over the 5 x 5 pixels around each; loses two pixels on every side."""
    weights = [1.0, 1.0, 1.0, 1.0, 1.0]
    return weighted_sum(weighted_sum(plane, 2, weights), 3, weights)


def weighted_sum(plane: Tensor, dim: int, weights: list[float]) -> Tensor:
    """Correlation along rows (2) or columns (3), summed in order; loses ``len(weights) - 1`` of them.

    Weights of zero are left out.
    """
    count = plane.size(dim) - len(weights) + 1
    total = torch.zeros_like(plane.narrow(dim, 0, count))
    first = True
    for i in range(len(weights)):
        if weights[i] != 0.0:
            part = plane.narrow(dim, i, count) * weights[i]
            total = part if first else total + part
            first = False
    return total


def interpolate(plane: Tensor, even: list[float], odd: list[float]) -> Tensor:
    """:func:`deepupscale.resample.double` by the cubic kernel, for two pixels of context on every side."""
    tall = interleave(weighted_sum(plane, 2, even), weighted_sum(plane, 2, odd), 2)
    return interleave(weighted_sum(tall, 3, even), weighted_sum(tall, 3, odd), 3)


def interleave(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    """Rows (2) or columns (3) of two planes by turns."""
    return torch.stack([even, odd], dim + 1).flatten(dim, dim + 1)


def repeat_pixels(plane: Tensor) -> Tensor:
    """Every pixel four times."""
    tall = interleave(plane, plane, 2)
    return interleave(tall, tall, 3)


def curvature(plane: Tensor) -> Tensor:
    """:func:`deepupscale.resample.local_curvature` of radius 2, for three pixels of context on every side."""
    centre = inner(plane, 1)
    twice = centre * 2.0
    down = torch.abs(plane[:, :, 2:, 1:-1] + plane[:, :, :-2, 1:-1] - twice)
    across = torch.abs(plane[:, :, 1:-1, 2:] + plane[:, :, 1:-1, :-2] - twice)
    return torch.max_pool2d(torch.maximum(down, across), [5, 5], [1, 1])


def compress(linear: Tensor, gain: float, mu: float) -> Tensor:
    """:meth:`deepupscale.range_compression.RangeCompression.compress`."""
    size = torch.abs(linear)
    log = torch.log1p(size * mu)
    if bool((size > 1e20).any()):  # mu times that exceeds float32
        log = torch.where(size > 1e20, torch.log(size) + math.log(mu), log)
    return torch.copysign(log * gain, linear)


def expand(compressed: Tensor, gain: float, mu: float) -> Tensor:
    """:meth:`deepupscale.range_compression.RangeCompression.expand`, held to the largest float32."""
    log = torch.abs(compressed) * (1.0 / gain)
    size = torch.expm1(log) * (1.0 / mu)
    if bool((log > 54.0).any()):  # light above 1e20: there expm1 may exceed float32 before mu divides it
        size = torch.where(log > 54.0, torch.exp(log - math.log(mu)), size)
    return torch.copysign(torch.clamp(size, max=3.4028234663852886e38), compressed)
