"""Writing: the pipeline's last thread, which encodes, verifies and puts results in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deepupscale.job import Job
from deepupscale.passes import STRIP_BYTES
from deepupscale.pipeline import Budget, Pipeline, Polled, Queue, StoppedError
from deepupscale.plate import Rows
from deepupscale.plate_writer import PlateWriter
from deepupscale.provenance import packed
from deepupscale.trace import label

UNDER_WAY_BYTES = STRIP_BYTES + STRIP_BYTES // 2
"""Doubled rows that may be in memory at once: a strip of the largest size that is being made, and the one before it
in half; of smaller ones as many as there is room for."""
_MOST_WAITING = 4096


@dataclass
class _Doubled:
    """Doubled rows of a part: channel name to (rows, width), float32 or uint32; ``size`` is what the budget gave."""

    index: int
    channels: dict[str, Rows]
    size: int


class _End:
    """All of a frame was doubled, or as much of it as will be."""


class Writer:
    """Writes results in order, on a thread of its own. The other methods are for the thread that runs the network.

    Args:
        pipeline: What it is part of.
        compression: Name of an OpenEXR compression, or None for each part's own.
        frames: How many jobs will come.
        ended: Told of every job that is done with, in order, on the writing thread.
        polled: Called while the network's thread waits here.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        compression: str | None,
        frames: int,
        ended: Callable[[Job], None],
        polled: Polled = None,
    ) -> None:
        self._pipeline, self._compression, self._frames = pipeline, compression, frames
        self._ended, self._polled = ended, polled
        self._open = False
        self._queue: Queue[Job | _Doubled | _End] = Queue(pipeline, _MOST_WAITING, "doubled rows")
        self.budget = Budget(pipeline, UNDER_WAY_BYTES, "doubled rows to be written")
        pipeline.start("write", self._run)

    def begin(self, job: Job) -> None:
        """Begin a frame; one that failed, or is there, is only handed on."""
        self._queue.put(job, self._polled)

    def make_room(self, size: int) -> None:
        """Wait until a strip of ``size`` bytes may be made."""
        self.budget.take(size, self._polled)

    def write(self, index: int, channels: dict[str, Rows], size: int) -> None:
        """Append rows to a part; ``size`` is what room was made for. The caller keeps no other reference to them."""
        self._queue.put(_Doubled(index, channels, size), self._polled)

    def end(self) -> None:
        """The frame has all its rows, or failed."""
        self._queue.put(_End(), self._polled)

    def _run(self) -> None:
        for _ in range(self._frames):
            job = self._queue.get()
            assert isinstance(job, Job)
            label(frame=job.source.name, part=None, strip=None)
            self._open = True
            try:
                if job.error is None and job.status == "done":
                    self._write(job)
            except StoppedError:
                raise
            except Exception as error:
                job.fail(error)
            while (doubled := self._take()) is not None:
                self.budget.give(doubled.size)
            self._ended(job)

    def _take(self) -> _Doubled | None:
        doubled = self._queue.get() if self._open else None
        if not isinstance(doubled, _Doubled):
            self._open = False
            return None
        return doubled

    def _write(self, job: Job) -> None:
        compression, settings = self._compression, packed(job.settings)
        with PlateWriter(job.result, job.outputs, compression, settings, self._pipeline.check) as writer:
            number = 0
            while (doubled := self._take()) is not None:
                label(part=doubled.index if len(job.outputs) > 1 else None, strip=number)
                self._append(job, writer, doubled)
                number += 1
            label(part=None, strip=None)
            if job.error is not None:
                raise job.error
        job.clamped = writer.clamped.counts

    def _append(self, job: Job, writer: PlateWriter, doubled: _Doubled) -> None:
        """Convert a strip, let go of it, and encode what it was converted to."""
        held = doubled.size
        try:
            if job.error is not None:
                raise job.error
            converted = writer.convert(doubled.index, doubled.channels)
            doubled.channels.clear()
            held = min(held, sum(rows.nbytes for rows in converted))
            self.budget.give(doubled.size - held)
            writer.append(doubled.index, converted)
        finally:
            self.budget.give(held)
