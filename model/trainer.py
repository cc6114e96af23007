"""One step of a run: the generator's turn, its opponent's turn, and the averaged weights.

`model/train.py` calls it in a loop; a benchmark, or whoever wants one step, calls it alone. The networks compute in
bfloat16 under autocast, channels last; the fixed upsample, the addition and every loss are float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.config import TrainConfig
from model.loader import Batch, inner
from model.losses import Total
from model.networks import build_discriminator, build_generator
from model.objective import Objective
from model.ranks import Ranks
from model.run_state import RunState
from model.schedule import Moment, moment
from model.start import weights_for
from model.steps import average, learn, placed, set_rate


@dataclass(frozen=True)
class Done:
    """What a step came to.

    Attributes:
        stage: Name of its stage.
        finite: Whether all gradients were; where they were not, the side they are of and the averages have not moved.
        total: The generator's loss and its terms.
        figures: Rate and gradient norm; in a stage with an opponent also the opponent's.
    """

    stage: str
    finite: bool
    total: Total
    figures: dict[str, float]


class Trainer:
    """The networks of a run, their optimisers and averaged weights, and the step that moves them all.

    Args:
        config: What is asked for. Weights are drawn from torch's own generator, so seed it first.
        ranks: Which process this is, and its device.

    Attributes:
        generator: What is exported.
        opponent: The discriminator; None where no stage has one.
        ema: The generator's averaged weights, by name.
        state: All of it, to a snapshot and back.

    Raises:
        UsageError: Features of a discriminator that no stage trains.
        ModelError: An unknown network or shape, or a feature network's file that is damaged or foreign.
    """

    def __init__(self, config: TrainConfig, ranks: Ranks) -> None:
        self._config, self._ranks = config, ranks
        self.generator = placed(build_generator(config.generator.name, **config.generator.shape), ranks.device)
        self.opponent = None
        if config.gan is not None:
            channels = self.generator.channels * (2 if config.loss.correction_gain else 1)
            shape = config.discriminator.shape | {"channels": channels}
            self.opponent = placed(build_discriminator(config.discriminator.name, **shape), ranks.device)
        self.ema = {name: value.detach().clone() for name, value in self.generator.state_dict().items()}
        self._objective = Objective(config.loss, self.opponent, ranks.device)
        self._adam, self._opposing = self._optimiser(self.generator), None
        if self.opponent is not None:
            self._opposing = self._optimiser(self.opponent)
        self.state = RunState(self.generator, self.ema, self._adam, self.opponent, self._opposing)
        self._called = ranks.shared(self.generator)
        self._judged = ranks.shared(self.opponent) if self.opponent is not None else None

    def start_from(self, start: str) -> None:
        """Begin with weights that are there, and with averages of them alone.

        Args:
            start: What :func:`model.start.weights_for` takes.

        Raises:
            ModelError: It cannot be read, or holds another network or shape.
            MissingExtraError: An exported model needs the package onnx.
        """
        self.generator.load_state_dict(weights_for(self.generator, start))
        for name, value in self.generator.state_dict().items():
            self.ema[name].copy_(value)

    def step(self, number: int, batch: Batch) -> Done:
        """Do a step.

        Args:
            number: Of the step, from 0; its stage, weights and rates follow from it.
            batch: What is learnt from, on any device.
        """
        at = moment(self._config, number)
        batch = batch.to(self._ranks.device)

        # The generator's turn
        set_rate(self._adam, at.stage.rate * at.factor)
        with self._autocast():
            residual = self._called(batch.lr)
            sr = batch.base + inner(residual).float()
            total = self._objective.generator(at.stage.weights, sr, batch)
        finite, norm = learn(self._adam, self.generator, total.value, self._config.clip)

        # The opponent's turn
        figures: dict[str, float] = {}
        if finite and at.stage.weights.adversarial > 0.0:
            finite, figures = self._oppose(at, sr.detach(), batch)

        # Averaged weights
        if finite:
            average(self.ema, self.generator, self._config.ema, number)
        return Done(at.name, finite, total, figures | {"rate": at.stage.rate * at.factor, "norm": norm})

    def _oppose(self, at: Moment, sr: Tensor, batch: Batch) -> tuple[bool, dict[str, float]]:
        """The discriminator learns to tell the batch's truth from what the generator made of it.

        Both go through it at once: its spectral norms move once a step.
        """
        assert self._judged is not None
        assert self._opposing is not None
        set_rate(self._opposing, at.stage.discriminator_rate * at.factor)
        with self._autocast():
            shown = (self._objective.shown(each, batch.base) for each in (sr, batch.hr))
            logits = self._judged(torch.cat(tuple(shown))).logits
        fake, real = logits.chunk(2)
        loss = self._objective.adversarial.discriminator(fake, real)
        finite, norm = learn(self._opposing, self._judged, loss, self._config.clip)
        told = {"discriminator": loss, "fake": fake.mean(), "real": real.mean()}
        return finite, {name: float(value.detach()) for name, value in told.items()} | {"discriminator norm": norm}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._ranks.device.type, torch.bfloat16, enabled=self._config.precision == "bf16")

    def _optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        config = self._config
        return torch.optim.AdamW(network.parameters(), betas=config.betas, weight_decay=config.weight_decay)
