"""The session on GPUs: ONNX Runtime with CUDA or TensorRT, fed so that the device does not wait.

Tiles of one fixed shape go through a :class:`~deepupscale.tile_ring.TileRing`. Where the device has too little memory
for the shape, it is halved, the tensors are cut, and the result stays the same; a new session is made for it, for ONNX
Runtime's arena gives nothing back while its session lives.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from deepupscale.cache_folder import cache_folder
from deepupscale.errors import InferenceError, MissingExtraError, ModelError, RuntimeUnavailableError, one_line
from deepupscale.model_file import ModelFile
from deepupscale.pieces import Cutter, TileShape
from deepupscale.providers import CPU, CUDA, TENSORRT, GpuSettings, is_out_of_memory, provider_options
from deepupscale.runtimes import check_tensors, onnxruntime_channels
from deepupscale.session import Choice, Tensor
from deepupscale.tile_ring import GATE, GraphRefusedError, TileRing

log = logging.getLogger(__name__)

_MOST_PIXELS = 1 << 21  # a tile: four of the engine's
_WASTE_ALLOWED = 64.0  # tiles' worth of filling until a shape that fits better is worth compiling


class GpuSession:
    """ONNX Runtime with buffers that stay on the device. May be run from several threads at once.

    Around a tensor's edges, closer than the promise's halo, results depend on how it was cut; callers that feed a halo
    never see that.

    Args:
        model: The model.
        choice: ``cuda:N``; ``cpu`` takes the same path on ONNX Runtime's CPU provider.
        threads: CPU threads for what is left to the CPU; 0 for as many as the runtime thinks good.
        settings: How the device is driven.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        RuntimeUnavailableError: The provider does not start.
        ModelError: The graph cannot be used.
    """

    def __init__(self, model: ModelFile, choice: Choice, threads: int, settings: GpuSettings | None = None) -> None:
        try:
            import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise MissingExtraError(f"--runtime {choice.runtime}", "onnxruntime", "gpu") from None
        self.choice = choice
        self._runtime: Any = ort
        if choice.device != "cpu" and hasattr(ort, "preload_dlls"):
            with redirect_stdout(sys.stderr):  # it prints, and standard output may be a host's pipe
                self._runtime.preload_dlls()  # the CUDA libraries that pip installed
        self._model, self._threads, self._settings = model, threads, settings or GpuSettings()
        self._cutter = Cutter(model.promise.halo, model.promise.multiple)
        self._graphs = self._settings.graphs and provider_options(choice, self._settings, False, None)[0][0] == CUDA
        self._axes = self._examine()
        self._changed = threading.Condition()
        self._ring: TileRing | None = None
        self._users = 0
        self._most = max(_MOST_PIXELS, self._cutter.shape(1, 1, 1).pixels)
        self._told = False
        self._waste = 0.0

    @property
    def tile_shape(self) -> TileShape | None:
        """What is compiled at present; None before the first run."""
        return self._ring.shape if self._ring is not None else None

    @property
    def replays(self) -> bool:
        """Whether CUDA graphs are used, as far as is known yet."""
        return self._graphs

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        first = self._model.promise.inputs[0]
        height, width = (side // first.scale for side in inputs[first.name].shape[2:])
        while True:
            shape = None
            try:
                with self._fitting(height, width) as ring:
                    shape = ring.shape
                    return ring.run(inputs, height, width)
            except GraphRefusedError as error:
                self._do_without_graphs(str(error))
            except (InferenceError, ModelError, RuntimeUnavailableError):
                raise
            except Exception as error:  # the runtime's own exception classes are not public
                if not is_out_of_memory(error):
                    raise InferenceError(f"ONNX Runtime failed: {one_line(str(error))[:300]}") from None
                self._take_smaller_tiles(shape or self._cutter.shape(height, width, self._most))

    def close(self) -> None:
        """Give the device's memory back. The session must not be running; it may be run again."""
        with self._changed:
            self._drop()

    @contextmanager
    def _fitting(self, height: int, width: int) -> Generator[TileRing]:
        """The ring for a tensor, compiled if need be once nobody uses the one before."""
        with self._changed:
            while not self._fits(height, width):
                if self._users:
                    self._changed.wait()
                    continue
                self._drop()
                self._ring = self._compile(self._cutter.shape(height, width, self._most))
            ring = self._ring
            assert ring is not None
            self._users += 1
        try:
            yield ring
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def _fits(self, height: int, width: int) -> bool:
        """Whether the ring may serve this tensor: not too large for the memory, not much too small or too large."""
        ring, best = self._ring, self._cutter.shape(height, width, self._most)
        if ring is None or ring.graphs != self._graphs or ring.shape.pixels > self._most:
            return False
        tiles = ring.count(height, width)
        if ring.shape == best or (tiles > 1 and best.pixels > ring.shape.pixels):
            return ring.shape == best
        self._waste += tiles - height * width / ring.shape.pixels
        if self._waste < _WASTE_ALLOWED:
            return True
        self._waste = 0.0
        return False

    def _compile(self, shape: TileShape) -> TileRing:
        axes: dict[str, int] = {}
        for names, scale in self._axes:
            for name, side in zip(names, (shape.height * scale, shape.width * scale), strict=True):
                if isinstance(name, str) and axes.setdefault(name, side) != side:
                    axes[name] = 0  # one name for two sizes cannot be fixed
        axes = {name: side for name, side in axes.items() if side}
        session = self._open(axes, shape)
        return TileRing(
            self._runtime, session, self._model.promise, self.choice, shape, self._settings.slots, self._graphs
        )

    def _open(self, axes: Mapping[str, int], shape: TileShape | None) -> Any:
        """An ``InferenceSession`` with these symbolic sizes fixed."""
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        if self._threads > 0:
            options.intra_op_num_threads = self._threads
        for axis, side in axes.items():
            options.add_free_dimension_override_by_name(axis, side)
        graphs = self._graphs and shape is not None
        cache = None
        if self.choice.runtime == "tensorrt" and shape is not None:
            # TensorRT's own names for its files do not tell models of one architecture apart
            key = f"{self._model.digest[:32]}-{shape}-{self.choice.precision}-ort{self._runtime.__version__}"
            cache = cache_folder("tensorrt", key)
        providers = provider_options(self.choice, self._settings, graphs, cache)
        try:
            with GATE.shared(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a provider that does not start is looked for below
                # without fallback, or it prints to standard output, which may be a host's pipe, and takes the CPU
                return self._runtime.InferenceSession(self._model.data, options, providers=providers, enable_fallback=0)
        except Exception as error:  # the runtime's own exception classes are not public
            if is_out_of_memory(error):
                raise
            said = one_line(str(error))[:300]
            if graphs:
                raise GraphRefusedError(said) from None
            raise ModelError(f"{self._model.path}: ONNX Runtime cannot use the graph: {said}") from None

    def _examine(self) -> list[tuple[tuple[int | str | None, int | str | None], int]]:
        """Check provider and graph; returns the names or sizes of the inputs' last two axes, and the inputs' scales."""
        model, promise = self._model, self._model.promise
        if promise.rank != 2:
            raise ModelError(f"{model.path}: a model of volumes, which cannot be cut into tiles: use --device cpu")
        name = provider_options(self.choice, self._settings, False, None)[0][0]
        try:
            session = self._open({}, None)
            missing = "" if name in session.get_providers() else "its libraries were not found"
        except ModelError as error:
            if self.choice.device == "cpu" or not self._loads_on_cpu():
                raise
            session, missing = None, str(error)
        except Exception as error:  # out of memory
            session, missing = None, one_line(str(error))[:200]
        if session is None or missing:  # else it would silently compute on the CPU
            raise RuntimeUnavailableError(
                f"{self.choice.device}: ONNX Runtime could not start {name} ({missing}): are the CUDA and cuDNN "
                f"libraries{' and TensorRT' if name == TENSORRT else ''} installed, and is memory free? "
                "Use --device cpu to go on without"
            )
        ports, results = session.get_inputs(), session.get_outputs()
        check_tensors(model, onnxruntime_channels(ports), onnxruntime_channels(results))
        for port in (*ports, *results):
            if port.type != "tensor(float)":
                raise ModelError(f"{model.path}: tensor {port.name} is a {port.type}: export it with float32 tensors")
        scales = {each.name: each.scale for each in promise.inputs}
        return [((port.shape[2], port.shape[3]), scales[port.name]) for port in ports]

    def _loads_on_cpu(self) -> bool:
        """Whether it is the provider that fails, and not the graph."""
        try:
            self._runtime.InferenceSession(self._model.data, providers=[CPU])
        except Exception:  # the runtime's own exception classes are not public
            return False
        return True

    def _take_smaller_tiles(self, shape: TileShape) -> None:
        """Halve what a tile may have, after one of this shape found no memory.

        Raises:
            InferenceError: It is the smallest already.
        """
        least = self._cutter.shape(1, 1, 1)
        with self._changed:
            if shape.pixels <= least.pixels:
                raise InferenceError(
                    f"{self.choice.device}: out of memory even on tiles of {least} pixels: end what else uses the "
                    "device, or use --device cpu"
                )
            self._most = min(self._most, max(least.pixels, shape.pixels // 2))
            if not self._told:
                self._told = True
                log.warning(
                    "%s: out of memory on tiles of %s pixels: going on with smaller ones", self.choice.device, shape
                )

    def _do_without_graphs(self, why: str) -> None:
        with self._changed:
            if self._graphs:
                log.info("%s: no CUDA graph (%s): launching every kernel", self.choice.device, why)
            self._graphs = False

    def _drop(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None
