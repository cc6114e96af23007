"""Arguments refused: one line that names the file and the reason, the right exit code, and nothing written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from commands import NOTHING_RUN, Refuse
from plates import write_plate, write_sequence

from deepupscale.cli.app import invoke


@pytest.mark.parametrize("result", ["out.png", "out.jpg", "out.dpx", "out.tif", "out", "out.exr.bak", "shot.####.png"])
def test_an_output_that_is_no_exr_is_refused(result: str, refuse: Refuse) -> None:
    write_sequence(Path(), [1])
    source = "shot.####.exr" if "#" in result else "shot.0001.exr"
    refuse(NOTHING_RUN, source, result, says=(result, ".exr"))


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


def test_nothing_after_the_command_shows_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([]) in (0, NOTHING_RUN)
    shown = capsys.readouterr()
    assert all(verb in shown.out + shown.err for verb in ("run", "info", "doctor"))


def test_an_unknown_verb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["upscale"]) == NOTHING_RUN
    assert "upscale" in capsys.readouterr().err
