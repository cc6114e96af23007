"""Bad input of training, by the command: its exit code, and one line that names the file and what would help."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands import tree
from stores import RGB, finite_bits, pair_folder, scene, write_rgb

pytest.importorskip("lmdb")

import lmdb

from deepupscale.cli.app import invoke
from model import snapshots
from model.config import PRESETS
from model.pack import PackOptions, pack
from model.store_writer import StoreWriter

PAIRS = Path(__file__).with_name("pairs")
TINY: dict[str, Any] = {
    "data.patch": 32, "data.batch": 2, "data.workers": 0, "data.held_out": 0.4, "validation_crops": 2,
    "generator.shape": {"width": 4, "blocks": 1}, "discriminator.shape": {"width": 4}, "pretrain.steps": 4,
    "gan.steps": 3, "validate_every": 3, "checkpoint_every": 2, "nonfinite_steps": 2,
}  # fmt: skip

Train = Callable[..., str]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


@pytest.fixture
def store(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "store"))


def overrides(changed: dict[str, Any]) -> list[str]:
    """Options that make the preset tiny, and so; two underscores stand for a point."""
    values = TINY | {name.replace("__", "."): value for name, value in changed.items()}
    return [part for name, value in values.items() for part in ("--set", f"{name}={json.dumps(value)}")]


@pytest.fixture
def train(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Train:
    """``deepupscale train`` into ``run``, by a file or the tiny configuration; checks an error's form, returns it."""

    def check(code: int, *arguments: object, file: Path | None = None, **changed: Any) -> str:
        given = ["train", str(file or "default"), str(tmp_path / "run"), "--device", "cpu", *map(str, arguments)]
        if file is None:
            given += overrides({"data.store": str(tmp_path / "store"), **changed})
        capfd.readouterr()
        assert invoke(given) == code
        err = capfd.readouterr().err
        assert err.count("\n") == (code != 0)
        assert err.startswith("deepupscale: error: ") or code == 0
        assert "Traceback" not in err
        assert len(err) < 1100
        return err

    return check


def edit(store: Path, change: Callable[[Any], None]) -> None:
    """Change a store's values by LMDB itself."""
    with lmdb.open(str(store), map_size=1 << 28, lock=False) as environment, environment.begin(write=True) as edited:
        change(edited)


# The store


def test_a_store_of_another_version(train: Train, store: Path) -> None:
    def newer(edited: Any) -> None:
        edited.put(b"meta", json.dumps({**json.loads(edited.get(b"meta")), "version": 3}).encode())

    edit(store, newer)
    said = train(2)
    assert f"{store}: is a store of version 3, this deepupscale reads 2: pack it again" in said


def test_a_store_whose_file_was_cut_short(train: Train, store: Path, tmp_path: Path) -> None:
    os.truncate(store / "data.mdb", (store / "data.mdb").stat().st_size // 2)
    said = train(2)
    assert f"{store}: is cut short" in said
    assert "copy or pack it again" in said
    assert not snapshots.steps(tmp_path / "run" / "checkpoints")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_store_with_a_tile_missing_whoever_reads_it(train: Train, store: Path, workers: int) -> None:
    def drop(edited: Any) -> None:
        for key in [key for key, _ in edited.cursor() if b"/hr/" in key]:
            edited.delete(key)

    edit(store, drop)
    said = train(2, data__workers=workers, validation_crops=0)
    assert f"error: {store}: is damaged: " in said
    assert "is missing: pack it again" in said


@pytest.mark.skipif(sys.platform != "linux", reason="what is changed here reaches the workers by a fork")
def test_a_worker_that_is_killed(train: Train, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.loader._Steps._made", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    said = train(1, data__workers=1)
    assert f"{store}: a process that makes patches has died" in said
    assert "--set data.workers=0" in said


# Values that are no numbers


def test_a_pair_with_nan_is_left_out_by_pack_and_training_goes_on_without_it(
    train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = scene(80, 64, 9)
    broken[3, 4, 1] = np.nan
    write_rgb(pair_folder(tmp_path / "p", ("a", "b", "c")) / "hr" / "b.exr", broken)
    assert invoke(["pack", str(tmp_path / "p"), str(tmp_path / "store")]) == 0
    out, err = capfd.readouterr()
    assert "left out b: b.exr holds NaN or Inf in G" in out
    assert err == ""
    train(0, "--for", 1)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_store_that_holds_nan_anyway_is_refused_by_the_name_of_the_pair(
    train: Train, tmp_path: Path, value: float, workers: int
) -> None:
    with StoreWriter(tmp_path / "store", (RGB,)) as writer:
        low, high = (np.abs(finite_bits((48 * n, 48 * n, 3), "half", n)) for n in (1, 2))
        low[...] = value
        assert writer.add("bad", "folder", "pairs", {"rgb": low}, {"rgb": high}) is not None
    said = train(2, data__workers=workers, validation_crops=0)
    assert f"{tmp_path / 'store'}: bad holds NaN or Inf" in said
    assert "pack it again" in said


def test_held_out_pairs_that_hold_nan_are_refused_before_the_first_step(
    train: Train, store: Path, tmp_path: Path
) -> None:
    def spoil(edited: Any) -> None:
        for key, value in [(key, len(value)) for key, value in edited.cursor() if b"/lr/" in key]:
            edited.put(key, b"\xff\x7f" * (value // 2))

    edit(store, spoil)
    assert "holds NaN or Inf" in train(2)
    assert not snapshots.steps(tmp_path / "run" / "checkpoints")


# The configuration


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("name"), "name: Field required"),
        (lambda d: d["pretrain"].pop("steps"), "pretrain.steps: Field required"),
        (lambda d: d.update(gann=d.pop("gan")), "gann: Extra inputs are not permitted"),
        (
            lambda d: d["pretrain"].update(rait=d["pretrain"].pop("rate")),
            "pretrain.rait: Extra inputs are not permitted",
        ),
        (lambda d: d["pretrain"]["weights"].update(fidellity=1), "pretrain.weights.fidellity: Extra inputs"),
        (lambda d: d.update(gan="yes"), "gan: Input should be"),
        (lambda d: d["pretrain"].update(steps=[1]), "pretrain.steps: Input should be a valid integer"),
    ],
)
def test_a_configuration_with_a_key_missing_misspelt_or_of_another_type(
    train: Train, tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    document = yaml.safe_load((PRESETS / "default.yaml").read_text())
    change(document)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(document))
    before = tree(tmp_path)
    said = train(2, file=file)
    assert f"{file}: {says}" in said
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "value", ["{", "'", "2020-13-45", "1" * 5000, "[" * 50_000, "!!python/name:os.system", "@"],
    ids=["brace", "quote", "no date", "digits", "depth", "python", "at"],
)  # fmt: skip
def test_an_override_that_is_no_yaml(train: Train, value: str) -> None:
    said = train(2, "--set", f"seed={value}")
    assert "error: --set seed=" in said
    assert "the value is no YAML" in said


@pytest.mark.parametrize("text", ["seed: 2020-13-45", "seed: " + "1" * 5000])
def test_a_file_whose_values_yaml_cannot_build(train: Train, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert f"{tmp_path / 'mine.yaml'}: is no YAML" in train(2, file=tmp_path / "mine.yaml")


# Checkpoints


def run_to(train: Train, tmp_path: Path, steps: int = 2) -> Path:
    """A run of a few steps; its last snapshot."""
    train(0, "--for", steps)
    return snapshots.steps(tmp_path / "run" / "checkpoints")[-1]


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def bombs(trace: Path) -> list[bytes]:
    """The pickle itself, and as `torch.save` writes it; both work where they are unpickled."""
    file = trace.with_name("bomb.pt")
    torch.save(Bomb(trace), file)
    made = [pickle.dumps(Bomb(trace)), file.read_bytes()]
    for unpickle in (lambda: pickle.loads(made[0]), lambda: torch.load(file, weights_only=False)):  # noqa: S301
        unpickle()
        trace.rmdir()
    return made


@pytest.mark.parametrize("name", ["generator", "ema", "optimiser", "discriminator", "opposing", "random"])
def test_a_checkpoint_cut_short_is_not_gone_on_with(train: Train, store: Path, tmp_path: Path, name: str) -> None:
    place = run_to(train, tmp_path, 4)
    os.truncate(place / f"{name}.safetensors", 100)
    said = train(2, "--resume")
    assert f"{place / name}.safetensors: is damaged or no safetensors file" in said
    assert f"remove {place.name} to go on from the one before" in said


@pytest.mark.parametrize(
    "state",
    [
        b'{"step": 2, "skipped": 0', b"", b"\xff\xfe", b"3", b'{"step": 2, "spring": 1}', b'{"step": -2}',
        b'{"step": 2, "skipped": "a"}', b'{"step": 2, "seconds": null}', b'{"step": 2, "seconds": NaN}',
        b'{"step": true}',
    ],
    ids=range(10),
)  # fmt: skip
def test_a_checkpoint_whose_state_is_cut_off_or_another(
    train: Train, store: Path, tmp_path: Path, state: bytes
) -> None:
    place = run_to(train, tmp_path)
    (place / "state.json").write_bytes(state)
    said = train(2, "--resume")
    assert str(place) in said
    assert "begin the run anew elsewhere" in said  # it is the only one


def test_what_that_line_advises_helps(train: Train, store: Path, tmp_path: Path) -> None:
    place = run_to(train, tmp_path, 4)
    os.truncate(place / "ema.safetensors", 100)
    train(2, "--resume")
    shutil.rmtree(place)
    train(0, "--resume", "--for", 1)
    assert snapshots.steps(tmp_path / "run" / "checkpoints")[-1].name == "step_0000003"


def test_another_networks_optimiser_in_a_checkpoint(train: Train, store: Path, tmp_path: Path) -> None:
    place = run_to(train, tmp_path, 6)
    shutil.copy(place / "opposing.safetensors", place / "optimiser.safetensors")
    said = train(2, "--resume")
    assert str(place) in said
    assert "do not fit the network" in said


@pytest.mark.parametrize("name", ["generator", "ema", "optimiser", "random"])
def test_a_pickle_in_a_checkpoint_is_not_unpickled(train: Train, store: Path, tmp_path: Path, name: str) -> None:
    place = run_to(train, tmp_path)
    for content in bombs(tmp_path / "trace"):
        (place / f"{name}.safetensors").write_bytes(content)
        assert f"{place / name}.safetensors: is damaged or no safetensors file" in train(2, "--resume")
        assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("source", ["vgg", "aov"])
def test_a_pickle_for_features_is_not_unpickled_and_found_before_the_first_step(
    train: Train, store: Path, tmp_path: Path, source: str
) -> None:
    for content in bombs(tmp_path / "trace"):
        (tmp_path / "ema.safetensors").write_bytes(content)
        said = train(2, loss__feature={"source": source, "file": str(tmp_path / "ema.safetensors")})
        assert f"{tmp_path / 'ema.safetensors'}: cannot be read as safetensors" in said
        assert not (tmp_path / "trace").exists()
        assert not snapshots.steps(tmp_path / "run" / "checkpoints")
        shutil.rmtree(tmp_path / "run")


# Places and arguments


def test_a_run_that_is_a_file(train: Train, store: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    for more in ((), ("--resume",)):
        assert f"{tmp_path / 'run'}: is a file: name a folder for the run" in train(2, *more)
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize(
    ("largest", "steps", "every", "file"),
    [
        (512, 1, 1, "config.yaml"),
        (2048, 1, 1, "validation/step_0000001/"),
        (2048, 1, 100_000, "checkpoints/step_0000001"),
        (2048, 300, 100_000, "metrics.jsonl"),
    ],
)
def test_a_disk_that_takes_no_more(
    store: Path, tmp_path: Path, script: list[str], largest: int, steps: int, every: int, file: str
) -> None:
    """Every write beyond so many bytes fails, whoever writes: the system's limit on files, as a full disk."""
    import resource

    given = {"data.store": str(store), "pretrain.steps": 400, "checkpoint_every": every, "validate_every": every}
    done = subprocess.run(
        [*script, "train", "default", tmp_path / "run", "--device", "cpu", "--for", str(steps), *overrides(given)],
        capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"deepupscale: error: {tmp_path / 'run'}/{file}")
    assert "cannot be written: " in done.stderr
    assert "is the disk full?" in done.stderr
    assert not snapshots.steps(tmp_path / "run" / "checkpoints")
    assert not [path for path in (tmp_path / "run").rglob("*") if path.name.startswith(".")]


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("file", ["events.out", "scores.json"])
def test_a_disk_that_fills_up_in_the_middle_leaves_the_last_checkpoint(
    train: Train, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    run_to(train, tmp_path)
    before = tree(tmp_path / "run" / "checkpoints")
    replace = Path.replace
    if file == "events.out":
        monkeypatch.setattr("model.event_file.RecordWriter.write", full)
    else:
        monkeypatch.setattr(Path, "replace", lambda at, to: full() if file in at.name else replace(at, to))
    said = train(1, "--resume")
    assert f"{tmp_path / 'run'}" in said
    assert file in said
    assert "No space left on device: is the disk full?" in said
    assert before.items() <= tree(tmp_path / "run" / "checkpoints").items()


def test_figures_for_tensorboard_are_those_of_the_lines(train: Train, store: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_to(train, tmp_path, 3)
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["train", "validation"]
    for line in lines:
        for name in line.keys() - {"step", "kind"}:
            (scalar,) = events.Scalars(f"{line['kind']}/{name}")
            assert scalar.step == line["step"]
            assert scalar.value == pytest.approx(line[name], rel=1e-6)


def test_no_minutes_is_one_step_and_its_checkpoint(train: Train, store: Path, tmp_path: Path) -> None:
    train(0, "--minutes", 0)
    assert [place.name for place in snapshots.steps(tmp_path / "run" / "checkpoints")] == ["step_0000001"]


@pytest.mark.parametrize(("option", "value"), [("--minutes", "-1"), ("--minutes", "nan"), ("--for", "0")])
def test_a_slice_that_cannot_be_meant(train: Train, store: Path, tmp_path: Path, option: str, value: str) -> None:
    assert f"{option}" in train(2, option, value)
    assert not (tmp_path / "run").exists()
