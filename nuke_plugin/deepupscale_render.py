"""``nuke -t deepupscale_render.py SCRIPT.nk --frames 1001-1010 [--write W] [--views left,right] [--prepass]``."""

import os
import sys

import nuke


def _run():
    here = os.path.dirname(os.path.abspath(__file__))
    if here not in sys.path:  # works without NUKE_PATH too
        nuke.pluginAddPath(here.replace(os.sep, "/"))
    try:
        from deepupscale_nuke import batch

        return batch.main(batch.arguments(sys.argv, nuke.rawArgs))
    except BaseException as error:
        sys.stderr.write(f"ERROR: {type(error).__name__}: {error}\n")
        return 1


_code = _run()
sys.stdout.flush()
sys.stderr.flush()
if _code:
    os._exit(_code)  # certain, whatever Nuke makes of SystemExit
sys.exit(0)
