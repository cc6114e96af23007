"""The fixed upsample under the network's correction, for batches of patches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepupscale.resample import double, kernel_radius

Float32 = NDArray[np.float32]

UPSAMPLE = "cubic"
MARGIN = kernel_radius(UPSAMPLE)  # LR pixels of context that it needs


def upsample_batch(lr: Float32) -> Float32:
    """Double patches by the fixed upsample.

    Args:
        lr: (batch, height, width, 3), compressed, with MARGIN pixels of context on every side.

    Returns:
        (batch, 2 (height - 2 MARGIN), 2 (width - 2 MARGIN), 3), compressed.
    """
    count, height, width, channels = lr.shape
    side_by_side = lr.transpose(1, 2, 0, 3).reshape(height, width, count * channels)
    doubled = double(np.ascontiguousarray(side_by_side), MARGIN, UPSAMPLE)
    return doubled.reshape(*doubled.shape[:2], count, channels).transpose(2, 0, 1, 3)
