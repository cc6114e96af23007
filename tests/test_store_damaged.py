"""Stores that are damaged, foreign or hostile: one line that names the store, never a crash, never wrong pixels."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import DEPTH, RGB, make_store, noise_pair

pytest.importorskip("lmdb")

import lmdb

from deepupscale.errors import SetupError, StoreError
from model.store import Store
from model.store_format import TABLES, Description, TableName

FIELDS = (RGB, DEPTH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pairs = [noise_pair(name, 70, 40, FIELDS, seed) for seed, name in enumerate("ab")]
    return make_store(tmp_path / "s", pairs, FIELDS, tile=64, margin=16)


def refusal(folder: Path) -> str:
    """What opening it says: one line, naming it."""
    with pytest.raises(StoreError) as caught:
        Store(folder)
    text = str(caught.value)
    assert isinstance(caught.value, SetupError)
    assert str(folder) in text
    assert "\n" not in text
    return text


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    """Change a store's values by LMDB itself."""
    with lmdb.open(str(folder), map_size=1 << 28, lock=False) as environment, environment.begin(write=True) as edited:
        change(edited)


def redescribe(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a store's description."""

    def rewrite(edited: Any) -> None:
        found = json.loads(edited.get(b"meta"))
        change(found)
        edited.put(b"meta", json.dumps(found).encode())

    edit(folder, rewrite)


def test_no_store_a_file_and_a_folder_of_something_else_are_told_apart(tmp_path: Path) -> None:
    assert "no such store" in refusal(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"x")
    assert "is a file" in refusal(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    assert "is not a store (data.mdb" in refusal(tmp_path / "folder")
    (tmp_path / "folder" / "data.mdb").mkdir()
    refusal(tmp_path / "folder")


@pytest.mark.parametrize("data", [b"", b"x", bytes(10_000), os.urandom(10_000), b"\xff" * 10_000], ids=range(5))
def test_a_file_that_is_not_lmdb_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(data)
    assert "not a store" in refusal(tmp_path)


def test_another_lmdb_is_not_taken_for_a_store(tmp_path: Path) -> None:
    edit(tmp_path, lambda edited: edited.put(b"image-000", b"png"))
    assert "it has no description" in refusal(tmp_path)


def test_a_store_cut_short_anywhere_is_refused_and_never_a_bus_error(folder: Path) -> None:
    data = (folder / "data.mdb").read_bytes()
    for length in (*range(0, 9000, 613), 4096, 8192, len(data) // 2, len(data) - 4096, len(data) - 1):
        (folder / "data.mdb").write_bytes(data[:length])
        assert re.search("cut short|not a store", refusal(folder))
    (folder / "data.mdb").write_bytes(data)
    Store(folder).verify()


@pytest.mark.parametrize("offset", [16, 20, 28, 40, 48, 136], ids=["magic", "version", "", "page", "", "last page"])
def test_a_damaged_header_is_refused_or_does_no_harm(folder: Path, offset: int) -> None:
    data = bytearray((folder / "data.mdb").read_bytes())
    for page in (0, 4096):
        for value in (0x00, 0xFF, 0x7F):
            changed = data.copy()
            changed[page + offset : page + offset + 4] = bytes([value] * 4)
            (folder / "data.mdb").unlink()  # another file: the last one may still be open
            (folder / "data.mdb").write_bytes(changed)
            try:
                Store(folder).verify()
            except StoreError as error:
                assert str(folder) in str(error)  # noqa: PT017  either outcome will do, a crash will not


def test_another_version_is_refused_by_its_number(folder: Path) -> None:
    redescribe(folder, lambda found: found.update(version=3, shiny=True))
    assert "is a store of version 3, this deepupscale reads 2" in refusal(folder)


def huge(found: dict[str, Any]) -> None:
    found["pairs"][0]["size"] = [1 << 40, 1 << 40]


def many_channels(found: dict[str, Any]) -> None:
    found["fields"][0]["channels"] = ["R"] * 10_000


def slots(found: dict[str, Any]) -> None:
    found["pairs"][0]["slot"] = found["pairs"][1]["slot"]


def long_name(found: dict[str, Any]) -> None:
    found["pairs"][0]["name"] = "n" * 10_000


def no_rgb(found: dict[str, Any]) -> None:
    found["fields"] = found["fields"][1:]


def kind(found: dict[str, Any]) -> None:
    found["fields"][1]["kind"] = "position"


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "size": huge,
    "channels": many_channels,
    "slots": slots,
    "name": long_name,
    "fields": no_rgb,
    "kind": kind,
    "order": lambda found: found["pairs"].reverse(),
    "tile": lambda found: found.update(tile=1 << 30),
    "no tile": lambda found: found.update(tile=0),
    "margin": lambda found: found.update(margin=-2),
    "unknown": lambda found: found.update(command="rm"),
    "no pairs": lambda found: found.update(pairs=[]),
    "pairs": lambda found: found.update(pairs="x" * 1_000_000),
    "dataset": lambda found: found.update(dataset="0" * 64),
    "digest": lambda found: found["pairs"][0].update(lr="0" * 64),
    "format": lambda found: found.update(format="other"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_description_is_refused_in_one_line(folder: Path, name: str) -> None:
    redescribe(folder, HOSTILE[name])
    text = refusal(folder)
    assert "its description is not valid" in text
    assert len(text) < 600


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[" * 100_000, b"\xff\xfe", b'{"format": "deepupscale-store"'], ids=range(5)
)
def test_a_description_that_is_no_json_is_refused(folder: Path, data: bytes) -> None:
    edit(folder, lambda edited: edited.put(b"meta", data))
    assert "description" in refusal(folder)


def test_a_description_larger_than_its_cap_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.store_format.LARGEST_META", 10)
    with pytest.raises(StoreError, match="11 bytes long, the limit is 10"):
        Description.from_json(b"x" * 11, "s")


def some_key(folder: Path, part: str) -> bytes:
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as found:
        return next(key for key, _ in found.cursor() if part.encode() in key)


@pytest.mark.parametrize("change", ["missing", "short", "long", "empty"])
def test_a_tile_that_is_missing_or_of_another_length_is_an_error_not_other_pixels(folder: Path, change: str) -> None:
    key = some_key(folder, "/hr/00/0000.0000")

    def damage(edited: Any) -> None:
        value = bytes(edited.get(key))
        if change == "missing":
            edited.delete(key)
        else:
            edited.put(key, {"short": value[:-1], "long": value + b"x", "empty": b""}[change])

    edit(folder, damage)
    store = Store(folder)
    with pytest.raises(StoreError, match=f"{key.decode()} of a (is missing|has)"):
        store.crop(0, 0, 0, 8)
    with pytest.raises(StoreError):
        store.verify()


@pytest.mark.parametrize("where", [0, -1], ids=["core", "margin"])
@pytest.mark.parametrize("part", ["/lr/00/0000.0000", "/hr/01/0001.0000", "intensity", "detail"])
def test_verify_finds_one_changed_byte_wherever_it_is(folder: Path, part: str, where: int) -> None:
    key = some_key(folder, part)

    def damage(edited: Any) -> None:
        value = bytearray(edited.get(key))
        value[where] ^= 0x10  # the last byte of a first tile lies in its margin
        edited.put(key, bytes(value))

    Store(folder).verify()
    edit(folder, damage)
    with pytest.raises(StoreError, match="damaged") as caught:
        Store(folder).verify()
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_nan_is_not_sampled_by(folder: Path, name: TableName) -> None:
    key = some_key(folder, name)
    edit(folder, lambda edited: edited.put(key, b"\xff" * len(edited.get(key))))
    with pytest.raises(StoreError, match=f"{name} table of a is damaged"):
        Store(folder).table(0, name)


def test_verify_finds_what_nobody_knows_of(folder: Path) -> None:
    edit(folder, lambda edited: edited.put(b"zzz", b"more"))
    with pytest.raises(StoreError, match=r"holds .* values where its description knows"):
        Store(folder).verify()


def test_a_copy_of_a_store_is_that_store(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    first, copy = Store(folder), Store(tmp_path / "copy")
    assert first.dataset == copy.dataset
    np.testing.assert_array_equal(copy.crop(1, 3, 3, 8).lr["rgb"], first.crop(1, 3, 3, 8).lr["rgb"])
