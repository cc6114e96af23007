"""Checkpoints: what a file says of itself is believed only where its tensors agree."""

import json
import pickle

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import save_file  # noqa: E402

from deepupscale.errors import ModelError  # noqa: E402
from model.checkpoint import load_aov_features, load_generator, load_vgg, metadata  # noqa: E402
from model.networks import AovFeatures, VggFeatures, build_generator  # noqa: E402

PROSR = {"width": 6, "units": 1, "layers": 2, "growth": 4, "bottleneck": 2, "residual": 0.5}


@pytest.mark.parametrize(("name", "shape"), [("residual", {"width": 4, "blocks": 1, "scale": 3}), ("prosr", PROSR)])
def test_a_generator_comes_back_as_it_was_saved(tmp_path, name, shape):
    network = build_generator(name, **shape)
    torch.nn.init.normal_(network.tail.weight)  # type: ignore[arg-type, union-attr]
    save_file(network.state_dict(), tmp_path / "ema.safetensors", metadata(network))
    again = load_generator(tmp_path / "ema.safetensors")
    assert type(again) is type(network)
    assert again.shape == network.shape
    assert not again.training
    plate = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(again(plate), network(plate), rtol=0, atol=0)


def test_an_older_file_is_a_residual_generator_also_as_half(tmp_path):
    network = build_generator("residual", width=4, blocks=1)
    half = {name: tensor.half() for name, tensor in network.state_dict().items()}
    save_file(half, tmp_path / "old.safetensors", {"width": "4", "blocks": "1", "progress": "{}"})
    again = load_generator(tmp_path / "old.safetensors")
    assert again.kind == "residual"
    assert all(p.dtype == torch.float32 for p in again.parameters())


def test_a_truncated_file_is_refused_wherever_it_was_cut(tmp_path):
    network = build_generator("residual", width=4, blocks=1)
    path = tmp_path / "ema.safetensors"
    save_file(network.state_dict(), path, metadata(network))
    whole = path.read_bytes()
    for length in (0, 4, 8, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"ema\.safetensors: cannot be read"):
            load_generator(path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_foreign_files_are_refused_and_never_unpickled(tmp_path):
    path = tmp_path / "foreign.safetensors"
    for content in (pickle.dumps(Bomb()), b"PK\x03\x04" + bytes(100), b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read as safetensors"):
            load_generator(path)
    with pytest.raises(ModelError, match="missing"):
        load_generator(tmp_path / "missing.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_generator(tmp_path)


@pytest.mark.parametrize(
    ("described", "complaint"),
    [
        (None, "does not say which network"),
        ({"width": "four", "blocks": "1"}, "does not say which network"),
        ({"network": "residual"}, "does not say which network"),
        ({"network": "residual", "shape": "[" * 100_000}, "does not say which network"),
        ({"network": "residual", "shape": "[4, 1]"}, "no mapping"),
        ({"network": "os.system", "shape": "{}"}, "no such network"),
        ({"network": "residual", "shape": '{"width": 1e9}'}, "width"),
        ({"network": "residual", "shape": '{"width": 1000000000, "blocks": 1}'}, "width"),
        ({"network": "residual", "shape": '{"width": 1024, "blocks": 1}'}, "not of this network"),
        ({"network": "residual", "shape": '{"width": 4, "blocks": 2}'}, "missing where the network has"),
        ({"network": "prosr", "shape": json.dumps(PROSR)}, "not of this network"),
    ],
)
def test_a_file_that_says_what_it_is_not_is_refused(tmp_path, described, complaint):
    save_file(build_generator("residual", width=4, blocks=1).state_dict(), tmp_path / "m.safetensors", described)
    with pytest.raises(ModelError, match=complaint) as caught:
        load_generator(tmp_path / "m.safetensors")
    assert "m.safetensors" in str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    network = build_generator("residual", width=4, blocks=1)
    with torch.no_grad():
        network.fuse.weight[0, 0, 0, 0] = value  # type: ignore[index, union-attr]
    save_file(network.state_dict(), tmp_path / "m.safetensors", metadata(network))
    with pytest.raises(ModelError, match=r"fuse\.weight is not of finite"):
        load_generator(tmp_path / "m.safetensors")


def test_feature_networks_come_back_frozen(tmp_path):
    network = AovFeatures(width=4, levels=2)
    save_file(network.state_dict(), tmp_path / "aov.safetensors", metadata(network))
    again = load_aov_features(tmp_path / "aov.safetensors")
    assert not any(p.requires_grad for p in again.parameters())
    plate = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(again(plate), network(plate))
    with pytest.raises(ModelError, match="no such network"):
        load_generator(tmp_path / "aov.safetensors")
    far = {"network": "aov-features", "shape": '{"width": 9999}'}
    save_file(network.state_dict(), tmp_path / "big.safetensors", far)
    with pytest.raises(ModelError, match="width=9999 is no shape"):
        load_aov_features(tmp_path / "big.safetensors")


def test_vgg_takes_torchvisions_names_and_leaves_the_classifier(tmp_path):
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in VggFeatures().state_dict().items()}
    weights = {name: torch.zeros(shape, dtype=torch.half) for name, shape in shapes.items()}
    weights["classifier.0.weight"] = torch.zeros(3, 3, dtype=torch.half)
    assert {"features.0.weight", "features.34.bias"} <= weights.keys()
    save_file(weights, tmp_path / "vgg19.safetensors")
    network = load_vgg(tmp_path / "vgg19.safetensors", ("conv1_2", "conv3_4"))
    assert [f.shape[1] for f in network(torch.rand(1, 3, 16, 16))] == [64, 256]
    assert not any(p.requires_grad for p in network.parameters())
    del weights["features.34.bias"]
    save_file(weights, tmp_path / "vgg19.safetensors")
    with pytest.raises(ModelError, match=r"features\.34\.bias is missing"):
        load_vgg(tmp_path / "vgg19.safetensors")
