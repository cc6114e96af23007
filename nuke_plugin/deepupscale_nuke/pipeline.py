"""Frames in turn: the next is pulled while the last is inferred."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Optional

from deepupscale_nuke.cache import Task
from deepupscale_nuke.errors import FRAME, Cancelled, PluginError, WorkerError

Pulled = Any
Pull = Callable[[Task], Optional[Pulled]]
Infer = Callable[[Task, Pulled], None]
Failed = dict[Task, str]


def run(
    tasks: Iterable[Task],
    pull: Pull,
    infer: Infer,
    stopped: Callable[[], bool],
    begin: Callable[[], object] = lambda: None,
) -> tuple[list[Task], Failed]:
    """Do all frames; a frame that fails does not stop the others.

    Args:
        begin: Called once in the thread of ``infer``, while the first plate is pulled; what it raises ends it all.
        pull: Pulls a plate, in the thread of the caller; None where the frame is done already.
        infer: Upscales it, in another thread.

    Returns:
        The frames that were done, and those that failed with the reason. Frames that needed nothing are in neither.

    Raises:
        PluginError: What would fail every frame.
        Cancelled: ``stopped`` said so; frames before stay done.
    """
    done: list[Task] = []
    failed: Failed = {}
    pending: tuple[Task, Future[None]] | None = None

    def settle() -> None:
        nonlocal pending
        if pending is None:
            return
        task, future = pending
        pending = None
        try:
            future.result()
            done.append(task)
        except WorkerError as error:
            if error.code != FRAME:
                raise
            failed[task] = str(error)

    with ThreadPoolExecutor(1, thread_name_prefix="deepupscale") as pool:
        begun = pool.submit(begin)
        try:
            for task in tasks:
                if stopped():
                    raise Cancelled()
                try:
                    pulled = pull(task)
                except PluginError:
                    raise
                except RuntimeError as error:  # Nuke's own: a node upstream failed at this frame
                    failed[task] = f"{task}: {error}"
                    continue
                begun.result()
                settle()
                if pulled is not None:
                    pending = task, pool.submit(infer, task, pulled)
        finally:
            settle()
    return done, failed
