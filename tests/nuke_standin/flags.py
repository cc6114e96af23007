"""Numbers of the module: knob flags, knob types, kinds of dependency.

The stubs give the names; the values are those that scripts and public code show, or, where none does, only distinct.
"""

from __future__ import annotations

FLAGS = {
    "DISABLED": 0x80,
    "NO_ANIMATION": 0x100,
    "DO_NOT_WRITE": 0x200,
    "INVISIBLE": 0x400,
    "STARTLINE": 0x1000,
    "ENDLINE": 0x2000,
    "ALWAYS_SAVE": 0x40000,
    "NO_UNDO": 0x80000,
    "KNOB_CHANGED_RECURSIVE": 0x8000000,
    "READ_ONLY": 0x10000000,
    "NO_MULTIVIEW": 0x40000000,
}
DEPENDENCIES = {"EXPRESSIONS": 1, "INPUTS": 2, "HIDDEN_INPUTS": 4}
WRITING = {"WRITE_ALL": 1, "WRITE_NON_DEFAULT_ONLY": 2, "WRITE_USER_KNOB_DEFS": 4, "TO_SCRIPT": 8, "TO_VALUE": 16}
TABS = {"TABBEGINGROUP": 1, "TABENDGROUP": -1, "TABBEGINCLOSEDGROUP": 2, "TABKNOB": 0}

WORDS = {  # how addUserKnob says a flag
    "STARTLINE": FLAGS["STARTLINE"],
    "INVISIBLE": FLAGS["INVISIBLE"],
    "HIDDEN": FLAGS["INVISIBLE"],
    "DISABLED": FLAGS["DISABLED"],
    "NO_ANIMATION": FLAGS["NO_ANIMATION"],
    "DO_NOT_WRITE": FLAGS["DO_NOT_WRITE"],  # inference: no public script was seen to say it
}
