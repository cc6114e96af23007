"""``doctor --bench``: what is extrapolated from what, what is told, and what is advised. The clock is a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.stand_in import tensors_fed
from deepupscale import load_model, runtimes, session, tiling
from deepupscale.cli import speed, stages
from deepupscale.cli.app import invoke
from deepupscale.cli.doctor import speed_lines
from deepupscale.cli.speed import WRITE, FrameSpeed, Speed, measure
from deepupscale.cli.stages import SmallPlate, Spread, TimedNetwork, Timer, synthetic
from deepupscale.errors import DeepUpscaleError, InferenceError
from deepupscale.model_file import ModelFile
from deepupscale.session import Choice, Tensor
from deepupscale.upscaler import Upscaler

PACE = 1e-4  # seconds for a pixel that the network is fed, in f32


class FakeClock:
    """Stands still unless something takes time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class StubSession:
    """No correction, at a pace of so many seconds a pixel."""

    def __init__(self, model: ModelFile, choice: Choice, clock: FakeClock, pace: float) -> None:
        self.choice, self.fails = choice, False
        self._output, self._clock, self._pace = model.promise.outputs[0].name, clock, pace

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.fails:
            raise InferenceError("no memory")
        (tensor,) = inputs.values()
        height, width = tensor.shape[2:]
        self._clock.now += height * width * self._pace
        return {self._output: np.zeros((1, 3, 2 * height, 2 * width), np.float32)}


Machine = Callable[..., list[StubSession]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Machine:
    """Makes this a CPU of these precisions, bf16 twice and int8 four times as fast as f32."""
    faster = {"f32": 1.0, "bf16": 2.0}
    opened: list[StubSession] = []

    def make(*able: str, pace: float = PACE) -> list[StubSession]:
        def opening(model: ModelFile, device: str, precision: str, runtime: str) -> StubSession:
            choice = Choice(runtime, device, "bf16" if precision == "bf16" else "f32", "a stand-in")
            opened.append(StubSession(model, choice, clock, pace / faster[precision]))
            return opened[-1]

        monkeypatch.setattr(session, "cpu_precisions", lambda: able)
        monkeypatch.setattr(session, "cuda_devices", lambda: 0)
        monkeypatch.setattr(stages, "open_session", opening)
        monkeypatch.setattr(runtimes, "int8_gain", lambda clock: 4.0)
        monkeypatch.setattr(speed, "_LARGEST", (96, 54))
        monkeypatch.setattr(speed, "_SMALLEST", (64, 36))
        return opened

    return make


def test_a_frame_is_what_the_engine_feeds_for_it(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "ACTIVATION_BYTES", 8 << 20)  # many tiles
    monkeypatch.setattr(tiling, "_best", tiling._best.__wrapped__)  # and none that are remembered
    model = load_model(tiny_model)
    stub = StubSession(model, Choice("", "cpu", "f32", ""), FakeClock(), 0.0)
    network = TimedNetwork(stub, Upscaler(model, stub), 1000, Spread(1.0, 1.0, 2.0))
    fed = tensors_fed(model, {name: np.zeros((150, 333), np.float32) for name in "RGB"})
    assert len(fed) > 1
    found = network.on_a_frame(333, 150)
    assert found.median == pytest.approx(sum(tensor.shape[2] * tensor.shape[3] for tensor in fed) / 1000)
    assert found.most == 2 * found.least


def test_what_is_told_follows_the_network(machine: Machine, clock: FakeClock, tiny_model: Path) -> None:
    machine("f32", "bf16")
    model = load_model(tiny_model)
    found = measure(model, clock)
    assert found.choice == "openvino on cpu in bf16"
    for frame, pixels in zip(found.frames, (2048 * 1080, 4096 * 2160), strict=True):
        f32, bf16 = frame.networks["f32"], frame.networks["bf16"]
        assert f32.median == pytest.approx(2 * bf16.median, rel=0.05)  # each has tiles of its own
        assert pixels * PACE < f32.median < 1.2 * pixels * PACE  # halos
        assert frame.in_a_row.median == pytest.approx(bf16.median)  # nothing else took time
        assert frame.overlapped.median == pytest.approx(bf16.median, rel=0.01)
        assert all(stage.median == 0.0 for stage in frame.stages.values())
    assert found.limit == "the network"
    assert set(found.unavailable) == {"f16", "int8"}
    assert found.seconds == pytest.approx(clock.now - 100.0)


def test_without_bf16_it_says_what_int8_would_take(machine: Machine, clock: FakeClock, tiny_model: Path) -> None:
    machine("f32", "int8")
    found = measure(load_model(tiny_model), clock)
    seconds = found.frames[0].networks["f32"].median / 4.0
    assert found.advice.startswith("bf16 is not available: an int8 file of this model")
    assert f"about {seconds:.1f} s of network a 2K frame" in found.advice


def test_where_int8_would_not_be_faster_it_is_not_advised(
    machine: Machine, clock: FakeClock, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("f32", "bf16")
    monkeypatch.setattr(runtimes, "int8_gain", lambda clock: 2.0)
    assert "in bf16 as fast as this CPU can" in measure(load_model(tiny_model), clock).advice


def test_a_precision_that_auto_leaves_out_is_named(
    machine: Machine,
    clock: FakeClock,
    make_model: Callable[..., Path],
    promise_json: Callable[..., str],
    tmp_path: Path,
) -> None:
    machine("f32", "bf16")
    verified = [{"precision": "f32", "runtime": "reference", "max_error": 0.0}]
    model = make_model(tmp_path / "m.onnx", promise_json(verified=verified))
    assert "--precision bf16 asks for it" in measure(load_model(model), clock).advice


def test_slow_writing_is_the_limit_and_fast_is_advised(
    machine: Machine, clock: FakeClock, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("f32")
    taken = {"zip": 500.0, "zip:1": 250.0}
    monkeypatch.setattr(SmallPlate, "write", lambda plate, name: Spread(taken[name], taken[name], taken[name]))
    found = measure(load_model(tiny_model), clock)
    assert found.limit == WRITE
    scaled = found.frames[0].stages[WRITE].median
    assert found.advice == f"--compression fast writes a 2K frame in {scaled / 2:.1f} s instead of {scaled:.1f} s"


def test_on_a_very_slow_machine_other_precisions_are_left_out(
    machine: Machine, clock: FakeClock, tiny_model: Path
) -> None:
    opened = machine("f32", "bf16", pace=100 * PACE)
    found = measure(load_model(tiny_model), clock)
    assert list(found.frames[0].networks) == ["bf16"]
    assert len(opened) == 1


def test_a_frame_that_fails_is_an_error(
    machine: Machine, clock: FakeClock, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = machine("f32")
    read = SmallPlate.read

    def failing(plate: SmallPlate) -> Spread:
        opened[0].fails = True
        return read(plate)

    monkeypatch.setattr(SmallPlate, "read", failing)
    with pytest.raises(DeepUpscaleError, match="no memory"):
        measure(load_model(tiny_model), clock)


def test_rounds_tell_the_least_and_the_most() -> None:
    clock = FakeClock()
    takes = iter((9.0, 0.5, 0.75, 0.25, 0.625, 0.5, 99.0))

    def work() -> None:
        clock.now += next(takes)

    assert Timer(clock).rounds(work) == Spread(0.5, 0.25, 0.75)  # the first warms up, five count


def test_when_time_runs_out_one_round_is_enough() -> None:
    clock = FakeClock()
    timer = Timer(clock)
    clock.now += 60.0

    def work() -> None:
        clock.now += 2.0

    assert timer.rounds(work) == Spread(2.0, 2.0, 2.0)
    assert clock.now == 164.0


def test_the_gain_of_int8_is_that_of_the_fastest_runs() -> None:
    ticks = iter(np.cumsum([0.0, 30.0, 0.0, 10.0] * 6).tolist())
    assert runtimes.int8_gain(lambda: next(ticks)) == pytest.approx(3.0)


def test_the_plate_is_the_same_every_time() -> None:
    one, two = synthetic(64, 36), synthetic(64, 36)
    assert all(np.array_equal(one[name], two[name]) for name in "RGBA")
    assert {plane.dtype for plane in one.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(plane).all() for plane in one.values())


def stub_speed() -> Speed:
    some = Spread(1.25, 1.0, 1.5)
    frames = tuple(
        FrameSpeed(name, width, height, {"f32": some * 4}, {"read": some, WRITE: some * 0.1}, some * 5, some * 4, 900)
        for name, width, height in speed.FRAMES
    )
    return Speed("a plate", 12.3, "openvino on cpu in f32", frames, {"bf16": "not here"}, "the network", "do this", 3.0)


def test_the_table_says_all_of_it() -> None:
    text = "\n".join(speed_lines(stub_speed()))
    for wanted in (
        "2K 2048x1080", "4K 4096x2160", "network in f32", "5.0 (4.0..6.0)", "0.125 (0.100..0.150)", "one after another",
        "in a sequence", "about 900 MiB", "the load was 3.0", "do this", "extrapolated by pixels",
    ):  # fmt: skip
        assert wanted in text


@pytest.mark.parametrize("asked", [True, False])
def test_json_has_the_figures_when_they_were_asked_for(
    asked: bool, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "measure", lambda model: stub_speed())
    assert invoke(["doctor", "--model", str(tiny_model), "--json", *(["--bench"] if asked else [])]) == 0
    document = json.loads(capsys.readouterr().out)
    assert ("bench" in document) == asked
    if asked:
        assert document["bench"]["frames"][0]["networks"]["f32"] == {"median": 5.0, "least": 4.0, "most": 6.0}


def test_a_model_that_cannot_be_used_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["doctor", "--bench", "--model", str(tmp_path / "none.onnx")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
