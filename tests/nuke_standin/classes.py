"""The node classes that the stand-in carries: inputs, knobs, defaults.

Names and defaults are those that scripts of public projects show; Assert's and Keymix's are from memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import knob_arrays as kb
from . import knob_choices as kc
from . import knobs as kn
from .errors import StandInError
from .knob_base import Knob

Maker = Callable[[], Knob]


def make(kind: type, name: str, default: Any = None, *args: Any) -> Maker:
    """A knob that will be made for every node, with the default that scripts leave out."""

    def build() -> Knob:
        knob = kind(name, None, *args)
        if default is not None:
            knob._read(default)
        if hasattr(knob, "_default"):
            knob._default = knob._text()
        return knob

    return build


def text(*names: str) -> list[Maker]:
    """Text knobs that start empty."""
    return [make(kn.String_Knob, name) for name in names]


def code(*names: str) -> list[Maker]:
    """Python knobs that start empty."""
    return [make(kn.PythonKnob, name) for name in names]


def flags(*names: str) -> list[Maker]:
    """Tick boxes that start off."""
    return [make(kb.Boolean_Knob, name) for name in names]


def ints(**defaults: int) -> list[Maker]:
    """Whole numbers."""
    return [make(kb.Int_Knob, name, str(value)) for name, value in defaults.items()]


def reals(**defaults: float) -> list[Maker]:
    """Numbers."""
    return [make(kb.Double_Knob, name, str(value)) for name, value in defaults.items()]


def choice(name: str, items: str, default: str | None = None) -> Maker:
    """A choice among items between bars; the first is the default unless one is named."""
    split = items.split("|")
    return make(kc.Enumeration_Knob, name, default or split[0], split)


def mask(name: str, default: str) -> Maker:
    """Channels."""
    return make(kc.ChannelMask_Knob, name, default)


def channel(name: str, default: str) -> Maker:
    """One channel."""
    return make(kc.Channel_Knob, name, default)


@dataclass(frozen=True)
class Kind:
    """One class of node.

    Attributes:
        inputs: How many inputs there may be, a mask included; None for a Group, which counts its Input nodes.
        optional: Inputs that may be empty.
        mask: The input that is a mask.
    """

    name: str
    inputs: int | None = 1
    optional: tuple[int, ...] = ()
    mask: int | None = None
    knobs: list[Maker] = field(default_factory=list)
    executes: bool = False


COMMON: list[Maker] = [
    make(kn.String_Knob, "name"),
    make(kn.Multiline_Eval_String_Knob, "label"),
    *text("help", "note_font", "icon"),
    *code("onCreate", "onDestroy", "knobChanged", "updateUI", "autolabel"),
    *(make(kb.ColorChip_Knob, name) for name in ("tile_color", "gl_color", "note_font_color")),
    *flags("selected", "hide_input", "cached", "postage_stamp", "dope_sheet", "bookmark"),
    *ints(xpos=0, ypos=0, indicators=0),
    *reals(note_font_size=11),
    make(kb.Disable_Knob, "disable"),
]
RENDER = code("beforeRender", "beforeFrameRender", "afterFrameRender", "afterRender", "renderProgress")
SPACES = "default|linear|sRGB"
MASKED: list[Maker] = [
    channel("maskChannelInput", "none"),
    channel("maskChannelMask", "rgba.alpha"),
    *flags("inject", "invert_mask", "fringe"),
    *reals(mix=1),
]
COMPRESSION = "none|Zip (1 scanline)|Zip (16 scanlines)|PIZ Wavelet (32 scanlines)|RLE|B44|B44A|DWAA|DWAB"
MERGES = "over|under|plus|minus|from|multiply|min|max|screen|difference|average|copy|in|out|mask|stencil"
FILTERS = "Impulse|Cubic|Keys|Simon|Rifman|Mitchell|Parzen|Notch|Lanczos4|Lanczos6|Sinc4|Nearest"

KINDS: dict[str, Kind] = {}


def _add(name: str, *knobs: Maker, **rest: Any) -> None:
    KINDS[name] = Kind(name, knobs=list(knobs), **rest)


_add("Dot")
_add("NoOp")
_add("Input", make(kb.Int_Knob, "number", "0"), inputs=0)
_add("Output")
_add("StickyNote", inputs=0)
_add("BackdropNode", *ints(bdwidth=80, bdheight=80, z_order=0), inputs=0)
_add(
    "Viewer", *reals(gain=1, gamma=1), *text("viewerProcess", "frame_range"), *ints(frame=1), *reals(fps=24), inputs=10
)
_add("Group", inputs=None)
_add("Switch", *reals(which=0), inputs=10, optional=tuple(range(10)))
_add("Assert", make(kb.Array_Knob, "expression", "1"), *text("message"))
_add(
    "Read",
    make(kn.File_Knob, "file"),
    make(kn.File_Knob, "proxy"),
    make(kc.Format_Knob, "format"),
    make(kc.Format_Knob, "proxy_format"),
    choice("file_type", "|exr"),
    *ints(first=1, last=1, origfirst=1, origlast=1, version=0),
    choice("before", "hold|loop|bounce|black"),
    choice("after", "hold|loop|bounce|black"),
    choice("frame_mode", "expression|start at|offset"),
    *text("frame"),
    *flags("origset", "raw", "premultiplied", "auto_alpha", "cacheLocalToggle"),
    choice("on_error", "error|black|checkerboard|nearest frame"),
    choice("localizationPolicy", "fromAutoLocalizePath|on|off|onDemand"),
    choice("colorspace", SPACES),
    make(kn.Script_Knob, "reload"),
    inputs=1,
    optional=(0,),
)
_add(
    "Write",
    make(kn.File_Knob, "file"),
    make(kn.File_Knob, "proxy"),
    choice("file_type", "|exr"),
    choice("colorspace", SPACES),
    *flags("raw", "premultiplied", "autocrop", "noprefix", "create_directories", "use_limit", "reading"),
    make(kb.Boolean_Knob, "write_hash", "true"),
    make(kb.Boolean_Knob, "checkHashOnRead", "true"),
    mask("channels", "rgb"),
    choice("datatype", "16 bit half|32 bit float"),
    choice("compression", COMPRESSION, "Zip (1 scanline)"),
    *reals(dw_compression_level=45, render_order=1),
    choice("metadata", "no metadata|default metadata|all metadata", "default metadata"),
    choice("interleave", "channels, layers and views|channels and layers|channels"),
    choice("on_error", "error|black|checkerboard|read input"),
    *text("views", "heroview", "first_part", "ocioColorspace", "display", "view"),
    *ints(first=1, last=1, version=0),
    choice("frame_mode", "expression|start at|offset"),
    *text("frame"),
    make(kn.Script_Knob, "Render"),
    make(kn.Script_Knob, "reload"),
    *RENDER,
    executes=True,
)
_add(
    "Crop",
    make(kb.BBox_Knob, "box"),
    *flags("reformat", "intersect"),
    make(kb.Boolean_Knob, "crop", "true"),
    *reals(softness=0),
)
_add(
    "Reformat",
    choice("type", "to format|to box|scale"),
    make(kc.Format_Knob, "format"),
    *ints(box_width=200, box_height=200),
    *reals(box_pixel_aspect=1, scale=1),
    *flags("box_fixed", "flip", "flop", "turn", "clamp", "black_outside", "pbb"),
    make(kb.Boolean_Knob, "center", "true"),
    choice("resize", "none|width|height|fit|fill|distort", "width"),
    choice("filter", FILTERS, "Cubic"),
)
_add(
    "Merge2",
    choice("operation", MERGES),
    choice("bbox", "union|intersection|A|B"),
    mask("Achannels", "rgba"),
    mask("Bchannels", "rgba"),
    mask("output", "rgba"),
    mask("also_merge", "none"),
    *MASKED,
    inputs=3,
    optional=(1, 2),
    mask=2,
)
_add("Dissolve", *reals(which=0), mask("channels", "all"), *MASKED, inputs=3, optional=(1, 2), mask=2)
_add(
    "Keymix",
    mask("channels", "all"),
    channel("maskChannel", "rgba.alpha"),
    *flags("invertMask"),
    *reals(mix=1),
    choice("bbox", "union|intersection|A|B"),
    inputs=3,
    optional=(1, 2),
    mask=2,
)
_add(
    "ChannelMerge",
    channel("A", "rgba.alpha"),
    channel("B", "rgba.alpha"),
    channel("output", "rgba.alpha"),
    choice("operation", "union|plus|minus|multiply|min|max|copy"),
    choice("bbox", "union|intersection|A|B"),
    *reals(mix=1),
    inputs=2,
)
_add(
    "Copy",
    *(channel(f"{end}{n}", "rgba.alpha" if n == 0 else "none") for n in range(4) for end in ("from", "to")),
    mask("channels", "none"),
    choice("bbox", "union|intersection|A|B"),
    *reals(mix=1),
    inputs=2,
)
_add("FrameRange", *ints(first_frame=1, last_frame=100))
_add(  # its panel's names; how Nuke spells Iterations and Lambda in scripts is inference
    "TVIScale",
    mask("channels", "all"),
    *ints(Iterations=5),
    *reals(Lambda=5, A=0.0001),
    *MASKED,
    inputs=2,
    optional=(1,),
    mask=1,
)
for _name in ("Premult", "Unpremult"):
    _add(_name, mask("channels", "rgb"), channel("alpha", "rgba.alpha"), *flags("invert"))
_add(
    "Constant",
    mask("channels", "rgb"),
    make(kb.AColor_Knob, "color"),
    make(kc.Format_Knob, "format"),
    *ints(first=1, last=1),
    inputs=0,
)
_add(
    "Grade",
    mask("channels", "rgb"),
    *(make(kb.AColor_Knob, name) for name in ("blackpoint", "black", "add")),
    *(make(kb.AColor_Knob, name, "1") for name in ("whitepoint", "white", "multiply", "gamma")),
    *flags("reverse", "white_clamp"),
    make(kb.Boolean_Knob, "black_clamp", "true"),
    channel("unpremult", "none"),
    *MASKED,
    inputs=2,
    optional=(1,),
    mask=1,
)
_add(
    "Root",
    make(kc.Format_Knob, "format", "2048 1556 0 0 2048 1556 1 2K_Super_35(full-ap)"),
    make(kc.Format_Knob, "proxy_format"),
    *flags("proxy", "lock_range"),
    choice("proxy_type", "format|scale", "scale"),
    *reals(proxy_scale=0.5, fps=24),
    *ints(first_frame=1, last_frame=100, frame=1),
    make(kn.Views_Knob, "views", "main #ffffff"),
    make(kn.File_Knob, "project_directory"),
    choice("colorManagement", "Nuke|OCIO"),
    *text("OCIO_config", "workingSpaceLUT", "monitorLut", "monitorOutLUT", "int8Lut", "int16Lut", "logLut", "floatLut"),
    *text("hero_view", "defaultViewerLUT"),
    *code("onScriptLoad", "onScriptSave", "onScriptClose"),
    *RENDER,
    inputs=0,
)
ALIASES = {"Merge": "Merge2", "Gizmo": "Group"}


def kind(name: str) -> Kind:
    """A class by name; ``StandInError`` for one that is not carried."""
    if name not in KINDS:
        raise StandInError(f"the stand-in has no node class {name!r}, nor is there such a gizmo on the plugin path")
    return KINDS[name]
