"""``deepupscale run``: every frame that can be done is done."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepupscale import __version__
from deepupscale.cli.output import check_json_file, write_json
from deepupscale.cli.progress import STYLES, Reporter, reporter
from deepupscale.engine import Engine, FrameReport, Settings
from deepupscale.errors import FrameError, UsageError
from deepupscale.fields import Method
from deepupscale.frames import Frame, plan_frames
from deepupscale.model_file import ModelFile, load_model
from deepupscale.plate import Limits, set_threads
from deepupscale.session import Choice, open_session
from deepupscale.temporary import sweep_stale

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """The verb's arguments, as typed."""

    source: str
    result: str
    frames: str | None
    model: str | None
    scale: int
    layers: tuple[str, ...]
    device: str
    precision: str
    runtime: str
    threads: int
    compression: str | None
    overwrite: bool
    max_side: int
    json_file: Path | None
    progress: str


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        model: The model's label.
        choice: What it ran on.
        seconds: Wall time of all frames.
        frames: One report a frame, in order.
    """

    model: str
    choice: Choice
    seconds: float
    frames: tuple[FrameReport, ...]

    @property
    def exit_code(self) -> int:
        """0, or 1 if a frame failed."""
        return int(any(report.status == "failed" for report in self.frames))

    def document(self) -> dict[str, Any]:
        """The run as JSON-ready values."""
        return {
            "deepupscale": __version__,
            "model": self.model,
            "choice": asdict(self.choice),
            "seconds": round(self.seconds, 3),
            "frames": [
                {**asdict(r), "source": str(r.source), "result": str(r.result), "seconds": round(r.seconds, 3)}
                for r in self.frames
            ],
        }


def run_frames(options: RunOptions) -> RunResult:
    """Do a run.

    Raises:
        SetupError: Nothing can be done as asked. A frame that fails does not raise: it is in the result.
    """
    frames = plan_frames(options.source, options.result, options.frames)
    limits = Limits(side=options.max_side)
    settings = Settings(
        options.scale, options.compression, parse_layers(options.layers), options.precision, options.overwrite, limits
    )
    if options.progress not in STYLES:
        raise UsageError(f"unknown progress style {options.progress!r}: use {', '.join(STYLES)}")
    if options.json_file is not None:
        _check_json_file(options.json_file, frames)
    model = load_model(options.model)
    set_threads(options.threads)
    engine = _engine(options, model, settings)
    _sweep(frames)
    began = time.perf_counter()
    with reporter(options.progress, len(frames)) as told:
        reports = tuple(_one(engine, frame, told) for frame in frames)
    result = RunResult(model.label, engine.choice, time.perf_counter() - began, reports)
    if options.json_file is not None:
        write_json(options.json_file, result.document())
    return result


def _engine(options: RunOptions, model: ModelFile, settings: Settings) -> Engine:
    session = open_session(model, options.device, options.precision, options.runtime, options.threads)
    return Engine(model, session, settings)


def _one(engine: Engine, frame: Frame, told: Reporter) -> FrameReport:
    """One frame; its failure becomes a report."""
    began = time.perf_counter()
    try:
        report = engine.upscale(frame.source, frame.result, told.advance)
    except FrameError as error:
        report = FrameReport(frame.source, frame.result, "failed", time.perf_counter() - began, message=str(error))
    except MemoryError:
        message = f"{frame.source}: not enough memory for this plate; a lower --max-side refuses such plates at once"
        report = FrameReport(frame.source, frame.result, "failed", time.perf_counter() - began, message=message)
    told.finish(describe(report), report.status == "failed")
    return report


def describe(report: FrameReport) -> str:
    """One frame in one line."""
    if report.status == "failed":
        return f"failed {report.message}"
    size = f" {report.size[0]}x{report.size[1]}" if report.size else ""
    if report.status == "skipped":
        return f"skipped {report.result}{size}, done before"
    notes: list[str] = []
    if report.nonfinite:
        notes.append(f"{sum(report.nonfinite.values())} NaN or Inf values in {', '.join(report.nonfinite)}")
    if report.clamped:
        notes.append(f"{sum(report.clamped.values())} values too large for half clamped in {', '.join(report.clamped)}")
    tail = f" ({'; '.join(notes)})" if notes else ""
    return f"done {report.result}{size} in {report.seconds:.1f} s{tail}"


def _sweep(frames: list[Frame]) -> None:
    for folder in sorted({frame.result.parent for frame in frames}):
        if folder.is_dir() and (removed := sweep_stale(folder)):
            log.info("%s: removed %d temporary files of runs that ended early", folder, removed)


def parse_layers(texts: tuple[str, ...]) -> dict[str, Method]:
    """``NAME=net|filter|nearest|drop`` to a mapping.

    Raises:
        UsageError: Anything else.
    """
    methods = {method.value: method for method in Method}
    layers: dict[str, Method] = {}
    for text in texts:
        name, equals, how = text.rpartition("=")
        if not equals or not name or how not in methods:
            raise UsageError(f"--layer {text}: write NAME=HOW where HOW is {', '.join(methods)}")
        layers[name] = methods[how]
    return layers


def _check_json_file(path: Path, frames: list[Frame]) -> None:
    named = os.path.realpath(path)
    if any(named in (os.path.realpath(frame.source), os.path.realpath(frame.result)) for frame in frames):
        raise UsageError(f"--json {path}: would overwrite a plate")
    check_json_file(path)
