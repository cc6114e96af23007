"""The command, twice over: in this process and as the installed script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command, made
from plates import headers, picture, pixels, write_plate, write_sequence

import deepupscale
from deepupscale.model_file import default_model_path

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
