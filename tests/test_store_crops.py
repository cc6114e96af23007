"""The benchmark of crops: its contestants cut the same pixels, and it refuses files that are not the store's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from plates import exr, window, write_plate
from stores import halved, pair_folder, scene, write_rgb

pytest.importorskip("lmdb")

from benchmarks.store_crops import main
from deepupscale.errors import UsageError
from model.pack import pack


def test_all_contestants_are_timed_on_the_same_crops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate("ab"):
        high = scene(240, 200, number)
        more = {"A": np.ones((200, 240), np.float16), "Z": np.ones((200, 240), np.float32)}
        write_rgb(tmp_path / "p" / "hr" / f"{name}.exr", high, more, dataWindow=window(3, -7, 240, 200))
        tiled = {"type": exr.tiledimage, "tiles": exr.TileDescription()} if number else {}
        write_rgb(tmp_path / "p" / "lr" / f"{name}.exr", halved(high), None, **tiled)
    pack([tmp_path / "p"], tmp_path / "s")
    main([str(tmp_path / "s"), "--pairs", str(tmp_path / "p"), "--crops", "2", "--rounds", "2", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["rows"]] == ["store", "EXR, opened for each crop", "EXR, kept open"]
    assert all(row["least"] <= row["crops_per_s"] <= row["most"] for row in found["rows"])
    main([str(tmp_path / "s"), "--pairs", str(tmp_path / "p"), "--crops", "1", "--rounds", "1"])
    assert "kept open" in capsys.readouterr().out

    changed = scene(240, 200, 0) * 2.0
    write_plate(tmp_path / "p" / "hr" / "a.exr", {c: changed[:, :, i].astype(np.float16) for i, c in enumerate("RGB")})
    with pytest.raises(UsageError, match="is not what the store holds"):
        main([str(tmp_path / "s"), "--pairs", str(tmp_path / "p"), "--crops", "1"])


def test_pairs_without_files_or_too_small_are_refused(tmp_path: Path) -> None:
    pack([pair_folder(tmp_path / "p")], tmp_path / "s")
    with pytest.raises(UsageError, match="no pair is as large as a crop"):
        main([str(tmp_path / "s"), "--pairs", str(tmp_path / "p")])
    with pytest.raises(UsageError, match="has no LR and HR files of a"):
        main([str(tmp_path / "s"), "--pairs", str(pair_folder(tmp_path / "q", ["c"]))])
