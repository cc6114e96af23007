"""Augmentation: one draw of flips, turns, exposure, permutation and shift, applied alike to both pictures of a pair.

What happens to a field follows from its *kind*, not from its name; only the beauty, ``rgb``, is light and takes
exposure and shift. Albedo is a reflectance: a longer exposure does not change it.

Pictures count rows downwards; vectors are right-handed, x to the right and y *up*, in pictures and in camera space
(z towards the camera). So flipping a picture top to bottom negates y, left to right x, and turning it by a quarter
anticlockwise takes (x, y) to (-y, x); z and lengths stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepupscale.fields import Kind
from deepupscale.range_compression import RangeCompression
from model.store_format import BEAUTY

Float32 = NDArray[np.float32]
Planes = Mapping[str, NDArray[Any]]

_CURVE = RangeCompression()
_VECTORS = frozenset({Kind.UNIT_VECTOR, Kind.MOTION})
# Positions and velocities are in an unknown space: nobody can say what a flipped picture has there.
_UNTURNABLE = frozenset({Kind.POSITION, Kind.VELOCITY, Kind.OTHER})


@dataclass(frozen=True)
class Augmentation:
    """What is drawn from.

    Every switch leaves the other draws as they are: each draw takes the same numbers from the generator.

    Attributes:
        flips: Left to right, and top to bottom, each in half of the draws; "across": left to right alone, for what
            tells up from down.
        rotations: By 0 to 3 quarter turns.
        shift: Largest amount that is added to each channel of the beauty, the same at every pixel and both sizes.
        shift_domain: Where it is added. In the compressed range, where the network works, 0.01 is the same visible
            step at every level: 15 % of the light (a fifth of a stop), 20 % in a deep shadow of 0.0005. In linear light
            0.01 is twenty times that shadow and nothing in a highlight: T'(y) is 352 at 0, 0.39 at 0.18, 0.070 at 1 and
            0.0070 at 10, so it moves black by 0.28 and light of 10 by 0.00007 of the compressed range.
        exposure: Largest exposure in stops, up or down; multiplies the beauty, no other field.
        permute: Share of draws in which red, green and blue change places, in all colours of three channels alike.
    """

    flips: bool | Literal["across"] = True
    rotations: bool = True
    shift: float = 0.01
    shift_domain: Literal["compressed", "linear"] = "compressed"
    exposure: float = 2.0
    permute: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.shift < math.inf and 0.0 <= self.exposure <= 16.0 and 0.0 <= self.permute <= 1.0):
            raise ValueError(f"shift and permute must not be negative, exposure not above 16 stops: {self}")
        if self.flips not in (True, False, "across"):
            raise ValueError(f"flips {self.flips!r}: true, false or across")
        if self.shift_domain not in ("compressed", "linear"):
            raise ValueError(f"shift_domain {self.shift_domain!r}: compressed or linear")

    def draw(self, rng: np.random.Generator) -> Draw:
        """One draw: the same from the same state of the generator."""
        across, down, permuted = (float(value) for value in rng.random(3))
        turns, order = int(rng.integers(4)), rng.permutation(3)
        stops, shift = float(rng.uniform(-1.0, 1.0)), rng.uniform(-1.0, 1.0, 3)
        return Draw(
            across=bool(self.flips) and across < 0.5,
            down=self.flips is True and down < 0.5,
            turns=turns if self.rotations else 0,
            gain=2.0 ** (stops * self.exposure),
            order=(int(order[0]), int(order[1]), int(order[2])) if permuted < self.permute else (0, 1, 2),
            shift=tuple(float(value) * self.shift for value in shift),
            shift_domain=self.shift_domain,
        )


@dataclass(frozen=True)
class Draw:
    """One draw of an augmentation.

    Attributes:
        across: Flipped left to right, after the turns.
        down: Flipped top to bottom, after the turns.
        turns: Quarter turns, anticlockwise as the picture is looked at.
        gain: Factor on the beauty in scene-linear light.
        order: Where red, green and blue are taken from.
        shift: Added to red, green and blue.
        shift_domain: In which range.
    """

    across: bool = False
    down: bool = False
    turns: int = 0
    gain: float = 1.0
    order: tuple[int, int, int] = (0, 1, 2)
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)
    shift_domain: Literal["compressed", "linear"] = "compressed"

    def apply(self, lr: Planes, hr: Planes, kinds: Mapping[str, Kind]) -> tuple[dict[str, Float32], dict[str, Float32]]:
        """Augment a pair.

        Args:
            lr: Field name to (height, width, channels); the beauty scene-linear.
            hr: The same fields at twice the size.
            kinds: Field name to kind.

        Returns:
            Both, float32: the beauty in the *compressed* range, all other fields in their own units.

        Raises:
            ValueError: A kind whose geometry under a flip is unknown.
        """
        low, high = self._picture(lr, kinds), self._picture(hr, kinds)
        return low, high

    def moved(self, plane: NDArray[Any], kind: Kind) -> Float32:
        """A field turned and flipped, its components with it.

        Args:
            plane: (height, width, channels). Vectors have x, y (and z) in this order.
            kind: What it is.

        Raises:
            ValueError: A kind whose geometry under a flip is unknown.
        """
        if kind in _UNTURNABLE:
            raise ValueError(f"nobody can say what a flipped {kind} is: leave the field out")
        moved = np.rot90(plane, self.turns)
        if self.across:
            moved = moved[:, ::-1]
        if self.down:
            moved = moved[::-1]
        moved = np.array(moved, np.float32, order="C")
        if kind in _VECTORS:
            x, y = moved[:, :, 0].copy(), moved[:, :, 1].copy()
            for _ in range(self.turns % 4):
                x, y = -y, x
            moved[:, :, 0] = -x if self.across else x
            moved[:, :, 1] = -y if self.down else y
        return moved

    def permuted(self, plane: Float32, kind: Kind) -> Float32:
        """Red, green and blue in their drawn places; anything but colour of three channels as it is."""
        if kind is not Kind.COLOUR or plane.shape[2] != 3 or self.order == (0, 1, 2):
            return plane
        return np.ascontiguousarray(plane[:, :, self.order])

    def compressed(self, linear: Float32) -> Float32:
        """The beauty, scene-linear after exposure, into the compressed range, shifted."""
        shift = np.array(self.shift, np.float32)
        return _CURVE.compress(linear + shift) if self.shift_domain == "linear" else _CURVE.compress(linear) + shift

    def light(self, linear: NDArray[Any]) -> Float32:
        """The beauty moved, permuted and exposed; still scene-linear."""
        return self.permuted(self.moved(linear, Kind.COLOUR), Kind.COLOUR) * np.float32(self.gain)

    def _picture(self, planes: Planes, kinds: Mapping[str, Kind]) -> dict[str, Float32]:
        return {
            name: self.compressed(self.light(plane))
            if name == BEAUTY
            else self.permuted(self.moved(plane, kinds[name]), kinds[name])
            for name, plane in planes.items()
        }
