"""The pairs in tests/pairs, rendered by `render-pairs`: what training will meet, small enough to be kept here.

    deepupscale render-pairs tests/pairs --scenes 3 --kinds lettering,foliage,machine,cloth --size 96x64 \\
        --samples 64 --seed 4 --aovs depth,normal,albedo,motion,alpha
"""

from __future__ import annotations

import hashlib
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR as exr
import pytest

from model.augment import Augmentation
from model.pack import PackOptions, pack
from model.sampling import StorePatches, StoreSampler
from model.store import Store
from render import manifest
from render.coherence import fault, measure
from render.manifest import PairRecord
from render.pair_files import read_rgb

PAIRS = Path(__file__).with_name("pairs")
RECORDS = manifest.read(PAIRS)


def planes(place: str) -> dict[str, Any]:
    with exr.File(str(PAIRS / place), separate_channels=True) as file:
        return {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def pictures(record: PairRecord) -> tuple[Any, Any]:
    return read_rgb(PAIRS / record.lr), read_rgb(PAIRS / record.hr)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.scene["kind"])
def test_the_manifest_tells_of_the_files_as_they_are(record: PairRecord) -> None:
    for which, place in (("lr", record.lr), ("hr", record.hr)):
        assert hashlib.sha256((PAIRS / place).read_bytes()).hexdigest() == record.digest[which]
    found = measure(*pictures(record)).as_dict()
    assert fault(measure(*pictures(record))) == record.reason == ""
    for name, value in record.coherence.items():
        assert found[name] == pytest.approx(value, abs=1e-4), name


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.scene["kind"])
def test_planted_faults_are_caught_in_real_renders(record: PairRecord) -> None:
    lr, hr = pictures(record)
    assert fault(measure(lr, hr)) == ""
    assert "shifted" in fault(measure(lr, np.roll(hr, 1, axis=1)))
    assert "brighter" in fault(measure(lr, hr * np.float32(1.06)))
    assert fault(measure(lr, hr[:, ::-1])) != ""
    lamp = np.linspace(1.0, 1.4, hr.shape[1], dtype=np.float32)[None, :, None]  # stronger on the right
    assert fault(measure(lr, hr * lamp)) != ""


def test_renders_of_different_scenes_are_no_pair() -> None:
    for one, other in permutations(RECORDS, 2):
        assert fault(measure(pictures(one)[0], pictures(other)[1])) != ""


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.scene["kind"])
def test_aovs_of_both_sizes_agree(record: PairRecord) -> None:
    small, big = planes(record.lr), planes(record.hr)
    assert set(small) == set(big)
    both = (small["Z"] < 1e9) & (big["Z"][::2, ::2] < 1e9) & (big["Z"][1::2, 1::2] < 1e9)
    assert both.mean() > 0.1
    assert np.median(np.abs(small["Z"] / big["Z"][::2, ::2] - 1.0)[both]) < 0.02
    for name in ("forward.u", "forward.v", "backward.u", "backward.v"):
        halved = 0.125 * (big[name][::2, ::2] + big[name][1::2, ::2] + big[name][::2, 1::2] + big[name][1::2, 1::2])
        assert np.median(np.abs(small[name] - halved)[both]) < 0.02  # pixels: HR's are half as large
    for found in (small, big):
        length = np.sqrt(sum(found[f"N.{axis}"].astype(np.float32) ** 2 for axis in "XYZ"))
        assert length.max() < 1.01
        assert (found["N.Z"][found["Z"] < 1e9] > 0.0).mean() > 0.8  # what is seen faces the camera, but for bumps
        assert found["A"].min() >= 0.0
        assert found["A"].max() <= 1.0


def test_they_pack_and_train(tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    report = pack([PAIRS], tmp_path / "store", PackOptions(), lambda *_: None)
    store = Store(tmp_path / "store")
    assert store.dataset == report.dataset
    assert len(store.pairs) == len(RECORDS)
    store.verify()
    for number, pair in enumerate(store.pairs):
        record = next(record for record in RECORDS if record.name == pair.name)
        crop = store.crop(number, 8, 16, 32)
        lr, hr = pictures(record)
        np.testing.assert_array_equal(crop.lr["rgb"], lr[8:40, 16:48].astype(np.float16))
        np.testing.assert_array_equal(crop.hr["rgb"], hr[16:80, 32:96].astype(np.float16))
    patches = StorePatches(StoreSampler(store, 32), Augmentation(), seed=1, batch=4, context=4)
    lr, hr = patches.step(3)
    assert lr["rgb"].shape == (4, 40, 40, 3)
    assert hr["rgb"].shape == (4, 64, 64, 3)
    assert np.isfinite(lr["rgb"]).all()
    assert 0.1 < np.median(hr["rgb"]) < 0.9  # compressed: mid-grey is 0.48
