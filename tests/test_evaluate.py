"""The verb evaluate: contenders, figures, the table and the report, on pairs of known truth."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import FRAME_FAILED, NOTHING_RUN, Command, tree
from plates import write_plate

from deepupscale.cli.app import invoke
from deepupscale.errors import ModelError, UsageError
from model.baselines import bicubic, bicubic_compressed, tviscale
from model.contenders import Contender, baseline, double_by_tiles, models
from model.evaluate import Evaluation, Options, Result, evaluate
from model.evaluation_report import markdown, table
from model.metrics import psnr
from model.procedural import procedural_image
from model.scoring import CURVE, FIGURES, drift_floor, mean, score
from render.pair_files import read_pair

PAIRS = Path(__file__).parent / "pairs"
NAMES = ["scene00000.0012", "scene00001.0012", "scene00002.0012"]


def planes(picture: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(picture[:, :, i]) for i, name in enumerate("RGB")}


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    return read_pair(PAIRS / "lr" / f"{NAMES[0]}.exr", PAIRS / "hr" / f"{NAMES[0]}.exr")


# ---- figures


def test_the_truth_itself_is_perfect_and_softness_and_tint_are_told_apart(truth: tuple[np.ndarray, np.ndarray]) -> None:
    lr, hr = truth
    same = score(hr, hr)
    assert same["psnr"] == same["pu21"] == math.inf
    assert same["ssim"] == pytest.approx(1.0)
    assert same["sharpness"] == pytest.approx(1.0)
    assert same["drift"] == 0.0
    soft, tinted = score(bicubic(lr), hr), score(hr * np.array([1.05, 1.0, 1.0], np.float32), hr)
    assert soft["sharpness"] < 0.9
    assert soft["drift"] < 1.0 < tinted["drift"] == pytest.approx(5.0 / 3.0, rel=0.01)
    assert tinted["sharpness"] == pytest.approx(1.0, abs=0.05)
    assert 0.0 < drift_floor(lr, hr) < 1.0


def test_every_figure_has_its_column(truth: tuple[np.ndarray, np.ndarray]) -> None:
    pytest.importorskip("flip_evaluator")
    assert list(score(truth[1], truth[1], flip=True)) == [name for name in FIGURES if name != "shimmer"]


# ---- contenders


def test_a_baseline_takes_parameters() -> None:
    lr = procedural_image(4, 20)
    np.testing.assert_array_equal(baseline("tviscale").double(lr), tviscale(lr))
    expected = tviscale(lr, iterations=2, lambda_=500.0, a=1e-3)
    np.testing.assert_array_equal(baseline("tviscale:iterations=2,lambda=500,a=1e-3").double(lr), expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tvscale", "no such baseline"),
        ("bicubic:a=1", "no parameter 'a'"),
        ("tviscale:lamda=5", "no parameter 'lamda'"),
        ("tviscale:lambda", "must be a number"),
        ("tviscale:iterations=2.5", "must be a number"),
        ("tviscale:lambda=0", "lambda"),
        ("tviscale:lambda=nan", "lambda"),
    ],
)
def test_a_baseline_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match="--baseline") as caught:
        baseline(text)
    assert said in str(caught.value)


def test_models_are_called_by_the_shortest_end_of_their_paths(tiny_model: Path, tmp_path: Path) -> None:
    for place in ("one/step", "two/step"):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(tiny_model, tmp_path / place / "ema.onnx")
    shutil.copy(tiny_model, tmp_path / "other.onnx")
    files = [tmp_path / "one/step/ema.onnx", tmp_path / "two/step/ema.onnx", tmp_path / "other.onnx"]
    texts = [*map(str, files), f"mine={files[0]}", "default"]
    found = models(texts, "cpu", "f32")
    assert [each.name for each in found] == ["one/step/ema.onnx", "two/step/ema.onnx", "other.onnx", "mine", "default"]
    assert found[0].digest == found[1].digest != found[4].digest
    with pytest.raises(UsageError, match="two are called one"):
        models([f"one={files[0]}", f"one={files[1]}"], "cpu", "f32")


def test_tiles_leave_no_seams(tiny_model: Path) -> None:
    from deepupscale import load_model, open_session
    from deepupscale.upscaler import Upscaler

    model = load_model(tiny_model)
    upscaler, lr = Upscaler(model, open_session(model, "cpu", "f32")), procedural_image(6, 50)[:41]
    whole = double_by_tiles(upscaler, lr, 64)
    assert whole.shape == (82, 100, 3)
    np.testing.assert_allclose(double_by_tiles(upscaler, lr, 16), whole, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_scores_as_its_export_does(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from safetensors.torch import save_file

    from deepupscale.promise import Promise
    from export.graph import export_graph, with_promise
    from model.checkpoint import metadata
    from model.networks import ResidualGenerator
    from model.torch_session import as_model_file

    torch.manual_seed(7)
    network = ResidualGenerator(width=8, blocks=1)
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    save_file(network.state_dict(), tmp_path / "ema.safetensors", metadata(network))
    promise: Promise = as_model_file(network, tmp_path, "").promise
    (tmp_path / "ema.onnx").write_bytes(with_promise(export_graph(network), promise))
    lr = procedural_image(9, 60)[:45]
    trained, exported = models([str(tmp_path / "ema.safetensors"), str(tmp_path / "ema.onnx")], "cpu", "f32")
    first, second = trained.double(lr), exported.double(lr)
    np.testing.assert_allclose(CURVE.compress(first), CURVE.compress(second), rtol=0, atol=1e-5)
    assert psnr(CURVE.compress(first), CURVE.compress(bicubic_compressed(lr))) < 50.0  # the network does something
    assert trained.runs == "torch on cpu in f32"


# ---- evaluation


def test_each_pair_is_scored_against_its_own_truth(truth: tuple[np.ndarray, np.ndarray]) -> None:
    seen: list[str] = []
    found = evaluate(
        [PAIRS], [baseline("bicubic"), baseline("lanczos3")], shown=lambda name, lr, hr, made, _: seen.append(name)
    )
    assert [result.pair for result in found.results] == NAMES == seen
    assert [result.group for result in found.results] == ["foliage", "cloth", "lettering"]
    lr, hr = truth
    expected = psnr(CURVE.compress(bicubic(lr)), CURVE.compress(hr))
    assert found.results[0].scores["bicubic"]["psnr"] == pytest.approx(expected, abs=1e-6)
    assert found.results[0].drift_floor == pytest.approx(drift_floor(lr, hr))
    average = np.mean([result.scores["lanczos3"]["ssim"] for result in found.results])
    assert found.means()["lanczos3"]["ssim"] == pytest.approx(average)
    assert found.means("cloth")["lanczos3"]["ssim"] == found.results[1].scores["lanczos3"]["ssim"]


def test_the_oracle_wins(truth: tuple[np.ndarray, np.ndarray]) -> None:
    truths = {read_pair(PAIRS / "lr" / f"{n}.exr", PAIRS / "hr" / f"{n}.exr")[0].tobytes(): n for n in NAMES}

    def oracle(lr: np.ndarray) -> np.ndarray:
        name = truths[lr.tobytes()]
        return read_pair(PAIRS / "lr" / f"{name}.exr", PAIRS / "hr" / f"{name}.exr")[1]

    found = evaluate([PAIRS], [baseline("bicubic"), Contender("oracle", "baseline", oracle)])
    assert "| **0.000** |" in table(found, bold=True)
    assert found.means()["oracle"]["ssim"] == pytest.approx(1.0)


def test_limit_and_held_out_choose_pairs() -> None:
    from model.sampling import is_held_out

    one = [baseline("bicubic")]
    assert [r.pair for r in evaluate([PAIRS], one, Options(limit=2)).results] == [NAMES[0], NAMES[2]]
    share = next(s for s in (0.2, 0.4, 0.6, 0.8) if 0 < sum(is_held_out(name, s) for name in NAMES) < 3)
    held = [r.pair for r in evaluate([PAIRS], one, Options(held_out=share)).results]
    assert held == [name for name in NAMES if is_held_out(name, share)]
    with pytest.raises(UsageError, match="holds out none of these pairs"):
        evaluate([PAIRS], one, Options(held_out=0.0))


def test_pictures_without_lr_are_degraded_and_unfit_ones_left_out(tmp_path: Path) -> None:
    hr = procedural_image(3, 64)
    write_plate(tmp_path / "photo.exr", planes(hr.astype(np.float16)))
    write_plate(tmp_path / "grey.exr", {"Y": hr[:, :, 0].copy()})
    broken = hr.copy()
    broken[3, 4] = np.nan
    write_plate(tmp_path / "broken.exr", planes(broken))
    found = evaluate([tmp_path], [baseline("bicubic")], Options(degrade="box"))
    assert [(r.pair, r.kind, r.size) for r in found.results] == [("photo", "degraded", (64, 64))]
    assert {each.name for each in found.left_out} == {"broken", "grey"}
    assert "holds NaN or Inf" in markdown(found)
    assert "LR was made by `box`" in markdown(found)
    soft = evaluate([tmp_path], [baseline("bicubic")], Options(degrade="blackman-harris"))
    assert soft.means()["bicubic"]["psnr"] != pytest.approx(found.means()["bicubic"]["psnr"], abs=0.01)


def test_frames_of_a_shot_are_scored_for_shimmer(tmp_path: Path) -> None:
    (tmp_path / "lr").mkdir()
    (tmp_path / "hr").mkdir()
    hr = procedural_image(5, 64)
    for frame, shift in ((1, 0), (2, 2), (4, 4)):  # the picture moves two HR pixels to the right
        moved = np.roll(hr, shift, axis=1)
        low = moved.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
        way = {"backward.u": np.full((64, 64), -2.0, np.float32), "backward.v": np.zeros((64, 64), np.float32)}
        small = {"backward.u": np.full((32, 32), -1.0, np.float32), "backward.v": np.zeros((32, 32), np.float32)}
        write_plate(tmp_path / "hr" / f"shot.{frame:04d}.exr", planes(moved) | way)
        write_plate(tmp_path / "lr" / f"shot.{frame:04d}.exr", planes(low) | small)
    flicker = iter((1.0, 1.2, 1.0))

    def flickering(lr: np.ndarray) -> np.ndarray:
        return bicubic(lr) * np.float32(next(flicker))

    steady = Contender("flickers", "baseline", flickering)
    found = evaluate([tmp_path], [baseline("bicubic"), steady], Options(keep_incoherent=True))
    first, second, third = found.results
    assert math.isnan(first.shimmer_floor)
    assert second.shimmer_floor < 0.003  # the truth moves rigidly; only its two wrapped columns differ
    assert second.scores["bicubic"]["shimmer"] < 0.2 * second.scores["flickers"]["shimmer"]
    assert "shimmer" not in third.scores["bicubic"]  # frame 3 is missing
    assert "shimmer" in table(found)


@pytest.mark.parametrize(
    "made",
    [
        lambda lr: np.full((2 * lr.shape[0], 2 * lr.shape[1], 3), np.nan, np.float32),
        lambda lr: lr,
    ],
)
def test_a_model_that_makes_nonsense_is_an_error(made: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(ModelError, match="broken: makes NaN, Inf or another size of scene00000"):
        evaluate([PAIRS], [Contender("broken", "model", made)])


def test_the_best_of_each_figure_is_marked() -> None:
    contenders = [Contender(name, "baseline", bicubic) for name in ("a", "b", "c")]
    values = {"a": (30.0, 0.5, 1.3), "b": (31.0, 0.7, 0.8), "c": (29.0, 0.6, 0.7)}
    scores = {name: {"psnr": p, "drift": d, "sharpness": s} for name, (p, d, s) in values.items()}
    result = Result("p", "", "pairs", (8, 8), 0.4, math.nan, scores)
    shown = table(Evaluation(contenders, [Path("x")], Options(), 1, [result]), bold=True)
    lines = {line.split("|")[1].strip(): line for line in shown.splitlines()}
    marked = {name: re.findall(r"\*\*(.+?)\*\*", lines[name]) for name in values}
    assert marked == {"a": ["0.500"], "b": ["31.00", "0.800"], "c": []}  # 0.8 is nearer to 1 than 1.3, as a ratio
    assert "0.400" in lines["floor of the pairs"]


def test_a_mean_leaves_out_what_has_no_value() -> None:
    assert mean([1.0, math.nan, 3.0, math.inf]) == 2.0
    assert math.isnan(mean([math.nan]))


# ---- the verb


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The one line that ``evaluate`` refuses with; nothing on disk changes."""
    monkeypatch.chdir(tmp_path)

    def check(*words: str, pairs: Path = PAIRS, code: int = NOTHING_RUN) -> str:
        before = tree(tmp_path)
        capsys.readouterr()
        assert invoke(["evaluate", "--pairs", str(pairs), "--device", "cpu", *words]) == code
        out, err = capsys.readouterr()
        assert tree(tmp_path) == before
        (line,) = (out + err).splitlines()
        assert line in err
        return line

    return check


def test_the_command_prints_a_table_and_writes_a_report(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    report = tmp_path / "report"
    given = ["evaluate", "--pairs", str(PAIRS), "--baseline", "bicubic", "--baseline", "tviscale:lambda=500"]
    given += ["--model", f"tiny={tiny_model}", "--report", str(report), "--device", "cpu"]
    code, out, err = command(*given)
    assert (code, err) == (0, "")
    assert "[3/3] scene00002.0012: PSNR dB bicubic" in out
    assert all(f"| {name} " in out for name in ("bicubic", "tviscale:lambda=500", "tiny", "floor of the pairs"))
    found = json.loads((report / "report.json").read_text())
    assert found["done"] == found["pairs"] == 3
    assert [each["name"] for each in found["contenders"]] == ["bicubic", "tviscale:lambda=500", "tiny"]
    assert found["contenders"][2]["sha256"] == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert found["means"]["bicubic"]["psnr"] == pytest.approx(
        np.mean([r["scores"]["bicubic"]["psnr"] for r in found["results"]]), abs=1e-5
    )
    assert set(found["means_by_scene"]) == {"foliage", "cloth", "lettering"}
    assert sorted(f.name for f in (report / "sheets").iterdir()) == [f"{name}.png" for name in NAMES]
    assert "## lettering, 1 pair" in (report / "report.md").read_text()
    assert command(*given)[0] == 0  # a report may be made anew


def test_a_crop_sheet_shows_the_same_places_of_every_contender(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    from model.crop_sheet import GAP, HEAD, SIDE, ZOOM, CropSheet

    lr, hr = np.full((60, 80, 3), 0.2, np.float32), np.full((120, 160, 3), 0.2, np.float32)
    hr[4:90, 10:90] = np.random.default_rng(0).random((86, 80, 1), np.float32)  # what interpolation misses
    sheet = CropSheet(lr, hr, lr.repeat(2, 0).repeat(2, 1))
    sheet.add("grey", lr.repeat(2, 0).repeat(2, 1))
    sheet.add("truth", hr)
    (y, x), *_ = sheet.places
    assert (y <= 4, x <= 10) == (True, True)
    sheet.save(tmp_path / "sheet.png")
    shown = np.asarray(image.open(tmp_path / "sheet.png")).astype(int)
    side = SIDE * ZOOM
    columns = [shown[HEAD : HEAD + side, GAP + n * (side + GAP) : GAP + n * (side + GAP) + side] for n in range(4)]
    assert (columns[0] == columns[1]).all()
    assert (columns[2] == columns[3]).all()
    assert np.abs(columns[2] - columns[1]).max() > 50
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_small_pictures_have_one_crop() -> None:
    from model.crop_sheet import places

    hr = procedural_image(2, 40)
    assert places(hr, hr * np.float32(0.5)) == [(0, 0)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "nothing.onnx"], "nothing.onnx: no such model file"),
        (["--model", "plate.exr"], "name an .onnx or .safetensors file"),
        (["--model", "nothing.safetensors"], "nothing.safetensors"),
        (["--model", "."], "is a folder without checkpoints"),
        (["--model", "none", "--baseline", "none"], "name at least one contender"),
        (["--baseline", "bicubic", "--baseline", "bicubic"], "none twice"),
        (["--degrade", "hamming"], "--degrade hamming"),
        (["--report", "file"], "is a file"),
        (["--report", "full"], "holds other things than a report"),
        (["--precision", "f8"], "f8"),
    ],
)
def test_what_cannot_be_meant_is_refused(refused: Callable[..., str], words: list[str], said: str) -> None:
    Path("file").touch()
    Path("full").mkdir()
    Path("full/mine").touch()
    assert said in refused(*words)


def test_a_checkpoint_that_is_a_pickle_is_never_run(refused: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    hostile = tmp_path / "ema.safetensors"
    hostile.write_bytes(b"cos\nsystem\n(S'touch planted'\ntR.")
    assert "cannot be read as safetensors" in refused("--model", str(hostile))  # and there is no file more than before


def test_a_damaged_pair_that_a_manifest_vouches_for_ends_it(refused: Callable[..., str], tmp_path: Path) -> None:
    shutil.copytree(PAIRS, tmp_path / "pairs")
    file = tmp_path / "pairs" / "hr" / f"{NAMES[0]}.exr"
    file.write_bytes(file.read_bytes()[:-100])
    said = refused("--baseline", "bicubic", "--model", "none", pairs=tmp_path / "pairs")
    assert f"{NAMES[0]}.exr: is not the file that was rendered" in said


def test_folders_without_pairs_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no pairs" in refused(pairs=tmp_path / "empty")
    assert "there is no such folder" in refused(pairs=tmp_path / "nothing")
    (tmp_path / "grey").mkdir()
    write_plate(tmp_path / "grey" / "y.exr", {"Y": np.zeros((20, 20), np.float32)})
    assert "no pair can be compared on; y: y.exr has no layer of red, green and blue" in refused(
        pairs=tmp_path / "grey"
    )


def test_missing_packages_are_named(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.contenders.find_spec", lambda name: None if name == "torch" else object())
    Path("ema.safetensors").touch()
    assert "needs the package torch: pip install 'deepupscale[train]'" in refused("--model", "ema.safetensors")
    monkeypatch.setattr("model.evaluation_report.find_spec", lambda _: None)
    assert "needs the package pillow: pip install 'deepupscale[data]'" in refused("--report", "report")


def test_a_full_disk_is_one_line(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    assert "cannot be made: No space left on device" in refused("--report", "report", code=FRAME_FAILED)
