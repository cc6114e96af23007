"""The one table of the node's knobs: the gizmo, the Group, the documents and the code all come from it."""

from __future__ import annotations

from dataclasses import dataclass

NODE_VERSION = 1
STRING, FILE, INT, ENUM, BOOL, TAB, BUTTON, WORDS, LINK = 1, 2, 3, 4, 6, 20, 22, 26, 41
GROUP, DEFAULT_MODEL = "DeepUpscale", "default"
SCALES = ("2x", "4x")
PRECISIONS = ("auto", "f32", "bf16", "f16")


@dataclass(frozen=True)
class Knob:
    """One user knob.

    Attributes:
        kind: The number that ``addUserKnob`` gives.
        target: For a link, the inner node's knob.
        action: For a button, the word that ``panel.press`` takes.
        looks: Whether it changes what the node shows, without asking for new cached frames.
    """

    kind: int
    name: str
    label: str = ""
    tip: str = ""
    items: tuple[str, ...] = ()
    target: str = ""
    default: str = ""
    action: str = ""
    hidden: bool = False
    line: bool = True
    looks: bool = False


KNOBS: tuple[Knob, ...] = (
    Knob(TAB, "deepupscale_tab", "DeepUpscale"),
    Knob(LINK, "channels", "channels", "The channels that are upscaled. What is left out here is not in the result.",
         target="Pull.channels"),
    Knob(ENUM, "model", "model", "The model. The list shows what lies in the folders of DEEPUPSCALE_MODELS, and after "
         "the first upscale also what the engine brings along.", items=(DEFAULT_MODEL,)),
    Knob(ENUM, "scale", "scale", "Twice the size, or four times by two passes.", items=SCALES),
    Knob(BOOL, "useGPUIfAvailable", "Use GPU if available", "Off keeps the worker on the CPU. This never makes cached "
         "frames stale.", default="true"),
    Knob(ENUM, "precision", "precision", "auto takes the fastest precision that the model was verified in on this "
         "machine; f32 is the same everywhere.", items=PRECISIONS, line=False),
    Knob(BOOL, "bypass", "bypass", "Show the plate resized by a plain filter instead: same size and format, no cache "
         "needed.", default="false", looks=True),
    Knob(WORDS, "make_line", "Cache"),
    Knob(STRING, "frames", "frames", "Frames for Upscale range, such as 1001-1010 or 1-9x2. Empty takes the script's "
         "range."),
    Knob(BUTTON, "upscale_frame", "Upscale frame", "Pull and upscale the current frame, all views. Nuke stays usable "
         "meanwhile; Cancel stops within a tile.", action="frame"),
    Knob(BUTTON, "upscale_range", "Upscale range", "Pull and upscale the frames above, all views. Frames that are done "
         "and unchanged are skipped, so pressing it again goes on where it was stopped.", action="range", line=False),
    Knob(BUTTON, "clear_cache", "Clear cache", "Delete this node's cached frames from disk.", action="clear",
         line=False),
    Knob(WORDS, "status", "status", "What the cache holds and what was done last."),
    Knob(WORDS, "mix_line", "Mask"),
    Knob(LINK, "maskChannelInput", "mask", "The channel that limits the effect: of the mask input where one is "
         "connected, else of the plate. Outside it the plate is shown resized by a plain filter.",
         target="MergeImage.maskChannelInput", looks=True),
    Knob(LINK, "inject", "inject", "Copy the mask into mask.a, for nodes further down.", target="MergeImage.inject",
         line=False, looks=True),
    Knob(LINK, "invert_mask", "invert", "Turn the mask inside out.", target="MergeImage.invert_mask", line=False,
         looks=True),
    Knob(LINK, "unpremult", "(un)premult by", "Divide colour by this channel before the plate is pulled and multiply "
         "after. The engine expects premultiplied plates and keeps their edges clean, so none is right for most.",
         target="Unpremult1.alpha"),
    Knob(LINK, "mix", "mix", "0 shows the plate resized by a plain filter, 1 the upscaled one.",
         target="MergeImage.mix", looks=True),
    Knob(TAB, "cache_tab", "Cache and worker"),
    Knob(STRING, "layers", "layer policy", "How layers, channels or parts are treated, such as spec=drop roto=net. "
         "Words: net, filter, nearest, drop. What is not named is told by its name."),
    Knob(FILE, "cache", "cache folder", "Where the frames go, in a folder of this node. Taken as it is typed: no "
         "brackets or variables are evaluated. Empty takes DEEPUPSCALE_CACHE, else a folder beside the script."),
    Knob(BOOL, "keep_plates", "Keep pulled plates", "Leave the 32-bit plates in the cache after they were upscaled.",
         default="false"),
    Knob(FILE, "python", "python", "The Python that has deepupscale installed. Empty takes DEEPUPSCALE_PYTHON, else "
         "the command deepupscale on PATH."),
    Knob(WORDS, "about", "version", "Version of the node."),
    Knob(INT, "deepupscale_version", "", "Version of the node's knobs, for migration.", default=str(NODE_VERSION),
         hidden=True),
    Knob(STRING, "uuid", "", "Names this node's folder in the cache; copies get their own.", hidden=True),
    Knob(STRING, "model_name", "", "The model as it is saved; empty for the default.", hidden=True),
    Knob(STRING, "cache_used", "", "This node's folder in the cache.", hidden=True),
    Knob(BOOL, "ready", "", "Whether the cache holds frames made with these knobs.", default="false", hidden=True),
    Knob(INT, "route", "", "0 the cached frame, 1 with mix or a mask of the plate, 2 with a mask input.", default="0",
         hidden=True, looks=True),
    Knob(LINK, "mask_channel", "", "The mask input's channel.", target="MergeMask.maskChannelMask", hidden=True,
         looks=True),
    Knob(LINK, "premult", "", "The channel that colour is multiplied with.", target="Premult1.alpha", hidden=True),
    Knob(LINK, "read_file", "", "The cached frames.", target="Back.file", hidden=True),
    Knob(LINK, "range_first", "", "First cached frame.", target="Range.first_frame", hidden=True),
    Knob(LINK, "range_last", "", "Last cached frame.", target="Range.last_frame", hidden=True),
)  # fmt: skip
BY_NAME = {knob.name: knob for knob in KNOBS}
LOOKS = tuple(knob.name for knob in KNOBS if knob.looks)
