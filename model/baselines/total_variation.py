"""Doubling by total-variation inpainting, after the method that Nuke's TVIScale names.

TVIScale's manual names the method and its three controls, not its equations. This follows Chan and Shen,
"Mathematical models for local nontexture inpaintings", SIAM J. Appl. Math. 62 (2002), whose digital zoom-in is a
total-variation inpainting with the same three controls, in the graph form of Chan, Osher and Shen, "The digital TV
filter and nonlinear denoising", IEEE Trans. Image Processing 10 (2001).

Per channel, over the pixels p of the doubled picture u, minimise

    E(u) = sum over p of |grad u|_p  +  lambda / 2 * sum over p of (mean of u over p's block - f of p's block)^2
    |grad u|_p = sqrt(A^2 + sum over the four neighbours q of p of (u_q - u_p)^2)

where f is the LR picture and a block is the two by two pixels that lie under one of its pixels.

Scheme: with |grad u| held from the iteration before, the first sum is bounded from above by a quadratic that touches
it at u (lagged diffusivity, Vogel and Oman 1996). With weights w_pq = 1 / |grad u|_p + 1 / |grad u|_q, one step is

    u_p  <-  u_p + (sum over q of w_pq (u_q - u_p) + lambda (f - block mean)) / (2 * sum over q of w_pq + lambda)

which is explicit gradient descent with a step of its own for every pixel. The divisor bounds the row sums of the
quadratic's Hessian (Gershgorin), so every step lowers E, or leaves it, for any lambda and A above 0 and for any
brightness: there is no step length to choose and nothing to become unstable.

Interpretation, where the manual is silent: that LR binds block means rather than single samples (pixel areas then
coincide with those of a render at twice the size, and no half-pixel shift arises); that the borders are free; that
channels are apart; and that lambda counts per pixel of the doubled picture in scene-linear light. So E is not blind to
exposure: the same lambda smooths shadows more than highlights. Iterating starts from the piecewise linear
reconstruction of `deepupscale.resample.double_limited`, which holds the block means exactly (the second sum of E is 0),
makes no value that LR has not, and keeps a step a step. The minimiser keeps the mean of the picture exactly (the first
sum takes from one pixel what it gives to another); a few iterations keep it nearly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deepupscale.resample import double_limited, pad
from model.baselines.interpolation import checked

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def tviscale(lr: Float32, iterations: int = 5, lambda_: float = 5.0, a: float = 1e-4) -> Float32:
    """Double a picture by total-variation inpainting; the defaults are those of TVIScale.

    Args:
        lr: (height, width, 3), scene-linear, finite.
        iterations: Steps; 0 returns the start.
        lambda_: Weight of the LR picture; above 0. The larger, the less is smoothed and the more noise is kept.
        a: Smallest gradient told from none, scene-linear; above 0. Below it, smoothing is plain diffusion.

    Returns:
        (2 height, 2 width, 3) float32, scene-linear.

    Raises:
        ValueError: For another shape, NaN, Inf, or parameters out of their range.
    """
    f = checked(lr)
    if iterations < 0:
        raise ValueError(f"tviscale needs iterations of 0 or more, got {iterations}")
    _check_weights(lambda_, a)
    out = _start(f)
    for channel in range(3):
        u = out[:, :, channel].astype(np.float64)
        known = f[:, :, channel].astype(np.float64)
        for _ in range(iterations):
            u = step(u, known, lambda_, a)
        out[:, :, channel] = u
    return out


def _start(f: Float32) -> Float32:
    """LR reconstructed piecewise linearly: the mean of both orders of the axes, so that neither is favoured."""
    around = pad(f, 1, 1, 1, 1)
    turned = double_limited(np.ascontiguousarray(around.transpose(1, 0, 2)), 1).transpose(1, 0, 2)
    return np.float32(0.5) * (double_limited(around, 1) + turned)


def step(u: Float64, lr: Float64, lambda_: float, a: float) -> Float64:
    """One iteration on one channel.

    Args:
        u: (2 height, 2 width), scene-linear.
        lr: (height, width), scene-linear.
        lambda_: Above 0.
        a: Above 0.
    """
    down, across = np.diff(u, axis=0), np.diff(u, axis=1)
    inverse = 1.0 / _gradient(down, across, u.shape, a)
    down_weight, across_weight = inverse[1:] + inverse[:-1], inverse[:, 1:] + inverse[:, :-1]
    down *= down_weight
    across *= across_weight
    pull = (lambda_ * (lr - _block_means(u))).repeat(2, axis=0).repeat(2, axis=1)
    pull[:-1] += down
    pull[1:] -= down
    pull[:, :-1] += across
    pull[:, 1:] -= across
    weights = np.zeros_like(u)
    weights[:-1] += down_weight
    weights[1:] += down_weight
    weights[:, :-1] += across_weight
    weights[:, 1:] += across_weight
    return u + pull / (2.0 * weights + lambda_)


def total_variation(u: Float64, a: float) -> float:
    """Sum over the pixels of one channel of |grad u|, smoothed by ``a``."""
    return float(_gradient(np.diff(u, axis=0), np.diff(u, axis=1), u.shape, a).sum())


def energy(u: Float64, lr: Float64, lambda_: float, a: float) -> float:
    """What every step lowers: E of one channel."""
    _check_weights(lambda_, a)
    return total_variation(u, a) + 2.0 * lambda_ * float(((_block_means(u) - lr) ** 2).sum())


def _gradient(down: Float64, across: Float64, shape: tuple[int, ...], a: float) -> Float64:
    """|grad u| from the differences along both axes; a difference beyond the border is none."""
    squares = np.full(shape, a * a)
    squares[:-1] += down**2
    squares[1:] += down**2
    squares[:, :-1] += across**2
    squares[:, 1:] += across**2
    return np.sqrt(squares)


def _block_means(u: Float64) -> Float64:
    """Mean over each two by two pixels."""
    return 0.25 * (u[0::2, 0::2] + u[0::2, 1::2] + u[1::2, 0::2] + u[1::2, 1::2])


def _check_weights(lambda_: float, a: float) -> None:
    if not (math.isfinite(lambda_) and lambda_ > 0.0 and math.isfinite(a) and a > 0.0):
        raise ValueError(f"total variation needs finite lambda and A above 0, got lambda={lambda_}, A={a}")
