"""Small shots with a DeepUpscale in them, and a worker that all tests share: what the node's tests stand on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plates import picture, write_plate

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "nuke_plugin"
sys.path.insert(0, str(PLUGIN))  # what knows no Nuke is imported once, for all sessions

from deepupscale_nuke.environment import clean, worker_command  # noqa: E402
from deepupscale_nuke.worker import Worker  # noqa: E402

import nuke_standin  # noqa: E402
from nuke_standin import Session  # noqa: E402

PATIENCE = 120  # seconds for a job in the GUI; one that passes takes one or two

GRADE = "Grade {{\n multiply {multiply}\n black_clamp false\n name Grade1\n}}\n"
NODE = """DeepUpscale {{
 useGPUIfAvailable false
 precision f32
 keep_plates true
 cache {cache}
 model_name {model}
 uuid {uuid}
 name {name}
}}
"""
SCRIPT = """version 15.1 v3
Root {{
 format "24 16 0 0 24 16 1 small"
 first_frame {first}
 last_frame {last}
}}
Read {{
 inputs 0
 file {plates}
 first {first}
 last {last}
 raw true
 name Read1
}}
{nodes}Write {{
 file {out}
 file_type exr
 channels all
 raw true
 datatype "32 bit float"
 create_directories true
 name Write1
}}
"""


def quoted(text: Any) -> str:
    """A path in a script's file knob: nothing in it is evaluated, and Tcl reads it back."""
    return '"' + "".join("\\" + c if c in '\\"[]{}$' else c for c in str(text)) + '"'


class Shot:
    """Plates, a script with Read, Grade, DeepUpscale and Write, and where things go."""

    def __init__(self, folder: Path, model: Path, first: int = 1001, last: int = 1003, nodes: int = 1) -> None:
        self.folder, self.model, self.first, self.last = folder, model, first, last
        self.frames = list(range(first, last + 1))
        folder.mkdir(parents=True, exist_ok=True)
        for frame in self.frames:
            write_plate(folder / f"in.{frame:04d}.exr", picture(24, 16, "RGBA", seed=frame + 5000))
        self.script = folder / "shot.nk"
        self.out = folder / "out"
        self.write_script(1.5, nodes)

    def write_script(self, multiply: float, nodes: int = 1) -> None:
        """The script."""
        fill: dict[str, Any] = {"cache": quoted(self.folder / "cache"), "model": quoted(self.model)}
        chain = "".join(NODE.format(name=f"DeepUpscale{n + 1}", uuid=f"shot{n}", **fill) for n in range(nodes))
        read = quoted(str(self.folder / "in.%04d.exr").replace("[", "\\[").replace("]", "\\]"))
        out = quoted(str(self.out / "out.%V.%04d.exr").replace("[", "\\[").replace("]", "\\]"))
        text = SCRIPT.format(
            first=self.first, last=self.last, plates=read, out=out, nodes=GRADE.format(multiply=multiply) + chain
        )
        self.script.write_text(text, encoding="utf-8")

    def kept(self, node: int = 0) -> Path:
        """The folder of a node's cached frames."""
        (found,) = (self.folder / "cache" / f"shot{node}").iterdir()
        return found

    def results(self, node: int = 0) -> dict[str, bytes]:
        """The cached frames by name."""
        return {p.name: p.read_bytes() for p in sorted(self.kept(node).glob("up.*.exr"))}

    def times(self, node: int = 0) -> dict[str, int]:
        """When each was written."""
        return {p.name: p.stat().st_mtime_ns for p in sorted(self.kept(node).glob("up.*.exr"))}

    def by_run(self, node: int = 0) -> dict[str, bytes]:
        """What ``deepupscale run`` makes of the plates that the node pulled."""
        to = self.folder / f"run{node}"
        shutil.rmtree(to, ignore_errors=True)
        views = {p.name.split(".")[1] for p in self.kept(node).glob("pull.*.exr")}
        assert views
        options = ["--model", str(self.model), "--device", "cpu", "--precision", "f32", "--progress", "none"]
        for view in sorted(views):
            plates = [str(self.kept(node) / f"pull.{view}.####.exr"), str(to / f"up.{view}.####.exr")]
            command = [sys.executable, "-m", "deepupscale", "run", *plates, *options]
            subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
        return {p.name: p.read_bytes() for p in sorted(to.iterdir())}

    def arguments(self, *more: str) -> list[str]:
        """For the driver."""
        return [str(self.script), "--frames", f"{self.first}-{self.last}", *more]


@pytest.fixture(scope="session")
def service() -> Iterator[Worker]:
    """One real worker for all tests that do not end it."""
    cleaned = clean(os.environ)
    worker = Worker(worker_command(sys.executable, cleaned), cleaned, "tests")
    yield worker
    worker.close()


@pytest.fixture
def shot(tmp_path: Path, tiny_model: Path) -> Shot:
    """A shot of three frames."""
    return Shot(tmp_path / "shot", tiny_model)


@pytest.fixture
def session(service: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A GUI session with the plugin and the shared worker."""
    with nuke_standin.gui([PLUGIN]) as running:
        from deepupscale_nuke import host

        monkeypatch.setattr(host, "worker_for", lambda node: service)
        running.root["format"].setValue(running.nuke.Format(24, 16))
        yield running


@pytest.fixture
def nuke(session: Session) -> Any:
    """Its module."""
    return session.nuke


def press(session: Session, node: Any, button: str) -> Any:
    """Press a button that begins a job; returns the job."""
    from deepupscale_nuke import panel

    session.press(node[button])
    return panel.running.get(node["uuid"].value())


def finished(session: Session, job: Any) -> Any:
    """Pump until a job is over."""
    session.pump_until(job.over.is_set, PATIENCE)
    return job
