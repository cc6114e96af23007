"""What is imported, and when: nothing heavy before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plates import write_plate

HEAVY = ("numpy", "OpenImageIO", "OpenEXR", "openvino", "onnxruntime", "pydantic", "torch", "fileseq")


@pytest.mark.parametrize(
    "code",
    [
        "import deepupscale",
        "from deepupscale.cli.app import invoke; invoke(['--help'])",
        "from deepupscale.cli.app import invoke; invoke(['--version'])",
        "from deepupscale.cli.app import invoke; invoke(['run', '--help'])",  # typer imports pydantic itself here
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    own = {"pydantic"} if "'run'" in code else set[str]()
    script = f"import sys\n{code}\nsys.stderr.write(' '.join(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "deepupscale" in done.stderr.split()
    assert not (set(HEAVY) - own) & set(done.stderr.split())


def test_nothing_is_reported_to_anybody(tmp_path: Path) -> None:
    """OpenVINO would leave an id in the home and send an event from a fork."""
    script = (
        "import os, sys; os.register_at_fork(before=lambda: print('forked'))\n"
        "from deepupscale.devices import cpu_precisions; cpu_precisions()\n"
        "print('openvino' in sys.modules, sys.modules.get('openvino_telemetry'))"
    )
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, **home}
    )
    assert done.stdout.split("\n")[0] == "True None"
    assert list(tmp_path.iterdir()) == []


def test_the_engine_imports_no_torch(tmp_path: Path, tiny_model: Path) -> None:
    write_plate(tmp_path / "plate.exr")
    given = [
        "run",
        str(tmp_path / "plate.exr"),
        str(tmp_path / "big.exr"),
        "--model",
        str(tiny_model),
        "--device",
        "cpu",
    ]
    script = (
        f"import sys; from deepupscale.cli.app import invoke; assert not invoke({given}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
