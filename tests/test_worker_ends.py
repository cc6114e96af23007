"""The worker when work is given up, its host goes, or something breaks: nothing half-written, and no worker left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from plates import picture, write_plate

from deepupscale import Engine, Settings, __version__, load_model, open_session
from deepupscale.errors import CancelledError, InferenceError, PlateError
from deepupscale.runtimes import OpenVinoSession
from deepupscale.session import Tensor
from deepupscale.worker.messages import Code
from deepupscale.worker.params import Upscale
from deepupscale.worker.streams import lines
from deepupscale.worker.work import Work

if TYPE_CHECKING:
    from hosts import Client, Start

pytest_plugins = ["hosts"]


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_versions_are_agreed_on_first(start: Start) -> None:
    client = start(initialize=False)
    early = client.ask("models")["error"]
    assert (early["code"], early["message"]) == (Code.INVALID_REQUEST, "models: initialize comes first")
    refused = client.ask("initialize", protocol=[99, 2], client="newer")["error"]
    assert refused["code"] == Code.NO_PROTOCOL
    assert f"deepupscale {__version__} speaks protocol 1, the client 99, 2" in refused["message"]
    assert "comes first" in client.ask("devices")["error"]["message"]
    agreed = client.ask("initialize", protocol=[99, 1], client="older")["result"]
    assert (agreed["protocol"], agreed["version"], agreed["pid"]) == (1, __version__, client.process.pid)
    assert agreed["default_model"]["sha256"] == load_model().digest
    assert client.ask("shutdown")["result"] == {}
    assert client.process.wait(60) == 0


def test_jobs_are_done_in_order_and_cancelled_running_or_waiting(
    worker: Client, job: dict[str, Any], long_job: dict[str, Any], tmp_path: Path
) -> None:
    results = [str(tmp_path / "out" / f"{n}.exr") for n in range(3)]
    running = worker.send("upscale", **long_job)
    waiting = [worker.send("upscale", **{**job, "result": result}) for result in results]
    check = worker.send("check", **job)
    assert worker.progress(running) < 0.5
    worker.notify("cancel", id=waiting[1])
    assert worker.answer()["id"] == waiting[1], "what waits is answered at once"
    assert worker.heard[-1]["error"]["code"] == Code.CANCELLED
    assert worker.answer(worker.send("models"))["result"]["models"], "a list is answered while a plate is done"
    assert worker.progress(running) < 1.0
    worker.raw(b'{"jsonrpc": "2.0", "id": %d, "method": "models"}\n' % running)
    in_use = worker.answer()
    assert (in_use["id"], in_use["error"]["code"]) == (None, Code.INVALID_REQUEST)
    assert str(running) in in_use["error"]["message"]
    worker.notify("cancel", id=running)
    answers = [worker.answer() for _ in range(4)]
    assert [each["id"] for each in answers] == [running, waiting[0], waiting[2], check]
    assert answers[0]["error"] == {
        "code": Code.CANCELLED, "message": f"{long_job['plate']}: cancelled", "data": {"kind": "CancelledError"},
    }  # fmt: skip
    assert [each["result"]["status"] for each in answers[1:3]] == ["done", "done"]
    assert left(tmp_path / "out") == ["0.exr", "2.exr"], "nothing is left of what was cancelled"


def test_sessions_stay_warm_through_a_cancel_and_two_are_kept(
    start: Start, job: dict[str, Any], long_job: dict[str, Any]
) -> None:
    client = start("-v")

    def opened(**more: Any) -> int:
        """How many sessions a job has opened, by the log."""
        before = len(client.heard)
        assert client.ask("upscale", **{**job, "overwrite": True, **more})["result"]["status"] == "done"
        logged = [said["params"] for said in client.heard[before:] if said.get("method") == "log"]
        assert {each["level"] for each in logged} <= {"debug", "info", "warning", "error", "critical"}
        told = [each["text"] for each in logged]
        return sum(bool(re.match(r"openvino on cpu in f32", text)) for text in told)

    assert [opened(), opened(), opened(scale=4)] == [1, 0, 0]
    running = client.send("upscale", **long_job)
    client.progress(running)
    client.notify("cancel", id=running)
    assert client.answer(running)["error"]["code"] == Code.CANCELLED
    assert opened() == 0
    assert [opened(runtime="openvino"), opened(), opened(runtime="openvino")] == [1, 0, 0]
    assert [opened(device="auto", runtime="openvino"), opened(runtime="openvino"), opened()] == [1, 0, 1]
    assert client.end() == 0


@pytest.mark.parametrize(
    "how",
    [
        *("stdin", "SIGTERM", "SIGINT", "stdout", "shutdown"),
        pytest.param("SIGHUP", marks=pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="not on Windows")),
    ],
)
def test_when_the_host_goes_the_worker_leaves_nothing_and_ends(
    how: str, start: Start, job: dict[str, Any], long_job: dict[str, Any], tmp_path: Path
) -> None:
    client = start()
    running, waiting = client.send("upscale", **long_job), client.send("upscale", **job)
    client.progress(running)
    assert [name for name in left(tmp_path / "out") if name.startswith(".long.writing-")]
    process = client.process
    if how == "stdin":
        assert client.end() == 0
    elif how == "stdout":
        client.deaf = True
    elif how == "shutdown":
        ending = client.send("shutdown")
        for known in (running, waiting):
            assert client.answer()["id"] == known
            assert client.heard[-1]["error"]["code"] == Code.CANCELLED
        assert client.answer() == {"jsonrpc": "2.0", "id": ending, "result": {}}
    else:
        process.send_signal(getattr(signal, how))
        for known in (running, waiting):
            assert client.answer(known)["error"]["code"] == Code.CANCELLED
    assert process.wait(60) == 0
    assert left(tmp_path / "out") == []
    assert "Traceback" not in client.log.read_text()


def test_a_kill_leaves_no_half_result_and_the_next_worker_sweeps(
    start: Start, job: dict[str, Any], long_job: dict[str, Any], tmp_path: Path
) -> None:
    client = start()
    client.progress(client.send("upscale", **long_job))
    client.process.kill()
    client.process.wait()
    (hidden,) = left(tmp_path / "out")
    assert hidden.startswith(".long.writing-")
    assert start().ask("upscale", **job)["result"]["status"] == "done"
    assert left(tmp_path / "out") == ["plate.exr"]


NOISY = """
import ctypes, os, sys
from deepupscale.worker import work
plain = work.Work.upscale
def noisy(self, *given):
    print("python noise")
    os.write(1, b"noise\\n")
    os.system("echo noise of a child; cat")
    ctypes.CDLL(None).puts(b"C noise")
    ctypes.CDLL(None).fflush(None)
    assert sys.stdin.read() == ""
    return plain(self, *given)
work.Work.upscale = noisy
"""


def test_what_libraries_print_or_read_does_not_touch_the_conversation(start: Start, job: dict[str, Any]) -> None:
    client = start(code=NOISY)
    assert client.ask("upscale", **job)["result"]["status"] == "done"
    assert client.end() == 0
    assert {"python noise", "noise", "noise of a child", "C noise"} <= set(client.log.read_text().splitlines())


def test_a_stream_that_is_closed_is_an_error_or_not_needed(script: list[str]) -> None:
    shell = ["bash", "-c", '"$0" worker >&-', *script]
    done = subprocess.run(shell, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"deepupscale: error: .* is closed\n", done.stderr), done.stderr
    shell[2] = '"$0" worker 2>&-'
    hello = b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocol": [1]}}\n'
    done = subprocess.run(shell, input=hello, stdout=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0
    assert b'"protocol":1' in done.stdout


BROKEN = """
from deepupscale.worker import work
plain, faults = work.Work.upscale, [MemoryError(), ZeroDivisionError("one\\ntwo"), RecursionError("deep")]
def broken(self, *given):
    if faults:
        raise faults.pop(0)
    return plain(self, *given)
work.Work.upscale = broken
"""


def test_a_fault_is_an_error_and_the_worker_goes_on(start: Start, job: dict[str, Any]) -> None:
    client = start(code=BROKEN)
    errors = [client.ask("upscale", **job)["error"] for _ in range(3)]
    assert [each["code"] for each in errors] == [Code.FRAME, Code.INTERNAL, Code.INTERNAL]
    assert [each["data"]["kind"] for each in errors] == ["MemoryError", "ZeroDivisionError", "RecursionError"]
    assert errors[0]["message"] == f"{job['plate']}: not enough memory for it"
    assert errors[1]["message"].startswith("upscale: ZeroDivisionError: one two: ")
    assert client.ask("upscale", **job)["result"]["status"] == "done"
    assert client.end() == 0
    assert client.log.read_text().count("Traceback") == 2


def test_a_runtime_that_does_not_come_back_does_not_outlive_the_host(start: Start, job: dict[str, Any]) -> None:
    hung = "import time\nfrom deepupscale.worker import server, work\nserver.GRACE_S = 0.2\n"
    client = start(code=hung + "work.Work.upscale = lambda *given: time.sleep(3600)")
    client.send("upscale", **job)
    assert client.ask("cancel", id=0)["result"] == {}
    time.sleep(1.0)  # until it hangs
    assert client.end() == 1


def test_more_requests_than_may_wait_are_refused(start: Start, job: dict[str, Any]) -> None:
    few = "import time\nfrom deepupscale.worker import server, work\nserver.MAX_WAITING = 2\n"
    client = start(code=few + "work.Work.upscale = lambda self, asked, told, cancelled: time.sleep(3600)")
    client.send("upscale", **job)
    waiting = client.send("upscale", **job)
    refused = client.ask("check", **job)["error"]
    assert (refused["code"], refused["message"]) == (Code.INVALID_REQUEST, "check: 2 requests wait already")
    client.notify("cancel", id=waiting)
    assert client.answer(waiting)["error"]["code"] == Code.CANCELLED
    client.send("upscale", **job)
    assert client.ask("cancel", id="unknown")["result"] == {}, "one that was answered made room"
    assert not [said for said in client.heard if said.get("error", {}).get("code") == Code.INVALID_REQUEST][1:]


class CountingSession:
    """Counts the runs of a session."""

    def __init__(self, model: Path) -> None:
        self.runs = 0
        self._session = open_session(load_model(model), "cpu", "f32", threads=1)
        self.choice = self._session.choice

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.runs += 1
        return self._session.run(inputs)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_cancelled_plate_goes_no_further_than_the_field_that_was_begun(
    after: int, tiny_model: Path, long_job: dict[str, Any], tmp_path: Path
) -> None:
    session = CountingSession(tiny_model)
    engine = Engine(load_model(tiny_model), session, Settings(scale=4))
    source, result = Path(long_job["plate"]), tmp_path / "out" / "long.exr"
    with pytest.raises(CancelledError, match=r"long\.exr: cancelled"):
        engine.upscale(source, result, cancelled=lambda: session.runs >= after)
    assert session.runs == after
    assert left(tmp_path / "out") == []
    small = write_plate(tmp_path / "small.exr")
    assert engine.upscale(small, result).status == "done"


def test_a_run_of_the_network_is_cancelled_within_a_tile_and_the_next_one_is_whole(tiny_model: Path) -> None:
    session = open_session(load_model(tiny_model), "cpu", "f32", threads=1)
    assert isinstance(session, OpenVinoSession)
    tile = {"plate": np.random.default_rng(0).random((1, 3, 900, 900), np.float32)}
    session.cancel()  # nothing runs
    whole = session.run(tile)["residual"]
    raised: list[BaseException] = []

    def run() -> None:
        try:
            while True:
                session.run(tile)
        except InferenceError as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < end:
        session.cancel()
        time.sleep(0.001)
    assert "cancel" in str(raised[0])
    assert np.array_equal(session.run(tile)["residual"], whole)


def test_a_run_that_was_cancelled_is_told_from_one_that_failed(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(1)
    work.upscale(Upscale(**job), lambda fraction: None, lambda: False)
    stopped: list[bool] = []
    monkeypatch.setattr(OpenVinoSession, "cancel", lambda session: stopped.append(True))
    work.interrupt()
    assert stopped == [True]

    def given_up(session: OpenVinoSession, inputs: Any) -> Any:
        stopped.append(True)
        raise InferenceError("OpenVINO failed: Infer Request was canceled")

    monkeypatch.setattr(OpenVinoSession, "run", given_up)
    again = Upscale(**job, overwrite=True)
    with pytest.raises(InferenceError, match="canceled"):
        work.upscale(again, lambda fraction: None, lambda: False)
    stopped.clear()
    with pytest.raises(CancelledError, match=r"plate\.exr: cancelled"):
        work.upscale(again, lambda fraction: None, lambda: bool(stopped))
    assert stopped, "cancelled before the network ran"
    assert left(tmp_path / "out") == ["plate.exr"]


BUSY = """
import threading
from deepupscale.errors import InferenceError
from deepupscale.worker import work
stopped = threading.Event()
work.Work.interrupt = lambda self: stopped.set()
class Engine:
    def __init__(self, *given):
        pass
    def upscale(self, source, result, progress, cancelled):
        progress(0.5)
        assert stopped.wait(60), "nobody stops the network"
        raise InferenceError("canceled")
work.Engine = Engine
"""


@pytest.mark.parametrize("how", ["cancel", "stdin"])
def test_the_network_is_stopped_by_cancel_and_when_the_host_goes(how: str, start: Start, job: dict[str, Any]) -> None:
    client = start(code=BUSY)
    running = client.send("upscale", **job)
    client.progress(running)
    if how == "stdin":
        assert client.end() == 0
    else:
        client.notify("cancel", id=running)
    assert client.answer(running)["error"]["message"] == f"{job['plate']}: cancelled"


@pytest.mark.parametrize("same", [False, True], ids=["other", "same"])
def test_a_plate_that_changes_while_it_is_read_is_refused(
    same: bool, make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    source, result = write_plate(tmp_path / "plate.exr"), tmp_path / "out" / "plate.exr"
    data = source.read_bytes()

    def meddle(fraction: float) -> None:
        replacement = tmp_path / "new.exr"
        if same:
            replacement.write_bytes(data)
        else:
            write_plate(replacement, picture(seed=5))
        replacement.replace(source)

    if same:
        report = make_engine().upscale(source, result, meddle)
        assert report.status == "done"
        assert report.plate is not None
        assert report.plate.mtime_ns == source.stat().st_mtime_ns
        return
    with pytest.raises(PlateError, match=r"plate\.exr: changed while it was read"):
        make_engine().upscale(source, result, meddle)
    assert left(tmp_path / "out") == []


def test_lines_come_whole_however_they_are_cut() -> None:
    text = b"one\n\n" + b"x" * 10 + b"\n" + b"y" * 11 + b"\ntwo\n" + b"z" * 500 + b"\nrest"
    for size in (1, 3, 7, len(text)):
        source, target = os.pipe()
        for at in range(0, len(text), size):
            os.write(target, text[at : at + size])
        os.close(target)
        assert list(lines(source, longest=10)) == [b"one", b"", b"x" * 10, None, b"two", None]
        os.close(source)
