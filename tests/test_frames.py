"""Frame patterns and ranges."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepupscale.errors import UsageError
from deepupscale.frames import parse_range, plan_frames


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    for number in (1001, 1002, 1003, 1005):
        (tmp_path / f"shot.{number}.exr").touch()
    (tmp_path / "shot.003.exr").touch()
    (tmp_path / ".shot.1001.writing-host-1.exr").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", [7]),
        ("1001-1004", [1001, 1002, 1003, 1004]),
        ("1-10x3", [1, 4, 7, 10]),
        ("5,1-3", [1, 2, 3, 5]),
        ("-2-1", [-2, -1, 0, 1]),
        ("1 - 3, 2-4", [1, 2, 3, 4]),
        ("3-1", [1, 2, 3]),
    ],
)
def test_ranges(text: str, frames: list[int]) -> None:
    assert parse_range(text) == frames


@pytest.mark.parametrize("text", ["", "a", "1-", "1-5x0", "1-5x", "1--", "1,,2", "0-99999999", "\u0661-\u0663"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--frames"):
        parse_range(text)


def test_a_colon_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="every Nth frame to some"):
        parse_range("1-12:2")


@pytest.mark.parametrize("pattern", ["shot.####.exr", "shot.%04d.exr"])
def test_patterns_find_what_is_on_disk(shot: Path, pattern: str) -> None:
    frames = plan_frames(str(shot / pattern), str(shot / "out" / pattern))
    assert [frame.number for frame in frames] == [1001, 1002, 1003, 1005]
    assert frames[0].source == shot / "shot.1001.exr"
    assert frames[0].result == shot / "out" / "shot.1001.exr"


def test_named_frames_that_are_missing_are_kept(shot: Path) -> None:
    frames = plan_frames(str(shot / "shot.####.exr"), str(shot / "up.######.exr"), "1003-1004")
    assert [frame.result.name for frame in frames] == ["up.001003.exr", "up.001004.exr"]


def test_a_folder_keeps_the_names(shot: Path) -> None:
    (frame,) = plan_frames(str(shot / "shot.1001.exr"), f"{shot}/out/")
    assert frame.result == shot / "out" / "shot.1001.exr"


@pytest.mark.parametrize(
    ("source", "result", "reason"),
    [
        ("none.####.exr", "out.####.exr", "no frame on disk"),
        ("shot.####.exr", "out.exr", "one file"),
        ("shot.1001.exr", "out.####.exr", "is one plate"),
        ("shot.1001.exr", "out.png", "only .exr"),
        ("shot.####.exr", "shot.####.exr", "overwrite"),
        ("shot.1001.exr", "./shot.1001.exr", "overwrite"),
        ("shot.####.exr", "./", "overwrite"),
    ],
)
def test_pairings_that_cannot_be_meant_are_refused(
    shot: Path, monkeypatch: pytest.MonkeyPatch, source: str, result: str, reason: str
) -> None:
    monkeypatch.chdir(shot)
    with pytest.raises(UsageError, match=reason):
        plan_frames(source, result)


def test_a_link_to_the_plate_is_not_overwritten(shot: Path) -> None:
    (shot / "link.exr").symlink_to(shot / "shot.1001.exr")
    (shot / "hard.exr").hardlink_to(shot / "shot.1001.exr")
    for name in ("link.exr", "hard.exr"):
        with pytest.raises(UsageError, match="overwrite"):
            plan_frames(str(shot / "shot.1001.exr"), str(shot / name))
