"""The command, twice over: in this process and as the installed script."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plates import headers, picture, pixels, write_plate, write_sequence

import deepupscale
from deepupscale.cli.app import invoke
from deepupscale.model_file import default_model_path

RunScript = Callable[..., subprocess.CompletedProcess[str]]
Said = tuple[int, str, str]
Command = Callable[..., Said]
HEAVY = ("numpy", "OpenImageIO", "OpenEXR", "openvino", "onnxruntime", "pydantic", "torch", "fileseq")
NAMES = [
    "plate with spaces.exr",
    "\u6771\u4eac-\u00e9t\u00e9.exr",
    "$(touch pwned).exr",
    "a;b&c|d.exr",
    "quote'\"`.exr",
    "-dash.exr",
    "per%cent%s.exr",
    "[brackets]*?.exr",
    "{braces}.exr",
    "back\\slash.exr",
    "new\nline.exr",
    "\U0001f3ac.exr",
]


@pytest.fixture(params=["in process", "script"])
def command(
    request: pytest.FixtureRequest, run_script: RunScript, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:  # fmt: skip
    """The command in both ways, in an empty folder: arguments to exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def script(*arguments: object) -> Said:
        done = run_script(*arguments)
        return done.returncode, done.stdout, done.stderr

    def here(*arguments: object) -> Said:
        capsys.readouterr()
        code = invoke([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return script if request.param == "script" else here


@pytest.fixture
def run(command: Command, tiny_model: Path) -> Command:
    """``deepupscale run`` with the tiny model on the CPU."""
    fixed = ("--model", tiny_model, "--device", "cpu", "--precision", "f32", "--threads", 1)
    return lambda *arguments: command("run", *fixed, *arguments)


def made(pattern: str) -> list[str]:
    return sorted(str(file) for file in Path().glob(pattern))


def test_one_plate_becomes_one_of_twice_the_size(run: Command) -> None:
    write_plate(Path("plate.exr"))
    code, out, err = run("plate.exr", "big.exr")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"\[1/1\] done big\.exr 48x32 in \d+\.\d s\n", out)
    assert pixels(Path("big.exr"))[0]["R"].shape == (32, 48)


@pytest.mark.parametrize(
    ("source", "result", "first"),
    [
        ("shot.####.exr", "big.####.exr", "big.1001.exr"),
        ("shot.%04d.exr", "big.%04d.exr", "big.1001.exr"),
        ("shot.####.exr", "big.######.exr", "big.001001.exr"),
        ("shot.####.exr", "out/", "out/shot.1001.exr"),
        ("shot.%04d.exr", "there", "there/shot.1001.exr"),
        ("shot.####.exr", "new/folders/big.####.exr", "new/folders/big.1001.exr"),
    ],
)
def test_a_sequence_is_done_frame_by_frame(source: str, result: str, first: str, run: Command) -> None:
    Path("there").mkdir()
    write_sequence(Path(), range(1001, 1004))
    write_plate(Path("shot.1.exr"))
    code, out, _ = run(source, result)
    assert code == 0
    assert [line[:11] for line in out.splitlines()] == [f"[{i}/3] done " for i in (1, 2, 3)]
    assert first in out
    assert len(made(f"{Path(first).parent}/*.exr")) == 3 + (4 if "/" not in first else 0)
    assert pixels(Path(first))[0]["R"].shape == (32, 48)


@pytest.mark.parametrize(
    ("frames", "numbers"),
    [("1001-1003x2", [1001, 1003]), ("1002", [1002]), ("1001,1003-1005", [1001, 1003, 1004, 1005]), ("1-2", [1, 2])],
)
def test_a_range_picks_the_frames(frames: str, numbers: list[int], run: Command) -> None:
    write_sequence(Path(), [1, 2, *range(1001, 1006)])
    assert run("shot.####.exr", "big.####.exr", "--frames", frames)[0] == 0
    assert made("big.*") == [f"big.{n:04d}.exr" for n in numbers]


def test_negative_frames_are_frames(run: Command) -> None:
    write_plate(Path("shot.-001.exr"))
    write_plate(Path("shot.0000.exr"))
    code, out, err = run("shot.####.exr", "big.####.exr", "--frames", "-1-0")
    assert code == 0, out + err
    assert made("big.*") == ["big.-001.exr", "big.0000.exr"]


def test_a_single_plate_goes_into_a_folder_under_its_name(run: Command) -> None:
    write_plate(Path("plate.exr"))
    assert run("plate.exr", "out/")[0] == 0
    assert made("out/*") == ["out/plate.exr"]


def test_a_second_run_skips_and_overwrite_does_not(run: Command) -> None:
    write_sequence(Path(), [1, 2])
    assert run("shot.####.exr", "out/")[0] == 0
    code, out, _ = run("shot.####.exr", "out/")
    assert code == 0
    assert (
        out
        == "[1/2] skipped out/shot.0001.exr 48x32, done before\n[2/2] skipped out/shot.0002.exr 48x32, done before\n"
    )
    assert run("shot.####.exr", "out/", "--overwrite")[1].count(" done ") == 2


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


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_works(name: str, run: Command) -> None:
    Path("in").mkdir()
    write_plate(Path("in") / name)
    code, out, err = run("--", f"in/{name}", f"out/{name}")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert [file.name for file in Path("out").iterdir()] == [name]
    assert pixels(Path("out") / name)[0]["R"].shape == (32, 48)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("in it, \u00e9", "$(x) \u6771 .v002"),
        ("brackets [1-2]", "shot"),
        ("brackets", "shot[1-2]"),
        ("braces {a,b}", "shot*{a,b}?"),
        ("sign@home", "shot"),
        ("range", "010-020"),
        ("range", "shot1-2x3"),
        ("1-2.0003.exr", "shot.0001"),
    ],
)
def test_any_sequence_name_works(folder: str, name: str, run: Command) -> None:
    write_sequence(Path(folder), [1, 2], name=name)
    code, out, err = run(f"{folder}/{name}.####.exr", "out/")
    assert (code, err) == (0, ""), out
    assert made("out/*") == [f"out/{name}.0001.exr", f"out/{name}.0002.exr"]


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


def test_info_shows_the_promise(command: Command, tiny_model: Path) -> None:
    code, out, err = command("info", tiny_model)
    assert (code, err) == (0, "")
    assert "tiny 1" in out
    assert "halo" in out
    assert "plate: colour R, G, B, transfer log" in out


def test_info_as_json_is_the_promise_as_stored(
    command: Command, tiny_model: Path, promise_json: Callable[..., str]
) -> None:
    code, out, _ = command("info", tiny_model, "--json")
    assert code == 0
    assert json.loads(out) == json.loads(promise_json())


def test_doctor_says_what_auto_picks_and_why(command: Command, tiny_model: Path) -> None:
    code, out, err = command("doctor", "--model", tiny_model)
    assert (code, err) == (0, "")
    assert re.search(
        r"^auto picks +(openvino on cpu in (f32|bf16)|onnxruntime on cuda:0 in f32): \w+", out, re.MULTILINE
    )
    assert re.search(r"^model +tiny 1 \(", out, re.MULTILINE)


def test_doctor_as_json_has_every_finding(command: Command, tiny_model: Path) -> None:
    code, out, _ = command("doctor", "--model", tiny_model, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["deepupscale"] == deepupscale.__version__
    assert found["cores"] >= 1
    assert "f32" in found["cpu_precisions"]
    assert found["packages"]["openvino"][0].isdigit()
    assert found["reason"]


def test_version_is_the_packages(command: Command) -> None:
    assert command("--version") == (0, f"deepupscale {deepupscale.__version__}\n", "")


@pytest.mark.parametrize("verb", ["run", "info", "doctor"])
def test_help_shows_every_option(verb: str, command: Command) -> None:
    code, out, err = command(verb, "--help")
    assert (code, err) == (0, "")
    options = {
        "run": ["--frames", "--layer", "--json", "--progress", "--overwrite"],
        "info": ["--json"],
        "doctor": ["--model"],
    }
    assert all(option in out for option in options[verb])


def test_verbose_tells_the_choice_and_its_reason(run_script: RunScript, tiny_model: Path, tmp_path: Path) -> None:
    write_plate(tmp_path / "plate.exr")
    done = run_script(
        "--verbose", "run", tmp_path / "plate.exr", tmp_path / "big.exr", "--model", tiny_model, "--device", "cpu"
    )
    assert done.returncode == 0
    assert re.search(r"deepupscale.session: openvino on cpu in \w+: \w+", done.stderr)


@pytest.mark.parametrize(
    "code",
    [
        "import deepupscale",
        "from deepupscale.cli.app import invoke; invoke(['--help'])",
        "from deepupscale.cli.app import invoke; invoke(['--version'])",
        "from deepupscale.cli.app import invoke; invoke(['run', '--help'])",  # typer imports pydantic itself here
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    own = {"pydantic"} if "'run'" in code else set[str]()
    script = f"import sys\n{code}\nsys.stderr.write(' '.join(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "deepupscale" in done.stderr.split()
    assert not (set(HEAVY) - own) & set(done.stderr.split())


def test_the_engine_imports_no_torch(tmp_path: Path, tiny_model: Path) -> None:
    write_plate(tmp_path / "plate.exr")
    given = [
        "run",
        str(tmp_path / "plate.exr"),
        str(tmp_path / "big.exr"),
        "--model",
        str(tiny_model),
        "--device",
        "cpu",
    ]
    script = (
        f"import sys; from deepupscale.cli.app import invoke; assert not invoke({given}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_the_module_runs_as_the_script_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deepupscale", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"deepupscale {deepupscale.__version__}\n"


@pytest.mark.skipif(not default_model_path().is_file(), reason="there is no default model in this checkout")
def test_the_default_model_serves_a_run_without_options(command: Command) -> None:
    write_plate(Path("plate.exr"), picture(32, 24, "RGBA"))
    code, out, err = command("run", "plate.exr", "big.exr")
    assert (code, err) == (0, ""), out
    assert headers(Path("big.exr"))[0]["dataWindow"][1].tolist() == [63, 47]
    assert command("info")[0] == 0
    assert command("doctor")[0] == 0
