"""Fidelity metrics: figures worked out by hand, invariances, an independent window loop, and refusals."""

import math
from pathlib import Path

import numpy as np
import pytest

from deepupscale.range_compression import RangeCompression
from model.baselines import bicubic_compressed
from model.metrics import colour_drift, psnr, sharpness, ssim
from model.procedural import procedural_image
from model.temporal import temporal_difference, warp
from render.pair_files import read_pair

CURVE = RangeCompression()
PAIRS = Path(__file__).parent / "pairs"


def waves() -> tuple[np.ndarray, np.ndarray]:
    """A picture and a spoilt one, (24, 28, 3), that any language can make again."""
    y, x = np.mgrid[0:24, 0:28]
    truth = np.stack([0.5 + 0.4 * np.sin(0.7 * x + 0.3 * y), 0.3 + 0.2 * np.cos(0.5 * y), (x * y % 7) / 10.0], 2)
    truth = truth.astype(np.float32)
    return (truth * 0.9 + 0.03 * ((x * 3 + y * 5) % 4)[:, :, None]).astype(np.float32), truth


def column(values: list[float], rows: int = 40, each: int = 1) -> np.ndarray:
    """A picture (rows, len(values) * each, 3) whose columns have these scene-linear values."""
    row = np.repeat(np.array(values, np.float32), each)
    return np.broadcast_to(row[None, :, None], (rows, row.size, 3)).copy()


# --- psnr ---


def test_psnr_of_known_errors():
    truth = np.zeros((4, 4, 3), np.float32)
    half = truth.copy()
    half[:2] = 0.1  # half of the pixels are wrong by 0.1: mean squared error 0.005
    assert psnr(truth + np.float32(0.1), truth) == pytest.approx(20.0, abs=1e-5)
    assert psnr(half, truth) == pytest.approx(-10.0 * math.log10(0.005), abs=1e-5)
    assert psnr(truth, truth) == math.inf
    assert math.isnan(psnr(truth[:0], truth[:0]))


# --- ssim ---


def test_ssim_of_flat_pictures_is_the_luminance_term_alone():
    a, b = np.full((16, 16, 3), 0.4, np.float32), np.full((16, 16, 3), 0.5, np.float32)
    assert ssim(a, b) == pytest.approx((2 * 0.4 * 0.5 + 1e-4) / (0.16 + 0.25 + 1e-4), abs=1e-7)


def test_ssim_agrees_with_scikit_image():
    # structural_similarity of scikit-image 0.26 with gaussian_weights, sigma=1.5, use_sample_covariance=False,
    # data_range=1, channel_axis=2
    ours, truth = waves()
    assert ssim(ours, truth) == pytest.approx(0.9586545333077149, abs=1e-12)


def test_ssim_agrees_with_a_loop_over_windows():
    ours, truth = (p[:13, :12] for p in waves())
    side = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(side, side) / side.sum() ** 2
    scores = []
    for y in range(3):
        for x in range(2):
            for c in range(3):
                a, b = (p[y : y + 11, x : x + 11, c].astype(np.float64) for p in (ours, truth))
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                cov = (window * (a - ma) * (b - mb)).sum()
                scores.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    assert ssim(ours, truth) == pytest.approx(np.mean(scores), abs=1e-9)


def test_ssim_is_symmetric_one_for_equals_and_blind_to_flips():
    ours, truth = waves()
    assert ssim(truth, truth) == pytest.approx(1.0, abs=1e-12)
    assert ssim(ours, truth) == pytest.approx(ssim(truth, ours), abs=1e-12)
    assert ssim(ours[::-1, ::-1], truth[::-1, ::-1]) == pytest.approx(ssim(ours, truth), abs=1e-9)
    assert ssim(np.float32(1.0) - truth, truth) < 0.0


# --- sharpness ---


def steps(middle: list[float]) -> np.ndarray:
    """A vertical edge between compressed 0.2 and 0.6, with these compressed values between the sides."""
    levels = [0.2] * 16 + middle + [0.6] * (16 - len(middle))
    return column([float(CURVE.expand(np.float32(v))) for v in levels])


def test_sharpness_of_a_step_taken_in_two_is_half():
    # |gradient|^2 of a step h is 2 h^2 in one column of crosses; of two steps h/2, 2 * 2 (h/2)^2
    assert sharpness(steps([0.4]), steps([])) == pytest.approx(0.5, abs=1e-4)
    assert sharpness(steps([0.3, 0.4, 0.5]), steps([])) == pytest.approx(0.25, abs=1e-4)
    assert sharpness(steps([]), steps([])) == 1.0
    assert sharpness(steps([]), steps([0.4])) == pytest.approx(2.0, abs=1e-3)


def test_noise_does_not_pass_for_sharpness():
    rng = np.random.default_rng(4)
    edge = CURVE.compress(np.tile(steps([]), (4, 3, 1)))
    soft = CURVE.compress(np.tile(steps([0.3, 0.4, 0.5]), (4, 3, 1)))
    noisy = soft + rng.normal(0.0, 0.05, (*edge.shape[:2], 1)).astype(np.float32)
    clean, noised = (sharpness(CURVE.expand(p), CURVE.expand(edge)) for p in (soft, noisy))
    assert noised == pytest.approx(clean, abs=0.02)
    plain = [float((np.diff(p, axis=1) ** 2).mean()) for p in (noisy, soft, edge)]
    assert plain[0] / plain[2] > plain[1] / plain[2] + 0.5  # what plain energy over the whole picture makes of it


def test_sharpness_does_not_count_ringing_below_zero_and_is_none_without_edges():
    dark, ringing = column([0.0] * 16 + [1.0] * 16), column([0.0] * 15 + [-0.05] + [1.0] * 16)
    assert sharpness(ringing, dark) == 1.0
    assert math.isnan(sharpness(column([0.5] * 32), column([0.5] * 32)))


# --- colour drift ---


def test_colour_drift_of_a_gain_is_the_gain_in_every_bin():
    reference = column([0.01, 0.09, 0.18, 1.0], rows=64, each=32)
    drift = colour_drift(reference * np.array([1.1, 1.0, 0.95], np.float32), reference)
    filled = drift.counts > 0
    np.testing.assert_allclose(drift.drift[filled], np.tile([0.1, 0.0, -0.05], (filled.sum(), 1)), atol=1e-6)
    assert drift.percent == pytest.approx(5.0, abs=1e-4)
    assert np.isnan(drift.drift[~filled]).all()


def test_colour_drift_counts_pixels_by_stop():
    reference = column([0.1, 0.2, 0.8], rows=8, each=4)  # about mid-grey: -0.85, 0.15 and 2.15 stops
    output = reference.copy()
    output[:, 8:] *= 1.5
    drift = colour_drift(output, reference, bins=(-1, 0, 1), sigma=0.0)
    assert drift.counts.tolist() == [8, 8]
    assert drift.outside == 8
    np.testing.assert_allclose(drift.drift, 0.0, atol=1e-7)
    whole = colour_drift(output, reference, bins=(-1, 0, 3), sigma=0.0)
    assert whole.counts.tolist() == [8, 16]
    np.testing.assert_allclose(whole.drift[1], 0.4, atol=1e-6)  # (0.2 + 1.2) / (0.2 + 0.8)
    assert whole.percent == pytest.approx(100.0 * 0.4 * 16 / 24, abs=1e-4)


def test_colour_drift_is_blind_to_detail_above_lr_and_nearly_to_softness():
    reference = column([0.1, 0.5] * 16)
    assert colour_drift(column([0.3] * 32), reference, sigma=0.0).percent == pytest.approx(0.0, abs=1e-4)
    edges = column([0.02] * 16 + [1.0] * 16)
    soft = np.stack([np.convolve(np.pad(edges[0, :, 0], 4, mode="edge"), np.ones(9) / 9, "valid")] * 40)
    soft = np.repeat(soft[:, :, None], 3, 2).astype(np.float32)
    assert colour_drift(soft, edges).percent < 0.25 * colour_drift(soft, edges, sigma=0.0).percent


def test_a_channel_next_to_nothing_does_not_make_large_drifts():
    reference = np.zeros((16, 16, 3), np.float32)
    reference[:, :, 1] = 1.0
    output = reference + np.array([0.01, 0.0, 0.0], np.float32)
    drift = colour_drift(output, reference)
    bin_ = int(np.flatnonzero(drift.counts)[0])
    np.testing.assert_allclose(drift.drift[bin_], [0.01 / (0.05 * 0.7152), 0.0, 0.0], rtol=1e-5, atol=1e-9)


def test_a_black_reference_is_outside_all_bins():
    black = np.zeros((8, 8, 3), np.float32)
    drift = colour_drift(black, black)
    assert drift.outside == 16
    assert math.isnan(drift.percent)


# --- temporal difference ---


def test_a_frame_carried_along_its_motion_does_not_differ():
    texture = procedural_image(7, 48)
    before, now = texture[4:36, 4:36], texture[2:34, 7:39]  # now at (x, y) shows before at (x + 3, y - 2): u 3, v 2
    motion = np.broadcast_to(np.array([3.0, 2.0], np.float32), (32, 32, 2))
    moved = temporal_difference([before, now], [motion])
    assert moved.difference == pytest.approx(0.0, abs=1e-7)
    assert moved.valid == pytest.approx(29 * 30 / 32**2)
    assert temporal_difference([before, now], [-motion]).difference > 0.01


def test_half_a_pixel_is_interpolated_in_the_compressed_range():
    ramp = column([float(CURVE.expand(np.float32(0.01 * i))) for i in range(1, 33)])
    later = column([float(CURVE.expand(np.float32(0.01 * i + 0.005))) for i in range(1, 33)])
    motion = np.broadcast_to(np.array([0.5, 0.0], np.float32), (40, 32, 2))
    assert temporal_difference([ramp, later], [motion]).difference == pytest.approx(0.0, abs=1e-6)


def test_flicker_is_measured_in_the_compressed_range_and_by_frame():
    levels = [CURVE.expand(np.full((8, 8, 3), t, np.float32)) for t in (0.3, 0.4, 0.35)]
    still = [np.zeros((8, 8, 2), np.float32)] * 2
    flicker = temporal_difference(levels, still)
    assert flicker.by_frame == pytest.approx((0.1, 0.05), abs=1e-6)
    assert flicker.difference == pytest.approx(0.075, abs=1e-6)
    assert flicker.valid == 1.0


def test_what_comes_into_view_is_left_out():
    before, now = column([0.2] * 20), column([0.2] * 20)
    before[:, 8:12], now[:, 10:14] = 0.9, 0.9  # a post goes two pixels to the right
    motion = np.zeros((40, 20, 2), np.float32)
    motion[:, 10:14, 0] = -2.0
    shown = temporal_difference([before, now], [motion])
    assert shown.difference == pytest.approx(0.0, abs=1e-7)
    valid = warp(before.astype(np.float64), motion)[1]
    assert not valid[:, 8:10].any()  # uncovered: their way leads to the post
    assert shown.valid == pytest.approx(16 / 20)  # so are the two columns of the post that they collide with


def test_motion_that_leads_nowhere_leaves_nothing_to_compare():
    frame = np.ones((6, 6, 3), np.float32)
    gone = temporal_difference([frame, frame], [np.full((6, 6, 2), 50.0, np.float32)])
    assert math.isnan(gone.difference)
    assert gone.valid == 0.0


# --- refusals, and rendered pairs ---


@pytest.mark.parametrize("metric", [psnr, ssim, sharpness, colour_drift])
def test_unequal_shapes_and_damage_are_refused(metric):
    good = np.full((16, 16, 3), 0.5, np.float32)
    with pytest.raises(ValueError, match="one shape"):
        metric(good, good[:14])
    for damage in (np.nan, np.inf, -np.inf):
        bad = good.copy()
        bad[3, 3, 1] = damage
        for pair in ((bad, good), (good, bad)):
            with pytest.raises(ValueError, match="no meaning"):
                metric(*pair)


def test_other_misuse_is_refused():
    grey = np.zeros((16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="at least 11"):
        ssim(grey[:10], grey[:10])
    with pytest.raises(ValueError, match="even sides"):
        colour_drift(grey[:15], grey[:15])
    with pytest.raises(ValueError, match="ascending"):
        colour_drift(grey, grey, bins=(0, 0))
    with pytest.raises(ValueError, match="sigma"):
        colour_drift(grey, grey, sigma=-1.0)
    with pytest.raises(ValueError, match="height, width, 3"):
        sharpness(grey[:, :, 0], grey[:, :, 0])


def test_misuse_of_sequences_is_refused():
    frame, still = np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.float32)
    broken = still.copy()
    broken[0, 0, 0] = np.nan
    for frames, motions in (
        ([frame], []),
        ([frame, frame], [still, still]),
        ([frame, frame[:3]], [still]),
        ([frame, frame], [still[:3]]),
        ([frame, frame], [broken]),
        ([frame, np.full_like(frame, np.nan)], [still]),
        ([frame[:, :, 0]] * 2, [still]),
    ):
        with pytest.raises(ValueError, match="temporal_difference"):
            temporal_difference(frames, motions)


@pytest.mark.parametrize("name", ["scene00000.0012.exr", "scene00001.0012.exr", "scene00002.0012.exr"])
def test_rendered_pairs_score_as_one_expects(name):
    lr, hr = read_pair(PAIRS / "lr" / name, PAIRS / "hr" / name)
    cubic, nearest = bicubic_compressed(lr), lr.repeat(2, 0).repeat(2, 1)
    truth = CURVE.compress(hr)
    assert psnr(CURVE.compress(cubic), truth) > psnr(CURVE.compress(nearest), truth)
    assert 0.8 < ssim(CURVE.compress(cubic), truth) < 0.95
    assert 0.25 < sharpness(cubic, hr) < 0.6  # interpolation is soft
    assert colour_drift(nearest, hr).percent < 1.0  # a pair's floor: noise
