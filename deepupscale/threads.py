"""Threads: how many CPU threads this process's decoding, encoding and arithmetic may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import OpenImageIO as oiio

from deepupscale.caches import usable_cores

_T = TypeVar("_T")
_MOST = 16  # arithmetic is bound by memory beyond
_allowed = 0


def set_threads(threads: int) -> None:
    """Set how many; 0 for as many as there are cores. The session of a network has its own number."""
    global _allowed  # noqa: PLW0603  the image library's number is the process's too
    _allowed = threads
    oiio.attribute("threads", threads)
    oiio.attribute("exr_threads", threads)


def for_each(work: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Call ``work`` for all items, in any order and on several threads; the first error is raised when all ended."""
    each = list(items)
    threads = min(_allowed or usable_cores(), len(each), _MOST)
    if threads <= 1:
        for item in each:
            work(item)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="band") as pool:
        for _ in pool.map(work, each):
            pass
