"""The plugin's parts that know no Nuke, and what must hold of all its files."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "nuke_plugin"
sys.path.insert(0, str(PLUGIN))

from deepupscale_nuke import environment, knobs, node_text, pipeline  # noqa: E402
from deepupscale_nuke.cache import Cache, Record, State, Task, clear, digest_of, knob_text, place, stamp  # noqa: E402
from deepupscale_nuke.errors import FRAME, SETUP, CacheError, Cancelled, SettingsError, WorkerError  # noqa: E402
from deepupscale_nuke.frames import parse_frames  # noqa: E402
from deepupscale_nuke.settings import Settings, parse_layers  # noqa: E402
from deepupscale_nuke.worker import Worker  # noqa: E402

FILES = sorted(PLUGIN.rglob("*.py"))
WITH_NUKE = {"host", "upstream", "events", "panel", "batch", "convert", "init", "menu", "deepupscale_render"}
FAKE = r"""
import json, os, sys, time
how, marks = sys.argv[1], sys.argv[2]
def say(**m): sys.stdout.write(json.dumps(dict(jsonrpc="2.0", **m)) + "\n"); sys.stdout.flush()
if how == "refuses": sys.stderr.write("no module named deepupscale\n"); sys.exit(1)
sys.stdout.write("a library prints\n")
cancelled = []
for line in sys.stdin:
    said = json.loads(line)
    number, method = said.get("id"), said["method"]
    if method == "initialize":
        say(id=number, result={"protocol": 2 if how == "newer" else 1, "pid": os.getpid()})
    elif method == "upscale":
        open(marks, "a").write("x")
        if how == "always" or (how == "once" and os.path.getsize(marks) == 1):
            sys.stderr.write("out of memory\n"); sys.stderr.flush(); os._exit(9)
        for n in range(4): say(method="progress", params={"id": number, "fraction": n / 4})
        if how == "slow": continue
        say(id=number, result={"status": "done"})
    elif method == "cancel":
        say(id=said["params"]["id"], error={"code": -32003, "message": "cancelled"})
    elif method == "check":
        say(id=number, error={"code": -32002, "message": "x.exr: broken"})
"""


def modules(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.relative_to(PLUGIN).as_posix())
def test_nuke_14s_python_reads_it_and_it_needs_nothing_but_nuke(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
    used = modules(tree)
    assert used - set(sys.stdlib_module_names) - {"deepupscale_nuke"} <= ({"nuke"} if file.stem in WITH_NUKE else set())
    assert "nuke" in used or file.stem not in WITH_NUKE
    assert not {"imp", "distutils", "tomllib"} & used, "not in every Python from 3.9 to 3.11"
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"eval", "exec", "compile", "__import__"}
    shells = [k for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "shell"]
    assert shells == []
    if file.parent == PLUGIN / "deepupscale_nuke" and file.stem != "__init__":
        lazy = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
        assert lazy, "annotations would be evaluated by Python 3.9"


def test_the_gizmo_and_the_group_are_made_from_the_table_of_knobs(tmp_path: Path) -> None:
    for path in node_text.write(tmp_path):
        assert (ROOT / "gizmos" / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_every_knob_that_is_seen_has_a_tooltip_and_stands_in_the_document() -> None:
    text = (ROOT / "docs" / "nuke.md").read_text(encoding="utf-8")
    seen = [k for k in knobs.KNOBS if not k.hidden and k.kind != knobs.TAB and not k.name.endswith("_line")]
    assert len(seen) > 15
    for knob in seen:
        assert knob.tip, knob.name
        assert f"| {knob.label} |" in text, knob.label


@pytest.mark.parametrize(
    ("text", "frames"),
    [("1001-1003", [1001, 1002, 1003]), ("1-9x4", [1, 5, 9]), ("-5--3", [-5, -4, -3]), ("3, 1,3", [3, 1]),
     ("-2-1", [-2, -1, 0, 1])],
)  # fmt: skip
def test_frames_are_read_as_people_type_them(text: str, frames: list[int]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", "x", "5-1", "1-9x0", "1..5", "1-99999999", "$(rm)", "--"])
def test_what_is_no_frame_range_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"say|more than"):
        parse_frames(text)


def test_a_layer_policy_is_read_and_a_typo_is_an_error() -> None:
    assert parse_layers("spec=drop, roto=net\na=b=filter") == {"spec": "drop", "roto": "net", "a=b": "filter"}
    for bad in ("spec", "=drop", "spec=magic", "a=net a=drop"):
        with pytest.raises(SettingsError, match="layer policy"):
            parse_layers(bad)


def test_settings_that_decide_a_result_have_a_folder_each() -> None:
    kinds = [Settings(), Settings(model="m"), Settings(scale=4), Settings(precision="f32"), Settings(channels="rgb"),
             Settings(unpremult="rgba.alpha"), Settings(layers={"a": "net"})]  # fmt: skip
    assert len({s.key() for s in kinds}) == len(kinds)
    assert Settings(gpu=False).key() == Settings().key()
    layers = {"b": "net", "a": "drop"}
    assert Settings(layers=layers).key() == Settings(layers=dict(sorted(layers.items()))).key()


def test_settings_reach_the_worker_by_its_names() -> None:
    asked = Settings("hero", 4, "bf16", "rgb", "rgba.alpha", {"a": "net"}, gpu=False).params()
    assert asked == {"model": "hero", "scale": 4, "precision": "bf16", "layers": {"a": "net"}, "device": "cpu"}
    assert Settings().params()["device"] == "auto"


def test_the_environment_loses_what_spoils_another_python() -> None:
    given = {
        "PYTHONHOME": "/n", "PYTHONPATH": "/n/p", "PYTHONSTARTUP": "/n/s.py", "HOME": "/h", "NUKE_PATH": "/plugins",
        "LD_PRELOAD": "/n/x.so", "DYLD_INSERT_LIBRARIES": "/n/x.dylib", "QT_PLUGIN_PATH": "/n/qt",
        "LD_LIBRARY_PATH": "/opt/Nuke15/lib:/opt/Nuke15:/opt/cuda:",
        "PATH": "/usr/bin:/opt/Nuke15/bin:/opt/Nuke15x", "DYLD_LIBRARY_PATH": "/opt/Nuke15",
    }  # fmt: skip
    found = environment.clean(given, "/opt/Nuke15")
    assert found == {
        "LD_LIBRARY_PATH": "/opt/cuda", "HOME": "/h", "PATH": "/usr/bin:/opt/Nuke15x", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    assert "LD_LIBRARY_PATH" not in environment.clean(given)


def test_the_engine_is_found_by_knob_then_variable_then_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {}
    for name in ("knob", "variable", "deepupscale"):
        programs[name] = str(tmp_path / name)
        Path(programs[name]).write_text("#!/bin/sh\n")
        Path(programs[name]).chmod(0o755)
    both = {"DEEPUPSCALE_PYTHON": programs["variable"], "PATH": str(tmp_path)}
    rest = ["-I", "-m", "deepupscale", "worker"]
    assert environment.worker_command(programs["knob"], both) == [programs["knob"], *rest]
    assert environment.worker_command("", both) == [programs["variable"], *rest]
    assert environment.worker_command("", {"PATH": str(tmp_path)}) == [programs["deepupscale"], "worker"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("no program")
    for knob, said in (
        ("", "is not found"), ("knob", "no program"), (str(tmp_path), "no program"), (str(tmp_path / "text"), "no pro"),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=said):
            environment.worker_command(knob, {"PATH": ""})


def record(where: Cache, task: Task, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "node_hash": "a", "upstream": "u", "sources": [], "plate": {}, "model": {}, "settings": {"scale": 2},
        "result": stamp(str(where.result(task))), "sha256": "", **changes,
    }  # fmt: skip
    return Record(**values)


def test_a_record_comes_back_and_a_broken_one_makes_the_frame_stale(tmp_path: Path) -> None:
    where, task = Cache(str(tmp_path / "k")), Task(-1, "left")
    where.folder.mkdir()
    where.result(task).write_bytes(b"x")
    where.keep(task, record(where, task))
    assert where.record(task) == record(where, task)
    assert where.frames() == [-1]
    assert where.why_stale(task, {"scale": 2}, State("u", [])) == ""
    assert "made with scale 2, not 4" in where.why_stale(task, {"scale": 4}, State("u", []))
    assert "node upstream" in where.why_stale(task, {"scale": 2}, State("v", []))
    assert "made with model None" in where.why_stale(task, {"scale": 2, "model": None}, State("u", []))
    sources = [{"file": "/in.exr", "size": 3, "mtime_ns": 4}]
    assert "/in.exr changed after it was pulled" in where.why_stale(task, {"scale": 2}, State("u", sources))
    where.result(task).write_bytes(b"xy")
    assert "was changed after it was made" in where.why_stale(task, {"scale": 2}, State("u", []))
    where.result(task).unlink()
    assert "is not there" in where.why_stale(task, {"scale": 2}, State("u", []))
    text = where.sidecar(task).read_text()
    where.sidecar(task).write_text(text.replace('"version": 1', '"version": 2'))
    assert "another version of the plugin" in where.why_stale(task, {"scale": 2}, State("u", []))
    for broken in ("", "{", "[]", '{"a": 1}', '{"version": 9}'):
        where.sidecar(task).write_text(broken)
        with pytest.raises(CacheError, match="not a record"):
            where.record(task)
        assert "not a record" in where.why_stale(task, {}, State("u", []))


def test_a_frame_is_stale_with_its_model_but_not_where_the_model_is_not_at_hand(tmp_path: Path) -> None:
    where, task, model = Cache(str(tmp_path / "k")), Task(1, "main"), tmp_path / "m.onnx"
    where.folder.mkdir()
    where.result(task).write_bytes(b"x")
    model.write_bytes(b"weights")
    kept = {"file": stamp(str(model)), "sha256": digest_of(str(model))}
    where.keep(task, record(where, task, model=kept))

    def why() -> str:
        return where.why_stale(task, {}, State("u", []))

    assert why() == ""
    os.utime(model, ns=(1, 1))
    assert why() == "", "the same bytes, copied anew"
    model.write_bytes(b"others")
    assert why().endswith("m.onnx changed after it was made")
    model.unlink()
    assert why() == "", "a machine that only reads the cache has no model"


def test_a_frame_is_forgotten_with_its_record_and_kept_only_if_it_is_whole(tmp_path: Path) -> None:
    where, task = Cache(str(tmp_path / "k")), Task(1, "main")
    where.folder.mkdir()
    where.result(task).write_bytes(b"x")
    where.keep(task, record(where, task, sha256=digest_of(str(where.result(task)))))
    where.forget(task)
    assert (where.frames(), where.result(task).read_bytes()) == ([], b"x"), "an older cache's frame is looked at again"
    where.forget(task)
    assert not where.result(task).exists(), "nobody knows what it is"
    where.forget(task)


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, task = Cache(str(tmp_path / "k")), Task(1, "main")
    where.keep(task, record(where, task))
    before = where.sidecar(task).read_bytes()
    assert where.sidecar(task).stat().st_mode & 0o066 == 0o064, "the group of a studio writes it, and others read it"

    def full(*names: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        where.keep(task, record(where, task, upstream="other"))
    assert [p.read_bytes() for p in where.folder.iterdir()] == [before]


def test_clearing_deletes_what_is_ours_alone(tmp_path: Path) -> None:
    ours = tmp_path / "node" / "0123456789"
    other = tmp_path / "node" / "renders"
    for folder in (ours, other):
        folder.mkdir(parents=True)
        for name in ("up.main.1001.exr", "up.main.1001.exr.json", "pull.main.1001.exr"):
            (folder / name).write_text("x")
    assert clear(str(tmp_path / "node")) == 3
    assert not ours.exists()
    assert len(list(other.iterdir())) == 3


def test_paths_are_taken_as_they_are() -> None:
    assert knob_text('/a [exec rm]/$x "y"/b\\c') == '/a \\[exec rm\\]/$x "y"/b\\\\c'
    assert place("", "", "/s", "id", {"DEEPUPSCALE_CACHE": "/c"}) == "/c/id"
    assert place("", "/used/id", "/s", "id", {"DEEPUPSCALE_CACHE": "/c"}) == "/used/id"
    assert place(" /knob [x] ", "/used/id", "/s", "id", {}) == "/knob [x]/id"
    for bad in ("relative", "/a/50%d", "/a/##", "/a\nb"):
        with pytest.raises(SettingsError, match="cache folder"):
            Cache(bad)


def fake(tmp_path: Path, how: str) -> Worker:
    (tmp_path / "fake.py").write_text(FAKE)
    command = [sys.executable, "-I", str(tmp_path / "fake.py"), how, str(tmp_path / "marks")]
    return Worker(command, dict(os.environ), "tests")


def test_a_worker_that_crashes_is_started_again_once(tmp_path: Path) -> None:
    worker, seen = fake(tmp_path, "once"), []
    assert worker.ask("upscale", {}, seen.append) == {"status": "done"}
    assert worker.starts == 2
    assert seen == [0.0, 0.25, 0.5, 0.75]
    worker.close()


@pytest.mark.parametrize(
    ("how", "said"),
    [("always", "died twice.*exit code 9.*out of memory"), ("refuses", "exit code 1.*no module named deepupscale"),
     ("newer", "speaks protocol 2, this plugin \\[1\\]")],
)  # fmt: skip
def test_a_worker_that_cannot_do_it_is_one_clear_error(tmp_path: Path, how: str, said: str) -> None:
    worker = fake(tmp_path, how)
    with pytest.raises(WorkerError, match=said):
        worker.ask("upscale", {})
    worker.close()


def test_cancel_reaches_the_worker_and_errors_come_with_their_code(tmp_path: Path) -> None:
    worker, stop = fake(tmp_path, "slow"), threading.Event()
    with pytest.raises(Cancelled):
        worker.ask("upscale", {}, lambda fraction: stop.set(), stop.is_set)
    with pytest.raises(WorkerError, match=r"x\.exr: broken") as raised:
        worker.ask("check", {})
    assert raised.value.code == FRAME
    assert worker.starts == 1
    worker.close()


def test_the_next_frame_is_pulled_while_the_last_is_inferred() -> None:
    tasks = [Task(n, "main") for n in range(3)]
    pulled = {task: threading.Event() for task in tasks}

    def pull(task: Task) -> str:
        pulled[task].set()
        return "plate"

    def infer(task: Task, plate: str) -> None:
        following = Task(task.frame + 1, "main")
        assert following not in pulled or pulled[following].wait(20), "frame n+1 waits for n"

    assert pipeline.run(tasks, pull, infer, lambda: False) == (tasks, {})


def test_the_worker_is_started_while_the_first_plate_is_pulled() -> None:
    started, inferred = threading.Event(), []

    def pull(task: Task) -> str:
        assert started.wait(20), "it is started only when the first plate is there"
        return "plate"

    def infer(task: Task, plate: str) -> None:
        inferred.append(task)

    tasks = [Task(n, "main") for n in range(2)]
    assert pipeline.run(tasks, pull, infer, lambda: False, started.set) == (tasks, {})

    def no_engine() -> None:
        started.set()
        raise WorkerError("no module named deepupscale")

    inferred.clear()
    with pytest.raises(WorkerError, match="no module"):
        pipeline.run(tasks, pull, infer, lambda: False, no_engine)
    assert inferred == []


def test_a_frame_that_fails_does_not_stop_the_others_but_a_setup_error_does() -> None:
    tasks = [Task(n, "main") for n in range(4)]

    def infer(task: Task, plate: Any) -> None:
        if task.frame == 1:
            raise WorkerError("plate broken", FRAME)

    def pull(task: Task) -> str:
        if task.frame == 2:
            raise RuntimeError("Read1: missing")
        return "plate"

    done, failed = pipeline.run(tasks, pull, infer, lambda: False)
    assert [t.frame for t in done] == [0, 3]
    assert {t.frame: w for t, w in failed.items()} == {1: "plate broken", 2: "frame 2 (main): Read1: missing"}

    def no_model(task: Task, plate: Any) -> None:
        raise WorkerError("no such model", SETUP)

    with pytest.raises(WorkerError, match="no such model"):
        pipeline.run(tasks, pull, no_model, lambda: False)


def test_documents_name_every_step_that_only_nuke_can_confirm() -> None:
    text = (ROOT / "docs" / "nuke-unconfirmed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \|(.+)\|$", text, re.M)
    assert len(rows) >= 12
    assert all(row.count("|") == 2 and all(len(cell) > 15 for cell in row.split("|")) for row in rows)


def test_a_broken_plugin_does_not_keep_nuke_from_starting(tmp_path: Path) -> None:
    pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")
    for name in ("init.py", "menu.py"):
        (tmp_path / name).write_text((PLUGIN / name).read_text())
    code = f"import nuke_standin\nwith nuke_standin.gui([{str(tmp_path)!r}]) as s: print(sorted(s.menus))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
    assert "DeepUpscale is not available: ModuleNotFoundError" in done.stderr
    assert "DeepUpscale has no menus" in done.stderr
