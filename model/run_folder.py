"""The folder of a training run, in a layout that other programs may rely on (`docs/training.md`).

config.yaml                        what was asked for, every value written out
environment.json                   machine, versions, code revision, dataset id
metrics.jsonl                      one JSON object a line: step, kind, figures
events.out.tfevents.*              the same figures for TensorBoard
checkpoints/step_0001000/          see `model/snapshots.py`
validation/step_0001000/           NAME.lr.exr, .sr.exr, .hr.exr, .error.exr and scores.json
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from deepupscale import __version__
from deepupscale.errors import UsageError, WriteError
from deepupscale.temporary import whole
from model import config as configuration
from model.config import TrainConfig
from model.event_file import EventFile
from model.pixel_filters import Float32
from render.exr_file import write_planes

_HALF_MAX = 65504.0
_FREE = ("data.store", "data.workers", "checkpoint_every", "keep")  # may change on a resume: no step depends on them


class RunFolder:
    """One run's folder, open for writing.

    Args:
        path: Made if it is not there.
        config: What is asked for.
        resume: Go on with the run that lies there; otherwise the folder must be empty.
        writes: Whether this process is the one of several that writes.

    Attributes:
        path: The folder.
        checkpoints: Where snapshots lie.

    Raises:
        UsageError: It holds another run, or none to go on with.
        WriteError: It cannot be written to.
    """

    def __init__(self, path: Path, config: TrainConfig, resume: bool, writes: bool = True) -> None:
        self.path, self.checkpoints = path, path / "checkpoints"
        started = path / "config.yaml"
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is a file: name a folder for the run")
        if resume and not started.is_file():
            raise UsageError(f"{path}: holds no run to go on with: leave out --resume")
        if resume:
            _check_same(started, config)
        elif writes and path.is_dir() and any(path.iterdir()):
            raise UsageError(f"{path}: is not empty: go on with its run by --resume, or name another folder")
        self._writes, self._resumed = writes, resume
        self._events: EventFile | None = None
        if not writes:
            return
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            if not resume:
                _write(started, configuration.dump(config))
            self._metrics = (path / "metrics.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise WriteError(f"{path}: cannot be written to: {error.strerror or error}") from None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what was logged is flushed; on a full disk that was told already
            if self._writes:
                self._metrics.close()
            if self._events is not None:
                self._events.close()

    def describe(self, dataset: str) -> None:
        """Write down what the run runs on.

        Raises:
            UsageError: A run that goes on was begun with another dataset.
        """
        file = self.path / "environment.json"
        if self._resumed and (before := _dataset(file)) not in (None, dataset):
            raise UsageError(
                f"{self.path}: was begun with dataset {before}, the store now holds {dataset}: "
                "name the store that it was begun with"
            )
        if self._writes:
            _write(file, json.dumps(environment(dataset), indent=1) + "\n")

    def go_on_after(self, step: int) -> None:
        """Forget figures of steps that will be done again."""
        if not self._writes:
            return
        self._metrics.close()
        file = self.path / "metrics.jsonl"
        kept: list[str] = []
        with _writing(file):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off when the run was killed
        _write(file, "".join(kept))
        with _writing(file):
            self._metrics = file.open("a", encoding="utf-8")

    def log(self, step: int, kind: Literal["train", "validation"], figures: Mapping[str, float]) -> None:
        """Add figures, to the lines and for TensorBoard. Not-a-numbers become null.

        Raises:
            WriteError: They cannot be written.
        """
        ready = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        with _writing(self.path / "metrics.jsonl"):
            self._metrics.write(json.dumps({"step": step, "kind": kind, **ready}) + "\n")
            self._metrics.flush()
        with _writing(self.path / "events.out.tfevents"):
            self._events = self._events or EventFile(self.path)
            self._events.add(step, {f"{kind}/{name}": value for name, value in figures.items()})

    def write_validation(self, step: int, name: str, pictures: Mapping[str, Float32]) -> None:
        """Write one crop's pictures as EXR.

        Args:
            step: Steps done.
            name: Of the crop; the files' stem.
            pictures: ``lr``, ``sr``, ``hr`` scene-linear and ``error`` compressed, (height, width, 3) each.
        """
        folder = self._validation(step)
        for which, picture in pictures.items():
            half = np.clip(np.nan_to_num(picture), -_HALF_MAX, _HALF_MAX).astype(np.float16)
            planes: dict[str, NDArray[Any]] = {c: np.ascontiguousarray(half[:, :, i]) for i, c in enumerate("RGB")}
            write_planes(folder / f"{name}.{which}.exr", planes, {"software": f"DeepUpscale {__version__} train"})

    def _validation(self, step: int) -> Path:
        folder = self.path / "validation" / f"step_{step:07d}"
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write_scores(self, step: int, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Write the figures of a validation's crops, by crop and figure, beside their pictures."""
        folder = self._validation(step)
        ready = {n: {k: v if math.isfinite(v) else None for k, v in figures.items()} for n, figures in scores.items()}
        _write(folder / "scores.json", json.dumps(ready, indent=1) + "\n")


def environment(dataset: str) -> dict[str, Any]:
    """Machine, versions, revision of the code (with ``+`` where it was changed since), dataset id."""
    return {
        "deepupscale": __version__,
        "revision": _revision(),
        "dataset": dataset,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
    }


def _revision() -> str:
    """The checkout's commit, or "unknown" for an installed package."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", "..") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _dataset(file: Path) -> str | None:
    """The dataset id that was written down; None where there is none, as after a kill in the first moments."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get("dataset")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _check_same(started: Path, config: TrainConfig) -> None:
    """A run goes on as it was begun; where its store lies and how it is read may change.

    Raises:
        UsageError: Something else is asked for now.
    """
    before, now = (_flat(each.model_dump(mode="json")) for each in (configuration.load(str(started)), config))
    names = sorted({*before, *now} - {*_FREE})
    if different := [name for name in names if before.get(name) != now.get(name)]:
        name = different[0]
        raise UsageError(
            f"{started.parent}: was begun with {name} {before.get(name)}, now {now.get(name)} is asked for"
        )


def _flat(document: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return flat


def _write(path: Path, text: str) -> None:
    with whole(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def _writing(path: Path) -> Generator[None]:
    """What the system says against writing there, as our error."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}: is the disk full?") from None
