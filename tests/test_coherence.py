"""Pairs that do not show the same thing are found, with the right reason; good ones of any filter and noise are kept.

HR pictures are drawn, photographed or rendered; LR is made of them by a pixel filter; both get noise of their own.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double, pad
from model.pixel_filters import PixelFilter, blackman_harris, box, gaussian, mitchell, reduce_whole
from model.procedural import procedural_image
from render.coherence import Limits, difference_picture, fault, measure
from render.pair_files import read_rgb

Float32 = NDArray[np.float32]

PLATE = Path(__file__).parents[1] / "examples" / "plate.exr"
FILTERS = (box(), blackman_harris(), gaussian(0.4), mitchell())
CURVE = RangeCompression()


def grain(picture: Float32, strength: float, seed: int) -> Float32:
    """Sampling noise: its deviation follows the light."""
    noise = np.random.default_rng(seed).standard_normal(picture.shape).astype(np.float32)
    return np.asarray(picture * (1.0 + strength * noise), np.float32)


def pair_of(hr: Float32, pixel_filter: PixelFilter = FILTERS[1], noise: float = 0.05) -> tuple[Float32, Float32]:
    """A good pair: LR through the filter, independent noise on both."""
    hr = np.ascontiguousarray(hr[: hr.shape[0] // 2 * 2, : hr.shape[1] // 2 * 2])
    return grain(reduce_whole(hr, pixel_filter, 2), noise, 1), grain(hr, noise, 2)


def shifted(picture: Float32, right: float, down: float = 0.0) -> Float32:
    """Moved by linear interpolation; its border comes in again on the other side."""
    for axis, distance in ((1, right), (0, down)):
        whole = int(np.floor(distance))
        part = np.float32(distance - whole)
        near, far = np.roll(picture, whole, axis), np.roll(picture, whole + 1, axis)
        picture = np.asarray(near * (1.0 - part) + far * part, np.float32)
    return picture


def brick_wall(seed: int, width: int = 480, height: int = 270) -> Float32:
    """A wall of uneven bricks under a soft light: texture everywhere, no large moves of light."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    row = y // 17
    course = (x + 13.0 * row) // 37
    tone = rng.uniform(0.05, 0.4, (64, 64, 3)).astype(np.float32)[row.astype(int) % 64, course.astype(int) % 64]
    joint = (y % 17 < 2.5) | ((x + 13.0 * row) % 37 < 2.5)
    wall = np.where(joint[:, :, None], np.float32(0.5), tone) * (0.6 + 0.5 * x / width)[:, :, None]
    return reduce_whole(np.asarray(wall, np.float32).repeat(2, 0).repeat(2, 1), blackman_harris(), 2)


@pytest.fixture(scope="module")
def plate() -> Float32:
    """The committed plate, rendered by Cycles."""
    return read_rgb(PLATE)


# ---- good pairs


@pytest.mark.parametrize("pixel_filter", FILTERS, ids=lambda f: f.name)
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_a_rendered_plate_reduced_by_any_filter_is_coherent(
    plate: Float32, pixel_filter: PixelFilter, noise: float
) -> None:
    assert fault(measure(*pair_of(plate, pixel_filter, noise))) == ""


@pytest.mark.parametrize("seed", range(12))
def test_drawn_pictures_are_coherent(seed: int) -> None:
    """Hair, lettering, lights of several hundred, ramps, defocus."""
    hr = procedural_image(seed, 256)
    assert fault(measure(*pair_of(hr, FILTERS[seed % 4]))) == ""


@pytest.mark.shared
def test_photographs_are_coherent(shared_folder: Path) -> None:
    for name in ("ScanLines_Carrots", "ScanLines_MtTamWest", "ScanLines_StillLife", "Beachball_singlepart.0003"):
        hr = read_rgb(shared_folder / "plates" / f"{name}.exr")[:480, :640]
        for pixel_filter in FILTERS:
            assert fault(measure(*pair_of(hr, pixel_filter))) == "", (name, pixel_filter.name)


def test_fireflies_in_one_render_do_not_matter() -> None:
    lr, hr = pair_of(brick_wall(0))
    rng = np.random.default_rng(3)
    for picture in (lr, hr):
        at = rng.integers(0, picture.shape[0], 40), rng.integers(0, picture.shape[1], 40)
        picture[at] = rng.uniform(10.0, 5000.0, (40, 1))
    assert fault(measure(lr, hr)) == ""


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
def test_a_flat_frame_has_no_shift(noise: float) -> None:
    found = measure(*pair_of(np.full((128, 192, 3), 0.2, np.float32), noise=noise))
    assert found.shift == (0.0, 0.0)
    assert (found.worst_shift, found.textured, found.worst_edges) == (0.0, 0.0, 1.0)
    assert fault(found) == ""


def test_an_empty_frame_is_coherent() -> None:
    assert fault(measure(np.zeros((32, 48, 3), np.float32), np.zeros((64, 96, 3), np.float32))) == ""


def test_along_parallel_edges_nothing_is_made_up() -> None:
    """Vertical stripes: a shift to the right is seen, one down cannot be."""
    x = np.arange(384, dtype=np.float32)
    stripes = np.broadcast_to(0.2 + 0.15 * np.sin(x / 7.0)[None, :, None], (256, 384, 3)).astype(np.float32)
    lr, _ = pair_of(stripes)
    right, down = measure(lr, grain(shifted(stripes, 1.0, 5.0), 0.05, 2)).shift
    assert right == pytest.approx(0.5, abs=0.05)
    assert down == pytest.approx(0.0, abs=0.001)


# ---- shifts


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("source", ["plate", "wall"])
def test_a_shifted_render_is_found_and_measured(plate: Float32, source: str, distance: float) -> None:
    hr = plate if source == "plate" else brick_wall(1)
    lr, hr = pair_of(hr)
    found = measure(lr, shifted(hr, distance))
    assert found.shift == pytest.approx((distance / 2.0, 0.0), abs=0.06 + 0.05 * distance)
    assert fault(found).startswith("shifted by ")


def test_the_sign_of_a_shift_is_right_and_down() -> None:
    lr, hr = pair_of(brick_wall(2))
    right, down = measure(lr, shifted(hr, 0.8, -0.6)).shift
    assert right == pytest.approx(0.4, abs=0.05)
    assert down == pytest.approx(-0.3, abs=0.05)


def test_half_the_frame_shifted_is_found_in_blocks() -> None:
    """As when one of two objects moves: the global shift may stay small."""
    lr, hr = pair_of(brick_wall(3))
    moved = hr.copy()
    moved[:, :160] = shifted(hr, 2.0)[:, :160]
    found = measure(lr, moved)
    assert found.worst_shift == pytest.approx(1.0, abs=0.15)
    assert fault(found).startswith("shifted by ")
    assert "worst block" in fault(replace(found, shift=(0.0, 0.0)))


# ---- light and colour


@pytest.mark.parametrize(
    ("gain", "reason"),
    [
        ((1.05, 1.05, 1.05), "HR is brighter throughout: "),
        ((0.94, 0.94, 0.94), "HR is darker throughout: "),
        ((1.03, 1.0, 0.97), "differs in colour: "),
        ((1.0, 1.05, 1.0), "differs in colour: "),
    ],
)
@pytest.mark.parametrize("source", ["plate", "wall"])
def test_another_exposure_or_white_balance_is_found(
    plate: Float32, source: str, gain: tuple[float, float, float], reason: str
) -> None:
    lr, hr = pair_of(plate if source == "plate" else brick_wall(4))
    assert fault(measure(lr, hr * np.array(gain, np.float32))).startswith(reason)


def test_a_soft_light_from_the_side_is_found() -> None:
    """Nothing on the whole, but brighter right and darker left."""
    lr, hr = pair_of(brick_wall(5))
    slope = np.linspace(-0.3, 0.3, hr.shape[1], dtype=np.float32)[None, :, None]
    assert fault(measure(lr, np.asarray(hr * (1.0 + slope), np.float32))).startswith("low frequencies differ by ")


def test_a_small_lamp_is_found_where_it_shines() -> None:
    lr, hr = pair_of(brick_wall(6))
    y, x = np.mgrid[0 : hr.shape[0], 0 : hr.shape[1]].astype(np.float32)
    pool = 0.5 * np.exp(-((x - 380.0) ** 2 + (y - 60.0) ** 2) / (2.0 * 25.0**2))
    reason = fault(measure(lr, np.asarray(hr * (1.0 + pool[:, :, None]), np.float32)))
    assert reason.startswith("low frequencies differ by ")
    assert "worst block" in reason


# ---- other content


def test_an_object_in_a_corner_is_found(plate: Float32) -> None:
    lr, hr = pair_of(plate)
    hr[-40:, -40:] *= 0.3
    assert "worst block" in fault(measure(lr, hr))


def test_an_object_that_moved_is_found() -> None:
    wall = brick_wall(7)
    first, second = wall.copy(), wall.copy()
    first[100:150, 200:250] = 0.02
    second[100:150, 210:260] = 0.02
    lr, _ = pair_of(first)
    assert "worst block" in fault(measure(lr, grain(second, 0.05, 2)))


def test_other_texture_of_the_same_light_is_found_by_its_edges() -> None:
    """A patch turned upside down: its mean is the same, its edges are not."""
    lr, hr = pair_of(brick_wall(10))
    hr[100:164, 200:264] = hr[100:164, 200:264][::-1, ::-1]
    found = measure(lr, hr)
    assert found.worst_edges < 0.4
    assert fault(replace(found, worst_difference=0.0)).endswith("in the worst block (at least 0.45)")


def test_a_mirrored_or_another_picture_is_found(plate: Float32) -> None:
    lr, hr = pair_of(plate)
    others = (hr[:, ::-1], hr[::-1], brick_wall(8), procedural_image(1, 480)[:270])
    for other in others:
        assert fault(measure(lr, np.ascontiguousarray(other))).startswith("shows something else: ")


def test_another_wall_of_the_same_bond_is_found() -> None:
    """Joints, light and mean colour agree; only the bricks are others."""
    lr, _ = pair_of(brick_wall(8))
    assert fault(measure(lr, brick_wall(9))) != ""


@pytest.mark.shared
def test_the_next_frame_of_a_moving_shot_is_found(shared_folder: Path) -> None:
    frames = [read_rgb(shared_folder / "plates" / f"Beachball_singlepart.000{n}.exr") for n in (2, 3, 4)]
    height, width = (min(side) // 2 * 2 for side in zip(*(frame.shape[:2] for frame in frames), strict=True))
    first, second, third = (frame[:height, :width] for frame in frames)
    lr, _ = pair_of(first)
    assert fault(measure(lr, grain(second, 0.05, 2))) != ""
    assert fault(measure(lr, grain(third, 0.05, 2))) != ""


def test_a_black_frame_is_found() -> None:
    lr, hr = pair_of(brick_wall(9))
    assert fault(measure(lr, 0.0 * hr)) != ""


# ---- what is no picture


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_nan_and_inf_are_a_fault_and_no_crash(value: float, which: int) -> None:
    pair = pair_of(brick_wall(0))
    pair[which][5, 7] = value
    found = measure(*pair)
    assert found.nonfinite == 3
    assert fault(found) == "holds NaN or Inf (3 values)"
    assert np.isfinite(json.loads(json.dumps(found.as_dict(), allow_nan=False))["difference"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, -3e38, -0.5])
def test_frames_of_nothing_else_do_not_crash(value: float) -> None:
    picture = np.full((32, 32, 3), value, np.float32)
    json.dumps(measure(picture, picture.repeat(2, 0).repeat(2, 1)).as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("lr", "hr"),
    [((32, 32, 3), (64, 62, 3)), ((32, 32, 4), (64, 64, 4)), ((32, 32), (64, 64)), ((8, 32, 3), (16, 64, 3))],
)
def test_shapes_that_are_no_pair_are_refused(lr: tuple[int, ...], hr: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"pixels|no pair"):
        measure(np.zeros(lr, np.float32), np.zeros(hr, np.float32))


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (16, 200), (61, 47)])
def test_small_and_odd_sizes_are_measured(size: tuple[int, int]) -> None:
    hr = brick_wall(1, 2 * size[1], 2 * size[0])
    assert fault(measure(*pair_of(hr, noise=0.0))) == ""


# ---- figures and limits


def test_figures_are_json_and_repeat() -> None:
    pair = pair_of(brick_wall(1))
    first, second = (measure(*pair).as_dict() for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert all(round(v, 5) == v for v in [first["difference"], *first["shift"], *first["offset"]])
    assert len(first["offset"]) == 3


def test_every_limit_has_its_reason() -> None:
    good = measure(*pair_of(brick_wall(1)))
    assert fault(good) == ""
    spoilt: list[tuple[dict[str, Any], str]] = [
        ({"difference": 0.1}, "low frequencies differ by 0.1000 (at most 0.0060)"),
        ({"worst_difference": 0.031}, "low frequencies differ by 0.0310 in the worst block (at most 0.0120)"),
        ({"offset": (0.0, -0.01, -0.009)}, "differs in colour: channels drift apart by 0.0100 (at most 0.0015)"),
        ({"offset": (-0.01, -0.01, -0.0101)}, "HR is darker throughout: blue by 0.0101 (at most 0.0015)"),
        ({"shift": (0.0, -0.62)}, "shifted by 0.62 LR pixels (at most 0.15)"),
        ({"worst_shift": 2.0}, "shifted by 2.00 LR pixels in the worst block (at most 0.75)"),
        ({"edges": 0.7}, "edges correlate by 0.70 (at least 0.80)"),
        ({"edges": 0.2}, "shows something else: edges correlate by 0.20 (at least 0.80)"),
        ({"worst_edges": 0.1}, "edges correlate by 0.10 in the worst block (at least 0.45)"),
    ]
    for figures, reason in spoilt:
        assert fault(replace(good, **figures)) == reason


def test_limits_can_be_widened() -> None:
    lr, hr = pair_of(brick_wall(1))
    found = measure(lr, shifted(hr, 0.6))
    assert fault(found) != ""
    assert fault(found, Limits(shift=0.5)) == ""


def test_detail_tells_an_upsampled_render_from_a_real_one(plate: Float32) -> None:
    lr, hr = pair_of(plate)
    upsampled = CURVE.expand(double(pad(CURVE.compress(lr), 2, 2, 2, 2), 2))
    assert measure(lr, upsampled).detail < 0.3
    assert measure(lr, hr).detail > 0.5


def test_the_difference_picture_shows_the_place_and_the_sign() -> None:
    lr, hr = pair_of(brick_wall(2))
    hr[100:140, 300:340] *= 2.0
    picture = difference_picture(lr, hr)
    assert picture.shape == lr.shape
    assert picture[55:65, 155:165].mean() > 0.02
    assert np.abs(picture[:, :130]).mean() < 0.002


def test_a_pair_of_a_quarter_megapixel_takes_a_fraction_of_a_second() -> None:
    lr, hr = pair_of(brick_wall(1, 1280, 720))
    before = time.process_time()
    measure(lr, hr)
    assert time.process_time() - before < 2.0  # it takes about 0.1 s
