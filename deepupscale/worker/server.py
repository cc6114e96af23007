"""The conversation: one thread reads, the main thread works, a third lists models and devices.

So a ``cancel`` is read at once whatever else goes on, and what takes long holds up nothing but its like.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from deepupscale import __version__
from deepupscale.errors import CancelledError, DeepUpscaleError, ProtocolError, one_line
from deepupscale.worker import messages
from deepupscale.worker.messages import Code, Id, Message
from deepupscale.worker.streams import MAX_LINE, Messages, lines

if TYPE_CHECKING:
    from deepupscale.worker.params import Params
    from deepupscale.worker.work import Work

PROTOCOLS = (1,)
_METHODS = ("initialize", "models", "devices", "upscale", "check", "shutdown")  # and cancel, which needs no id
MAX_WAITING = 10_000  # requests that are not answered yet
GRACE_S = 60.0  # between the end of standard input and the end of the process, whatever a runtime is busy with
_SIDE_GRACE_S = 2.0
_ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")

log = logging.getLogger(__name__)
_Queue = SimpleQueue[Callable[[], None] | None]


class Job:
    """A request that is not answered yet.

    Attributes:
        id: Its id.
        method: Its method.
        params: Its params, checked.
        begun: Whether it is being worked on.
        cancelled: Whether it is wanted no more.
    """

    def __init__(self, id: Id, method: str, params: Params) -> None:  # noqa: A002 (the specification's name)
        self.id = id
        self.method = method
        self.params = params
        self.begun = False
        self.cancelled = False


class Worker:
    """Serves one client.

    Args:
        source: Descriptor that messages are read from.
        target: Descriptor that messages are written to.
        threads: CPU threads; 0 for all.
    """

    def __init__(self, source: int, target: int, threads: int = 0) -> None:
        self._source = source
        self._messages = Messages(target, self._stop)
        self._threads = threads
        self._work: Work | None = None
        self._jobs: _Queue = SimpleQueue()
        self._side: _Queue = SimpleQueue()
        self._open: dict[Id, Job] = {}
        self._lock = threading.Lock()  # guards _open and its jobs' marks; no handler of signals may take it
        self._initialized = False
        self._stopping = False
        self._shutdown: Id | None = None
        self._ended = threading.Event()

    def serve(self) -> None:
        """Answer until the client shuts the worker down, closes the pipe or a signal ends it.

        What runs then is cancelled and leaves nothing. Must be called on the main thread.
        """
        for name in _ENDING_SIGNALS:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)
        teller = _Teller(self._messages)
        logging.getLogger("deepupscale").addHandler(teller)
        side = threading.Thread(target=self._drain, args=(self._side,), name="side", daemon=True)
        side.start()
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        self._drain(self._jobs)
        self._side.put(None)
        side.join(_SIDE_GRACE_S)
        for job in list(self._open.values()):
            self._close(job, messages.failure(job.id, CancelledError(f"{job.method}: the worker ends")))
        if self._shutdown is not None:
            self._messages.send(messages.answer(self._shutdown, {}))
        logging.getLogger("deepupscale").removeHandler(teller)
        self._ended.set()
        if side.is_alive():  # in a folder that does not answer: it would hold up the interpreter's end
            os._exit(0)

    def _on_signal(self, number: int, frame: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """End soon. A handler of signals calls this: it takes no lock."""
        self._stopping = True
        self._jobs.put(None)

    def _drain(self, queue: _Queue) -> None:
        """Do what is queued, in order."""
        while (task := queue.get()) is not None:
            task()

    # What the client says, on the reader's thread

    def _read(self) -> None:
        for line in lines(self._source):
            if line is None or line.strip():
                self._take(line)
            if self._shutdown is not None:
                break
        self._stop()
        if self._work is not None:
            self._work.interrupt()
        if not self._ended.wait(GRACE_S):
            os._exit(1)  # a runtime that does not come back must not outlive its host

    def _take(self, line: bytes | None) -> None:
        """One line: whatever is wrong with it is one answer, and the worker goes on."""
        known: Id | None = None
        quiet = False
        try:
            if line is None:
                raise ProtocolError(f"the line has more than {MAX_LINE} bytes", Code.PARSE_ERROR)
            value = messages.parse(line)
            known = messages.id_of(value)
            if known in self._open:
                used, known = known, None  # an error with this id would be taken for the other request's answer
                raise ProtocolError(f"the id {used!r} is that of a request not answered yet", Code.INVALID_REQUEST)
            quiet = messages.is_notification(value)
            self._obey(messages.message_of(value))
        except Exception as error:
            if not isinstance(error, DeepUpscaleError):
                log.exception("a message could not be handled")
            if quiet:
                log.warning("a notification is ignored: %s", one_line(str(error)))
            else:
                self._messages.send(messages.failure(known, error))

    def _obey(self, message: Message) -> None:
        method = message.method
        if method == "cancel":
            self._cancel(message)
        elif method not in _METHODS:
            raise ProtocolError(
                f"{method[:100]}: no such method, there are {', '.join(_METHODS)}", Code.METHOD_NOT_FOUND
            )
        elif message.id is None:
            raise ProtocolError(f"{method}: a request has an id", Code.INVALID_REQUEST)
        elif method == "initialize":
            self._messages.send(messages.answer(message.id, self._initialize(message)))
            self._jobs.put(self._load)
        elif not self._initialized:
            raise ProtocolError(f"{method}: initialize comes first", Code.INVALID_REQUEST)
        else:
            self._queue(message, message.id)

    def _initialize(self, message: Message) -> dict[str, Any]:
        from deepupscale.worker.inventory import default_model
        from deepupscale.worker.params import Initialize, checked

        asked = checked(Initialize, message.method, message.params)
        if self._initialized:
            raise ProtocolError("initialize: that was done before", Code.INVALID_REQUEST)
        common = set(asked.protocol) & set(PROTOCOLS)
        if not common:
            ours, theirs = (", ".join(map(str, each)) for each in (PROTOCOLS, asked.protocol))
            raise ProtocolError(
                f"deepupscale {__version__} speaks protocol {ours}, the client {theirs}: update the older of the two",
                Code.NO_PROTOCOL,
            )
        log.info("client: %s", one_line(asked.client))
        self._initialized = True
        return {"protocol": max(common), "version": __version__, "pid": os.getpid(), "default_model": default_model()}

    def _cancel(self, message: Message) -> None:
        from deepupscale.worker.params import Cancel, checked

        asked = checked(Cancel, message.method, message.params)
        with self._lock:
            job = self._open.get(asked.id)
            if job is not None:
                job.cancelled = True
            waits = job is not None and not job.begun
            if job is not None and job.begun and self._work is not None:
                self._work.interrupt()  # under the lock: the next job must not have begun
        if job is not None and waits:
            self._close(job, messages.failure(job.id, CancelledError(f"{job.method}: cancelled before it began")))
        if message.id is not None:
            self._messages.send(messages.answer(message.id, {}))

    def _queue(self, message: Message, id: Id) -> None:  # noqa: A002 (the specification's name)
        from deepupscale.worker import params

        method = message.method
        kind = {"upscale": params.Upscale, "check": params.Check}.get(method, params.Nothing)
        asked = params.checked(kind, method, message.params)
        if method == "shutdown":
            self._shutdown = id
            return
        with self._lock:
            if len(self._open) >= MAX_WAITING:
                raise ProtocolError(f"{method}: {MAX_WAITING} requests wait already", Code.INVALID_REQUEST)
            job = self._open[id] = Job(id, method, asked)
        (self._side if kind is params.Nothing else self._jobs).put(partial(self._run, job))

    # What is done about it, on the main thread or the side thread

    def _run(self, job: Job) -> None:
        with self._lock:
            if job.cancelled:
                return  # and was answered
            job.begun = True
        try:
            if self._stopping:
                raise CancelledError(f"{job.method}: the worker ends")
            reply = messages.answer(job.id, self._do(job))
        except DeepUpscaleError as error:
            reply = messages.failure(job.id, error)
        except MemoryError as error:
            plate = getattr(job.params, "plate", None)
            reply = messages.failure(job.id, error, f"{plate or job.method}: not enough memory for it")
        except Exception as error:
            log.exception("%s failed", job.method)
            told = f"{job.method}: {type(error).__name__}: {error}: this is a fault of deepupscale, the log says more"
            reply = messages.failure(job.id, error, told)
        self._close(job, reply)

    def _close(self, job: Job, reply: dict[str, Any]) -> None:
        """Answer; the id is free from then on."""
        with self._lock:
            self._open.pop(job.id, None)
        self._messages.send(reply)

    def _do(self, job: Job) -> dict[str, Any]:
        from deepupscale.worker import inventory, params

        def cancelled() -> bool:
            return job.cancelled or self._stopping

        if isinstance(job.params, params.Upscale):
            return self._loaded().upscale(job.params, partial(self._progress, job.id), cancelled)
        if isinstance(job.params, params.Check):
            return self._loaded().check(job.params, cancelled)
        return inventory.models() if job.method == "models" else inventory.devices()

    def _progress(self, id: Id, fraction: float) -> None:  # noqa: A002 (the specification's name)
        self._messages.send(messages.notification("progress", id=id, fraction=round(fraction, 4)))

    def _load(self) -> None:
        """Import what work needs while the client makes up its mind; a failure shows when work is asked for."""
        try:
            self._loaded()
        except Exception:
            log.exception("the engine cannot be loaded")

    def _loaded(self) -> Work:
        from deepupscale.worker.work import Work

        if self._work is None:
            self._work = Work(self._threads)
        return self._work


class _Teller(logging.Handler):
    """Hands log lines on to the client."""

    def __init__(self, target: Messages) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = one_line(record.getMessage())
        except Exception:
            self.handleError(record)
            return
        self._target.send(messages.notification("log", level=record.levelname.lower(), text=text))
