"""Reading: the pipeline's first thread, which opens plates, says what is to be done to them and decodes ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from deepupscale.fields import Field
from deepupscale.job import Job
from deepupscale.model_file import ModelFile
from deepupscale.outputs import decide
from deepupscale.passes import Strip
from deepupscale.pipeline import Budget, Pipeline, Polled, Queue, StoppedError
from deepupscale.plate import Part, Plate
from deepupscale.provenance import digest, settings_document, stamp_of, why_not
from deepupscale.settings import Settings
from deepupscale.trace import label

AHEAD_BYTES = 32 << 20  # decoded and not yet taken
_BAND_BYTES = 8 << 20  # decoded at once; the library's buffer, its copy and ours make it three times that
_MOST_WAITING = 4096  # strips of low plates are small


class _End:
    """All of a frame was read, or as much of it as will be."""


class Reader:
    """Reads plates in order, on a thread of its own. The other methods are for the thread that runs the network.

    Args:
        pipeline: What it is part of.
        model: What results are made with.
        settings: What is asked for.
        frames: Plates and results.
        polled: Called while the network's thread waits here.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        model: ModelFile,
        settings: Settings,
        frames: Sequence[tuple[Path, Path]],
        polled: Polled = None,
    ) -> None:
        self._pipeline, self._model, self._settings, self._frames = pipeline, model, settings, frames
        self._polled = polled
        self._queue: Queue[Job | Strip | _End] = Queue(pipeline, _MOST_WAITING, "a plate")
        self._ended = True
        self.budget = Budget(pipeline, AHEAD_BYTES, "decoded rows to be taken")
        pipeline.start("read", self._run)

    def next_job(self) -> Job:
        """The next frame: what is to be done to it, or why nothing can be."""
        job = self._queue.get(self._polled)
        assert isinstance(job, Job)
        self._ended = False
        return job

    def strips(self, job: Job, height: int) -> Iterator[Strip]:
        """Strips of the job's next part, which has so many rows, from top to bottom.

        Raises:
            BaseException: What put an end to the job.
        """
        while height > 0:
            strip = self._take()
            if strip is None:
                assert job.error is not None
                raise job.error
            height -= next(iter(strip.values())).shape[0]
            yield strip

    def finish(self) -> None:
        """Let go of what is left of the frame."""
        while self._take() is not None:
            pass

    def _take(self) -> Strip | None:
        strip = None if self._ended else self._queue.get(self._polled)
        if not isinstance(strip, dict):
            self._ended = True
            return None
        self.budget.give(_size(strip))
        return strip

    def _run(self) -> None:
        for index, (source, result) in enumerate(self._frames):
            label(frame=source.name, part=None, strip=None)
            job = Job(index, source, result)
            try:
                self._read(job)
            except StoppedError:
                raise
            except Exception as error:
                job.fail(error)
            if not job.announced:
                self._announce(job)
            self._queue.put(_End())

    def _announce(self, job: Job) -> None:
        job.announced = True
        self._queue.put(job)

    def _read(self, job: Job) -> None:
        job.stamp = stamp_of(job.source)
        check = self._pipeline.check
        with Plate(job.source, self._settings.limits) as plate:
            job.outputs, job.fields = decide(plate, self._settings)
            job.settings = settings_document(self._model, self._settings, digest(job.source, check))
            if not self._settings.overwrite and not why_not(job.result, job.settings, job.outputs, check):
                job.status = "skipped"
            self._announce(job)
            if job.status == "done":
                for output, fields in zip(job.outputs, job.fields, strict=True):
                    label(part=output.source.index if len(plate.parts) > 1 else None)
                    self._decode(plate, job, output.source, fields)

    def _decode(self, plate: Plate, job: Job, part: Part, fields: Sequence[Field]) -> None:
        label(strip=0)
        for number, channels in enumerate(plate.strips(part, part.band(_BAND_BYTES))):
            if job.error is not None:
                return
            label(strip=number + 1)  # for what is decoded next
            strip = {f.key: np.stack([channels[name] for name in f.channels]).transpose(1, 2, 0) for f in fields}
            self.budget.take(_size(strip))
            self._queue.put(strip)


def _size(strip: Strip) -> int:
    return sum(rows.nbytes for rows in strip.values())
