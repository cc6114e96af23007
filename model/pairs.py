"""Training pairs: HDR images, and low-resolution patches made from them by pixel filters in scene-linear light."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double, kernel_radius
from model.augment import Augmentation
from model.pixel_filters import Float32, blackman_harris, box, draw_filter, gaussian, reduce, reduce_whole

CURVE = RangeCompression()
UPSAMPLE = "cubic"
MARGIN = kernel_radius(UPSAMPLE)  # LR pixels of context that the fixed upsample needs
FILTER_CONTEXT = 3  # HR pixels that the widest pixel filter reaches beyond the LR pixel's own area
BLOCK = 16  # side of the squares that importance is measured on

# Plates that are only ever evaluated on. Both first Beachball frames show the same picture.
HELD_OUT = (
    "ScanLines_StillLife",
    "ScanLines_Carrots",
    "Beachball_singlepart.0004",
    "Beachball_multipart.0001",
    "Beachball_singlepart.0001",
)
# Synthetic test charts: neither trained nor evaluated on.
CHARTS = ("TestImages_", "DisplayWindow_")


@dataclass
class HdrImage:
    """One scene-linear picture.

    Attributes:
        name: Where it comes from.
        pixels: (height, width, 3) float32, scene-linear; may hold NaN and Inf.
        weight: How often it is drawn, relative to the others of its kind.
        chances: Cumulative importance of its BLOCK-sided squares, row by row; ends at 1.
    """

    name: str
    pixels: Float32
    weight: float = 1.0
    chances: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        importance = _importance(self.pixels).astype(np.float64).ravel()
        total = importance.sum()
        self.chances = np.cumsum(importance / total if total > 0.0 else np.full(importance.size, 1 / importance.size))


def _importance(pixels: Float32) -> Float32:
    """Per square: what interpolation misses there in the compressed range, and a little for light above 1."""
    clean = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    small = CURVE.compress(reduce_whole(clean, box(), 2))
    padded = np.pad(small, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
    doubled = double(padded, MARGIN, UPSAMPLE)
    rows, columns = doubled.shape[0] // BLOCK, doubled.shape[1] // BLOCK
    clean = clean[: rows * BLOCK, : columns * BLOCK]
    missed = np.abs(doubled[: rows * BLOCK, : columns * BLOCK] - CURVE.compress(clean)).mean(axis=2)
    worth = missed + 0.002 * (clean.max(axis=2) > 1.0)
    return worth.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)) + np.float32(1e-5)


def read_layers(path: Path) -> list[tuple[str, Float32]]:
    """Every RGB layer of every part of an EXR, its data window only, as (name, (height, width, 3) float32)."""
    plate = oiio.ImageInput.open(str(path))
    if plate is None:
        raise OSError(f"cannot read {path}: {oiio.geterror()}")
    layers: list[tuple[str, Float32]] = []
    part = 0
    while plate.seek_subimage(part, 0):
        spec = plate.spec()
        names = list(spec.channelnames)
        prefixes = [name[:-1] for name in names if name == "R" or name.endswith(".R")]
        prefixes = [p for p in prefixes if p + "G" in names and p + "B" in names]
        if prefixes:
            values = plate.read_image(part, 0, 0, spec.nchannels, "float")
            if values is None:
                raise OSError(f"cannot read part {part} of {path}: {plate.geterror()}")
            for prefix in prefixes:
                rgb = np.ascontiguousarray(values[:, :, [names.index(prefix + c) for c in "RGB"]], np.float32)
                layers.append((f"{path.name}:{part}:{prefix or 'rgb'}", rgb))
        part += 1
    plate.close()
    return layers


def plate_files(folders: list[Path], held_out: bool) -> list[Path]:
    """EXR files of these folders that are trained on, or with ``held_out`` those that are only evaluated on."""
    files = sorted(file for folder in folders for file in folder.glob("*.exr"))
    return [f for f in files if not f.name.startswith(CHARTS) and f.name.startswith(HELD_OUT) == held_out]


def training_images(folders: list[Path], smallest: int) -> list[HdrImage]:
    """All plates to train on, each also at half its size, where soft photographs become crisp.

    Args:
        folders: Searched for ``*.exr``, not below.
        smallest: Least side in pixels that a patch is cut from; smaller pictures are left out.
    """
    images: list[HdrImage] = []
    for file in plate_files(folders, held_out=False):
        layers = read_layers(file)
        seen: list[Float32] = []
        for _, rgb in layers:
            if any(np.array_equal(rgb, other, equal_nan=True) for other in seen):
                continue  # the same view stored twice
            seen.append(rgb)
        # Views and parts of one file share its weight. Rendered balls with little detail count less.
        weight = (0.25 if file.name.startswith("Beachball") else 1.0) / max(1, len(seen))
        for index, rgb in enumerate(seen):
            half = reduce_whole(rgb, gaussian(0.4) if index % 2 else blackman_harris(), 2)
            for name, pixels in ((f"{file.name}:{index}", rgb), (f"{file.name}:{index}:half", half)):
                if min(pixels.shape[:2]) >= smallest:
                    images.append(HdrImage(name, pixels, weight))
    return images


class PatchSampler:
    """Cuts patches and makes pairs of them.

    Args:
        groups: Pictures by kind, with the share of patches that each kind gets.
        patch: Side of the low-resolution patch in pixels, without margin.
        augmentation: Drawn from once a patch.
    """

    def __init__(
        self,
        groups: list[tuple[float, list[HdrImage]]],
        patch: int,
        augmentation: Augmentation = Augmentation(permute=0.3),  # noqa: B008  it is frozen
    ) -> None:
        self.patch = patch
        self.augmentation = augmentation
        self.crop = crop_side(patch)
        kept = [(share, images) for share, images in groups if images]
        shares = np.array([share for share, _ in kept])
        self.images = [image for _, images in kept for image in images]
        chances: list[float] = []
        for share, (_, images) in zip(shares / shares.sum(), kept, strict=True):
            total = sum(image.weight for image in images)
            chances += [share * image.weight / total for image in images]
        self.chances = np.cumsum(chances)

    def draw(self, rng: np.random.Generator) -> tuple[Float32, Float32]:
        """One augmented pair in the compressed range.

        Returns:
            LR (patch + 2 MARGIN, patch + 2 MARGIN, 3) and HR (2 patch, 2 patch, 3), float32. Nothing non-finite.
        """
        for _ in range(100):
            image = self.images[min(int(np.searchsorted(self.chances, rng.random())), len(self.images) - 1)]
            crop = self._cut(image, rng)
            if np.isfinite(crop).all():
                return self._augmented_pair(crop, rng)
        raise ValueError("a hundred patches in a row held NaN or Inf: the plates are not fit for training")

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Float32, Float32]:
        """``size`` pairs, stacked in front: (size, height, width, 3) each."""
        pairs = [self.draw(rng) for _ in range(size)]
        return np.stack([lr for lr, _ in pairs]), np.stack([hr for _, hr in pairs])

    def _cut(self, image: HdrImage, rng: np.random.Generator) -> Float32:
        """A square anywhere; more often than not about a square of pixels that interpolation does badly."""
        height, width = image.pixels.shape[:2]
        if rng.random() < 0.6:
            square = min(int(np.searchsorted(image.chances, rng.random())), image.chances.size - 1)
            row, column = divmod(square, width // 2 * 2 // BLOCK)
            y, x = (
                BLOCK * at - self.crop // 2 + int(rng.integers(-self.crop // 3, self.crop // 3)) for at in (row, column)
            )
        else:
            y, x = int(rng.integers(0, height - self.crop + 1)), int(rng.integers(0, width - self.crop + 1))
        y, x = min(max(y, 0), height - self.crop), min(max(x, 0), width - self.crop)
        return image.pixels[y : y + self.crop, x : x + self.crop]

    def _augmented_pair(self, crop: Float32, rng: np.random.Generator) -> tuple[Float32, Float32]:
        drawn = self.augmentation.draw(rng)
        lr, hr = degrade(drawn.light(crop), draw_filter(rng).taps(2))
        return drawn.compressed(lr), drawn.compressed(hr)


def crop_side(patch: int) -> int:
    """Side of the HR square that a pair with this LR patch is made from."""
    return 2 * (patch + 2 * MARGIN) + 2 * FILTER_CONTEXT


def degrade(crop: Float32, taps: list[float]) -> tuple[Float32, Float32]:
    """A pair out of one HR square of :func:`crop_side`.

    Args:
        crop: (side, side, 3) scene-linear.
        taps: A pixel filter's taps for factor 2, eight at most.

    Returns:
        LR with MARGIN pixels of context, and the HR pixels under it without that margin; both scene-linear.
    """
    spare = FILTER_CONTEXT - (len(taps) - 2) // 2
    if spare < 0:
        raise ValueError(f"a filter of {len(taps)} taps reaches beyond the {FILTER_CONTEXT} pixels of context")
    low = reduce(crop[spare : crop.shape[0] - spare, spare : crop.shape[1] - spare], taps, 2)
    border = FILTER_CONTEXT + 2 * MARGIN
    return low, crop[border:-border, border:-border]


def upsample_batch(lr: Float32) -> Float32:
    """The fixed upsample of (batch, height, width, 3) patches that carry MARGIN pixels of context."""
    count, height, width, channels = lr.shape
    side_by_side = lr.transpose(1, 2, 0, 3).reshape(height, width, count * channels)
    doubled = double(np.ascontiguousarray(side_by_side), MARGIN, UPSAMPLE)
    return doubled.reshape(*doubled.shape[:2], count, channels).transpose(2, 0, 1, 3)
