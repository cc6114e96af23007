"""Blocks: running the network for a few rectangles gives what running it for the whole tile gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepupscale import load_model, open_session, resample
from deepupscale.blocks import Block, blocks_around, blocks_for_network
from deepupscale.session import Tensor
from deepupscale.upscaler import Upscaler, agree_with_alpha

MASKS = hnp.arrays(
    np.bool_, st.tuples(st.integers(1, 300), st.integers(1, 300)), elements=st.booleans(), fill=st.just(False)
)
HOLES = st.tuples(st.integers(0, 210), st.integers(0, 310), st.integers(1, 40), st.sampled_from([0.0, 0.5, -1.0]))
MARGIN = 27


class CountingSession:
    """Counts the pixels that a session is fed."""

    def __init__(self, path: Path | None) -> None:
        self._session = open_session(load_model(path), "cpu", "f32", threads=1)
        self.choice = self._session.choice
        self.fed = 0

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        shape = next(iter(inputs.values())).shape
        self.fed += shape[2] * shape[3]
        return self._session.run(inputs)


def whole_alpha(upscaler: Upscaler, plane: np.ndarray) -> np.ndarray:
    """Coverage as it was doubled before there were blocks: the network on all of it."""
    low, high = (resample.double_nearest(bound, 0) for bound in resample.local_range(plane, upscaler.margin, 1))
    return np.clip(upscaler.double_colour(plane), low, high)


def covered(blocks: list[Block], shape: tuple[int, int]) -> np.ndarray:
    times = np.zeros(shape, int)
    for block in blocks:
        assert block.top >= 0
        assert block.left >= 0
        assert block.top + block.rows <= shape[0]
        assert block.left + block.columns <= shape[1]
        times[block.inside] += 1
    return times


@settings(deadline=None, max_examples=60)
@given(MASKS)
def test_blocks_hold_every_pixel_and_cost_no_more_than_the_whole(wanted: np.ndarray) -> None:
    blocks = blocks_for_network(wanted, MARGIN)
    assert (covered(blocks, wanted.shape) > 0)[wanted].all()
    height, width = wanted.shape
    fed = sum((block.rows + 2 * MARGIN) * (block.columns + 2 * MARGIN) for block in blocks)
    assert fed <= (height + 2 * MARGIN) * (width + 2 * MARGIN)
    assert len({(block.rows, block.columns) for block in blocks}) <= 4
    assert bool(blocks) == bool(wanted.any())


@settings(deadline=None, max_examples=60)
@given(MASKS)
def test_blocks_around_pixels_hold_each_once(wanted: np.ndarray) -> None:
    times = covered(list(blocks_around(wanted)), wanted.shape)
    assert (times[wanted] == 1).all()
    assert times.max() <= 1


@pytest.fixture(scope="module")
def session(tiny_model: Path) -> CountingSession:
    return CountingSession(tiny_model)


@pytest.fixture(scope="module")
def tiny(tiny_model: Path, session: CountingSession) -> Upscaler:
    return Upscaler(load_model(tiny_model), session)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 200),
    st.integers(1, 300),
    st.integers(0, 2**32 - 1),
    st.lists(HOLES, max_size=6),
)
def test_alpha_by_blocks_equals_alpha_by_the_whole_tile(
    tiny: Upscaler, height: int, width: int, seed: int, holes: list[tuple[int, int, int, float]]
) -> None:
    m, rng = tiny.margin, np.random.default_rng(seed)
    alpha = np.ones((height + 2 * m, width + 2 * m, 1), np.float32)
    for top, left, side, value in holes:
        hole = alpha[top : top + side, left : left + side]
        hole[...] = value if value >= 0.0 else rng.random(hole.shape)
    np.testing.assert_allclose(tiny.double_alpha(alpha), whole_alpha(tiny, alpha), rtol=0, atol=1e-6)


def test_the_default_network_gives_alpha_by_blocks_without_a_seam() -> None:
    model, session = load_model(), CountingSession(None)
    upscaler = Upscaler(model, session)
    m = upscaler.margin
    y, x = np.mgrid[0 : 200 + 2 * m, 0 : 330 + 2 * m].astype(np.float32)
    alpha = np.clip((np.hypot(y - 60, x - 70) - 15) / 3, 0, 1) * np.clip((np.hypot(y - 190, x - 300) - 30) / 9, 0, 1)
    alpha = alpha[:, :, np.newaxis].astype(np.float32)
    ours, by_blocks = upscaler.double_alpha(alpha), session.fed
    truth = whole_alpha(upscaler, alpha)
    assert np.abs(ours - truth).max() <= 1e-6
    assert by_blocks < 0.6 * (session.fed - by_blocks)


def test_alpha_that_varies_nowhere_feeds_nothing(tiny: Upscaler, session: CountingSession) -> None:
    before = session.fed
    assert (tiny.double_alpha(np.full((40, 50, 1), 0.3, np.float32)) == np.float32(0.3)).all()
    assert session.fed == before


@settings(deadline=None, max_examples=25)
@given(MASKS, st.integers(0, 2**32 - 1))
def test_agreement_by_blocks_equals_agreement_everywhere(holes: np.ndarray, seed: int) -> None:
    m, rng = 3, np.random.default_rng(seed)
    alpha = np.where(np.pad(holes, m, mode="edge"), rng.random(np.add(holes.shape, 2 * m)), 1.0)[:, :, np.newaxis]
    alpha = alpha.astype(np.float32)
    plate = rng.lognormal(-1.0, 1.0, (*alpha.shape[:2], 3)).astype(np.float32) * alpha
    big = 2 * holes.shape[0], 2 * holes.shape[1]
    colour, doubled = rng.random((*big, 3), np.float32), rng.random((*big, 1), np.float32)
    found = agree_with_alpha(colour.copy(), doubled, plate, alpha, m)
    expected = held_everywhere(colour, doubled, plate, alpha, m)
    np.testing.assert_array_equal(found, expected)


def held_everywhere(
    colour: np.ndarray, alpha: np.ndarray, plate: np.ndarray, plate_alpha: np.ndarray, m: int
) -> np.ndarray:
    """What agreement means, on all pixels: within half the range of the nine own colours, near an edge of coverage."""
    least, most = resample.local_range(plate_alpha, m, 3)
    covered = plate_alpha > 1.0 / 4096.0
    with np.errstate(divide="ignore", invalid="ignore"):
        own = plate / plate_alpha
    low = resample.local_range(np.where(covered, own, np.float32(np.inf)), m, 1)[0]
    high = resample.local_range(np.where(covered, own, np.float32(-np.inf)), m, 1)[1]
    with np.errstate(invalid="ignore"):
        slack = (high - low) * np.float32(0.5)
        low, high = low - slack, high + slack
    nothing = ~np.isfinite(low) | ~np.isfinite(high)
    low, high = np.where(nothing, np.float32(0.0), low), np.where(nothing, np.float32(0.0), high)
    glow = (~covered & (np.abs(plate) > 1.0 / 4096.0).any(axis=2, keepdims=True)).astype(np.float32)
    free = (least >= 1.0) | (most <= 0.0) | (resample.local_range(glow, m, 1)[1] > 0.0)
    big = resample.double_nearest
    return np.where(big(free, 0), colour, np.clip(colour, big(low, 0) * alpha, big(high, 0) * alpha))
