"""Blender's processes: found or asked for in one line, installed whole or not at all, given up when they hang."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deepupscale.cli.app import invoke
from render.workers import Worker, WorkerDiedError


def test_a_blender_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_BLENDER_SECONDS", "60")
    command = [sys.executable, str(Path(__file__).with_name("fake_blender.py"))]
    with Worker(command, tmp_path / "log", timeout=0.5) as worker, pytest.raises(WorkerDiedError) as caught:
        worker.ask({"probe": "a.blend", "camera": None})
    assert "killed after 0 s" in str(caught.value) or "killed after 1 s" in str(caught.value)


def test_without_blender_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DEEPUPSCALE_BLENDER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("render.workers.own_blender", lambda: tmp_path / "none")
    monkeypatch.setattr("render.workers.find_spec", lambda _: None)
    assert invoke(["render-pairs", str(tmp_path / "pairs")]) == 2
    assert "run 'deepupscale install-blender' (360 MB), or name a Blender 4.5 with --blender" in capsys.readouterr().err
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize(
    ("python", "says"),
    [("/no/such/python", "/no/such/python does not run"), ("false", "false does not run: exit status 1")],
)
def test_blender_is_not_installed_with_what_is_no_python(
    python: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("render.workers.own_blender", lambda: tmp_path / "blender")
    assert invoke(["install-blender", "--python", python]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "blender").exists()


def test_an_installation_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Python that says it is 3.11, makes an environment, and whose pip fails."""
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nif [ "$1" = -c ]; then echo 3.11; exit; fi\n'
        'made="$4/bin/python"; mkdir -p "$4/bin"\n'
        'printf "#!/bin/sh\\necho no network >&2; exit 1\\n" > "$made"; chmod +x "$made"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr("render.workers.own_blender", lambda: tmp_path / "blender")
    assert invoke(["install-blender", "--python", str(python)]) == 2
    assert f"{tmp_path / 'blender'}: pip cannot install bpy==4.5.*: no network" in capsys.readouterr().err
    assert not (tmp_path / "blender").exists()


def test_a_worker_that_was_ended_starts_no_other_process(tmp_path: Path) -> None:
    worker = Worker([sys.executable, str(Path(__file__).with_name("fake_blender.py"))], tmp_path / "log", timeout=60.0)
    assert worker.ask({"probe": "a.blend", "camera": None})["camera"] == "Camera"
    worker.kill()
    with pytest.raises(WorkerDiedError, match="was told to end"):
        worker.ask({"probe": "a.blend", "camera": None})
