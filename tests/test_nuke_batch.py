"""The node on a farm: the driver under ``-t``, plain ``-x`` on a filled cache, and what must stop a render."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
from nuke_standin.shots import PLUGIN, ROOT, Shot

if TYPE_CHECKING:
    from deepupscale_nuke.worker import Worker

pytest_plugins = ["nuke_standin.shots"]
Drive = Callable[..., int]
SECONDS = 300


@pytest.fixture
def drive(service: Worker, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """The driver in a terminal session of this process, with the shared worker; ``then(session)`` comes after it."""

    def run(arguments: list[str], before: Callable[[Any], None] | None = None, **options: Any) -> int:
        with nuke_standin.terminal([PLUGIN], **options) as session:
            from deepupscale_nuke import batch, host

            monkeypatch.setattr(host, "worker_for", lambda node: service)
            if before:
                before(session)
            return batch.main(arguments)

    return run


def nuke(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A Nuke of its own."""
    environment = {
        **os.environ, "NUKE_PATH": str(PLUGIN), "PYTHONPATH": str(ROOT / "tests"), "DEEPUPSCALE_PYTHON": sys.executable,
        "PYTHONHOME": "",
    }  # fmt: skip
    command = [sys.executable, "-m", "nuke_standin", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)


def render(shot: Shot, **options: Any) -> None:
    """What ``-x`` does with a script, in this process: the plugin is there, no worker can be started."""
    with nuke_standin.terminal([PLUGIN], **options) as session:
        from deepupscale_nuke import host

        host.worker_for = lambda node: pytest.fail("a render asked for the worker")  # type: ignore[assignment]
        session.nuke.scriptOpen(str(shot.script))
        write = session.nuke.toNode("Write1")
        session.nuke.execute(write, shot.first, shot.last)


def outputs(shot: Shot) -> list[str]:
    return sorted(p.name for p in shot.out.glob("*.exr"))


def test_ten_frames_by_the_driver_are_those_of_run_and_x_takes_them_from_the_cache(
    tmp_path: Path, tiny_model: Path
) -> None:
    shot = Shot(tmp_path / "a [b] $c 'd", tiny_model, 1001, 1010)
    done = nuke("-t", PLUGIN / "deepupscale_render.py", *shot.arguments("--prepass"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 upscaled, 0 unchanged" in done.stdout
    assert outputs(shot) == []
    assert len(shot.results()) == 10
    assert shot.results() == shot.by_run()
    before = shot.times()
    plain = nuke("-x", "-F", "1001-1010", shot.script)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert outputs(shot) == [f"out.main.{f}.exr" for f in shot.frames]
    assert shot.times() == before
    (shot.kept() / "up.main.1004.exr").unlink()
    missing = nuke("-x", "-F", "1001-1010", shot.script)
    assert missing.returncode == 1
    assert "up.main.1004.exr: is not there: press Upscale range, or run the prepass" in missing.stderr


def test_the_driver_renders_the_writes_and_a_second_time_recomputes_nothing(shot: Shot, drive: Drive) -> None:
    assert drive(shot.arguments()) == 0
    assert outputs(shot) == [f"out.main.{f}.exr" for f in shot.frames]
    assert shot.results() == shot.by_run()
    before = shot.times()
    assert drive(shot.arguments()) == 0
    assert shot.times() == before
    record = json.loads((shot.kept() / "up.main.1001.exr.json").read_text())
    assert record["node_hash"]
    assert record["model"]["sha256"]
    assert record["settings"]["scale"] == 2
    assert [(s["file"], s["size"] > 0) for s in record["sources"]] == [(str(shot.folder / "in.1001.exr"), True)]


def test_two_nodes_in_a_chain_are_done_upstream_first(tmp_path: Path, tiny_model: Path, drive: Drive) -> None:
    shot = Shot(tmp_path / "shot", tiny_model, -1, 0, nodes=2)
    assert drive(shot.arguments()) == 0
    assert outputs(shot) == ["out.main.-001.exr", "out.main.0000.exr"]
    for node in range(2):
        assert shot.results(node) == shot.by_run(node)
    import OpenImageIO as oiio

    header = oiio.ImageBuf(str(shot.out / "out.main.-001.exr")).spec()
    assert (header.width, header.height) == (96, 64)
    before = shot.times(1)
    assert drive(shot.arguments()) == 0
    assert shot.times(1) == before


def test_a_worker_that_is_killed_is_started_again_and_the_bytes_are_the_same(
    shot: Shot, drive: Drive, service: Worker
) -> None:
    service.process()
    starts = service.starts

    def kill_at_the_second_pull(session: Any) -> None:
        from deepupscale_nuke import host

        pull, seen = host.pull, []

        def killing(*arguments: Any) -> None:
            pull(*arguments)
            seen.append(arguments)
            if len(seen) == 2:
                os.kill(service.process().pid, 9)

        host.pull = killing

    assert drive(shot.arguments(), kill_at_the_second_pull) == 0
    assert service.starts == starts + 1
    assert shot.results() == shot.by_run()


def test_a_corrupt_cache_file_fails_a_plain_render_and_the_driver_makes_it_anew(shot: Shot, drive: Drive) -> None:
    assert drive(shot.arguments()) == 0
    good, times = shot.results(), shot.times()
    broken = shot.kept() / "up.main.1002.exr"
    broken.write_bytes(good[broken.name][:-40])
    with pytest.raises(RuntimeError, match=r"up\.main\.1002\.exr: was changed after it was made"):
        render(shot)
    data = bytearray(good[broken.name])
    data[-30] ^= 0xFF  # as long as before, and as old: only reading it tells
    broken.write_bytes(data)
    os.utime(broken, ns=(times[broken.name], times[broken.name]))
    assert drive(shot.arguments()) == 0
    assert shot.results() == good
    assert {n for n, t in shot.times().items() if t != times[n]} == {broken.name}
    render(shot)


def test_whatever_changes_upstream_makes_the_cache_stale(shot: Shot, drive: Drive) -> None:
    assert drive(shot.arguments("--prepass")) == 0
    render(shot)
    text = shot.script.read_text()
    changes = {
        "a node upstream changed": text.replace("multiply 1.5", "multiply 1.6"),
        "never upscaled": text.replace("precision f32", "precision f32\n scale 4x"),
    }  # fmt: skip
    for why, changed in changes.items():
        shot.script.write_text(changed)
        with pytest.raises(RuntimeError, match=why):
            render(shot)
    shot.script.write_text(text.replace("name Grade1", "name Grade1\n xpos 40\n label hello"))
    render(shot)
    plate = shot.folder / "in.1002.exr"
    os.utime(plate, ns=(1, 1))
    with pytest.raises(RuntimeError, match=r"in\.1002\.exr changed after it was pulled"):
        render(shot)


def test_another_model_under_the_same_name_makes_the_cache_stale(
    shot: Shot, drive: Drive, tmp_path: Path, other_model: Path
) -> None:
    model = tmp_path / "mine.onnx"
    model.write_bytes(shot.model.read_bytes())
    shot.model = model
    shot.write_script(1.5)
    assert drive(shot.arguments("--prepass")) == 0
    first = shot.results()
    os.utime(model, ns=(5, 5))  # the same bytes, copied anew
    render(shot)
    model.write_bytes(other_model.read_bytes())
    with pytest.raises(RuntimeError, match=r"mine\.onnx changed after it was made"):
        render(shot)
    assert drive(shot.arguments("--prepass")) == 0
    assert all(first[name] != data for name, data in shot.results().items())
    assert shot.results() == shot.by_run()


def test_views_proxy_overscan_and_pixel_aspect_come_through(shot: Shot, drive: Drive) -> None:
    from plates import picture, window, write_plate

    for frame in shot.frames:
        for view in ("left", "right"):
            write_plate(
                shot.folder / f"{view}.{frame}.exr", picture(28, 20, "RGBA", seed=frame + len(view)),
                dataWindow=window(-2, -2, 28, 20), displayWindow=window(0, 0, 24, 16), pixelAspectRatio=2.0,
            )  # fmt: skip
    text = shot.script.read_text().replace("in.%04d.exr", "%V.%04d.exr")
    shot.script.write_text(text.replace("Root {", 'Root {\n views "left #ff0000\\nright #00ff00"\n proxy true'))
    assert drive(shot.arguments("--views", "left,right", "--prepass")) == 0
    assert len(shot.results()) == 2 * len(shot.frames)
    assert shot.results() == shot.by_run()
    import OpenImageIO as oiio

    spec = oiio.ImageBuf(str(shot.kept() / "up.right.1001.exr")).spec()
    assert (spec.x, spec.y, spec.width, spec.height, spec.full_width, spec.full_height) == (-4, -4, 56, 40, 48, 32)
    assert spec.get_float_attribute("PixelAspectRatio") == 2.0
    left, right = (shot.results()[f"up.{v}.1001.exr"] for v in ("left", "right"))
    assert left != right


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "script"),
        (["{script}"], 2, "--frames"),
        (["{script}", "--frames", "5-1"], 2, "run backwards"),
        (["{script}", "--frames", "x"], 2, "no frame range"),
        (["{script}", "--frames", "1001", "--write", "W2"], 2, "no Write of that name"),
        (["{script}", "--frames", "1001", "--views", "middle"], 2, "no view 'middle'"),
        (["/no/such.nk", "--frames", "1001"], 2, "no such script"),
        (["{script}", "--frames", "1001", "--typo"], 2, "--typo"),
        (["{script}", "--frames", "1005"], 1, "frames failed"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_code(
    words: list[str], code: int, said: str, shot: Shot, drive: Drive, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[-1:] == ["1005"]:
        shot.script.write_text(shot.script.read_text().replace("in.%04d", "gone.%04d"))
    assert drive([w.format(script=shot.script) for w in words]) == code
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert all(line.startswith("ERROR: ") for line in lines)
    assert outputs(shot) == []


def test_nuke_keeps_no_frame_of_the_drivers_for_itself() -> None:
    with nuke_standin.terminal([PLUGIN]):
        from deepupscale_nuke import batch

        raw = ["Nuke", "-t", "/p/deepupscale_render.py", "a.nk", "--frames", "1001"]
        assert batch.arguments(["/p/deepupscale_render.py", "a.nk", "--frames"], raw) == raw[3:]
        assert batch.parse(["a.nk", "--frames", "-5--3"]).frames == "-5--3"
