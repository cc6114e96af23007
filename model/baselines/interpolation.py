"""Fixed interpolation, in linear light as today's tools do it, and in the compressed range, where it rings less."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double, kernel_radius, pad

Float32 = NDArray[np.float32]

_CURVE = RangeCompression()


def bicubic(lr: Float32) -> Float32:
    """Keys' cubic with a = -0.5 (Catmull-Rom; "Keys" in Nuke) in linear light."""
    return _doubled(checked(lr), "cubic")


def bicubic_compressed(lr: Float32) -> Float32:
    """Keys' cubic with a = -0.5 in the compressed range: what the network corrects."""
    return _CURVE.expand(_doubled(_CURVE.compress(checked(lr)), "cubic"))


def lanczos3(lr: Float32) -> Float32:
    """Lanczos with three lobes in linear light."""
    return _doubled(checked(lr), "lanczos3")


def lanczos3_compressed(lr: Float32) -> Float32:
    """Lanczos with three lobes in the compressed range."""
    return _CURVE.expand(_doubled(_CURVE.compress(checked(lr)), "lanczos3"))


def nuke_lanczos6(lr: Float32) -> Float32:
    """Nuke's filter Lanczos6, in linear light.

    Nuke counts the whole width of the kernel: six pixels are three lobes, the same function as :func:`lanczos3`.
    That is OpenImageIO's reading, whose `nuke-lanczos6` is documented as a synonym of `lanczos3`; Foundry's manual
    shows the kernel but states no formula. It stands under its own name because users look for it.
    """
    return lanczos3(lr)


def checked(lr: Float32) -> Float32:
    """The picture as float32, or ValueError where it is not (height, width, 3) and finite."""
    picture = np.asarray(lr, np.float32)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(f"an upscaler needs a picture (height, width, 3), got {picture.shape}")
    if not np.isfinite(picture).all():
        raise ValueError("an upscaler needs a finite picture: replace NaN and Inf first")
    return picture


def _doubled(plane: Float32, kernel: str) -> Float32:
    """A whole picture doubled, its border repeated."""
    radius = kernel_radius(kernel)
    return double(pad(plane, radius, radius, radius, radius), radius, kernel)
