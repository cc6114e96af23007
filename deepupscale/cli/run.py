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
from deepupscale.errors import UsageError
from deepupscale.fields import Method
from deepupscale.frames import Frame, plan_frames
from deepupscale.model_file import ModelFile, load_model
from deepupscale.plate import Limits
from deepupscale.session import Choice, open_session
from deepupscale.temporary import sweep_stale
from deepupscale.threads import set_threads
from deepupscale.trace import Trace, recording

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
    profile: Path | None = None


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
    _check_side_files(options, frames)
    model = load_model(options.model)
    set_threads(options.threads)
    engine = _engine(options, model, settings)
    _sweep(frames)
    began = time.perf_counter()
    trace = Trace() if options.profile is not None else None
    with reporter(options.progress, len(frames)) as told, recording(trace):
        reports = _upscale(engine, frames, told)
    result = RunResult(model.label, engine.choice, time.perf_counter() - began, reports)
    if options.json_file is not None:
        write_json(options.json_file, result.document())
    if options.profile is not None and trace is not None:
        trace.write(options.profile, "--profile")
    return result


def _engine(options: RunOptions, model: ModelFile, settings: Settings) -> Engine:
    session = open_session(model, options.device, options.precision, options.runtime, options.threads)
    return Engine(model, session, settings)


def _upscale(engine: Engine, frames: list[Frame], told: Reporter) -> tuple[FrameReport, ...]:
    """All frames; what is told of them goes up only, though the next is begun before the last is finished."""
    reports: list[FrameReport] = []

    def finished(report: FrameReport) -> None:
        reports.append(report)
        told.finish(describe(report), report.status == "failed")

    def progress(index: int, fraction: float) -> None:
        if index == len(reports):
            told.advance(fraction)

    engine.upscale_all([(frame.source, frame.result) for frame in frames], finished, progress)
    return tuple(reports)


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


def _check_side_files(options: RunOptions, frames: list[Frame]) -> None:
    """Refuse files beside the results that could not be written in the end, or would overwrite something."""
    given = {"--json": options.json_file, "--profile": options.profile}
    named = {option: os.path.realpath(path) for option, path in given.items() if path is not None}
    if not named:
        return
    plates = {os.path.realpath(path) for frame in frames for path in (frame.source, frame.result)}
    for option, path in given.items():
        if path is None:
            continue
        if named[option] in plates:
            raise UsageError(f"{option} {path}: would overwrite a plate")
        check_json_file(path, option)
    if len(named) > len(set(named.values())):
        raise UsageError(f"--profile {options.profile}: is the file of --json: name another")
