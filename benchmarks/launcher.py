"""Runs a command and prints, as JSON, how long it took, its exit code and its peak resident memory.

Run as a script in a process of its own. Linux counts the memory of the process that starts a command towards the
command's own peak (``ru_maxrss`` outlives ``exec``), so the command must be started by something small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """Run the arguments as a command; its standard output is dropped, its standard error passed on."""
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    peak_mib = None
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        peak_mib = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    else:
        code = process.wait()
    print(json.dumps({"code": code, "seconds": time.perf_counter() - began, "peak_mib": peak_mib}))


if __name__ == "__main__":
    main()
