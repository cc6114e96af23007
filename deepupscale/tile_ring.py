"""Tile rings: a session of one tile shape, with buffers on the device that stay where they are.

A few threads take turns, each with an input and an output buffer of its own: while one tile is computed, the next is
copied in and the last one out. ONNX Runtime lets go of Python's lock while it computes. Buffers never move, so the
launches of a tile can be recorded once and replayed (a CUDA graph). ONNX Runtime records for each thread apart, and
while it does, no other thread of the process may allocate, copy or wait on the device: CUDA would refuse and spoil the
recording. :class:`Gate` sees to that.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import numpy as np

from deepupscale.errors import one_line
from deepupscale.pieces import Cutter, Span, TileShape
from deepupscale.promise import Input, Output, Promise
from deepupscale.providers import device_index, is_out_of_memory
from deepupscale.session import Choice, Tensor

_RECORDING_RUNS = 4  # ONNX Runtime records on the third run of a thread at the latest
_REPLAY_TOLERANCE = 1e-2  # a replay launches the same kernels; f16 sums may differ in order


class GraphRefusedError(Exception):
    """No CUDA graph is to be had of this model here; it runs without. Reaches no user."""


class Gate:
    """Many may use the devices, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Generator[None]:
        """Among others, but not beside one who is alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Generator[None]:
        """With nobody else inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


GATE = Gate()
"""Of this process: CUDA's rule is about all threads of it."""


class TileRing:
    """Runs tensors through a session of one tile shape.

    Args:
        runtime: The module ``onnxruntime``.
        session: An ``InferenceSession`` of it whose graph takes tiles of ``shape``.
        promise: The model's.
        choice: What it runs on.
        shape: Of the tiles.
        slots: Tiles in flight.
        graphs: Whether the session was made to record CUDA graphs.
    """

    def __init__(
        self, runtime: Any, session: Any, promise: Promise, choice: Choice, shape: TileShape, slots: int, graphs: bool
    ) -> None:
        self.shape, self.graphs = shape, graphs
        self._runtime, self._session, self._promise, self._choice = runtime, session, promise, choice
        self._computing = threading.Lock()  # one at a time: activations, and a graph's, lie in memory once
        self._cutter = Cutter(promise.halo, promise.multiple)
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="tile")
        self._own = threading.local()

    def count(self, height: int, width: int) -> int:
        """Tiles that a tensor of so many plate pixels takes."""
        down, across = self._cutter.spans(height, self.shape.height), self._cutter.spans(width, self.shape.width)
        return sum(1 for _ in down) * sum(1 for _ in across)

    def run(self, inputs: Mapping[str, Tensor], height: int, width: int) -> dict[str, Tensor]:
        """All tiles of some tensors.

        Args:
            inputs: By name, (1, channels, height * scale, width * scale), float32.
            height: Plate pixels, a multiple of what the promise says.
            width: Likewise.

        Raises:
            GraphRefusedError: Recording failed; a ring without graphs is wanted.
            Exception: What ONNX Runtime raised.
        """
        results = {
            each.name: np.empty((1, len(each.channels), height * each.scale, width * each.scale), np.float32)
            for each in self._promise.outputs
        }
        futures = [
            self._threads.submit(self._tile, inputs, results, rows, columns)
            for rows in self._cutter.spans(height, self.shape.height)
            for columns in self._cutter.spans(width, self.shape.width)
        ]
        try:
            if wait(futures, return_when=FIRST_EXCEPTION).not_done:
                for future in futures:
                    future.cancel()
                wait(futures)  # or one would still write while the caller goes on
            for future in futures:
                if not future.cancelled():
                    future.result()
        finally:
            future = None
            futures.clear()  # an error knows this frame, and the frame the error: buffers would outlive the ring
        return results

    def close(self) -> None:
        """End the threads and give the memory back; the last user must be done."""
        self._threads.shutdown()
        with GATE.shared():
            self._own = threading.local()
            self._session = None  # its arena gives nothing back before it goes

    def _tile(self, inputs: Mapping[str, Tensor], results: Mapping[str, Tensor], rows: Span, columns: Span) -> None:
        """One tile, on one of the threads."""
        slot: _Slot | None = getattr(self._own, "slot", None)
        if slot is None:
            slot = self._own.slot = self._new_slot()
        for each in self._promise.inputs:
            slot.fill(each, inputs[each.name], rows, columns)
        with GATE.shared():
            slot.compute()
            for each in self._promise.outputs:
                slot.take(each, results[each.name], rows, columns)

    def _new_slot(self) -> _Slot:
        with GATE.alone() if self.graphs else GATE.shared():
            slot = _Slot(self._runtime, self._session, self._promise, self._choice, self.shape, self._computing)
            if self.graphs:
                slot.record()
            return slot


class _Slot:
    """The buffers of one tile in flight, bound once."""

    def __init__(
        self,
        runtime: Any,
        session: Any,
        promise: Promise,
        choice: Choice,
        shape: TileShape,
        computing: threading.Lock,
    ) -> None:
        self._runtime, self._session, self._computing = runtime, session, computing
        self._options: Any = None
        self._binding: Any = session.io_binding()
        where = ("cpu", 0) if choice.device == "cpu" else ("cuda", device_index(choice))

        def buffer(each: Input | Output, channels: int) -> tuple[Any, tuple[int, ...]]:
            size = (1, channels, shape.height * each.scale, shape.width * each.scale)
            return self._runtime.OrtValue.ortvalue_from_shape_and_type(list(size), np.float32, *where), size

        self._inputs: dict[str, Any] = {}
        self._staging: dict[str, Tensor] = {}
        for each in promise.inputs:
            self._inputs[each.name], size = buffer(each, len(each.channels) * len(each.frames))
            self._staging[each.name] = np.zeros(size, np.float32)
            self._binding.bind_ortvalue_input(each.name, self._inputs[each.name])
        self._outputs: dict[str, Any] = {}
        for each in promise.outputs:
            self._outputs[each.name], _ = buffer(each, len(each.channels))
            self._binding.bind_ortvalue_output(each.name, self._outputs[each.name])

    def fill(self, each: Input, tensor: Tensor, rows: Span, columns: Span) -> None:
        """Copy a piece of an input, its border repeated where the tile reaches beyond the tensor."""
        tile = self._staging[each.name]
        height, width = ((span.stop - span.start) * each.scale for span in (rows, columns))
        top, left = rows.start * each.scale, columns.start * each.scale
        tile[..., :height, :width] = tensor[..., top : top + height, left : left + width]
        tile[..., height:, :width] = tile[..., height - 1 : height, :width]
        tile[..., width:] = tile[..., width - 1 : width]

    def compute(self) -> None:
        """Copy in, run, wait."""
        for name, value in self._inputs.items():
            value.update_inplace(self._staging[name])
        self._binding.synchronize_inputs()
        with self._computing:
            self._session.run_with_iobinding(self._binding, self._options)
            self._binding.synchronize_outputs()

    def take(self, each: Output, result: Tensor, rows: Span, columns: Span) -> None:
        """Copy out what the piece answers for."""
        found: Tensor = self._outputs[each.name].numpy()  # a copy from a device, but on the CPU the buffer itself
        inside = (..., *(_kept(span, span.start, each.scale) for span in (rows, columns)))
        result[(..., *(_kept(span, 0, each.scale) for span in (rows, columns)))] = found[inside]

    def record(self) -> None:
        """Record the CUDA graph, and compare what it replays with a run that does not use it.

        Raises:
            GraphRefusedError: Recording failed, or the replay does not read or write the bound buffers.
        """
        try:
            for _ in range(_RECORDING_RUNS):  # on zeros
                self.compute()
            noise = np.random.default_rng(0)
            for tile in self._staging.values():
                tile[...] = noise.random(tile.shape, np.float32)
            self.compute()
            replayed = {name: value.numpy().copy() for name, value in self._outputs.items()}
            self._options = self._runtime.RunOptions()
            self._options.add_run_config_entry("gpu_graph_id", "-1")  # neither record nor replay
            self.compute()
            self._options = None
        except Exception as error:  # the runtime's own exception classes are not public
            if is_out_of_memory(error):
                raise
            raise GraphRefusedError(one_line(str(error))[:300]) from None
        for name, value in self._outputs.items():
            plain = value.numpy()
            error = float(np.abs(plain - replayed[name]).max())
            if not error <= _REPLAY_TOLERANCE * max(1.0, float(np.abs(plain).max())):
                raise GraphRefusedError(f"replaying it gives other values (by {error:.1e})")


def _kept(span: Span, origin: int, scale: int) -> slice:
    """What a piece answers for, counted from a plate pixel."""
    return slice((span.keep - origin) * scale, (span.end - origin) * scale)
