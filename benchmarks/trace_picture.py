"""The picture of a trace: a row for each thread, a colour for each stage, a bar above for each frame.

deepupscale run shot.####.exr up/ --profile trace.json
python -m benchmarks.trace_picture trace.json trace.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

COLOURS = {
    "digest": "#8c6bb1", "decode": "#4e79a7", "compress": "#f2cf5b", "interpolate": "#edab3a", "network": "#e1575a",
    "assemble": "#9c755f", "convert": "#86bcb6", "encode": "#59a14f", "verify": "#2f8f8b", "sync": "#303c47",
    "wait": "#e9ebee",
}  # fmt: skip
OTHER = "#b07aa1"
LANE, GAP, LEFT, TOP, BOTTOM, FRAME = 56, 22, 70, 44, 40, 18
TICKS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0, 3600.0)


def draw(document: dict[str, Any], width: int = 1400) -> Image.Image:
    """Draw a trace.

    Args:
        document: What ``--profile`` wrote.
        width: Pixels.

    Raises:
        ValueError: It holds no stage.
    """
    events = document["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    spans = [event for event in events if event["ph"] == "X"]
    if not spans:
        raise ValueError("the trace holds no stage")
    lanes = {tid: row for row, tid in enumerate(sorted({event["tid"] for event in spans}))}
    end = max(event["ts"] + event["dur"] for event in spans)
    scale = (width - LEFT - 30) / end
    height = TOP + len(lanes) * (LANE + FRAME + GAP) + BOTTOM
    picture = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    _legend(pen, font, {_stage(event) for event in spans}, width)
    for seconds in _ticks(end / 1e6):
        x = LEFT + 1e6 * seconds * scale
        pen.line((x, TOP - 4, x, height - BOTTOM + 4), "#dddddd")
        pen.text((x, height - BOTTOM + 8), f"{seconds:g} s", "#555555", font, anchor="ma")
    for tid, row in lanes.items():
        top = TOP + row * (LANE + FRAME + GAP)
        pen.text((LEFT - 10, top + FRAME + LANE / 2), names.get(tid, str(tid)), "black", font, anchor="rm")
        for number, (frame, began, ended) in enumerate(_frames(event for event in spans if event["tid"] == tid)):
            x0, x1 = LEFT + began * scale, LEFT + ended * scale
            pen.rectangle((x0, top, max(x0, x1 - 2), top + FRAME - 4), "#cfd6de" if number % 2 else "#dfe4ea")
            if x1 - x0 > pen.textlength(frame, font) + 4:
                pen.text(((x0 + x1) / 2, top + FRAME / 2 - 2), frame, "#333333", font, anchor="mm")
        for event in spans:  # a stage comes before what is in it, and is painted over by it
            if event["tid"] == tid:
                x0 = LEFT + event["ts"] * scale
                x1 = max(x0 + 1, x0 + event["dur"] * scale)
                pen.rectangle((x0, top + FRAME, x1 - 1, top + FRAME + LANE), COLOURS.get(_stage(event), OTHER))
    return picture


def _stage(event: dict[str, Any]) -> str:
    return "wait" if event["name"].startswith("wait ") else event["name"]


def _frames(events: Iterator[dict[str, Any]]) -> Iterator[tuple[str, float, float]]:
    """From when to when a thread was at each frame, waiting left out; the name's last part before .exr."""
    found: dict[str, list[float]] = {}
    for event in events:
        if frame := event["args"].get("frame") if _stage(event) != "wait" else None:
            began, ended = event["ts"], event["ts"] + event["dur"]
            kept = found.setdefault(frame, [began, ended])
            kept[1] = max(kept[1], ended)
    for frame, (began, ended) in found.items():
        yield frame.removesuffix(".exr").rpartition(".")[2], began, ended


def _legend(pen: ImageDraw.ImageDraw, font: Any, stages: set[str], width: int) -> None:
    x = float(LEFT)
    for stage in (*(name for name in COLOURS if name in stages), *sorted(stages - set(COLOURS))):
        pen.rectangle((x, 12, x + 14, 26), COLOURS.get(stage, OTHER), "#999999")
        pen.text((x + 20, 19), stage, "black", font, anchor="lm")
        x += 20 + pen.textlength(stage, font) + 22
        if x > width:
            break


def _ticks(seconds: float) -> Iterator[float]:
    step = next((tick for tick in TICKS_S if seconds / tick <= 14), TICKS_S[-1])
    for number in range(int(seconds / step) + 1):
        yield round(number * step, 4)


def main() -> None:
    """Draw the trace that is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace_picture", description=__doc__)
    parser.add_argument("trace", type=Path, help="what deepupscale run --profile wrote")
    parser.add_argument("picture", type=Path, help="a .png file to write")
    parser.add_argument("--width", type=int, default=1400, help="pixels (1400)")
    options = parser.parse_args()
    try:
        document = json.loads(options.trace.read_text(encoding="utf-8"))
        picture = draw(document, options.width)
        picture.quantize(64).save(options.picture, optimize=True)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{options.trace}: {error}")


if __name__ == "__main__":
    main()
