"""Reading, the network and writing overlap; what comes out is what one frame after another gives, errors included."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plates import ids, picture, write_parts, write_plate, write_sequence

from deepupscale import Engine, FrameReport, Settings, load_model, open_session, pipeline, reading, writing
from deepupscale.errors import CancelledError, InferenceError, ModelError, PlateError, WriteError
from deepupscale.passes import Tiling
from deepupscale.pipeline import Budget, Pipeline, Queue, StoppedError
from deepupscale.plate import Plate
from deepupscale.plate_writer import PlateWriter
from deepupscale.session import Tensor

LONG_S = 20.0  # no test waits so long, unless what it waits for does not happen


class HookedSession:
    """A session that calls a function before every run; with the run's number, from 0."""

    def __init__(self, model: Path, hook: Callable[[int], object]) -> None:
        self._session = open_session(load_model(model), "cpu", "f32", threads=1)
        self.choice = self._session.choice
        self._hook = hook
        self._runs = 0

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self._runs += 1
        self._hook(self._runs - 1)
        return self._session.run(inputs)


@pytest.fixture(autouse=True)
def no_thread_outlives_a_run() -> Iterator[None]:
    yield
    ours = {"read", "write", "taker", "sender", "waiter"}  # runtimes keep some of their own
    assert not [thread for thread in threading.enumerate() if thread.name in ours]


@pytest.fixture
def hooked(tiny_model: Path) -> Callable[..., Engine]:
    """Engines whose network calls a function before every run."""
    return lambda hook, **settings: Engine(
        load_model(tiny_model), HookedSession(tiny_model, hook), Settings(**settings)
    )


def frames_of(folder: Path, count: int = 3) -> list[tuple[Path, Path]]:
    """Plates with a result each."""
    plates = write_sequence(folder / "in", range(1, count + 1))
    return [(plate, folder / "out" / plate.name) for plate in plates]


def done(engine: Engine, frames: list[tuple[Path, Path]], **more: Any) -> list[FrameReport]:
    reports: list[FrameReport] = []
    engine.upscale_all(frames, reports.append, **more)
    return reports


def files(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes, hidden ones too."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())} if folder.exists() else {}


def until(event: Callable[[], bool]) -> None:
    ends = time.monotonic() + LONG_S
    while not event():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.002)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_sequence_gives_the_bytes_of_its_frames_one_by_one(
    scale: int, make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    hurt = picture(names="RGBA")
    hurt["R"][3, 4] = np.nan
    plates = [
        write_plate(folder / "wide.exr", picture(300, 21, "RGBA")),
        write_plate(folder / "ids.exr", {**hurt, "id": ids(24, 16)}),
        write_plate(folder / "float.exr", picture(40, 90, dtype=np.float32)),
        write_parts(folder / "parts.exr", [({"name": "a"}, picture()), ({"name": "b"}, picture(names="RGBA"))]),
        write_plate(folder / "tall.exr", picture(33, 400)),
    ]
    engine = make_engine(scale=scale)
    reports = done(engine, [(plate, tmp_path / "together" / plate.name) for plate in plates])
    assert [(report.status, report.source) for report in reports] == [("done", plate) for plate in plates]
    alone = [engine.upscale(plate, tmp_path / "alone" / plate.name) for plate in plates]
    assert files(tmp_path / "together") == files(tmp_path / "alone")
    assert [(r.size, r.nonfinite, r.clamped, r.plate, r.settings) for r in reports] == [
        (r.size, r.nonfinite, r.clamped, r.plate, r.settings) for r in alone
    ]


def test_a_plate_is_the_same_however_few_rows_are_read_and_kept(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_plate(tmp_path / "plate.exr", picture(64, 500, "RGBA"))
    engine = make_engine()
    engine.upscale(source, tmp_path / "out" / "a.exr")
    monkeypatch.setattr(reading, "_BAND_BYTES", 1)
    monkeypatch.setattr(reading, "AHEAD_BYTES", 1)
    monkeypatch.setattr(writing, "UNDER_WAY_BYTES", 1)
    monkeypatch.setattr("deepupscale.plate_writer._APPEND_BYTES", 1)
    engine.upscale(source, tmp_path / "out" / "b.exr")
    a, b = files(tmp_path / "out").values()
    assert a == b


def test_the_last_frame_is_written_and_the_next_one_read_while_one_is_inferred(
    hooked: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_of(tmp_path)
    together = threading.Barrier(3, timeout=LONG_S)

    def meeting(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The method, which for one plate or result first waits until the two other threads are there as well."""

        def wait(self: Any, *given: Any) -> Any:
            if getattr(self, "path", None) == (frames[2][0] if name == "strips" else frames[0][1]):
                together.wait()
            return function(self, *given)

        return wait

    monkeypatch.setattr(Plate, "strips", meeting(Plate.strips, "strips"))
    monkeypatch.setattr(PlateWriter, "_verify", meeting(PlateWriter._verify, "verify"))
    engine = hooked(lambda run: together.wait() if run == 1 else None)
    assert [report.status for report in done(engine, frames)] == ["done"] * 3


def test_what_is_read_ahead_and_what_waits_to_be_written_stay_within_their_budgets(
    hooked: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[Budget] = []

    def note(*given: Any) -> Budget:
        budgets.append(Budget(*given))
        return budgets[-1]

    convert = PlateWriter.convert

    def slow(self: PlateWriter, *given: Any) -> Any:
        time.sleep(0.02)
        return convert(self, *given)

    strip = 2 * 16 * 2 * 64 * 3 * 4
    for module, name, value in (
        (reading, "Budget", note), (writing, "Budget", note), (reading, "AHEAD_BYTES", 40_000),
        (reading, "_BAND_BYTES", 16 * 64 * 3 * 4), (writing, "UNDER_WAY_BYTES", 3 * strip),
        (PlateWriter, "convert", slow),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("deepupscale.engine.plan", lambda *_: Tiling(16, 64))
    source = write_plate(tmp_path / "plate.exr", picture(64, 480))
    hooked(lambda run: time.sleep(0.05) if not run else None).upscale(source, tmp_path / "out.exr")
    ahead, under_way = budgets
    assert 16 * 64 * 3 * 4 < ahead.peak <= 40_000
    assert strip < under_way.peak <= 3 * strip


def fail(error: BaseException) -> Callable[..., Any]:
    def raise_it(*given: Any, **named: Any) -> Any:
        raise error

    return raise_it


def second(function: Callable[..., Any], broken: Callable[..., Any], which: Callable[..., bool]) -> Callable[..., Any]:
    """The function, broken where ``which`` says so of what it is given."""
    return lambda *given, **named: (broken if which(*given) else function)(*given, **named)


BREAK: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "digest": (reading, "digest", lambda path, check: path.name == "shot.0002.exr"),
    "decode": (Plate, "_read", lambda plate, *_: plate.path.name == "shot.0002.exr"),
    "open": (PlateWriter, "__enter__", lambda writer: writer.path.name == "shot.0002.exr"),
    "convert": (PlateWriter, "convert", lambda writer, *_: writer.path.name == "shot.0002.exr"),
    "encode": (PlateWriter, "append", lambda writer, *_: writer.path.name == "shot.0002.exr"),
    "verify": (PlateWriter, "_verify", lambda writer: writer.path.name == "shot.0002.exr"),
}
ERRORS = {"digest": PlateError, "decode": PlateError, "verify": PlateError}


def breaks(monkeypatch: pytest.MonkeyPatch, stage: str, broken: Callable[..., Any]) -> None:
    """Break a stage for the second frame of a sequence; ``network`` is left to the session."""
    if stage != "network":
        home, name, which = BREAK[stage]
        monkeypatch.setattr(home, name, second(getattr(home, name), broken, which))


@pytest.mark.parametrize("stage", ["network", *BREAK])
@pytest.mark.parametrize("memory", [False, True], ids=["error", "memory"])
def test_a_frame_that_fails_at_any_stage_costs_no_other(
    stage: str, memory: bool, hooked: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_of(tmp_path, 4)
    kind = InferenceError if stage == "network" else ERRORS.get(stage, WriteError)
    error = MemoryError() if memory else kind("it broke")
    breaks(monkeypatch, stage, fail(error))
    engine = hooked(lambda run: fail(error)() if stage == "network" and run == 1 else None)
    reports = done(engine, frames)
    assert [report.status for report in reports] == ["done", "failed", "done", "done"]
    assert [report.result for report in reports] == [result for _, result in frames]
    assert ("not enough memory" if memory else "it broke") in reports[1].message
    assert sorted(files(tmp_path / "out")) == ["shot.0001.exr", "shot.0003.exr", "shot.0004.exr"]


@pytest.mark.parametrize("stage", ["network", *BREAK])
def test_a_fault_of_ours_in_any_stage_ends_the_run_and_is_not_hidden(
    stage: str, hooked: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_of(tmp_path, 4)
    error = ModelError("cannot be compiled") if stage == "network" else ZeroDivisionError("a fault")
    breaks(monkeypatch, stage, fail(error))
    reports: list[FrameReport] = []
    engine = hooked(lambda run: fail(error)() if stage == "network" and run == 1 else None)
    with pytest.raises(type(error), match=str(error)):
        engine.upscale_all(frames, reports.append)
    assert [report.status for report in reports] == ["done"]
    assert not [name for name in files(tmp_path / "out") if name.startswith(".")]


def test_a_fault_outside_any_frame_reaches_who_asked(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "label", fail(ZeroDivisionError("a fault")))
    with pytest.raises(ZeroDivisionError, match="a fault"):
        done(make_engine(), frames_of(tmp_path))


@pytest.mark.parametrize("stage", ["network", *BREAK])
def test_a_cancel_at_any_stage_leaves_nothing_of_what_is_not_told_of(
    stage: str, hooked: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_of(tmp_path, 4)
    cancelled = threading.Event()
    pipelines: list[Pipeline] = []

    class Noted(Pipeline):
        def __init__(self) -> None:
            super().__init__()
            pipelines.append(self)

    monkeypatch.setattr("deepupscale.engine.Pipeline", Noted)

    def hang(*given: Any, **named: Any) -> None:
        """The stage goes on and on, but looks whether it is wanted, as all do."""
        cancelled.set()
        ends = time.monotonic() + LONG_S
        while time.monotonic() < ends:
            pipelines[0].check()
            time.sleep(0.002)
        raise AssertionError("nobody stopped it")

    breaks(monkeypatch, stage, hang)
    engine = hooked(lambda run: cancelled.set() if stage == "network" and run == 1 else None)
    reports: list[FrameReport] = []
    with pytest.raises(CancelledError, match="cancelled"):
        engine.upscale_all(frames, reports.append, cancelled=cancelled.is_set)
    assert sorted(files(tmp_path / "out")) == [report.result.name for report in reports]
    assert len(reports) <= 2


def test_a_cancel_that_comes_too_late_does_not_deny_the_result(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, result = write_plate(tmp_path / "plate.exr"), tmp_path / "out.exr"
    leave = PlateWriter.__exit__

    def late(self: PlateWriter, *given: Any) -> None:
        leave(self, *given)
        time.sleep(5 * pipeline._POLL_S)

    monkeypatch.setattr(PlateWriter, "__exit__", late)
    report = make_engine().upscale(source, result, cancelled=result.exists)
    assert report.status == "done"


def test_reports_come_in_order_whatever_becomes_of_the_frames(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    frames = frames_of(tmp_path, 6)
    make_engine().upscale(*frames[1])
    make_engine().upscale(*frames[4])
    frames[2][0].unlink()
    frames[5][0].write_bytes(frames[5][0].read_bytes()[:-40])
    told: list[tuple[int, float]] = []
    reports = done(make_engine(), frames, progress=lambda index, fraction: told.append((index, fraction)))
    assert [r.status for r in reports] == ["done", "skipped", "failed", "done", "skipped", "failed"]
    assert [r.source for r in reports] == [source for source, _ in frames]
    assert told == sorted(told)
    assert {index for index, fraction in told if fraction == 1.0} == {0, 3}
    assert all(report.seconds >= 0.0 for report in reports)


def test_seconds_of_a_sequence_add_up_to_no_more_than_it_took(engine: Engine, tmp_path: Path) -> None:
    began = time.perf_counter()
    reports = done(engine, frames_of(tmp_path, 8))
    assert sum(report.seconds for report in reports) <= time.perf_counter() - began


def test_an_interrupt_leaves_nothing_of_the_frames_under_way(hooked: Callable[..., Engine], tmp_path: Path) -> None:
    frames = frames_of(tmp_path, 5)
    reports: list[FrameReport] = []

    def interrupt(index: int, fraction: float) -> None:
        if index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hooked(lambda run: None).upscale_all(frames, reports.append, interrupt)
    names = list(files(tmp_path / "out"))
    assert set(names) <= {"shot.0001.exr", "shot.0002.exr"}
    assert {report.result.name for report in reports} <= set(names)


def test_two_results_of_one_name_are_written_one_after_the_other(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    first, second = write_sequence(tmp_path, [1, 2])
    result = tmp_path / "out" / "one.exr"
    engine = make_engine(overwrite=True)
    assert [r.status for r in done(engine, [(first, result), (second, result)])] == ["done", "done"]
    engine.upscale(second, tmp_path / "out" / "two.exr")
    one, two = files(tmp_path / "out").values()
    assert one == two


def test_a_budget_lets_through_what_fits_or_is_alone() -> None:
    with Pipeline() as line:
        budget = Budget(line, 10, "room")
        budget.take(30)
        taken = threading.Event()

        def take() -> None:
            budget.take(6)
            taken.set()
            budget.take(5)

        line.start("taker", take)
        assert not taken.wait(0.05)
        budget.give(30)
        assert taken.wait(LONG_S)
        assert budget.peak == 30
        budget.give(6)


def test_a_queue_holds_so_many_and_keeps_their_order() -> None:
    with Pipeline() as line:
        queue: Queue[int] = Queue(line, 2, "numbers")
        sent: list[int] = []

        def send() -> None:
            for number in range(5):
                queue.put(number)
                sent.append(number)

        line.start("sender", send)
        until(lambda: sent == [0, 1])
        time.sleep(0.05)
        assert sent == [0, 1]
        assert [queue.get() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_stopped_pipeline_wakes_whoever_waits() -> None:
    seen: list[type] = []
    with Pipeline() as line:
        queue: Queue[int] = Queue(line, 2, "numbers")

        def wait() -> None:
            try:
                queue.get()
            except StoppedError:
                seen.append(StoppedError)
                raise

        line.start("waiter", wait)
        line.stop()
    assert seen == [StoppedError]
