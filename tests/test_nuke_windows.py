"""The plugin on Windows, as far as another system can tell: paths, the environment, and how the worker is started.

``os.path`` and ``pathlib`` are those of Windows here; the calls to the system itself are recorded, not made. What only
a Windows can tell (a file that is open cannot be replaced there) is in ``docs/nuke-unconfirmed.md``.
"""

from __future__ import annotations

import ctypes
import ntpath
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "nuke_plugin"))

from deepupscale_nuke import cache, environment, worker  # noqa: E402
from deepupscale_nuke.errors import SettingsError  # noqa: E402


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths as Windows reads them, in the modules that know no Nuke."""
    system = SimpleNamespace(**{**vars(os), "path": ntpath, "sep": "\\", "pathsep": ";"})
    for module in (cache, environment):
        monkeypatch.setattr(module, "os", system)
        monkeypatch.setattr(module, "Path", PureWindowsPath)


@pytest.mark.usefixtures("windows")
def test_paths_with_drives_and_shares_reach_nuke_with_its_slashes() -> None:
    task = cache.Task(-3, "left")
    for folder, wanted in (
        (r"C:\shots\a b\cache", "C:/shots/a b/cache"), ("D:/x", "D:/x"),
        (r"\\server\share\[x]", r"//server/share/\[x\]"),
    ):  # fmt: skip
        where = cache.Cache(folder)
        assert where.pattern("up") == f"{wanted}/up.%V.%04d.exr"
        assert str(where.plate(task)) == str(PureWindowsPath(folder)) + r"\pull.left.-003.exr"
    for bad in ("shots", "C:shots"):
        with pytest.raises(SettingsError, match="not absolute"):
            cache.Cache(bad)


@pytest.mark.usefixtures("windows")
def test_the_place_of_a_cache_is_put_together_with_backslashes() -> None:
    assert cache.place("C:/shots", "", "", "id", {}) == "C:/shots\\id"
    assert cache.place("", "", r"D:\work", "id", {}) == r"D:\work\deepupscale_cache\id"
    assert cache.place("", "", r"D:\work", "id", {"DEEPUPSCALE_CACHE": r"\\s\c"}) == r"\\s\c\id"


@pytest.mark.usefixtures("windows")
def test_the_environment_is_cleaned_by_semicolons_and_without_regard_to_slashes() -> None:
    given = {
        "PYTHONHOME": "C:/n", "SYSTEMROOT": r"C:\Windows",
        "PATH": r"C:\Foundry\Nuke15.1v3;C:/Foundry/Nuke15.1v3/plugins;C:\Windows;C:\Foundry\Nuke15.1v3x",
    }  # fmt: skip
    assert environment.clean(given, r"C:\Foundry\Nuke15.1v3") == {
        "SYSTEMROOT": r"C:\Windows", "PATH": r"C:\Windows;C:\Foundry\Nuke15.1v3x", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


@pytest.mark.usefixtures("windows")
def test_nukes_folder_is_the_same_in_capitals() -> None:
    """Windows' paths have no case, and programs write drives and folders as they like."""
    given = {"PATH": r"c:\program files\nuke15.1v3\bin;C:\Windows"}
    assert environment.clean(given, r"C:\Program Files\Nuke15.1v3")["PATH"] == r"C:\Windows"


def test_the_engines_python_and_its_command_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "Path", PureWindowsPath)
    monkeypatch.setattr(
        environment, "os", SimpleNamespace(
            path=SimpleNamespace(isabs=ntpath.isabs, isfile=lambda p: True, abspath=ntpath.normpath),
            access=lambda p, how: True, X_OK=os.X_OK,
        ),
    )  # fmt: skip
    python = r"C:\Program Files\deepupscale\Scripts\python.exe"
    assert environment.worker_command(python, {}) == [python, "-I", "-m", "deepupscale", "worker"]
    for command in (r"C:\venv\Scripts\deepupscale.exe", r"C:\venv\Scripts\DeepUpscale.EXE"):
        assert environment.worker_command("", {"DEEPUPSCALE_PYTHON": command}) == [command, "worker"]
    monkeypatch.setattr(environment.shutil, "which", lambda name, path: r"C:\venv\Scripts\deepupscale.EXE")
    assert environment.worker_command("", {"PATH": "C:/venv/Scripts"})[1:] == ["worker"]


def test_a_process_is_started_without_a_window_nukes_libraries_or_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    kernel = SimpleNamespace(SetDllDirectoryW=lambda folder: told.append(("dll", folder)))
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(worker, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(
        worker, "subprocess",
        SimpleNamespace(PIPE=subprocess.PIPE, Popen=lambda command, **given: told.append((command, given))),
    )  # fmt: skip
    worker._start([r"C:\venv\python.exe", "-I"], {"PATH": r"C:\Windows"})
    pipe = subprocess.PIPE
    assert told == [
        ("dll", None),
        ([r"C:\venv\python.exe", "-I"],
         {"stdin": pipe, "stdout": pipe, "stderr": pipe, "env": {"PATH": r"C:\Windows"}, "creationflags": 0x08000000}),
    ]  # fmt: skip
