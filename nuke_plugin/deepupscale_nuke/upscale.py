"""Upscaling frames of one node: look, pull, infer, keep the record. The thread and the host come from the caller."""

from __future__ import annotations

from typing import Any, Callable

from deepupscale_nuke import pipeline
from deepupscale_nuke.cache import Cache, Record, State, Task, digest_of, stamp
from deepupscale_nuke.errors import CacheError, WorkerError
from deepupscale_nuke.settings import Settings
from deepupscale_nuke.worker import Worker

Told = Callable[[Task, float], None]
OnMain = Callable[..., Any]  # calls a function with arguments on the host's main thread, and returns its result


class Upscale:
    """Frames of one node through the worker.

    Args:
        node: The host's node; it is only handed on.
        look: ``look(node, task, settings, cache)``: why the frame has to be done, and the state upstream.
        pull: ``pull(node, task, cache)`` renders the plate.
        on_main: Where those two are called.
    """

    def __init__(
        self,
        node: Any,
        settings: Settings,
        where: Cache,
        worker: Worker,
        look: Callable[..., Any],
        pull: Callable[..., None],
        on_main: OnMain,
        keep_plates: bool = False,
    ) -> None:
        self._node, self._settings, self._where, self._worker = node, settings, where, worker
        self._look, self._pull, self._on_main, self._keep = look, pull, on_main, keep_plates
        self.skipped: list[Task] = []

    def run(self, tasks: list[Task], told: Told, stopped: Callable[[], bool]) -> tuple[list[Task], dict[Task, str]]:
        """As ``pipeline.run``; frames that are whole and unchanged are left alone and listed in ``skipped``."""
        self.skipped = []

        def infer(task: Task, state: State) -> None:
            self._infer(task, state, told, stopped)

        return pipeline.run(tasks, self._plate, infer, stopped, self._worker.process)

    def _plate(self, task: Task) -> Any:
        looked = self._on_main(self._look, self._node, task, self._settings, self._where)
        if not looked.why and self._whole(task):
            self.skipped.append(task)
            return None
        self._where.forget(task)
        self._on_main(self._pull, self._node, task, self._where)
        return looked.state

    def _whole(self, task: Task) -> bool:
        """Whether the result has the bytes that it had, and the worker says that it would make it so again."""
        if digest_of(str(self._where.result(task))) != self._where.record(task).sha256:
            return False
        params = self._settings.params()
        params = {k: v for k, v in params.items() if k != "device"}
        answer = self._worker.ask("check", {"result": str(self._where.result(task)), **params})
        return bool(answer["fresh"])

    def _infer(self, task: Task, state: State, told: Told, stopped: Callable[[], bool]) -> None:
        plate, result = self._where.plate(task), self._where.result(task)
        params = {"plate": str(plate), "result": str(result), **self._settings.params()}
        try:
            answer = self._worker.ask("upscale", params, lambda done: told(task, done), stopped)
        finally:
            if not self._keep:
                plate.unlink(missing_ok=True)
        now = stamp(str(result))
        if now["size"] < 0:
            raise WorkerError(f"{result}: the worker says that it wrote {task}, but the file is not there")
        file = self._worker.model_file(self._settings.model)
        self._where.keep(
            task,
            Record(
                node_hash=str(answer["plate"]["attributes"].get("nuke/node_hash", "")),
                upstream=state.digest,
                sources=state.sources,
                plate={k: answer["plate"][k] for k in ("size", "mtime_ns", "sha256")},
                model={**answer["model"], "file": stamp(file) if file else None},
                settings=self._settings.document(),
                result=now,
                sha256=digest_of(str(result)),
            ),
        )


def check_files(where: Cache, tasks: list[Task]) -> None:
    """See that every frame has its file and its record.

    Raises:
        CacheError: One has not.
    """
    for task in tasks:
        record = where.record(task)
        if stamp(str(where.result(task))) != record.result:
            raise CacheError(f"{where.result(task)}: is not the file that its record tells of")
