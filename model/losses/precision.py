"""Losses are computed in float32, whatever precision the networks run in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

_P = ParamSpec("_P")


def full(values: Tensor) -> Tensor:
    """The values as float32; float64 stays, so that gradients can be checked."""
    return values if values.dtype == torch.float64 else values.float()


def in_full_precision(term: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    """Switch autocast off inside a term and give it its tensors as float32 (or float64, if they are)."""

    @wraps(term)
    def computed(*args: _P.args, **kwargs: _P.kwargs) -> Tensor:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        promoted = [full(value) if isinstance(value, Tensor) else value for value in args]
        named = {key: full(value) if isinstance(value, Tensor) else value for key, value in kwargs.items()}
        with torch.autocast(tensors[0].device.type, enabled=False):
            return term(*promoted, **named)  # type: ignore[arg-type]

    return computed


def alike(ours: Tensor, truth: Tensor) -> None:
    """Refuse pictures of unequal shape, which would broadcast to a number that means nothing."""
    if ours.shape != truth.shape:
        raise ValueError(f"pictures differ in shape: {tuple(ours.shape)} and {tuple(truth.shape)}")
