"""Validation while training: the averaged weights on crops of pairs that are never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double
from model.config import LossConfig
from model.losses import ColourShift
from model.metrics import psnr, sharpness
from model.networks import Generator
from model.pixel_filters import Float32
from model.run_folder import RunFolder
from model.sampling import StoreSampler
from model.scoring import mean
from model.store import Store
from model.store_format import BEAUTY
from model.upsample import MARGIN, UPSAMPLE

SIDE = 96  # LR pixels
CONTEXT = 32  # LR pixels; the default network looks 27 far
_SEED = 20  # the crops are the same in every run on a store

CURVE = RangeCompression()


@dataclass(frozen=True)
class Crop:
    """One place; pictures in the compressed range.

    Attributes:
        name: Pair and place.
        lr: (side + 2 CONTEXT, side + 2 CONTEXT, 3).
        base: The fixed upsample, (2 side, 2 side, 3).
        hr: The truth, (2 side, 2 side, 3).
    """

    name: str
    lr: Float32
    base: Float32
    hr: Float32


class Validator:
    """Scores a generator, and writes what it makes.

    Args:
        store: Where the crops are cut from.
        pairs: Numbers of the pairs that may be shown.
        count: How many crops.
        loss: Its colour shift term is measured, beside its floor.
    """

    def __init__(self, store: Store, pairs: Sequence[int], count: int, loss: LossConfig) -> None:
        self._shift = ColourShift(**loss.colour_shift.model_dump())
        side = min(SIDE, *(min(store.pairs[number].size) for number in pairs))
        sampler, rng = StoreSampler(store, side, pairs=pairs), np.random.default_rng(_SEED)
        self.crops: list[Crop] = []
        for _ in range(count):
            place = sampler.draw(rng)
            crop = store.crop(place.pair, place.y, place.x, side, CONTEXT)
            lr, hr = CURVE.compress(crop.lr[BEAUTY]), CURVE.compress(crop.hr[BEAUTY])
            spare = CONTEXT - MARGIN
            base = double(np.ascontiguousarray(lr[spare:-spare, spare:-spare]), MARGIN, UPSAMPLE)
            name = f"{store.pairs[place.pair].name}_{place.y}_{place.x}"
            self.crops.append(Crop(name, lr, base, hr))

    def validate(
        self, run: RunFolder, step: int, generator: Generator, weights: dict[str, Tensor], device: torch.device
    ) -> dict[str, float]:
        """Score these weights, log the means, write pictures and scores; the generator's own weights stay."""
        own = {name: value.clone() for name, value in generator.state_dict().items()}
        generator.load_state_dict(weights)
        generator.eval()
        try:
            made = [self._enlarge(generator, crop, device) for crop in self.crops]
        finally:
            generator.train()
            generator.load_state_dict(own)
        scores: dict[str, dict[str, float]] = {}
        for crop, sr in zip(self.crops, made, strict=True):
            scores[crop.name] = self._score(crop, sr)
            linear = {which: CURVE.expand(picture) for which, picture in (("sr", sr), ("hr", crop.hr))}
            linear["lr"] = CURVE.expand(crop.lr[CONTEXT:-CONTEXT, CONTEXT:-CONTEXT])
            run.write_validation(step, crop.name, {**linear, "error": sr - crop.hr})
        run.write_scores(step, scores)
        means = {name: mean(score[name] for score in scores.values()) for name in _FIGURES} if scores else {}
        run.log(step, "validation", means)
        return means

    def _enlarge(self, generator: Generator, crop: Crop, device: torch.device) -> Float32:
        tensor = torch.from_numpy(crop.lr).permute(2, 0, 1)[None].to(device)
        with torch.inference_mode():
            residual = generator(tensor.contiguous(memory_format=torch.channels_last))[0].float()
        cut = 2 * CONTEXT
        return crop.base + residual[:, cut:-cut, cut:-cut].permute(1, 2, 0).cpu().numpy()

    def _score(self, crop: Crop, sr: Float32) -> dict[str, float]:
        lr = crop.lr[CONTEXT:-CONTEXT, CONTEXT:-CONTEXT]
        ours, truth, low = (torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None] for p in (sr, crop.hr, lr))
        linear = CURVE.expand(sr), CURVE.expand(crop.hr)
        return {
            "psnr": psnr(sr, crop.hr),
            "psnr of the base": psnr(crop.base, crop.hr),
            "sharpness": sharpness(*linear),
            "colour shift": self._shift.whole(ours, low),
            "colour shift floor": self._shift.whole(truth, low),
        }


_FIGURES = ("psnr", "psnr of the base", "sharpness", "colour shift", "colour shift floor")
