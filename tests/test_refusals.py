"""What is refused, and how: one line that names the file and the reason, the right exit code, and nothing written."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plates import SHARED, exr, picture, write_plate, write_sequence

from deepupscale.cli.app import invoke

FRAME_FAILED, NOTHING_RUN = 1, 2


@pytest.fixture
def refuse(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Runs the command in ``tmp_path``, checks all that every refusal must hold to, and returns its one line."""
    monkeypatch.chdir(tmp_path)

    def check(code: int, *arguments: object, says: tuple[str, ...] = (), model: Path = tiny_model) -> str:
        given = [str(a) for a in arguments]
        if "--model" not in given:
            given += ["--model", str(model)]
        if "--device" not in given:
            given += ["--device", "cpu"]
        before = tree(tmp_path)
        capsys.readouterr()
        assert invoke(["run", *given]) == code
        out, err = capsys.readouterr()
        lines = (out + err).splitlines()
        assert len(lines) == 1, lines
        assert lines == (out if code == FRAME_FAILED else err).splitlines(), "the line is on the wrong stream"
        assert lines[0].startswith("[1/1] failed " if code == FRAME_FAILED else "deepupscale: error: ")
        assert len(lines[0]) < 1100
        for word in says:
            assert word in lines[0]
        assert tree(tmp_path) == before
        return lines[0]

    return check


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the folder with its bytes; what a refusal must leave as it was. Empty folders do not count."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


Refuse = Callable[..., str]


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


@pytest.mark.parametrize("result", ["out.png", "out.jpg", "out.dpx", "out.tif", "out", "out.exr.bak", "shot.####.png"])
def test_an_output_that_is_no_exr_is_refused(result: str, refuse: Refuse) -> None:
    write_sequence(Path(), [1])
    source = "shot.####.exr" if "#" in result else "shot.0001.exr"
    refuse(NOTHING_RUN, source, result, says=(result, ".exr"))


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


@pytest.mark.parametrize(
    ("source", "frames", "word"),
    [
        ("shot.####.exr", "1001:1002", "x2"),
        ("shot.####.exr", "1-10:2", "':'"),
        ("shot.####.exr", "1-10x0", "1-10x0"),
        ("shot.####.exr", "a-b", "a-b"),
        ("shot.####.exr", "", "--frames"),
        ("shot.####.exr", "1-", "1-"),
        ("shot.####.exr", "1,,2", "1,,2"),
        ("shot.####.exr", "1-2-3", "1-2-3"),
        ("shot.####.exr", "1-10y2", "1-10y2"),
        ("shot.####.exr", "1-999999999", "1000000"),
        ("shot.####.exr", "1.5", "1.5"),
        ("shot.####.exr", "\u0661-\u0663", "--frames"),
        ("shot.0001.exr", "1-2", "--frames"),
        ("none.####.exr", None, "none.####.exr"),
        ("nowhere/shot.####.exr", None, "nowhere"),
        ("", None, "empty"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused(source: str, frames: str | None, word: str, refuse: Refuse) -> None:
    write_sequence(Path(), [1, 2])
    refuse(NOTHING_RUN, source, "out.####.exr" if "#" in source else "out.exr",
           *(["--frames", frames] if frames is not None else []), says=(word,))  # fmt: skip


def test_many_frames_into_one_file_are_refused(refuse: Refuse) -> None:
    write_sequence(Path(), [1, 2])
    refuse(NOTHING_RUN, "shot.####.exr", "out.exr", says=("out.exr", "2 frames"))
    refuse(NOTHING_RUN, "shot.0001.exr", "out.####.exr", says=("out.####.exr",))


@pytest.mark.parametrize(
    "case",
    ["same", "relative", "symlink", "hardlink", "linked folder", "folder", "sequence", "sequence folder", "padding"],
)
def test_an_output_that_would_overwrite_its_input_is_refused(case: str, refuse: Refuse, tmp_path: Path) -> None:
    plates = tmp_path / "plates"
    source, target = write_sequence(plates, [1, 2])[0], tmp_path / "other.exr"
    pattern = plates / "shot.####.exr"
    if case == "symlink":
        target.symlink_to(source)
    elif case == "hardlink":
        os.link(source, target)
    elif case == "linked folder":
        (tmp_path / "link").symlink_to(plates)
    given: dict[str, tuple[Any, Any]] = {
        "same": (source, source),
        "relative": (source, "plates/../plates/./shot.0001.exr"),
        "symlink": (source, target),
        "hardlink": (source, target),
        "linked folder": (source, "link/shot.0001.exr"),
        "folder": (source, "plates"),
        "sequence": (pattern, pattern),
        "sequence folder": (pattern, "plates/"),
        "padding": (pattern, plates / "shot.%04d.exr"),
    }
    refuse(
        NOTHING_RUN,
        *given[case],
        "--overwrite",
        says=("shot.0001" if "link" not in case[-4:] else "other", "overwrite"),
    )


def test_a_result_that_is_another_frames_plate_is_refused(refuse: Refuse) -> None:
    write_sequence(Path(), [1, 2])
    Path("other.0001.exr").symlink_to("shot.0002.exr")
    refuse(NOTHING_RUN, "shot.####.exr", "other.####.exr", says=("other.0001.exr", "overwrite"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--compression", "gzip"), ("gzip", "zips")),
        (("--compression", "htj2k"), ("htj2k", "htj2k256")),
        (("--compression", "ZIP"), ("ZIP", "zip")),
        (("--compression", "dwaa:"), ("dwaa:",)),
        (("--compression", "piz:5"), ("piz:5",)),
        (("--layer", "R"), ("--layer", "NAME=HOW")),
        (("--layer", "R=blur"), ("--layer", "R=blur")),
        (("--layer", "=net"), ("--layer",)),
        (("--device", "tpu"), ("tpu", "cpu")),
        (("--device", "cuda:x"), ("cuda:x",)),
        (("--device", "cuda:999"), ("cuda:999",)),
        (("--precision", "f8"), ("f8", "f32")),
        (("--runtime", "magic"), ("magic", "openvino")),
        (("--scale", "3"), ("3", "2, 4 or 8")),
        (("--scale", "two"), ("--scale",)),
        (("--threads", "-1"), ("threads",)),
        (("--progress", "dots"), ("dots", "lines")),
        (("--json", "."), ("--json",)),
        (("--json", "nowhere/run.json"), ("--json", "nowhere")),
        (("--no-such-option",), ("--no-such-option",)),
        (("--no-such\noption",), ("No such option",)),
        (("one-more",), ("one-more",)),
    ],
    ids=lambda v: " ".join(v[:2]),
)
def test_an_option_that_cannot_be_meant_is_refused(
    more: tuple[str, ...], words: tuple[str, ...], refuse: Refuse
) -> None:
    write_plate(Path("plate.exr"))
    refuse(NOTHING_RUN, "plate.exr", "out.exr", *more, says=words)


@pytest.mark.parametrize("target", ["plate.exr", "./plate.exr", "out.exr", "link.exr"])
def test_a_json_file_that_would_overwrite_a_plate_is_refused(target: str, refuse: Refuse) -> None:
    write_plate(Path("plate.exr"))
    Path("link.exr").symlink_to("plate.exr")
    refuse(NOTHING_RUN, "plate.exr", "out.exr", "--json", target, says=("--json", Path(target).name, "overwrite"))


@pytest.mark.parametrize("json_file", ["shot.0001.exr", "shot.0002.exr"])
def test_a_json_file_that_is_a_frame_is_refused(json_file: str, refuse: Refuse) -> None:
    write_sequence(Path(), [1, 2])
    refuse(NOTHING_RUN, "shot.####.exr", "out/", "--json", json_file, says=("--json", json_file))


def side_file_model(path: Path, promise: str) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((64, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["plate", "w"], ["residual"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node], "side",
        [helper.make_tensor_value_info("plate", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("residual", TensorProto.FLOAT, [1, 64, "h", "w"])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph)
    helper.set_model_props(model, {"deepupscale": promise})
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


MODELS = {
    "missing": "no such model",
    "folder": "no such model",
    "empty": "not an ONNX file",
    "random": "not an ONNX file",
    "cut": "",
    "no promise": "promise",
    "side files": "side files",
    "newer": "update deepupscale",
    "extra field": "Extra inputs",
    "nested extra": "Extra inputs",
    "huge": "larger than",
    "no json": "not valid",
    "list": "not valid",
    "infinite": "not valid",
    "halo": "halo",
    "other task": "task",
    "other tensors": "names other",
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_is_not_ours_is_refused(
    case: str, refuse: Refuse, make_model: Callable[..., Path], promise_json: Callable[..., str], tmp_path: Path
) -> None:
    write_plate(Path("plate.exr"))
    model = tmp_path / "some model.onnx"
    whole = promise_json()
    promises = {
        "no promise": None,
        "newer": promise_json(version=2, later="x"),
        "extra field": promise_json(later="x"),
        "nested extra": whole.replace('"kind": "log"', '"kind": "log", "later": 1'),
        "huge": promise_json(licence="x" * (1 << 20)),
        "no json": "{",
        "list": "[]",
        "infinite": whole.replace("5000.0", "1e999"),
        "halo": promise_json(halo=100_000),
        "other task": promise_json(task="normals"),
        "other tensors": whole.replace('"plate"', '"picture"'),
    }
    if case == "folder":
        model.mkdir()
    elif case == "side files":
        side_file_model(model, whole)
    elif case in ("empty", "random"):
        model.write_bytes(np.random.default_rng(0).bytes(0 if case == "empty" else 5000))
    elif case == "cut":
        make_model(model, whole)
        model.write_bytes(model.read_bytes()[:-700])
    elif case != "missing":
        make_model(model, promises[case])
    refuse(NOTHING_RUN, "plate.exr", "out.exr", "--model", model, says=("some model.onnx", MODELS[case]))


@pytest.mark.parametrize("verb", ["info", "doctor"])
def test_other_verbs_refuse_a_foreign_model_in_one_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"\0\1\2")
    if verb == "info":
        assert invoke(["info", str(model)]) == NOTHING_RUN
        assert len(capsys.readouterr().err.splitlines()) == 1
    else:
        assert invoke(["doctor", "--model", str(model)]) == 0
        assert "unusable" in capsys.readouterr().out


def test_nothing_after_the_command_shows_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([]) in (0, NOTHING_RUN)
    shown = capsys.readouterr()
    assert all(verb in shown.out + shown.err for verb in ("run", "info", "doctor"))


def test_an_unknown_verb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["upscale"]) == NOTHING_RUN
    assert "upscale" in capsys.readouterr().err
