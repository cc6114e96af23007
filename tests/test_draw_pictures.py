"""Procedural pictures as files: the same from the same seed, each a picture of its own, goes on after an early end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plates import headers, pixels

pytest.importorskip("PIL")

from deepupscale.cli.app import invoke
from model.sampling import shot_of
from model.sources import candidates


def test_pictures_are_drawn_once_differ_and_pack_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["draw-pictures", str(tmp_path / "drawn"), "--size", "48", "--seed", "3"]
    assert invoke([*given, "--count", "2"]) == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "drawn").iterdir()}
    assert len(first) == 2
    assert len(set(first.values())) == 2
    assert invoke([*given, "--count", "3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith("[3/3] ")
    assert said[-1].endswith(": 1; there before: 2")
    files = sorted((tmp_path / "drawn").iterdir())
    assert {path.name: path.read_bytes() for path in files if path.name in first} == first
    assert len({shot_of(each.name) for each in candidates(tmp_path / "drawn")[0]}) == 3

    (planes,) = pixels(files[0])
    assert {name: (plane.shape, plane.dtype) for name, plane in planes.items()} == dict.fromkeys(
        "RGB", ((48, 48), np.dtype(np.float16))
    )
    assert "software" in headers(files[0])[0]
    assert invoke(["draw-pictures", str(tmp_path / "other"), "--size", "48", "--seed", "4", "--count", "1"]) == 0
    (other,) = (tmp_path / "other").iterdir()
    assert not np.array_equal(pixels(other)[0]["R"], planes["R"])


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").touch()
    assert invoke(["draw-pictures", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"deepupscale: error: {tmp_path / 'out'}: is a file, name a folder\n"
