"""Verification: what a file makes of made pictures, beside what the trained network makes of them in float32.

Every runtime and precision that this machine's CPU has is run on sizes down to one pixel. The limits of an error, in
the compressed range:

- float32: 1e-5, which is a twentieth of a step of a 16-bit half at 0.5; two runtimes sum in other orders, no more.
- bf16, and half where a runtime sums in it: 5e-2 at any pixel. bf16 has eight bits, so its steps are 8e-3 between 1 and
  2, where compressed highlights lie; the default model's largest error, 2.4e-2, is three such steps at single pixels
  beside lights of several hundred. And over all pixels the root mean square of the error may be a tenth of the
  correction's own: rounding stays far below (1.3 % in the default model), whereas with wrong weights or in a wrong
  order the error is as large as the correction.
- f16 graphs: 1e-2 at any pixel, a fiftieth of the correction. A half has three bits more than bf16, and sums are
  float32 here as on GPUs; the default model's largest error is 2.2e-3.
- int8: 1e-1 at any pixel, a fifth of the correction, and on patches of the store that it was not calibrated on a mean
  HDR-FLIP of 2e-2 between the pictures that the engine makes of it and of the trained network. On a plate, rounding to
  the 256 steps of a display scores 1.0e-2, and noise of 1.5 % of each channel's light 1.8e-2. The largest errors,
  9.3e-2 in the default model, are at single pixels beside lights of several hundred.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepupscale.devices import Precision
from deepupscale.errors import ModelError
from deepupscale.model_file import ModelFile
from deepupscale.promise import Verification
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import Float32, pad
from deepupscale.session import Session, Tensor, float_precisions, open_session
from deepupscale.upscaler import Upscaler
from export import half_session
from model.networks import Generator
from model.perceptual import hdr_flip
from model.procedural import procedural_image
from model.torch_session import INPUT, OUTPUT, TorchSession, as_model_file

SIZES = ((1, 1), (8, 8), (33, 257), (97, 131), (160, 192), (131, 97))
_SEEDS = (3, 5, 6, 1, 0, 7)
_CURVE = RangeCompression()
_RAMP_ROWS, _RAMP_COLUMNS = 4, 500
_RAMP_SLOPE = 0.9 / 2000.0  # scene-linear light per pixel: 0.1 to 1.0 over 2,000 pixels


@dataclass(frozen=True)
class Limit:
    """What an error may be, in the compressed range.

    Attributes:
        largest: At any pixel.
        share: Its root mean square over all pixels, as a share of the correction's; 1e-5 is allowed in any case.
    """

    largest: float
    share: float


LIMITS: dict[Precision, Limit] = {
    "f32": Limit(1e-5, 0.0),
    "bf16": Limit(5e-2, 0.1),
    "f16": Limit(5e-2, 0.1),
    "int8": Limit(1e-1, 0.2),
}
HALF_LIMIT = Limit(1e-2, 0.02)
FLIP_LIMIT = 2e-2
FULL_RAMP_LIMIT = 1e-5


@dataclass(frozen=True)
class Check:
    """What one runtime made of a file in one precision; all errors in the compressed range.

    Attributes:
        runtime: As ``openvino-cpu``.
        precision: As ``f32``.
        largest: Largest error.
        mean: Mean error.
        ramp: Largest correction on a slow grey ramp; the engine takes it away, and so does a self-contained graph,
            where it is what is left of it.
        output: Largest error of the graph's output as it is, in scene-linear light where the graph returns that.
        limit: What was allowed.
        flip: Mean HDR-FLIP of doubled patches of the store, between the file and the trained network in the engine.
    """

    runtime: str
    precision: Precision
    largest: float
    mean: float
    ramp: float
    output: float
    limit: Limit
    flip: float | None = None

    def verification(self) -> Verification:
        """As the promise tells it: rounded up to two digits, so that a rerun says the same."""
        return Verification(precision=self.precision, runtime=self.runtime, max_error=rounded_up(self.output))


@functools.cache
def made_pictures() -> tuple[Float32, ...]:
    """Scene-linear pictures (height, width, 3) of ``SIZES``, with negatives and a light of several hundred in each."""
    pictures: list[Float32] = []
    for (height, width), seed in zip(SIZES, _SEEDS, strict=True):
        whole = procedural_image(seed, 257)
        top, left = (whole.shape[0] - height) // 2, (whole.shape[1] - width) // 2
        picture = whole[top : top + height, left : left + width].copy()
        picture[height // 2, width // 2] = (700.0, 300.0, 60.0)
        picture[height // 4, width // 4, 1] -= 0.05
        pictures.append(picture)
    return tuple(pictures)


def verify(network: Generator, model: ModelFile, full: bool = False, patches: Sequence[Float32] = ()) -> list[Check]:
    """Compare a file with the network that it was made of, by OpenVINO and ONNX Runtime on the CPU.

    An f16 graph is also run with every result rounded to half, for both of them compute its halves in float32.

    Args:
        network: Trained; left as it is.
        model: The file and its promise; nothing is read from its path.
        full: Whether it is a self-contained graph, which is compared with the engine's result, in float32 only.
        patches: Scene-linear (height, width, 3), to compare an int8 graph on besides the made pictures.

    Raises:
        ModelError: A runtime cannot use the graph, a result has the wrong size or is not finite, or an error is beyond
            its limit.
        InferenceError: A runtime gave up.
        MissingExtraError: ONNX Runtime is not installed.
    """
    pictures = made_pictures()
    trained = TorchSession(copy.deepcopy(network), "cpu", "f32")
    engine = Upscaler(as_model_file(network, model.path, ""), trained)
    if full:
        truths = [_CURVE.compress(engine.double_colour(_padded(each, engine.margin))) for each in pictures]
        given = [_tensor(each) for each in pictures]
    else:
        given = [_tensor(_CURVE.compress(each)) for each in pictures]
        truths = [_picture(trained.run({INPUT: each})[OUTPUT]) for each in given]
    found: list[Check] = []
    for runtime, precision in _ways(model, full):
        own = runtime == half_session.RUNTIME
        session = half_session.HalfSession(model) if own else open_session(model, "cpu", precision, runtime)
        where = f"{model.path}: {runtime} in {precision}"
        results = [_run(session, model, each, where) for each in given]
        left = _full_ramp(session, model, engine, where) if full else _ramp(session, model, engine.margin, where)
        limit = HALF_LIMIT if own or (model.promise.precision, precision) == ("f16", "f32") else LIMITS[precision]
        check = _compare(f"{runtime}-cpu", precision, results, truths, left, full, limit, where)
        if patches:
            flip = _compare_patches(Upscaler(model, session), engine, patches, limit, where)
            check = replace(check, flip=flip)
        found.append(check)
    return found


def _ways(model: ModelFile, full: bool) -> list[tuple[str, Precision]]:
    """Runtimes and precisions that a file of this kind is run in."""
    if model.promise.precision == "int8":
        return [("openvino", "int8"), ("onnxruntime", "int8")]
    able: tuple[Precision, ...] = ("f32",) if full else float_precisions()
    ways: list[tuple[str, Precision]] = [*(("openvino", precision) for precision in able), ("onnxruntime", "f32")]
    return [*ways, (half_session.RUNTIME, "f16")] if model.promise.precision == "f16" else ways


def _compare(
    runtime: str, precision: Precision, results: Sequence[Float32], truths: Sequence[Float32], ramp: float, full: bool,
    limit: Limit, where: str,
) -> Check:  # fmt: skip
    """Raises ModelError beyond the limits."""
    compressed = [_CURVE.compress(each) for each in results] if full else results
    errors = [np.abs(ours - truth) for ours, truth in zip(compressed, truths, strict=True)]
    _check_errors(errors, truths, limit, where)
    if full:
        linear = [_CURVE.expand(truth) for truth in truths]
        output = max(float(np.abs(ours - truth).max()) for ours, truth in zip(results, linear, strict=True))
        if not ramp <= FULL_RAMP_LIMIT:
            raise ModelError(f"{where}: a smooth ramp is bent by {ramp:.1e}, {FULL_RAMP_LIMIT:.0e} is allowed")
    else:
        output = max(float(error.max()) for error in errors)
    count = sum(error.size for error in errors)
    mean = sum(float(error.sum(dtype=np.float64)) for error in errors) / count
    return Check(runtime, precision, max(float(error.max()) for error in errors), mean, ramp, output, limit)


def _compare_patches(ours: Upscaler, trained: Upscaler, patches: Sequence[Float32], limit: Limit, where: str) -> float:
    """Mean HDR-FLIP of patches doubled by the engine. Raises ModelError beyond the limits."""
    where = f"{where}, on patches of the store"
    padded = [_padded(each, trained.margin) for each in patches]
    pictures = [(trained.double_colour(each), ours.double_colour(each)) for each in padded]
    plain = [_CURVE.compress(trained.interpolate_colour(each)) for each in padded]
    truths = [_CURVE.compress(truth) for truth, _ in pictures]
    errors = [np.abs(_CURVE.compress(made) - truth) for (_, made), truth in zip(pictures, truths, strict=True)]
    corrections = [truth - base for truth, base in zip(truths, plain, strict=True)]
    _check_errors(errors, corrections, limit, where)
    flip = math.fsum(hdr_flip(truth, made).mean for truth, made in pictures) / len(pictures)
    if not flip <= FLIP_LIMIT:
        raise ModelError(f"{where}: HDR-FLIP is {flip:.1e}, {FLIP_LIMIT:.0e} is allowed")
    return flip


def _check_errors(errors: Sequence[Float32], corrections: Sequence[Float32], limit: Limit, where: str) -> None:
    """Raises ModelError beyond the limits; errors are absolute, both (2h, 2w, 3) in the compressed range."""
    for error in errors:
        if not float(error.max()) <= limit.largest:  # NaN as well
            raise ModelError(
                f"{where}: at {error.shape[1] // 2}x{error.shape[0] // 2} the result is {error.max():.1e} from the "
                f"trained network's, {limit.largest:.0e} is allowed"
            )
    distance, size = _root_mean_square(errors), _root_mean_square(corrections)
    allowed = max(1e-5, limit.share * size)
    if not distance <= allowed:
        raise ModelError(
            f"{where}: the results are {distance:.1e} (root mean square) from the trained network's, "
            f"{allowed:.1e} is allowed"
        )


def _run(session: Session, model: ModelFile, tensor: Tensor, where: str) -> Float32:
    """One tensor (1, 3, h, w) through a session: (2h, 2w, 3), finite."""
    result = session.run({model.promise.inputs[0].name: tensor})[model.promise.outputs[0].name]
    height, width = tensor.shape[2:]
    if result.shape != (1, 3, 2 * height, 2 * width):
        raise ModelError(f"{where}: at {width}x{height} the result has the shape {result.shape}: not twice the size")
    if not np.isfinite(result).all():
        raise ModelError(f"{where}: at {width}x{height} the result holds NaN or Inf")
    return _picture(result)


def slow_ramp(margin: int) -> Float32:
    """Grey light from 0.1 upwards that slopes evenly, margins included: (4 + 2 margin, 500 + 2 margin, 3)."""
    row = 0.1 + _RAMP_SLOPE * np.arange(-margin, _RAMP_COLUMNS + margin, dtype=np.float64)
    shape = (_RAMP_ROWS + 2 * margin, row.size, 3)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], shape), np.float32)


def _ramp(session: Session, model: ModelFile, margin: int, where: str) -> float:
    """Largest |residual| on the ramp."""
    residual = _run(session, model, _tensor(_CURVE.compress(slow_ramp(margin))), where)
    return float(np.abs(residual[2 * margin : -2 * margin, 2 * margin : -2 * margin]).max())


def _full_ramp(session: Session, model: ModelFile, engine: Upscaler, where: str) -> float:
    """Largest difference to interpolation on the ramp, in the compressed range."""
    ramp, cut = slow_ramp(engine.margin), 2 * engine.margin
    ours = _run(session, model, _tensor(ramp), where)[cut:-cut, cut:-cut]
    return float(np.abs(_CURVE.compress(ours) - _CURVE.compress(engine.interpolate_colour(ramp))).max())


def _padded(picture: Float32, margin: int) -> Float32:
    return pad(picture, margin, margin, margin, margin)


def _tensor(picture: Float32) -> Tensor:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))[np.newaxis]


def _picture(tensor: Tensor) -> Float32:
    return tensor[0].transpose(1, 2, 0)


def _root_mean_square(parts: Sequence[Float32]) -> float:
    total = sum(float(np.square(part, dtype=np.float64).sum()) for part in parts)
    return math.sqrt(total / sum(part.size for part in parts))


def rounded_up(value: float) -> float:
    """The smallest number of two digits that is not below."""
    if value <= 0.0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step) * step:.1e}")


def check_written(path: Path, wanted: ModelFile) -> None:
    """Read a file back.

    Raises:
        ModelError: It is not what was to be written.
    """
    from deepupscale.model_file import load_model

    found = load_model(path)
    if found.digest != wanted.digest or found.promise != wanted.promise:
        raise ModelError(f"{wanted.path}: what was read back is not what was written: is the disk damaged?")
