"""Finding the engine's own Python, and an environment for it that Nuke has not spoilt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deepupscale_nuke.errors import SettingsError

VARIABLE = "DEEPUPSCALE_PYTHON"
DROPPED = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__", "LD_PRELOAD",
           "DYLD_INSERT_LIBRARIES", "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "NUKE_PATH")  # fmt: skip
LISTS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")


def clean(environment: Mapping[str, str], nuke_folder: str = "") -> dict[str, str]:
    """The environment without what makes another Python stumble.

    Python's own variables go; of library paths and PATH, the entries inside Nuke's folder go. Where that folder is not
    known, library paths go whole.
    """
    found = {name: value for name, value in environment.items() if name not in DROPPED}
    for name in (*LISTS, "PATH"):
        if name not in found:
            continue
        if not nuke_folder and name in LISTS:
            del found[name]
            continue
        entries = [e for e in found[name].split(os.pathsep) if e and not (nuke_folder and _inside(e, nuke_folder))]
        if entries:
            found[name] = os.pathsep.join(entries)
        else:
            del found[name]
    found["PYTHONUNBUFFERED"] = "1"
    return found


def _inside(entry: str, folder: str) -> bool:
    inner, outer = (os.path.normcase(os.path.normpath(path)) + os.sep for path in (entry, folder))
    return inner.startswith(outer)


def worker_command(knob: str, environment: Mapping[str, str]) -> list[str]:
    """The command that starts the worker: by the knob, else by ``$DEEPUPSCALE_PYTHON``, else by PATH.

    Both name a Python that has deepupscale installed, or the command ``deepupscale`` itself.

    Raises:
        SettingsError: There is none.
    """
    for said, where in ((knob.strip(), "the knob 'python'"), (environment.get(VARIABLE, "").strip(), f"${VARIABLE}")):
        if said:
            if not os.path.isabs(said) or not os.path.isfile(said) or not os.access(said, os.X_OK):
                raise SettingsError(f"{where}: {said} is no program: give the whole path of the engine's Python")
            return _command(said)
    found = shutil.which("deepupscale", path=environment.get("PATH", ""))
    if found is None:
        raise SettingsError(
            f"the engine is not found: set ${VARIABLE} or the knob 'python' to the Python that it is installed in"
        )
    return _command(os.path.abspath(found))


def _command(program: str) -> list[str]:
    if Path(program).stem.lower().startswith("deepupscale"):
        return [program, "worker"]
    return [program, "-I", "-m", "deepupscale", "worker"]
