"""TorchScript is refused: what Nuke could not run, what is not the engine's result; the old file stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from generators import residual  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from deepupscale.cli.app import invoke  # noqa: E402
from deepupscale.errors import ModelError, WriteError  # noqa: E402
from export import torchscript  # noqa: E402
from export.nuke_module import NukeModule  # noqa: E402
from export.torchscript import to_torchscript  # noqa: E402
from model.checkpoint import metadata  # noqa: E402
from model.networks import Generator, ResidualGenerator  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class Planted(ResidualGenerator):
    """A network with an operation of its own."""

    def forward(self, compressed: Any) -> Any:
        return super().forward(self.planted(compressed))

    def planted(self, compressed: Any) -> Any:
        raise NotImplementedError


class Airy(Planted):
    def planted(self, compressed: Any) -> Any:
        return torch.special.airy_ai(compressed)


class Bare(Planted):
    def planted(self, compressed: Any) -> Any:
        return torch.conv2d(compressed, self.tail.weight[:3, :3, :1, :1])


class Deciding(Planted):
    def planted(self, compressed: Any) -> Any:
        return compressed * 2.0 if compressed.mean() > 0.5 else compressed


class Wrapping(Planted):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__(width, blocks)
        self.around = torch.nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")

    def planted(self, compressed: Any) -> Any:
        return self.around(compressed)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Airy, "uses aten::special_airy_ai, not known to be in PyTorch 1.12 (Nuke 14)"),
        (Bare, "at 1x1, torch.float16, it does not run"),
        (Deciding, "cannot be compiled"),
        (Wrapping, "pads by circular"),
    ],
)
def test_what_nuke_could_not_run_is_refused_by_name(kind: type[Planted], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(reason)):
        to_torchscript(kind(width=4, blocks=1).eval(), tmp_path / "out.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [{"scale": 4}, {"channels": 1}])
def test_only_rgb_to_2x(shape: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="only RGB to 2x"):
        to_torchscript(ResidualGenerator(width=4, blocks=1, **shape).eval(), tmp_path / "out.pt")


def test_the_known_operations_exist() -> None:
    listed = {schema.name + f".{schema.overload_name}".rstrip(".") for schema in torch._C._jit_get_all_schemas()}
    nodes = {"prim::Constant", "prim::GetAttr", "prim::If", "prim::ListConstruct", "prim::Loop"}  # of the graph itself
    assert torchscript.KNOWN_OPS - nodes - listed == set()


def test_a_newer_format_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torchscript, "NEWEST_FORMAT", 3)
    with pytest.raises(ModelError, match=r"format 4; PyTorch 1\.12 reads up to 3"):
        to_torchscript(residual(), tmp_path / "out.pt")


@pytest.mark.parametrize("name", ["LARGEST_ERROR", "LARGEST_HALF_ERROR"])
def test_a_result_that_is_not_the_engines_leaves_the_old_file(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "out.pt"
    out.write_bytes(b"the old one")
    monkeypatch.setattr(torchscript, name, 0.0)
    with pytest.raises(ModelError, match="from the engine's"):
        to_torchscript(residual(), out)
    assert [path.name for path in tmp_path.iterdir()] == ["out.pt"]
    assert out.read_bytes() == b"the old one"


def test_the_export_sees_a_network_that_was_wired_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = NukeModule.__init__

    def narrow(self: NukeModule, generator: Generator) -> None:
        made(self, generator)
        self.margin = 3  # less than the network looks

    monkeypatch.setattr(NukeModule, "__init__", narrow)
    with pytest.raises(ModelError, match="from the engine's"):
        to_torchscript(residual(), tmp_path / "out.pt")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write the model"):
        to_torchscript(residual(), tmp_path / "none" / "out.pt")


@pytest.mark.parametrize(
    ("out", "more", "why"),
    [
        ("old.pt", (), "exists: replace it by --overwrite"),
        ("out.onnx", (), "name a file that ends in .pt"),
        ("old.pt", ("--overwrite", "--precision", "f16"), "--torchscript: holds no promise"),
        ("old.pt", ("--overwrite", "--iterations", "0"), "takes no --iterations"),
    ],
)
def test_the_command_refuses_in_one_line_and_the_old_file_stays(
    out: str, more: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = residual()
    save_file(network.state_dict(), tmp_path / "ema.safetensors", metadata(network))
    (tmp_path / "old.pt").write_bytes(b"the old one")
    assert invoke(["export", str(tmp_path / "ema.safetensors"), str(tmp_path / out), "--torchscript", *more]) == 2
    said = capsys.readouterr().err
    assert said.startswith("deepupscale: error: ")
    assert why in said
    assert said.count("\n") == 1
    assert (tmp_path / "old.pt").read_bytes() == b"the old one"
    assert not (tmp_path / "out.onnx").exists()


def test_a_checkpoint_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["export", str(tmp_path / "none.safetensors"), str(tmp_path / "out.pt"), "--torchscript"]) == 2
    assert "none.safetensors: cannot be read as safetensors" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
