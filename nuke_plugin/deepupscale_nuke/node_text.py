"""The gizmo and the Group as text, made from the table of knobs: ``python -m deepupscale_nuke.node_text FOLDER``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deepupscale_nuke.knobs import BUTTON, ENUM, GROUP, KNOBS, LINK, TAB, WORDS, Knob

EVERY_FRAME = 1_000_000  # the Read takes any frame for its own file: a missing one is an error, never a held neighbour
STALE = "DeepUpscale: the cache is missing or stale: press Upscale range, or run the prepass"
TIP = "Doubles a plate with a learned network, in a worker process of its own."
TILE = "0x3f6fa0ff"
ABSENT = "DeepUpscale's plugin is not on this machine: see docs/nuke.md"

CALLBACK = """try:
    import deepupscale_nuke.events
except ImportError:
    pass
else:
    deepupscale_nuke.events.{0}(nuke.thisNode(){1})"""
PRESS = """try:
    import deepupscale_nuke.panel
except ImportError:
    if nuke.GUI:
        nuke.message("{1}")
else:
    deepupscale_nuke.panel.press(nuke.thisNode(), "{0}")"""

INSIDE = """ Input {
  inputs 0
  name Plate
  xpos 0
  ypos 0
 }
set NPLATE [stack 0]
 Unpremult {
  alpha none
  name Unpremult1
  xpos -220
  ypos 80
 }
 Write {
  file ""
  file_type exr
  channels all
  raw true
  create_directories true
  datatype "32 bit float"
  compression "Zip (1 scanline)"
  metadata "all metadata"
  write_hash true
  disable true
  name Pull
  xpos -220
  ypos 160
 }
 Input {
  inputs 0
  name Mask
  number 1
  xpos 440
  ypos 0
 }
set NMASK [stack 0]
 Reformat {
  type scale
  scale 4
  filter Cubic
  pbb true
  name Mask4x
  xpos 550
  ypos 80
 }
push $NMASK
 Reformat {
  type scale
  scale 2
  filter Cubic
  pbb true
  name Mask2x
  xpos 440
  ypos 80
 }
 Switch {
  inputs 2
  which {{parent.scale}}
  name MaskScale
  xpos 440
  ypos 160
 }
set NMASKED [stack 0]
push $NPLATE
 Reformat {
  type scale
  scale 4
  filter Cubic
  pbb true
  name Plate4x
  xpos 220
  ypos 80
 }
push $NPLATE
 Reformat {
  type scale
  scale 2
  filter Cubic
  pbb true
  name Plate2x
  xpos 110
  ypos 80
 }
 Switch {
  inputs 2
  which {{parent.scale}}
  name PlateScale
  xpos 110
  ypos 160
 }
set NFILTERED [stack 0]
 Read {
  inputs 0
  file ""
  first -%(every)d
  last %(every)d
  origfirst -%(every)d
  origlast %(every)d
  raw true
  on_error error
  name Back
  xpos 0
  ypos 160
 }
 Premult {
  alpha none
  name Premult1
  xpos 0
  ypos 260
 }
 Assert {
  expression {{parent.ready}}
  message "%(stale)s"
  name Fresh
  xpos 0
  ypos 320
 }
 FrameRange {
  first_frame 1
  last_frame 1
  name Range
  xpos 0
  ypos 380
 }
set NDONE [stack 0]
push $NMASKED
push $NDONE
push $NFILTERED
 Merge2 {
  inputs 2+1
  operation copy
  Achannels all
  Bchannels all
  output all
  maskChannelMask none
  inject {{MergeImage.inject}}
  invert_mask {{MergeImage.invert_mask}}
  mix {{MergeImage.mix}}
  name MergeMask
  xpos 330
  ypos 480
 }
push $NDONE
push $NFILTERED
 Merge2 {
  inputs 2
  operation copy
  Achannels all
  Bchannels all
  output all
  name MergeImage
  xpos 110
  ypos 480
 }
push $NDONE
 Switch {
  inputs 3
  which {{parent.route}}
  name Route
  xpos 0
  ypos 560
 }
set NROUTE [stack 0]
push $NFILTERED
push $NROUTE
 Switch {
  inputs 2
  which {{parent.bypass}}
  name Bypass
  xpos 0
  ypos 640
 }
 Output {
  name Output1
  xpos 0
  ypos 720
 }
end_group
"""


def quote(text: str) -> str:
    """Text between quotes as Tcl wants it."""
    return '"' + re.sub(r'(["\\\[\]{}$])', r"\\\1", text).replace("\n", "\\n") + '"'


def described(knob: Knob) -> str:
    """The ``addUserKnob`` line of a knob."""
    words = [str(knob.kind), knob.name, "l", quote(knob.label)]
    if knob.tip:
        words += ["t", quote(knob.tip)]
    if not knob.line:
        words.append("-STARTLINE")
    if knob.kind == ENUM:
        words += ["M", "{" + " ".join(knob.items) + "}"]
    elif knob.kind == LINK:
        words += ["T", knob.target]
    elif knob.kind == BUTTON:
        words += ["T", quote(PRESS.format(knob.action, ABSENT))]
    elif knob.kind == WORDS and knob.name in {"status", "about"}:
        words += ["T", quote("not upscaled yet" if knob.name == "status" else "DeepUpscale")]
    if knob.hidden:
        words.append("+INVISIBLE")
    return " addUserKnob {" + " ".join(words) + "}"


def node_text(gizmo: bool) -> str:
    """The whole file: a gizmo, or a Group that needs no plugin to show what is cached."""
    lines: list[str] = ["#! /usr/local/Nuke14.0v1/Nuke14.0 -nx"] if gizmo else ["set cut_paste_input [stack 0]"]
    lines += ["version 14.0 v1", "Gizmo {" if gizmo else "Group {"]
    lines += [] if gizmo else [" inputs 2", f" name {GROUP}1"]
    lines += [
        f" help {quote(TIP)}",
        f" tile_color {TILE}",
        f" onCreate {quote(CALLBACK.format('on_create', ''))}",
        f" knobChanged {quote(CALLBACK.format('knob_changed', ', nuke.thisKnob()'))}",
    ]
    for knob in KNOBS:
        lines.append(described(knob))
        if knob.default and knob.kind not in {TAB, WORDS, LINK}:
            lines.append(f" {knob.name} {knob.default}")
    return "\n".join([*lines, "}"]) + "\n" + INSIDE % {"every": EVERY_FRAME, "stale": STALE}


def write(folder: Path) -> list[Path]:
    """Write both files."""
    files = {folder / f"{GROUP}.gizmo": node_text(True), folder / f"{GROUP}_group.nk": node_text(False)}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
