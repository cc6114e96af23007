"""Blender as worker processes: found, started and asked. What it does with a job stands in `render/worker.py`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from deepupscale.errors import RuntimeUnavailableError, UsageError, one_line

BPY = "bpy==4.5.*"  # the long-term release; its wheels are for Python 3.11 and want numpy 1, the engine wants numpy 2
VARIABLE = "DEEPUPSCALE_BLENDER"
_ROOT = Path(__file__).resolve().parents[1]
# Appended, so that Blender finds its own numpy before ours.
_START = f"import sys; sys.path.append({str(_ROOT)!r}); from render.worker import main; main()"
_LAST_WORDS = 2000  # bytes of a worker's log that are searched for why it died


class WorkerDiedError(Exception):
    """A worker ended without an answer; ``str(error)`` is its exit status and what it said last."""


class JobFailedError(Exception):
    """A worker answered that the job cannot be done; ``str(error)`` is one line."""


# ---- where Blender is


def own_blender() -> Path:
    """The environment that `deepupscale install-blender` makes: inside this one, and apart from it."""
    return Path(sys.prefix) / "share" / "deepupscale" / "blender"


def find_blender(asked: Path | None) -> list[str]:
    """How a worker is started.

    Looked for in this order: what is asked for, the variable DEEPUPSCALE_BLENDER, this very Python, the environment of
    ``install-blender``, and `blender` on the search path.

    Args:
        asked: A Blender executable, a Python interpreter that has bpy, or the folder of a virtual environment.

    Raises:
        UsageError: What is asked for is not there.
        RuntimeUnavailableError: There is no Blender at all.
    """
    named = asked or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        program = _interpreter(named) if named.is_dir() else named
        if not (program.is_file() and os.access(program, os.X_OK)):
            raise UsageError(f"{named}: is no Blender and no Python with Blender's module: name one with --blender")
        return _command(program)
    if find_spec("bpy") is not None:
        return _command(Path(sys.executable))
    if (program := _interpreter(own_blender())).exists():
        return _command(program)
    if (found := shutil.which("blender")) is not None:
        return _command(Path(found))
    raise RuntimeUnavailableError(
        "no Blender was found: run 'deepupscale install-blender' (360 MB), or name a Blender 4.5 with --blender"
    )


def _interpreter(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _command(program: Path) -> list[str]:
    if program.name.lower().startswith("blender"):
        return [str(program), "-b", "--factory-startup", "-noaudio", "--python-exit-code", "1", "--python-expr", _START]
    return [str(program), "-c", _START]


def install_blender(python: str) -> Path:
    """Make the environment of :func:`own_blender` with Blender's module in it, in place of what was there.

    Args:
        python: A Python 3.11 interpreter.

    Raises:
        RuntimeUnavailableError: The interpreter is another or does not run, or pip could not install Blender.
    """
    place = own_blender()
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = _run([python, "-c", asked], f"{python} does not run").strip()
    if version != "3.11":
        raise RuntimeUnavailableError(f"{python} is Python {version}, {BPY} needs 3.11: name one with --python")
    try:
        _run([python, "-m", "venv", "--clear", str(place)], f"{place}: no environment can be made")
        pip = [str(_interpreter(place)), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", BPY], f"{place}: pip cannot install {BPY}")
        _run([str(_interpreter(place)), "-c", "import bpy"], f"{place}: Blender's module does not load")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return place


def _run(command: list[str], failure: str) -> str:
    own = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}  # theirs is another numpy
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)  # noqa: S603 (no shell)
    except OSError as error:
        raise RuntimeUnavailableError(f"{failure}: {error.strerror or error}") from None
    if done.returncode:
        raise RuntimeUnavailableError(f"{failure}: {_last_line(done.stderr) or f'exit status {done.returncode}'}")
    return done.stdout


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(lines[-1])[:300] if lines else ""


# ---- one process


class Worker:
    """One Blender process. It is started by the first job, and anew by the job after one that killed it.

    Args:
        command: From :func:`find_blender`.
        log: File for what Blender says; written anew at every start.
        timeout: Seconds after which a job is given up and the process killed.
    """

    def __init__(self, command: list[str], log: Path, timeout: float) -> None:
        self._command, self._log, self._timeout = command, log, timeout
        self._process: subprocess.Popen[str] | None = None
        self._over = False

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End the process at once, whatever it does, and start no other. May be called from another thread."""
        self._over = True
        if self._process is not None:
            self._process.kill()

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Have a job done; see `render/worker.py` for jobs and answers.

        Raises:
            WorkerDiedError: The process ended, or took too long and was killed.
            JobFailedError: It answered that the job cannot be done.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        alarm, began = threading.Timer(self._timeout, process.kill), time.monotonic()
        alarm.start()
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line.endswith("\n"):
            status = process.wait()
            late = time.monotonic() - began >= self._timeout
            why = f"killed after {self._timeout:.0f} s" if late else f"exit status {status}"
            raise WorkerDiedError(f"Blender ended, {why}: {self._last_words()}")
        said = json.loads(line)
        if not said.pop("ok"):
            raise JobFailedError(one_line(said["error"]))
        return said

    def _running(self) -> subprocess.Popen[str]:
        if self._over:
            raise WorkerDiedError("Blender was told to end")
        if self._process is None or self._process.poll() is not None:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 (no shell; the program is the user's own Blender)
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                    encoding="utf-8", start_new_session=True,  # Ctrl-C is for us, who end it
                )  # fmt: skip
        return self._process

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _LAST_WORDS))
            return _last_line(log.read().decode("utf-8", "replace")) or "it said nothing"
