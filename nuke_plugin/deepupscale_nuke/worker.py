"""The worker's client: one process, asked from any thread; it is started again once after a crash."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Callable

from deepupscale_nuke.errors import CANCELLED, Cancelled, WorkerDied, WorkerError

PROTOCOL = [1]
POLL = 0.02  # seconds between looks at Cancel
PATIENCE = 120.0  # seconds for a start or a small question
LINE = 1 << 20  # bytes the worker takes in one line
Fraction = Callable[[float], None]
Stopped = Callable[[], bool]


class Process:
    """One worker process. Two threads read its pipes all the time, for a full pipe would stop it."""

    def __init__(self, command: list[str], environment: Mapping[str, str], client: str) -> None:
        self._errors: deque[str] = deque(maxlen=50)
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._ids = 0
        self._gone = False
        try:
            self._process = _start(command, environment)
        except OSError as error:
            raise WorkerError(f"{command[0]}: cannot be started: {error}") from None
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._drain, daemon=True).start()
        try:
            self.hello = self.ask("initialize", {"protocol": PROTOCOL, "client": client}, patience=PATIENCE)
        except BaseException:
            self.kill()
            raise
        if self.hello.get("protocol") not in PROTOCOL:
            self.kill()
            raise WorkerError(f"{command[0]}: speaks protocol {self.hello.get('protocol')}, this plugin {PROTOCOL}")

    @property
    def alive(self) -> bool:
        """Whether it may be asked."""
        return not self._gone and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(
        self,
        method: str,
        params: dict[str, Any],
        progress: Fraction | None = None,
        stopped: Stopped | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """The result of a request.

        Raises:
            WorkerError: It answered with an error, or not in time.
            WorkerDied: Its process ended before.
            Cancelled: ``stopped`` said so, and the worker confirmed.
        """
        box: queue.Queue[dict[str, Any]] = queue.Queue()
        with self._lock:
            self._ids += 1
            number = self._ids
            self._waiting[number] = box
        try:
            self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            return self._wait(number, box, method, progress, stopped, patience)
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _wait(
        self,
        number: int,
        box: queue.Queue[dict[str, Any]],
        method: str,
        progress: Fraction | None,
        stopped: Stopped | None,
        patience: float | None,
    ) -> dict[str, Any]:
        told, waited = False, 0.0
        while True:
            if stopped is not None and not told and stopped():
                told = True
                self._send({"jsonrpc": "2.0", "method": "cancel", "params": {"id": number}})
            try:
                said = box.get(timeout=POLL)
            except queue.Empty:
                waited += POLL
                if self._gone and box.empty():
                    raise self._died(method) from None
                if patience is not None and waited > patience:
                    raise WorkerError(f"the worker did not answer {method} within {patience:g} s") from None
                continue
            if said.get("method") == "progress":
                if progress is not None:
                    progress(float(said["params"]["fraction"]))
            elif "error" in said:
                error = said["error"]
                if error["code"] == CANCELLED:
                    raise Cancelled()
                raise WorkerError(str(error["message"]), int(error["code"]))
            else:
                return said["result"]

    def close(self) -> None:
        """Let it end: it cancels what runs when its input closes."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
        except OSError:
            pass
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode("ascii") + b"\n"
        if len(line) > LINE:
            raise WorkerError(
                f"a request of {len(line)} bytes is more than the worker takes: say less in the layer policy"
            )
        try:
            assert self._process.stdin is not None
            with self._lock:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):
            self._process.poll()
            raise self._died(str(message["method"])) from None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
                number = said["params"]["id"] if said.get("method") == "progress" else said.get("id")
            except (ValueError, KeyError, TypeError, AttributeError):
                self._errors.append(f"not a message: {line[:200]!r}")
                continue
            with self._lock:
                box = self._waiting.get(number) if isinstance(number, int) else None
            if box is not None:
                box.put(said)
        self._gone = True

    def _drain(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.decode("utf-8", "replace").rstrip())

    def _died(self, method: str) -> WorkerDied:
        try:
            code: Any = self._process.wait(2)
        except subprocess.TimeoutExpired:
            code = "unknown"
        last = next((e.strip() for e in reversed(self._errors) if e.strip()), "it said nothing")
        return WorkerDied(f"the worker ended (exit code {code}) during {method}; its last line: {last[:300]}")


class Worker:
    """The worker of a session: started when it is first asked, and again once when it died over a request.

    Args:
        command: The command.
        environment: Its environment.
        client: What we say we are, for its log.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], client: str) -> None:
        self.command = command
        self._environment = dict(environment)
        self._client = client
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._files: dict[str, dict[str, Any]] = {}
        self.starts = 0

    def ask(
        self,
        method: str,
        params: dict[str, Any],
        progress: Fraction | None = None,
        stopped: Stopped | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """As ``Process.ask``; a process that dies is replaced and asked again, once."""
        try:
            return self.process().ask(method, params, progress, stopped, patience)
        except WorkerDied:
            if stopped is not None and stopped():
                raise Cancelled() from None
        try:
            return self.process().ask(method, params, progress, stopped, patience)
        except WorkerDied as error:
            raise WorkerError(f"the worker died twice over the same request, so it is given up: {error}") from None

    def process(self) -> Process:
        """The living process, a new one where there is none."""
        with self._lock:
            if self._process is None or not self._process.alive:
                self._process = Process(self.command, self._environment, self._client)
                self._files = {}
                self.starts += 1
            return self._process

    def models(self) -> list[dict[str, Any]]:
        """The models that can be named."""
        return list(self.ask("models", {}, patience=PATIENCE)["models"])

    def model_file(self, name: str | None) -> str | None:
        """The file of a model by name, of one that is given by path, or of the default; None if that is not known."""
        if name and os.path.isabs(name):
            return name
        if not self._files:
            self._files = {m["name"]: m for m in self.models()}
        found = [m for m in self._files.values() if (m["name"] == name if name else m.get("default"))]
        return str(found[0]["file"]) if found else None

    def known_models(self) -> list[str]:
        """The names that it told already; it is not asked."""
        return sorted(self._files)

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None


def _start(command: list[str], environment: Mapping[str, str]) -> Any:
    pipe = subprocess.PIPE
    options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "env": dict(environment)}
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetDllDirectoryW(None)  # Nuke's own folder would come before the worker's
        options["creationflags"] = 0x08000000  # CREATE_NO_WINDOW
    return subprocess.Popen(command, **options)  # noqa: S603 (a list, and no shell)
