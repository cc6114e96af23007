"""Degradation and patches: pairs whose pixel areas coincide, and nothing non-finite in them."""

import numpy as np
import pytest

pytest.importorskip("torch")  # `model` promises torch; its data code happens to need none

from deepupscale.range_compression import RangeCompression
from model.pairs import (
    MARGIN,
    HdrImage,
    PatchSampler,
    crop_side,
    degrade,
    plate_files,
    read_layers,
    training_images,
    upsample_batch,
)
from model.pixel_filters import blackman_harris, box, gaussian, mitchell, reduce_whole

FILTERS = [box(), blackman_harris(), gaussian(0.28), gaussian(0.5), mitchell()]


def by_name(f):
    return f.name


@pytest.mark.parametrize("pixel_filter", FILTERS, ids=by_name)
@pytest.mark.parametrize("factor", [2, 3])
def test_a_filter_is_normalised_and_symmetric(pixel_filter, factor):
    taps = pixel_filter.taps(factor)
    assert sum(taps) == pytest.approx(1.0, abs=1e-12)
    assert taps == pytest.approx(taps[::-1], abs=1e-12)
    assert (len(taps) - factor) % 2 == 0


@pytest.mark.parametrize("pixel_filter", FILTERS, ids=by_name)
def test_reducing_keeps_the_mean_light(pixel_filter):
    rng = np.random.default_rng(0)
    picture = np.zeros((48, 40, 3), np.float32)
    picture[12:36, 12:28] = rng.random((24, 16, 3)) * 300.0  # black around it: no light leaves over the border
    small = reduce_whole(picture, pixel_filter, 2)
    assert small.shape == (24, 20, 3)
    # One impulse's share depends on its phase, so the mean of a finite picture is kept to the filter's flatness.
    np.testing.assert_allclose(small.mean(axis=(0, 1)), picture.mean(axis=(0, 1)), rtol=0.01)
    np.testing.assert_allclose(reduce_whole(np.full_like(picture, 7.0), pixel_filter, 2), 7.0, rtol=1e-6)


@pytest.mark.parametrize("pixel_filter", FILTERS, ids=by_name)
def test_reducing_is_centred(pixel_filter):
    picture = np.zeros((40, 40, 1), np.float32)
    picture[20:22, 20:22] = 1.0  # the area of LR pixel 10
    small = reduce_whole(picture, pixel_filter, 2)[..., 0]
    assert np.unravel_index(small.argmax(), small.shape) == (10, 10)
    around = small[5:16, 5:16]
    np.testing.assert_allclose(around, around[::-1, ::-1], atol=1e-7)
    np.testing.assert_allclose(around, around.T, atol=1e-7)


@pytest.mark.parametrize("pixel_filter", FILTERS, ids=by_name)
def test_a_pair_agrees_with_the_reduction_of_the_whole(pixel_filter):
    patch = 8
    crop = np.random.default_rng(1).random((crop_side(patch), crop_side(patch), 3), np.float32)
    low, high = degrade(crop, pixel_filter.taps(2))
    assert low.shape == (patch + 2 * MARGIN, patch + 2 * MARGIN, 3)
    assert high.shape == (2 * patch, 2 * patch, 3)
    inner = crop[1:-1, 1:-1]  # an even grid that meets the pair's
    whole = reduce_whole(inner, pixel_filter, 2)[1:-1, 1:-1]
    np.testing.assert_allclose(low[1:-1, 1:-1], whole[1:-1, 1:-1], atol=1e-6)  # the rim sees repeated border pixels
    np.testing.assert_array_equal(high, crop[2 * MARGIN + 3 : -2 * MARGIN - 3, 2 * MARGIN + 3 : -2 * MARGIN - 3])


def test_a_ramp_and_its_interpolated_reduction_coincide():
    patch, side = 8, crop_side(8)
    ramp = np.broadcast_to(np.arange(side, dtype=np.float32)[None, :, None], (side, side, 3)).copy()
    low, high = degrade(ramp, blackman_harris().taps(2))
    np.testing.assert_allclose(upsample_batch(low[None])[0], high, atol=1e-4)
    assert upsample_batch(low[None]).shape == (1, 2 * patch, 2 * patch, 3)


def test_patches_are_reproducible_compressed_and_free_of_nan():
    pixels = np.random.default_rng(2).random((96, 120, 3), np.float32) * 50.0
    pixels[90:, :4] = np.nan
    pixels[0, 0] = np.inf
    sampler = PatchSampler([(1.0, [HdrImage("noise", pixels)])], patch=8)
    first = sampler.batch(np.random.default_rng(3), 40)
    again = sampler.batch(np.random.default_rng(3), 40)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()
        assert a.max() <= RangeCompression().compress(200.0) + 0.011
    assert first[0].shape == (40, 8 + 2 * MARGIN, 8 + 2 * MARGIN, 3)
    assert first[1].shape == (40, 16, 16, 3)


def test_a_picture_of_nothing_but_nan_is_an_error_not_an_endless_loop():
    sampler = PatchSampler([(1.0, [HdrImage("broken", np.full((64, 64, 3), np.nan, np.float32))])], patch=8)
    with pytest.raises(ValueError, match="NaN"):
        sampler.draw(np.random.default_rng(0))


def test_held_out_plates_are_never_among_the_training_pictures(tmp_path):
    oiio = pytest.importorskip("OpenImageIO")
    picture = np.random.default_rng(4).random((64, 64, 3), np.float32)
    for name in ("ScanLines_StillLife", "Beachball_singlepart.0004", "TestImages_Chart", "Street"):
        out = oiio.ImageOutput.create(str(tmp_path / f"{name}.exr"))
        out.open(str(tmp_path / f"{name}.exr"), oiio.ImageSpec(64, 64, 3, "float"))
        out.write_image(picture)
        out.close()
    held_out = [file.stem for file in plate_files([tmp_path], held_out=True)]
    assert held_out == ["Beachball_singlepart.0004", "ScanLines_StillLife"]
    assert {image.name for image in training_images([tmp_path], 24)} == {"Street.exr:0", "Street.exr:0:half"}
    np.testing.assert_array_equal(read_layers(tmp_path / "Street.exr")[0][1], picture)
