"""Kills, full disks and changed minds: a final name is whole or absent, and a rerun does only what is to be done."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plates import ids, picture, pixels, write_plate, write_sequence

from deepupscale import Engine, load_model, open_session
from deepupscale.cli.app import invoke
from deepupscale.temporary import sweep_stale, temporary_name

RunScript = Callable[..., subprocess.CompletedProcess[str]]
FRAMES = range(1001, 1007)
KILLS = 12


def arguments(folder: Path, model: Path, *more: object) -> list[str]:
    given = (
        "run", folder / "in" / "shot.####.exr", folder / "out" / "shot.####.exr", "--model", model, "--device", "cpu",
        "--precision", "f32", "--threads", 1, "--progress", "lines", *more,
    )  # fmt: skip
    return [str(argument) for argument in given]


def statuses(text: str) -> list[str]:
    """``done``, ``skipped`` or ``failed`` of every progress line."""
    return [line.partition("] ")[2].partition(" ")[0] for line in text.splitlines() if line.startswith("[")]


def results(folder: Path) -> dict[str, bytes]:
    """Every file in the folder with its bytes, hidden ones too."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())} if folder.exists() else {}


def run_here(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: int = 0) -> list[str]:
    """Run in this process and return the frames' statuses."""
    capsys.readouterr()
    assert invoke(arguments) == expected
    return statuses(capsys.readouterr().out)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_no_corrupt_final_name(
    script: list[str], run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    write_sequence(tmp_path / "in", FRAMES, width=400, height=300)
    out, hidden, chance = tmp_path / "out", 0, random.Random(7)
    reference = tmp_path / "whole"
    shutil.copytree(tmp_path / "in", reference / "in")
    assert run_script(*arguments(reference, tiny_model)).returncode == 0
    kills = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*script, *arguments(tmp_path, tiny_model, "--overwrite")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # the first frame is done: the others are being written from here on
        time.sleep(chance.uniform(0.0, 0.25))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        for final in out.glob("shot.*.exr"):
            assert pixels(final)[0]["R"].shape == (600, 800), f"{final} is not whole"
            assert final.read_bytes() == (reference / "out" / final.name).read_bytes()
        hidden += len(list(out.glob(".*")))
    assert kills > KILLS // 2, "the runs ended before they were killed"
    assert hidden > 0, "no kill came in the middle of a write"
    last = run_script(*arguments(tmp_path, tiny_model))
    assert last.returncode == 0
    assert set(statuses(last.stdout)) <= {"done", "skipped"}
    assert "skipped" in statuses(last.stdout)
    assert results(out) == results(reference / "out")


def test_stale_temporary_files_are_swept_and_living_ones_are_not(tmp_path: Path) -> None:
    mine = temporary_name(tmp_path / "shot.0001.exr")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stale = mine.with_name(mine.name.replace(f"-{os.getpid()}.exr", f"-{ended.pid}.exr"))
    foreign = tmp_path / ".shot.0002.writing-otherhost-1.exr"
    forgotten = tmp_path / ".shot.0003.writing-otherhost-1.exr"
    others = [tmp_path / "shot.0001.exr", tmp_path / ".hidden.exr", tmp_path / ".shot.writing-x.exr"]
    for file in (mine, stale, foreign, forgotten, *others):
        file.write_bytes(b"x")
    os.utime(forgotten, (time.time() - 90_000, time.time() - 90_000))
    assert sweep_stale(tmp_path) == 2
    assert not stale.exists()
    assert not forgotten.exists()
    assert all(file.exists() for file in (mine, foreign, *others))


def test_a_rerun_skips_what_is_done_and_does_the_rest(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sequence(tmp_path / "in", FRAMES)
    again = arguments(tmp_path, tiny_model)
    assert run_here(capsys, again) == ["done"] * len(FRAMES)
    made = results(tmp_path / "out")
    assert run_here(capsys, again) == ["skipped"] * len(FRAMES)
    (tmp_path / "out" / "shot.1003.exr").unlink()
    assert run_here(capsys, again) == ["skipped", "skipped", "done", "skipped", "skipped", "skipped"]
    assert results(tmp_path / "out") == made


@pytest.mark.parametrize("uint", [False, True], ids=["stream", "uint"])
def test_the_same_plates_give_the_same_bytes_anywhere_at_any_time(
    uint: bool, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second elsewhere"
    (first / "in").mkdir(parents=True)
    planes = {**picture(names="RGBA"), **({"id": ids(24, 16)} if uint else {})}
    write_plate(first / "in" / "shot.0001.exr", planes)
    shutil.copytree(first / "in", second / "in")
    os.utime(second / "in" / "shot.0001.exr", (1e9, 1e9))
    assert run_here(capsys, arguments(first, tiny_model)) == ["done"]
    made = results(first / "out")
    time.sleep(1.1)  # a time stamp of whole seconds would show
    assert run_here(capsys, arguments(second, tiny_model)) == ["done"]
    assert run_here(capsys, arguments(first, tiny_model, "--overwrite")) == ["done"]
    assert results(second / "out") == made
    assert results(first / "out") == made


@pytest.mark.parametrize(
    "more",
    [
        ("--scale", "4"),
        ("--layer", "R=filter"),
        ("--compression", "zips"),
        ("--layer", "B=drop"),
        ("--precision", "auto"),
    ],
    ids=" ".join,
)
def test_a_changed_setting_redoes_the_frame(
    more: tuple[str, ...], tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sequence(tmp_path / "in", [1])
    assert run_here(capsys, arguments(tmp_path, tiny_model)) == ["done"]
    assert run_here(capsys, arguments(tmp_path, tiny_model, *more)) == ["done"]
    assert run_here(capsys, arguments(tmp_path, tiny_model, *more)) == ["skipped"]
    assert run_here(capsys, arguments(tmp_path, tiny_model)) == ["done"]


def test_a_changed_plate_or_model_redoes_the_frame(
    tiny_model: Path, make_model: Callable[..., Path], promise_json: Callable[..., str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_sequence(tmp_path / "in", [1, 2])
    other = make_model(tmp_path / "other.onnx", promise_json(), seed=1)
    assert run_here(capsys, arguments(tmp_path, tiny_model)) == ["done", "done"]
    write_plate(tmp_path / "in" / "shot.0002.exr", picture(seed=99))
    assert run_here(capsys, arguments(tmp_path, tiny_model)) == ["skipped", "done"]
    before = results(tmp_path / "out")
    assert run_here(capsys, arguments(tmp_path, other)) == ["done", "done"]
    assert results(tmp_path / "out") != before
    assert run_here(capsys, arguments(tmp_path, other)) == ["skipped", "skipped"]


@pytest.mark.parametrize("hurt", ["cut", "empty", "head", "flipped", "text", "foreign", "folder"])
def test_a_hurt_result_is_redone(
    hurt: str, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sequence(tmp_path / "in", [1])
    result = tmp_path / "out" / "shot.0001.exr"
    assert run_here(capsys, arguments(tmp_path, tiny_model)) == ["done"]
    whole = result.read_bytes()
    if hurt == "foreign":
        write_plate(result, picture(48, 32))
    elif hurt == "folder":
        result.unlink()
        result.mkdir()
        assert run_here(capsys, arguments(tmp_path, tiny_model), expected=1) == ["failed"]
        assert list((tmp_path / "out").iterdir()) == [result]
        return
    else:
        result.write_bytes(
            {"cut": whole[:-9], "empty": b"", "head": whole[:99], "flipped": whole[:-99] + b"\xff" * 99, "text": b"no"}[
                hurt
            ]
        )
    assert run_here(capsys, arguments(tmp_path, tiny_model)) == ["done"]
    assert result.read_bytes() == whole


def starve(limit: int) -> Callable[[], None]:
    """For a child process: writes beyond ``limit`` bytes a file fail, as on a full disk, and no signal kills it."""

    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return apply


@pytest.mark.parametrize("limit", [0, 1000, 20_000, 100_000])
@pytest.mark.parametrize("uint", [False, True], ids=["stream", "uint"])
def test_when_the_disk_is_full_no_frame_is_left(
    limit: int, uint: bool, run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    noisy_plate(tmp_path / "in" / "shot.0001.exr", uint)
    done = run_script(*arguments(tmp_path, tiny_model), preexec_fn=starve(limit))
    assert done.returncode == 1, done.stderr
    assert statuses(done.stdout) == ["failed"]
    assert len(done.stdout.splitlines()) == 1
    assert "shot.0001.exr" in done.stdout
    assert "Traceback" not in done.stderr
    assert results(tmp_path / "out") == {}


@pytest.mark.parametrize("uint", [False, True], ids=["stream", "uint"])
@pytest.mark.parametrize("missing", [1, 100])
def test_a_disk_that_is_full_at_the_very_end_is_noticed(
    missing: int, uint: bool, run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    noisy_plate(tmp_path / "in" / "shot.0001.exr", uint)
    assert run_script(*arguments(tmp_path, tiny_model)).returncode == 0
    before = results(tmp_path / "out")
    limit = len(before["shot.0001.exr"]) - missing
    done = run_script(*arguments(tmp_path, tiny_model, "--overwrite"), preexec_fn=starve(limit))
    assert statuses(done.stdout) == ["failed"], done.stdout
    assert results(tmp_path / "out") == before


def test_an_earlier_result_outlives_a_write_that_fails(run_script: RunScript, tiny_model: Path, tmp_path: Path) -> None:
    noisy_plate(tmp_path / "in" / "shot.0001.exr", uint=False)
    assert run_script(*arguments(tmp_path, tiny_model)).returncode == 0
    before = results(tmp_path / "out")
    done = run_script(*arguments(tmp_path, tiny_model, "--overwrite"), preexec_fn=starve(20_000))
    assert statuses(done.stdout) == ["failed"]
    assert results(tmp_path / "out") == before


def noisy_plate(path: Path, uint: bool) -> None:
    """A plate whose result is well over 100 kB."""
    path.parent.mkdir(parents=True)
    write_plate(path, {**picture(160, 120, "RGBA"), **({"id": ids(160, 120)} if uint else {})})


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many bytes, where that can be had."""
    folder = tmp_path / "disk"

    def mount(size: int) -> Path:
        folder.mkdir()
        able = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None
        arguments = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if not able or subprocess.run(arguments, capture_output=True, check=False).returncode:
            pytest.skip("no small file system can be mounted here")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("uint", [False, True], ids=["stream", "uint"])
def test_on_a_disk_that_fills_up_the_frames_that_fit_are_whole(
    uint: bool, mount_disk: Callable[[int], Path], run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    noisy_plate(tmp_path / "in" / "shot.0001.exr", uint)
    shutil.copyfile(tmp_path / "in" / "shot.0001.exr", tmp_path / "in" / "shot.0002.exr")
    write_plate(tmp_path / "in" / "shot.0003.exr")
    assert run_script(*arguments(tmp_path, tiny_model)).returncode == 0
    plenty = results(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    disk = mount_disk(len(plenty["shot.0001.exr"]) * 3 // 2)
    (tmp_path / "out").symlink_to(disk)
    done = run_script(*arguments(tmp_path, tiny_model))
    assert done.returncode == 1, done.stdout + done.stderr
    assert statuses(done.stdout) == ["done", "failed", "done"], done.stdout
    del plenty["shot.0002.exr"]
    assert results(disk) == plenty


def test_a_stop_in_the_middle_of_a_frame_leaves_nothing_of_it(tiny_model: Path, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", picture(64, 64))

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        engine.upscale(source, tmp_path / "out" / "plate.exr", stop)
        pytest.fail("progress was not told of the first strip")
    assert results(tmp_path / "out") == {}


def test_ctrl_c_ends_with_one_line_and_keeps_finished_frames(
    script: list[str], tiny_model: Path, tmp_path: Path
) -> None:
    write_sequence(tmp_path / "in", range(1, 30), width=400, height=300)
    process = subprocess.Popen(
        [*script, *arguments(tmp_path, tiny_model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(said.splitlines()) == 1, said
    assert "stopped" in said
    finals = list((tmp_path / "out").iterdir())
    assert finals
    assert not [file for file in finals if file.name.startswith(".")]
    for final in finals:
        pixels(final)


def test_an_engine_in_another_precision_counts_as_another_setting(
    make_engine: Callable[..., Engine], tiny_model: Path, tmp_path: Path
) -> None:
    source, result = write_plate(tmp_path / "plate.exr"), tmp_path / "result.exr"
    assert make_engine(precision="f32").upscale(source, result).status == "done"
    assert make_engine(precision="f32").upscale(source, result).status == "skipped"
    model = load_model(tiny_model)
    auto = make_engine(precision="auto")
    assert auto.choice == open_session(model, "cpu", "f32").choice
    assert auto.upscale(source, result).status == "done"
