"""Building blocks of procedural materials: noise, cells, scratches, wear, threads and tiles, by the size of a thing."""

from __future__ import annotations

import colorsys

import bpy

from render.blender import Shader
from render.scenes.stage import Stage

BUMP_FILTER = 0.5  # pixels; scaled with the resolution once the scene is built, or 1x and 2x would disagree

Socket = bpy.types.NodeSocket
Colour = tuple[float, float, float]

METALS: dict[str, Colour] = {
    "steel": (0.56, 0.57, 0.58),
    "chrome": (0.75, 0.76, 0.78),
    "brass": (0.83, 0.58, 0.24),
    "copper": (0.88, 0.47, 0.3),
    "gold": (0.95, 0.68, 0.26),
    "aluminium": (0.85, 0.86, 0.87),
    "gunmetal": (0.16, 0.17, 0.19),
}
WOODS: tuple[Colour, ...] = (
    (0.035, 0.017, 0.009),
    (0.12, 0.05, 0.022),
    (0.26, 0.13, 0.055),
    (0.42, 0.25, 0.11),
    (0.5, 0.36, 0.22),
)


def tint(stage: Stage, saturation: tuple[float, float], value: tuple[float, float], hue=None) -> Colour:
    """A linear colour; value is drawn evenly by eye, so darks are as common as lights.

    Without a span of hues, warm and blue ones come more often than green and purple, and strong ones seldom, as in
    things that people make.
    """
    rng = stage.rng
    if hue is None:
        hue = ((0.0, 0.13), (0.53, 0.66), (0.0, 1.0))[rng.choice(3, p=(0.45, 0.25, 0.3))]
    share = rng.uniform() ** 2
    hsv = (rng.uniform(*hue), saturation[0] + share * (saturation[1] - saturation[0]), rng.uniform(*value))
    red, green, blue = (channel**2.2 for channel in colorsys.hsv_to_rgb(*hsv))
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(channel * factor, 0.95) for channel in colour)
    return red, green, blue


class Surface(Shader):
    """A Shader whose patterns are measured in shares of ``size`` (metres across) and shifted by chance."""

    def __init__(self, stage: Stage, name: str, size: float, colour: Colour, roughness: float, **inputs) -> None:
        super().__init__(name, colour, roughness, **inputs)
        self.stage, self.size, self.rng = stage, size, stage.rng
        self.object_space, self.height = self.where, None
        shift = tuple(float(s) for s in self.rng.uniform(-40.0, 40.0, 3))
        self.where = self.mapped(self.where, scale=(1.0 / size,) * 3, shift=shift)

    def mapped(self, vector: Socket, scale=(1.0, 1.0, 1.0), shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)) -> Socket:
        return self.add("Mapping", Vector=vector, Location=shift, Rotation=turn, Scale=scale)

    def flat(self) -> Socket:
        """Object coordinates as (along, up, 0) on whichever plane the surface faces, in shares of size: for tiles."""
        x, y, z = self.split(self.mapped(self.object_space, scale=(1.0 / self.size,) * 3))
        coordinates = self.nodes.new("ShaderNodeTexCoord").outputs["Normal"]
        nx, ny, nz = (self.math("ABSOLUTE", n, 0.0) for n in self.split(coordinates))
        lies = self.math("GREATER_THAN", nz, self.math("MAXIMUM", nx, ny))
        side = self.mix(self.math("GREATER_THAN", nx, ny), self.join(x, z), self.join(y, z))
        return self.mix(lies, side, self.join(x, y))

    def split(self, vector: Socket) -> list[Socket]:
        self.add("SeparateXYZ", vector)
        return list(self.nodes[-1].outputs)

    def join(self, x, y, z=0.0) -> Socket:
        return self.add("CombineXYZ", x, y, z)

    def grain(
        self, scale: float, detail: float = 4.0, stretch=(1.0, 1.0, 1.0), warp: float = 0.0, where=None
    ) -> Socket:
        """Fractal noise of about [0.2, 0.8]; scale: features across the thing."""
        vector = self.mapped(where or self.where, scale=stretch)
        return self.add("TexNoise", Vector=vector, Scale=scale, Detail=detail, Roughness=0.6, Distortion=warp)

    def cells(self, scale: float, feature: str = "F1", out: str = "Distance", where=None, randomness=1.0) -> Socket:
        settings = {"feature": feature}
        vector = where or self.where
        return self.add("TexVoronoi", out=out, settings=settings, Vector=vector, Scale=scale, Randomness=randomness)

    def step(self, value, low: float, high: float) -> Socket:
        """0 below low, 1 above high, smooth between; falling if high is the lower."""
        settings, ends = {"interpolation_type": "SMOOTHSTEP"}, {"From_Min": low, "From_Max": high}
        if low > high:
            ends = {"From_Min": high, "From_Max": low, "To_Min": 1.0, "To_Max": 0.0}
        return self.add("MapRange", settings=settings, Value=value, **ends)

    def span(self, value, low: float, high: float) -> Socket:
        """value's [0, 1] onto [low, high]."""
        return self.add("MapRange", Value=value, To_Min=low, To_Max=high)

    def mix(self, factor, a, b, blend: str = "MIX") -> Socket:
        a, b = ((*c, 1.0) if isinstance(c, tuple) else c for c in (a, b))
        return self.add("MixRGB", factor, a, b, settings={"blend_type": blend})

    def put(self, **inputs) -> Surface:
        """Link or set inputs of the Principled node."""
        for name, value in inputs.items():
            socket = self.bsdf.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self.links.new(value, socket)
            else:
                socket.default_value = (*value, 1.0) if isinstance(value, tuple) else value
        return self

    def raise_by(self, height, distance: float) -> Surface:
        """Add height times distance (shares of size) to the relief."""
        height = self.math("MULTIPLY", height, distance * self.size)
        self.height = height if self.height is None else self.math("ADD", self.height, height)
        return self

    def finish(self) -> Surface:
        """Turn the collected relief into bump."""
        if self.height is not None:
            self.bump(self.height, 1.0, BUMP_FILTER)
        return self

    # ---- marks of use

    def scratches(self, scale: float, share: float) -> Socket:
        """Fine lines in three directions, mostly in patches: 1 on a scratch."""
        lines = []
        for _ in range(3):
            turn = tuple(float(a) for a in self.rng.uniform(0.0, 3.1, 3))
            turned = self.mapped(self.where, turn=turn)
            lines.append(self.step(self.grain(scale, 1.0, (1.0, 0.03, 1.0), 0.3, turned), 0.7 - share, 0.74 - share))
        most = self.math("MAXIMUM", self.math("MAXIMUM", lines[0], lines[1]), lines[2])
        return self.math("MULTIPLY", most, self.step(self.grain(3.0, 3.0), 0.42, 0.6))

    def wear(self, share: float) -> Socket:
        """Patches with ragged borders: 1 where the top layer is gone; share: roughly of the area."""
        ragged = self.mix(0.35, self.grain(2.5, 3.0), self.grain(30.0, 6.0))
        edge = 0.66 - 0.32 * share
        return self.step(ragged, edge, edge + 0.015)

    def grime(self, strength: float) -> None:
        """Darken and roughen in large stains and fine specks over whatever the base colour is."""
        stains = self.step(self.mix(0.5, self.grain(1.7, 8.0), self.grain(17.0, 5.0)), 0.4, 0.62)
        base = self.bsdf.inputs["Base Color"]
        before = base.links[0].from_socket if base.links else tuple(base.default_value)[:3]
        self.put(Base_Color=self.mix(self.math("MULTIPLY", stains, strength), before, (0.035, 0.027, 0.02)))

    # ---- regular patterns

    def tiles(self, wide: float, high: float, joint: float, offset: float = 0.5) -> tuple[Socket, Socket]:
        """A bond of tiles, in shares of size: (a shade of its own for each tile in [0, 1], 1 in the joint)."""
        white, black = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0)
        wavy = self.mix(0.012 * wide, self.flat(), self.grain(9.0, 2.0), "ADD")
        named = {"Scale": 1.0, "Mortar_Size": joint, "Mortar_Smooth": 0.1, "Brick_Width": wide, "Row_Height": high}
        settings = {"offset": offset}
        shades = self.add("TexBrick", settings=settings, Vector=wavy, Color1=white, Color2=black, Mortar=black, **named)
        return shades, self.nodes[-1].outputs["Fac"]

    def sine(self, coordinate: Socket, count: float) -> Socket:
        """count waves across the thing, in [0, 1]."""
        wave = self.math("SINE", self.math("MULTIPLY", coordinate, 6.2832 * count), 0.0)
        return self.add("MapRange", Value=wave, From_Min=-1.0)

    def checks(self, count: float, share: float = 0.5, where=None) -> tuple[Socket, Socket]:
        """Stripes along the two directions of the surface, each 0 or 1; count: periods across; share: of a period."""
        along, up, _ = self.split(where or self.flat())
        parts = (self.math("FRACT", self.math("MULTIPLY", axis, count), 0.0) for axis in (along, up))
        first, second = (self.math("LESS_THAN", part, share) for part in parts)
        return first, second
