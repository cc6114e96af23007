"""The report of an evaluation: one table on the terminal, the same and more as Markdown, and everything as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepupscale import __version__
from deepupscale.errors import MissingExtraError, UsageError, WriteError
from deepupscale.temporary import whole
from model.evaluate import Evaluation, Float32, Scores
from model.scoring import FIGURES, mean

VERSION = 1
MARKDOWN, JSON, SHEETS = "report.md", "report.json", "sheets"
_FLOOR = "floor of the pairs"


def table(evaluation: Evaluation, group: str | None = None, bold: bool = False) -> str:
    """Mean figures of every contender as a Markdown table whose columns also align as plain text.

    Args:
        evaluation: At least one result.
        group: Only pairs of this kind of scene.
        bold: Mark the best of each figure.
    """
    means, names = evaluation.means(group), evaluation.figures()
    rows = [["", *(FIGURES[name].label for name in names)]]
    best = {name: _best(name, means) for name in names} if bold else {}
    for contender, scores in means.items():
        cells = [_number(name, scores[name]) for name in names]
        marked = [f"**{c}**" if best.get(n) == contender else c for n, c in zip(names, cells, strict=True)]
        rows.append([contender, *marked])
    chosen = [result for result in evaluation.results if group in (None, result.group)]
    floors = {
        "drift": mean([result.drift_floor for result in chosen]),
        "shimmer": mean([result.shimmer_floor for result in chosen]),
    }
    rows.append([_FLOOR, *(_number(name, floors.get(name, math.nan)) for name in names)])
    return _aligned(rows)


def summary(evaluation: Evaluation) -> str:
    """One line: what it was measured on."""
    pairs = f"{len(evaluation.results)} of {evaluation.total} pairs"
    left = f", {len(evaluation.left_out)} left out" if evaluation.left_out else ""
    return f"{pairs}{left} from {', '.join(map(str, evaluation.sources))}"


def markdown(evaluation: Evaluation) -> str:
    """The whole report."""
    options = evaluation.options
    lines = ["# Evaluation", "", f"DeepUpscale {__version__}; {summary(evaluation)}."]
    if options.held_out is not None:
        lines.append(f"Only pairs that training with `held_out: {options.held_out:g}` never sees.")
    if any(result.kind == "degraded" for result in evaluation.results):
        lines.append(f"LR was made by `{options.degrade}` where there was only HR.")
    lines += ["", table(evaluation, bold=True), ""]
    lines += [f"- **{FIGURES[name].label}**: {FIGURES[name].meaning}." for name in evaluation.figures()]
    lines.append(f"- **{_FLOOR}**: drift of LR itself with its pixels repeated; shimmer of HR itself.")
    models = [each for each in evaluation.contenders if each.kind == "model"]
    lines += ["", *(f"- **{m.name}**: `{m.source}`, sha256 {m.digest[:12]}, {m.runs}." for m in models)]
    if len(evaluation.groups) > 1:
        for group in evaluation.groups:
            count = sum(result.group == group for result in evaluation.results)
            lines += ["", f"## {group}, {count} {'pair' if count == 1 else 'pairs'}", ""]
            lines.append(table(evaluation, group, bold=True))
    lines += ["", "## Pairs, by PSNR", "", _pairs(evaluation)]
    if evaluation.left_out:
        lines += ["", "## Left out", "", *(f"- {each.name}: {each.reason}" for each in evaluation.left_out)]
    return "\n".join(lines) + "\n"


def _pairs(evaluation: Evaluation) -> str:
    names = [each.name for each in evaluation.contenders]
    rows = [["pair", "scene", *names]]
    for result in evaluation.results:
        rows.append(
            [result.pair, result.group, *(_number("psnr", result.scores[name].get("psnr", math.nan)) for name in names)]
        )
    return _aligned(rows)


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything, JSON-ready; what has no value is null."""
    options = evaluation.options
    return {
        "version": VERSION,
        "deepupscale": __version__,
        "sources": [str(source) for source in evaluation.sources],
        "options": {
            "degrade": options.degrade, "held_out": options.held_out, "limit": options.limit,
            "keep_incoherent": options.keep_incoherent,
        },
        "figures": {n: {"label": FIGURES[n].label, "meaning": FIGURES[n].meaning, "best": FIGURES[n].best}
                    for n in evaluation.figures()},
        "contenders": [
            {"name": c.name, "kind": c.kind, "source": c.source, "sha256": c.digest, "runs": c.runs}
            for c in evaluation.contenders
        ],
        "pairs": evaluation.total,
        "done": len(evaluation.results),
        "means": {name: _plain(scores) for name, scores in evaluation.means().items()},
        "means_by_scene": {
            group: {name: _plain(scores) for name, scores in evaluation.means(group).items()}
            for group in evaluation.groups
        },
        "results": [
            {
                "pair": result.pair, "scene": result.group, "kind": result.kind, "size": list(result.size),
                "drift_floor": _value(result.drift_floor), "shimmer_floor": _value(result.shimmer_floor),
                "scores": {name: _plain(scores) for name, scores in result.scores.items()},
            }
            for result in evaluation.results
        ],
        "left_out": [{"pair": each.name, "reason": each.reason} for each in evaluation.left_out],
    }  # fmt: skip


class ReportFolder:
    """The folder of a report: report.md, report.json and sheets/PAIR.png.

    Args:
        path: Made if it is not there; files of an earlier report are replaced.

    Raises:
        UsageError: It is a file, or holds other things than a report.
        WriteError: It cannot be made.
        MissingExtraError: Pillow is not installed.
    """

    def __init__(self, path: Path) -> None:
        if find_spec("PIL") is None:
            raise MissingExtraError("--report", "pillow", "data")
        self.path, self.sheets = path, path / SHEETS
        if path.exists() and not path.is_dir():
            raise UsageError(f"--report {path}: is a file: name a folder")
        if path.is_dir() and any(path.iterdir()) and not (path / JSON).is_file():
            raise UsageError(f"--report {path}: holds other things than a report: name an empty or a new folder")
        try:
            self.sheets.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"--report {path}: cannot be made: {error.strerror or error}") from None

    def write(self, evaluation: Evaluation) -> None:
        """Write both files, each whole or not at all.

        Raises:
            WriteError: They cannot be written.
        """
        _write(self.path / JSON, json.dumps(document(evaluation), indent=1, allow_nan=False) + "\n")
        _write(self.path / MARKDOWN, markdown(evaluation))

    def add_sheet(
        self, pair: str, lr: Float32, hr: Float32, made: Mapping[str, Float32], interpolated: Float32
    ) -> None:
        """Write a pair's crop sheet; see :class:`model.crop_sheet.CropSheet`.

        Raises:
            WriteError: It cannot be written.
        """
        from model.crop_sheet import CropSheet

        sheet = CropSheet(lr, hr, interpolated)
        for name, sr in made.items():
            sheet.add(name, sr)
        sheet.save(self.sheets / f"{pair}.png")


def _best(name: str, means: Mapping[str, Scores]) -> str | None:
    """The contender of the best mean; "one" is best where its distance to 1 is least, as a ratio."""
    known = {contender: scores[name] for contender, scores in means.items() if math.isfinite(scores[name])}
    if not known:
        return None
    rank = {"high": lambda v: -v, "low": lambda v: v, "one": lambda v: abs(math.log(max(v, 1e-9)))}[FIGURES[name].best]
    return min(known, key=lambda contender: rank(known[contender]))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def _number(name: str, value: float) -> str:
    return format(value, FIGURES[name].style) if math.isfinite(value) else "inf" if value == math.inf else "-"


def _value(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _plain(scores: Scores) -> dict[str, float | None]:
    return {name: _value(value) for name, value in scores.items()}


def _write(path: Path, text: str) -> None:
    with whole(path) as file:
        file.write(text.encode())
