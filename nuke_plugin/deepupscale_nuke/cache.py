"""The cache of one node on disk: a result for each frame and view, and beside each a record of its making."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepupscale_nuke.errors import CacheError, SettingsError

VERSION = 1
FOLDER = "DEEPUPSCALE_CACHE"  # the environment's word for where caches go
Stamp = dict[str, Any]  # {"file", "size", "mtime_ns"}; size -1 where there is no file


@dataclass(frozen=True)
class Task:
    """One frame of one view."""

    frame: int
    view: str

    def __str__(self) -> str:
        return f"frame {self.frame} ({self.view})"


@dataclass(frozen=True)
class State:
    """What is upstream of a node at one frame.

    Attributes:
        digest: A hash of the nodes upstream: classes, knobs, connections.
        sources: The files that they read, with size and time of the last write.
    """

    digest: str
    sources: list[Stamp]


@dataclass(frozen=True)
class Record:
    """How a cached frame was made.

    Attributes:
        node_hash: ``nuke/node_hash`` of the pulled plate, as Nuke wrote it.
        upstream: ``State.digest`` when the plate was pulled.
        sources: The files that were read upstream.
        plate: Size, time and digest of the pulled plate.
        model: Name, version, digest, and the file's stamp.
        settings: ``Settings.document()``.
        result: The stamp of the result.
        sha256: The digest of the result.
    """

    node_hash: str
    upstream: str
    sources: list[Stamp]
    plate: dict[str, Any]
    model: dict[str, Any]
    settings: dict[str, Any]
    result: Stamp
    sha256: str
    version: int = VERSION


class Cache:
    """Names and records of one node's cache.

    Args:
        folder: An absolute folder, the node's own.

    Raises:
        SettingsError: The folder cannot be used.
    """

    def __init__(self, folder: str) -> None:
        if not os.path.isabs(folder):
            raise SettingsError(f"cache folder {folder!r} is not absolute: give the whole path")
        bad = re.search(r"[%#\x00-\x1f]", folder)
        if bad:
            raise SettingsError(
                f"cache folder {folder}: Nuke would take {bad[0]!r} for a frame number: use another folder"
            )
        self.folder = Path(folder)

    def plate(self, task: Task) -> Path:
        """The pulled plate."""
        return self.folder / _name("pull", task)

    def result(self, task: Task) -> Path:
        """The upscaled frame."""
        return self.folder / _name("up", task)

    def sidecar(self, task: Task) -> Path:
        """The record of its making."""
        return self.folder / (_name("up", task) + ".json")

    def pattern(self, kind: str) -> str:
        """All frames and views (``up`` or ``pull``) as the text of a file knob, nothing in it left to evaluate."""
        return knob_text(f"{self.folder.as_posix()}/{kind}.%V.%04d.exr")

    def frames(self) -> list[int]:
        """The frames that have a result and a record, in order; views do not count."""
        found = {
            int(match[1])
            for match in (re.fullmatch(r"up\..+\.(-?\d+)\.exr\.json", p.name) for p in self.folder.glob("up.*.json"))
            if match
        }
        return sorted(found)

    def record(self, task: Task) -> Record:
        """The record of a frame.

        Raises:
            CacheError: There is none, or none that can be read.
        """
        path = self.sidecar(task)
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            found = Record(**said)
        except FileNotFoundError:
            raise CacheError(f"{self.result(task)}: {task} was never upscaled") from None
        except (OSError, ValueError, TypeError) as error:
            raise CacheError(f"{path}: not a record of this plugin: {error}") from None
        if found.version != VERSION or not isinstance(found.sources, list) or not isinstance(found.settings, dict):
            raise CacheError(f"{path}: a record of another version of the plugin")
        return found

    def keep(self, task: Task, record: Record) -> None:
        """Write a record whole or not at all."""
        write_whole(self.sidecar(task), json.dumps(asdict(record), indent=1, sort_keys=True) + "\n")

    def forget(self, task: Task) -> None:
        """Take a frame's record away, so that it counts as missing, and the frame unless its bytes are as they were."""
        try:
            whole = digest_of(str(self.result(task))) == self.record(task).sha256
        except (CacheError, OSError):
            whole = False
        self.sidecar(task).unlink(missing_ok=True)
        if not whole:
            self.result(task).unlink(missing_ok=True)

    def why_stale(self, task: Task, settings: dict[str, Any], state: State) -> str:
        """Why a cached frame does not count, in one line; empty where it does.

        Raises:
            Nothing: what cannot be read is a reason.
        """
        result = self.result(task)
        try:
            record = self.record(task)
        except CacheError as error:
            return str(error)
        for name, value in settings.items():
            if record.settings.get(name, value) != value or name not in record.settings:
                return f"{result}: was made with {name} {record.settings.get(name)!r}, not {value!r}"
        now = stamp(str(result))
        if now != record.result:
            return f"{result}: " + ("is not there" if now["size"] < 0 else "was changed after it was made")
        if record.sources != state.sources:
            changed = [s["file"] for s in state.sources if s not in record.sources] or ["a source"]
            return f"{result}: {changed[0]} changed after it was pulled"
        if record.upstream != state.digest:
            return f"{result}: a node upstream changed after it was pulled"
        return _model_changed(result, record.model)


def _model_changed(result: Path, model: dict[str, Any]) -> str:
    """Whether the model's file is another one now; a file that this machine does not have cannot be told."""
    kept = model.get("file")
    if not kept:
        return ""
    if stamp(kept["file"]) == kept:
        return ""
    try:
        same = digest_of(kept["file"]) == model.get("sha256")
    except OSError:
        return ""
    return "" if same else f"{result}: the model {kept['file']} changed after it was made"


def _name(kind: str, task: Task) -> str:
    return f"{kind}.{task.view}.{task.frame:04d}.exr"


def knob_text(path: str) -> str:
    """A path for a file knob, which takes brackets for commands."""
    return re.sub(r"([\\\[\]])", r"\\\1", path)


def stamp(file: str) -> Stamp:
    """Size and time of the last write of a file."""
    try:
        found = os.stat(file)
    except OSError:
        return {"file": file, "size": -1, "mtime_ns": 0}
    return {"file": file, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


def digest_of(file: str) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with open(file, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file under a hidden name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=str(path.parent))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o664)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def place(knob: str, used: str, script: str, uuid: str, environment: dict[str, str]) -> str:
    """The folder of a node: by its knob, else where it is already, else by the environment, else beside the script."""
    if knob.strip():
        return os.path.join(knob.strip(), uuid)
    if used:
        return used
    base: str | None = environment.get(FOLDER) or None
    if base is None:
        base = os.path.join(script or tempfile.gettempdir(), "deepupscale_cache")
    return os.path.join(base, uuid)


def clear(folder: str) -> int:
    """Delete the frames, plates and records below a node's folder, and nothing else; returns how many files went."""
    gone = 0
    for inner in sorted(Path(folder).glob("*")):
        if not re.fullmatch(r"[0-9a-f]{10}", inner.name):
            continue
        for path in sorted(inner.glob("*")):
            if re.fullmatch(r"(up|pull)\..+\.-?\d+\.exr(\.json)?", path.name):
                path.unlink(missing_ok=True)
                gone += 1
        _remove_empty(inner)
    _remove_empty(Path(folder))
    return gone


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # something else is in there, or nothing was ever made
        folder.rmdir()
