"""The manifest of a set of pairs: `manifest.jsonl`, one JSON object a pair, in the order of the pairs' names.

While a run is on, finished pairs are appended as they come, each line flushed to disk, so a killed run loses nothing
but the pairs that were being rendered; a line that was cut off is dropped. When a run ends the file is put in order:
the same command gives the same manifest, whatever the number of processes and of interruptions. Nothing in it tells
the time or the machine.
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from deepupscale.errors import UsageError, one_line

MANIFEST = "manifest.jsonl"
VERSION = 1
LARGEST_MANIFEST = 256 * 2**20  # bytes; a hundred thousand pairs take a tenth of it
_Side = Annotated[int, Field(ge=1, le=1 << 16)]


class PairRecord(BaseModel):
    """One pair.

    Attributes:
        version: Of this format.
        name: Scene and frame, as in ``scene00003.0012``; the files' stem.
        status: Whether the pair may be trained on.
        reason: Why it is rejected.
        lr: The 1x render, a path within the folder, forward slashes.
        hr: The 2x render.
        size: Width and height of the LR render in pixels.
        scene: What was rendered: kind, seed, index and all that was drawn, or the .blend file, camera and frame.
        render: How: samples, seeds, denoising, AOVs, Blender's version.
        coherence: Figures of `render.coherence`.
        digest: sha256 of both files, ``lr`` and ``hr``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = VERSION
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    status: Literal["accepted", "rejected"]
    reason: Annotated[str, Field(max_length=1000)] = ""
    lr: Annotated[str, Field(max_length=1000)]
    hr: Annotated[str, Field(max_length=1000)]
    size: tuple[_Side, _Side]
    scene: dict[str, Any] = Field(default_factory=dict)
    render: dict[str, Any] = Field(default_factory=dict)
    coherence: dict[str, Any] = Field(default_factory=dict)
    digest: dict[str, str] = Field(default_factory=dict)

    @field_validator("lr", "hr")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\\" in path or ":" in path:
            raise ValueError(f"{path!r} leaves the folder of the manifest")
        return path

    def line(self) -> str:
        """The record as its line, keys in a fixed order."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":"), allow_nan=False) + "\n"


def read(folder: Path) -> list[PairRecord]:
    """All records, in the order of the file; a last line without its line break was cut off and is left out.

    Raises:
        UsageError: No manifest, one that is damaged or too large, or a name that comes twice.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise UsageError(f"{path}: is larger than {LARGEST_MANIFEST >> 20} MiB: not a manifest of render-pairs")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: is not there: is {folder} a folder made by render-pairs?") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not text: not a manifest of render-pairs") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    records: dict[str, PairRecord] = {}
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            record = PairRecord.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            message = one_line(f"{path}: line {number} is damaged: {where} {first['msg']}")
            raise UsageError(f"{message}: restore the file, or remove the line to have the pair made again") from None
        if record.name in records:
            raise UsageError(f"{path}: line {number}: pair {record.name} comes twice: remove one of the two lines")
        records[record.name] = record
    return list(records.values())


def append(folder: Path, record: PairRecord) -> None:
    """Add a finished pair and see it onto the disk."""
    with (folder / MANIFEST).open("a", encoding="utf-8") as file:
        file.write(record.line())
        file.flush()
        os.fsync(file.fileno())


def put_in_order(folder: Path, records: list[PairRecord]) -> None:
    """Write the records sorted by name in place of what is there, all or nothing."""
    temporary = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(record.line() for record in sorted(records, key=lambda record: record.name))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)
