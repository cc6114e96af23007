"""Scenes rendered with Blender (bpy): an optional step in its own environment, never imported by the tool."""
