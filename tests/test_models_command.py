"""Models by name, through the command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import NOTHING_RUN, Command, RunScript, put
from plates import pixels, write_plate

from deepupscale.cli.app import invoke
from deepupscale.errors import ModelError
from deepupscale.model_file import default_model_path
from deepupscale.model_store import ENVIRONMENT

MakeModel = Callable[..., Path]
MakeJson = Callable[..., str]
Studio = Callable[..., list[Path]]

PAIRS = Path(__file__).parent / "pairs"


def test_models_lists_what_there_is(command: Command, studio: Studio, tiny_model: Path, other_model: Path) -> None:
    first, second = studio("a", "b", extra=("/nowhere/models",))
    put(tiny_model, first / "hero.onnx", first / "soft.onnx")
    put(other_model, second / "soft.onnx")
    (second / "cut.onnx").touch()
    code, out, err = command("models")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["name", "version", "task", "verified", "halo", "licence", "origin"]
    assert lines[1].split() == ["*", "default", "1.1.0", "upscale", "f32", "bf16", "27", "Apache-2.0", "package"]
    assert lines[2].split() == ["default-gan", "1.0.0", "upscale", "f32", "bf16", "27", "Apache-2.0", "package"]
    assert lines[3].split() == ["hero", "1", "upscale", "f32", "bf16", "3", "Apache-2.0", str(first)]
    assert lines[4:7] == ["", "* is taken when no model is named", ""]
    assert lines[7:] == [
        f"broken  {second / 'cut.onnx'}: not an ONNX file, or a truncated one",
        f"clash   soft: 2 different files have that name: {first / 'soft.onnx'} and {second / 'soft.onnx'}: "
        "name one by its path",
        f"folder  ${ENVIRONMENT}: /nowhere/models: no such folder",
    ]


def test_models_as_json_is_complete(command: Command, studio: Studio, tiny_model: Path, other_model: Path) -> None:
    first, second = studio("a", "b", extra=("/nowhere/models",))
    put(tiny_model, first / "hero.onnx", first / "soft.onnx", second / "hero.onnx")
    put(other_model, second / "soft.onnx")
    (second / "cut.onnx").touch()
    code, out, err = command("models", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["folders"] == [
        {"path": str(first), "origin": "studio", "problem": None},
        {"path": str(second), "origin": "studio", "problem": None},
        {"path": "/nowhere/models", "origin": "studio", "problem": "no such folder"},
        {"path": str(default_model_path().parent), "origin": "package", "problem": None},
    ]
    cut, default, _, hero, *soft = found["models"]
    assert hero == {
        "name": "hero", "file": str(first / "hero.onnx"), "origin": "studio", "default": False, "problem": None,
        "copies": [str(second / "hero.onnx")], "clashes": [], "title": "tiny", "version": "1", "task": "upscale",
        "verified": ["f32", "bf16"], "halo": 3, "licence": "Apache-2.0",
    }  # fmt: skip
    assert (default["name"], default["default"], default["origin"]) == ("default", True, "package")
    assert cut["problem"] == f"{second / 'cut.onnx'}: not an ONNX file, or a truncated one"
    assert cut["title"] is cut["version"] is cut["task"] is cut["verified"] is cut["halo"] is cut["licence"] is None
    assert [(each["file"], each["clashes"]) for each in soft] == [
        (str(first / "soft.onnx"), [str(second / "soft.onnx")]),
        (str(second / "soft.onnx"), [str(first / "soft.onnx")]),
    ]
    assert set(cut) == set(default) == set(hero)


def test_what_a_promise_says_cannot_break_the_table(
    studio: Studio, make_model: MakeModel, promise_json: MakeJson, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = studio("a")
    make_model(folder / "hero.onnx", promise_json(licence="x\n\x1b[31m" * 20, model_version="\u202e1\r2", verified=[]))
    make_model(folder / "new\nline.onnx", promise_json())
    (folder / "bytes\udcff.onnx").touch()  # a name that is no UTF-8
    assert invoke(["models"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) == 10
    assert all(line.isprintable() for line in lines)
    assert lines[3].split()[:5] == ["hero", "1", "2", "upscale", "-"]
    assert len(lines[3]) < 100 + len(str(folder))
    assert invoke(["models", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert str(folder / "bytes\udcff.onnx") in [each["file"] for each in json.loads(out)["models"]]


@pytest.mark.parametrize("how", ["missing", "broken", "no folder"])
def test_models_ends_with_two_where_the_default_does_not_work(
    how: str, studio: Studio, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    own = tmp_path / "package" / "default.onnx"
    if how != "no folder":
        own.parent.mkdir()
    if how == "broken":
        own.touch()
    for module in ("model_store", "cli.models"):
        monkeypatch.setattr(f"deepupscale.{module}.default_model_path", lambda: own)
    for words in (["models"], ["models", "--json"]):
        assert invoke(words) == NOTHING_RUN
        out, err = capsys.readouterr()
        assert "hero" in out
        assert "--json" not in words or len(json.loads(out)["models"]) == (2 if how == "broken" else 1)
        (line,) = err.splitlines()
        assert line.startswith(f"deepupscale: error: {own}: ")
        assert ("not an ONNX file" if how == "broken" else "the default model is missing") in line


def test_verbs_take_names(command: Command, studio: Studio, tiny_model: Path, promise_json: MakeJson) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    write_plate(Path("plate.exr"))
    write_plate(Path("hero"))  # is no model, and must not matter
    code, out, err = command("run", "plate.exr", "big.exr", "--model", "hero", "--device", "cpu", "--precision", "f32")
    assert (code, err) == (0, ""), out
    assert pixels(Path("big.exr"))[0]["R"].shape == (32, 48)
    code, out, err = command("info", "hero", "--json")
    assert (code, err, json.loads(out)) == (0, "", json.loads(promise_json()))
    code, out, err = command("run", "plate.exr", "no.exr", "--model", "heron")
    assert (code, out) == (NOTHING_RUN, "")
    assert err == (
        "deepupscale: error: heron: there is no model of that name, did you mean hero?; "
        "there are default, default-gan, hero\n"
    )
    assert not Path("no.exr").exists()


def test_info_and_doctor_tell_which_file_a_name_is(
    studio: Studio, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    assert invoke(["info", "hero"]) == 0
    assert f"file        {folder / 'hero.onnx'}\n" in capsys.readouterr().out
    assert invoke(["doctor", "--model", "hero", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"].startswith("tiny 1 (")
    assert invoke(["doctor", "--model", "heron"]) == 0
    assert "unusable: heron: there is no model of that name, did you mean hero?" in capsys.readouterr().out


def test_a_late_mount_is_one_line_and_the_work_goes_on(run_script: RunScript, studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a", extra=("/nowhere/models",))
    put(tiny_model, folder / "hero.onnx")
    late = f"${ENVIRONMENT}: /nowhere/models: no such folder"
    done = run_script("info", "hero")
    assert (done.returncode, done.stderr) == (0, f"deepupscale.model_store: {late}; models there are not found\n")
    assert "tiny 1" in done.stdout
    done = run_script("info", "soft")
    assert done.returncode == NOTHING_RUN
    (line,) = done.stderr.splitlines()
    assert line.startswith("deepupscale: error: soft: ")
    assert f"not looked in: {late}" in line


def test_evaluate_takes_names(
    command: Command, studio: Studio, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    put(other_model, folder / "soft.onnx")
    words = ["evaluate", "--pairs", PAIRS, "--limit", 1, "--baseline", "none", "--device", "cpu", "--report", "report"]
    code, out, err = command(*words, "--model", "hero", "--model", "mine=soft", "--model", "default")
    assert (code, err) == (0, ""), out
    found = json.loads(Path("report/report.json").read_text())["contenders"]
    assert [each["name"] for each in found] == ["hero", "mine", "default"]
    assert [each["source"] for each in found] == [
        str(folder / "hero.onnx"), str(folder / "soft.onnx"), str(default_model_path()),
    ]  # fmt: skip


def test_evaluate_tells_of_a_late_mount_once_and_only_who_asks_by_name(
    studio: Studio, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from model.contenders import models

    (folder,) = studio("a", extra=("/nowhere/models",))
    put(tiny_model, folder / "hero.onnx")
    for texts, warnings in (["hero", "mine=hero"], 1), ([str(tiny_model)], 0):
        caplog.clear()
        models(texts, "cpu", "f32")
        assert [record.name for record in caplog.records] == ["deepupscale.model_store"] * warnings


def test_evaluate_asks_where_a_folder_is_called_as_a_model(studio: Studio, tiny_model: Path) -> None:
    from deepupscale.errors import UsageError
    from model.contenders import models

    (folder,) = studio("a")
    put(tiny_model, folder / "hero.onnx")
    for name in ("hero", "run", "default"):
        Path(name).mkdir()
    with pytest.raises(UsageError, match="a model's name and a folder here"):
        models(["mine=hero"], "cpu", "f32")
    for run in ("run", f".{os.sep}hero"):
        with pytest.raises(ModelError, match="folder without checkpoints"):
            models([run], "cpu", "f32")
    (found,) = models(["default"], "cpu", "f32")
    assert found.source == str(default_model_path())
    with pytest.raises(UsageError, match=r"did you mean hero.*or the folder of a run"):
        models(["heron"], "cpu", "f32")
    with pytest.raises(ModelError, match=r"hero\.onnx: no such model file.* write hero$"):
        models(["hero.onnx"], "cpu", "f32")


def test_without_a_model_evaluate_takes_the_packages_own(command: Command, studio: Studio, tiny_model: Path) -> None:
    (folder,) = studio("a")
    put(tiny_model, folder / "default.onnx")
    code, out, err = command("evaluate", "--pairs", PAIRS, "--baseline", "none", "--limit", 1, "--device", "cpu")
    assert (code, err) == (0, "")
    assert "| default " in out
