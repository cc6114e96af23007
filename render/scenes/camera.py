"""Film-like cameras: where they stand, what they focus on, how they move, and how a picture is exposed."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from render.blender import aim, place
from render.cycles import Render, render
from render.scenes.stage import SHOT, Stage, Subject

LENSES = (18.0, 25.0, 35.0, 50.0, 75.0, 100.0, 135.0)  # millimetres
TRIES = 12
PREVIEW = (64, 36)
LEAST_CONTRAST = 0.35  # stops, standard deviation over the preview: a picture of a bare wall is drawn again


def film_scene(stage: Stage, subject: Subject) -> None:
    """Set a camera that sees something, and expose for it; keyed over the shot."""
    scene = bpy.context.scene
    camera = bpy.data.cameras.new("camera")
    camera.sensor_width = stage.choose("sensor width", (24.9, 36.0))
    viewer = place("camera", camera)
    scene.camera = viewer
    scene.frame_start, scene.frame_end = SHOT
    best = None
    for attempt in range(4):
        view = _stand(stage, subject, camera)
        _move(stage, subject, viewer, view)
        exposure, contrast = _preview(scene)
        if best is None or contrast > best[0]:
            best = (contrast, exposure, view, camera.lens)
        if contrast > LEAST_CONTRAST or attempt == 3:
            break
    contrast, exposure, view, camera.lens = best
    _move(stage, subject, viewer, view)
    _focus(stage, subject, camera, viewer)
    key = stage.log_uniform("key", 0.02, 0.35)  # what the median of the picture is brought to
    scene.cycles.film_exposure = min(max(key / exposure, 1e-3), 1e3)
    stage.notes["film exposure"] = round(scene.cycles.film_exposure, 5)
    scene.render.use_motion_blur = stage.happens("motion blur", 0.4)
    scene.render.motion_blur_shutter = 0.5  # 180 degrees


def _stand(stage: Stage, subject: Subject, camera: bpy.types.Camera) -> tuple[Vector, Vector]:
    """A place for the camera and what it looks at: the farthest sight of several draws, so never inside a thing."""
    camera.lens = stage.choose("lens", LENSES)
    height = camera.sensor_width * bpy.context.scene.render.resolution_y / bpy.context.scene.render.resolution_x
    fill = stage.uniform("fill", *subject.fill)
    away = subject.radius / fill * 2.0 * camera.lens / height
    if subject.inside:
        away = min(away, 2.0 * subject.radius)
    depsgraph, scene = bpy.context.evaluated_depsgraph_get(), bpy.context.scene
    best: tuple[float, Vector, Vector] | None = None
    for _ in range(TRIES):
        azimuth = math.radians(stage.rng.uniform(*subject.azimuth))
        elevation = math.radians(stage.rng.uniform(*subject.elevation))
        direction = Vector((math.cos(elevation) * math.sin(azimuth), -math.cos(elevation) * math.cos(azimuth),
                            math.sin(elevation)))  # fmt: skip
        target = Vector(subject.centre) + 0.25 * subject.radius * Vector(stage.rng.uniform(-1.0, 1.0, 3))
        at = target + away * direction
        hit, where, *_ = scene.ray_cast(depsgraph, at, -direction, distance=away)
        free = (where - at).length / away if hit else 1.0
        if best is None or free > best[0]:
            best = (free, at, target)
        if free > 0.5:
            break
    _, at, target = best
    camera.clip_start, camera.clip_end = 1e-3 * away, 1e4 * max(away, subject.radius)
    return at, target


def _move(stage: Stage, subject: Subject, viewer: bpy.types.Object, view: tuple[Vector, Vector]) -> None:
    """Key the camera at both ends of the shot: a dolly, a pan, an orbit or a tripod with a breath of handheld."""
    at, target = view
    kind = stage.choose("move", ("still", "handheld", "dolly", "truck", "pan"), (2.0, 2.0, 2.0, 2.0, 2.0))
    away = (target - at).length
    axis = (target - at).normalized()
    side = axis.cross(Vector((0.0, 0.0, 1.0))).normalized() if abs(axis.z) < 0.99 else Vector((1.0, 0.0, 0.0))
    amount = stage.log_uniform("move amount", 0.05, 0.6) * (1.0 if stage.rng.random() < 0.5 else -1.0)
    step = {
        "still": (Vector(), Vector()),
        "handheld": (0.01 * away * Vector(stage.rng.normal(size=3)), 0.01 * away * Vector(stage.rng.normal(size=3))),
        "dolly": (0.3 * amount * away * axis, Vector()),
        "truck": (0.3 * amount * away * side, 0.3 * amount * away * side),
        "pan": (Vector(), 0.5 * amount * away * side),
    }[kind]
    viewer.animation_data_clear()
    for frame, half in ((SHOT[0], -0.5), (SHOT[1], 0.5)):
        viewer.location = at + half * step[0]
        aim(viewer, target + half * step[1])
        viewer.keyframe_insert("location", frame=frame)
        viewer.keyframe_insert("rotation_euler", frame=frame)
    for curve in viewer.animation_data.action.fcurves:
        if curve.data_path == "rotation_euler":  # the short way round between the two keys
            first, last = curve.keyframe_points[0], curve.keyframe_points[-1]
            last.co.y += 2.0 * math.pi * round((first.co.y - last.co.y) / (2.0 * math.pi))
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
    bpy.context.scene.frame_set((SHOT[0] + SHOT[1]) // 2)


def _focus(stage: Stage, subject: Subject, camera: bpy.types.Camera, viewer: bpy.types.Object) -> None:
    """A thin lens focused on what lies before it, its f-stop chosen for the blur that it gives far behind."""
    if not (subject.depth_of_field and stage.happens("depth of field", 0.6)):
        return
    depsgraph, scene = bpy.context.evaluated_depsgraph_get(), bpy.context.scene
    axis = viewer.matrix_world.to_3x3() @ Vector((0.0, 0.0, -1.0))
    hit, where, *_ = scene.ray_cast(depsgraph, viewer.location, axis)
    distance = (where - viewer.location).length if hit else (Vector(subject.centre) - viewer.location).length
    blur = stage.log_uniform("blur at infinity", 0.002, 0.05)  # of the picture's width
    focal = camera.lens / 1000.0
    camera.dof.use_dof, camera.dof.focus_distance = True, max(distance, 2.0 * focal)
    width = camera.sensor_width / 1000.0
    # A point at infinity is imaged as a disc of focal^2 / (f-stop * (distance - focal)).
    camera.dof.aperture_fstop = focal**2 / (blur * width * (camera.dof.focus_distance - focal))
    camera.dof.aperture_blades = stage.choose("iris blades", (0, 6, 7, 9))
    camera.dof.aperture_ratio = stage.choose("squeeze", (1.0, 2.0), (5.0, 1.0))


def _preview(scene: bpy.types.Scene) -> tuple[float, float]:
    """The median brightness of a tiny render, and its contrast in stops."""
    scene.cycles.film_exposure = 1.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "preview.exr"
        asked = Render(file, *PREVIEW, 1, samples=8, seed=1, denoise=False, threads=1, layered=False)
        render(scene, asked)
        image = bpy.data.images.load(str(file))
        pixels = np.empty(4 * PREVIEW[0] * PREVIEW[1], np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    brightness = np.maximum(pixels.reshape(-1, 4)[:, :3].mean(axis=-1), 0.0)
    lit = brightness[brightness > 1e-6]
    if lit.size < brightness.size // 20:
        return 1.0, 0.0
    return float(np.median(lit)), float(np.log2(np.maximum(brightness, 1e-3 * np.median(lit))).std())
