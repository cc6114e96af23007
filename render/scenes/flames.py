"""Fire: candles on a table, or logs that burn."""

import numpy as np

from render.blender import Shader, boxes, lathe, light, place, wire
from render.scenes import materials
from render.scenes.haze import Haze
from render.scenes.shapes import UP, limbs, move, sheet
from render.scenes.stage import Stage, Subject
from render.scenes.stones import rock_shader, strew


def flame(stage: Stage, at, wide: float, tall: float, parent=None) -> None:
    """One flame that stands on a point; metres."""
    fire = Haze("flame", (0.0, 0.0, 0.0), 0.0)
    x, y, z = (fire.add("SeparateXYZ", fire.where, out=axis) for axis in "XYZ")
    part = fire.math("MULTIPLY", z, 1.0 / tall)
    flicker = fire.add(
        "SeparateXYZ",
        fire.add(
            "TexNoise",
            Vector=fire.add(
                "VectorMath", fire.where, (0.7 / wide, 0.7 / wide, 2.0 / tall), settings={"operation": "MULTIPLY"}
            ),
            out="Color",
            Scale=1.0,
            Detail=3.0,
        ),
        out="X",
    )
    bend = fire.math("MULTIPLY", fire.math("SUBTRACT", flicker, 0.5), fire.math("MULTIPLY", part, 2.2 * wide))
    reach = fire.math(
        "MULTIPLY",
        fire.math("POWER", fire.math("SUBTRACT", 1.0, part), 0.8),
        fire.math("ADD", 0.35 * wide, fire.math("MULTIPLY", fire.math("POWER", part, 0.4), 0.75 * wide)),
    )
    off = fire.add(
        "VectorMath",
        fire.add("CombineXYZ", fire.math("ADD", x, bend), y, 0.0),
        out="Value",
        settings={"operation": "LENGTH"},
    )
    core = fire.add("MapRange", fire.math("DIVIDE", off, reach), 1.0, 0.25)
    hollow = fire.add("MapRange", part, 0.03, 0.3, 0.15, 1.0)
    heat = fire.math("MULTIPLY", fire.math("MULTIPLY", core, hollow), stage.log_uniform("flame", 4.0, 15.0) / wide)
    glow = fire.add("MixRGB", fire.math("POWER", core, 0.8), (1.0, 0.16, 0.02, 1.0), (1.0, 0.55, 0.17, 1.0))
    fire.links.new(glow, fire.volume.inputs["Emission Color"])
    holder = place("flame", None, parent=parent, at=at)
    fire.fill(heat, (-1.6 * wide, -1.6 * wide, 0.0), (1.6 * wide, 1.6 * wide, tall), 22.0, holder, "Emission Strength")
    move(holder, turn=(stage.rng.normal(0.0, 6.0), stage.rng.normal(0.0, 6.0), 20.0))


def candles(stage: Stage) -> Subject:
    """Candles, burnt down and dripping, or a fire of logs."""
    rng = stage.rng
    boxes(
        "table",
        [((-1.5, -1.0, -0.05), (1.5, 1.0, 0.0))],
        materials.draw(stage, ("wood", "stone", "fabric"), 0.5),
        bevel=0.004,
    )
    if stage.choose("fire", ("candles", "logs"), (2, 1)) == "logs":
        char = rock_shader(stage, 0.12, "basalt", "char")
        embers = char.math("MULTIPLY", char.add("MapRange", char.noise(35.0, 5.0), 0.55, 0.68), 12.0)
        char.bsdf.inputs["Emission Color"].default_value = (1.0, 0.17, 0.02, 1.0)
        char.links.new(embers, char.bsdf.inputs["Emission Strength"])
        turn = rng.uniform(0.0, 6.3, 8)
        lean = np.stack([np.cos(turn), np.sin(turn), 0.0 * turn], axis=-1)[:, None]
        t = np.linspace(0.0, 1.0, 14)[None, :, None]
        logs = (
            0.16 * lean * (1.0 - 1.2 * t)
            + 0.2 * t * UP
            + np.cumsum(rng.normal(0.0, 0.004, (8, 14, 3)), axis=1)
            + 0.03 * UP
        )
        limbs("logs", logs, rng.uniform(0.015, 0.03, (8, 1)), char, sides=14)
        strew(stage, char, np.column_stack([rng.normal(0.0, 0.1, (160, 2)), np.zeros(160)]), 0.008, 0.05, 1.0)
        for _ in range(3):
            flame(
                stage,
                (*rng.normal(0.0, 0.05, 2), rng.uniform(0.03, 0.1)),
                rng.uniform(0.04, 0.07),
                rng.uniform(0.2, 0.36),
            )
        light("fire light", "POINT", (0.0, 0.0, 0.2), 9.0, (1.0, 0.42, 0.12), 0.15)
    else:
        for n in range(stage.integer("candles", 3, 7)):
            at, radius, tall = (*rng.normal(0.0, 0.09, 2), 0.0), rng.uniform(0.01, 0.03), rng.uniform(0.04, 0.16)
            wax = Shader(
                "wax",
                stage.choose("wax", ((0.75, 0.68, 0.52), (0.5, 0.04, 0.03), (0.7, 0.7, 0.68), (0.05, 0.12, 0.1))),
                0.35,
                Subsurface_Weight=0.8,
                Subsurface_Scale=0.02,
            )
            wax.bump(wax.noise(120.0, 4.0), 0.002, 0.5)
            holder = place(f"candle {n}", None, at=at)
            z = np.linspace(0.0, 1.0, 30)[:, None]
            a = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)[None]
            drips = (
                np.maximum(
                    0.0,
                    np.sin(a * rng.integers(3, 7) + 2.0 * rng.random()) + 0.5 * np.sin(a * 9.0) - 0.5 - 0.8 * (1.0 - z),
                )
                * 0.12
            )
            r = radius * (1.0 + drips + 0.25 * np.exp(-z * 25.0))
            side = np.stack([r * np.cos(a), r * np.sin(a), tall * z + 0.0 * a], axis=-1)
            k = np.linspace(1.0, 0.0, 10)[:, None]
            pool = np.stack(
                [r[-1] * k * np.cos(a), r[-1] * k * np.sin(a), tall - 0.25 * radius * (1.0 - k**4) + 0.0 * a], axis=-1
            )
            sheet("wax", np.concatenate([side, pool])[::-1], wax, parent=holder, around=True)
            wire(
                "wick",
                [(0.0, 0.0, tall - 0.3 * radius), (0.0, 0.0, tall + 0.002), (0.002, 0.0, tall + 0.007)],
                0.0009,
                Shader("wick", (0.01, 0.01, 0.01), 0.9),
                holder,
            )
            flame(stage, (0.001, 0.0, tall + 0.001), 0.0065, rng.uniform(0.028, 0.045), holder)
            light(f"candle light {n}", "POINT", (at[0], at[1], tall + 0.02), 0.5, (1.0, 0.5, 0.18), 0.012)
    things = materials.draw(stage, ("metal", "ceramic", "glass"), 0.1)
    t = np.linspace(0.0, 1.0, 24)
    lathe(
        "cup",
        [
            (0.0, 0.0),
            *zip(0.03 + 0.015 * np.sin(2.6 * t), 0.09 * t, strict=True),
            *zip(0.026 + 0.015 * np.sin(2.6 * t[::-1]), 0.09 * t[::-1] + 0.003, strict=True),
        ],
        things,
        place("cup", None, at=(0.19, 0.1, 0.0)),
    )
    return Subject(
        (0.0, 0.0, 0.1), 0.17, (2.0, 25.0), fill=(0.8, 1.6), lights=False, environments=("night", "interior")
    )
