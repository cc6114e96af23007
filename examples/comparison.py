"""Draw crops side by side: ``python examples/comparison.py PLATE RESULT TRUTH OUT.png X,Y,W,H [X,Y,W,H ...]``.

Rows are crops (in plate pixels), columns are the plate's pixels, Lanczos in linear light, the result, and a render at
twice the size. Scene-linear light is shown through one simple filmic curve; every column gets the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deepupscale import resample

Picture = NDArray[np.float32]
ZOOM = 3  # display pixels for one doubled pixel


def read(path: Path) -> Picture:
    """RGB of a plate's first part, (height, width, 3), scene-linear."""
    return np.ascontiguousarray(np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT))[:, :, :3])


def displayed(light: Picture) -> NDArray[np.uint8]:
    """Scene-linear light to display codes: a shoulder (Reinhard, white at 4) and the sRGB curve."""
    bright = np.clip(light * 1.4, 0.0, None)
    shown = np.clip(bright * (1.0 + bright / 16.0) / (1.0 + bright), 0.0, 1.0)
    code = np.where(shown < 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return np.round(255.0 * code).astype(np.uint8)


def main() -> None:
    plate, result, truth = (read(Path(name)) for name in sys.argv[1:4])
    out, crops = Path(sys.argv[4]), [tuple(map(int, text.split(","))) for text in sys.argv[5:]]
    columns = {
        "plate": plate.repeat(2, 0).repeat(2, 1),
        "Lanczos": resample.double(resample.pad(plate, 3, 3, 3, 3), 3, "lanczos3"),
        "DeepUpscale": result,
        "rendered at 2x": truth,
    }
    width, height, gap, head = crops[0][2] * 2 * ZOOM, crops[0][3] * 2 * ZOOM, 6, 26
    size = (len(columns) * (width + gap) - gap, head + len(crops) * (height + gap) - gap)
    sheet = Image.new("RGB", size, (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for i, (name, picture) in enumerate(columns.items()):
        draw.text((i * (width + gap) + 4, 4), name, (230, 230, 230), ImageFont.load_default(16))
        for j, (x, y, w, h) in enumerate(crops):
            crop = Image.fromarray(displayed(picture[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)]))
            crop = crop.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(crop, (i * (width + gap), head + j * (height + gap)))
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main()
