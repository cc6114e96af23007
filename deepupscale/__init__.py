"""DeepUpscale: scene-linear EXR plates in, plates of twice the size out.

from deepupscale import Engine, Settings, load_model, open_session

model = load_model()  # the default; load_model("hero") is a model by name, load_model(Path("hero.onnx")) a file
engine = Engine(model, open_session(model), Settings())
engine.upscale(Path("plate.exr"), Path("plate_2x.exr"))
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# OpenVINO reports every import to its makers, from a fork of this process and with an id that it keeps in the user's
# home. A farm must not phone home: without that module OpenVINO takes a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]

if TYPE_CHECKING:
    from deepupscale.engine import Engine, FrameReport, Settings
    from deepupscale.errors import DeepUpscaleError
    from deepupscale.model_file import ModelFile, load_model
    from deepupscale.session import Session, open_session

__all__ = [
    "DeepUpscaleError",
    "Engine",
    "FrameReport",
    "ModelFile",
    "Session",
    "Settings",
    "load_model",
    "open_session",
]

_HOMES = {
    "DeepUpscaleError": "errors",
    "Engine": "engine",
    "FrameReport": "engine",
    "ModelFile": "model_file",
    "Session": "session",
    "Settings": "engine",
    "load_model": "model_file",
    "open_session": "session",
}


def __getattr__(name: str) -> Any:
    """Import a public name's module when it is first asked for, so that importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
