"""`render-pairs` with Blender itself; skipped where there is none (`deepupscale install-blender` gets it)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR as exr
import pytest
from commands import tree

from deepupscale.cli.app import invoke
from deepupscale.errors import RuntimeUnavailableError
from render.scenes import KINDS, kind_of
from render.workers import find_blender

pytestmark = pytest.mark.blender

SCENE = """
import bpy, sys
kind, out = sys.argv[-2:]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine, scene.frame_start, scene.frame_end = "CYCLES", 1, 3
scene.world = bpy.data.worlds.new("world")
bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0)
lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "SUN"))
scene.collection.objects.link(lamp)
if kind != "cameraless":
    for name, x in (("Main", 0.0), ("Side", 3.0)):
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        camera.location = (x, -6.0, 0.5)
        scene.collection.objects.link(camera)
        for frame in (0, 4):  # a pan with a little roll, about the camera's own place
            camera.rotation_euler = (1.5, 0.02 * frame, 0.05 * (frame - 2))
            camera.keyframe_insert("rotation_euler", frame=frame)
    scene.camera = scene.objects["Main"]
if kind == "eevee":
    scene.render.engine = "BLENDER_EEVEE_NEXT"
if kind == "scripted":
    text = bpy.data.texts.new("start.py")
    text.write("open(%r, 'w').write('ran')" % (out + ".ran"))
    text.use_module = True
if kind == "missing":
    image = bpy.data.images.new("gone", 8, 8)
    image.source, image.filepath, image.use_fake_user = "FILE", "//textures/gone.png", True
bpy.ops.wm.save_as_mainfile(filepath=out)
"""


@pytest.fixture(scope="session")
def blender() -> str:
    """The program that has Blender."""
    try:
        return find_blender(None)[0]
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def blend(blender: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes .blend files of one panning camera before a ball; by kind."""
    folder = tmp_path_factory.mktemp("blend")

    def make(kind: str) -> Path:
        script, out = folder / "make.py", folder / f"{kind}.blend"
        script.write_text(SCENE)
        runs_scripts = Path(blender).name.startswith("blender")
        command = [blender, "-b", "--python", str(script), "--"] if runs_scripts else [blender, str(script)]
        subprocess.run([*command, kind, str(out)], check=True, capture_output=True)
        return out

    return make


def planes(path: Path) -> dict[str, Any]:
    with exr.File(str(path), separate_channels=True) as file:
        return {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_the_same_command_renders_the_same_files(blender: str, tmp_path: Path) -> None:
    given = ["--scenes", "2", "--kinds", "lettering,machine", "--size", "64x36", "--samples", "4", "--seed", "1"]
    for name in "ab":
        assert invoke(["render-pairs", str(tmp_path / name), *given, "--aovs", "depth,normal,albedo"]) == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    for record in records(tmp_path / "a"):
        assert record["scene"]["parameters"]["lens"] > 0
        small, big = (planes(tmp_path / "a" / record[which]) for which in ("lr", "hr"))
        assert big["R"].shape == (72, 128)
        assert small["R"].shape == (36, 64)
        assert 0.001 < np.median(big["G"]) < 2.0
        length = np.sqrt(sum(big[f"N.{axis}"].astype(np.float32) ** 2 for axis in "XYZ"))
        assert length.max() < 1.01
        assert big["albedo.G"].min() >= 0.0
        assert big["albedo.G"].max() <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scene_renders_and_shows_something(blender: str, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "pairs"
    given = ["--kinds", kind, "--scenes", "1", "--size", "48x27", "--samples", "2", "--seed", "11"]
    assert invoke(["render-pairs", str(out), *given]) == 0
    (record,) = records(out)
    assert record["scene"]["kind"] == kind == kind_of(11, 0, (kind,))
    colour = planes(out / record["hr"])["G"].astype(np.float32)
    assert np.isfinite(colour).all()
    assert np.log2(np.maximum(colour, 1e-4)).std() > 0.1


def test_a_studios_scene_goes_the_same_way(blender: str, blend: Any, tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    given = ["--blend", str(blend("plain")), "--size", "64x36", "--samples", "4", "--aovs", "depth,motion,alpha"]
    assert invoke(["render-pairs", str(out), *given, "--camera", "Side", "--frames", "2-3"]) == 0
    assert [record["name"] for record in records(out)] == ["plain.0002", "plain.0003"]
    assert records(out)[0]["scene"]["camera"] == "Side"
    alone = tmp_path / "alone"
    assert invoke(["render-pairs", str(alone), *given, "--camera", "Side", "--frames", "3"]) == 0
    # What is measured in pixels was put back after the 2x render, and no frame depends on the one before.
    assert records(alone)[0] == records(out)[1]


def test_motion_follows_the_cameras_turn_on_things_and_behind_them(blender: str, blend: Any, tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    given = ["--blend", str(blend("plain")), "--size", "64x36", "--samples", "4", "--aovs", "depth,motion"]
    assert invoke(["render-pairs", str(out), *given, "--frames", "2"]) == 0
    for which, scale in (("lr", 1), ("hr", 2)):
        found = planes(out / which / "plain.0002.exr")
        empty = found["Z"] > 1e9
        assert 0.1 < empty.mean() < 0.9
        height, width = empty.shape
        x, y = np.meshgrid(np.linspace(-1.0, 1.0, width), np.linspace(-1.0, 1.0, height))
        terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
        for name in ("backward.u", "backward.v", "forward.u", "forward.v"):
            # The camera turns about its own place: near and far move alike, and smoothly over the picture.
            fitted = np.linalg.lstsq(terms[empty], found[name][empty], rcond=None)[0]
            assert np.abs(terms @ fitted - found[name]).max() < 0.02 * scale, name
        # It pans to the left, so the picture moves to the right: forward is u > 0, and backward the other way.
        # 0.05 radians a frame, half as much again in mid-move, at 89 pixels a radian.
        assert 4.0 * scale < found["forward.u"].mean() < 8.0 * scale
        assert abs(found["forward.u"].mean() + found["backward.u"].mean()) < 0.4 * scale


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("cameraless", (), "scene 'Scene' has no active camera: add one"),
        ("plain", ("--camera", "Top"), "has no camera 'Top'; it has Main, Side"),
        ("eevee", (), "is set up for BLENDER_EEVEE_NEXT, but pairs are rendered by Cycles"),
        ("garbage", (), "Blender cannot open it"),
    ],
)
def test_a_blend_that_cannot_be_rendered_is_refused_in_one_line(
    blender: str, blend: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, more: tuple[str, ...],
    says: str,
) -> None:  # fmt: skip
    file = tmp_path / "garbage.blend"
    file.write_bytes(b"BLENDER-v405" + bytes(range(256)) * 20)
    given = blend(kind) if kind != "garbage" else file
    assert invoke(["render-pairs", str(tmp_path / "pairs"), "--blend", str(given), *more]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert says in err
    assert not (tmp_path / "pairs").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="Macs have Metal")
def test_a_device_that_is_not_there_is_told_of_before_the_work(
    blender: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["render-pairs", str(tmp_path / "pairs"), "--device", "metal"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("deepupscale: error: --device metal: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "pairs").exists()


def test_scripts_in_a_blend_do_not_run(blender: str, blend: Any, tmp_path: Path) -> None:
    file = blend("scripted")
    given = ["--size", "32x18", "--samples", "1", "--frames", "1"]
    assert invoke(["render-pairs", str(tmp_path / "pairs"), "--blend", str(file), *given]) == 0
    assert not Path(f"{file}.ran").exists()


def test_files_that_a_blend_misses_are_named(
    blender: str, blend: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = ["--size", "32x18", "--samples", "1", "--frames", "1"]
    assert invoke(["render-pairs", str(tmp_path / "pairs"), "--blend", str(blend("missing")), *given]) == 0
    assert "1 files it refers to are missing: //textures/gone.png" in caplog.text
