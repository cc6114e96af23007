"""One core of OpenVINO: sessions may end in any order, and signals are still handled."""

from __future__ import annotations

import subprocess
import sys

import pytest

SESSIONS_THEN_A_SIGNAL = """
import signal
import numpy as np
from deepupscale import load_model, open_session

model = load_model()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
sessions = [open_session(model, "cpu", "f32", "openvino") for _ in range(2)]
for session in sessions:
    session.run({model.promise.inputs[0].name: np.zeros((1, 3, 64, 64), np.float32)})
del session
while sessions:
    del sessions[0]
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no stacks for signal handlers there")
def test_a_signal_is_handled_after_two_sessions_that_end_in_the_order_they_began() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SESSIONS_THEN_A_SIGNAL], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "handled\n", "")
