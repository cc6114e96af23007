"""The model store: models by name.

A model's name is the stem of its file: ``hero`` is ``hero.onnx`` in a folder of ``$DEEPUPSCALE_MODELS`` (absolute
folders, joined as those of ``$PATH`` are) or in the package's own ``models`` folder. Whether a text is a name or a
path depends on how it is written, never on what lies in the current folder: with a separator of folders in it, or
with the ending ``.onnx``, it is a path; else it is a name.

The order of folders hides nothing: two different files of one name are a clash, and asking for that name is an
error. A file that is broken is in nobody's way but its own. Finding a name reads no model; listing reads promises,
not weights.
"""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from deepupscale.errors import ModelError, one_line
from deepupscale.model_file import MAX_MODEL_BYTES, default_model_path, promise_of
from deepupscale.promise import Promise

ENVIRONMENT = "DEEPUPSCALE_MODELS"
SUFFIX = ".onnx"
MAX_NAME = 100
MAX_FILES = 5000  # of any kind in one folder; more than that is some other folder

Origin = Literal["package", "studio"]

_SEPARATORS = tuple(s for s in (os.sep, os.altsep) if s)
_FORBIDDEN = frozenset('/\\:=*?"<>|')
_NAMING = (
    f"a model's name has 1 to {MAX_NAME} printable characters, none of {' '.join(sorted(_FORBIDDEN))}, "
    "begins with no dot, dash or blank, and ends with no dot or blank"
)
_NAMES_SHOWN = 12

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A model as a list shows it.

    Attributes:
        name: What to ask for.
        file: Where it is.
        origin: Whether that is the package's own folder or one of a studio.
        promise: What it says of itself; None if it is broken.
        problem: Why it is broken, in one line; empty if it is not.
        copies: Files of the same name that hold the same bytes.
        clashes: Files of the same name that differ: asking for the name is an error, a path is needed.
    """

    name: str
    file: Path
    origin: Origin
    promise: Promise | None = None
    problem: str = ""
    copies: tuple[Path, ...] = ()
    clashes: tuple[Path, ...] = ()

    @property
    def default(self) -> bool:
        """Whether this is the model that is taken when none is named."""
        return default_model_path() in (self.file, *self.copies)


@dataclass(frozen=True)
class Folder:
    """A folder of models.

    Attributes:
        path: As it was given.
        origin: Whose it is.
        files: Its ``*.onnx``, by name. Hidden ones and those of folders below are left out.
        problem: Why it could not be looked in, in one line; empty if it could.
    """

    path: Path
    origin: Origin
    files: tuple[Path, ...] = ()
    problem: str = ""


class Store:
    """The folders as they were at one time. No model is read before it is asked for."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        self.folders = tuple(folders)
        self._files: dict[str, list[tuple[Path, Origin]]] = {}
        for folder in folders:
            for file in folder.files:
                self._files.setdefault(_name_of(file), []).append((file, folder.origin))

    def __contains__(self, name: str) -> bool:
        """Whether some file has that name, be it broken."""
        return _can_be_a_name(name) and unicodedata.normalize("NFC", name) in self._files

    @property
    def names(self) -> list[str]:
        """Every name that can be asked for, sorted."""
        return sorted(name for name in self._files if _can_be_a_name(name))

    @property
    def problems(self) -> list[str]:
        """The folders that could not be looked in, one line each."""
        return [
            one_line((f"${ENVIRONMENT}: " if folder.origin == "studio" else "") + f"{folder.path}: {folder.problem}")
            for folder in self.folders
            if folder.problem
        ]

    def find(self, name: str) -> Path:
        """The file of that name; of identical files the first.

        Raises:
            ModelError: It cannot be a name, there is no such model, or two different files are called so.
        """
        name = unicodedata.normalize("NFC", name)
        if not _can_be_a_name(name):
            raise ModelError(
                f"{name[:MAX_NAME]!r}: neither a model's name nor a file's path: {_NAMING}; a path has a "
                f"{' or '.join(_SEPARATORS)} in it or ends in {SUFFIX}"
            )
        if name not in self._files:
            raise ModelError(self._unknown(name))
        files = [file for file, _ in self._files[name]]
        if not _alike(files):
            raise ModelError(f"{name}: {clash(files)}")
        return files[0]

    def listed(self) -> list[Entry]:
        """Every model by name, with its promise or with what is wrong. Identical files of one name are one entry."""
        entries: list[Entry] = []
        for name, found in sorted(self._files.items()):
            files = [file for file, _ in found]
            alike = _alike(files)
            for file, origin in found[:1] if alike else found:
                others = tuple(other for other in files if other != file)
                promise, problem = _look(name, file)
                entries.append(
                    Entry(name, file, origin, promise, problem, others if alike else (), () if alike else others)
                )
        return entries

    def warn(self) -> None:
        """Log the folders that could not be looked in, one line each: a mount may be late."""
        for problem in self.problems:
            log.warning("%s; models there are not found", problem)

    def _unknown(self, name: str) -> str:
        names = self.names
        folded = {each.casefold(): each for each in names}
        near = get_close_matches(name.casefold(), folded, n=1)
        parts = [f"{name}: there is no model of that name" + (f", did you mean {folded[near[0]]}?" if near else "")]
        if _is_here(name):
            parts.append(f"for what lies in the current folder write .{os.sep}{name}")
        parts += [f"not looked in: {problem}" for problem in self.problems]
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        parts.append(f"there are {', '.join(names[:_NAMES_SHOWN]) or 'none'}{more}")
        return "; ".join(parts)


def find(model: str | os.PathLike[str] | None = None) -> Path:
    """The file of a model.

    Args:
        model: A name or a path as the module says; a ``Path`` is always a path; None for the default model inside
            the package, whatever is called ``default`` elsewhere.

    Returns:
        The file. One that was given as a path need not exist.

    Raises:
        ModelError: See :meth:`Store.find`.
    """
    if model is None:
        return default_model_path()
    if not isinstance(model, str):
        return Path(model)
    if is_name(model):
        store = scan()
        file = store.find(model)
        store.warn()
        return file
    path = Path(model)
    if path.name == model and not _is_here(model) and _name_of(path) in scan():
        raise ModelError(f"{model}: no such model file in the current folder; for the model write {_name_of(path)}")
    return path


def listed() -> list[Entry]:
    """Every model of the store; see :meth:`Store.listed`."""
    return scan().listed()


def scan() -> Store:
    """Look at the folders of ``$DEEPUPSCALE_MODELS``, in their order, and at the package's own."""
    own = default_model_path().parent
    seen = {os.path.realpath(own)}
    folders: list[Folder] = []
    for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep):
        path = Path(part)
        if not part.strip() or (path.is_absolute() and os.path.realpath(path) in seen):
            continue
        if path.is_absolute():
            seen.add(os.path.realpath(path))
            folders.append(_folder(path, "studio"))
        else:
            folders.append(Folder(path, "studio", problem="is not absolute"))
    return Store([*folders, _folder(own, "package")])


def is_name(text: str) -> bool:
    """Whether it is written as a name, not as a path."""
    return not any(separator in text for separator in _SEPARATORS) and not text.lower().endswith(SUFFIX)


def clash(files: Sequence[Path]) -> str:
    """What is wrong with different files of one name."""
    return f"{len(files)} different files have that name: {' and '.join(map(str, files))}: name one by its path"


def _can_be_a_name(text: str) -> bool:
    return (
        1 <= len(text) <= MAX_NAME
        and text.isprintable()
        and not _FORBIDDEN.intersection(text)
        and text[0] not in ".- "
        and text[-1] not in ". "
        and is_name(text)
    )


def _is_here(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # too long for a file's name
        return False


def _name_of(file: Path) -> str:
    return unicodedata.normalize("NFC", file.name[: -len(SUFFIX)])


def _folder(path: Path, origin: Origin) -> Folder:
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for count, entry in enumerate(entries):
                if count >= MAX_FILES:
                    return Folder(path, origin, problem=f"holds over {MAX_FILES} files, too many to look at")
                if entry.name.lower().endswith(SUFFIX) and not entry.name.startswith("."):
                    names.append(entry.name)
    except FileNotFoundError:
        return Folder(path, origin, problem="no such folder")
    except OSError as error:
        return Folder(path, origin, problem=f"cannot be read: {error.strerror or error}")
    return Folder(path, origin, tuple(path / name for name in sorted(names)))


def _alike(files: Sequence[Path]) -> bool:
    """Whether all are one and the same file, or hold the same bytes. What cannot be compared is not alike."""
    if len(files) == 1:
        return True
    try:
        if not all(file.is_file() for file in files):
            return False
        found = [file.stat() for file in files]
        if len({(each.st_dev, each.st_ino) for each in found}) == 1:
            return True
        if len({each.st_size for each in found}) > 1 or found[0].st_size > MAX_MODEL_BYTES:
            return False
        return len({_digest(file) for file in files}) == 1
    except OSError:
        return False


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _look(name: str, file: Path) -> tuple[Promise | None, str]:
    if not _can_be_a_name(name):
        return None, one_line(f"{file}: cannot be asked for by name: {_NAMING}")
    try:
        return promise_of(file), ""
    except ModelError as error:
        return None, str(error)
