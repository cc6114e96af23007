"""The module that ``import nuke`` finds: names of the published stubs, and an error for every other."""

from __future__ import annotations

import os
import platform
import types
from typing import Any

from . import api, callbacks, flags, groups, gui, knob_arrays, knob_base, knob_choices, knobs, nodes, render
from .errors import CancelledError, StandInError
from .format import Format, FrameRange, FrameRanges, Info
from .state import Session

CLASSES: tuple[type, ...] = (
    Format, FrameRange, FrameRanges, Info, CancelledError,
    knob_base.Knob, knob_arrays.Array_Knob, knob_arrays.Int_Knob, knob_arrays.Double_Knob, knob_arrays.Unsigned_Knob,
    knob_arrays.ColorChip_Knob, knob_arrays.Boolean_Knob, knob_arrays.Disable_Knob, knob_arrays.Color_Knob,
    knob_arrays.AColor_Knob, knob_arrays.BBox_Knob,
    knobs.String_Knob, knobs.EvalString_Knob, knobs.Multiline_Eval_String_Knob, knobs.File_Knob, knobs.Script_Knob,
    knobs.PyScript_Knob, knobs.PythonKnob, knob_choices.Enumeration_Knob, knob_choices.CascadingEnumeration_Knob,
    knob_choices.Pulldown_Knob, knob_choices.Channel_Knob, knob_choices.ChannelMask_Knob,
    knob_choices.Format_Knob, knobs.Tab_Knob, knobs.Text_Knob, knobs.Link_Knob,
    nodes.Node, groups.Group, groups.Gizmo, groups.Root, nodes.Viewer,
    api.Nodes, api.NodeConstructor,
    gui.ProgressTask, gui.Undo, gui.Menu, gui.MenuItem, gui.GlobalsEnvironment,
)  # fmt: skip

FUNCTIONS: tuple[Any, ...] = (
    api.root, api.thisGroup, api.thisNode, api.thisKnob, api.thisParent, api.thisRoot, api.thisClass, api.thisView,
    api.toNode, api.exists, api.allNodes, api.selectedNodes, api.selectedNode, api.createNode, api.delete, api.undo,
    api.nodeCopy, api.nodePaste, api.scriptReadFile, api.scriptReadText, api.scriptOpen, api.scriptClear,
    api.scriptSave, api.scriptSaveAs, api.scriptName, api.script_directory, api.modified, api.frame, api.views,
    api.addView, api.deleteView, api.addFormat, api.formats, api.knobDefault, api.filename, api.channels, api.layers,
    api.value,
    gui.executeInMainThread, gui.executeInMainThreadWithResult, gui.message, gui.ask, gui.tprint, gui.error,
    gui.warning, gui.debug, gui.executing, gui.cancel, gui.menu, gui.pluginAddPath, gui.pluginAppendPath,
    gui.pluginPath,
    render.execute, render.executeMultiple,
    callbacks.addKnobChanged, callbacks.removeKnobChanged,
    *(callbacks.adder(e) for e in callbacks.EVENTS if e != "KnobChanged"),
    *(callbacks.remover(e) for e in callbacks.EVENTS if e != "KnobChanged"),
)  # fmt: skip


class NukeModule(types.ModuleType):
    """A module that names what it lacks."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise StandInError(f"the stand-in has no nuke.{name}")


def offered(session: Session) -> dict[str, Any]:
    """Every public name of the module with its value in a session."""
    major, minor, release = session.version
    names: dict[str, Any] = {c.__name__: c for c in CLASSES}
    names.update({f.__name__: f for f in FUNCTIONS})
    names.update(flags.FLAGS)
    names.update(flags.DEPENDENCIES)
    names.update(flags.WRITING)
    names.update(flags.TABS)
    names.update(
        nodes=api.Nodes(),
        render=render.execute,
        GUI=session.gui,
        INTERACTIVE=session.gui,
        NUKE_VERSION_MAJOR=major,
        NUKE_VERSION_MINOR=minor,
        NUKE_VERSION_RELEASE=release,
        NUKE_VERSION_STRING=f"{major}.{minor}v{release}",
        NUM_CPUS=os.cpu_count() or 1,
        THREADS=os.cpu_count() or 1,
        EXE_PATH="/usr/local/Nuke/Nuke",
        rawArgs=list(session.raw_args),
        env=gui.GlobalsEnvironment(
            {
                "gui": session.gui,
                "interactive": session.gui,
                "nukex": False,
                "studio": False,
                "nc": False,
                "ExecutablePath": "/usr/local/Nuke/Nuke",
                "NukeVersionMajor": major,
                "NukeVersionMinor": minor,
                "NukeVersionRelease": release,
                "NukeVersionString": f"{major}.{minor}v{release}",
                "LINUX": platform.system() == "Linux",
                "MACOS": platform.system() == "Darwin",
                "WIN32": platform.system() == "Windows",
                "threads": os.cpu_count() or 1,
                "numCPUs": os.cpu_count() or 1,
            }
        ),
    )
    return names


def build(session: Session) -> NukeModule:
    """The module of a session."""
    module = NukeModule("nuke", "A stand-in for Nuke's module, for tests.")
    for name, value in offered(session).items():
        setattr(module, name, value)
    return module
