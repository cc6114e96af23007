"""The promise: what an exported model says of itself, in one JSON document inside its ``.onnx`` file.

The exporter writes it and the engine reads it through the same classes. It is kept in ``metadata_props`` under the
key ``deepupscale``. The engine needs nothing else to run a model. A field that this version does not know is an
error, for a promise that is half understood is worse than none; a newer ``version`` is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepupscale.devices import Precision
from deepupscale.errors import ModelError
from deepupscale.fields import Kind
from deepupscale.range_compression import RangeCompression

METADATA_KEY = "deepupscale"
VERSION = 1

GraphPrecision = Literal["f32", "f16", "int8"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LogTransfer(_Strict):
    """Range compression T(y) = k * log(1 + mu * y) / log(1 + mu), odd for negatives."""

    kind: Literal["log"] = "log"
    k: float = Field(default=0.6, gt=0.0, le=1e3)
    mu: float = Field(default=5000.0, gt=0.0, le=1e9)

    def range_compression(self) -> RangeCompression:
        """The curve as the engine applies it."""
        return RangeCompression(self.k, self.mu)


class PlainTransfer(_Strict):
    """Transfers without constants: as it is, unit vectors in [-1, 1], or 1 / distance."""

    kind: Literal["none", "unit-vector", "disparity"]


Transfer = Annotated[LogTransfer | PlainTransfer, Field(discriminator="kind")]


class _Tensor(_Strict):
    name: Name
    """Name of the tensor in the graph."""
    field: Kind
    """What its values are."""
    channels: tuple[Name, ...] = Field(min_length=1, max_length=64)
    """Components in the order of the tensor's channel axis, as in ``("R", "G", "B")``."""
    transfer: Transfer
    """The curve that scene-linear values go through before the graph, and backwards after it."""
    scale: int = Field(ge=1, le=8)
    """Samples per plate pixel along each axis: 1 for the plate itself, 2 for a 2x result."""


class Input(_Tensor):
    """A tensor fed to the graph: float32, (1, channels * len(frames), height, width); at rank 3 depth before height."""

    frames: tuple[int, ...] = Field(default=(0,), min_length=1, max_length=33)
    """Frame offsets that are stacked along the channel axis, as in ``(-1, 0, 1)``."""
    optional: bool = False
    """Whether zeros may stand in where a plate lacks the field."""


class Output(_Tensor):
    """A tensor that the graph returns."""

    residual_over: Name | None = None
    """Input whose interpolation the engine adds to this tensor, in the transfer's range and in float32.

    None if the tensor is the result itself."""
    interpolation: Literal["cubic", "lanczos3", "linear"] = "cubic"
    """The fixed kernel of that interpolation (``deepupscale.resample``)."""


class Metric(_Strict):
    """One figure with what it was measured on."""

    name: Name
    value: float
    unit: Annotated[str, Field(max_length=40)] = ""
    pairs: Text
    """The pairs it was measured on."""


class Training(_Strict):
    """Where the weights come from."""

    dataset: Text
    """What was learnt from, or the dataset's id."""
    code_revision: Annotated[str, Field(max_length=200)]
    iterations: int = Field(ge=0)
    metrics: tuple[Metric, ...] = Field(default=(), max_length=64)


class Verification(_Strict):
    """One precision that the exporter ran and compared with the trained network in float32."""

    precision: Precision
    runtime: Name
    max_error: float = Field(ge=0.0)
    """Largest absolute difference of the output tensor, in the transfer's range."""


class Promise(_Strict):
    """The whole document."""

    format: Literal["deepupscale-promise"] = "deepupscale-promise"
    version: Literal[1] = VERSION
    task: Literal["upscale", "supersample", "normals", "volume"]
    name: Name
    model_version: Annotated[str, Field(max_length=40)]
    licence: Name
    rank: Literal[2, 3] = 2
    """Spatial axes: 2 for pictures, 3 for volumes."""
    inputs: tuple[Input, ...] = Field(min_length=1, max_length=16)
    outputs: tuple[Output, ...] = Field(min_length=1, max_length=16)
    halo: int = Field(ge=0, le=512)
    """Input pixels of context on every side that one output pixel depends on, as the exporter measured it."""
    multiple: int = Field(default=1, ge=1, le=256)
    """Sides of the tensors fed to the graph must be multiples of this."""
    precision: GraphPrecision = "f32"
    """What the graph between its float32 tensors computes in: f16 has half weights and tensors, int8 is quantised.

    A runtime may compute an f32 graph in a lower precision, an f16 one in a higher; an int8 one runs as it is."""
    training: Training
    verified: tuple[Verification, ...] = Field(default=(), max_length=32)

    @model_validator(mode="after")
    def _names_agree(self) -> Promise:
        names = [tensor.name for tensor in (*self.inputs, *self.outputs)]
        if len(set(names)) != len(names):
            raise ValueError("two tensors have the same name")
        for output in self.outputs:
            if output.residual_over is None:
                continue
            base = next((i for i in self.inputs if i.name == output.residual_over), None)
            if (
                base is None
                or base.channels != output.channels
                or base.transfer != output.transfer
                or 0 not in base.frames
            ):
                raise ValueError(
                    f"output {output.name} is a residual over {output.residual_over}, which does not match it"
                )
        return self

    def verified_at(self, precision: str) -> bool:
        """Whether the exporter compared this precision with the trained network."""
        return any(v.precision == precision for v in self.verified)

    def to_json(self) -> str:
        """The document as it is stored; of an f32 graph as it was before there were others, for older readers."""
        return self.model_dump_json(exclude={"precision"} if self.precision == "f32" else None)

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> Promise:
        """Read a stored document.

        Args:
            text: JSON.
            source: The file it came from, for the message.

        Raises:
            ModelError: Not a promise, a newer version, or a field out of bounds.
        """
        try:
            head = _Head.model_validate_json(text)
            if head.version > VERSION:
                raise ModelError(
                    f"{source}: its promise has version {head.version}, this deepupscale reads up to {VERSION}: "
                    "update deepupscale"
                )
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "document"
            raise ModelError(
                f"{source}: its promise is not valid ({where}: {first['msg']}): export the model again"
            ) from None


class _Head(BaseModel):
    """What every version of a promise has."""

    format: Literal["deepupscale-promise"]
    version: int = Field(ge=1)
