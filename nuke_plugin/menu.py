"""Menus, in the GUI only."""

import sys

import nuke


def _convert():
    from deepupscale_nuke import convert

    convert.from_menu()


def _paste_group():
    import os

    here = os.path.dirname(os.path.abspath(sys.modules["deepupscale_nuke"].__file__ or ""))
    for folder in (os.path.join(here, "..", "..", "gizmos"), os.path.join(here, "..", "gizmos")):
        path = os.path.normpath(os.path.join(folder, "DeepUpscale_group.nk"))
        if os.path.isfile(path):
            nuke.nodePaste(path)
            return
    nuke.message("DeepUpscale_group.nk is not beside the plugin: install the folder gizmos too")


try:
    import deepupscale_nuke  # noqa: F401

    _menu = nuke.menu("Nodes").addMenu("Transform")
    _menu.addCommand("DeepUpscale", "nuke.createNode('DeepUpscale')", icon="DeepUpscale.png")
    _menu.addCommand("DeepUpscale (as Group)", _paste_group, icon="DeepUpscale.png")
    nuke.menu("Nuke").addMenu("Edit").addMenu("Node").addCommand("Convert TVIScale", _convert)
except Exception as error:  # a broken tool must not stop Nuke
    sys.stderr.write(f"DeepUpscale has no menus: {type(error).__name__}: {error}\n")
