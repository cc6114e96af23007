"""Where the plugin touches a DeepUpscale node: its knobs, the pull, the reload."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nuke

from deepupscale_nuke import __version__, cache, environment, upstream
from deepupscale_nuke.cache import Cache, State, Task
from deepupscale_nuke.errors import Cancelled, PluginError, SettingsError
from deepupscale_nuke.knobs import DEFAULT_MODEL, PRECISIONS
from deepupscale_nuke.settings import Settings, parse_layers
from deepupscale_nuke.upstream import real
from deepupscale_nuke.worker import Worker

_workers: dict[str, Worker] = {}


@dataclass(frozen=True)
class Look:
    """What is known of a frame before it is done: why it has to be, and what is upstream."""

    why: str
    state: State


def settings_of(node: Any) -> Settings:
    """The knobs as values.

    Raises:
        SettingsError: One cannot be meant.
    """
    return Settings(
        model=node["model_name"].value().strip() or None,
        scale=(2, 4)[int(node["scale"].getValue())],
        precision=PRECISIONS[int(node["precision"].getValue())],
        channels=real(node, "channels").value(),
        unpremult=real(node, "unpremult").value(),
        layers=parse_layers(node["layers"].value()),
        gpu=bool(node["useGPUIfAvailable"].value()),
    )


def folder_of(node: Any) -> str:
    """The folder of a node's cache."""
    name = nuke.root()["name"].value()
    return cache.place(
        node["cache"].value(), node["cache_used"].value(), os.path.dirname(name), node["uuid"].value(), dict(os.environ)
    )


def cache_of(node: Any, settings: Settings) -> Cache:
    """The cache of a node for these settings: each has a folder, so frames made otherwise are missing, not wrong.

    Raises:
        SettingsError: Its folder cannot be used.
    """
    return Cache(os.path.join(folder_of(node), settings.key()))


def worker_for(node: Any) -> Worker:
    """The session's worker in the Python that a node names.

    Raises:
        SettingsError: There is no such Python.
    """
    nuke_folder = os.path.dirname(str(nuke.EXE_PATH or ""))
    cleaned = environment.clean(os.environ, nuke_folder)
    command = environment.worker_command(node["python"].value(), cleaned)
    key = "\0".join(command)
    if key not in _workers:
        _workers[key] = Worker(command, cleaned, f"nuke {nuke.NUKE_VERSION_STRING} deepupscale {__version__}")
    return _workers[key]


def close_workers() -> None:
    """End every worker of the session."""
    while _workers:
        _workers.popitem()[1].close()


def running_worker() -> Worker | None:
    """A worker that was started already, if there is one."""
    return next(iter(_workers.values()), None)


# ---------------------------------------------------------------------- looking and pulling


def look(node: Any, task: Task, settings: Settings, where: Cache) -> Look:
    """Whether a frame has to be done."""
    state = upstream.state_of(node.node("Pull"), task)
    return Look(where.why_stale(task, settings.document(), state), state)


@contextlib.contextmanager
def _pulling(node: Any, file: str) -> Iterator[Any]:
    """The inner Write ready to render at full size; everything as it was afterwards."""
    pull, root = node.node("Pull"), nuke.root()
    proxy = root.proxy()
    nuke.Undo.disable()
    try:
        if proxy:
            root.setProxy(False)
        pull["file"].setValue(file)
        pull["disable"].setValue(False)
        yield pull
    finally:
        pull["disable"].setValue(True)
        pull["file"].setValue("")
        if proxy:
            root.setProxy(True)
        nuke.Undo.enable()


def pull(node: Any, task: Task, where: Cache) -> None:
    """Render one frame of the plate to the cache; top-level, never from inside a render.

    Raises:
        RuntimeError: What Nuke says of the nodes upstream.
        Cancelled: The user stopped the render.
    """
    if nuke.executing():
        raise PluginError(f"{node.fullName()}: Nuke is rendering: try again when it is done")
    where.folder.mkdir(parents=True, exist_ok=True)
    plate = where.plate(task)
    plate.unlink(missing_ok=True)
    with _pulling(node, where.pattern("pull")) as write:
        try:
            nuke.execute(write, task.frame, task.frame, 1, [task.view])
        except RuntimeError as error:
            if str(error)[:9] == "Cancelled":
                raise Cancelled() from None
            raise
    if not plate.is_file():
        raise PluginError(
            f"{plate}: Nuke rendered {task} of {node.fullName()} without an error, but the file is not there"
        )


# ---------------------------------------------------------------------- what the node shows


def prepare(node: Any) -> None:
    """Bring the hidden knobs in line with those that are seen and with what the cache holds for them."""
    masked = real(node, "maskChannelInput").value()
    connected = node.input(1) is not None
    mix = real(node, "mix")
    plain = masked == "none" and not mix.isAnimated() and float(mix.getValue()) >= 1.0
    _change(node["route"], 0 if plain else 2 if connected and masked != "none" else 1)
    _change(real(node, "mask_channel"), masked)
    _change(real(node, "premult"), real(node, "unpremult").value())
    try:
        where = cache_of(node, settings_of(node))
    except SettingsError:
        _change(node["ready"], False)
        return
    frames = where.frames()
    _change(node["ready"], bool(frames))
    _change(real(node, "read_file"), where.pattern("up"))
    if frames:
        _change(real(node, "range_first"), frames[0])
        _change(real(node, "range_last"), frames[-1])


def show(node: Any, where: Cache) -> None:
    """Have the node look at its cache again, and keep to it wherever the script goes."""
    if where.frames():
        _change(node["cache_used"], str(where.folder.parent))
    prepare(node)
    node.node("Back")["reload"].execute()


def say(node: Any, text: str) -> None:
    """The status text."""
    node["status"].setValue(text)


def fill_models(node: Any, names: list[str]) -> None:
    """The drop-down's items: the default, what is in the folders, and what the node has."""
    chosen = node["model_name"].value()
    items = list(dict.fromkeys([DEFAULT_MODEL, *names, *([chosen] if chosen else [])]))
    if node["model"].values() != items:
        node["model"].setValues(items)
    _change(node["model"], chosen or DEFAULT_MODEL)


def _change(knob: Any, value: Any) -> None:
    """Set a knob that differs, so that nothing is modified in vain."""
    if knob.value() != value:
        knob.setValue(value)
