"""The verbs of this folder. Each imports the heavy modules it needs, so ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepupscale.errors import UsageError, one_line

if TYPE_CHECKING:
    from model.meter import Pace
    from model.pack import PackReport, PairReport


def register(app: typer.Typer) -> None:
    """Add the verbs to a command."""
    app.command()(pack)
    app.command()(train)


def pack(
    pairs: Annotated[
        list[Path],
        typer.Argument(
            metavar="PAIRS",
            help="Folders: made by render-pairs, or with lr/ and hr/ of same-named EXR files, or of HR EXR files.",
        ),
    ],
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store to make, a folder.")],
    aovs: Annotated[
        str | None,
        typer.Option(help="AOVs to pack beside the beauty, as in N,Z, or none; all that every pair has if left out."),
    ] = None,
    tile: Annotated[int, typer.Option(help="Side of a tile in HR pixels.")] = 512,
    margin: Annotated[int, typer.Option(help="HR pixels that a tile holds beyond its sides.")] = 128,
    degrade: Annotated[
        str,
        typer.Option(
            help="What makes LR where there is only HR: box, gaussian[:SIGMA] or blackman-harris[:WIDTH], in LR pixels."
        ),
    ] = "blackman-harris:1.5",
    keep_incoherent: Annotated[
        bool, typer.Option("--keep-incoherent", help="Keep pairs whose two pictures do not show the same.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store if it exists.")] = False,
    max_side: Annotated[
        int, typer.Option(min=1, max=1 << 16, help="Largest width or height a file may claim.")
    ] = 16384,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what was done, as JSON.")
    ] = None,
) -> None:
    """Pack training pairs into one store for fast random access.

    Pairs that are not fit are left out, each with its reason. The same pairs give the same dataset id.
    """
    from deepupscale.cli.output import say, write_json
    from model.pack import PackOptions
    from model.pack import pack as make

    if json_file is not None:
        _check_json_file(json_file, store)
    names = None if aovs is None else () if aovs == "none" else tuple(n.strip() for n in aovs.split(",") if n.strip())
    options = PackOptions(names, tile, margin, degrade, keep_incoherent, overwrite, max_side)

    def told(report: PairReport, number: int, total: int) -> None:
        say(f"[{number}/{total}] {one_line(describe(report))}")

    report = make(pairs, store, options, told)
    say(one_line(summary(report)))
    if json_file is not None:
        write_json(json_file, report.document())


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a preset.")],
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="The run's folder; runs/ and the configuration's name if left out."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Override, as in data.batch=8. Repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    steps: Annotated[int | None, typer.Option("--for", min=1, help="Stop after so many steps.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Stop after so many minutes.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of configurations and stop.")] = False,
) -> None:
    """Train a generator on a store of pairs.

    Ctrl-C stops after the step that it is in and writes a checkpoint; --resume goes on as if it had never stopped.
    """
    import json

    from deepupscale.cli.output import say
    from model import config as configuration

    if schema:
        say(json.dumps(configuration.schema(), indent=1))
        return
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: use auto, cpu or cuda")
    asked = configuration.load(config, overrides or [])
    from model.train import Slice
    from model.train import train as run_it

    progress = run_it(asked, run or Path("runs") / asked.name, Slice(steps, minutes), resume, device, _tell_pace)
    skipped = f", {progress.skipped} skipped" if progress.skipped else ""
    say(f"{progress.step} steps done{skipped}; checkpoints in {(run or Path('runs') / asked.name) / 'checkpoints'}")


def _tell_pace(pace: Pace) -> None:
    from deepupscale.cli.output import say

    figures = " ".join(f"{name} {value:.4g}" for name, value in pace.figures.items())
    left = f"{pace.left / 60.0:.0f} min" if pace.left < 7200.0 else f"{pace.left / 3600.0:.1f} h"
    say(
        f"[{pace.step}/{pace.steps}] {pace.stage} {pace.per_second:.2f} it/s, {pace.waiting:.0%} waiting for data, "
        f"{left} left: {figures}"
    )


def describe(report: PairReport) -> str:
    """One pair in one line."""
    if report.size is None:
        return f"left out {report.name}: {report.message}"
    notes = [report.message] if report.message else []
    if report.clamped:
        notes.append(f"{report.clamped} values too large for half clamped")
    tail = f" ({'; '.join(notes)})" if notes else ""
    return f"packed {report.name} {report.size[0]}x{report.size[1]}{tail}"


def summary(report: PackReport) -> str:
    """The whole in one line."""
    packed, left_out = report.count("packed"), report.count("left out")
    clamped = sum(pair.clamped for pair in report.pairs)
    parts = [f"{packed} pairs packed" + (f", {left_out} left out" if left_out else "")]
    parts += [f"{clamped} values clamped"] if clamped else []
    parts += [f"fields {', '.join(report.fields)}"]
    parts += [f"not in every pair: {', '.join(report.uncommon)}"] if report.uncommon else []
    parts += [f"{report.bytes / 2**20:.1f} MiB at {report.store}", f"dataset {report.dataset}"]
    return "; ".join(parts)


def _check_json_file(path: Path, store: Path) -> None:
    from deepupscale.cli.output import check_json_file

    check_json_file(path)
    if path.resolve().is_relative_to(store.resolve()):
        raise UsageError(f"--json {path}: lies in the store, name a file beside it")
    if path.exists() and path.suffix.lower() != ".json":
        raise UsageError(f"--json {path}: exists and is no .json: it is not overwritten")
