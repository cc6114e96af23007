"""DeepUpscale in Nuke: pull the plate, ask the worker, read the result back.

Standard library and ``nuke`` alone. Only ``host``, ``upstream``, ``events``, ``panel``, ``batch`` and ``convert``
import ``nuke``; the others know nothing of it.
"""

from __future__ import annotations

__version__ = "0.1.0"
