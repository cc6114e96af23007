"""The farm's driver under ``nuke -t``: pull, upscale, check, then render, each top-level and in order."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import nuke

from deepupscale_nuke import host, upstream
from deepupscale_nuke.cache import Task
from deepupscale_nuke.errors import Cancelled, PluginError, SettingsError
from deepupscale_nuke.frames import parse_frames
from deepupscale_nuke.upscale import Upscale, check_files

DRIVER = "deepupscale_render.py"
VALUED = ("--frames", "--write", "--views")
DONE, FAILED, USAGE = 0, 1, 2


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise _UsageError(message)


def arguments(argv: Sequence[str], raw: Sequence[str]) -> list[str]:
    """The driver's own arguments: from Nuke's raw ones, since Nuke keeps a trailing frame range for itself."""
    for n, word in enumerate(raw):
        if os.path.basename(word) == DRIVER:
            return list(raw[n + 1 :])
    return list(argv[1:])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options; a value that begins with a dash, such as ``--frames -5-5``, is one too."""
    words: list[str] = []
    todo = list(argv)
    while todo:
        word = todo.pop(0)
        words.append(f"{word}={todo.pop(0)}" if word in VALUED and todo else word)
    parser = _Parser(prog=DRIVER, description="Render a script that has DeepUpscale nodes.", allow_abbrev=False)
    parser.add_argument("script", help="the .nk file")
    parser.add_argument("--frames", required=True, help="such as 1001-1010, 1-9x2 or 1,5,10-20")
    parser.add_argument("--write", action="append", default=[], help="a Write to render; all active ones if left out")
    parser.add_argument("--views", help="views, by commas; all of the script if left out")
    parser.add_argument("--prepass", action="store_true", help="fill the caches, render nothing")
    return parser.parse_args(words)


def main(argv: Sequence[str]) -> int:
    """Do it; returns the exit code: 0 done, 1 something failed, 2 usage or setup. Errors are one line each."""
    try:
        return _main(parse(argv))
    except SystemExit:  # --help
        return DONE
    except (_UsageError, SettingsError) as error:
        _say(f"ERROR: {error}")
        return USAGE
    except Cancelled:
        _say("ERROR: stopped")
        return FAILED
    except RuntimeError as error:
        _say(f"ERROR: {error}")
        return FAILED
    except Exception as error:  # whatever it is, the farm must not take it for done
        import traceback

        traceback.print_exc()
        _say(f"ERROR: {type(error).__name__}: {error}")
        return FAILED
    finally:
        host.close_workers()


def _main(options: argparse.Namespace) -> int:
    script = os.path.abspath(options.script)
    if not os.path.isfile(script):
        raise SettingsError(f"{script}: no such script")
    frames = parse_frames(options.frames)
    nuke.scriptOpen(script)
    views = [v for v in options.views.split(",") if v] if options.views else list(nuke.views())
    missing = [v for v in views if v not in nuke.views()]
    if missing:
        raise SettingsError(f"{script}: has no view {missing[0]!r}, but {', '.join(nuke.views())}")
    writes = chosen(options.write)
    tasks = [Task(f, v) for f in frames for v in views]
    for node in upstream.ours_above(writes):
        if upstream.active(node):
            upscale(node, tasks)
        else:
            _say(f"{node.fullName()}: disabled or bypassed")
    if not options.prepass:
        render(writes, frames, views)
    return DONE


def chosen(names: list[str]) -> list[Any]:
    """The Writes to render, in their order.

    Raises:
        SettingsError: There is none, or one is no active Write.
    """
    wanted = [n for text in names for n in text.split(",") if n]
    if not wanted:
        there = [w for w in nuke.allNodes("Write", group=nuke.root(), recurseGroups=True) if _active(w)]
        if not there:
            raise SettingsError("the script has no active Write: name one that is with --write")
        return sorted(there, key=lambda w: (float(w["render_order"].value()), w.fullName()))
    found = []
    for name in wanted:
        node = nuke.toNode(name)
        if node is None or node.Class() != "Write":
            raise SettingsError(f"--write {name}: the script has no Write of that name")
        if not _active(node):
            raise SettingsError(f"--write {name}: is disabled")
        found.append(node)
    return sorted(found, key=lambda w: float(w["render_order"].value()))


def _active(node: Any | None) -> bool:
    while node is not None and node.Class() != "Root":
        if node["disable"].value():
            return False
        node = node.parent()
    return True


def upscale(node: Any, tasks: list[Task]) -> None:
    """Fill one node's cache and have the node show it.

    Raises:
        PluginError: A frame failed.
    """
    name = node.fullName()
    settings = host.settings_of(node)
    where = host.cache_of(node, settings)
    job = Upscale(
        node, settings, where, host.worker_for(node), host.look, host.pull, lambda call, *args: call(*args),
        bool(node["keep_plates"].value()),
    )  # fmt: skip
    host.prepare(node)
    done, failed = job.run(tasks, lambda task, fraction: None, lambda: False)
    for task, why in failed.items():
        _say(f"ERROR: {name}: {task}: {why}")
    if failed:
        raise PluginError(f"{name}: {len(failed)} of {len(tasks)} frames failed")
    check_files(where, tasks)
    host.show(node, where)
    _say(f"{name}: {len(done)} upscaled, {len(job.skipped)} unchanged, in {where.folder}")


def render(writes: list[Any], frames: list[int], views: list[str]) -> None:
    """Execute the real Writes frame by frame, and see that their files are there."""
    for frame in frames:
        for write in writes:
            nuke.execute(write, frame, frame, 1, views)
            for view in views:
                path = write["file"].evaluate(frame=frame, view=view)
                if not os.path.isfile(path) or not os.path.getsize(path):
                    raise PluginError(f"{path}: {write.fullName()} was rendered, but the file is not there")
        _say(f"frame {frame} rendered")


def _say(text: str) -> None:
    stream = sys.stderr if text.startswith("ERROR") else sys.stdout
    stream.write(text + "\n")
    stream.flush()
