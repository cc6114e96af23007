"""Snapshots: what is written comes back bit for bit, and nothing half-written, foreign or hostile is taken for one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from commands import tree

from deepupscale.errors import ModelError, WriteError
from model import snapshots


def network(width: int = 4) -> torch.nn.Module:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, width, 3, padding=1), torch.nn.Conv2d(width, 3, 3, padding=1))
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def step_once(layers: torch.nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    loss = layers(torch.rand(1, 3, 8, 8, generator=generator)).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def test_training_goes_on_bit_for_bit_from_a_snapshot(tmp_path: Path) -> None:
    whole = network()
    adam = torch.optim.AdamW(whole.parameters(), lr=0.01)
    for seed in range(3):
        step_once(whole, adam, seed)
    groups = {"generator": whole.state_dict(), "optimiser": snapshots.optimiser_tensors(adam)}
    place = snapshots.write(tmp_path / "checkpoints", 3, groups, {"skipped": 1}, {"network": "test"})
    found, state = snapshots.read(place)
    assert state == {"skipped": 1, "step": 3}
    resumed = network()
    resumed.load_state_dict(found["generator"])
    again = torch.optim.AdamW(resumed.parameters(), lr=0.01)
    snapshots.restore_optimiser(again, found["optimiser"])
    for seed in (3, 4):
        step_once(whole, adam, seed)
        step_once(resumed, again, seed)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_last_few_are_kept_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (5, 900, 1000, 12_345_678):
        snapshots.write(tmp_path, step, {"a": {"x": torch.ones(1)}}, {}, keep=2)
    assert [path.name for path in snapshots.steps(tmp_path)] == ["step_0001000", "step_12345678"]
    assert all(not path.name.startswith(".") for path in tmp_path.iterdir())
    assert all((file.stat().st_mode & 0o777) == 0o644 for file in tmp_path.glob("*/*"))


def test_a_failed_write_leaves_the_snapshots_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots.write(tmp_path, 1, {"a": {"x": torch.ones(1)}}, {})
    before = tree(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "save_file", full)
    with pytest.raises(WriteError, match="No space left on device: is the disk full"):
        snapshots.write(tmp_path, 2, {"a": {"x": torch.ones(1)}}, {}, keep=1)
    assert tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000001"]


def test_a_state_that_is_not_finite_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        snapshots.write(tmp_path, 1, {}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", None),
        ("state.json", b"{"),
        ("state.json", b"[]"),
        ("state.json", b'{"step": "3"}'),
        ("state.json", b"[" * 100_000),
        ("generator.safetensors", b""),
        ("generator.safetensors", pickle.dumps({"weight": [1.0]})),
        ("generator.safetensors", b"\xff" * 64),
    ],
)
def test_damaged_and_hostile_snapshots_are_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    place = snapshots.write(tmp_path, 1, {"generator": {"x": torch.ones(100)}}, {})
    if content is None:
        (place / name).unlink()
    else:
        (place / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        snapshots.read(place)
    assert "\n" not in str(caught.value)
    assert str(place) in str(caught.value)


def test_a_truncated_tensor_file_is_refused(tmp_path: Path) -> None:
    place = snapshots.write(tmp_path, 1, {"generator": {"x": torch.ones(100)}}, {})
    file = place / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ModelError, match="is damaged or no safetensors file"):
        snapshots.read(place)


def test_another_networks_optimiser_is_refused() -> None:
    layers = network()
    adam = torch.optim.AdamW(layers.parameters(), lr=0.01)
    step_once(layers, adam, 0)
    wide = torch.optim.AdamW(network(width=8).parameters(), lr=0.01)
    with pytest.raises(ModelError, match="another configuration's"):
        snapshots.restore_optimiser(wide, snapshots.optimiser_tensors(adam))
    for key in ("x.exp_avg", "0", "99.exp_avg"):
        with pytest.raises(ModelError):
            snapshots.restore_optimiser(adam, {key: torch.ones(3)})


def test_a_folder_that_is_no_snapshot_is_not_listed(tmp_path: Path) -> None:
    for name in ("step_0000001", "step_x", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "step_0000002").write_text(json.dumps({}))
    assert snapshots.steps(tmp_path) == []
