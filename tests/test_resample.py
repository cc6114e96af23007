"""Kernels: what each filter must and must not do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepupscale import resample

PLANES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(1)), elements=st.floats(-100, 100, width=32)
)


def padded(plane: np.ndarray, margin: int) -> np.ndarray:
    return resample.pad(plane, margin, margin, margin, margin)


def ramp(height: int, width: int, slope: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (slope[0] * y + slope[1] * x)[:, :, np.newaxis].astype(np.float32)


@pytest.mark.parametrize("kernel", ["cubic", "lanczos3", "linear"])
def test_phase_weights_sum_to_one_and_mirror_each_other(kernel: str) -> None:
    even, odd = resample.phase_weights(kernel)
    assert sum(even) == pytest.approx(1.0)
    assert even == pytest.approx(odd[::-1])


@pytest.mark.parametrize("kernel", ["cubic", "linear"])
def test_a_ramp_is_continued_exactly_at_pixel_areas(kernel: str) -> None:
    margin = 3
    wide = ramp(8 + 2 * margin, 8 + 2 * margin, (0.5, 2.0))
    doubled = resample.double(wide, margin, kernel)[:, :, 0]
    y, x = np.mgrid[0:16, 0:16]
    # Output pixel j lies at (j + 0.5) / 2 - 0.5 on the input's grid.
    expected = 0.5 * ((y + 0.5) / 2 - 0.5 + margin) + 2.0 * ((x + 0.5) / 2 - 0.5 + margin)
    np.testing.assert_allclose(doubled, expected, atol=1e-4)


def test_too_small_a_margin_is_an_error() -> None:
    with pytest.raises(ValueError, match="margin of 2"):
        resample.double(np.zeros((5, 5, 1), np.float32), 1, "cubic")


@settings(deadline=None)
@given(PLANES)
def test_limited_doubling_invents_no_value_beyond_the_nine_around(plane: np.ndarray) -> None:
    wide = padded(plane, 1)
    low, high = resample.local_range(wide, 1, 1)
    doubled = resample.double_limited(wide, 1)
    assert np.all(doubled >= resample.double_nearest(low, 0) - 1e-4)
    assert np.all(doubled <= resample.double_nearest(high, 0) + 1e-4)


def test_limited_doubling_continues_a_plane_and_keeps_a_step() -> None:
    sloped = ramp(6, 6, (1.0, 3.0))
    inner = resample.double_limited(sloped, 1)[:, :, 0]
    assert np.allclose(np.diff(inner, axis=1), 1.5)
    assert np.allclose(np.diff(inner, axis=0), 0.5)
    step = np.where(np.arange(8) < 4, np.float32(2.0), np.float32(1000.0)) * np.ones((8, 1), np.float32)
    doubled = resample.double_limited(step[:, :, np.newaxis].astype(np.float32), 1)
    assert set(np.unique(doubled)) == {2.0, 1000.0}


def test_infinite_depth_touches_no_other_pixel() -> None:
    plane = np.full((5, 5, 1), 3.0, np.float32)
    plane[2, 2] = np.inf
    plane[0, 0] = np.nan
    doubled = resample.double_limited(padded(plane, 1), 1)[:, :, 0]
    assert np.isinf(doubled[4:6, 4:6]).all()
    assert np.isnan(doubled[0:2, 0:2]).all()
    assert (np.isfinite(doubled)).sum() == 100 - 8
    assert np.all(doubled[np.isfinite(doubled)] == 3.0)


@settings(deadline=None)
@given(PLANES)
def test_bounded_doubling_never_rings(plane: np.ndarray) -> None:
    wide = padded(plane, 2)
    low, high = resample.local_range(wide, 2, 1)
    doubled = resample.double_bounded(wide, 2)
    assert np.all((doubled >= resample.double_nearest(low, 0)) & (doubled <= resample.double_nearest(high, 0)))


def test_nearest_keeps_the_bits_of_ids() -> None:
    ids = np.array([[4294967295, 16777217], [3, 0]], np.uint32)[:, :, np.newaxis]
    doubled = resample.double_nearest(ids, 0)
    assert doubled.dtype == np.uint32
    assert (doubled[::2, ::2] == ids).all()
    assert (doubled[1::2, 1::2] == ids).all()


def test_filling_replaces_only_what_is_not_finite() -> None:
    plane = np.arange(81, dtype=np.float32).reshape(9, 9, 1)
    plane[4, 4], plane[2, 6], plane[6, 2] = np.nan, np.inf, -np.inf
    filled = resample.fill_nonfinite(plane)[:, :, 0]
    assert np.isfinite(filled).all()
    around = plane[2:7, 2:7, 0].copy()
    around[0, 4], around[4, 0] = 65504.0, -65504.0
    assert filled[2, 2] == pytest.approx(np.nanmean(around))
    assert (filled[0, 4], filled[4, 0]) == (65504.0, -65504.0)
    untouched = np.ones((5, 5), bool)
    untouched[2, 2] = untouched[0, 4] = untouched[4, 0] = False
    assert (filled[untouched] == plane[2:7, 2:7, 0][untouched]).all()


def test_a_hole_wider_than_the_filler_becomes_black() -> None:
    assert (resample.fill_nonfinite(np.full((9, 9, 1), np.nan, np.float32)) == 0.0).all()


def test_unit_vectors_keep_unit_length() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(10, 10, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    wide = padded(vectors, 1)
    doubled = resample.renormalise(resample.double_limited(wide, 1), np.ones((20, 20, 1), np.float32))
    np.testing.assert_allclose(np.linalg.norm(doubled, axis=2), 1.0, atol=1e-5)
