"""OpenVINO's core, of which a process has one."""

from __future__ import annotations

from functools import cache
from typing import Any, cast


@cache
def openvino_core() -> Any:
    """OpenVINO's ``Core``: made at first call, and kept until the process ends.

    Each core's CPU plugin lends its maker's thread a stack for signal handlers and puts the former one back when it
    goes (OpenVINO 2026.4). Two cores that do not end in the opposite order of their making leave the thread a stack
    that is unmapped, and the next signal that Python handles, as a farm's SIGTERM, ends the process with SIGSEGV.
    """
    import openvino as ov

    return cast(Any, ov.Core())
