"""PU21 against published values, and HDR-FLIP guarded from what its package does not check."""

import importlib
import math

import numpy as np
import pytest

from deepupscale.errors import MissingExtraError
from model import perceptual
from model.perceptual import hdr_flip, pu21_encode, pu21_psnr


def test_pu21_spans_the_published_range():
    # FFmpeg's siti filter states the ends of this variant: 5.4705e-10 and 595.3939
    assert pu21_encode(np.array([0.005]))[0] == pytest.approx(5.4705e-10, rel=1e-4)
    assert pu21_encode(np.array([10000.0]))[0] == pytest.approx(595.3939, abs=5e-5)


def test_pu21_by_hand_at_one_nit_and_at_the_peak():
    by_hand = 596.3148142 * (((0.353487901 + 0.3734658629) / (1 + 8.277049286e-05)) ** 0.09150303166 - 0.9099517204)
    assert pu21_encode(np.array([1.0]))[0] == pytest.approx(by_hand, abs=1e-9)
    assert pu21_encode(np.array([100.0]))[0] == pytest.approx(256.0, abs=0.5)


def test_pu21_rises_and_clamps():
    nits = np.logspace(-2.3, 4.0, 200)
    assert (np.diff(pu21_encode(nits)) > 0.0).all()
    np.testing.assert_array_equal(pu21_encode(np.array([-3.0, 0.0, 1e6])), pu21_encode(np.array([0.005, 0.005, 1e4])))


def test_pu21_psnr_by_hand():
    ten, hundred = np.full((4, 4, 3), 0.1, np.float32), np.full((4, 4, 3), 1.0, np.float32)
    # V(10) = 123.64748 and V(100) = 256.38390 differ by 132.73641: 20 log10(256 / 132.73641)
    assert pu21_psnr(ten, hundred) == pytest.approx(5.7050, abs=1e-3)
    assert pu21_psnr(ten, hundred) == pu21_psnr(hundred, ten)
    assert pu21_psnr(hundred, hundred) == math.inf
    assert pu21_psnr(hundred, ten, peak_nits=10.0) == pytest.approx(
        pu21_psnr(hundred * np.float32(0.1), ten * np.float32(0.1)), abs=1e-4
    )


def test_pu21_psnr_takes_negatives_for_black():
    black = np.zeros((4, 4, 3), np.float32)
    assert pu21_psnr(black - 0.01, black) == math.inf


def test_the_same_contrast_weighs_alike_in_light_and_counts_less_in_the_dark():
    def score(level: float) -> float:
        grey = np.full((4, 4, 3), level, np.float32)
        return pu21_psnr(grey * np.float32(1.05), grey)

    assert score(0.001) > score(0.1) > score(10.0)
    assert score(1.0) == pytest.approx(score(10.0), abs=3.0)


@pytest.mark.parametrize("peak", [0.0, -1.0, math.nan, math.inf])
def test_pu21_psnr_refuses_a_peak_that_is_none(peak):
    grey = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="peak_nits"):
        pu21_psnr(grey, grey, peak)


@pytest.mark.parametrize("metric", [pu21_psnr, hdr_flip])
def test_shapes_and_nan_are_refused(metric):
    if metric is hdr_flip:
        pytest.importorskip("flip_evaluator")
    grey = np.zeros((4, 4, 3), np.float32)
    nan = grey.copy()
    nan[1, 1, 1] = np.nan
    for a, b in ((grey, grey[:3]), (grey[:, :, :1], grey[:, :, :1]), (grey[:0], grey[:0])):
        with pytest.raises(ValueError, match="needs"):
            metric(a, b)
    for a, b in ((grey, nan), (nan, grey)):
        with pytest.raises(ValueError, match="NaN"):
            metric(a, b)


def test_pu21_psnr_refuses_inf():
    grey = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="Inf"):
        pu21_psnr(grey, grey + np.float32(np.inf))


def test_flip_is_none_for_equals_and_grows_with_the_error():
    pytest.importorskip("flip_evaluator")
    reference = np.random.default_rng(0).random((32, 32, 3), np.float32)
    test = reference.copy()
    assert hdr_flip(reference, test).mean == 0.0
    test[8:16, 8:16] *= 1.2
    little = hdr_flip(reference, test).mean
    test[8:16, 8:16] *= 2.0
    assert 0.0 < little < hdr_flip(reference, test).mean < 0.1


def test_flip_counts_what_it_cleans():
    pytest.importorskip("flip_evaluator")
    reference = np.full((16, 16, 3), 0.5, np.float32)
    dirty = reference.copy()
    dirty[0, 0] = -0.1
    dirty[0, 1, 0] = np.inf
    dirty[0, 2, 0] = 1e6
    cleaned = dirty.copy()
    cleaned[0, 0], cleaned[0, 1, 0], cleaned[0, 2, 0] = 0.0, 65504.0, 65504.0
    found = hdr_flip(reference, dirty)
    assert (found.negatives, found.infinities) == (3, 2)
    assert found.mean == hdr_flip(reference, cleaned).mean
    assert hdr_flip(dirty, reference).negatives == 3


@pytest.mark.parametrize("level", [0.0, 1e-12, 1e-7, 9e-7, -1.0])
def test_a_black_reference_does_not_end_the_process(level):
    pytest.importorskip("flip_evaluator")
    black = np.full((16, 16, 3), level, np.float32)
    assert hdr_flip(black, black).mean == 0.0
    assert hdr_flip(black, np.ones_like(black)).mean > 0.5


def test_a_nearly_black_reference_has_exposures_of_its_own():
    pytest.importorskip("flip_evaluator")
    assert hdr_flip(np.full((16, 16, 3), 2e-6, np.float32), np.full((16, 16, 3), 4e-6, np.float32)).mean > 0.05


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(perceptual.importlib, "import_module", missing)
    grey = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(MissingExtraError, match="flip-evaluator"):
        hdr_flip(grey, grey)
    monkeypatch.undo()
    assert importlib.import_module("model.perceptual") is perceptual
