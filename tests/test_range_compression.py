"""The range compression curve: landmarks, inverse, odd extension, numpy and torch alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepupscale.range_compression import RangeCompression

CURVE = RangeCompression()
LARGEST = float(np.float32(3.3e38))  # rounding carries the very largest float32 over the edge
FINITE = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-LARGEST, LARGEST, width=32))


@pytest.mark.parametrize(
    ("linear", "compressed"), [(0.0, 0.0), (0.18, 0.4793), (1.0, 0.6), (295.0, 1.0005), (65504.0, 1.3812), (-1.0, -0.6)]
)
def test_landmarks_of_the_papers_curve(linear: float, compressed: float) -> None:
    assert CURVE.compress(np.float32(linear)) == pytest.approx(compressed, abs=5e-4)


@given(FINITE)
def test_expanding_undoes_compressing(linear: np.ndarray) -> None:
    back = CURVE.expand(CURVE.compress(linear))
    # An error of half a step in T is 14.2 times as large in relative linear light; T itself reaches 7.
    np.testing.assert_allclose(back, linear, rtol=2e-5, atol=1e-10)


@given(FINITE)
def test_the_curve_is_odd(linear: np.ndarray) -> None:
    np.testing.assert_array_equal(CURVE.compress(-linear), -CURVE.compress(linear))


@given(FINITE)
def test_the_curve_keeps_order(linear: np.ndarray) -> None:
    compressed = CURVE.compress(np.sort(linear))
    assert np.all(np.diff(compressed) >= -1e-6 * np.abs(compressed[1:]))


def test_what_is_not_finite_stays_what_it_is() -> None:
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    np.testing.assert_array_equal(CURVE.compress(odd), odd)
    np.testing.assert_array_equal(CURVE.expand(odd), odd)


def test_the_sign_of_zero_survives() -> None:
    assert np.signbit(CURVE.expand(CURVE.compress(np.float32(-0.0))))


def test_halves_are_computed_in_float32() -> None:
    light = np.array([65504.0], np.float16)
    assert CURVE.compress(light).dtype == np.float32
    assert CURVE.compress(light)[0] == pytest.approx(1.3812, abs=1e-4)


@settings(deadline=None)
@given(FINITE)
def test_torch_sees_the_same_curve(linear: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    compressed = CURVE.compress(torch.from_numpy(linear))
    assert compressed.dtype == torch.float32
    np.testing.assert_allclose(compressed.numpy(), CURVE.compress(linear), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(CURVE.expand(compressed).numpy(), CURVE.expand(compressed.numpy()), rtol=1e-5)


def test_torch_gradients_pass_through() -> None:
    torch = pytest.importorskip("torch")
    light = torch.tensor([0.18, 1.0, 65504.0], requires_grad=True)
    CURVE.compress(light).sum().backward()
    expected = CURVE.gain * CURVE.mu / (1.0 + CURVE.mu * light.detach())
    assert torch.allclose(light.grad, expected, rtol=1e-5)


@pytest.mark.parametrize(("k", "mu"), [(0.0, 5000.0), (0.6, 0.0), (float("nan"), 1.0), (0.6, float("inf"))])
def test_constants_that_make_no_curve_are_refused(k: float, mu: float) -> None:
    with pytest.raises(ValueError, match="range compression needs"):
        RangeCompression(k, mu)
