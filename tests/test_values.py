"""Values: negatives, highlights, NaN and Inf, alpha and premultiplication, smooth ramps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plates import picture, pixels, write_plate

from deepupscale import Engine, Settings, load_model, open_session
from deepupscale.devices import cpu_precisions
from deepupscale.errors import InferenceError
from deepupscale.fields import Method
from deepupscale.upscaler import Upscaler, agree_with_alpha

MakeEngine = Callable[..., Engine]


def upscale(engine: Engine, folder: Path, planes: dict[str, Any], **header: Any) -> tuple[dict[str, np.ndarray], Any]:
    """The planes doubled through files; also the report."""
    source = write_plate(folder / "plate.exr", planes, **header)
    report = engine.upscale(source, folder / "result.exr")
    return pixels(folder / "result.exr")[0], report


@pytest.fixture(scope="module")
def default_engine() -> Engine:
    model = load_model()
    return Engine(model, open_session(model, "cpu", "f32", threads=2), Settings())


@pytest.mark.parametrize("value", [-3.0, -1e-4, 0.0, 0.18, 1.0, 65504.0])
def test_a_flat_plate_stays_flat_at_every_level(default_engine: Engine, tmp_path: Path, value: float) -> None:
    done, _ = upscale(default_engine, tmp_path, {c: np.full((9, 12), value, np.float16) for c in "RGB"})
    for channel in "RGB":
        np.testing.assert_allclose(done[channel], np.float16(value), rtol=1e-3)


@pytest.mark.parametrize("value", [1e5, 1e20, 3.4e38, -1e30])
def test_float_plates_keep_light_beyond_half(default_engine: Engine, tmp_path: Path, value: float) -> None:
    done, report = upscale(default_engine, tmp_path, {c: np.full((9, 12), value, np.float32) for c in "RGB"})
    np.testing.assert_allclose(done["G"], np.float32(value), rtol=1e-4)
    assert not report.clamped


def test_negatives_survive_beside_highlights(default_engine: Engine, tmp_path: Path) -> None:
    light = np.full((20, 20), 0.2, np.float32)
    light[3:11, 3:11], light[12:15, 12:15] = -0.05, 500.0
    done, _ = upscale(default_engine, tmp_path, dict.fromkeys("RGB", light))
    np.testing.assert_allclose(done["R"][13:15, 13:15], -0.05, atol=0.005)
    assert done["R"][26:28, 26:28].min() > 250.0


def test_half_overflow_is_clamped_and_said(make_engine: MakeEngine, tmp_path: Path) -> None:
    engine = make_engine(layers={"forward": Method.FILTER})
    planes = {"forward.u": np.full((4, 5), 60000.0, np.float16), "forward.v": np.full((4, 5), -60000.0, np.float16)}
    done, report = upscale(engine, tmp_path, planes)  # motion doubles, to 120000
    assert (done["forward.u"] == 65504.0).all()
    assert (done["forward.v"] == -65504.0).all()
    assert report.clamped == {"forward.u": 80, "forward.v": 80}


def test_nan_and_inf_stay_in_their_neighbourhood_and_are_counted(default_engine: Engine, tmp_path: Path) -> None:
    clean = picture(96, 80, "RGB", dtype=np.float32)
    dirty = {name: plane.copy() for name, plane in clean.items()}
    dirty["R"][40, 50] = np.nan
    dirty["G"][40, 50] = np.inf
    dirty["G"][0, 0] = -np.inf
    done, report = upscale(default_engine, tmp_path, dirty)
    assert report.nonfinite == {"R": 1, "G": 2}
    assert all(np.isfinite(plane).all() for plane in done.values())
    reference, none = upscale(default_engine, tmp_path, clean)
    assert none.nonfinite == {}
    far = np.ones((160, 192), bool)
    reach = 2 * 30  # the network's radius and the filler's
    far[80 - reach : 82 + reach, 100 - reach : 102 + reach] = False
    far[: 2 + reach, : 2 + reach] = False
    for name in "RGB":
        np.testing.assert_array_equal(done[name][far], reference[name][far])


def test_infinite_depth_stays_infinite(engine: Engine, tmp_path: Path) -> None:
    depth = np.full((6, 8), 4.0, np.float32)
    depth[:, 4:] = np.inf
    done, report = upscale(engine, tmp_path, {"Z": depth})
    np.testing.assert_array_equal(done["Z"], depth.repeat(2, 0).repeat(2, 1))
    assert report.nonfinite == {"Z": 24}


def test_depth_never_rings_or_averages_across_an_edge(engine: Engine, tmp_path: Path) -> None:
    depth = np.where(np.add.outer(np.arange(20), np.arange(24)) < 22, 2.0, 1000.0).astype(np.float32)
    done, _ = upscale(engine, tmp_path, {"Z": depth})
    assert set(np.unique(done["Z"])) == {2.0, 1000.0}


def test_motion_in_pixels_doubles(engine: Engine, tmp_path: Path) -> None:
    y, x = np.mgrid[0:10, 0:14].astype(np.float32)
    done, _ = upscale(engine, tmp_path, {"forward.u": 0.5 * x - 3.0, "forward.v": -0.25 * y})
    inner = done["forward.u"][:, 2:-2]
    np.testing.assert_allclose(
        inner, 2.0 * (0.5 * ((np.arange(28)[2:-2] + 0.5) / 2 - 0.5) - 3.0) * np.ones((20, 1)), atol=1e-5
    )


@pytest.mark.parametrize("method", [Method.FILTER, Method.NEAREST, Method.NET])
def test_motion_doubles_whatever_method_is_asked_for(make_engine: MakeEngine, tmp_path: Path, method: Method) -> None:
    planes = {"forward.u": np.full((6, 8), 3.0, np.float32), "forward.v": np.full((6, 8), -0.5, np.float32)}
    done, _ = upscale(make_engine(layers={"forward": method}), tmp_path, planes)
    np.testing.assert_allclose(done["forward.u"], 6.0, rtol=1e-5)
    np.testing.assert_allclose(done["forward.v"], -1.0, rtol=1e-5)


def test_no_id_is_invented(engine: Engine, tmp_path: Path) -> None:
    names = np.random.default_rng(0).choice(np.array([1.0, 7.0, 4711.25], np.float32), (9, 13))
    done, _ = upscale(engine, tmp_path, {"objectId": names, "CryptoObject00.R": names})
    for plane in done.values():
        np.testing.assert_array_equal(plane, names.repeat(2, 0).repeat(2, 1))


def soft_disc(size: int, softness: float) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) - (size - 1) / 2
    return np.clip((size / 3 - np.hypot(x, y)) / softness + 0.5, 0.0, 1.0).astype(np.float32)


@pytest.mark.parametrize("softness", [0.5, 1.0, 6.0])
@pytest.mark.parametrize("colour", [(0.9, 0.5, 0.1), (30.0, 20.0, 5.0), (0.001, 0.002, 0.004)])
def test_no_fringe_over_white_or_black(
    default_engine: Engine, tmp_path: Path, softness: float, colour: tuple[float, float, float]
) -> None:
    alpha = soft_disc(60, softness)
    planes = {name: alpha * np.float32(value) for name, value in zip("RGB", colour, strict=True)}
    done, _ = upscale(default_engine, tmp_path, {**planes, "A": alpha})
    cover = done["A"]
    assert cover.min() == 0.0
    assert cover.max() == 1.0
    for name, value in zip("RGB", colour, strict=True):
        over_white = done[name] + (1.0 - cover)
        truth = value * cover + (1.0 - cover)
        assert np.abs(over_white - truth).max() <= 2e-3 * max(value, 1.0), "a fringe over white"
        assert (done[name] >= 0.0).all()
        assert (done[name] <= value * 1.001).all(), "a bright fringe over black"
        assert (done[name][cover == 0.0] == 0.0).all()


def test_alpha_in_range_stays_in_range_and_constant_alpha_stays_constant(
    default_engine: Engine, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    alpha = np.clip(np.round(rng.random((40, 50)) * 3) / 2 - 0.2, 0.0, 1.0).astype(np.float32)
    alpha[:, 25:] = 1.0
    done, _ = upscale(default_engine, tmp_path, {**picture(50, 40, dtype=np.float32), "A": alpha})
    assert done["A"].min() >= 0.0
    assert done["A"].max() <= 1.0
    assert (done["A"][:, 52:] == 1.0).all()


def test_additive_light_without_coverage_is_kept(default_engine: Engine, tmp_path: Path) -> None:
    glow = np.zeros((24, 24), np.float32)
    glow[8:16, 8:16] = 5.0
    planes = {**dict.fromkeys("RGB", glow), "A": np.zeros((24, 24), np.float32)}
    done, _ = upscale(default_engine, tmp_path, planes)
    assert done["R"][20:28, 20:28].min() > 2.5


def test_agreement_with_alpha_changes_nothing_where_alpha_is_opaque() -> None:
    colour = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32) * 50
    plate = np.ones((6, 6, 3), np.float32)
    ones = np.ones((6, 6, 1), np.float32)
    np.testing.assert_array_equal(agree_with_alpha(colour, np.ones((8, 8, 1), np.float32), plate, ones, 1), colour)


@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
@pytest.mark.parametrize(("first", "last"), [(0.1, 1.0), (0.0, 0.02), (1.0, 300.0)])
def test_a_smooth_ramp_stays_smooth(precision: str, first: float, last: float) -> None:
    if precision not in cpu_precisions():
        pytest.skip(f"this CPU does not compute in {precision}")
    model = load_model()
    upscaler = Upscaler(model, open_session(model, "cpu", precision, threads=2))
    width, m = 2000, upscaler.margin
    curve = model.promise.inputs[0].transfer.range_compression()  # pyright: ignore[reportAttributeAccessIssue]
    levels = np.linspace(
        curve.compress(np.float32(first)), curve.compress(np.float32(last)), width + 2 * m, dtype=np.float32
    )
    ramp = np.broadcast_to(curve.expand(levels)[np.newaxis, :, np.newaxis], (1 + 2 * m, width + 2 * m, 3))
    done = curve.compress(upscaler.double_colour(np.ascontiguousarray(ramp)))[0, :, 1]
    step = float(levels[1] - levels[0])
    steps = np.diff(done)
    assert steps.min() > -0.25 * step, "the ramp turns back"
    assert steps.max() < 2.0 * step, "the ramp has a band"
    ideal = levels[m] + (np.arange(2 * width) - 0.5) * step / 2
    assert np.abs(done - ideal).max() < 1e-3


def test_a_runtime_that_gives_up_costs_the_frame_and_leaves_nothing(
    make_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def give_up(*_: object) -> None:
        raise InferenceError("OpenVINO failed: no memory")

    monkeypatch.setattr(Upscaler, "double_colour", give_up)
    source = write_plate(tmp_path / "plate.exr")
    with pytest.raises(InferenceError, match=r"plate\.exr: OpenVINO failed"):
        make_engine().upscale(source, tmp_path / "result.exr")
    assert list(tmp_path.iterdir()) == [source]
