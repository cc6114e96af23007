"""The verbs of this folder. Each imports the heavy modules it needs, so ``--help`` answers at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from deepupscale.errors import UsageError

if TYPE_CHECKING:
    from render.jobs import Job
    from render.pairs import Summary


def register(app: typer.Typer) -> None:
    """Add the verbs to the `deepupscale` command."""
    app.command()(render_pairs)
    app.command()(contact_sheet)
    app.command()(install_blender)


def render_pairs(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the pairs; made if it is not there.")],
    scenes: Annotated[int, typer.Option(min=1, max=100_000, help="How many scenes of the generator.")] = 100,
    blend: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Render a .blend file instead of generated scenes.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Camera of the .blend; its active one if left out.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Frames, as in 1-10. Generated shots have 1-24 and give 12; a .blend gives all.")
    ] = None,
    kinds: Annotated[
        str | None, typer.Option(metavar="LIST", help="Kinds of scenes, as in lettering,city; all if left out.")
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the 1x render in pixels.")] = "640x360",
    samples: Annotated[int, typer.Option(min=1, max=1 << 20, help="Paths a pixel, in both renders.")] = 64,
    denoise: Annotated[bool, typer.Option(help="Clean both renders with OpenImageDenoise.")] = True,
    aovs: Annotated[
        str, typer.Option(metavar="LIST", help="Of depth, normal, albedo, motion, alpha, cryptomatte; all; none.")
    ] = "none",
    as_float: Annotated[bool, typer.Option("--float", help="Write colour in 32 bits rather than in half.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the scenes and of the sampling.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, optix, hip, oneapi or metal.")] = "cpu",
    processes: Annotated[int, typer.Option(min=0, max=256, help="Blenders at a time; 0: one to four threads.")] = 0,
    blender: Annotated[
        Path | None, typer.Option(metavar="PROGRAM", help="Blender 4.5, or a Python that has its module.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Minutes after which a pair is given up.")] = 120.0,
    progress: Annotated[str, typer.Option(help="auto, bar, lines, openjd or none.")] = "auto",
) -> None:
    """Render pairs for training: scenes at 1x and at 2x, measured for coherence, with a manifest.

    Finished pairs are skipped, so the same command continues a run that ended early. Exit code 1: some pair failed.
    """
    import os

    from deepupscale.cli.output import say
    from deepupscale.cli.progress import reporter
    from deepupscale.frames import parse_range
    from render.jobs import MIDDLE, Settings, generated_jobs
    from render.pairs import render_pairs as render_them
    from render.workers import find_blender

    settings = Settings(parse_size(size), samples, denoise, _aovs(aovs), as_float, seed, device)
    command = find_blender(blender)
    if device != "cpu":
        _ask(command, {"device": device}, f"--device {device}:")
    numbers = parse_range(frames) if frames is not None else None
    if blend is None:
        if camera is not None:
            raise UsageError(f"--camera {camera}: goes with --blend; generated scenes have one camera each")
        jobs = generated_jobs(scenes, numbers or [MIDDLE], _kinds(kinds), settings)
    else:
        jobs = _blend_jobs(blend, camera, numbers, command)
    processes = min(processes or -(-(os.cpu_count() or 1) // 4), len(jobs))
    with reporter(progress, len(jobs)) as told:
        summary = render_them(out, jobs, settings, command, processes, 60.0 * timeout, told.finish)
    if progress != "none":
        say(summary_line(summary))
    raise typer.Exit(int(bool(summary.failed)))


def contact_sheet(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="A folder of render-pairs, or one with lr/ and hr/.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The sheet; numbered where it takes several pages.")],
    limit: Annotated[int, typer.Option(min=0, help="Pairs to show, spread evenly over the set; 0 for all.")] = 24,
    only: Annotated[str, typer.Option(help="all, accepted or rejected.")] = "all",
    width: Annotated[int, typer.Option(help="Of every picture in pixels.")] = 320,
) -> None:
    """Show training pairs as pictures: LR, HR and their difference, with the figures of their coherence."""
    from deepupscale.cli.output import say
    from deepupscale.errors import UsageError
    from render.contact_sheet import Only, pairs_of
    from render.contact_sheet import contact_sheet as draw

    if only not in ("all", "accepted", "rejected"):
        raise UsageError(f"--only {only}: use all, accepted or rejected")
    for page in draw(pairs_of(pairs, cast(Only, only), limit), out, width):
        say(f"wrote {page}")


def install_blender(
    python: Annotated[str, typer.Option(help="A Python 3.11 to make the environment with.")] = "python3.11",
) -> None:
    """Install Blender's Python module for render-pairs, in an environment of its own inside this one.

    Apart, because Blender wants another numpy than the engine, and because it is under the GPL.
    """
    from deepupscale.cli.output import say
    from render.workers import BPY
    from render.workers import install_blender as install

    say(f"installed {BPY} in {install(python)}")


def parse_size(text: str) -> tuple[int, int]:
    """``640x360`` to a pair.

    Raises:
        UsageError: Anything else.
    """
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if match is None:
        raise UsageError(f"--size {text}: write it as 640x360")
    return int(match[1]), int(match[2])


def _aovs(text: str) -> tuple[str, ...]:
    from render.jobs import AOVS

    return AOVS if text == "all" else () if text == "none" else tuple(word.strip() for word in text.split(","))


def _kinds(text: str | None) -> tuple[str, ...]:
    from render.scenes import KINDS

    if text is None:
        return tuple(KINDS)
    asked = [word.strip() for word in text.split(",")]
    if unknown := [kind for kind in asked if kind not in KINDS]:
        raise UsageError(f"--kinds {unknown[0]}: no such kind: use {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in asked)


def _blend_jobs(file: Path, camera: str | None, numbers: list[int] | None, command: list[str]) -> list[Job]:
    """What to render of a .blend file, after Blender itself was asked what it holds."""
    import logging

    from render.jobs import blend_jobs

    if not file.is_file():
        raise UsageError(f"--blend {file}: there is no such file")
    probed = _ask(command, {"probe": str(file.resolve()), "camera": camera}, "--blend")
    if probed["missing"]:
        count, few = len(probed["missing"]), ", ".join(probed["missing"][:3])
        logging.getLogger(__name__).warning("%s: %d files it refers to are missing: %s", file, count, few)
    first, last = probed["frames"]
    return blend_jobs(file, camera, numbers or range(first, last + 1), probed)


def _ask(command: list[str], job: dict[str, Any], option: str) -> dict[str, Any]:
    """Ask Blender one thing before the work begins; what it answers against is the option's fault."""
    import tempfile

    from render.workers import JobFailedError, Worker, WorkerDiedError

    with tempfile.TemporaryDirectory() as folder, Worker(command, Path(folder) / "blender.log", 600.0) as worker:
        try:
            return worker.ask(job)
        except (JobFailedError, WorkerDiedError) as error:
            raise UsageError(f"{option} {error}") from None


def summary_line(summary: Summary) -> str:
    """What the folder holds and what this run did, in one line."""
    records, rejected = summary.records, summary.rejected
    rate = 100.0 * len(rejected) / max(1, len(records))
    reasons: dict[str, int] = {}
    for record in rejected:
        words = re.split(r"\d", record.reason)[0].strip(" ,;:(")
        reasons[words] = reasons.get(words, 0) + 1
    why = "".join(f", {count} {words}" for words, count in sorted(reasons.items()))
    failed = f"; {len(summary.failed)} failed: {', '.join(summary.failed[:5])}" if summary.failed else ""
    accepted = len(records) - len(rejected)
    return f"{len(records)} pairs: {accepted} accepted, {len(rejected)} rejected ({rate:.1f} %){why}{failed}"
