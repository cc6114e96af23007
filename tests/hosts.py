"""A host as the tests play it: starts workers, talks to them over their pipes, and keeps what they say."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plates import picture, write_plate

from deepupscale import __version__

PATIENCE = 120.0


class Client:
    """A host: starts a worker and keeps what it says."""

    def __init__(self, command: list[str], log: Path, start: bool = True) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.deaf = False
        self.heard: list[dict[str, Any]] = []
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._ids = 0
        if start:
            assert self.ask("initialize", protocol=[1], client="tests")["result"]["version"] == __version__

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if self.deaf:
                self.process.stdout.close()
                return
            self._said.put(json.loads(line))

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method: str, **params: Any) -> int:
        self._ids += 1
        self.raw(json.dumps({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}).encode() + b"\n")
        return self._ids

    def notify(self, method: str, **params: Any) -> None:
        self.raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    def next(self) -> dict[str, Any]:
        said = self._said.get(timeout=PATIENCE)
        self.heard.append(said)
        return said

    def answer(self, id: object = ...) -> dict[str, Any]:  # noqa: A002
        """The next answer, or that to one request; notifications and other answers are heard on the way."""
        while True:
            said = self.next()
            if "method" not in said and id in (..., said["id"]):
                return said

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self.answer(self.send(method, **params))

    def progress(self, id: int) -> float:  # noqa: A002
        """The next progress of a request; an answer in its place is an error."""
        while True:
            said = self.next()
            assert said.get("id") != id, said
            if said.get("method") == "progress" and said["params"]["id"] == id:
                return float(said["params"]["fraction"])

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)


Start = Callable[..., Client]


@pytest.fixture
def start(script: list[str], tmp_path: Path) -> Iterator[Start]:
    """Starts workers, and sees to it that none is left."""
    clients: list[Client] = []

    def begin(*options: str, code: str = "", initialize: bool = True) -> Client:
        command = (
            [sys.executable, "-c", f"{code}\nfrom deepupscale.cli import main; main(['worker'])"] if code else script
        )
        clients.append(Client([*command, *options, *([] if code else ["worker"])], tmp_path / "log", initialize))
        return clients[-1]

    yield begin
    for client in clients:
        client.process.kill()
        client.process.wait()


@pytest.fixture(scope="module")
def worker(script: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One worker for all that must not disturb it."""
    client = Client([*script, "worker"], tmp_path_factory.mktemp("worker") / "log")
    yield client
    assert client.end() == 0
    assert "Traceback" not in client.log.read_text()


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> dict[str, Any]:
    """Params for a small plate."""
    plate = write_plate(tmp_path / "plate.exr", picture(24, 16, "RGBA"))
    return {"plate": str(plate), "result": str(tmp_path / "out" / "plate.exr"), "model": str(tiny_model),
            "device": "cpu", "precision": "f32"}  # fmt: skip


@pytest.fixture
def long_job(job: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Params for a plate of some 80 steps, which take seconds."""
    layers = [f"light{n}.{c}" for n in range(40) for c in "RGB"]
    plate = write_plate(tmp_path / "long.exr", picture(240, 180, "RGB") | dict.fromkeys(layers, picture(240, 180)["G"]))
    return {**job, "plate": str(plate), "result": str(tmp_path / "out" / "long.exr"), "scale": 4}
