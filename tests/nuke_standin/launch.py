"""Starting and ending sessions: in a test's own process, or as ``python -m nuke_standin``."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import api, module, render, state
from .errors import StandInError
from .format import FrameRanges, read_range
from .groups import Root
from .state import Session


def _version(text: str) -> tuple[int, int, int]:
    found = re.fullmatch(r"(\d+)\.(\d+)v(\d+)", text)
    if not found:
        raise ValueError(f"not a version of Nuke: {text!r}")
    return int(found[1]), int(found[2]), int(found[3])


@contextlib.contextmanager
def gui(nuke_path: Sequence[str | Path] = (), version: str = "15.1v3") -> Iterator[Session]:
    """A GUI session in this process: ``init.py`` and ``menu.py`` of the folders run; a test pumps the main thread."""
    with _session(True, nuke_path, version, ["Nuke"]) as session:
        yield session


@contextlib.contextmanager
def terminal(
    nuke_path: Sequence[str | Path] = (), version: str = "15.1v3", raw_args: Sequence[str] = ("Nuke", "-t")
) -> Iterator[Session]:
    """A terminal session in this process: only ``init.py`` runs, there are no menus, panels or dialogues."""
    with _session(False, nuke_path, version, list(raw_args)) as session:
        yield session


@contextlib.contextmanager
def _session(is_gui: bool, nuke_path: Sequence[str | Path], version: str, raw_args: list[str]) -> Iterator[Session]:
    session = Session(is_gui, _version(version), raw_args)
    state.start(session)
    kept_path, kept_modules = list(sys.path), set(sys.modules)
    shadowed = sys.modules.pop("nuke", None)
    try:
        session.root = Root()
        session.nuke = module.build(session)
        sys.modules["nuke"] = session.nuke
        for folder in reversed([Path(p).resolve() for p in nuke_path]):
            add_plugin_path(session, folder, importable=True, first=True)
        if is_gui:
            for folder in list(session.plugin_paths):
                run_file(session, folder / "menu.py")
        yield session
    finally:
        sys.path[:] = kept_path
        for name in set(sys.modules) - kept_modules:
            where = getattr(sys.modules[name], "__file__", None) or ""
            if any(where.startswith(f"{folder}{os.sep}") for folder in session.plugin_paths):
                del sys.modules[name]
                package, _, leaf = name.rpartition(".")
                if package in sys.modules and hasattr(sys.modules[package], leaf):
                    delattr(sys.modules[package], leaf)  # else the next session gets the old one by "from"
        sys.modules.pop("nuke", None)
        if shadowed is not None:
            sys.modules["nuke"] = shadowed
        state.stop()


def add_plugin_path(session: Session, folder: Path, importable: bool, first: bool) -> None:
    """Put a folder on the plugin path and, if told so, on Python's, then run its init.py."""
    if folder in session.plugin_paths:
        return
    if not folder.is_dir():
        raise StandInError(f"{folder} is no folder to find plugins in")
    session.plugin_paths.insert(0 if first else len(session.plugin_paths), folder)
    if importable:
        sys.path.insert(0, str(folder))
    run_file(session, folder / "init.py")


def run_file(session: Session, file: Path) -> None:
    """Run an init.py or menu.py, if it is there."""
    if not file.is_file():
        return
    session.loading.append(file.parent)
    try:
        names = {"__name__": "__main__", "__file__": str(file), "nuke": session.nuke}
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)  # noqa: S102
    finally:
        session.loading.pop()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit codes are the stand-in's own, as Nuke's are not documented: 0, or 1 after an error."""
    raw = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="nuke_standin", allow_abbrev=False)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("-t", action="store_true", dest="terminal", help="run a Python script, render nothing")
    mode.add_argument("-x", action="store_true", dest="render", help="render the Writes of a script")
    parser.add_argument("-F", action="append", default=[], dest="frames", help="frames, such as 1-9x2; repeatable")
    parser.add_argument("-X", dest="node", help="render only these nodes, by commas")
    parser.add_argument("-V", dest="verbose", type=int, default=1, nargs="?")
    parser.add_argument("-m", dest="threads", type=int)
    parser.add_argument("--cont", action="store_true", help="go on after an error")
    parser.add_argument("--view", help="views, by commas")
    parser.add_argument("--version", default="15.1v3", dest="release", help="the version to pretend to be")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("-p", action="store_true", dest="proxy", help="proxy mode on")
    size.add_argument("-f", action="store_true", dest="full", help="proxy mode off")
    parser.add_argument("script")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args(raw)
    folders = [Path(p) for p in os.environ.get("NUKE_PATH", "").split(os.pathsep) if p]
    with terminal(folders, options.release, ["Nuke", *raw]) as session:
        try:
            _run(session, options)
        except SystemExit as leaving:
            return _code(leaving)
        except Exception as error:
            if options.terminal:
                import traceback

                traceback.print_exc()
            print(f"ERROR: {error}", file=sys.stderr)
            return 1
        return 1 if any(m.startswith("ERROR:") for m in session.messages) else 0


def _code(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def _run(session: Session, options: argparse.Namespace) -> None:
    frames = FrameRanges()
    for text in options.frames:
        for part in read_range(text):
            frames.add(part)
    rest = list(options.rest)
    if rest and re.fullmatch(r"-?\d+(,-?\d+){0,2}", rest[-1]):  # a trailing range never reaches sys.argv
        for part in read_range(rest.pop()):
            frames.add(part)
    script = Path(options.script)
    if script.suffix == ".py":
        _python(session, script, rest)
    else:
        if options.terminal:
            raise StandInError("-t runs Python; the stand-in opens no .nk by it")
        api.scriptOpen(str(script))
    if options.terminal:
        return
    if options.proxy or options.full:
        session.root.setProxy(options.proxy)
    names = options.node.split(",") if options.node else []
    nodes = [session.root.node(name) for name in names] if names else render.writes()
    missing = [name for name, node in zip(names, nodes) if node is None]
    if missing or not nodes:
        raise RuntimeError(f"there is nothing to render: {', '.join(missing) or 'no active Write'}")
    if not frames.size():
        frames.add(session.root.frameRange())
    views = options.view.split(",") if options.view else None
    render.render([n for n in nodes if n], frames, views, options.cont)


def _python(session: Session, script: Path, rest: list[str]) -> None:
    kept = list(sys.argv)
    sys.argv[:] = [str(script), *rest]
    session.namespace.update(__file__=str(script), nuke=session.nuke)
    try:
        exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), session.namespace)  # noqa: S102
    finally:
        sys.argv[:] = kept
