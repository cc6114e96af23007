"""Classical upscalers: what all of them owe, and what total variation does besides."""

from pathlib import Path

import numpy as np
import pytest

from deepupscale.range_compression import RangeCompression
from model.baselines import BASELINES, bicubic, lanczos3, nuke_lanczos6, tviscale
from model.baselines.total_variation import energy, step, total_variation
from model.metrics import psnr
from model.pixel_filters import box, reduce_whole
from model.procedural import procedural_image
from render.pair_files import read_pair

PAIRS = Path(__file__).parent / "pairs"
every = pytest.mark.parametrize("name", list(BASELINES))


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, :, None], 3, 2).astype(np.float32)


def edge(low: float, high: float) -> np.ndarray:
    row = np.where(np.arange(16) < 8, low, high)
    return grey(np.broadcast_to(row, (12, 16)))


@every
@pytest.mark.parametrize("level", [0.0, 0.18, -0.02, 5000.0])
def test_constants_stay(name, level):
    lr = np.full((7, 9, 3), level, np.float32)
    out = BASELINES[name](lr)
    assert out.shape == (14, 18, 3)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, level, rtol=3e-6)


@every
def test_ramps_stay_smooth(name):
    ramp = grey(np.broadcast_to(np.linspace(0.2, 0.8, 24), (12, 24)))
    inner = BASELINES[name](ramp)[6:-6, 8:-8, 0]
    steps = np.diff(inner, axis=1)
    assert (steps > 0.0).all()
    middle = 0.6 / 23 / 2
    assert steps.min() > 0.55 * middle  # Lanczos reproduces slopes only roughly; the others nearly to rounding
    assert steps.max() < 1.45 * middle
    np.testing.assert_allclose(np.diff(inner, axis=0), 0.0, atol=1e-6)


@every
def test_pixel_areas_coincide_so_flips_commute(name):
    lr = procedural_image(11, 24)
    for flip in (np.flipud, np.fliplr, lambda p: p.transpose(1, 0, 2)):
        expected = flip(BASELINES[name](lr))
        np.testing.assert_allclose(BASELINES[name](np.ascontiguousarray(flip(lr))), expected, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["bicubic", "lanczos3", "nuke-lanczos6", "tviscale"])
def test_the_mean_is_kept_in_linear_light(name):
    lr = np.pad(np.random.default_rng(2).random((16, 16, 3), np.float32), ((8, 8), (8, 8), (0, 0)), mode="edge")
    out = BASELINES[name](lr)
    np.testing.assert_allclose(out.mean(axis=(0, 1)), lr.mean(axis=(0, 1)), rtol=1e-2)


@every
def test_highlights_and_negatives_survive(name):
    lr = np.full((12, 12, 3), 0.2, np.float32)
    lr[3:5, 3:5] = 20000.0
    lr[8:10, 8:10] = -0.05
    out = BASELINES[name](lr)
    assert np.isfinite(out).all()
    assert out.max() > 15000.0
    assert out[17:19, 17:19].max() < -0.01
    assert lr[0, 0, 0] == np.float32(0.2)  # the input is left alone


@every
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 8, 3), (8, 1, 3), (2, 3, 3)])
def test_the_smallest_pictures_are_doubled(name, shape):
    lr = np.random.default_rng(0).random(shape, np.float32)
    out = BASELINES[name](lr)
    assert out.shape == (2 * shape[0], 2 * shape[1], 3)
    assert np.isfinite(out).all()


@every
def test_other_shapes_and_damage_are_refused(name):
    good = np.zeros((4, 4, 3), np.float32)
    for shape in ((4, 4), (4, 4, 4), (0, 4, 3)):
        with pytest.raises(ValueError, match="height, width, 3"):
            BASELINES[name](np.zeros(shape, np.float32))
    for damage in (np.nan, np.inf):
        bad = good.copy()
        bad[1, 2, 0] = damage
        with pytest.raises(ValueError, match="finite"):
            BASELINES[name](bad)


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        BASELINES["mine"] = bicubic  # type: ignore[index]


def test_nuke_lanczos6_is_what_openimageio_calls_so():
    oiio = pytest.importorskip("OpenImageIO")
    lr = procedural_image(5, 20)
    source = oiio.ImageBuf(lr)
    doubled = oiio.ImageBufAlgo.resize(source, filtername="nuke-lanczos6", roi=oiio.ROI(0, 40, 0, 40, 0, 1, 0, 3))
    theirs = doubled.get_pixels()[8:-8, 8:-8]  # its borders are black
    np.testing.assert_allclose(nuke_lanczos6(lr)[8:-8, 8:-8], theirs, rtol=1e-3, atol=1e-4 * float(lr.max()))
    np.testing.assert_array_equal(nuke_lanczos6(lr), lanczos3(lr))


# --- total variation ---


def start(lr: np.ndarray) -> np.ndarray:
    return tviscale(lr, iterations=0)[:, :, 0].astype(np.float64)


@pytest.mark.parametrize("lambda_", [0.1, 5.0, 1000.0])
@pytest.mark.parametrize("a", [1e-6, 1e-4, 0.1])
@pytest.mark.parametrize("gain", [0.01, 1.0, 1e4])
def test_every_iteration_lowers_the_energy_and_the_variation(lambda_, a, gain):
    lr = procedural_image(3, 24) * np.float32(gain)
    u, known = start(lr), lr[:, :, 0].astype(np.float64)
    energies, variations = [energy(u, known, lambda_, a)], [total_variation(u, a)]
    for _ in range(30):
        u = step(u, known, lambda_, a)
        energies.append(energy(u, known, lambda_, a))
        variations.append(total_variation(u, a))
    assert (np.diff(energies) <= 1e-12 * energies[0]).all()
    assert energies[-1] < energies[0]
    assert (np.diff(variations) <= 1e-9 * variations[0]).all()


def test_one_step_by_hand():
    # Two LR pixels 0 and 1; doubled 0 0 1 1 in both rows. Only the pair across the edge differs.
    lr, a, lambda_ = np.array([[0.0, 1.0]]), 0.5, 2.0
    u = np.array([[0.0, 0.0, 1.0, 1.0]] * 2)
    flat, steep = 1.0 / a, 1.0 / np.sqrt(1.0 + a * a)
    outer, inner, up = flat + steep, 2.0 * steep, 2.0 * steep  # weights along the row, and between the two rows
    moved = inner / (2.0 * (outer + inner + up) + lambda_)
    np.testing.assert_allclose(step(u, lr, lambda_, a)[0], [0.0, moved, 1.0 - moved, 1.0], atol=1e-12)


def test_the_start_holds_block_means_and_makes_no_new_value():
    lr = procedural_image(9, 24)
    begun = tviscale(lr, iterations=0)
    np.testing.assert_allclose(reduce_whole(begun, box(), 2), lr, rtol=1e-4, atol=1e-5)
    assert begun.min() >= lr.min()
    assert begun.max() <= lr.max()


def test_the_minimiser_keeps_the_mean():
    lr = procedural_image(3, 12)
    for iterations, error in ((5, 2e-2), (3000, 2e-4)):
        out = tviscale(lr, iterations=iterations, lambda_=50.0, a=0.01)
        np.testing.assert_allclose(out.mean(axis=(0, 1)), lr.mean(axis=(0, 1)), rtol=error)


def test_edges_stay_sharper_than_bicubic_without_overshoot():
    for low, high in ((0.1, 0.9), (0.01, 50.0), (-0.02, 0.3)):
        lr = edge(low, high)
        ours, cubic = tviscale(lr)[12, :, 0], bicubic(lr)[12, :, 0]
        height = high - low
        assert np.diff(ours).max() > 1.2 * np.diff(cubic).max()
        assert ours.min() > low - 1e-3 * height
        assert ours.max() < high + 1e-3 * height
        assert cubic.max() > high + 0.02 * height


def test_noise_is_smoothed_and_a_large_lambda_keeps_it():
    noise = np.random.default_rng(1).normal(0.5, 0.02, (24, 24)).astype(np.float32)
    lr = grey(noise)
    left = {lambda_: float(tviscale(lr, lambda_=lambda_).std()) for lambda_ in (1.0, 100.0, 10000.0)}
    assert left[1.0] < left[100.0] < left[10000.0]
    assert left[1.0] < 0.6 * tviscale(lr, iterations=0).std()
    kept = tviscale(lr, iterations=300, lambda_=10000.0)
    np.testing.assert_allclose(reduce_whole(kept, box(), 2), lr, atol=2e-3)


@pytest.mark.parametrize(
    "parameters",
    [{"iterations": -1}, {"lambda_": 0.0}, {"lambda_": -1.0}, {"lambda_": np.nan}, {"a": 0.0}, {"a": np.inf}],
)
def test_parameters_out_of_range_are_refused(parameters):
    with pytest.raises(ValueError, match=r"iterations|lambda"):
        tviscale(np.zeros((4, 4, 3), np.float32), **parameters)


def test_on_rendered_pairs_the_compressed_range_serves_lanczos_better():
    curve = RangeCompression()
    for name in ("scene00000.0012.exr", "scene00001.0012.exr", "scene00002.0012.exr"):
        lr, hr = read_pair(PAIRS / "lr" / name, PAIRS / "hr" / name)
        truth = curve.compress(hr)
        scores = {key: psnr(curve.compress(double(lr)), truth) for key, double in BASELINES.items()}
        assert scores["lanczos3-compressed"] > scores["lanczos3"] + 2.0
        assert all(24.0 < score < 36.0 for score in scores.values())
