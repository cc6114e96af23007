"""Averages of networks: the arithmetic, where it came from, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from safetensors import safe_open

from deepupscale.cli.app import invoke
from model import snapshots
from model.checkpoint import load_generator, metadata
from model.networks import ResidualGenerator


def checkpoint(path: Path, seed: int, **shape: int) -> Path:
    torch.manual_seed(seed)
    network = ResidualGenerator(**{"width": 8, "blocks": 1, **shape})
    snapshots.write_tensors(path, network.state_dict(), metadata(network))
    return path


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return checkpoint(tmp_path / "a.safetensors", 1), checkpoint(tmp_path / "b.safetensors", 2)


@pytest.mark.parametrize(("given", "shares"), [((), (0.5, 0.5)), (("3", "1"), (0.75, 0.25))])
def test_weights_are_averaged_by_their_shares(
    both: tuple[Path, Path], tmp_path: Path, given: tuple[str, ...], shares: tuple[float, float]
) -> None:
    out = tmp_path / "mean.safetensors"
    options = [word for share in given for word in ("--share", share)]
    assert invoke(["average", str(out), *map(str, both), *options]) == 0
    first, second = (load_generator(path).state_dict() for path in both)
    for name, tensor in load_generator(out).state_dict().items():
        torch.testing.assert_close(tensor, shares[0] * first[name] + shares[1] * second[name])
    with safe_open(out, framework="pt") as file:
        told = json.loads(file.metadata()["averaged_from"])
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in both]
    assert told == [[digest, share] for digest, share in zip(digests, shares, strict=True)]


def test_what_cannot_be_averaged_is_refused(
    both: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(str, both)
    other = str(checkpoint(tmp_path / "other.safetensors", 3, width=16))
    out = str(tmp_path / "mean.safetensors")
    before = both[1].read_bytes()
    for arguments, said in (
        ([out, first], "two or more"),
        ([out, first, second, "--share", "1"], "1 shares for 2"),
        ([out, first, second, "--share", "1", "--share", "0"], "above 0"),
        ([out, first, second, "--share", "1", "--share", "nan"], "above 0"),
        ([out, first, other], "holds the network"),
        ([out, first, str(tmp_path / "none.safetensors")], "cannot be read"),
        ([out, "default", first], "name a checkpoint or a run first"),
        ([second, first, second, "--overwrite"], "is one of the networks itself"),
        ([first, first, second], "--overwrite"),
        ([str(tmp_path / "mean.onnx"), first, second], ".safetensors"),
    ):
        assert invoke(["average", *arguments]) == 2, arguments
        assert said in capsys.readouterr().err, arguments
    assert both[1].read_bytes() == before
    assert not Path(out).exists()
