"""Jobs: one frame on its way through the pipeline, and what is told of it in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deepupscale.errors import FrameError
from deepupscale.fields import Field
from deepupscale.passes import Counts
from deepupscale.provenance import Stamp
from deepupscale.sinks import OutputPart


@dataclass(frozen=True)
class PlateFile:
    """A plate's file as it was read.

    Attributes:
        size: Bytes.
        mtime_ns: When it was last written to, in nanoseconds since the epoch.
        sha256: Digest of its bytes, hexadecimal.
    """

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class FrameReport:
    """What became of one frame.

    Attributes:
        source: The plate.
        result: The file written, or found done.
        status: ``done``, ``skipped`` (found done under the same settings) or ``failed``.
        seconds: Wall time since work on it began, or since the frame before it was finished if that was later: of a
            sequence these add up to the whole.
        size: Width and height of the first part's data window in the result.
        nonfinite: Channel to number of NaN and Inf values in the plate.
        clamped: Channel to number of values too large for half in the result, written as 65504.
        message: Why it failed.
        plate: The plate's file; None if it failed.
        settings: What the result says of how it was made; empty if it failed.
    """

    source: Path
    result: Path
    status: Literal["done", "skipped", "failed"]
    seconds: float
    size: tuple[int, int] | None = None
    nonfinite: Mapping[str, int] = field(default_factory=dict[str, int])
    clamped: Mapping[str, int] = field(default_factory=dict[str, int])
    message: str = ""
    plate: PlateFile | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Job:
    """A frame under way. The reading thread fills it, then the network's, then the writing one.

    Attributes:
        index: Its place in the run, from 0.
        source: The plate.
        result: The file to write.
        outputs: The parts to write.
        fields: For each of them, what to do with which channels.
        settings: What the result will say of how it was made.
        stamp: The plate's file: as it was opened, in the end as it was when all of it was read.
        status: Whether anything has to be done.
        announced: The reading thread has handed it on.
        counts: NaN and Inf in the plate.
        clamped: Values too large for half in the result.
        error: What put an end to it, wherever that was. Whoever sees it does no more for this frame.
        began: When work on it began, by ``time.perf_counter``.
        ended: When it was done with, likewise.
    """

    index: int
    source: Path
    result: Path
    outputs: list[OutputPart] = field(default_factory=list[OutputPart])
    fields: list[list[Field]] = field(default_factory=list[list[Field]])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    stamp: Stamp | None = None
    status: Literal["done", "skipped"] = "done"
    announced: bool = False
    counts: Counts = field(default_factory=Counts)
    clamped: Mapping[str, int] = field(default_factory=dict[str, int])
    error: BaseException | None = None
    began: float = field(default_factory=time.perf_counter)
    ended: float = 0.0

    def fail(self, error: BaseException) -> None:
        """Put an end to it; the first reason counts."""
        if isinstance(error, (FrameError, MemoryError)):
            error = error.with_traceback(None)  # its frames would hold strips in memory
        self.error = self.error or error

    def report(self, seconds: float) -> FrameReport:
        """What became of it.

        Raises:
            BaseException: ``error``, if there is one.
        """
        if self.error is not None:
            raise self.error
        box = self.outputs[0].source.data_window.scaled(self.outputs[0].scale)
        size, mtime_ns, _ = self.stamp or (0, 0, 0)
        plate = PlateFile(size, mtime_ns, self.settings["source"])
        return FrameReport(
            self.source, self.result, self.status, seconds, (box.width, box.height), self.counts.nonfinite,
            self.clamped, plate=plate, settings=self.settings,
        )  # fmt: skip
