"""What every Nuke session runs: where the node is, and the callbacks. It never keeps Nuke from starting."""

import os
import sys

import nuke


def _set_up():
    here = os.path.dirname(os.path.abspath(__file__))
    if here not in sys.path:
        sys.path.insert(0, here)
    for folder in (os.path.join(here, "icons"), os.path.join(here, "..", "gizmos"), os.path.join(here, "gizmos")):
        if os.path.isdir(folder):
            nuke.pluginAddPath(os.path.normpath(folder).replace(os.sep, "/"), addToSysPath=False)
    from deepupscale_nuke import events

    nuke.knobDefault("DeepUpscale.useGPUIfAvailable", "true")
    events.register()


try:
    _set_up()
except Exception as error:  # a broken tool must not stop Nuke
    sys.stderr.write(f"DeepUpscale is not available: {type(error).__name__}: {error}\n")
