"""What runs inside Blender: one job a line on standard input, one answer a line on standard output.

Started by `render/workers.py` with a Python that has bpy, or inside a Blender executable. A job is a JSON object:

    {"device": NAME}                                                    whether Cycles can compute on it
    {"probe": FILE, "camera": NAME or null}                             what a .blend file holds
    {"scene": {...}, "frame": N, "pictures": [{...}, ...]}              for a picture see `render.cycles.Render`
        where scene is {"kind": K, "seed": S, "index": I, "size": [w, h]} or {"blend": FILE, "camera": NAME or null}

An answer is {"ok": true, ...} or {"ok": false, "error": TEXT}. Blender's own chatter goes to standard error. The
process ends when its input does, so it does not outlive who started it by more than one picture.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from render.cycles import DeviceError, Render, cycles_device, render
from render.scenes.camera import film_scene
from render.scenes.lighting import light_scene
from render.scenes.stage import Stage

MOTION_SAMPLES = 8  # of the picture that is rendered for its motion vectors alone


class SceneError(Exception):
    """A scene that cannot be rendered as asked, in one line."""


class Builder:
    """Keeps the scene that was built last, so that its next frame costs no second build."""

    def __init__(self) -> None:
        self._built: dict[str, Any] | None = None
        self._notes: dict[str, object] = {}

    def stage(self, asked: dict[str, Any]) -> dict[str, object]:
        """Make ``asked`` the current scene and return what was drawn for it."""
        if asked != self._built:
            self._built = None
            self._notes = _open(asked["blend"], asked["camera"]) if "blend" in asked else _generate(asked)
            self._built = asked
        return self._notes


def _generate(asked: dict[str, Any]) -> dict[str, object]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.render.resolution_x, scene.render.resolution_y = asked["size"]
    cycles = scene.cycles
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 8, 3, 4, 8
    cycles.transparent_max_bounces, cycles.volume_bounces = 16, 1
    cycles.sample_clamp_indirect, cycles.caustics_reflective, cycles.caustics_refractive = 10.0, False, False
    cycles.blur_glossy = 0.5
    stage = Stage(asked["seed"], asked["index"])
    subject = importlib.import_module(f"render.scenes.{asked['kind']}").build(stage)
    light_scene(stage, subject)
    film_scene(stage, subject)
    return stage.notes


def _open(file: str, camera: str | None) -> dict[str, object]:
    """Open a .blend file, without running what scripts it holds, and make the named camera the active one."""
    try:
        bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise SceneError(f"{file}: Blender cannot open it: {error}") from None
    scene = bpy.context.scene
    cameras = sorted(obj.name for obj in scene.objects if obj.type == "CAMERA")
    if camera is not None and camera not in cameras:
        raise SceneError(f"{file}: has no camera {camera!r}; it has {', '.join(cameras) or 'none'}")
    if camera is not None:
        scene.camera = scene.objects[camera]
    if scene.camera is None or scene.camera.type != "CAMERA":
        help_ = f"name one of {', '.join(cameras)} with --camera" if cameras else "add one"
        raise SceneError(f"{file}: scene {scene.name!r} has no active camera: {help_}")
    if scene.render.engine != "CYCLES":
        raise SceneError(f"{file}: is set up for {scene.render.engine}, but pairs are rendered by Cycles")
    return {"file": Path(file).name, "scene": scene.name, "camera": scene.camera.name}


def _probe(file: str, camera: str | None) -> dict[str, object]:
    notes = _open(file, camera)
    scene = bpy.context.scene
    return {**notes, "frames": [scene.frame_start, scene.frame_end], "missing": _missing_files()}


def _missing_files() -> list[str]:
    """Pictures and libraries that the open file refers to and that are not there."""
    named = [(library.filepath, None) for library in bpy.data.libraries]
    named += [(i.filepath, i.library) for i in bpy.data.images if i.source == "FILE" and i.users and not i.packed_file]
    return sorted({path for path, library in named if not Path(bpy.path.abspath(path, library=library)).exists()})


def _views(scene: bpy.types.Scene, frame: int) -> dict[str, Any]:
    """The camera's rotation, and for the frames before, at and after how it images directions.

    Returns:
        ``rotation``: 3x3, world to camera (x right, y up, z towards the camera). ``directions``: three 3x3 matrices
        from a world direction to homogeneous picture coordinates (-1 to 1, y up); None for cameras without perspective.
    """
    directions, rotation = [], None
    for at in (frame - 1, frame + 1, frame):
        scene.frame_set(at)
        depsgraph = bpy.context.evaluated_depsgraph_get()
        camera = scene.camera.evaluated_get(depsgraph)
        rotation = camera.matrix_world.to_3x3().normalized().inverted()
        settings = scene.render
        film = camera.calc_matrix_camera(
            depsgraph, x=settings.resolution_x, y=settings.resolution_y,
            scale_x=settings.pixel_aspect_x, scale_y=settings.pixel_aspect_y,
        )  # fmt: skip
        rows = [[film[row][column] for column in range(3)] for row in (0, 1, 3)]
        directions.append((Matrix(rows) @ rotation, camera.data.type))
    before, after, here = directions
    perspective = all(kind == "PERSP" for _, kind in directions)
    return {
        "rotation": [list(row) for row in rotation],
        "directions": [[list(row) for row in m] for m, _ in (before, here, after)] if perspective else None,
    }


def _pictures(job: dict[str, Any]) -> dict[str, Any]:
    scene = bpy.context.scene
    pictures = [Render(**{**p, "path": Path(p["path"]), "passes": tuple(p["passes"])}) for p in job["pictures"]]
    scene.render.resolution_x, scene.render.resolution_y = pictures[0].width, pictures[0].height
    views = _views(scene, job["frame"])
    blurred = scene.render.use_motion_blur
    split = blurred and any("motion" in picture.passes for picture in pictures)
    for picture in pictures:
        if split:  # Cycles gives no motion vectors of a blurred picture: they come from one without blur, cheaply
            passes = tuple(p for p in picture.passes if p != "motion")
            render(scene, replace(picture, passes=passes))
            scene.render.use_motion_blur = False
            path = picture.path.with_name(f"{picture.path.stem}.motion.exr")
            samples = min(picture.samples, MOTION_SAMPLES)
            render(scene, replace(picture, path=path, passes=("motion",), samples=samples, denoise=False))
            scene.render.use_motion_blur = blurred
        else:
            render(scene, picture)
    return {"views": views, "motion_blur": blurred, "separate_motion": split}


def answer(builder: Builder, job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    if "device" in job:
        return {"device": cycles_device(job["device"])}
    if "probe" in job:
        return _probe(job["probe"], job["camera"])
    notes = builder.stage(job["scene"])
    return {**_pictures(job), "notes": notes, "blender": bpy.app.version_string}


def main() -> None:
    """Answer jobs until the input ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # Blender and its add-ons write to standard output
        builder = Builder()
        for line in sys.stdin:
            try:
                said = {"ok": True, **answer(builder, json.loads(line))}
            except (SceneError, DeviceError) as error:
                said = {"ok": False, "error": str(error)}
            except Exception as error:  # whatever went wrong is the asker's to report; the next job may go well
                traceback.print_exc()
                said = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(said) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
