"""``--compression fast``: a name of ours for one of OpenEXR's, lossless and readable by Nuke."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR as exr
import pytest
from nuke_standin.exr import COMPRESSIONS as OF_NUKE
from plates import headers, picture, pixels, write_plate

from deepupscale import Engine, Settings, load_model
from deepupscale.engine import settings_document
from deepupscale.errors import UsageError
from deepupscale.plate_writer import COMPRESSIONS, FAST, check_compression

MEANT = check_compression(FAST)


def test_fast_is_lossless_and_nuke_reads_it() -> None:
    assert MEANT.partition(":")[0] in {"none", "rle", "zips", "zip", "piz"} & set(OF_NUKE.values())
    assert FAST not in COMPRESSIONS


def test_fast_and_what_it_stands_for_are_the_same_settings(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    asked, meant = Settings(compression=FAST), Settings(compression=MEANT)
    assert settings_document(model, asked, "") == settings_document(model, meant, "")
    assert settings_document(model, asked, "")["compression"] == MEANT


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_fast_writes_every_pixel_as_it_is(dtype: type, make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", picture(dtype=dtype), compression=exr.PIZ_COMPRESSION)
    fast, plain = tmp_path / "fast.exr", tmp_path / "plain.exr"
    make_engine(compression=FAST).upscale(source, fast)
    make_engine(compression="none").upscale(source, plain)
    assert headers(fast)[0]["compression"] == exr.ZIP_COMPRESSION
    for ours, wanted in zip(pixels(fast), pixels(plain), strict=True):
        assert all(np.array_equal(ours[name], wanted[name]) for name in wanted)


def test_a_frame_made_with_fast_is_done_when_its_real_name_is_asked_for(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    source, result = write_plate(tmp_path / "plate.exr"), tmp_path / "big.exr"
    assert make_engine(compression=FAST).upscale(source, result).status == "done"
    assert make_engine(compression=MEANT).upscale(source, result).status == "skipped"
    assert make_engine(compression="zip").upscale(source, result).status == "done"


def test_what_is_not_known_is_refused_and_fast_is_named() -> None:
    with pytest.raises(UsageError, match="use fast or one of"):
        check_compression("faster")
