"""Scattering and glowing volumes: an even or a noisy haze in a box, and a flame."""

import bpy

from render.blender import Shader, boxes


class Haze(Shader):
    """A scattering volume; its density is set through `fill`."""

    def __init__(self, name: str, colour, anisotropy: float) -> None:
        super().__init__(name, colour, 1.0)
        self.volume = self.nodes.new("ShaderNodeVolumePrincipled")
        self.volume.inputs["Color"].default_value = (*colour, 1.0)
        self.volume.inputs["Anisotropy"].default_value = anisotropy
        self.volume.inputs["Density"].default_value = 0.0
        output = self.nodes["Material Output"].inputs
        self.nodes.remove(self.bsdf)
        self.links.new(self.volume.outputs[0], output["Volume"])

    def stretched(self, scale, distort: float = 0.0, detail: float = 5.0, roughness: float = 0.6):
        """Noise in [0, 1]; scale: per metre along x, y, z."""
        where = self.add("VectorMath", self.where, scale, settings={"operation": "MULTIPLY"})
        return self.add("TexNoise", Vector=where, Scale=1.0, Detail=detail, Roughness=roughness, Distortion=distort)

    def fill(self, density, low, high, steps: float, parent=None, socket: str = "Density"):
        """Put it in a box between two corners; density: a number for an even haze; steps: across the box."""
        even = not isinstance(density, bpy.types.NodeSocket)
        self.material.cycles.homogeneous_volume = even
        self.material.cycles.volume_step_rate = 10.0 / steps
        if even:
            self.volume.inputs[socket].default_value = density
        else:
            self.links.new(density, self.volume.inputs[socket])
        boxes(self.material.name, [(low, high)], self, parent)
        return bpy.context.collection.objects[-1]
