"""Writing stores: full disks, kills, Ctrl-C and changed minds leave a whole store or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import tree
from stores import DEPTH, RGB, make_store, noise_pair

pytest.importorskip("lmdb")

from deepupscale.errors import StoreError, UsageError
from deepupscale.temporary import writer as this_process
from model import store_writer
from model.store import Store
from model.store_writer import StoreWriter, sweep

ROOT = Path(__file__).resolve().parents[1]
# Writes pairs without end, or until something stops it; tells of each on standard output.
ENDLESS = """
import resource, sys
from pathlib import Path
from stores import RGB, noise_pair
from model.store_writer import StoreWriter
from deepupscale.errors import StoreError
path, overwrite, limit = Path(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with StoreWriter(path, (RGB,), overwrite=overwrite) as writer:
        for number in range(1_000_000):
            writer.add(f"p{number}", "", "pairs", *noise_pair("", 120, 90, seed=number)[1:])
            print(number, flush=True)
except StoreError as error:
    sys.exit(str(error))
"""


def start(path: Path, overwrite: bool = False, limit: int = 0) -> subprocess.Popen[str]:
    """A process that writes a store there and never ends of itself; no file of its may exceed ``limit`` bytes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    command = [sys.executable, "-c", ENDLESS, str(path), str(overwrite), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_when_the_disk_is_full_nothing_is_left_and_the_old_store_stays(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "s"
    if overwrite:
        make_store(path, [noise_pair("old", 20, 20)])
    before = tree(tmp_path)
    process = start(path, overwrite, limit=3 << 20)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 1, complained
    assert said.startswith("0\n")
    assert complained.startswith(f"{path}: could not be written whole; is the disk full? (")
    assert complained.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_kill_midway_leaves_no_store_and_the_next_run_sweeps_up(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "s"
    if overwrite:
        make_store(path, [noise_pair("old", 20, 20)])
    process = start(path, overwrite)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = [name for name in names(tmp_path) if name.startswith(".s.writing-")]
    assert len(left) == 1
    assert path.exists() == overwrite
    if overwrite:
        Store(path).verify()
    make_store(path, [noise_pair("new", 20, 20)], overwrite=overwrite)
    assert names(tmp_path) == ["s"]
    assert [pair.name for pair in Store(path).pairs] == ["new"]


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path / "s")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in complained
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_any_exception_leaves_nothing_and_passes_through(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path / "s", (RGB,)) as writer:
            writer.add("a", "", "pairs", *noise_pair("a", 20, 20)[1:])
            assert names(tmp_path) != []
            raise error

    with pytest.raises(error):
        interrupted()
    assert names(tmp_path) == []


def test_a_store_whose_bytes_did_not_reach_the_disk_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = StoreWriter._put

    def put_other_bytes(self: StoreWriter, key: bytes, value: bytes) -> None:
        put(self, key, bytes(len(value)) if b"/hr/" in key else value)

    monkeypatch.setattr(StoreWriter, "_put", put_other_bytes)
    with pytest.raises(StoreError, match="could not be written whole"):
        make_store(tmp_path / "s", [noise_pair("a", 20, 20)])
    assert names(tmp_path) == []


def test_the_map_grows_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_writer, "_FIRST_MAP", 1 << 16)
    pairs = [noise_pair(f"p{n}", 90, 70, (RGB, DEPTH), n) for n in range(4)]
    store = Store(make_store(tmp_path / "s", pairs, (RGB, DEPTH)))
    assert (tmp_path / "s" / "data.mdb").stat().st_size > 1 << 20
    store.verify()


def test_a_store_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s", [noise_pair("a", 20, 20)])
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="--overwrite"):
        make_store(path, [noise_pair("b", 20, 20)])
    assert tree(tmp_path) == before
    make_store(path, [noise_pair("b", 20, 20)], overwrite=True)
    assert [pair.name for pair in Store(path).pairs] == ["b"]
    assert names(tmp_path) == ["s"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_store_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.mdb").write_text("mine")
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "file" / "beyond")
    before = tree(tmp_path)
    for name in ("file", "folder", "empty", "dangling", "none/below", "file/below"):
        with pytest.raises(UsageError) as caught:
            make_store(tmp_path / name, [noise_pair("a", 20, 20)], overwrite=overwrite)
        assert str(tmp_path / name) in str(caught.value)
    assert tree(tmp_path) == before


def test_another_programs_lmdb_is_not_replaced_and_a_store_of_another_version_is(tmp_path: Path) -> None:
    import lmdb

    path = tmp_path / "s"
    for description, ours in ((b"images", False), (b'{"format":"deepupscale-store","version":9}', True)):
        with lmdb.open(str(path), map_size=1 << 20) as environment, environment.begin(write=True) as edited:
            edited.put(b"meta", description)
        if ours:
            make_store(path, [noise_pair("a", 20, 20)], overwrite=True)
            continue
        before = tree(tmp_path)
        with pytest.raises(UsageError, match="no store that can be read"):
            make_store(path, [noise_pair("a", 20, 20)], overwrite=True)
        assert tree(tmp_path) == before
    assert names(path) == ["data.mdb"]
    Store(path).verify()


def test_a_link_to_a_store_keeps_pointing_to_the_store_that_replaces_it(tmp_path: Path) -> None:
    make_store(tmp_path / "s", [noise_pair("a", 20, 20)])
    (tmp_path / "link").symlink_to(tmp_path / "s")
    make_store(tmp_path / "link", [noise_pair("b", 20, 20)], overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert [pair.name for pair in Store(tmp_path / "s").pairs] == ["b"]


def test_no_pairs_make_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not one pair"):
        make_store(tmp_path / "s", [])
    assert names(tmp_path) == []


def test_the_very_same_pair_is_put_in_once(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", (RGB,)) as writer:
        pair = noise_pair("a", 20, 20)[1:]
        assert writer.add("a", "", "pairs", *pair) is not None
        assert writer.add("a", "elsewhere", "rendered", *pair) is None
        assert writer.add("b", "", "pairs", *pair) is not None
    store = Store(tmp_path / "s")
    assert [entry.name for entry in store.pairs] == ["a", "b"]
    store.verify()


def test_planes_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    _, low, high = noise_pair("a", 20, 20)
    with pytest.raises(ValueError, match=r"a: rgb is \(40, 38, 3\)"), StoreWriter(tmp_path / "s", (RGB,)) as writer:
        writer.add("a", "", "pairs", low, {"rgb": np.ascontiguousarray(high["rgb"][:, :38])})
    assert names(tmp_path) == []


def leave(folder: Path, name: str) -> Path:
    """What a run has left."""
    return make_store(folder / f"made{name}", [noise_pair("left", 20, 20)]).rename(folder / name)


def dead() -> str:
    """The name of a process of this host that is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"{this_process().rpartition('-')[0]}-{ended.pid}"


def test_only_what_the_dead_have_left_is_swept(tmp_path: Path) -> None:
    gone = dead()
    leave(tmp_path, f".s.writing-{gone}")
    kept = [f".s.writing-{this_process()}", f".s.writing-elsewhere-{gone.rpartition('-')[2]}", f".t.writing-{gone}"]
    kept += [".s.writing-x", f".s.writing-{gone}.d"]
    for name in kept:
        leave(tmp_path, name)
    (tmp_path / f".s.replaced-{gone}").symlink_to(tmp_path / kept[0])
    assert sweep(tmp_path / "s") == 1
    assert names(tmp_path) == sorted([*kept, f".s.replaced-{gone}"])


def test_a_store_that_a_kill_left_under_its_hidden_name_is_put_back(tmp_path: Path) -> None:
    leave(tmp_path, f".s.replaced-{dead()}")
    assert sweep(tmp_path / "s") == 1
    assert names(tmp_path) == ["s"]
    assert [pair.name for pair in Store(tmp_path / "s").pairs] == ["left"]
    leave(tmp_path, f".s.replaced-{dead()}")
    assert sweep(tmp_path / "s") == 1
    assert names(tmp_path) == ["s"]
