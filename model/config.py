"""The configuration of a training run: typed, closed to typos, the same from YAML, overrides and code.

A preset is a YAML file; ``a.b=c`` on the command line overrides one value, written as in YAML. What a run was started
with lies as ``config.yaml`` in its folder. ``schema()`` gives the JSON schema for editors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepupscale.errors import UsageError, one_line

VERSION = 1
PRESETS = Path(__file__).with_name("presets")
LARGEST_FILE = 1 << 20  # bytes
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Weight = Annotated[float, Field(ge=0.0, le=1e6)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class AugmentationConfig(_Part):
    """See `model.augment.Augmentation`."""

    flips: bool | Literal["across"] = True
    rotations: bool = True
    shift: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    shift_domain: Literal["compressed", "linear"] = "compressed"
    exposure: Annotated[float, Field(ge=0.0, le=16.0)] = 2.0
    permute: _Share = 0.0


class DataConfig(_Part):
    """What is learnt from.

    Attributes:
        store: A store made by ``deepupscale pack``.
        held_out: Share of the pairs that is never trained on; which ones follows from their names alone.
        patch: Side of the HR patch in pixels, even.
        batch: Patches a step, over all processes.
        importance: Share of patches drawn by intensity.
        detail: Share of patches drawn by what interpolation misses; the others uniformly.
        workers: Processes that cut and augment patches; 0 for none.
        augmentation: Drawn anew for each patch.
    """

    store: Path
    held_out: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    patch: Annotated[int, Field(ge=32, le=1024, multiple_of=2)] = 192
    batch: Annotated[int, Field(ge=1, le=4096)] = 20
    importance: _Share = 0.5
    detail: _Share = 0.0
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    augmentation: AugmentationConfig = AugmentationConfig()

    @model_validator(mode="after")
    def _shares_within_one(self) -> DataConfig:
        if self.importance + self.detail > 1.0:
            raise ValueError(f"importance {self.importance:g} and detail {self.detail:g} must not be above 1 together")
        return self


class NetworkConfig(_Part):
    """A network by the name it is registered under, and what its constructor takes."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    shape: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], int | float | bool] = Field(default_factory=dict)


class ColourShiftConfig(_Part):
    """The operator that both pictures are brought low with before their colours are compared.

    Attributes:
        filter: Low-pass at LR size.
        sigma: Of it, in LR pixels.
        domain: Where the means are taken.
        beyond_floor: Count only what goes beyond the pair's own shift; the paper's term counts all.
    """

    filter: Literal["box", "gaussian"] = "gaussian"
    sigma: Annotated[float, Field(gt=0.0, le=16.0)] = 2.0
    domain: Literal["compressed", "linear"] = "linear"
    beyond_floor: bool = True


class FeatureConfig(_Part):
    """Where features come from; ``file`` for those that are trained beforehand."""

    source: Literal["discriminator", "aov", "vgg"] = "discriminator"
    file: Path | None = None

    @model_validator(mode="after")
    def _file_where_needed(self) -> FeatureConfig:
        if (self.file is None) != (self.source == "discriminator"):
            raise ValueError(f"source {self.source} {'takes no' if self.file else 'needs a'} file")
        return self


class WeightsConfig(_Part):
    """Weights of the terms; the defaults are those of the 2020 paper, which knows the first four.

    Attributes:
        checkerboard: See `model.losses.checkerboard`.
        ms_ssim: See `model.losses.ms_ssim`; five scales from patches of 176 pixels, fewer below.
        hdr_flip: See `model.losses.hdr_flip`.
    """

    fidelity: _Weight = 1.0
    colour_shift: _Weight = 5.0
    feature: _Weight = 0.1
    adversarial: _Weight = 0.0005
    checkerboard: _Weight = 0.0
    ms_ssim: _Weight = 0.0
    hdr_flip: _Weight = 0.0

    @model_validator(mode="after")
    def _something_counts(self) -> WeightsConfig:
        if not any(self.model_dump().values()):
            raise ValueError("one weight must be above 0, or there is nothing to learn from")
        return self


class LossConfig(_Part):
    """How each term is computed; the stages weigh them.

    Attributes:
        fidelity: The PSNR term.
        domain: Where it is taken: in the compressed range, or in linear light (an ablation).
        adversarial: Kind of the GAN term.
        correction_gain: The discriminator is shown the picture and, times this, what it adds to the interpolated plate;
            0 shows the picture alone, as in the paper.
    """

    fidelity: Literal["l1", "l2", "charbonnier"] = "l1"
    domain: Literal["compressed", "linear"] = "compressed"
    colour_shift: ColourShiftConfig = ColourShiftConfig()
    feature: FeatureConfig = FeatureConfig()
    adversarial: Literal["vanilla", "lsgan", "ralsgan", "rasgan", "hinge"] = "lsgan"
    correction_gain: Annotated[float, Field(ge=0.0, le=1000.0)] = 8.0


class StageConfig(_Part):
    """One stage of a run.

    Attributes:
        steps: How long it is; the learning rate anneals to its end.
        rate: Peak learning rate of the generator.
        discriminator_rate: The same of the discriminator, where the stage has one.
        schedule: How the rate falls after the warm-up.
        warm_up: Steps in which it rises from nearly nothing.
        weights: Of the loss terms. A stage with an adversarial weight trains the discriminator too.
    """

    steps: Annotated[int, Field(ge=1, le=100_000_000)]
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 5e-4
    discriminator_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-4
    schedule: Literal["cosine", "onecycle", "constant"] = "cosine"
    warm_up: Annotated[int, Field(ge=0)] = 200
    weights: WeightsConfig = WeightsConfig()


class TrainConfig(_Part):
    """A whole run.

    Attributes:
        version: Of this format.
        name: Goes into the run folder and the exported model.
        seed: Of weights, places, augmentation.
        data: What is learnt from.
        generator: The network that is exported.
        start: What has weights of that network for the run to begin with, as for a studio's own pairs: a checkpoint, a
            run's folder, an exported model or its name. The schedule begins anew.
        discriminator: Its opponent; needed by stages with an adversarial weight or discriminator features.
        loss: How the terms are computed.
        pretrain: The first stage: no adversarial term.
        gan: The second; left out for a network trained for fidelity alone.
        precision: Of the networks; losses and the final addition are float32 in any case.
        betas: Of Adam.
        weight_decay: Of AdamW.
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights, which are validated and exported.
        nonfinite_steps: So many skipped steps in a row end the run.
        validate_every: Steps between validations.
        validation_crops: How many crops are scored and written as EXR.
        checkpoint_every: Steps between checkpoints.
        keep: How many checkpoints are kept.
    """

    version: Literal[1] = VERSION
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$")]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    data: DataConfig
    generator: NetworkConfig = NetworkConfig(name="residual")
    start: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    discriminator: NetworkConfig = NetworkConfig(name="unet")
    loss: LossConfig = LossConfig()
    pretrain: StageConfig
    gan: StageConfig | None = None
    precision: Literal["bf16", "f32"] = "bf16"
    betas: tuple[_Share, _Share] = (0.9, 0.99)
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4
    clip: Annotated[float, Field(gt=0.0)] = 0.5
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    nonfinite_steps: Annotated[int, Field(ge=1)] = 20
    validate_every: Annotated[int, Field(ge=1)] = 500
    validation_crops: Annotated[int, Field(ge=0, le=256)] = 12
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    keep: Annotated[int, Field(ge=1, le=1000)] = 3

    @model_validator(mode="after")
    def _pretraining_is_without_opponent(self) -> TrainConfig:
        if self.pretrain.weights.adversarial:
            raise ValueError("pretrain.weights.adversarial must be 0: the opponent comes with the stage gan")
        if self.pretrain.weights.feature and self.loss.feature.source == "discriminator":
            raise ValueError(
                "pretrain.weights.feature must be 0 with features of the discriminator: it is not there yet"
            )
        return self


def load(source: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration.

    Args:
        source: A YAML file, or the name of a preset.
        overrides: ``a.b=c`` each; c as in YAML.

    Raises:
        UsageError: No such file or preset, no YAML, an unknown key, a value that cannot be.
    """
    path = Path(source)
    if not path.suffix and (PRESETS / f"{source}.yaml").is_file():
        path = PRESETS / f"{source}.yaml"
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path}: is larger than {LARGEST_FILE >> 10} KiB: not a configuration")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        presets = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
        raise UsageError(f"{path}: there is no such file; presets are {presets}") from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}: is no YAML: {one_line(str(error))}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path}: is no mapping of names to values")
    for override in overrides:
        _override(document, override)
    try:
        return TrainConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "configuration"
        more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
        raise UsageError(f"{path}: {where}: {one_line(first['msg'])}{more}") from None


def _override(document: dict[str, Any], text: str) -> None:
    name, equals, value = text.partition("=")
    keys = name.split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {text}: write NAME=VALUE, as in data.batch=8")
    place: Any = document
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {text}: {key} is a value, nothing lies below it")
    try:
        place[keys[-1]] = yaml.safe_load(value)
    except (ValueError, yaml.YAMLError, RecursionError):  # ValueError: a date or a number that cannot be
        shown = text if len(text) <= 100 else f"{text[:97]}..."
        raise UsageError(f"--set {shown}: the value is no YAML") from None


def dump(config: TrainConfig) -> str:
    """The configuration as YAML, every value written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def schema() -> dict[str, Any]:
    """The JSON schema."""
    return TrainConfig.model_json_schema()
