"""Where a run is: its stage at a step, and the learning rate there. Both follow from the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.config import StageConfig, TrainConfig


@dataclass(frozen=True)
class Moment:
    """One step of a run.

    Attributes:
        name: Of the stage.
        stage: The stage.
        fraction: How far it is, 0 to 1.
        factor: What the stage's peak rates are multiplied by.
    """

    name: str
    stage: StageConfig
    fraction: float
    factor: float


def total_steps(config: TrainConfig) -> int:
    """Steps of all stages."""
    return config.pretrain.steps + (config.gan.steps if config.gan is not None else 0)


def moment(config: TrainConfig, step: int) -> Moment:
    """Where the run is before it does ``step``, counted from 0."""
    name, stage, at = "pretrain", config.pretrain, step
    if config.gan is not None and step >= config.pretrain.steps:
        name, stage, at = "gan", config.gan, step - config.pretrain.steps
    return Moment(name, stage, at / stage.steps, _factor(stage, at))


def _factor(stage: StageConfig, at: int) -> float:
    """Warm-up times schedule.

    cosine      from 1 to 0 over the stage
    onecycle    up over the first 30 %, from a 25th, and down to 0 by cosines (Smith and Topin 2018)
    constant    1
    """
    fraction = at / stage.steps
    if stage.schedule == "cosine":
        factor = 0.5 * (1.0 + math.cos(math.pi * fraction))
    elif stage.schedule == "onecycle":
        rising = fraction < 0.3
        way = fraction / 0.3 if rising else (fraction - 0.3) / 0.7
        bow = 0.5 * (1.0 - math.cos(math.pi * way))
        factor = 0.04 + 0.96 * bow if rising else 1.0 - bow
    else:
        factor = 1.0
    return factor * min(1.0, (at + 1) / stage.warm_up) if stage.warm_up else factor
