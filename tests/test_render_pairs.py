"""`deepupscale render-pairs` with a stand-in for Blender: what is written, kept, refused, and what accidents leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import OpenEXR as exr
import pytest
from commands import tree

from deepupscale.cli.app import invoke
from deepupscale.temporary import temporary_name
from render.scenes import KINDS, kind_of

FAKE = Path(__file__).with_name("fake_blender.py")
SMALL = ("--size", "96x64", "--samples", "4", "--seed", "1", "--processes", "2")
Said = tuple[int, str, str]
Render = Callable[..., Said]


@pytest.fixture
def blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executable that stands in for a Python with Blender's module."""
    program = tmp_path_factory.mktemp("bin") / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def render(
    blender: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Render:
    """`render-pairs` in an empty folder; ``accidents`` by scene index."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, accidents: dict[int, str] | None = None) -> Said:
        monkeypatch.setenv("FAKE_BLENDER", json.dumps(accidents or {}))
        capsys.readouterr()
        code = invoke(["render-pairs", *SMALL, "--blender", str(blender), *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def records(folder: str = "pairs") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "manifest.jsonl").read_text().splitlines()]


def planes(path: Path) -> dict[str, Any]:
    with exr.File(str(path), separate_channels=True) as file:
        return {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def test_pairs_are_rendered_measured_and_written_down(render: Render) -> None:
    code, out, _ = render("pairs", "--scenes", 3)
    assert code == 0
    assert out.splitlines()[-1] == "3 pairs: 3 accepted, 0 rejected (0.0 %)"
    found = records()
    assert [record["name"] for record in found] == ["scene00000.0012", "scene00001.0012", "scene00002.0012"]
    for record in found:
        assert record["status"] == "accepted"
        assert record["size"] == [96, 64]
        assert record["render"]["seeds"][0] != record["render"]["seeds"][1]
        assert record["scene"]["parameters"] == {"waves": 12}
        for which, scale in (("lr", 1), ("hr", 2)):
            written = planes(Path("pairs", record[which]))
            assert set(written) == {"R", "G", "B"}
            assert written["R"].dtype == np.float16
            assert written["R"].shape == (64 * scale, 96 * scale)
    assert sorted(path.name for path in Path("pairs").iterdir()) == [".lock", "hr", "lr", "manifest.jsonl"]


def test_the_manifest_is_the_same_whatever_the_number_of_processes(render: Render) -> None:
    assert render("a", "--scenes", 5)[0] == 0
    assert render("b", "--scenes", 5, "--processes", 1)[0] == 0
    assert tree(Path("a")) == tree(Path("b"))


def test_done_pairs_are_skipped_and_a_lost_file_is_rendered_again(render: Render) -> None:
    render("pairs", "--scenes", 2)
    before = tree(Path("pairs"))
    Path("pairs/hr/scene00001.0012.exr").unlink()
    code, out, _ = render("pairs", "--scenes", 3)
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()[:-1]] == ["skipped", "accepted", "accepted"]
    after = tree(Path("pairs"))
    assert {name: after[name] for name in before if name != "manifest.jsonl"} == {
        name: data for name, data in before.items() if name != "manifest.jsonl"
    }
    assert [record["name"][:10] for record in records()] == ["scene00000", "scene00001", "scene00002"]


def test_an_incoherent_pair_is_rejected_with_its_reason_and_counted(render: Render) -> None:
    code, out, _ = render("pairs", "--scenes", 4, accidents={2: "shift"})
    assert code == 0
    assert "4 pairs: 3 accepted, 1 rejected (25.0 %), 1 " in out
    (rejected,) = [record for record in records() if record["status"] == "rejected"]
    assert rejected["name"] == "scene00002.0012"
    assert re.match(r"shifted by (1\.[89]|2\.[01])\d LR pixels", rejected["reason"])  # 0.02 of 96 pixels
    assert rejected["reason"] in out


@pytest.mark.parametrize(
    ("aovs", "channels"),
    [
        ("alpha", {"A"}),
        ("depth,normal", {"Z", "N.X", "N.Y", "N.Z"}),
        ("albedo", {"albedo.R", "albedo.G", "albedo.B"}),
        ("motion", {"forward.u", "forward.v", "backward.u", "backward.v"}),
        ("cryptomatte", {f"CryptoObject00.{c}" for c in "rgba"}),
    ],
)
def test_aovs_are_written_where_they_are_asked_for(render: Render, aovs: str, channels: set[str]) -> None:
    assert render("pairs", "--scenes", 1, "--aovs", aovs)[0] == 0
    for which in ("lr", "hr"):
        assert set(planes(Path("pairs", which, "scene00000.0012.exr"))) == {"R", "G", "B"} | channels


def test_normals_are_turned_to_the_camera_and_motion_has_one_sense(render: Render) -> None:
    assert render("pairs", "--scenes", 1, "--aovs", "all", "--float")[0] == 0
    written = planes(Path("pairs/hr/scene00000.0012.exr"))
    assert written["R"].dtype == np.float32
    # The stand-in's camera looks along +y: a normal of -y faces it. Its Vector is (1, 2, 3, 4).
    assert [float(written[f"N.{axis}"][0, 0]) for axis in "XYZ"] == [0.0, 0.0, 1.0]
    motion = {name: float(written[name][0, 0]) for name in written if "ward" in name}
    assert motion == {"backward.u": 1.0, "backward.v": 2.0, "forward.u": -3.0, "forward.v": -4.0}


def test_a_worker_that_falls_over_once_is_started_again(render: Render) -> None:
    code, out, _ = render("pairs", "--scenes", 3, accidents={1: "crash once"})
    assert code == 0
    assert "3 accepted" in out


@pytest.mark.parametrize(
    ("accident", "says"),
    [
        ("crash", "scene00001.0012 ({kind}): Blender ended, exit status 11: Segmentation fault in a shader"),
        ("error", "scene00001.0012 ({kind}): ValueError: the scene cannot be built"),
    ],
)
def test_a_pair_that_fails_is_told_of_and_tried_again_next_time(render: Render, accident: str, says: str) -> None:
    code, out, _ = render("pairs", "--scenes", 3, accidents={1: accident})
    assert code == 1
    assert f"failed {says.format(kind=kind_of(1, 1))}" in out
    assert out.splitlines()[-1].endswith("1 failed: scene00001.0012")
    assert [record["name"][:10] for record in records()] == ["scene00000", "scene00002"]
    assert render("pairs", "--scenes", 3)[0] == 0
    assert len(records()) == 3


def test_a_picture_that_cannot_be_read_back_stops_the_run(render: Render) -> None:
    code, _, err = render("pairs", "--scenes", 3, "--processes", 1, accidents={1: "empty"})
    assert code == 1
    assert err.count("\n") == 1
    assert "is the disk full?" in err
    assert [record["name"] for record in records()] == ["scene00000.0012"]


def test_a_full_disk_stops_the_run_before_a_pair_is_begun(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    render("pairs", "--scenes", 1)
    before = tree(Path("pairs"))
    monkeypatch.setattr("render.pairs.shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    code, _, err = render("pairs", "--scenes", 2)
    assert code == 1
    assert err == "deepupscale: error: pairs: 1 MiB free, a pair needs 3 MiB: free some and run it again\n"
    assert tree(Path("pairs")) == before


def limited(files: int) -> Callable[[], None]:
    """For a child process: no file may grow beyond so many bytes, unless a grandchild lifts the limit for itself."""
    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (files, resource.RLIM_INFINITY))

    return limit


def test_on_a_disk_that_fills_up_nothing_half_written_is_left(script: list[str], blender: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*script, "render-pairs", "pairs", "--scenes", "2", *SMALL, "--float", "--blender", str(blender)],
        cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limited(60_000), timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "is the disk full?" in done.stdout + done.stderr
    left = [path for path in tree(tmp_path / "pairs") if path.endswith(".exr") and path.startswith("hr")]
    assert left == []
    assert not list(tmp_path.rglob(".*writing*"))


def start(script: list[str], blender: Path, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*script, "render-pairs", "pairs", "--scenes", "4", *SMALL, "--blender", str(blender)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def wait_for_a_pair(folder: Path) -> None:
    deadline = time.monotonic() + 60.0
    manifest = folder / "pairs" / "manifest.jsonl"
    while not (manifest.exists() and manifest.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_where_it_was(
    script: list[str], blender: Path, render: Render, tmp_path: Path, how: signal.Signals
) -> None:
    render("whole", "--scenes", 4)
    process = start(script, blender, tmp_path, FAKE_BLENDER_SECONDS="0.5")
    wait_for_a_pair(tmp_path)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert err == "deepupscale: error: stopped; what is finished is kept, run it again to go on\n"
        assert not Path("pairs/.work").exists()
    done = len(records())
    assert 1 <= done < 4
    code, out, _ = render("pairs", "--scenes", 4)
    assert code == 0
    assert out.count("skipped") == done
    assert tree(Path("pairs")) == tree(Path("whole"))


def test_what_a_killed_run_left_half_done_is_swept(render: Render) -> None:
    render("pairs", "--scenes", 1)
    before = tree(Path("pairs"))
    gone = subprocess.Popen([sys.executable, "-c", ""])  # its number is free again
    gone.wait()
    name = temporary_name(Path("pairs/hr/scene00009.0012.exr"))
    name.with_name(name.name.replace(str(os.getpid()), str(gone.pid))).write_bytes(b"half")
    Path("pairs/.manifest.jsonl.123").write_text("half")
    Path("pairs/.work/old").mkdir(parents=True)
    assert render("pairs", "--scenes", 1)[0] == 0
    assert tree(Path("pairs")) == before
    assert not Path("pairs/.work").exists()


def test_a_line_of_the_manifest_that_was_cut_off_is_rendered_again(render: Render) -> None:
    render("pairs", "--scenes", 2)
    whole = tree(Path("pairs"))
    manifest = Path("pairs/manifest.jsonl")
    manifest.write_bytes(manifest.read_bytes()[:-40])
    code, out, _ = render("pairs", "--scenes", 2)
    assert code == 0
    assert out.count("skipped") == 1
    assert tree(Path("pairs")) == whole


def test_two_runs_do_not_work_in_one_folder(script: list[str], blender: Path, render: Render, tmp_path: Path) -> None:
    process = start(script, blender, tmp_path, FAKE_BLENDER=json.dumps(dict.fromkeys("123", "hang")))
    wait_for_a_pair(tmp_path)
    code, _, err = render("pairs", "--scenes", 4)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert code == 2
    assert err == "deepupscale: error: pairs: another render-pairs is at work in it: wait, or use another folder\n"
    assert render("pairs", "--scenes", 4)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pairs", "--size", "96"), "--size 96: write it as 640x360"),
        (("pairs", "--size", "8x8"), "--size 8x8: sides must be from 16 to 16384"),
        (("pairs", "--aovs", "depth,shadow"), "--aovs shadow: no such AOV: use depth"),
        (("pairs", "--device", "abacus"), "--device abacus: use cpu, cuda"),
        (("pairs", "--kinds", "city,dragons"), "--kinds dragons: no such kind: use "),
        (("pairs", "--camera", "Main"), "--camera Main: goes with --blend"),
        (("pairs", "--frames", "one"), "one"),
        (("pairs", "--scenes", "0"), "--scenes"),
        (("pairs", "--progress", "loud"), "unknown progress style 'loud'"),
        (("pairs", "--blend", "missing.blend"), "--blend missing.blend: there is no such file"),
        (("pairs", "--blend", "cameraless.blend"), "has no active camera: add one"),
        (("a_file",), "a_file: is a file: name a folder"),
        (("a_file/pairs",), "cannot be made: Not a directory"),
        (("lr_is_a_file",), "lr_is_a_file/lr: is a file"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(render: Render, arguments: tuple[str, ...], says: str) -> None:
    Path("a_file").write_text("kept")
    Path("lr_is_a_file").mkdir()
    Path("lr_is_a_file/lr").write_text("kept")
    Path("cameraless.blend").write_bytes(b"BLENDER")
    before = tree(Path())
    code, _, err = render(*arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert says in err
    assert tree(Path()) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--samples", "5"), "another samples (scene00000.0012: 4, now 5)"),
        (("--seed", "2"), "another seed"),
        (("--aovs", "depth"), "another aovs"),
        (("--no-denoise",), "another denoise"),
        (("--float",), "another type"),
        (("--kinds", next(kind for kind in KINDS if kind != kind_of(1, 0))), "another kind"),
    ],
)
def test_pairs_of_other_settings_are_not_mixed(render: Render, change: tuple[str, ...], says: str) -> None:
    render("pairs", "--scenes", 1)
    before = tree(Path("pairs"))
    code, _, err = render("pairs", "--scenes", 1, *change)
    assert code == 2
    assert says in err
    assert "use the same settings or another folder" in err
    assert tree(Path("pairs")) == before


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2 is damaged"),
        ('{"name":"x","status":"fine","lr":"a","hr":"b","size":[1,1]}', "line 2 is damaged: status"),
        ('{"name":"x","status":"accepted","lr":"../a","hr":"b","size":[1,1]}', "leaves the folder"),
        ('{"name":"x","status":"accepted","lr":"/etc/passwd","hr":"b","size":[1,1]}', "leaves the folder"),
        ('{"name":"../x","status":"accepted","lr":"a","hr":"b","size":[1,1]}', "line 2 is damaged: name"),
        ('{"name":"x","status":"accepted","lr":"a","hr":"b","size":[1,99999999]}', "line 2 is damaged: size"),
    ],
)
def test_a_damaged_manifest_is_refused_and_left_alone(render: Render, line: str, says: str) -> None:
    render("pairs", "--scenes", 1)
    with Path("pairs/manifest.jsonl").open("a") as file:
        file.write(line + "\n")
    before = tree(Path("pairs"))
    code, _, err = render("pairs", "--scenes", 1)
    assert code == 2
    assert err.count("\n") == 1
    assert "manifest.jsonl: line 2" in err
    assert says in err
    assert tree(Path("pairs")) == before


def test_kinds_come_in_rounds_that_hold_each() -> None:
    round_ = sum(KINDS.values())
    for number in range(3):
        drawn = [kind_of(7, index) for index in range(number * round_, (number + 1) * round_)]
        assert {kind: drawn.count(kind) for kind in KINDS} == KINDS
    assert [kind_of(7, i) for i in range(40)] != [kind_of(8, i) for i in range(40)]
