"""Processes of one training: parting without losing one to a thread that still holds a tensor."""

from __future__ import annotations

import threading
import time

import pytest
import torch
import torch.distributed as dist

from model.ranks import Ranks


def test_it_parts_only_when_nothing_is_held_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    when: dict[str, float] = {}

    def all_reduce(flag: torch.Tensor, _: object) -> None:
        def hold(tensor: list[torch.Tensor]) -> None:
            let_go.wait()
            time.sleep(0.2)
            when["let go"] = time.monotonic()
            tensor.clear()

        threading.Thread(target=hold, args=([flag],)).start()

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: when.setdefault("parted", time.monotonic()))
    here = Ranks(0, 2, torch.device("cpu"))
    assert here.any(True)
    let_go.set()
    here.leave()
    assert when["let go"] <= when["parted"]
