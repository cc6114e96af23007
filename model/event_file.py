"""Figures for TensorBoard.

TensorBoard's own writer writes in a thread of its own; where the disk is full, that thread prints a traceback and the
error arrives here later, or never. This one writes at once, in TensorBoard's records.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[attr-defined]  generated as it is imported
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """One event file in a run's folder, open for writing. Every method raises OSError where it cannot be written.

    Args:
        folder: Where it is made; TensorBoard joins all event files of a folder.
    """

    def __init__(self, folder: Path) -> None:
        name = f"events.out.tfevents.{time.time():.0f}.{platform.node()}.{os.getpid()}"
        self._file = (folder / name).open("ab")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a step's figures by their tags, and flush them."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
        self._file.flush()
