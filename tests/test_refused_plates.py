"""Plates refused: one line that names the file and the reason, the right exit code, and nothing written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import FRAME_FAILED, Refuse
from plates import SHARED, exr, picture, write_plate, write_sequence

from deepupscale import Engine
from deepupscale.cli.app import invoke
from deepupscale.errors import PlateError
from deepupscale.fields import Method


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("LuminanceChroma_Garden", "luminance"),
        ("MultiResolution_Bonita", "mip-mapped"),
        ("v2_LowResLeftView_Balls", "deep"),
    ],
)
def test_a_real_plate_of_another_kind_is_refused(name: str, word: str, shared_folder: Path, refuse: Refuse) -> None:
    refuse(FRAME_FAILED, shared_folder / "refused" / f"{name}.exr", "out.exr", says=(name, word))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real plates are not here")
def test_every_real_plate_to_refuse_has_its_test() -> None:
    assert {f.stem for f in (SHARED / "refused").glob("*.exr")} == {
        "LuminanceChroma_Garden",
        "MultiResolution_Bonita",
        "v2_LowResLeftView_Balls",
    }


def write_luminance_chroma(path: Path, width: int = 24, height: int = 16) -> None:
    """Luminance in full, chroma in a quarter of the pixels, laid out by hand: no library here writes it."""
    plane = np.full((height, width), 0.5, np.float16)
    write_plate(path, {"BY": plane, "RY": plane, "Y": plane}, compression=exr.NO_COMPRESSION)
    data = path.read_bytes()
    for name in (b"BY", b"RY"):
        full = name + b"\0" + struct.pack("<iBxxxii", 1, 0, 1, 1)
        assert data.count(full) == 1
        data = data.replace(full, name + b"\0" + struct.pack("<iBxxxii", 1, 0, 2, 2))
    end = data.index(b"scanlineimage") + len("scanlineimage") + 1
    offsets, rows, at = [], b"", end + 8 * height
    for y in range(height):
        samples = plane[y].tobytes() if y % 2 else plane[y, : width // 2].tobytes() * 2 + plane[y].tobytes()
        offsets.append(at + len(rows))
        rows += struct.pack("<ii", y, len(samples)) + samples
    path.write_bytes(data[:end] + np.array(offsets, "<u8").tobytes() + rows)


@pytest.mark.parametrize("more", [(), ("--layer", "Y=net"), ("--layer", "Y=filter")], ids=" ".join)
def test_subsampled_luminance_chroma_is_refused(more: tuple[str, ...], refuse: Refuse) -> None:
    write_luminance_chroma(Path("plate.exr"))
    with exr.File("plate.exr", separate_channels=True) as file:
        assert file.parts[0].channels["RY"].pixels.shape == (8, 12), "the plate is what it is said to be"
    refuse(FRAME_FAILED, "plate.exr", "out.exr", *more, says=("plate.exr", "ubsampled"))


def test_full_luminance_chroma_is_refused(refuse: Refuse) -> None:
    write_plate(Path("plate.exr"), {name: picture()["R"] for name in ("Y", "RY", "BY")})
    refuse(FRAME_FAILED, "plate.exr", "out.exr", says=("plate.exr", "luminance", "RGB"))


def test_a_bare_y_is_refused_until_it_is_said_what_it_is(refuse: Refuse, tiny_model: Path) -> None:
    write_plate(Path("plate.exr"), {"Y": picture()["R"]})
    refuse(FRAME_FAILED, "plate.exr", "out.exr", says=("plate.exr", "Y", "--layer Y=net"))
    said = ["run", "plate.exr", "out.exr", "--layer", "Y=net", "--model", str(tiny_model), "--device", "cpu"]
    assert invoke(said) == 0
    assert Path("out.exr").exists()


@pytest.mark.parametrize("mode", ["MIPMAP_LEVELS", "RIPMAP_LEVELS"])
def test_a_texture_with_levels_is_refused(mode: str, refuse: Refuse, tmp_path: Path) -> None:
    tiles = exr.TileDescription()
    tiles.xSize = tiles.ySize = 8
    source = write_plate(tmp_path / "plate.exr", type=exr.tiledimage, tiles=tiles)
    byte = {"MIPMAP_LEVELS": b"\1", "RIPMAP_LEVELS": b"\2"}[mode]
    data = source.read_bytes()
    one_level = b"tiledesc\0" + struct.pack("<iii", 9, 8, 8) + b"\0"
    assert data.count(one_level) == 1
    source.write_bytes(data.replace(one_level, one_level[:-1] + byte))  # says so; the levels themselves are missing
    refuse(FRAME_FAILED, "plate.exr", "out.exr", says=("plate.exr",))


def png() -> bytes:
    """A picture of one pixel."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\1\2\3")),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
    )


@pytest.mark.parametrize("name", ["plate.exr", "plate.png", "plate"])
@pytest.mark.parametrize("content", ["png", "tiff", "jpeg", "dpx", "text", "empty"])
def test_input_that_is_no_exr_is_refused_whatever_its_name(name: str, content: str, refuse: Refuse) -> None:
    data = {"png": png(), "tiff": b"II*\0" + bytes(64), "jpeg": b"\xff\xd8\xff\xe0" + bytes(64),
            "dpx": b"SDPX" + bytes(64), "text": b"hello\n", "empty": b""}[content]  # fmt: skip
    Path(name).write_bytes(data)
    refuse(FRAME_FAILED, name, "out.exr", says=(name, "empty" if content == "empty" else "not an OpenEXR file"))


def test_a_missing_file_is_refused(refuse: Refuse) -> None:
    refuse(FRAME_FAILED, "nowhere.exr", "out.exr", says=("nowhere.exr", "no such file"))


def test_a_folder_as_input_is_refused(refuse: Refuse) -> None:
    Path("plates").mkdir()
    refuse(FRAME_FAILED, "plates", "out.exr", says=("plates", "folder"))


def test_a_truncated_plate_is_refused(refuse: Refuse) -> None:
    data = write_plate(Path("plate.exr"), picture(64, 64)).read_bytes()
    Path("plate.exr").write_bytes(data[: len(data) // 2])
    refuse(FRAME_FAILED, "plate.exr", "out.exr", says=("plate.exr", "damaged or truncated"))


def test_a_plate_above_the_limit_is_refused_with_the_option_that_lifts_it(refuse: Refuse) -> None:
    write_plate(Path("plate.exr"))
    refuse(FRAME_FAILED, "plate.exr", "out.exr", "--max-side", 20, says=("24 x 16", "20", "--max-side"))


def test_dropping_every_channel_is_refused(refuse: Refuse) -> None:
    write_plate(Path("plate.exr"))
    drops = [a for c in "RGB" for a in ("--layer", f"{c}=drop")]
    refuse(FRAME_FAILED, "plate.exr", "out.exr", *drops, says=("plate.exr", "--layer"))


def test_missing_frames_fail_and_the_others_are_done(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sequence(tmp_path, [1001, 1003])
    arguments = ["run", str(tmp_path / "shot.####.exr"), str(tmp_path / "out.####.exr"), "--frames", "1001-1004"]
    assert invoke([*arguments, "--model", str(tiny_model), "--device", "cpu"]) == FRAME_FAILED
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["done", "failed", "done", "failed"]
    assert "shot.1002.exr: no such file" in lines[1]
    assert "shot.1004.exr: no such file" in lines[3]
    assert sorted(f.name for f in tmp_path.glob("out.*")) == ["out.1001.exr", "out.1003.exr"]


def test_a_layer_that_the_plate_does_not_have_fails_with_those_it_has(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    source = write_plate(tmp_path / "plate.exr", {**picture(), "spec.R": picture()["R"]})
    for name in ("spec", "spec.R", "R"):
        assert make_engine(layers={name: Method.FILTER}, overwrite=True).upscale(source, tmp_path / "r.exr")
    with pytest.raises(PlateError, match=r"--layer spce: no such layer.* it has B, G, R, spec, spec\.R"):
        make_engine(layers={"spce": Method.DROP}).upscale(source, tmp_path / "result.exr")
    assert not (tmp_path / "result.exr").exists()
