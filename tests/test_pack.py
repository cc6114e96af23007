"""`deepupscale pack`: what it says, what it makes, what it refuses, and that the same pairs give the same dataset."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from commands import tree
from plates import write_plate
from stores import halved, pair_folder, rendered_folder, scene, write_rgb

pytest.importorskip("lmdb")

from deepupscale.errors import DeepUpscaleError, MissingExtraError, StoreError, UsageError
from model.pack import PackOptions, PackReport, pack
from model.store import Store
from model.verbs import pack as pack_verb
from model.verbs import register


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    """The verb on a command of its own; returns the lines it printed."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback()(lambda: None)
    register(app)

    def run(*arguments: object) -> list[str]:
        capsys.readouterr()
        app(["pack", *map(str, arguments)], standalone_mode=False)
        said = capsys.readouterr()
        assert said.err == ""
        return said.out.splitlines()

    return run


def refusal(say, *arguments: object) -> str:
    with pytest.raises(DeepUpscaleError) as caught:
        say(*arguments)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def packed(folder: Path, *sources: Path, **options: Any) -> PackReport:
    return pack(sources, folder, PackOptions(**options))


def test_three_kinds_of_sources_become_one_store(say, tmp_path: Path) -> None:
    rendered = rendered_folder(tmp_path / "rendered", ["s.0001"], rejected=["s.0002"])
    studio = pair_folder(tmp_path / "studio", ["a", "b"], seed=9)
    write_rgb(tmp_path / "photos" / "street.exr", scene(41, 33, 5) * 1000.0)
    nan = scene(80, 64, 7)
    nan[1, 1] = np.nan
    write_rgb(studio / "hr" / "b.exr", nan)
    lines = say(rendered, studio, tmp_path / "photos", tmp_path / "s", "--json", tmp_path / "said.json")
    assert lines[:5] == [
        "[1/5] left out s.0002: rejected by render-pairs: shifted",
        "[2/5] packed a 80x64",
        "[3/5] left out b: b.exr holds NaN or Inf in R",
        "[4/5] packed s.0001 80x64",
        "[5/5] packed street 40x32",
    ]
    store = Store(tmp_path / "s")
    store.verify()
    bytes_on_disk = (tmp_path / "s" / "data.mdb").stat().st_size
    assert lines[5:] == [
        "3 pairs packed, 2 left out; fields rgb; not in every pair: N, Z, albedo, alpha, backward, forward; "
        f"{bytes_on_disk / 2**20:.1f} MiB at {tmp_path / 's'}; dataset {store.dataset}"
    ]
    assert [(p.name, p.kind, p.folder, p.size) for p in store.pairs] == [
        ("a", "pairs", "studio", (40, 32)), ("s.0001", "rendered", "rendered", (40, 32)),
        ("street", "degraded", "photos", (20, 16)),
    ]  # fmt: skip
    np.testing.assert_array_equal(store.plane(0, "hr"), scene(80, 64, 9).astype(np.float16))
    np.testing.assert_array_equal(store.plane(0, "lr"), halved(scene(80, 64, 9)).astype(np.float16))
    said = json.loads((tmp_path / "said.json").read_text())
    assert (said["dataset"], said["packed"], said["left_out"], said["bytes"]) == (store.dataset, 3, 2, bytes_on_disk)
    assert [pair["name"] for pair in said["pairs"]] == ["s.0002", "a", "b", "s.0001", "street"]
    assert str(tmp_path) not in store.description.model_dump_json()


def test_aovs_that_every_pair_has_are_packed_and_a_choice_is_kept_to(say, tmp_path: Path) -> None:
    rendered = rendered_folder(tmp_path / "r", ["s"])
    every = ["rgb", "N", "Z", "albedo", "alpha", "backward", "forward"]
    chosen = {"": every, "none": ["rgb"], "Z, N": ["rgb", "N", "Z"], "rgb,Z,Z": ["rgb", "Z"]}
    ids = set()
    for number, (aovs, expected) in enumerate(chosen.items()):
        say(rendered, tmp_path / str(number), *(["--aovs", aovs] if aovs else []))
        store = Store(tmp_path / str(number))
        assert [field.name for field in store.fields] == expected
        ids.add(store.dataset)
    assert len(ids) == 4
    said = refusal(say, rendered, tmp_path / "x", "--aovs", "Z,shadow")
    assert "--aovs shadow: no pair has it; there is N, Z, albedo" in said


def test_a_pair_without_an_aov_that_was_asked_for_is_left_out(tmp_path: Path) -> None:
    report = packed(
        tmp_path / "s", rendered_folder(tmp_path / "r", ["s"]), pair_folder(tmp_path / "p", ["a"]), aovs=("Z",)
    )
    assert [(pair.name, pair.status) for pair in report.pairs] == [("a", "left out"), ("s", "packed")]
    assert report.pairs[0].message == "a.exr has no Z like the other pairs"
    assert report.fields == ("rgb", "Z")


def test_the_same_pairs_give_the_same_dataset_in_any_order_from_anywhere(tmp_path: Path) -> None:
    one, two = rendered_folder(tmp_path / "one", ["s.1", "s.2"]), pair_folder(tmp_path / "two", ["a", "s.1"], seed=4)
    first = packed(tmp_path / "1", one, two, aovs=())
    shutil.move(one, tmp_path / "elsewhere")
    second = packed(tmp_path / "2", two, tmp_path / "elsewhere", aovs=(), tile=64, margin=8)
    assert first.dataset == second.dataset
    stores = [Store(tmp_path / name) for name in "12"]
    assert len(stores[0]) == 4
    for number in range(4):
        crops = [store.crop(number, 5, 6, 20, 3) for store in stores]
        assert crops[0].lr["rgb"].tobytes() == crops[1].lr["rgb"].tobytes()
    again = packed(tmp_path / "3", two, tmp_path / "elsewhere", aovs=(), tile=64, margin=8)
    assert (tmp_path / "3" / "data.mdb").read_bytes() == (tmp_path / "2" / "data.mdb").read_bytes()
    assert again.dataset == first.dataset


def test_one_pixel_changes_the_dataset(tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "p")
    before = packed(tmp_path / "1", folder).dataset
    picture = scene(80, 64, 0)
    picture[40, 40, 1] = np.nextafter(np.float16(picture[40, 40, 1]), np.float16(9))
    write_rgb(folder / "hr" / "a.exr", picture)
    assert packed(tmp_path / "2", folder).dataset != before


def test_the_same_folder_named_twice_is_packed_once(tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "p", ["a"])
    report = packed(tmp_path / "s", folder, folder)
    assert [(pair.status, pair.message) for pair in report.pairs] == [
        ("packed", ""), ("left out", "the same pair is in the store already"),
    ]  # fmt: skip


def test_incoherent_pairs_are_left_out_unless_kept_and_both_is_said(say, tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "p")
    write_rgb(folder / "lr" / "a.exr", halved(np.roll(scene(80, 64), 8, axis=1)))
    lines = say(folder, tmp_path / "1")
    assert lines[0].startswith("[1/2] left out a: incoherent: ")
    assert "1 pairs packed, 1 left out" in lines[2]
    lines = say(folder, tmp_path / "2", "--keep-incoherent")
    assert lines[0].startswith("[1/2] packed a 80x64 (kept though incoherent: ")
    assert len(Store(tmp_path / "2")) == 2


def test_clamped_values_are_counted_aloud(say, tmp_path: Path) -> None:
    hot = scene(80, 64).astype(np.float32)
    hot[3, 4] = 1e6
    (tmp_path / "p").mkdir()
    write_plate(tmp_path / "p" / "sun.exr", {c: np.ascontiguousarray(hot[:, :, i]) for i, c in enumerate("RGB")})
    lines = say(tmp_path / "p", tmp_path / "s")
    assert lines[0] == "[1/1] packed sun 80x64 (3 values too large for half clamped)"
    assert "3 values clamped" in lines[1]


def test_the_filter_for_photographs_makes_a_difference(say, tmp_path: Path) -> None:
    write_rgb(tmp_path / "p" / "a.exr", scene(80, 64))
    made = []
    for number, name in enumerate(("blackman-harris", "blackman-harris:1.5", "box", "gaussian:0.5")):
        say(tmp_path / "p", tmp_path / str(number), "--degrade", name)
        made.append(Store(tmp_path / str(number)).dataset)
    assert made[0] == made[1]
    assert len(set(made)) == 3


def test_nothing_is_made_when_nothing_is_fit(say, tmp_path: Path) -> None:
    write_rgb(tmp_path / "p" / "a.exr", np.full((8, 8, 3), np.nan))
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=r"none of 1 pairs is fit, as in: a: a\.exr holds NaN or Inf in R"):
        say(tmp_path / "p", tmp_path / "s")
    assert tree(tmp_path) == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["p"]


def test_a_damaged_rendered_pair_ends_the_run_and_leaves_nothing(say, tmp_path: Path) -> None:
    folder = rendered_folder(tmp_path / "r")
    file = folder / "hr" / "s.0002.exr"
    file.write_bytes(file.read_bytes()[:-300])
    assert str(file) in refusal(say, folder, tmp_path / "s")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["r"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("p", "s", "--tile", "63"), "--tile 63"),
        (("p", "s", "--tile", "65"), "--tile 65"),
        (("p", "s", "--tile", "100000"), "--tile 100000"),
        (("p", "s", "--margin", "-2"), "--margin -2"),
        (("p", "s", "--margin", "3"), "--margin 3"),
        (("p", "s", "--degrade", "sinc"), "--degrade sinc"),
        (("p", "s", "--json", "none/x.json"), "--json none/x.json"),
        (("p", "s", "--json", "p/hr/a.exr"), "--json p/hr/a.exr: exists and is no .json"),
        (("p", "s", "--json", "p"), "--json p: cannot be written there"),
        (("p", "s", "--aovs", "Z"), "no pair has it; there is none"),
        (("none", "s"), "none: there is no such folder"),
        (("p/hr/a.exr", "s"), "p/hr/a.exr: is a file"),
        (("p", "p"), "p: exists already"),
        (("p", "p", "--overwrite"), "p: is no store that can be read"),
        (("p", "none/s"), "none/s: cannot be written there"),
        (("p", "p/hr/a.exr"), "p/hr/a.exr: is a file, a store is a folder"),
        (("p", "s", "--max-side", "40"), "none of 2 pairs is fit"),
    ],
)
def test_arguments_that_cannot_be_meant(
    say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    pair_folder(tmp_path / "p")
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    assert words in refusal(say, *arguments)
    assert tree(tmp_path) == before


def test_a_store_is_replaced_only_when_asked(say, tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "p", ["a"])
    say(folder, tmp_path / "s")
    first = Store(tmp_path / "s").dataset
    write_rgb(folder / "hr" / "a.exr", scene(80, 64, 3))
    write_rgb(folder / "lr" / "a.exr", halved(scene(80, 64, 3)))
    assert "--overwrite" in refusal(say, folder, tmp_path / "s")
    assert Store(tmp_path / "s").dataset == first
    assert "lies in the store" in refusal(say, folder, tmp_path / "s", "--overwrite", "--json", tmp_path / "s/x.json")
    say(folder, tmp_path / "s", "--overwrite")
    assert Store(tmp_path / "s").dataset != first


def test_the_verb_and_the_function_have_the_same_defaults() -> None:
    verb = {name: each.default for name, each in inspect.signature(pack_verb).parameters.items()}
    assert all(verb[name] == value for name, value in asdict(PackOptions()).items())


def test_the_verb_is_light_to_import() -> None:
    code = "import sys, model.verbs; sys.exit(not {'numpy', 'lmdb', 'OpenImageIO', 'torch'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0


def test_without_lmdb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(MissingExtraError, match=r"deepupscale pack needs the package lmdb: .*deepupscale\[data\]"):
        packed(tmp_path / "s", pair_folder(tmp_path / "p"))
    with pytest.raises(MissingExtraError):
        Store(tmp_path / "s")


def test_one_pair_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model import pack as module

    alive: list[Any] = []
    load = module.load

    def watched(*arguments: Any) -> Any:
        assert all(reference() is None for reference in alive)
        loaded = load(*arguments)
        alive.append(weakref.ref(loaded))
        return loaded

    monkeypatch.setattr(module, "load", watched)
    packed(tmp_path / "s", pair_folder(tmp_path / "p", "abcd"))
    assert len(alive) == 4


def test_usage_errors_come_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.pack.candidates", lambda source: pytest.fail("looked at the sources first"))
    (tmp_path / "s").mkdir()
    for options in ({"tile": 1}, {"degrade": "x"}, {}):
        with pytest.raises(UsageError):
            packed(tmp_path / "s", tmp_path, **options)
