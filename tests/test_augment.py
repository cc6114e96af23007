"""Augmentation: vectors turn as the things they belong to, light alone is exposed, and a draw is the same anywhere."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from deepupscale.fields import Kind
from deepupscale.range_compression import RangeCompression
from model.augment import Augmentation, Draw
from model.pixel_filters import box, reduce_whole

CURVE = RangeCompression()
KINDS = {"rgb": Kind.COLOUR, "albedo": Kind.COLOUR, "N": Kind.UNIT_VECTOR, "Z": Kind.DISTANCE, "forward": Kind.MOTION}
KINDS |= {"alpha": Kind.ALPHA}
MOVES = [
    Draw(across=across, down=down, turns=turns)
    for across, down, turns in product((False, True), (False, True), range(4))
]


def label(draw: Draw) -> str:
    return f"{draw.turns} turns{', across' * draw.across}{', down' * draw.down}"


def landed(draw: Draw, y: float, x: float, height: int, width: int) -> tuple[float, float, int, int]:
    """Where a point of the picture comes to lie, rows down and columns right, and the size of the new picture.

    By hand: a quarter turn anticlockwise takes the right border to the top.
    """
    for _ in range(draw.turns):
        y, x, height, width = width - x, y, width, height
    return (height - y if draw.down else y), (width - x if draw.across else x), height, width


def sphere(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    """Camera-space normals of a sphere seen from afar: x right, y up, z towards the camera; none beside it."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    right, up = (columns - x) / radius, (y - rows) / radius
    inside = right**2 + up**2 < 1.0
    towards = np.sqrt(np.maximum(1.0 - right**2 - up**2, 0.0))
    return np.where(inside[:, :, None], np.stack((right, up, towards), axis=2), 0.0).astype(np.float32)


@pytest.mark.parametrize("draw", MOVES, ids=label)
def test_moved_normals_are_those_of_the_sphere_where_it_comes_to_lie(draw: Draw) -> None:
    place = (30, 44, 11.3, 17.9)
    before = sphere(*place, radius=9.0)
    y, x, height, width = landed(draw, 11.3, 17.9, 30, 44)
    assert before.any()
    np.testing.assert_allclose(draw.moved(before, Kind.UNIT_VECTOR), sphere(height, width, y, x, 9.0), atol=1e-5)


def dot(height: int, width: int, y: int, x: int) -> np.ndarray:
    picture = np.zeros((height, width, 1), np.float32)
    picture[y, x] = 1.0
    return picture


@pytest.mark.parametrize("draw", MOVES, ids=label)
def test_moved_motion_leads_from_where_a_thing_is_to_where_it_will_be(draw: Draw) -> None:
    here, there = (9, 5), (4, 17)  # row, column in this frame and the next
    now, then = dot(24, 30, *here), dot(24, 30, *there)
    flow = np.zeros((24, 30, 2), np.float32)
    flow[here] = (there[1] - here[1], -(there[0] - here[0]))  # to the right, and up
    now, then = (draw.moved(picture, Kind.COLOUR) for picture in (now, then))
    u, v = draw.moved(flow, Kind.MOTION)[now[:, :, 0] == 1.0][0]
    row, column = np.argwhere(now[:, :, 0] == 1.0)[0]
    np.testing.assert_array_equal(np.argwhere(then[:, :, 0] == 1.0)[0], (row - v, column + u))


@pytest.mark.parametrize("kind", [Kind.DISTANCE, Kind.MASK, Kind.ALPHA, Kind.ID, Kind.COLOUR])
@pytest.mark.parametrize("draw", MOVES, ids=label)
def test_everything_else_only_moves(draw: Draw, kind: Kind) -> None:
    plane = np.random.default_rng(0).normal(size=(6, 9, 3)).astype(np.float32)
    moved = draw.moved(plane, kind)
    for y, x in product(range(6), range(9)):
        at_y, at_x, height, width = landed(draw, y + 0.5, x + 0.5, 6, 9)
        assert moved.shape == (height, width, 3)
        np.testing.assert_array_equal(moved[int(at_y), int(at_x)], plane[y, x])


@pytest.mark.parametrize("kind", [Kind.POSITION, Kind.VELOCITY, Kind.OTHER])
def test_what_has_no_known_geometry_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match=kind.value):
        Draw().moved(np.zeros((4, 4, 3), np.float32), kind)


def picture_pair(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """LR is the mean of HR's squares, so they stay in step under any geometry."""
    rng = np.random.default_rng(seed)
    channels = {"rgb": 3, "albedo": 3, "N": 3, "Z": 1, "forward": 2, "alpha": 1}
    high = {name: rng.random((16, 16, count), np.float32) * 4.0 for name, count in channels.items()}
    return {name: reduce_whole(plane, box(), 2) for name, plane in high.items()}, high


@pytest.mark.parametrize("seed", range(20))
def test_both_pictures_of_a_pair_are_treated_alike(seed: int) -> None:
    low, high = picture_pair()
    drawn = Augmentation(permute=0.5).draw(np.random.default_rng(seed))
    small, large = drawn.apply(low, high, KINDS)
    for name in KINDS:
        assert small[name].dtype == large[name].dtype == np.float32
        if name != "rgb":
            np.testing.assert_allclose(small[name], reduce_whole(large[name], box(), 2), atol=1e-5)
    light = [CURVE.expand(picture["rgb"] - np.array(drawn.shift, np.float32)) for picture in (small, large)]
    np.testing.assert_allclose(light[0], reduce_whole(light[1], box(), 2), rtol=1e-4, atol=1e-5)


def test_exposure_and_shift_touch_the_beauty_alone() -> None:
    low, high = picture_pair()
    drawn = Draw(gain=2.5, shift=(0.01, -0.005, 0.002))
    for before, after in zip((low, high), drawn.apply(low, high, KINDS), strict=True):
        expected = CURVE.compress(before["rgb"] * np.float32(2.5)) + np.array(drawn.shift, np.float32)
        np.testing.assert_array_equal(after["rgb"], expected)
        for name in KINDS.keys() - {"rgb"}:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_a_shift_in_linear_light_is_added_before_the_compression() -> None:
    low, high = picture_pair()
    drawn = Draw(shift=(0.01, -0.005, 0.002), shift_domain="linear")
    after = drawn.apply(low, high, KINDS)[1]["rgb"]
    np.testing.assert_array_equal(after, CURVE.compress(high["rgb"] + np.array(drawn.shift, np.float32)))


def test_the_figures_for_the_domain_of_the_shift() -> None:
    def slope(y: float) -> float:
        return 0.6 * 5000.0 / (math.log1p(5000.0) * (1.0 + 5000.0 * y))

    assert [slope(y) for y in (0.0, 0.18, 1.0, 10.0)] == pytest.approx([352, 0.39, 0.070, 0.0070], rel=0.02)
    assert float(CURVE.compress(np.float32(0.01))) == pytest.approx(0.28, abs=0.005)  # black, shifted in linear light
    for light, step in ((0.0005, 0.20), (0.18, 0.15), (10.0, 0.15), (1000.0, 0.15)):
        shifted = CURVE.expand(CURVE.compress(np.float32(light)) + np.float32(0.01))
        assert float(shifted) / light - 1.0 == pytest.approx(step, abs=0.015)


def test_channels_change_places_in_all_colours_alike_and_nowhere_else() -> None:
    low, high = picture_pair()
    after = Draw(order=(2, 0, 1)).apply(low, high, KINDS)[1]
    np.testing.assert_array_equal(after["rgb"], CURVE.compress(high["rgb"][:, :, [2, 0, 1]]))
    np.testing.assert_array_equal(after["albedo"], high["albedo"][:, :, [2, 0, 1]])
    np.testing.assert_array_equal(after["N"], high["N"])


def draws(augmentation: Augmentation, count: int = 4000) -> list[Draw]:
    rng = np.random.default_rng(1)
    return [augmentation.draw(rng) for _ in range(count)]


def test_draws_are_spread_as_documented() -> None:
    found = draws(Augmentation(permute=0.3))
    assert np.mean([draw.across for draw in found]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([draw.down for draw in found]) == pytest.approx(0.5, abs=0.04)
    assert np.bincount([draw.turns for draw in found]) / len(found) == pytest.approx([0.25] * 4, abs=0.04)
    stops = np.log2([draw.gain for draw in found])
    assert (stops.min(), stops.max()) == pytest.approx((-2.0, 2.0), abs=0.02)
    assert stops.mean() == pytest.approx(0.0, abs=0.08)
    shifts = np.array([draw.shift for draw in found])
    assert np.abs(shifts).max() == pytest.approx(0.01, abs=1e-4)
    assert np.abs(np.corrcoef(shifts.T)[np.triu_indices(3, 1)]).max() < 0.06  # each channel its own
    # One permutation in six leaves everything where it was.
    assert np.mean([draw.order != (0, 1, 2) for draw in found]) == pytest.approx(0.3 * 5 / 6, abs=0.03)


def test_a_switch_leaves_the_other_draws_as_they_are() -> None:
    everything = Augmentation(permute=1.0)
    whole = draws(everything, 50)
    identity = (0, 1, 2)
    assert draws(replace(everything, flips="across"), 50) == [replace(d, down=False) for d in whole]
    assert draws(replace(everything, flips=False), 50) == [replace(d, across=False, down=False) for d in whole]
    assert draws(replace(everything, rotations=False), 50) == [replace(d, turns=0) for d in whole]
    assert draws(replace(everything, exposure=0.0), 50) == [replace(d, gain=1.0) for d in whole]
    assert draws(replace(everything, permute=0.0), 50) == [replace(d, order=identity) for d in whole]
    still = Augmentation(flips=False, rotations=False, shift=0.0, exposure=0.0)
    assert draws(still, 50) == [Draw(shift=d.shift) for d in draws(still, 50)]
    assert all(value == 0.0 for d in draws(still, 50) for value in d.shift)


BAD = ({"shift": -1.0}, {"shift": math.nan}, {"exposure": 17.0}, {"permute": 1.1}, {"shift_domain": "log"})


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_settings_that_cannot_be_meant_are_refused(bad) -> None:
    with pytest.raises(ValueError, match="shift"):
        Augmentation(**bad)
