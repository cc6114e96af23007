"""Procedural pictures: the same for a seed, finite, and bright enough to teach highlights."""

import numpy as np
import pytest

pytest.importorskip("torch")  # `model` promises torch; its data code happens to need none

from model.procedural import _ramp, procedural_image


def test_a_seed_gives_one_picture_and_another_seed_another():
    first = procedural_image(11, size=64)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, procedural_image(11, size=64))
    assert not np.array_equal(first, procedural_image(12, size=64))


def test_pictures_are_finite_and_some_reach_hundreds_and_deep_shadow():
    pictures = [procedural_image(seed, size=64) for seed in range(40)]
    assert all(np.isfinite(picture).all() for picture in pictures)
    assert min(picture.min() for picture in pictures) >= -0.05
    assert max(picture.max() for picture in pictures) > 300.0
    assert min(np.median(picture) for picture in pictures) < 0.01


def test_ramps_have_no_steps():
    for seed in range(20):
        ramp = np.log(_ramp(np.random.default_rng(seed), 320) + 1e-3)
        slope = np.abs(np.diff(ramp, axis=1)).max()
        # A smooth function's slope changes little from pixel to pixel; at a step it changes by all of it.
        bend = np.abs(np.diff(ramp.astype(np.float64), n=2, axis=1)).max()
        assert bend <= 0.35 * slope + 1e-5
