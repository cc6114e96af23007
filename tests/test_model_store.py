"""The model store: models by name, out of a studio's folders and the package's own."""

from __future__ import annotations

import errno
import logging
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import NOTHING_RUN, put

from deepupscale import load_model, model_store
from deepupscale.cli.app import invoke
from deepupscale.errors import ModelError
from deepupscale.model_file import MAX_MODEL_BYTES, default_model_path, promise_of
from deepupscale.model_store import ENVIRONMENT, MAX_NAME, find, listed, scan

Studio = Callable[..., list[Path]]
MakeModel = Callable[..., Path]
MakeJson = Callable[..., str]

PAIRS = Path(__file__).parent / "pairs"


def refusal(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        find(name)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) <= 1000
    return said


# ---- names and paths


def test_a_name_is_found_in_the_studios_folder_and_in_the_package(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx", folder / "hero v2.1.ONNX", folder / "\u6771\u4eac.onnx")
    assert find("hero") == folder / "hero.onnx"
    assert find("hero v2.1") == folder / "hero v2.1.ONNX"
    assert find("\u6771\u4eac") == folder / "\u6771\u4eac.onnx"
    assert find("default") == default_model_path()
    assert load_model("hero").path == folder / "hero.onnx"
    assert load_model("hero").data == tiny_model.read_bytes()


def test_composed_and_decomposed_letters_are_one_name(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "e\u0301te\u0301.onnx")
    assert find("\u00e9t\u00e9") == find("e\u0301te\u0301") == folder / "e\u0301te\u0301.onnx"


def test_the_current_folder_never_shadows_a_name(studio: Studio, tiny_model: Path, other_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    put(other_model, Path("hero"), Path("hero.onnx"), Path("default"))
    assert find("hero") == folder / "hero.onnx"
    assert find("default") == default_model_path()
    for path in ("./hero", "hero.onnx", "./hero.onnx"):
        assert load_model(path).data == other_model.read_bytes()
    assert find(Path("hero")) == Path("hero")  # a Path is never a name
    assert load_model(Path("hero")).data == other_model.read_bytes()


def test_what_looks_like_the_other_is_pointed_out(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx", Path("mine"))
    assert "for the model write hero" in refusal("hero.onnx")
    assert f"write .{os.sep}mine" in refusal("mine")
    assert find("nothing.onnx") == Path("nothing.onnx")
    with pytest.raises(ModelError, match=r"nothing\.onnx: no such model file$"):
        load_model("nothing.onnx")


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", ".hero", "-hero", "hero.", "hero ", " hero", "a\\b", "a:b", "a=b", "a*", "a?", "a|b", "a\0b",
     "a\nb", "a\u202eb", "a\udcffb", "x" * (MAX_NAME + 1), "x" * 100_000],
)  # fmt: skip
def test_a_name_that_cannot_be_one_is_refused_before_the_disk_is_asked(name: str, studio: Studio) -> None:
    (folder,) = studio("a")
    said = refusal(name)
    assert "neither a model's name nor a file's path" in said
    assert said.isprintable()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("escape", ["../secret", "./../secret", "below/../../secret", "below/inner"])
def test_a_name_leads_nowhere_but_into_the_folders(
    escape: str, studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    (folder,) = studio("a")
    (folder / "below").mkdir()
    put(tiny_model, tmp_path / "secret.onnx", folder / "below" / "inner.onnx")
    assert (folder / f"{escape}.onnx").resolve().is_file()
    assert find(escape) == Path(escape)  # a path, from the current folder, and the ending is not added
    with pytest.raises(ModelError, match="no such model file"):
        load_model(escape)
    for name in ("secret", "inner"):
        assert refusal(name).startswith(f"{name}: there is no model of that name")


@pytest.mark.parametrize("path", ["/nowhere/hero", "a\0.onnx", "x" * 5000 + ".onnx", "/" + "x" * 100_000, "/\udcff"])
def test_hostile_paths_are_one_line(path: str, studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio("a")
    for words in (["info", path], ["evaluate", "--pairs", str(PAIRS), "--baseline", "none", "--model", path]):
        assert invoke(words) == NOTHING_RUN
        (line,) = capsys.readouterr().err.splitlines()
        assert len(line) < 1100


# ---- what is not there


def test_an_unknown_name_lists_the_names_and_suggests_the_nearest(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx", folder / "soft.onnx", folder / ".hidden.onnx", folder / "hero.txt")
    said = refusal("HERO2")
    assert "did you mean hero?" in said
    assert said.endswith("there are default, default-gan, hero, soft")
    assert [entry.name for entry in listed()] == ["default", "default-gan", "hero", "soft"]
    assert "did you mean" not in refusal("zzzzzz")


def test_a_long_list_of_names_is_cut(studio: Studio) -> None:
    (folder,) = studio("a")
    for i in range(40):
        (folder / f"m{i:02d}.onnx").touch()
    assert refusal("zzzzzz").endswith("m09 and 30 more")


def test_a_missing_folder_is_a_warning_and_part_of_the_error(
    studio: Studio, tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late, (folder,) = tmp_path / "late", studio("a", extra=(str(tmp_path / "late"),))
    put(tiny_model, folder / "hero.onnx")
    with caplog.at_level(logging.WARNING):
        assert find("hero") == folder / "hero.onnx"
    assert [r.getMessage() for r in caplog.records] == [
        f"${ENVIRONMENT}: {late}: no such folder; models there are not found"
    ]
    caplog.clear()
    assert f"not looked in: ${ENVIRONMENT}: {late}: no such folder" in refusal("soft")
    find(None)
    find(str(tiny_model))
    assert not caplog.records  # who asks for no name is not told


def test_folders_that_cannot_be_looked_in_say_why(studio: Studio, tiny_model: Path, tmp_path: Path) -> None:
    put(tiny_model, tmp_path / "file", Path("hero.onnx"))
    (folder,) = studio("a", extra=(str(tmp_path / "file"), ".", "models", "", " "))
    put(tiny_model, folder / "hero.onnx")
    assert find("hero") == folder / "hero.onnx"
    problems = {str(each.path): each.problem for each in scan().folders if each.problem}
    assert problems == {
        str(tmp_path / "file"): "cannot be read: Not a directory", ".": "is not absolute", "models": "is not absolute",
    }  # fmt: skip


def test_a_folder_of_the_list_may_be_named_twice_or_be_the_packages_own(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    (folder.parent / "link").symlink_to(folder)
    own = str(default_model_path().parent)
    studio("a", extra=(str(folder), str(folder.parent / "link"), own))
    assert [each.path for each in scan().folders] == [folder, Path(own)]
    assert [(each.name, each.copies) for each in listed()] == [("default", ()), ("default-gan", ()), ("hero", ())]


# ---- two of one name


def test_two_different_files_of_one_name_are_a_clash(studio: Studio, tiny_model: Path, other_model: Path) -> None:
    first, second = studio("a", "b")
    put(tiny_model, first / "hero.onnx", first / "soft.onnx")
    put(other_model, second / "hero.onnx")
    assert tiny_model.stat().st_size == other_model.stat().st_size  # so it is the bytes that tell them apart
    said = refusal("hero")
    assert f"{first / 'hero.onnx'} and {second / 'hero.onnx'}" in said
    assert "name one by its path" in said
    assert load_model(str(second / "hero.onnx")).data == other_model.read_bytes()
    assert find("soft") == first / "soft.onnx"
    shown = [entry for entry in listed() if entry.name == "hero"]
    assert [(e.file, e.clashes, e.copies) for e in shown] == [
        (first / "hero.onnx", (second / "hero.onnx",), ()),
        (second / "hero.onnx", (first / "hero.onnx",), ()),
    ]
    assert all(entry.promise for entry in shown)


def test_a_clash_may_lie_in_one_folder(studio: Studio, tiny_model: Path, other_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    put(other_model, folder / "hero.ONNX")
    if len(list(folder.iterdir())) == 1:
        pytest.skip("this disk does not tell upper from lower case")
    assert "2 different files have that name" in refusal("hero")


@pytest.mark.parametrize("how", ["copy", "link", "hard link"])
def test_identical_files_of_one_name_are_no_clash(
    how: str, studio: Studio, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = studio("b", "a")
    put(tiny_model, first / "hero.onnx")
    if how == "copy":
        put(tiny_model, second / "hero.onnx")
    elif how == "link":
        (second / "hero.onnx").symlink_to(first / "hero.onnx")
    else:
        os.link(first / "hero.onnx", second / "hero.onnx")
    if how != "copy":
        monkeypatch.delattr(model_store, "_digest")  # one and the same file need not be read
    assert find("hero") == first / "hero.onnx"  # the order of the list, not that of the alphabet
    (entry,) = (entry for entry in listed() if entry.name == "hero")
    assert (entry.file, entry.copies, entry.clashes) == (first / "hero.onnx", (second / "hero.onnx",), ())


def test_what_cannot_be_compared_is_a_clash(studio: Studio, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = studio("a", "b")
    put(tiny_model, first / "hero.onnx", second / "hero.onnx")
    (first / "soft.onnx").symlink_to(first / "gone")  # a dangling link must not silently give way to an older file
    put(tiny_model, second / "soft.onnx")
    assert "2 different files" in refusal("soft")

    for folder in (first, second):
        os.mkfifo(folder / "pipe.onnx")
    monkeypatch.setattr(model_store, "_digest", lambda _: "reading a pipe would wait for ever")
    assert "2 different files" in refusal("pipe")

    def unreadable(_: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(model_store, "_digest", unreadable)
    assert "2 different files" in refusal("hero")


def test_another_default_clashes_by_name_and_changes_no_default(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "default.onnx")
    assert str(default_model_path()) in refusal("default")
    assert find() == default_model_path()
    assert load_model().path == default_model_path()
    put(default_model_path(), folder / "default.onnx")
    assert find("default") == folder / "default.onnx"
    assert [(entry.name, entry.default) for entry in listed()] == [("default", True), ("default-gan", False)]


# ---- broken files


def test_broken_files_are_listed_with_their_reason_and_stop_nobody(
    studio: Studio, tiny_model: Path, make_model: MakeModel, promise_json: MakeJson
) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx", folder / "a=b.onnx", folder / "-dash.onnx", folder / "twice.onnx.onnx")
    whole = tiny_model.read_bytes()
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.onnx").touch()
    (folder / "folder.onnx").mkdir()
    (folder / "gone.onnx").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.onnx")
    with (folder / "huge.onnx").open("wb") as huge:
        huge.truncate(MAX_MODEL_BYTES + 1)
    make_model(folder / "newer.onnx", promise_json(version=2))
    make_model(folder / "plain.onnx", None)
    reasons = {
        "-dash": "cannot be asked for by name",
        "a=b": "cannot be asked for by name",
        "cut": "not an ONNX file, or a truncated one",
        "empty": "not an ONNX file",
        "folder": "it is a folder",
        "gone": "the link leads nowhere",
        "huge": "more than a model may have",
        "newer": "update deepupscale",
        "pipe": "no such model file",
        "plain": "without a DeepUpscale promise",
        "twice.onnx": "cannot be asked for by name",
    }
    problems = {entry.name: entry.problem for entry in listed() if entry.problem}
    assert set(problems) == set(reasons)
    for name, reason in reasons.items():
        assert reason in problems[name]
        assert problems[name].startswith(f"{folder / name}.onnx: ")
    assert [entry.name for entry in listed() if entry.promise] == ["default", "default-gan", "hero"]
    assert load_model("hero").path == folder / "hero.onnx"
    for name in ("folder", "newer"):
        with pytest.raises(ModelError, match=reasons[name]):
            load_model(name)


def test_an_unreadable_file_is_broken_and_stops_nobody(
    studio: Studio, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx", folder / "locked.onnx")
    (folder / "locked.onnx").chmod(0)
    if os.geteuid() == 0:  # who may read everything: the system's answer is simulated
        opened = Path.open

        def locked(path: Path, *given: object, **named: object) -> object:
            if path.name == "locked.onnx":
                raise PermissionError(errno.EACCES, "Permission denied")
            return opened(path, *given, **named)  # pyright: ignore[reportCallIssue, reportArgumentType]

        monkeypatch.setattr(Path, "open", locked)
    problems = {entry.name: entry.problem for entry in listed()}
    assert problems["locked"] == f"{folder / 'locked.onnx'}: cannot read the model: Permission denied"
    assert problems["hero"] == ""
    with pytest.raises(ModelError, match="Permission denied"):
        load_model("locked")


def test_a_promise_is_read_without_the_weights(
    studio: Studio, make_model: MakeModel, promise_json: MakeJson, tmp_path: Path
) -> None:
    (folder,) = studio("a")
    tail = make_model(tmp_path / "m.onnx", promise_json(halo=77)).read_bytes()
    weights = 256 << 20
    head, number = b"", weights
    while number:
        head, number = head + bytes([number & 0x7F | (0x80 if number > 0x7F else 0)]), number >> 7
    with (folder / "large.onnx").open("wb") as file:
        file.write(b"\xfa\x01" + head)  # field 31, length-delimited: as large as weights are, but takes no disk
        file.seek(weights, os.SEEK_CUR)
        file.write(tail)
    tracemalloc.start()
    try:
        found = promise_of(folder / "large.onnx")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.halo == 77
    assert peak < 8 << 20


def test_a_file_of_endless_small_fields_is_given_up(
    studio: Studio, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = studio("a")
    (folder / "grains.onnx").write_bytes(tiny_model.read_bytes() + b"\x08\x00" * 1000)
    assert promise_of(folder / "grains.onnx")
    monkeypatch.setattr("deepupscale.model_file.MAX_FIELDS", 500)
    assert promise_of(tiny_model)
    with pytest.raises(ModelError, match="not an ONNX file"):
        promise_of(folder / "grains.onnx")


# ---- many files


def test_two_thousand_models_are_found_and_listed(studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "m0000.onnx")
    for i in range(1, 2000):
        os.link(folder / "m0000.onnx", folder / f"m{i:04d}.onnx")
    assert find("m1999") == folder / "m1999.onnx"
    assert "and 1990 more" in refusal("zzzz")
    entries = listed()
    assert len(entries) == 2002
    assert all(entry.promise for entry in entries)


def test_a_folder_of_too_many_files_is_left_out(
    studio: Studio, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = studio("a", "b")
    monkeypatch.setattr(model_store, "MAX_FILES", 5)
    put(tiny_model, small / "hero.onnx", large / "soft.onnx")
    for i in range(4):
        (large / f"{i}.txt").touch()
    assert find("soft") == large / "soft.onnx"
    (large / "one more.txt").touch()
    assert find("hero") == small / "hero.onnx"
    assert f"{large}: holds over 5 files" in refusal("soft")
