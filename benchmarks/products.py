"""Products: large matrix products, the speed that networks are held against.

PyTorch's f32 product is MKL's, which on CPUs of other makers is well below what they can do; OpenVINO's is there to
keep the yardstick honest. The faster of a precision counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rounds import Contestant, Skipped
from deepupscale.devices import Precision, cpu_precisions
from deepupscale.openvino_core import openvino_core

SECTION = "matrix product"
_PRECISIONS: tuple[Precision, ...] = ("f32", "bf16")


def matrix_products(side: int, threads: int) -> tuple[list[Contestant], list[Skipped]]:
    """Square products by PyTorch and by OpenVINO, in each precision that the CPU computes in."""
    contestants: list[Contestant] = []
    skipped: list[Skipped] = []
    able = cpu_precisions()
    for library, make in (("PyTorch", _torch_product), ("OpenVINO", _openvino_product)):
        for precision in _PRECISIONS:
            name = f"{library} {precision}, {side}^3"
            if precision not in able:
                skipped.append(Skipped(name, f"this CPU does not compute in {precision}"))
                continue
            try:
                turn = make(side, precision, threads)
            except ImportError as error:
                skipped.append(Skipped(name, str(error)))
                continue
            flop = 2.0 * side**3
            contestants.append(Contestant(SECTION, name, turn, None, 3, precision, flop, flop))
    return contestants, skipped


def yardsticks(products: list[Contestant]) -> dict[str, Contestant]:
    """The fastest product of each precision."""
    slow_first = sorted(products, key=lambda each: -each.seconds.median)
    return {each.precision: each for each in slow_first}


def _torch_product(side: int, precision: Precision, threads: int) -> Callable[[], None]:
    """torch.matmul of two tensors that are ready in the precision."""
    import torch

    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)

    def turn() -> None:
        torch.matmul(left, right)

    return turn


def _openvino_product(side: int, precision: Precision, threads: int) -> Callable[[], None]:
    """A graph of one MatMul with a constant right side; float32 in and out, as for networks."""
    import openvino
    from openvino import opset13 as ops

    ov: Any = openvino  # its own type hints name two classes Model
    rng = np.random.default_rng(1)
    left = rng.standard_normal((side, side), np.float32)
    entry = ops.parameter([side, side], np.float32)
    graph = ov.Model([ops.matmul(entry, ops.constant(left.T.copy()), False, False)], [entry])
    config = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    request = openvino_core().compile_model(graph, "CPU", config).create_infer_request()

    def turn() -> None:
        request.infer([left], share_inputs=True)

    return turn
