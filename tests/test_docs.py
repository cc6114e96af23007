"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepupscale.cli.app import app
from deepupscale.fields import COMPONENTS, LAYER_WORDS, METHOD_OF_KIND, Kind, fields_of

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")


def rows(text: str, after: str) -> list[list[str]]:
    """The cells of the first table after a line."""
    lines = text[text.index(after) :].splitlines()
    table = [line for line in lines if line.startswith("|")]
    end = next((i for i, line in enumerate(lines) if i and lines[i - 1].startswith("|") and not line), len(lines))
    table = [line for line in lines[:end] if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("row", rows(CHANNELS, "## Examples"), ids=lambda row: row[0])
def test_the_example_channels_get_what_the_document_says(row: list[str]) -> None:
    channels, part = re.findall(r"`([^`]+)`", row[0]), row[1].strip("`")
    found = {(field.kind.value, field.method.value) for field in fields_of(channels, part)}
    assert found == {(row[2], row[3])}


def test_the_table_of_kinds_is_complete() -> None:
    table = {row[0]: row for row in rows(CHANNELS, "# What each channel gets")}
    assert set(table) == {kind.value for kind in Kind}
    for kind, words in LAYER_WORDS:
        assert {word.lower() for word in re.findall(r"`([^`]+)`", table[kind.value][1])} == words
    for kind in Kind:
        named = {word.lower() for word in re.findall(r"`([^`]+)`", table[kind.value][2])}
        assert named == {component for component, of_kind in COMPONENTS.items() if of_kind is kind}
        assert table[kind.value][3].startswith(f"**{METHOD_OF_KIND[kind].value}**") or kind is Kind.OTHER


@pytest.mark.parametrize(
    ("verb", "document"),
    [
        ("run", "README.md"),
        ("doctor", "docs/benchmarks.md"),
        ("models", "docs/models.md"),
        ("worker", "docs/worker.md"),
        ("render-pairs", "docs/pairs.md"),
        ("draw-pictures", "docs/pairs.md"),
        ("pack", "docs/pairs.md"),
        ("contact-sheet", "docs/pairs.md"),
        ("train", "docs/training.md"),
        ("train-features", "docs/training.md"),
        ("prune", "docs/training.md"),
        ("average", "docs/training.md"),
        ("evaluate", "docs/evaluation.md"),
        ("export", "docs/export.md"),
    ],
)
def test_every_option_is_in_the_documents(verb: str, document: str) -> None:
    import typer.main

    text = (ROOT / document).read_text(encoding="utf-8")
    command = typer.main.get_command(app).commands[verb]  # pyright: ignore[reportAttributeAccessIssue]
    for parameter in command.params:
        names = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--")]
        assert not names or any(f"`{name}" in text for name in names), names


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"
