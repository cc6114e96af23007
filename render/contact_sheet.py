"""Contact sheets: a set of training pairs as pictures that a person can look through.

Every pair shows LR, upsampled by the fixed interpolation that the network corrects; HR; and what `render.coherence`
sees differ between them. LR and HR share one exposure, taken from HR's median, and one soft curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import MissingExtraError, UsageError, one_line
from deepupscale.plate import Limits
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double, kernel_radius, pad
from deepupscale.temporary import whole
from render.coherence import difference_picture, fault, measure
from render.comparable import SMALLEST
from render.display import codes, displayed, exposure_of
from render.manifest import MANIFEST, PairRecord, read
from render.pair_files import plain_pairs, read_pair

if TYPE_CHECKING:
    from PIL.Image import Image

Float32 = NDArray[np.float32]
Only = Literal["all", "accepted", "rejected"]

CURVE = RangeCompression()
UPSAMPLE = "cubic"
FULL_SCALE = 0.05  # compressed range: the difference that is shown as white, or as black when negative
COLUMNS = 2  # pairs side by side
ROWS = 12  # rows of pairs on a page
MOST_PAGE_PIXELS = 1 << 26
WIDEST = 4096
GAP = 6  # pixels
GROUND, INK, GOOD, BAD = (24, 24, 24), (200, 200, 200), (120, 200, 120), (240, 120, 100)


@dataclass(frozen=True)
class SheetPair:
    """One pair to show.

    Attributes:
        name: What it is called.
        lr: Its 1x render.
        hr: Its 2x render.
        kind: What scene it shows; may be empty.
        samples: Of the renders; may be empty.
        reason: Why it is rejected; empty when accepted; None when nobody said: then it is measured.
        figures: Of `render.coherence`; empty: then it is measured.
    """

    name: str
    lr: Path
    hr: Path
    kind: str = ""
    samples: str = ""
    reason: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_record(cls, folder: Path, record: PairRecord) -> SheetPair:
        """A pair of a manifest."""
        reason = "" if record.status == "accepted" else record.reason or "no reason given"
        kind, samples = (one_line(str(d.get(k, ""))) for d, k in ((record.scene, "kind"), (record.render, "samples")))
        return cls(record.name, folder / record.lr, folder / record.hr, kind, samples, reason, record.coherence)


def pairs_of(folder: Path, only: Only = "all", limit: int = 0) -> list[SheetPair]:
    """The pairs of a folder that render-pairs made, or of one with lr/ and hr/.

    Args:
        folder: With a manifest.jsonl, or with lr/NAME.exr and hr/NAME.exr.
        only: By the manifest's status; a folder without a manifest has only "all".
        limit: At most so many, spread evenly over the set; 0 for all.

    Raises:
        UsageError: No pairs there, or none of that status.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder")
    if (folder / MANIFEST).exists():
        records = [record for record in read(folder) if only in ("all", record.status)]
        if not records:
            raise UsageError(f"{folder}: its manifest lists no {'' if only == 'all' else only + ' '}pairs")
        pairs = [SheetPair.of_record(folder, record) for record in records]
    elif only != "all":
        raise UsageError(f"{folder}: has no {MANIFEST} to tell which pairs are {only}")
    else:
        pairs = [SheetPair(*found) for found in plain_pairs(folder)]
    if 0 < limit < len(pairs):
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, limit).round().astype(int)]
    return pairs


def contact_sheet(
    pairs: Sequence[SheetPair], out: Path, width: int = 320, rows: int = ROWS, limits: Limits | None = None
) -> list[Path]:
    """Write the pairs as PNG pages; OUT.png, or OUT.1.png, OUT.2.png and so on when they do not fit on one.

    Args:
        pairs: What to show, at least one.
        out: Ends in .png; its folder is there. Files are replaced, each whole or not at all.
        width: Of every picture, in pixels, 32 to 4096.
        rows: Of pairs on a page, at most; fewer where the page would grow beyond 64 million pixels.
        limits: Caps on what the EXRs may claim.

    Returns:
        The pages.

    Raises:
        UsageError: No pairs, or an output that cannot be meant.
        PlateError: A pair that cannot be read.
        WriteError: A page that could not be written.
        MissingExtraError: Pillow is not installed.
    """
    _require_pillow()
    if not pairs:
        raise UsageError(f"{out}: there are no pairs to show")
    if not 32 <= width <= WIDEST:
        raise UsageError(f"--width {width}: 32 to {WIDEST} pixels")
    columns = min(COLUMNS, len(pairs))
    row_pixels = columns * 3 * (width + GAP) * (2 * width + 100)
    on_page = columns * max(1, min(rows, MOST_PAGE_PIXELS // row_pixels))
    groups = [pairs[at : at + on_page] for at in range(0, len(pairs), on_page)]
    digits = len(str(len(groups)))
    pages = [out] if len(groups) == 1 else [out.with_suffix(f".{n + 1:0{digits}d}.png") for n in range(len(groups))]
    _check_targets(out, pages)
    for page, group in zip(pages, groups, strict=True):
        _save(_page(group, columns, width, limits), page)
    return pages


# ---- pictures: (height, width, 3) float32, display values 0 to 1 unless said otherwise


def shown(lr: Float32, hr: Float32) -> tuple[Float32, Float32, Float32]:
    """What a pair's row shows.

    Args:
        lr: (height, width, 3), scene-linear.
        hr: (2 height, 2 width, 3), scene-linear.

    Returns:
        LR upsampled and HR, both of HR's size; the difference, of LR's size, mid-grey where there is none.
    """
    known = [np.nan_to_num(np.clip(picture, -65504.0, 65504.0)) for picture in (lr, hr)]
    radius = kernel_radius(UPSAMPLE)
    upsampled = CURVE.expand(double(pad(CURVE.compress(known[0]), *[radius] * 4), radius, UPSAMPLE))
    exposure = exposure_of(known[1])
    if min(lr.shape[:2]) < SMALLEST:  # too small to be measured
        difference = np.full(lr.shape, 0.5, np.float32)
    else:
        difference = np.clip(0.5 + difference_picture(lr, hr) / (2.0 * FULL_SCALE), 0.0, 1.0)
    return displayed(upsampled * exposure), displayed(known[1] * exposure), difference


def _thumbnail(picture: Float32, width: int) -> Image:
    """By area when reduced; a picture more than twice as tall as wide is fitted into that."""
    from PIL import Image

    height = picture.shape[0] * width // picture.shape[1]
    size = (width, max(1, height)) if height <= 2 * width else (max(1, 2 * width * width // height), 2 * width)
    how = Image.Resampling.BOX if size[0] <= picture.shape[1] else Image.Resampling.BICUBIC
    return Image.fromarray(codes(picture)).resize(size, how)


# ---- words


def _captions(pair: SheetPair, lr: Float32, hr: Float32) -> tuple[str, str, tuple[int, int, int]]:
    """Name and verdict; figures; the verdict's colour."""
    figures, reason = pair.figures, pair.reason
    if not figures and min(lr.shape[:2]) >= SMALLEST:
        found = measure(lr, hr)
        figures, reason = found.as_dict(), fault(found) if reason is None else reason
    verdict = "not judged" if reason is None else f"rejected: {reason}" if reason else "accepted"
    first = " | ".join(part for part in (pair.name, pair.kind, verdict) if part)
    size = f"{lr.shape[1]} x {lr.shape[0]}"
    second = [size, f"{pair.samples} samples" if pair.samples else ""]
    second += [_figure(figures, *words) for words in _FIGURES]
    colour = INK if reason is None else BAD if reason else GOOD
    return one_line(first), one_line(" | ".join(part for part in second if part)), colour


_FIGURES = (  # label, names, format
    ("shift", ("shift", "worst_shift"), ".2f"),
    ("difference", ("difference", "worst_difference"), ".4f"),
    ("offset", ("offset",), "+.4f"),
    ("edges", ("edges", "worst_edges"), ".2f"),
    ("detail", ("detail",), ".2f"),
)


def _figure(figures: dict[str, Any], label: str, names: tuple[str, ...], style: str) -> str:
    """``shift +0.01 -0.00 / 0.03``; empty where a manifest holds no such numbers."""
    groups: list[str] = []
    for name in names:
        value = figures.get(name)
        numbers = value if isinstance(value, list | tuple) else [value]
        if not numbers or not all(isinstance(number, int | float) for number in numbers):
            return ""
        groups.append(" ".join(format(number, style) for number in numbers))
    return f"{label} {' / '.join(groups)}"


# ---- the page


def _page(pairs: Sequence[SheetPair], columns: int, width: int, limits: Limits | None) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(max(9, min(16, width // 24)))
    line = round(font.getbbox("Ag")[3] * 1.3)
    cells: list[tuple[list[Image], tuple[str, str, tuple[int, int, int]]]] = []
    for pair in pairs:
        lr, hr = read_pair(pair.lr, pair.hr, limits)
        cells.append(([_thumbnail(picture, width) for picture in shown(lr, hr)], _captions(pair, lr, hr)))
    rows = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    tall = [max(picture.height for pictures, _ in row for picture in pictures) for row in rows]
    cell_width = 3 * (width + GAP) + 2 * GAP
    head = line + 2 * GAP
    sheet = Image.new("RGB", (columns * cell_width + GAP, head + sum(tall) + len(rows) * (2 * line + 4 * GAP)), GROUND)
    draw = ImageDraw.Draw(sheet)

    def write(x: int, y: int, words: str, colour: tuple[int, int, int], room: int) -> None:
        while words and draw.textlength(words, font) > room:
            words = words.removesuffix("...")[:-1] + "..." if len(words) > 4 else ""
        draw.text((x, y), words, colour, font)

    scale = f"grey 0, white +{FULL_SCALE}, black -{FULL_SCALE} of the compressed range"
    legend = f"LR upsampled  |  HR  |  HR minus LR, low-passed: {scale}"
    write(2 * GAP, GAP, legend, INK, columns * cell_width - 2 * GAP)
    y = head
    for row, height in zip(rows, tall, strict=True):
        for column, (pictures, (first, second, colour)) in enumerate(row):
            left = GAP + column * cell_width
            for place, picture in enumerate(pictures):
                sheet.paste(picture, (left + GAP + place * (width + GAP), y))
            below = y + max(picture.height for picture in pictures) + GAP // 2
            write(left + GAP, below, first, colour, cell_width - 2 * GAP)
            write(left + GAP, below + line, second, INK, cell_width - 2 * GAP)
        y += height + 2 * line + 4 * GAP
    return sheet


# ---- files


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise MissingExtraError("contact-sheet", "pillow", "train") from None


def _check_targets(out: Path, pages: list[Path]) -> None:
    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: a contact sheet is a .png file")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}")
    for page in (out, *pages):
        if page.is_dir():
            raise UsageError(f"{page}: is a folder, not a file to write to")


def _save(sheet: Image, page: Path) -> None:
    with whole(page) as file:
        sheet.save(file, "PNG")
