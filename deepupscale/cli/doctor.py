"""``deepupscale doctor``: what this machine can run a model on, and what ``auto`` picks."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from deepupscale import __version__
from deepupscale.cli.output import say
from deepupscale.devices import cpu_instruction_sets, cpu_precisions, cuda_devices
from deepupscale.errors import DeepUpscaleError, one_line
from deepupscale.model_file import load_model
from deepupscale.openvino_core import openvino_core
from deepupscale.session import choose

if TYPE_CHECKING:
    from deepupscale.cli.speed import Speed, Spread

_PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu", "OpenImageIO", "OpenEXR", "numpy", "torch", "bpy")


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        deepupscale: Our version.
        python: Interpreter and system.
        packages: Name to version, or ``not installed``.
        cpu: Its name.
        cores: Cores this process may use.
        instruction_sets: What the CPU has of those that matter here.
        cpu_precisions: Precisions that the CPU computes in.
        cuda_devices: GPUs that a runtime can use.
        default_model: Its label, or what is wrong with it.
        auto: What ``auto`` picks.
        reason: Why.
    """

    deepupscale: str
    python: str
    packages: dict[str, str]
    cpu: str
    cores: int
    instruction_sets: tuple[str, ...]
    cpu_precisions: tuple[str, ...]
    cuda_devices: int
    model: str
    auto: str
    reason: str


def examine(asked: str | None) -> Examination:
    """Look at this machine, for a model by its name or file, or the default one if None.

    What is wrong with the model is part of the finding.
    """
    try:
        model = load_model(asked)
        label, choice = model.label, choose(model)
        auto, reason = str(choice), choice.reason
    except DeepUpscaleError as error:
        label, auto, reason = f"unusable: {error}", "nothing", "there is no model to choose for"
    affinity = getattr(os, "sched_getaffinity", None)
    return Examination(
        deepupscale=__version__,
        python=f"{platform.python_version()} on {platform.platform()}",
        packages={name: _version(name) for name in _PACKAGES},
        cpu=one_line(str(openvino_core().get_property("CPU", "FULL_DEVICE_NAME"))),
        cores=len(affinity(0)) if affinity else os.cpu_count() or 1,
        instruction_sets=cpu_instruction_sets(),
        cpu_precisions=cpu_precisions(),
        cuda_devices=cuda_devices(),
        model=label,
        auto=auto,
        reason=reason,
    )


def show(found: Examination, as_json: bool, speed: Speed | None = None) -> None:
    """Print it, and the speed if it was measured."""
    if as_json:
        say(json.dumps(asdict(found) | ({"bench": asdict(speed)} if speed else {}), indent=2))
        return
    rows = [
        ("deepupscale", found.deepupscale),
        ("python", found.python),
        *found.packages.items(),
        (
            "cpu",
            f"{found.cpu}, {found.cores} cores, {' '.join(found.instruction_sets) or 'no vector extensions known'}",
        ),
        ("cpu computes", ", ".join(found.cpu_precisions)),
        ("cuda devices", str(found.cuda_devices)),
        ("model", found.model),
        ("auto picks", f"{found.auto}: {found.reason}"),
    ]
    for name, value in rows:
        say(f"{name:<16} {one_line(value)}")
    if speed is not None:
        for line in speed_lines(speed):
            say(line)


def speed_lines(speed: Speed) -> list[str]:
    """The speed as a table: seconds a frame, the median of the rounds with the least and the most."""
    width = max(len(f"network in {precision}") for precision in (*speed.frames[0].networks, "xxxx")) + 9
    lines = [
        "",
        f"seconds a frame, measured in {speed.seconds:.0f} s on a plate of {speed.plate};",
        "extrapolated by pixels, halos included: median (least..most)",
        " " * width + "".join(f"{f'{f.name} {f.width}x{f.height}':<28}" for f in speed.frames).rstrip(),
    ]
    rows: dict[str, list[str]] = {}
    for frame in speed.frames:
        cells = {f"network in {precision}": _cell(spread) for precision, spread in frame.networks.items()}
        cells |= {name: _cell(spread) for name, spread in frame.stages.items()}
        cells["one after another"] = _cell(frame.in_a_row)
        cells["in a sequence"] = _cell(frame.overlapped)
        cells["peak memory"] = "unknown" if frame.peak_mib is None else f"about {frame.peak_mib} MiB"
        for name, cell in cells.items():
            rows.setdefault(name, []).append(cell)
    lines += [f"{name:<{width}}" + "".join(f"{cell:<28}" for cell in cells).rstrip() for name, cells in rows.items()]
    if speed.load is not None and speed.load > 0.5:
        lines.append(f"other work disturbs these figures: the load was {speed.load:.1f} before they were taken")
    return [*lines, f"{'limited by':<{width}}{speed.limit}", f"{'advice':<{width}}{speed.advice}"]


def _cell(spread: Spread) -> str:
    digits = 1 if spread.median >= 1.0 else 3
    return f"{spread.median:.{digits}f} ({spread.least:.{digits}f}..{spread.most:.{digits}f})"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
