"""The engine without its network: a session that answers at once, and a part doubled in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from deepupscale.fields import fields_of
from deepupscale.model_file import ModelFile
from deepupscale.passes import Counts, DoublingPass, Strip, plan
from deepupscale.session import Choice, Session, Tensor
from deepupscale.upscaler import Upscaler


class StandInSession:
    """Answers with the same small noise for every tile of a shape.

    Attributes:
        fed: Copies of the tensors that the engine fed, in order, where ``keep`` is set.
    """

    def __init__(self, model: ModelFile, keep: bool = False) -> None:
        self.choice = Choice("stand-in", "cpu", "f32", "the engine's own work is measured")
        self.fed: list[Tensor] = []
        self._keep = keep
        self._input, self._output = model.promise.inputs[0].name, model.promise.outputs[0].name
        self._answers: dict[tuple[int, ...], Tensor] = {}

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A residual of twice the size."""
        tensor = inputs[self._input]
        if self._keep:
            self.fed.append(tensor.copy())
        if tensor.shape not in self._answers:
            batch, channels, height, width = tensor.shape
            noise = np.random.default_rng(1).standard_normal((batch, channels, 2 * height, 2 * width), np.float32)
            self._answers[tensor.shape] = noise * np.float32(0.01)
        return {self._output: self._answers[tensor.shape]}


def double_in_memory(model: ModelFile, session: Session, planes: Mapping[str, NDArray[np.float32]]) -> None:
    """Double a part as the engine does, from arrays and into nothing.

    Args:
        model: Gives transfer, interpolation and halo.
        session: The network, or what stands for it.
        planes: Channel name to (height, width) float32.
    """
    height, width = next(iter(planes.values())).shape
    fields = fields_of(tuple(planes))
    tiling = plan(width, height, len(planes))

    def strips() -> Iterator[Strip]:
        for top in range(0, height, tiling.rows):
            rows = slice(top, top + tiling.rows)
            yield {f.key: np.stack([planes[name][rows] for name in f.channels], axis=-1) for f in fields}

    for _ in DoublingPass(fields, Upscaler(model, session), Counts()).run(strips(), width, height, tiling):
        pass


def tensors_fed(model: ModelFile, planes: Mapping[str, NDArray[np.float32]]) -> list[Tensor]:
    """Every tensor that the engine feeds to the network for a part, halos included."""
    session = StandInSession(model, keep=True)
    double_in_memory(model, session, planes)
    return session.fed
