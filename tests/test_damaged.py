"""Damaged plates: every one fails in one line, none crashes or hangs, and the good frames around them are done."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plates import SHARED, exr, ids, picture, raw_headers, window, write_parts, write_plate

from deepupscale import Engine
from deepupscale.errors import FrameError
from deepupscale.plate import Limits, Plate

RunScript = Callable[..., subprocess.CompletedProcess[str]]
FRAME_SECONDS = 20.0
SLOW_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


def run_sequence(run: RunScript, folder: Path, model: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """Run all of ``folder/in`` through the command; no traceback, no crash, no frame slower than the limit."""
    report = folder / "report.json"
    done = run(
        "run", folder / "in" / "shot.####.exr", folder / "out" / "shot.####.exr", "--model", model, "--device", "cpu",
        "--precision", "f32", "--threads", 2, "--progress", "lines", "--json", report, *more, timeout=300.0,
    )  # fmt: skip
    assert done.returncode in (0, 1), f"{done.returncode} after {done.stdout[-500:]} {done.stderr[-2000:]}"
    assert "Traceback" not in done.stdout + done.stderr
    slow = [f["source"] for f in json.loads(report.read_text())["frames"] if f["seconds"] > FRAME_SECONDS]
    assert not slow, f"slower than {FRAME_SECONDS} s: {slow}"
    return done


def outcome(line: str) -> str:
    """``done``, ``skipped`` or ``failed`` of a progress line ``[3/90] failed ...``."""
    return line.partition("] ")[2].partition(" ")[0]


def assert_fails(engine: Engine, source: Path) -> None:
    """The frame fails with one line that names the file, and leaves nothing."""
    folder = source.parent / "results"
    with pytest.raises(FrameError) as failure:
        engine.upscale(source, folder / "result.exr")
    assert str(source) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert not list(folder.glob("*")) and not list(folder.glob(".*")) if folder.exists() else True


@pytest.mark.shared
def test_every_damaged_file_fails_in_one_line(
    shared_folder: Path, run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    damaged = sorted((shared_folder / "damaged").glob("*.exr"))
    assert damaged
    (tmp_path / "in").mkdir()
    for number, file in enumerate(damaged, 1):
        shutil.copyfile(file, tmp_path / "in" / f"shot.{number:04d}.exr")
    done = run_sequence(run_script, tmp_path, tiny_model)
    lines = done.stdout.splitlines()
    assert [outcome(line) for line in lines] == ["failed"] * len(damaged), unexpected(lines, damaged)
    for number, line in enumerate(lines, 1):
        assert f"shot.{number:04d}.exr: " in line
        assert len(line) < 1100
    assert done.returncode == 1
    assert not list((tmp_path / "out").glob("*")), "a damaged plate left something"


def unexpected(lines: list[str], damaged: list[Path]) -> str:
    """Which files came out otherwise than as failures."""
    pairs = [(damaged[i].name, line) for i, line in enumerate(lines) if outcome(line) != "failed"]
    return f"{len(lines)} lines for {len(damaged)} files; not failed: {pairs}"


@pytest.mark.shared
def test_good_frames_around_damaged_ones_are_done_as_ever(
    shared_folder: Path, run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    damaged = sorted((shared_folder / "damaged").glob("*.exr"))[::9]
    good = [1 + 2 * i for i in range(len(damaged))]
    for run in ("alone", "mixed"):
        (tmp_path / run / "in").mkdir(parents=True)
        for number in good:
            write_plate(tmp_path / run / "in" / f"shot.{number:04d}.exr", picture(seed=number))
    for i, file in enumerate(damaged):
        shutil.copyfile(file, tmp_path / "mixed" / "in" / f"shot.{2 + 2 * i:04d}.exr")
    assert run_sequence(run_script, tmp_path / "alone", tiny_model).returncode == 0
    mixed = run_sequence(run_script, tmp_path / "mixed", tiny_model)
    assert mixed.returncode == 1
    assert [outcome(line) for line in mixed.stdout.splitlines()] == ["done", "failed"] * len(damaged)
    made = {file.name: file.read_bytes() for file in (tmp_path / "mixed" / "out").iterdir()}
    assert made == {file.name: file.read_bytes() for file in (tmp_path / "alone" / "out").iterdir()}
    assert len(made) == len(good)


@pytest.fixture(scope="module", params=["lines", "tiles", "parts", "uint"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good plate of each kind of layout."""
    path = tmp_path_factory.mktemp("whole") / "plate.exr"
    planes = picture(40, 30, "RGBA")
    if request.param == "tiles":
        tiles = exr.TileDescription()
        tiles.xSize, tiles.ySize = 16, 16
        write_plate(path, planes, type=exr.tiledimage, tiles=tiles)
    elif request.param == "parts":
        depth, display = picture(20, 20, "Z", dtype=np.float32), {"displayWindow": window(0, 0, 40, 30)}
        write_parts(path, [({"name": "a", **display}, planes), ({"name": "b", **display}, depth)])
    elif request.param == "uint":
        write_plate(path, {**planes, "id": ids(40, 30)})
    else:
        write_plate(path, planes)
    return path


def test_a_plate_cut_short_anywhere_fails(whole: Path, engine: Engine, tmp_path: Path) -> None:
    source, data = tmp_path / "plate.exr", whole.read_bytes()
    for length in sorted({0, 1, 3, 4, 8, 9, len(data) - 1, *range(0, len(data), max(1, len(data) // 60))}):
        source.write_bytes(data[:length])
        assert_fails(engine, source)


@SLOW_MACHINE
@given(data=st.data())
def test_flipped_bytes_fail_or_pass_but_never_break(whole: Path, engine: Engine, data: st.DataObject) -> None:
    """A flipped byte may go unnoticed (a colour is a colour); then the result is whole. Anything else is our error."""
    broken = bytearray(whole.read_bytes())
    flips = data.draw(st.lists(st.tuples(st.integers(0, len(broken) - 1), st.integers(1, 255)), min_size=1, max_size=4))
    near_head = data.draw(st.booleans())
    for at, mask in flips:
        broken[at % 600 if near_head else at] ^= mask
    survive(bytes(broken), engine)


@pytest.mark.parametrize("mask", [0x80, 0x01], ids=hex)
def test_no_flipped_byte_of_a_header_breaks_the_run(mask: int, whole: Path, engine: Engine) -> None:
    data = whole.read_bytes()
    for at in range(4, data.index(b"scanlineimage" if b"scanlineimage" in data else b"tiledimage")):
        broken = bytearray(data)
        broken[at] ^= mask
        survive(bytes(broken), engine)


@pytest.mark.parametrize("name", [b"\xc3", b"R\xff"])
def test_a_channel_name_that_is_not_utf8_fails(name: bytes, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", {"Q" * len(name): picture()["R"]})
    source.write_bytes(source.read_bytes().replace(b"Q" * len(name) + b"\0", name + b"\0"))
    assert_fails(engine, source)


def survive(data: bytes, engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, result = Path(name) / "plate.exr", Path(name) / "out" / "result.exr"
        source.write_bytes(data)
        try:
            engine.upscale(source, result)
        except FrameError:
            assert not result.exists()
        else:
            with Plate(result, Limits(side=1 << 30)) as plate:  # the OpenEXR module does not read all text
                for part in plate.parts:
                    assert sum(len(next(iter(strip.values()))) for strip in plate.strips(part, 8)) > 0
        assert not list(Path(name).glob("out/.*")), "a temporary file is left"


@pytest.mark.parametrize("side", [60_000, 65_536, 65_537, 1 << 24, (1 << 31) - 1])
def test_a_claim_of_a_huge_picture_fails_at_once(
    side: int, run_script: RunScript, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = write_plate(tmp_path / "in" / "shot.0001.exr")
    claim(source, side)
    done = run_sequence(run_script, tmp_path, tiny_model)
    assert [outcome(line) for line in done.stdout.splitlines()] == ["failed"], done.stdout
    assert not list((tmp_path / "out").glob("*"))


def claim(path: Path, side: int) -> None:
    """Let the header say that the picture has this many pixels a side."""
    data = path.read_bytes()
    true = raw_headers(path)[0]["dataWindow"][1]
    assert data.count(true) == 2, "data and display window"
    path.write_bytes(data.replace(true, struct.pack("<4i", 0, 0, side - 1, side - 1)))


@pytest.mark.parametrize("corner", [-(1 << 31), (1 << 31) - 24, (1 << 30)])
def test_a_window_too_far_out_to_be_doubled_fails(corner: int, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr")
    true = raw_headers(source)[0]["dataWindow"][1]
    moved = struct.pack("<4i", corner, 0, corner + 23, 15)
    source.write_bytes(source.read_bytes().replace(true, moved))
    assert_fails(engine, source)


def test_an_inverted_window_fails(engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", dataWindow=window(0, 0, 24, 16))
    true = raw_headers(source)[0]["dataWindow"][1]
    source.write_bytes(source.read_bytes().replace(true, struct.pack("<4i", 10, 10, 5, 5)))
    assert_fails(engine, source)


@pytest.mark.parametrize("kind", ["empty", "folder", "missing", "dangling", "text", "magic only"])
def test_what_is_no_file_of_ours_fails(kind: str, engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "plate.exr"
    if kind == "folder":
        source.mkdir()
    elif kind == "dangling":
        source.symlink_to(tmp_path / "nowhere.exr")
    elif kind != "missing":
        source.write_bytes({"empty": b"", "text": b"not a plate\n" * 9, "magic only": b"\x76\x2f\x31\x01"}[kind])
    assert_fails(engine, source)


def test_the_real_damaged_files_are_found_where_the_plates_are() -> None:
    if not SHARED.is_dir():
        pytest.skip("the real plates are not here")
    assert len(list((SHARED / "damaged").glob("*.exr"))) > 50
