"""A trained generator as a session of the engine: a checkpoint goes through the very steps of its export.

The engine's :class:`~deepupscale.upscaler.Upscaler` compresses, interpolates, bounds the correction and adds it; here
is only what it asks of a runtime, and the promise of a network that is not exported yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from deepupscale.errors import InferenceError, RuntimeUnavailableError
from deepupscale.fields import Kind
from deepupscale.model_file import ModelFile
from deepupscale.promise import Input, LogTransfer, Output, Promise, Training
from deepupscale.session import Choice, Tensor
from model.networks import Generator

INPUT, OUTPUT = "plate", "residual"
_COLOUR = ("R", "G", "B")


def upscale_tensors() -> tuple[Input, Output]:
    """What every generator takes and returns, as its promise says it."""
    taken = Input(name=INPUT, field=Kind.COLOUR, channels=_COLOUR, transfer=LogTransfer(), scale=1)
    returned = Output(
        name=OUTPUT, field=Kind.COLOUR, channels=_COLOUR, transfer=LogTransfer(), scale=2, residual_over=INPUT
    )
    return taken, returned


def as_model_file(generator: Generator, source: Path, digest: str) -> ModelFile:
    """The file that an export would make, without a graph: enough for the engine's upscaler and a session of ours.

    Args:
        generator: RGB, 2x.
        source: Its checkpoint.
        digest: SHA-256 of that, hexadecimal.
    """
    taken, returned = upscale_tensors()
    promise = Promise(
        task="upscale",
        name=generator.kind,
        model_version="checkpoint",
        licence="unknown",
        inputs=(taken,),
        outputs=(returned,),
        halo=generator.receptive_radius,
        training=Training(dataset="unknown", code_revision="unknown", iterations=0),
    )
    return ModelFile(source, promise, b"", digest)


class TorchSession:
    """Runs a generator in PyTorch.

    Args:
        generator: Its weights; moved to the device.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto`` and ``f32`` compute in float32, ``bf16`` under autocast.

    Raises:
        RuntimeUnavailableError: A device or a precision that PyTorch does not have here.
    """

    def __init__(self, generator: Generator, device: str = "auto", precision: str = "auto") -> None:
        if precision not in ("auto", "f32", "bf16"):
            raise RuntimeUnavailableError(f"a checkpoint runs in f32 or bf16, not {precision}: use --precision auto")
        name = ("cuda:0" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if name != "cpu" and not torch.cuda.is_available():
            raise RuntimeUnavailableError(f"no device {device} for PyTorch here: use --device cpu")
        self._device = torch.device(name)
        self._low = precision == "bf16"
        self._generator = generator.eval().to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.choice = Choice("torch", name, "bf16" if self._low else "f32", "a checkpoint runs in PyTorch")

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :class:`deepupscale.session.Session`."""
        given = torch.from_numpy(inputs[INPUT]).to(self._device).contiguous(memory_format=torch.channels_last)
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._low):
                residual = self._generator(given)
        except (RuntimeError, MemoryError) as error:
            raise InferenceError(f"PyTorch gave up on {self._device}: {error}") from None
        return {OUTPUT: residual.float().contiguous().cpu().numpy()}
