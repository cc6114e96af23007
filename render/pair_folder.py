"""The folder of a set of pairs: made, locked for one run at a time, and looked through for what is done."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from deepupscale.errors import UsageError
from deepupscale.temporary import sweep_stale
from render import manifest
from render.jobs import Job, Settings, asked_of
from render.manifest import MANIFEST, PairRecord


def make_folders(out: Path) -> None:
    """Make the folder and those for its files.

    Raises:
        UsageError: It cannot be made, or is a file.
    """
    for folder in (out, out / "lr", out / "hr"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder}: is a file: name a folder for the pairs") from None
            raise UsageError(f"{folder}: cannot be made: {error.strerror or error}") from None


@contextlib.contextmanager
def only_one(out: Path) -> Iterator[Path]:
    """The folder for unfinished work, for one run at a time.

    Raises:
        UsageError: Another run is at work there.
    """
    work = out / ".work"
    with (out / ".lock").open("w") as lock:  # stays: whoever removed it could remove the lock of another
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{out}: another render-pairs is at work in it: wait, or use another folder") from None
        _sweep(out, work)
        try:
            work.mkdir(exist_ok=True)
            # A name of its own: a Blender that outlives a killed run may still write to that run's place.
            yield Path(tempfile.mkdtemp(dir=work))
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _sweep(out: Path, work: Path) -> None:
    """Remove what a run that was killed left half-done."""
    shutil.rmtree(work, ignore_errors=True)
    for folder in (out / "lr", out / "hr"):
        sweep_stale(folder)
    for unfinished in out.glob(f".{MANIFEST}.*"):
        unfinished.unlink(missing_ok=True)


def kept_pairs(out: Path, jobs: Sequence[Job], settings: Settings) -> dict[str, PairRecord]:
    """Records of pairs that are done and whole.

    Raises:
        UsageError: They were made with other settings, or of another scene.
    """
    if not (out / MANIFEST).exists():
        return {}
    asked = {job.name: job for job in jobs}
    kept: dict[str, PairRecord] = {}
    for record in manifest.read(out):
        wanted = asked_of(settings, record.name)
        found = {key: record.render.get(key) for key in wanted}
        if record.name in asked:
            described = asked[record.name].described
            found |= {key: record.scene.get(key) for key in described}
            wanted |= described
        found["size"], wanted["size"] = record.size, settings.size
        if different := [key for key in wanted if wanted[key] != found[key]]:
            key = "seed" if "seeds" in different else different[0]
            raise UsageError(
                f"{out}: holds pairs made with another {key} ({record.name}: {found.get(key)}, now {wanted.get(key)}): "
                "use the same settings or another folder"
            )
        if all((out / place).is_file() and (out / place).stat().st_size for place in (record.lr, record.hr)):
            kept[record.name] = record
    return kept
