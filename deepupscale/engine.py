"""The engine: plates in, plates of twice the size out.

    plate -> fields -> passes (range compression, tiles, session, addition) -> plate

One :class:`Engine` serves a whole run; models and graphs are compiled once. Reading, the network and writing overlap,
within a frame and from frame to frame: ``docs/engine.md`` says how.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from deepupscale.errors import CancelledError, DeepUpscaleError, FrameError, InferenceError, PlateError
from deepupscale.job import FrameReport, Job, PlateFile
from deepupscale.model_file import ModelFile
from deepupscale.passes import Cancelled, DoublingPass, Progress, Strip, Watch, effort, plan
from deepupscale.pipeline import Pipeline
from deepupscale.provenance import digest, settings_document, stamp_of, why_not_done
from deepupscale.reading import Reader
from deepupscale.session import Choice, Session, Tensor
from deepupscale.settings import Settings
from deepupscale.trace import label, span
from deepupscale.upscaler import Upscaler
from deepupscale.writing import Writer

__all__ = ["Engine", "FrameReport", "PlateFile", "Settings", "settings_document", "why_not_done"]


class Engine:
    """Upscales plates with one model.

    Args:
        model: What ``load_model`` gave.
        session: What ``open_session`` gave for it.
        settings: What is asked for.

    Raises:
        ModelError: The model is for another task.
    """

    def __init__(self, model: ModelFile, session: Session, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.session = _MarkedSession(session)
        self.upscaler = Upscaler(model, self.session)

    @property
    def choice(self) -> Choice:
        """What the model runs on."""
        return self.session.choice

    def upscale(
        self, source: Path, result: Path, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> FrameReport:
        """Upscale one plate to a file; a finished one is left alone unless ``overwrite`` is set.

        Args:
            source: The plate.
            result: The file to write.
            progress: Told how far the work is.
            cancelled: Asked before every field of a tile, and while there is nothing to do but wait, whether to stop.

        Raises:
            PlateError: The plate cannot be read, is refused, or changed while it was read.
            InferenceError: The runtime gave up on it.
            WriteError: The result could not be written; nothing of it is left.
            CancelledError: ``cancelled`` said so; nothing of the result is left.
        """
        reports: list[FrameReport] = []

        def ended(job: Job, seconds: float) -> None:
            reports.append(job.report(seconds))

        def told(index: int, fraction: float) -> None:
            if progress is not None:
                progress(fraction)

        try:
            _Run(self, [(source, result)], ended, told, cancelled).do()
        except CancelledError:
            if not reports:  # else it came too late: the result was in its place
                raise
        return reports[0]

    def upscale_all(
        self,
        frames: Sequence[tuple[Path, Path]],
        finished: Callable[[FrameReport], None],
        progress: Callable[[int, float], None] | None = None,
        cancelled: Cancelled | None = None,
    ) -> None:
        """Upscale a sequence: while one frame is inferred, the next is decoded and the last encoded and verified.

        A frame that fails costs no other. Everything is called on the thread that calls this.

        Args:
            frames: Plates and results.
            finished: Told of every frame, in order, soon after it is done, skipped or failed.
            progress: Told which frame (from 0) is inferred, and how far that is.
            cancelled: See :meth:`upscale`.

        Raises:
            DeepUpscaleError: What concerns more than one frame, as a graph that cannot be compiled.
            CancelledError: ``cancelled`` said so; nothing is left of the frames that ``finished`` was not told of.
        """

        def ended(job: Job, seconds: float) -> None:
            finished(_report(job, seconds))

        def told(index: int, fraction: float) -> None:
            if progress is not None:
                progress(index, fraction)

        _Run(self, frames, ended, told, cancelled).do()


def _report(job: Job, seconds: float) -> FrameReport:
    """What became of a frame; a failure of its own is one of the things that can."""
    try:
        return job.report(seconds)
    except FrameError as error:
        message = str(error)
    except MemoryError:
        message = f"{job.source}: not enough memory for this plate; a lower --max-side refuses such plates at once"
    return FrameReport(job.source, job.result, "failed", seconds, message=message)


class _Run:
    """Frames on their way: what the thread does that runs the network."""

    def __init__(
        self,
        engine: Engine,
        frames: Sequence[tuple[Path, Path]],
        ended: Callable[[Job, float], None],
        progress: Callable[[int, float], None],
        cancelled: Cancelled | None,
    ) -> None:
        self._engine, self._frames, self._told, self._progress = engine, frames, ended, progress
        self._cancelled = cancelled
        self._ended: deque[Job] = deque()
        self._seen = 0
        self._last_end = 0.0
        self._fatal: BaseException | None = None

    def do(self) -> None:
        """Do all frames."""
        engine, frames = self._engine, self._frames
        try:
            with Pipeline() as pipeline:
                self._pipeline = pipeline
                self._reader = Reader(pipeline, engine.model, engine.settings, frames, self._poll)
                self._writer = Writer(pipeline, engine.settings.compression, len(frames), self._end, self._poll)
                for _ in frames:
                    job = self._reader.next_job()
                    self._writer.begin(job)
                    if job.error is None and job.status == "done":
                        self._infer(job)
                    self._writer.end()
                    self._reader.finish()
                label(frame=None, part=None, strip=None)
                pipeline.wait(lambda: self._seen + len(self._ended) == len(frames), "the last results", self._poll)
        except CancelledError:
            self._deliver()  # a result may have found its place meanwhile
            raise
        self._deliver()

    # Between the threads

    def _end(self, job: Job) -> None:
        """On the writing thread: a frame is done with."""
        job.ended = time.perf_counter()
        self._ended.append(job)
        self._pipeline.wake()

    def _deliver(self) -> None:
        """Tell of the frames that are done with."""
        while self._ended:
            job = self._ended.popleft()
            self._seen += 1
            seconds, self._last_end = job.ended - max(job.began, self._last_end), job.ended
            self._told(job, seconds)

    def _poll(self) -> None:
        """See that finished frames are told of, and that the work is still wanted."""
        try:
            self._deliver()
            if self._cancelled is not None and self._cancelled():
                source = self._frames[min(self._seen, len(self._frames) - 1)][0]
                raise CancelledError(f"{source}: cancelled")
        except BaseException as error:
            self._fatal = error  # is no fault of the frame that is being inferred
            raise

    # The network

    def _infer(self, job: Job) -> None:
        label(frame=job.source.name, part=None, strip=None)
        try:
            self._double_parts(job)
            self._refuse_changed(job)
        except (DeepUpscaleError, MemoryError) as error:
            if error is self._fatal:
                raise
            job.fail(InferenceError(f"{job.source}: {error}") if isinstance(error, InferenceError) else error)

    def _double_parts(self, job: Job) -> None:
        def given_up() -> bool:
            self._poll()
            return job.error is not None

        passes = self._engine.settings.passes
        watch = Watch(partial(self._progress, job.index), given_up)
        boxes = [output.source.data_window for output in job.outputs]
        work = sum(box.width * box.height * sum(map(effort, kept)) for box, kept in zip(boxes, job.fields, strict=True))
        watch.total = work * sum(4**number for number in range(passes))
        for index, (box, fields) in enumerate(zip(boxes, job.fields, strict=True)):
            width, height = box.width, box.height
            channels = sum(len(each.channels) for each in fields)
            strips: Iterator[Strip] = self._reader.strips(job, height)
            tiling = plan(width, height, channels)
            for number in range(passes):
                tiling = plan(width, height, channels)
                counts = job.counts if number == 0 else None
                strips = DoublingPass(fields, self._engine.upscaler, counts, watch).run(strips, width, height, tiling)
                width, height = 2 * width, 2 * height
            rows = 2 * tiling.rows
            for number in range(-(-height // rows)):
                label(part=index if len(boxes) > 1 else None, strip=number)
                self._engine.session.tile = 0
                self._writer.make_room(4 * rows * width * channels)
                strip = next(strips)
                named = {name: strip[f.key][:, :, i] for f in fields for i, name in enumerate(f.channels)}
                self._writer.write(index, named, 4 * rows * width * channels)
                del strip, named  # the writer lets go of them as soon as it can

    def _refuse_changed(self, job: Job) -> None:
        before, job.stamp = job.stamp, stamp_of(job.source)
        if before != job.stamp and digest(job.source, self._poll) != job.settings["source"]:
            raise PlateError(f"{job.source}: changed while it was read: do it again when it is finished")


class _MarkedSession:
    """A session whose runs are stages of the trace.

    Attributes:
        choice: What it runs on.
        tile: Runs since it was last set to 0.
    """

    def __init__(self, session: Session) -> None:
        self.choice = session.choice
        self.tile = 0
        self._session = session

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :class:`deepupscale.session.Session`."""
        with span("network", run=self.tile):
            self.tile += 1
            return self._session.run(inputs)
