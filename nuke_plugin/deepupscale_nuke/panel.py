"""The buttons, in Nuke's GUI: the main thread pulls, a thread of ours asks the worker, the viewer stays free."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

import nuke

from deepupscale_nuke import cache, events, host
from deepupscale_nuke.cache import Cache, Task
from deepupscale_nuke.errors import Cancelled, PluginError
from deepupscale_nuke.frames import parse_frames
from deepupscale_nuke.upscale import Upscale

BUSY_WAIT, BUSY_TRIES = 0.25, 240  # Nuke may render between our frames: wait up to a minute
running: dict[str, Job] = {}  # by the node's uuid


def press(node: Any, action: str) -> None:
    """A button was pressed; what is wrong is told in a dialogue, or raised where none can come up."""
    try:
        if nuke.executing():
            raise PluginError("Nuke is rendering: wait until it is done, then press again")
        if node["uuid"].value() in running:
            raise PluginError(f"{node.fullName()} is being upscaled: wait for it or press Cancel")
        {"frame": _frame, "range": _range, "clear": _clear}[action](node)
    except PluginError as error:
        if not nuke.GUI or nuke.executing():
            raise
        nuke.message(str(error))


def _frame(node: Any) -> None:
    start(node, [int(nuke.frame())])


def _range(node: Any) -> None:
    text = node["frames"].value().strip()
    root = nuke.root()
    start(node, parse_frames(text or f"{int(root['first_frame'].value())}-{int(root['last_frame'].value())}"))


def _clear(node: Any) -> None:
    folder = host.folder_of(node)
    if nuke.GUI and not nuke.ask(f"Delete the cached frames of {node.fullName()} in {folder}?"):
        return
    gone = cache.clear(folder)
    host.show(node, host.cache_of(node, host.settings_of(node)))
    host.say(node, f"cleared {gone} files")


def start(node: Any, frames: list[int]) -> Job:
    """Begin to upscale frames of all views; in a terminal session it is done when this returns.

    Raises:
        PluginError: A knob cannot be meant, or the engine is not found.
    """
    settings = host.settings_of(node)
    where = host.cache_of(node, settings)
    tasks = [Task(f, v) for f in frames for v in nuke.views()]
    job = Job(node, tasks, where)
    job.upscale = Upscale(
        node, settings, where, host.worker_for(node), host.look, host.pull, job.on_main,
        bool(node["keep_plates"].value()),
    )  # fmt: skip
    running[job.uuid] = job
    if nuke.GUI:
        threading.Thread(target=job.run, name="deepupscale", daemon=True).start()
    else:
        job.run()
        if job.error:
            raise PluginError(job.error)
    return job


class Job:
    """One press of a button.

    Attributes:
        error: What went wrong, in one line, once it is over.
        over: Set when everything is done, the node included.
    """

    def __init__(self, node: Any, tasks: list[Task], where: Cache) -> None:
        self.node, self.tasks, self.where = node, tasks, where
        self.uuid: str = node["uuid"].value()
        self.upscale: Upscale | None = None
        self.error = ""
        self.text = ""
        self.over = threading.Event()
        self._title = f"DeepUpscale {node.fullName()}"
        self._bar: Any = None
        self._at = {task: n for n, task in enumerate(tasks)}
        self._percent = 0

    def run(self) -> None:
        """Everything; in the GUI in a thread of its own."""
        assert self.upscale is not None
        done: list[Task] = []
        try:
            self._bar = nuke.ProgressTask(self._title)
            done, failed = self.upscale.run(self.tasks, self._told, self._stopped)
            skipped = len(self.upscale.skipped)
            self.text = f"{len(done)} upscaled, {skipped} unchanged"
            if failed:
                first = next(iter(failed.values()))
                self.error = f"{len(failed)} of {len(self.tasks)} frames failed; {first}"
        except Cancelled:
            self.text = "stopped: press again to go on"
        except Exception as error:  # a thread that dies silently would leave the node waiting
            self.error = str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"
        finally:
            self._bar = None
            self._later(self._finish)

    def _finish(self) -> None:
        running.pop(self.uuid, None)
        try:
            if self.upscale is not None and host.running_worker() is not None and not self.error:
                self._learn_models()
            host.show(self.node, self.where)
            host.say(self.node, self.error or self.text)
        except ValueError:
            pass  # the node was deleted meanwhile; its frames are in the cache
        finally:
            self.over.set()
        if self.error and nuke.GUI:
            nuke.message(f"{self._title}: {self.error}")

    def _learn_models(self) -> None:
        worker = host.running_worker()
        if worker is not None:
            events.engine_models[:] = worker.known_models()
            host.fill_models(self.node, events.model_names())

    def on_main(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call on the main thread and wait. What it raises comes back whole, whatever Nuke makes of it."""
        if not nuke.GUI:
            return call(*args)
        for _ in range(BUSY_TRIES):
            answer = nuke.executeInMainThreadWithResult(self._guarded, (call, args))
            if answer is None:
                raise PluginError("Nuke's main thread gave no answer: press again")
            kind, value = answer
            if kind == "done":
                return value
            if kind == "failed":
                raise value
            if self._stopped():
                raise Cancelled()
            time.sleep(BUSY_WAIT)
        raise PluginError("Nuke was rendering for too long: press again when it is done")

    def _guarded(self, call: Callable[..., Any], args: Any) -> Any:
        if self._stopped():
            return "failed", Cancelled()
        if nuke.executing():
            return "busy", None
        try:
            return "done", call(*args)
        except Exception as error:
            return "failed", error

    def _later(self, call: Callable[[], None]) -> None:
        if not nuke.GUI:
            call()
            return
        nuke.executeInMainThread(self._settled, (call,))

    def _settled(self, call: Callable[[], None]) -> None:
        if nuke.executing():  # a render began meanwhile: the node is brought up to date after it
            threading.Timer(BUSY_WAIT, lambda: self._later(call)).start()
            return
        call()

    def _told(self, task: Task, fraction: float) -> None:
        percent = int(100 * (self._at[task] + fraction) / len(self.tasks))
        self._percent = max(self._percent, min(percent, 100))
        bar = self._bar
        if bar is not None:
            bar.setProgress(self._percent)
            bar.setMessage(str(task))

    def _stopped(self) -> bool:
        return self._bar is not None and bool(self._bar.isCancelled())
