"""Open water."""

import bpy

from render.blender import Shader, place
from render.scenes.shapes import daylight
from render.scenes.stage import SHOT, Stage, Subject

OUTDOORS = ("courtyard", "sunrise", "sunset", "city", "forest")


def sea(stage: Stage) -> Subject:
    """Open water, from a breeze to a gale, with foam; the waves run."""
    data = bpy.data.meshes.new("sea")
    obj = place("sea", data)
    ocean = obj.modifiers.new("waves", "OCEAN")
    ocean.geometry_mode, ocean.resolution, ocean.viewport_resolution = "GENERATE", 22, 22
    ocean.spatial_size, ocean.random_seed = 40, int(stage.rng.integers(1000))
    ocean.wind_velocity, ocean.wave_alignment = stage.uniform("wind", 5.0, 20.0), stage.uniform("alignment", 0.0, 0.8)
    ocean.wave_scale, ocean.choppiness = stage.log_uniform("waves", 0.5, 2.5), stage.uniform("choppiness", 0.6, 1.4)
    ocean.wave_scale_min, ocean.use_foam, ocean.foam_coverage = 0.01, True, stage.uniform("foam", -0.2, 0.3)
    ocean.foam_layer_name = "foam"
    start = stage.uniform("moment", 0.0, 50.0)
    for frame, at in zip(SHOT, (start, start + 2.0), strict=True):
        ocean.time = at
        ocean.keyframe_insert("time", frame=frame)
    for key in obj.animation_data.action.fcurves[0].keyframe_points:
        key.interpolation = "LINEAR"
    deep = stage.choose(
        "water", ((0.003, 0.012, 0.018), (0.004, 0.02, 0.02), (0.01, 0.014, 0.014), (0.001, 0.004, 0.012))
    )
    shader = Shader("water", deep, 0.04, IOR=1.333)
    white = shader.add("Attribute", out="Fac", settings={"attribute_name": "foam"})
    lace = shader.add(
        "TexVoronoi", Vector=shader.where, Scale=5.0, Detail=4.0, settings={"feature": "DISTANCE_TO_EDGE"}
    )
    holes = shader.math("SUBTRACT", 0.55, shader.math("MULTIPLY", lace, 2.2))
    foam = shader.add(
        "MapRange",
        shader.math("ADD", shader.math("MULTIPLY", white, 1.4), shader.math("MULTIPLY", holes, white)),
        0.35,
        0.9,
    )
    shader.colour(foam, deep, (0.8, 0.83, 0.84))
    shader.links.new(shader.math("ADD", 0.04, shader.math("MULTIPLY", foam, 0.7)), shader.bsdf.inputs["Roughness"])
    shader.bump(shader.noise(stage.uniform("chop", 2.0, 6.0), 7.0), 0.12, 0.5)
    data.materials.append(shader.material)
    daylight(stage, 4.0, 40.0)
    return Subject(
        (0.0, 0.0, 0.6),
        stage.log_uniform("view", 1.5, 6.0),
        (8.0, 35.0),
        fill=(0.6, 1.5),
        lights=False,
        environments=OUTDOORS,
    )
