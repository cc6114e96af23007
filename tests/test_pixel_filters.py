"""Pixel filters: light is kept, and the pixel areas of a pair coincide."""

import numpy as np
import pytest

from model.pixel_filters import blackman_harris, box, gaussian, mitchell, reduce_whole
from model.upsample import MARGIN, upsample_batch

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


def test_a_ramp_and_its_interpolated_reduction_coincide():
    ramp = np.broadcast_to(np.arange(48, dtype=np.float32)[None, :, None], (48, 48, 3)).copy()
    low = reduce_whole(ramp, blackman_harris(), 2)
    doubled = upsample_batch(low[None])
    assert doubled.shape == (1, 48 - 4 * MARGIN, 48 - 4 * MARGIN, 3)
    rim = 2 * MARGIN + 6  # pixels that the repeated border reaches
    np.testing.assert_allclose(doubled[0][6:-6, 6:-6], ramp[rim:-rim, rim:-rim], atol=1e-4)
