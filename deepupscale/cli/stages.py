"""Stages: the pieces of the engine, each timed alone as ``deepupscale doctor --bench`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from deepupscale.engine import Engine, FrameReport, Settings
from deepupscale.errors import InferenceError
from deepupscale.fields import fields_of
from deepupscale.model_file import ModelFile
from deepupscale.passes import DoublingPass, Strip, plan
from deepupscale.plate import Plate, Rows
from deepupscale.plate_writer import PlateWriter
from deepupscale.session import Choice, Session, Tensor, open_session
from deepupscale.sinks import OutputPart, write_picture
from deepupscale.upscaler import Upscaler

CHANNELS = ("R", "G", "B", "A")
RUN_SECONDS = 1.5  # what one run of the network may take here; slow machines get a smaller tile
_STAGE_SECONDS = 3.0
_SECONDS = 40.0  # after these every stage has one round
_ROUNDS = 2, 5  # of a stage: at least, at most
_SEQUENCE = 3  # frames
_PROBE = 64, 256  # rows and columns of the tile that tells how fast the network is at all
_READ_BYTES = 8 << 20  # decoded at once

Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Seconds over some rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        """Of the rounds' times."""
        return cls(median(seconds), min(seconds), max(seconds))

    def __mul__(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.least * factor, self.most * factor)

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.median + other.median, self.least + other.least, self.most + other.most)


class Timer:
    """Times work over some rounds, fewer of them once time runs out."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self._until = clock, clock() + _SECONDS

    @property
    def late(self) -> bool:
        """Time has run out."""
        return self.clock() >= self._until

    def rounds(self, work: Callable[[], object]) -> Spread:
        """Repeat what was done once to warm up."""
        least, most = _ROUNDS
        work()
        seconds = [self.once(work)]
        while not self.late and len(seconds) < most and (len(seconds) < least or sum(seconds) < _STAGE_SECONDS):
            seconds.append(self.once(work))
        return Spread.of(seconds)

    def once(self, work: Callable[[], object]) -> float:
        """Seconds of one round."""
        began = self.clock()
        work()
        return self.clock() - began


@dataclass(frozen=True)
class TimedNetwork:
    """The network in one precision.

    Attributes:
        session: It runs on.
        upscaler: Feeds it.
        tile_pixels: Fed in one run when it was timed, context included.
        run: Seconds of that.
    """

    session: Session
    upscaler: Upscaler
    tile_pixels: int
    run: Spread

    @classmethod
    def measured(cls, model: ModelFile, choice: Choice, frame: tuple[int, int], timer: Timer) -> TimedNetwork:
        """Time runs on a tile of a frame of this width and height, or on as much of it as does not take too long."""
        session = open_session(model, choice.device, choice.precision, choice.runtime)
        upscaler = Upscaler(model, session)
        name, multiple = model.promise.inputs[0].name, upscaler.multiple
        grain = np.random.default_rng(1)

        def tile(rows: int, columns: int) -> dict[str, Tensor]:
            height, width = -(-rows // multiple) * multiple, -(-columns // multiple) * multiple
            return {name: grain.uniform(0.1, 0.9, (1, 3, height, width)).astype(np.float32)}

        rows, columns = _PROBE
        probe = tile(rows, columns)
        session.run(probe)
        pace = timer.once(lambda: session.run(probe)) / (rows * columns)
        _, high, wide = _tiles(upscaler, *frame)
        most = int(min(high * wide, RUN_SECONDS / pace)) if pace > 0.0 else high * wide
        columns = max(columns, min(wide, most // rows))
        rows = max(rows, min(high, most // columns))
        fed = tile(rows, columns)
        run = timer.rounds(lambda: session.run(fed))
        return cls(session, upscaler, fed[name].shape[2] * fed[name].shape[3], run)

    def on_a_frame(self, width: int, height: int) -> Spread:
        """Seconds for a frame with alpha 1: all tiles, halos included."""
        count, rows, columns = _tiles(self.upscaler, width, height)
        return self.run * (count * rows * columns / self.tile_pixels)

    def tile_bytes(self, width: int, height: int) -> int:
        """Memory that a tile of a frame takes beyond the tile that was timed, as the engine reckons; 0 on GPUs."""
        network = self.upscaler.network
        _, rows, columns = _tiles(self.upscaler, width, height)
        return 0 if network is None else round(max(0, rows * columns - self.tile_pixels) * network.pixel_bytes)


def _tiles(upscaler: Upscaler, width: int, height: int) -> tuple[int, int, int]:
    """How many tiles a frame is cut into, and the rows and columns that are fed of each."""
    tiling = plan(width, height, len(CHANNELS)).fitted(width, upscaler.network)
    rows = tiling.tile_rows or tiling.rows
    down = sum(-(-min(tiling.rows, height - top) // rows) for top in range(0, height, tiling.rows))
    around, multiple = 2 * upscaler.margin, upscaler.multiple
    high, wide = (-(-(side + around) // multiple) * multiple for side in (rows, tiling.columns))
    return down * -(-width // tiling.columns), high, wide


class _SilentSession:
    """No network: what is left is the engine's own work."""

    def __init__(self, model: ModelFile, choice: Choice) -> None:
        self.choice = choice
        self._output = model.promise.outputs[0].name
        self._answer = np.zeros((1, 3, 0, 0), np.float32)

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        (tensor,) = inputs.values()
        height, width = 2 * tensor.shape[2], 2 * tensor.shape[3]
        if self._answer.shape[2:] != (height, width):
            self._answer = np.zeros((1, 3, height, width), np.float32)
        return {self._output: self._answer}


@dataclass
class SmallPlate:
    """The stages on one small plate, each as the engine does it."""

    model: ModelFile
    session: Session
    folder: Path
    width: int
    height: int
    timer: Timer
    _planes: dict[str, Rows] = field(default_factory=dict[str, Rows], init=False)

    def __post_init__(self) -> None:
        self._plate = self.folder / "plate.exr"
        write_picture(self._plate, synthetic(self.width, self.height))
        with Plate(self._plate) as plate:
            (self._planes,) = plate.strips(plate.parts[0], self.height)

    def read(self) -> Spread:
        """Decode the plate."""

        def work() -> None:
            with Plate(self._plate) as plate:
                for _ in plate.strips(plate.parts[0], plate.parts[0].band(_READ_BYTES)):
                    pass

        return self.timer.rounds(work)

    def around(self) -> Spread:
        """Range compression, interpolation and addition, in memory."""
        fields = fields_of(CHANNELS)
        tiling = plan(self.width, self.height, len(CHANNELS))
        upscaler = Upscaler(self.model, _SilentSession(self.model, self.session.choice))

        def strips() -> Iterator[Strip]:
            for top in range(0, self.height, tiling.rows):
                rows = slice(top, top + tiling.rows)
                yield {f.key: np.stack([self._planes[name][rows] for name in f.channels], axis=-1) for f in fields}

        def work() -> None:
            for _ in DoublingPass(fields, upscaler, None).run(strips(), self.width, self.height, tiling):
                pass

        return self.timer.rounds(work)

    def write(self, compression: str) -> Spread:
        """Convert, encode, verify and put in place a result of twice the size."""
        doubled = {name: rows.repeat(2, axis=0).repeat(2, axis=1) for name, rows in self._planes.items()}
        grain = np.random.default_rng(2).uniform(0.98, 1.02, doubled["R"].shape).astype(np.float32)
        doubled |= {name: doubled[name] * grain for name in "RGB"}  # repeated pixels would compress too well
        with Plate(self._plate) as plate:
            part = OutputPart(plate.parts[0], CHANNELS, 2)

        def work() -> None:
            with PlateWriter(self.folder / "written.exr", [part], compression, "{}") as writer:
                writer.write(0, doubled)

        return self.timer.rounds(work)

    def sequence(self) -> Spread:
        """Seconds a frame of a short sequence, read, doubled and written at once."""
        engine = Engine(self.model, self.session, Settings(overwrite=True))
        reports: list[FrameReport] = []
        frames = [(self._plate, self.folder / f"result_{number}.exr") for number in range(_SEQUENCE)]
        engine.upscale(*frames[0])
        whole = self.timer.once(lambda: engine.upscale_all(frames, reports.append)) / _SEQUENCE
        if failed := next((report.message for report in reports if report.status == "failed"), ""):
            raise InferenceError(failed)
        seconds = [report.seconds for report in reports]
        return Spread(whole, min(whole, *seconds), max(whole, *seconds))


def synthetic(width: int, height: int) -> dict[str, Rows]:
    """A seeded plate: channel name to (height, width) half, scene-linear; slanted edges, ramps and grain, alpha 1."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    stops = rng.uniform(-5.0, 3.0, (16, 16, 3)).astype(np.float32)
    blocks = stops[((3 * x + y) // 150).astype(int) % 16, ((3 * y - x) // 120).astype(int) % 16]
    colour = np.exp2(blocks + (x / width)[:, :, np.newaxis]) * rng.normal(1.0, 0.03, (height, width, 1)).clip(0.8, 1.2)
    planes = {name: colour[:, :, i].astype(np.float16) for i, name in enumerate("RGB")}
    return {**planes, "A": np.ones((height, width), np.float16)}
