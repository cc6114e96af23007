"""The one running session: what a Nuke process would hold in its globals."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import StandInError, nested

if TYPE_CHECKING:
    from types import ModuleType

    from .format import Format
    from .groups import Group, Root
    from .knob_base import Knob
    from .nodes import Node

Callback = tuple  # (call, args, kwargs, node or None)


class Session:
    """Everything that a Nuke process keeps for itself, and what a test may look at or steer.

    Attributes:
        nuke: The module that ``import nuke`` finds.
        gui: Whether this is the GUI; a terminal pumps no main-thread queue and has no menus.
        version: ``(major, minor, release)``.
        answers: What the user will answer to ``nuke.ask``, first come first served.
        messages: What ``nuke.message`` and the log functions showed.
        tasks: Every ``ProgressTask`` made, in order.
        menus: Menu items by full path, such as ``Nodes/DeepUpscale/DeepUpscale``.
    """

    nuke: ModuleType
    root: Root

    def __init__(self, gui: bool, version: tuple[int, int, int], raw_args: list[str]) -> None:
        self.gui = gui
        self.version = version
        self.raw_args = raw_args
        self.main_thread = threading.get_ident()
        self.queue: queue.Queue[Callable[[], None]] = queue.Queue()
        self.answers: list[bool] = []
        self.messages: list[str] = []
        self.tasks: list[Any] = []
        self.menus: dict[str, Any] = {}
        self.cancelled = False
        self.executing = False
        self.render_progress: list[str] = []
        self.busy: list[str] = []  # callbacks in which Nuke refuses to execute, innermost last
        self.callbacks: dict[str, dict[str, list[Callback]]] = defaultdict(lambda: defaultdict(list))
        self.plugin_paths: list[Path] = []
        self.loading: list[Path] = []  # folders whose init.py or menu.py runs now
        self.knob_defaults: dict[str, str] = {}
        self.formats: dict[str, Format] = {}
        self.groups: list[Group] = []  # entered by begin() or with
        self.this: list[tuple[Node, Knob | None]] = []
        self.frame: int | None = None  # the frame being rendered, else the root's
        self.view: str | None = None
        self.undo: list[Callable[[], None]] = []
        self.undo_disabled = 0
        self.clipboard = ""
        self.pixels: dict[Any, Any] = {}  # what Reads have loaded, by hash
        self.namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
        self.quiet = 0  # nodes are being built: knob changes are nobody's business

    # ------------------------------------------------------------------ what a test steers

    def pump(self) -> int:
        """Run what ``executeInMainThread`` queued, as the GUI's event loop would; returns how many calls ran."""
        if not self.gui:
            raise StandInError("nothing pumps the main-thread queue of a terminal session")
        if threading.get_ident() != self.main_thread:
            raise StandInError("only the main thread pumps")
        done = 0
        while True:
            try:
                call = self.queue.get_nowait()
            except queue.Empty:
                return done
            call()
            done += 1

    def pump_until(self, ready: Callable[[], bool], timeout: float = 5.0) -> None:
        """Pump until ``ready()``; ``TimeoutError`` after ``timeout`` seconds."""
        import time

        end = time.monotonic() + timeout
        while not ready():
            self.pump()
            if time.monotonic() > end:
                raise TimeoutError(f"not ready after {timeout} s of pumping")
            time.sleep(0.002)
        self.pump()

    def idle(self) -> None:
        """One idle moment of the GUI: updateUI, then autolabel, for every node."""
        from .callbacks import idle

        if not self.gui:
            raise StandInError("updateUI and autolabel belong to the GUI")
        idle()

    def press(self, knob: Any) -> None:
        """Press a button as the user does."""
        knob.execute()

    def set(self, knob: Any, value: Any) -> None:
        """Change a knob as the user does in an open panel: the panel opens if it is shut, knobChanged fires."""
        if not self.gui:
            raise StandInError("a terminal session has no user who turns knobs")
        if not knob.node().shown():
            knob.node().showControlPanel()
        knob.setValue(value)

    def cancel(self) -> None:
        """Press the Cancel button: tasks say so, and a running render stops."""
        self.cancelled = True


_session: Session | None = None


def start(session: Session) -> None:
    """Make this the running session; there is one at a time."""
    global _session  # noqa: PLW0603
    if _session is not None:
        raise StandInError("a session of the stand-in runs already")
    _session = session


def stop() -> None:
    """Forget the running session."""
    global _session  # noqa: PLW0603
    _session = None


def current() -> Session:
    """The running session."""
    if _session is None:
        raise StandInError("no session of the stand-in runs: use nuke_standin.gui() or nuke_standin.terminal()")
    return _session


def on_main_thread(what: str) -> None:
    """Refuse to touch Nuke from another thread, as its guide tells plugins to."""
    if threading.get_ident() != current().main_thread:
        raise StandInError(f"{what} belongs to the main thread; use nuke.executeInMainThread")


def not_busy() -> None:
    """Raise Nuke's nested-execute error while it renders or tells a knobChanged handler."""
    session = current()
    if session.executing or session.busy:
        raise nested()


@contextlib.contextmanager
def this(node: Node, knob: Knob | None = None) -> Iterator[None]:
    """Let ``thisNode`` and ``thisKnob`` be these; the context group is the node's parent."""
    session = current()
    session.this.append((node, knob))
    kept, session.groups = session.groups, []
    try:
        yield
    finally:
        session.groups = kept
        session.this.pop()


@contextlib.contextmanager
def at(frame: int | None, view: str | None) -> Iterator[None]:
    """Let this frame and view be the ones that knobs are evaluated for."""
    session = current()
    kept = session.frame, session.view
    session.frame = session.frame if frame is None else frame
    session.view = session.view if view is None else view
    try:
        yield
    finally:
        session.frame, session.view = kept


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Build nodes without telling callbacks about each knob."""
    session = current()
    session.quiet += 1
    try:
        yield
    finally:
        session.quiet -= 1


def run_code(code: Any, node: Node, knob: Knob | None = None) -> None:
    """Run Python of a knob with ``thisNode`` and ``thisKnob`` set; what it raises, its caller gets."""
    session = current()
    session.namespace["nuke"] = session.nuke
    where = f"<{node.fullName()}.{knob.name() if knob else ''}>"
    with this(node, knob):
        exec(compile(code, where, "exec"), session.namespace)  # noqa: S102
