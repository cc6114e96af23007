"""What a run says: its lines, the bar, Open Job Description's messages and the JSON file."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from commands import Command, RunScript, made
from plates import picture, write_plate, write_sequence

import deepupscale


def test_openjd_messages_are_those_of_the_specification(run: Command) -> None:
    write_sequence(Path(), [1, 2])
    code, out, _ = run("shot.####.exr", "out/", "--frames", "1-3", "--progress", "openjd")
    assert code == 1
    lines = out.splitlines()
    assert all(re.match(r"openjd_(progress|status|fail): ", line) for line in lines)
    shares = [float(line.split(": ")[1]) for line in lines if line.startswith("openjd_progress")]
    assert shares == sorted(shares)
    assert shares[-1] == 100.0
    assert sum(line.startswith("openjd_status: done ") for line in lines) == 2
    assert sum(line.startswith("openjd_fail: failed shot.0003.exr") for line in lines) == 1


def test_progress_none_is_silent_and_auto_is_lines_without_a_terminal(run: Command) -> None:
    write_plate(Path("plate.exr"))
    assert run("plate.exr", "a.exr", "--progress", "none") == (0, "", "")
    assert run("plate.exr", "b.exr", "--progress", "auto")[1].startswith("[1/1] done b.exr")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo terminals here")
@pytest.mark.parametrize("style", ["bar", "auto"])
def test_the_bar_comes_to_its_end_on_a_terminal(
    style: str, script: list[str], tiny_model: Path, tmp_path: Path
) -> None:
    write_sequence(tmp_path, [1, 2])
    screen, terminal = os.openpty()
    process = subprocess.Popen(
        [*script, "run", "--model", str(tiny_model), "--device", "cpu", "--progress", style, "shot.####.exr", "out/"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(screen, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(screen)
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 0
    assert b"2/2" in shown
    assert b"100%" in shown
    assert b"out/shot.0002.exr" in shown


@pytest.mark.parametrize(
    "name", ["no\nsuch.exr", "x" * 250 + ".exr", "\x1b[31mred.exr", "a/" * 1500 + "x.exr", "\u202egpj.exr"]
)
def test_an_error_is_one_short_line_without_control_characters(name: str, run: Command) -> None:
    code, out, err = run("--", name, "big.exr")
    assert code == 1
    assert err == ""
    assert len(out.splitlines()) == 1
    assert len(out) <= 1012
    assert out.rstrip("\n").isprintable()


def test_a_closed_pipe_ends_the_command_quietly(script: list[str], tiny_model: Path, tmp_path: Path) -> None:
    write_sequence(tmp_path, range(1, 8))
    line = shlex.join([*script, "run", "--model", str(tiny_model), "--device", "cpu", "shot.####.exr", "out/"])
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -n 1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_verbose_tells_the_choice_and_its_reason(run_script: RunScript, tiny_model: Path, tmp_path: Path) -> None:
    write_plate(tmp_path / "plate.exr")
    done = run_script(
        "--verbose", "run", tmp_path / "plate.exr", tmp_path / "big.exr", "--model", tiny_model, "--device", "cpu"
    )
    assert done.returncode == 0
    assert re.search(r"deepupscale.session: openvino on cpu in \w+: \w+", done.stderr)


def test_json_says_what_was_done(run: Command, tiny_model: Path) -> None:
    write_sequence(Path(), [1, 3])
    code, out, err = run("shot.####.exr", "out/", "--frames", "1-3", "--json", "run.json", "--progress", "none")
    assert (code, out, err) == (1, "", "")
    document: dict[str, Any] = json.loads(Path("run.json").read_text(encoding="utf-8"))
    assert document["deepupscale"] == deepupscale.__version__
    assert document["model"].startswith("tiny 1 (")
    assert document["choice"] == {
        "runtime": "openvino",
        "device": "cpu",
        "precision": "f32",
        "reason": "precision as asked",
    }
    assert document["seconds"] > 0
    frames = document["frames"]
    assert [f["status"] for f in frames] == ["done", "failed", "done"]
    assert [f["result"] for f in frames] == [f"out/shot.{n:04d}.exr" for n in (1, 2, 3)]
    assert [f["source"] for f in frames] == [f"shot.{n:04d}.exr" for n in (1, 2, 3)]
    assert frames[0]["size"] == [48, 32]
    assert frames[0]["message"] == ""
    assert frames[1]["message"] == "shot.0002.exr: no such file"
    assert frames[1]["size"] is None
    assert not made(".*.tmp")


def test_counts_of_what_was_filled_and_clamped_are_told(run: Command) -> None:
    planes = picture()
    planes["R"][3, 4] = float("nan")
    planes["G"][5, 6:8] = float("inf")
    write_plate(Path("plate.exr"), planes)
    code, out, _ = run("plate.exr", "big.exr", "--json", "run.json")
    assert code == 0
    assert "3 NaN or Inf values in R, G" in out or "3 NaN or Inf values in G, R" in out
    assert json.loads(Path("run.json").read_text())["frames"][0]["nonfinite"] == {"R": 1, "G": 2}


def test_a_json_file_stands_when_a_setting_is_wrong(run: Command) -> None:
    write_plate(Path("plate.exr"))
    Path("run.json").write_text("before")
    assert run("plate.exr", "big.exr", "--json", "run.json", "--scale", 3)[0] == 2
    assert Path("run.json").read_text() == "before"
