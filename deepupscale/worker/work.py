"""What the worker does: the engine on one plate, with sessions that stay warm from one to the next."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepupscale.engine import Engine, PlateFile, Settings, why_not_done
from deepupscale.errors import CancelledError, InferenceError, PlateError, UsageError
from deepupscale.exr_header import read_headers
from deepupscale.model_file import ModelFile, load_model
from deepupscale.passes import Cancelled, Progress
from deepupscale.runtimes import OpenVinoSession
from deepupscale.session import Session, open_session
from deepupscale.temporary import sweep_stale
from deepupscale.threads import set_threads
from deepupscale.worker.inventory import described
from deepupscale.worker.params import Asked, Check, Upscale

WARM_SESSIONS = 2
ATTRIBUTES = b"nuke/"  # what a host stamps on its plates, and wants back
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_BYTES = 1024


class Work:
    """Upscales and checks, one at a time.

    Args:
        threads: CPU threads; 0 for all.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._sessions: OrderedDict[tuple[str, str, str, str], Session] = OrderedDict()
        self._swept: set[Path] = set()
        set_threads(threads)

    def upscale(self, asked: Upscale, progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        """Do a plate as ``deepupscale run`` does.

        Raises:
            DeepUpscaleError: See :meth:`deepupscale.Engine.upscale`, ``load_model`` and ``open_session``.
        """
        source, result = Path(asked.plate), Path(asked.result)
        settings = _settings(asked)
        if _same_file(source, result):
            raise UsageError(f"{result}: the result would overwrite the plate: write to another name or folder")
        model = load_model(asked.model)
        engine = Engine(model, self._session(model, asked), settings)
        self._sweep(result.parent)
        try:
            report = engine.upscale(source, result, progress, cancelled)
        except InferenceError:
            if cancelled():  # the runtime was stopped within a tile
                raise CancelledError(f"{source}: cancelled") from None
            raise
        assert report.plate is not None
        return {
            "status": report.status,
            "result": asked.result,
            "size": report.size,
            "seconds": round(report.seconds, 3),
            "nonfinite": dict(report.nonfinite),
            "clamped": dict(report.clamped),
            "model": described(model),
            "choice": asdict(engine.choice),
            "plate": {**asdict(report.plate), "attributes": _attributes(source, report.plate)},
            "settings": dict(report.settings),
            "sha256": _digest(result) if asked.digest else None,
        }

    def interrupt(self) -> None:
        """Stop the network within a tile, where the runtime can; any thread may."""
        for session in list(self._sessions.values()):
            if isinstance(session, OpenVinoSession):
                session.cancel()

    def check(self, asked: Check, cancelled: Cancelled) -> dict[str, Any]:
        """Whether a result is whole and made as asked, and from that plate if one is named.

        Raises:
            DeepUpscaleError: The plate cannot be read or is refused, or the model cannot be loaded.
        """
        source = Path(asked.plate) if asked.plate is not None else None
        result = Path(asked.result)
        why = why_not_done(result, load_model(asked.model), _settings(asked), source, cancelled)
        if not why and asked.sha256 is not None and _digest(result) != asked.sha256:
            why = f"{result}: its bytes are not those that were asked for"
        good = "whole, made as asked" + (" from this plate" if source is not None else "")
        return {"fresh": not why, "why": why or good}

    def _session(self, model: ModelFile, asked: Asked) -> Session:
        """A warm session, or a new one in the place of the one that was used longest ago."""
        key = (model.digest, asked.device, asked.precision, asked.runtime)
        if key not in self._sessions:
            while len(self._sessions) >= WARM_SESSIONS:
                self._sessions.popitem(last=False)
            self._sessions[key] = open_session(model, asked.device, asked.precision, asked.runtime, self._threads)
        self._sessions.move_to_end(key)
        return self._sessions[key]

    def _sweep(self, folder: Path) -> None:
        """Once a folder, as a run does."""
        if folder not in self._swept and folder.is_dir():
            self._swept.add(folder)
            sweep_stale(folder)


def _settings(asked: Asked) -> Settings:
    return Settings(asked.scale, asked.compression, asked.layers, asked.precision, asked.overwrite)


def _digest(result: Path) -> str:
    try:
        with result.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PlateError(f"{result}: cannot be read: {error.strerror}") from None


def _same_file(source: Path, result: Path) -> bool:
    try:
        return os.path.realpath(source) == os.path.realpath(result) or source.samefile(result)
    except OSError:
        return False


def _attributes(source: Path, read: PlateFile) -> dict[str, str]:
    """Texts that the host stamped on the plate's first part; none if the file was replaced after it was read."""
    try:
        header = read_headers(source).parts[0]
        now = source.stat()
    except (PlateError, OSError):
        return {}
    if (now.st_size, now.st_mtime_ns) != (read.size, read.mtime_ns):
        return {}
    found = {
        name.decode("utf-8", "replace"): attribute.value.decode("utf-8", "replace")
        for name, attribute in header.items()
        if name.startswith(ATTRIBUTES) and attribute.kind == b"string" and len(attribute.value) <= MAX_ATTRIBUTE_BYTES
    }
    return dict(sorted(found.items())[:MAX_ATTRIBUTES])
