"""TorchScript for Nuke's Inference node: the engine's result, whatever it is given, in operations that Nuke knows."""

from __future__ import annotations

import copy
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from generators import residual  # noqa: E402
from plates import pixels, write_plate  # noqa: E402

from deepupscale import resample  # noqa: E402
from deepupscale.cli.app import invoke  # noqa: E402
from deepupscale.engine import Engine, Settings  # noqa: E402
from deepupscale.range_compression import RangeCompression  # noqa: E402
from deepupscale.resample import Float32  # noqa: E402
from deepupscale.upscaler import Upscaler  # noqa: E402
from export import torchscript  # noqa: E402
from export.torchscript import engine_result, made_plate, to_torchscript  # noqa: E402
from model.checkpoint import metadata  # noqa: E402
from model.networks import Generator, ProsrGenerator  # noqa: E402
from model.torch_session import TorchSession, as_model_file  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
CURVE = RangeCompression()
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def prosr() -> ProsrGenerator:
    torch.manual_seed(4)
    network = ProsrGenerator(width=8, units=1, layers=2, growth=4)
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return network.eval()


class Exported:
    """A network, the file made of it, and the engine that runs the same network."""

    def __init__(self, network: Generator, folder: Path) -> None:
        self.network, self.path = network, folder / "small.pt"
        self.report = to_torchscript(network, self.path)
        self.left = sorted(path.name for path in folder.iterdir())
        self.upscaler = Upscaler(as_model_file(network, self.path, ""), TorchSession(copy.deepcopy(network), "cpu"))

    def load(self) -> Any:
        return torch.jit.load(self.path)

    def truth(self, plate: Float32) -> Float32:
        return engine_result(self.upscaler, plate)


@pytest.fixture(scope="module", params=[residual, prosr])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(request.param(), tmp_path_factory.mktemp("torchscript"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(residual(), tmp_path_factory.mktemp("torchscript"))


def through(module: Any, plate: Float32, dtype: Any = torch.float32) -> Float32:
    """A plate (h, w, 3), doubled by repetition as Nuke would, through a module."""
    return torchscript.run(module, resample.double_nearest(plate, 0), dtype)


def distance(result: Float32, truth: Float32) -> float:
    """Largest difference in the compressed range; NaN if either has one."""
    return float(np.abs(CURVE.compress(result) - CURVE.compress(truth)).max())


def stacked(planes: Mapping[str, Float32]) -> Float32:
    return np.stack([planes[name] for name in "RGB"], axis=2)


# --- the engine's result ---


def test_the_report_says_what_was_written(either: Exported) -> None:
    report = either.report
    assert either.left == ["small.pt"]
    assert report.size == either.path.stat().st_size
    assert report.version == 4
    assert report.error < 2e-6
    assert 1e-5 < report.half_error < 5e-3
    assert {"aten::conv2d", "aten::pixel_shuffle", "aten::max_pool2d", "prim::Loop"} <= set(report.operations)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (16, 16), (50, 37)])
def test_the_file_gives_what_the_engine_gives(either: Exported, size: tuple[int, int]) -> None:
    plate = made_plate(*size)
    result = through(either.load(), plate)
    assert result.shape == (2 * size[0], 2 * size[1], 3)
    assert distance(result, either.truth(plate)) < 1e-5


def test_the_made_plate_asks_for_something() -> None:
    plate = made_plate(50, 37)
    assert plate.max() > 500.0
    assert plate.min() < -0.05
    correction = residual()(torch.from_numpy(CURVE.compress(plate).transpose(2, 0, 1).copy())[None])
    assert float(correction.detach().abs().max()) > 0.1


def test_the_example_plate_comes_out_as_from_the_command(small: Exported, tmp_path: Path) -> None:
    planes = pixels(ROOT / "examples" / "plate.exr")[0]
    cut = {name: np.ascontiguousarray(planes[name][100:149, 200:263], np.float32) for name in "RGB"}
    plate, source, result = stacked(cut), write_plate(tmp_path / "plate.exr", cut), tmp_path / "doubled.exr"
    model = as_model_file(small.network, small.path, "0" * 64)
    Engine(model, TorchSession(copy.deepcopy(small.network), "cpu"), Settings(precision="f32")).upscale(source, result)
    truth = stacked(pixels(result)[0])
    assert truth.dtype == np.float32
    assert distance(truth, resample.double_nearest(plate, 0)) > 0.01
    assert distance(through(small.load(), plate), truth) < 1e-5


def test_strips_change_nothing(either: Exported) -> None:
    module, plate = either.load(), made_plate(61, 40)
    whole = through(module, plate)
    module.strip_pixels = 40 * 17
    assert distance(through(module, plate), whole) < 1e-6
    assert distance(through(module, plate[:16]), either.truth(plate[:16])) < 1e-5


def test_the_correction_is_bounded_as_in_the_engine(tmp_path: Path) -> None:
    network = residual()
    torch.nn.init.normal_(network.tail.weight, std=1.0)
    torch.nn.init.constant_(network.tail.bias, 3.0)
    upscaler = Upscaler(as_model_file(network, tmp_path, ""), TorchSession(copy.deepcopy(network), "cpu"))
    plate = made_plate(20, 24)
    plate[:, :12] = [0.18, 0.5, 40.0]
    result = through(torchscript.script(network, tmp_path), plate)
    assert distance(result, engine_result(upscaler, plate)) < 1e-5
    assert distance(result[:, :16], resample.double_nearest(plate, 0)[:, :16]) < 1e-6  # nothing to correct where flat


def test_light_beyond_what_mu_times_it_can_hold(small: Exported) -> None:
    plate = made_plate(12, 12)
    plate[3, 4], plate[7, 7], plate[9, 2] = 3e38, -2e36, 1e21
    result, truth = through(small.load(), plate), small.truth(plate)
    assert np.isfinite(result).all()
    assert np.abs(truth).max() > 1e37
    assert distance(result, truth) < 1e-5


def test_the_correction_can_be_turned_down(small: Exported) -> None:
    module, plate = small.load(), made_plate(20, 20)
    module.correction = 0.0
    margin = small.upscaler.margin
    none = through(module, plate)
    assert distance(none, small.upscaler.interpolate_colour(resample.pad(plate, *[margin] * 4))) < 1e-5
    module.correction = 0.5
    middle = (CURVE.compress(small.truth(plate)) + CURVE.compress(none)) / 2.0
    assert distance(through(module, plate), CURVE.expand(middle)) < 1e-5
    for beyond, held in ((7.0, small.truth(plate)), (-3.0, none)):
        module.correction = beyond
        assert distance(through(module, plate), held) < 1e-5


# --- what Nuke may hand over ---


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 8), (97, 131)])
def test_odd_sizes_end_in_half_a_block(small: Exported, size: tuple[int, int]) -> None:
    height, width = size
    plate = made_plate((height + 1) // 2, (width + 1) // 2)
    given = np.ascontiguousarray(resample.double_nearest(plate, 0)[:height, :width])
    result = torchscript.run(small.load(), given, torch.float32)
    assert result.shape == given.shape
    assert distance(result, small.truth(plate)[:height, :width]) < 1e-5


def test_any_of_the_four_pixels_counts_alike(small: Exported) -> None:
    plate = made_plate(9, 11)
    given = resample.double_nearest(plate, 0)
    given[0::2, 0::2] += 0.125
    given[1::2, 1::2] -= 0.125
    assert distance(torchscript.run(small.load(), given, torch.float32), small.truth(plate)) < 2e-4
    given[0::2, 1::2] += 4.0
    assert distance(torchscript.run(small.load(), given, torch.float32), small.truth(plate + 1.0)) < 2e-4


def test_further_channels_are_left_out_and_fewer_refused(small: Exported) -> None:
    module, plate = small.load(), torch.from_numpy(made_plate(8, 8).transpose(2, 0, 1).copy())[None]
    more = torch.cat([plate, torch.full_like(plate[:, :1], math.nan)], dim=1)
    assert torch.equal(module(more), module(plate))
    with pytest.raises(Exception, match="set channelsIn to red, green and blue"):
        module(plate[:, :2])


def test_damage_does_not_spread(either: Exported) -> None:
    clean = made_plate(41, 43)
    plate = clean.copy()
    plate[20, 21, 1], plate[20, 22] = np.nan, [np.inf, -np.inf, np.nan]
    module = either.load()
    result, untouched = through(module, plate), through(module, clean)
    assert np.isfinite(result).all()
    assert distance(result, either.truth(plate)) < 1e-5
    reach = 2 * (either.upscaler.margin + 2) + 2
    away = np.ones(result.shape[:2], bool)
    away[40 - reach : 42 + reach, 42 - reach : 46 + reach] = False
    assert away.any()
    assert distance(result[away], untouched[away]) < 1e-6


def test_a_hole_at_the_border_is_filled_as_in_the_engine(small: Exported) -> None:
    plate = made_plate(17, 19)
    plate[:3, :4] = np.nan
    plate[-1] = np.inf
    module = small.load()
    assert distance(through(module, plate), small.truth(plate)) < 1e-5
    assert (through(module, np.full((9, 12, 3), np.nan, np.float32)) == 0.0).all()


# --- half ---


def test_in_half_bright_light_survives(either: Exported) -> None:
    """5000 times a scene-linear 13.2 exceeds half: what stands around the network must be in float32."""
    module = either.load().half()
    assert {value.dtype for value in module.state_dict().values()} == {torch.float16}
    plate = np.clip(made_plate(33, 30), -1.0, 900.0)
    raw = module(torch.from_numpy(resample.double_nearest(plate, 0).transpose(2, 0, 1).copy())[None].half())
    assert raw.dtype == torch.float16
    assert 500.0 < float(raw.max()) < math.inf
    truth = np.clip(either.truth(plate.astype(np.float16).astype(np.float32)), -65504.0, 65504.0)
    assert distance(through(module, plate, torch.float16), truth) < 2e-3  # rounded weights, rounded result


def test_a_ramp_stays_smooth_in_half(small: Exported) -> None:
    """Steps of the returned half alone, 2**-11 of the value: no bands out of the network or the curve."""
    row = np.linspace(0.1, 1.0, 1500, dtype=np.float32)
    plate = np.ascontiguousarray(np.broadcast_to(row[None, :, None], (12, 1500, 3)))
    module = small.load().half()
    with torch.inference_mode():
        given = torch.from_numpy(resample.double_nearest(plate, 0).transpose(2, 0, 1).copy())[None]
        result = module(given)[0, :, 12, 40:-40].numpy()  # the module in half, the picture not
    steps = np.diff(result.astype(np.float64), axis=1)
    assert steps.min() > 0.0
    assert steps.max() < 2.0 * steps.mean()


def test_autocast_touches_the_correction_alone(either: Exported) -> None:
    module, plate = either.load(), made_plate(24, 26)
    with torch.autocast("cpu", torch.bfloat16):
        result = through(module, plate)
        module.correction = 0.0
        none = through(module, plate)
    assert 1e-5 < distance(result, either.truth(plate)) < 2e-2  # it did run low, and not by much
    module.correction = 0.0
    assert distance(none, through(module, plate)) == 0.0


def test_the_file_names_no_place_of_the_machine(small: Exported) -> None:
    with zipfile.ZipFile(small.path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    assert records["archive/version"].strip() == b"4"
    assert not [name for name in records if name.endswith((".debug_pkl", "serialization_id"))]
    assert not [name for name, data in records.items() if str(ROOT).encode() in data or b"site-packages" in data]


def test_the_generator_is_left_as_it_was(small: Exported) -> None:
    fresh = residual().state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in small.network.state_dict().items())
    assert all(parameter.requires_grad for parameter in small.network.parameters())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], small: Exported) -> None:
    from safetensors.torch import save_file

    save_file(small.network.state_dict(), tmp_path / "ema.safetensors", metadata(small.network))
    out = tmp_path / "out.pt"
    command = ["export", str(tmp_path / "ema.safetensors"), str(out), "--torchscript"]
    assert invoke(command) == 0
    said = capsys.readouterr().out
    assert re.search(r"sha256 [0-9a-f]{64}$", said.strip())
    assert "TorchScript format 4" in said
    plate = made_plate(9, 9)
    assert distance(through(torch.jit.load(out), plate), small.truth(plate)) < 1e-5
    assert invoke([*command, "--overwrite"]) == 0
