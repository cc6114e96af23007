"""Pairs: scenes rendered twice, at 1x and at 2x, measured, and written down in a manifest.

    OUT/manifest.jsonl             see `render/manifest.py`
    OUT/lr/scene00003.0012.exr     1x; channels in `render/multilayer.py`
    OUT/hr/scene00003.0012.exr     2x
    OUT/.work/                     what is being rendered; gone when the run ends

What is done is never done again: a run that was stopped, killed or failed is continued by the same command.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from deepupscale import __version__
from deepupscale.errors import FrameError, WriteError
from deepupscale.plate import Limits as PlateLimits
from render import manifest
from render.coherence import Limits, fault, measure
from render.exr_file import write_planes
from render.jobs import Job, Settings, asked_of, digest, picture_of, sampling_seed
from render.manifest import MANIFEST, PairRecord
from render.multilayer import pair_header, pair_planes, read_passes
from render.pair_files import read_rgb
from render.pair_folder import kept_pairs, make_folders, only_one
from render.workers import JobFailedError, Worker, WorkerDiedError

_BYTES_A_PIXEL = 4 * 24  # of Blender's multilayer file with every pass


class RenderError(FrameError):
    """One pair could not be rendered; the others go on."""


@dataclass
class Summary:
    """What a run did, and what the folder holds."""

    records: list[PairRecord] = field(default_factory=list[PairRecord])
    failed: list[str] = field(default_factory=list[str])

    @property
    def rejected(self) -> list[PairRecord]:
        return [record for record in self.records if record.status == "rejected"]


def render_pairs(
    out: Path,
    jobs: Sequence[Job],
    settings: Settings,
    command: list[str],
    processes: int,
    timeout: float,
    tell: Callable[[str, bool], None],
    limits: Limits | None = None,
) -> Summary:
    """Render what is not there yet.

    Args:
        out: The folder; made if it is not there.
        jobs: What the folder shall hold; pairs of other names that it holds are kept.
        settings: The same for all pairs of a folder.
        command: From `render.workers.find_blender`.
        processes: How many Blenders work at a time; they share the machine's threads.
        timeout: Seconds for one pair.
        tell: Called with a line for every job, and whether it failed.
        limits: What a pair may differ by; the defaults of `render.coherence` if left out.

    Raises:
        UsageError: The folder cannot be used, or holds pairs of other settings.
        WriteError: The disk is full. Finished pairs are kept.
    """
    make_folders(out)
    with only_one(out) as work:
        kept = kept_pairs(out, jobs, settings)
        summary = Summary(records=list(kept.values()))
        todo: list[Job] = []
        for job in jobs:
            if job.name in kept:
                tell(f"skipped {job.name}, done before", False)
            else:
                todo.append(job)
        threads = max(1, (os.cpu_count() or 1) // processes)
        began = time.monotonic()
        try:
            with ThreadPoolExecutor(processes) as pool:
                workers = [Worker(command, work / f"blender{n}.log", timeout) for n in range(processes)]
                task = _Task(out, work, settings, limits or Limits(), workers, threads)
                waiting = {pool.submit(task, job): job for job in todo}
                try:
                    for number, future in enumerate(as_completed(waiting), start=1):
                        left = (time.monotonic() - began) / number * (len(todo) - number)
                        _take(out, waiting[future], future.result, summary, left, tell)
                finally:
                    for future in waiting:
                        future.cancel()
                    task.stop()
        finally:
            if (out / MANIFEST).exists():
                manifest.put_in_order(out, summary.records)
    return summary


def _take(
    out: Path,
    job: Job,
    result: Callable[[], PairRecord],
    summary: Summary,
    left: float,
    tell: Callable[[str, bool], None],
) -> None:
    """Write a finished job down and tell of it."""
    try:
        record = result()
    except RenderError as error:
        summary.failed.append(job.name)
        tell(f"failed {error}", True)
        return
    manifest.append(out, record)
    summary.records.append(record)
    width, height = record.size
    what = f"{record.name} {record.scene['kind']} {width}x{height} -> {2 * width}x{2 * height}"
    why = f": {record.reason}" if record.reason else ""
    tell(f"{record.status} {what}{why}, {duration(left)} left", False)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes = round(seconds / 60.0)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class _Task:
    """Renders a pair with whichever worker is idle. Called from several threads."""

    def __init__(
        self, out: Path, work: Path, settings: Settings, limits: Limits, workers: list[Worker], threads: int
    ) -> None:
        self._out, self._work, self._settings, self._limits = out, work, settings, limits
        self._workers, self._threads = workers, threads
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            self._idle.put(worker)
        self._stopped = False

    def stop(self) -> None:
        """Let no job begin any more, and end the workers, whatever they do."""
        self._stopped = True
        for worker in self._workers:
            worker.kill()

    def __call__(self, job: Job) -> PairRecord:
        width, height = self._settings.size
        needed = 5 * width * height * _BYTES_A_PIXEL
        if (free := shutil.disk_usage(self._out).free) < needed:
            raise WriteError(f"{self._out}: {_mib(free)} free, a pair needs {_mib(needed)}: free some and run it again")
        worker = self._idle.get()
        try:
            if self._stopped:
                raise RenderError(f"{job.name}: stopped")
            folder = self._work / job.name
            folder.mkdir()
            try:
                said = self._ask(worker, job, folder)
                return self._finish(job, folder, said)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            self._idle.put(worker)

    def _ask(self, worker: Worker, job: Job, folder: Path) -> dict[str, Any]:
        """The worker's answer; a worker that fell over is given a second chance with a new process."""
        asked = {"scene": job.scene, "frame": job.frame, "pictures": [self._picture(job, folder, f) for f in (1, 2)]}
        for attempt in (1, 2):
            try:
                return worker.ask(asked)
            except JobFailedError as error:
                raise RenderError(f"{job.name} ({job.described['kind']}): {error}") from None
            except WorkerDiedError as error:
                if attempt == 2 or self._stopped:
                    raise RenderError(f"{job.name} ({job.described['kind']}): {error}") from None
        raise AssertionError

    def _picture(self, job: Job, folder: Path, factor: int) -> dict[str, Any]:
        seed = sampling_seed(self._settings.seed, job.name, factor)
        return picture_of(self._settings, folder / f"{factor}x.exr", factor, seed, self._threads)

    def _finish(self, job: Job, folder: Path, said: dict[str, Any]) -> PairRecord:
        """Blender's files as a pair, measured."""
        places = {1: f"lr/{job.name}.exr", 2: f"hr/{job.name}.exr"}
        settings = self._settings
        for factor, place in places.items():
            try:
                passes, header = read_passes(folder / f"{factor}x.exr")
                if said["separate_motion"]:
                    motion, _ = read_passes(folder / f"{factor}x.motion.exr")
                    passes |= {name: plane for name, plane in motion.items() if name.startswith("Vector.")}
            except (OSError, RuntimeError) as error:
                what = f"{job.name}: Blender's file cannot be read back"
                raise WriteError(f"{what}: {error}: is the disk full?") from None
            planes = pair_planes(passes, said["views"], "alpha" in settings.aovs, settings.as_float)
            if "depth" not in settings.aovs:
                planes.pop("Z", None)
            software = f"DeepUpscale {__version__} render-pairs, Blender {said['blender']}"
            write_planes(self._out / place, planes, pair_header(header, software))
        lr, hr = (read_rgb(self._out / place, PlateLimits()) for place in places.values())
        coherence = measure(lr, hr)
        reason = fault(coherence, self._limits)
        return PairRecord(
            name=job.name,
            status="rejected" if reason else "accepted",
            reason=reason,
            lr=places[1],
            hr=places[2],
            size=settings.size,
            scene={**job.described, "parameters": said["notes"]},
            render={**asked_of(settings, job.name), "motion_blur": said["motion_blur"], "blender": said["blender"]},
            coherence=coherence.as_dict(),
            digest={"lr": digest(self._out / places[1]), "hr": digest(self._out / places[2])},
        )


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
