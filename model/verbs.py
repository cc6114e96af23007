"""The verbs of this folder. Each imports the heavy modules it needs, so ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepupscale.errors import MissingExtraError, UsageError, one_line

if TYPE_CHECKING:
    from model.evaluate import Evaluation
    from model.meter import Pace
    from model.pack import PackReport, PairReport
    from model.prune import Pruned
    from model.train_features import Outcome


def register(app: typer.Typer) -> None:
    """Add the verbs to a command."""
    app.command()(draw_pictures)
    app.command()(pack)
    app.command()(train)
    app.command()(train_features)
    app.command()(prune)
    app.command()(average)
    app.command()(evaluate)


def draw_pictures(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the pictures; made if it is not there.")],
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many.")] = 300,
    size: Annotated[int, typer.Option(min=32, max=4096, help="Side of a picture in pixels.")] = 384,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed draws the same pictures.")] = 0,
) -> None:
    """Draw pictures for training: edges, hair, lettering, fine patterns, small lights, ramps; scene-linear EXR.

    Pictures that are there are kept, so the same command continues a run that ended early.
    """
    from deepupscale.cli.output import say

    _check_packages("deepupscale draw-pictures", ("PIL",), "data")
    from model.draw_pictures import draw_pictures as run_it

    drawn = run_it(out, count, size, seed, lambda path, number: say(f"[{number}/{count}] {path}"))
    say(f"pictures drawn in {out}: {drawn}; there before: {count - drawn}")


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
            help="What makes LR where there is only HR: box, mitchell, gaussian[:SIGMA] or blackman-harris[:WIDTH], in "
            "LR pixels. Several with commas: each picture then gives a pair for each."
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

    _check_packages("deepupscale train", ("lmdb", "safetensors", "tensorboard", "torch", "yaml"), "train")
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


def train_features(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store with albedo, normal and depth.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .safetensors file to make.")],
    steps: Annotated[int, typer.Option(min=1, max=100_000_000, help="Steps of the whole run.")] = 20_000,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Stop after so many minutes.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Patches a step.")] = 16,
    patch: Annotated[int, typer.Option(min=32, max=1024, help="Side of the HR patch in pixels, even.")] = 192,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-4,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of weights, places, augmentation.")] = 1,
    width: Annotated[int, typer.Option(min=1, max=512, help="Feature channels at full size.")] = 32,
    levels: Annotated[int, typer.Option(min=1, max=6, help="Levels of the encoder.")] = 4,
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of scenes that is never trained on; as data.held_out.")
    ] = 0.1,
    workers: Annotated[int, typer.Option(min=0, max=256, help="Processes that make patches; 0 for none.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run beside OUT.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew though OUT, or its run, exists.")] = False,
) -> None:
    """Train the network of the feature loss aov: albedo, normal and depth from the beauty.

    A folder beside OUT, NAME.run, holds checkpoints and figures. Ctrl-C stops after the step that it is in and writes a
    checkpoint, and OUT as far as it is; the same command with --resume goes on as if it had never stopped.
    """
    from deepupscale.cli.output import say

    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: use auto, cpu or cuda")
    _check_packages("deepupscale train-features", ("lmdb", "safetensors", "tensorboard", "torch", "yaml"), "train")
    from model.steps import Slice
    from model.train_features import feature_config, run_folder
    from model.train_features import train_features as run_it

    asked = feature_config(store, steps, batch, patch, rate, seed, width, levels, held_out, workers)
    done = run_it(
        asked, out, Slice(minutes=minutes), resume, overwrite, device, _tell_pace,
        lambda step, scores: say(f"[{step}/{steps}] validation: {scores}"),
    )  # fmt: skip
    skipped = f", {done.progress.skipped} skipped" if done.progress.skipped else ""
    say(f"{done.progress.step} of {steps} steps done{skipped}; checkpoints in {run_folder(out) / 'checkpoints'}")
    say(one_line(_guessed(out, done)))


def _guessed(out: Path, done: Outcome) -> str:
    """What a feature network came to, in one line."""
    where = "pairs that it was trained on, as none is held out" if done.seen else "held-out pairs"
    return f"{out}: on {where}: {done.scores} (constants: {done.baseline})"


def prune(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A .safetensors file, or the folder of a training run.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .safetensors file to make.")],
    keep: Annotated[float, typer.Option(help="Share of the channels inside blocks that stays.")] = 0.75,
    store: Annotated[Path, typer.Option(help="The store whose pictures tell which.")] = Path("data/store"),
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of the pairs that do not; as data.held_out.")
    ] = 0.1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Make a smaller, faster network out of a trained residual one, to be fine-tuned.

    Channels inside the blocks go, those first that the others can make up for. Of a run's folder the last averaged
    weights are taken. The last line is the command that fine-tunes.
    """
    from deepupscale.cli.output import say

    _check_packages("deepupscale prune", ("lmdb", "safetensors", "torch"), "train")
    from model.prune import prune as run_it

    done = run_it(checkpoint, out, keep, store, held_out, overwrite)
    for line in pruned_lines(done, store):
        say(one_line(line))


def pruned_lines(done: Pruned, store: Path) -> list[str]:
    """What was pruned, and how to go on."""
    import shlex

    (before, after), (parameters, left) = done.shapes, done.parameters
    shape = ", ".join(f"{name}: {value}" for name, value in after.items())
    settings = (
        f"start={done.out}", f"data.store={store}", f"generator={{name: residual, shape: {{{shape}}}}}",
        "pretrain.steps=10000", "pretrain.rate=1.0e-4",
    )  # fmt: skip
    pairs = "pairs that they were chosen by, as none is held out" if done.seen else "held-out pairs"
    return [
        f"{done.out}: {after['inner']} of {before.get('inner', before['width'])} channels inside each block, "
        f"{left} of {parameters} parameters, {done.work[1]} of {done.work[0]} multiplications a pixel of the plate",
        f"before fine-tuning the correction is {done.error:.1%} off what it was, on {pairs}",
        f"fine-tune it: deepupscale train fidelity runs/pruned {shlex.join(w for s in settings for w in ('--set', s))}",
    ]


def average(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .safetensors file to make.")],
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Checkpoints, run folders, model names or .onnx files.")
    ],
    share: Annotated[
        list[float] | None, typer.Option(help="Of each network, in their order; equal if left out.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Average the weights of networks that were trained from one another into one network.

    The first must be a checkpoint or a run, whose last averaged weights are taken.
    """
    from deepupscale.cli.output import say

    _check_packages("deepupscale average", ("safetensors", "torch"), "train")
    from model.average import average as run_it

    digests = run_it(out, models, share or [], overwrite)
    for model, digest in zip(models, digests, strict=True):
        say(one_line(f"{model}: {digest[:12]}"))
    say(one_line(f"{out}: their average; deepupscale evaluate tells whether it is any good"))


def _check_packages(what: str, modules: tuple[str, ...], extra: str) -> None:
    from importlib.util import find_spec

    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(what, module, extra)


def _tell_pace(pace: Pace) -> None:
    from deepupscale.cli.output import say

    figures = " ".join(f"{name} {value:.4g}" for name, value in pace.figures.items())
    left = f"{pace.left / 60.0:.0f} min" if pace.left < 7200.0 else f"{pace.left / 3600.0:.1f} h"
    say(
        f"[{pace.step}/{pace.steps}] {pace.stage} {pace.per_second:.2f} it/s, {pace.waiting:.0%} waiting for data, "
        f"{left} left: {figures}"
    )


def evaluate(
    pairs: Annotated[
        list[Path], typer.Option("--pairs", metavar="DIR", help="A folder of pairs, as pack takes. Repeatable.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]M",
            help="A model by name, an .onnx or .safetensors file, the folder of a run, or none. Repeatable.",
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:KEY=VALUE,...]", help="A baseline, or none; the usual ones if left out."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.md, report.json and a crop sheet per pair.")
    ] = None,
    held_out: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Only pairs that training with this share never sees.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many pairs, spread evenly; 0 for all.")] = 0,
    flip: Annotated[bool, typer.Option("--flip", help="Also HDR-FLIP, which takes longer than all the rest.")] = False,
    degrade: Annotated[
        str, typer.Option(help="What makes LR where there is only HR; see pack.")
    ] = "blackman-harris:1.5",
    keep_incoherent: Annotated[
        bool, typer.Option("--keep-incoherent", help="Keep pairs whose two pictures do not show the same.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, f32, bf16, f16 or int8.")] = "auto",
    max_side: Annotated[
        int, typer.Option(min=1, max=1 << 16, help="Largest width or height a file may claim.")
    ] = 16384,
) -> None:
    """Compare models with baselines on pairs that hold the truth, in one table.

    The report is written anew after every pair, so nothing is lost when it is stopped.
    """
    import time

    from deepupscale.cli.output import say
    from deepupscale.model_file import default_model_path
    from model.contenders import DEFAULT_MODEL, STANDARD, models
    from model.contenders import baseline as baseline_of
    from model.evaluate import Options
    from model.evaluate import evaluate as compare
    from model.evaluation_report import ReportFolder, summary, table

    own = [f"{DEFAULT_MODEL}={default_model_path()}"]  # the package's, whatever else is called so
    asked = own if model is None else [] if model == ["none"] else model
    others = list(STANDARD) if baseline is None else [] if baseline == ["none"] else baseline
    contenders = [*map(baseline_of, others), *models(asked, device, precision)]
    names = [each.name for each in contenders]
    if not names or len(set(names)) < len(names):
        raise UsageError("--model and --baseline: name at least one contender, and none twice")
    folder = None if report is None else ReportFolder(report)
    options = Options(degrade, held_out, limit, flip, keep_incoherent, max_side)
    began = time.monotonic()

    def told(evaluation: Evaluation) -> None:
        if folder is not None:
            folder.write(evaluation)
        say(one_line(_progress(evaluation, time.monotonic() - began)))

    evaluation = compare(pairs, contenders, options, told, folder.add_sheet if folder is not None else None)
    say()
    say(table(evaluation))
    say()
    say(one_line(summary(evaluation)) + (f"; report in {folder.path}" if folder is not None else ""))


def _progress(evaluation: Evaluation, seconds: float) -> str:
    last, done = evaluation.results[-1], len(evaluation.results)
    figures = ", ".join(f"{name} {scores['psnr']:.2f}" for name, scores in last.scores.items())
    left = seconds / done * (evaluation.total - done) / 60.0
    return f"[{done}/{evaluation.total}] {last.pair}: PSNR dB {figures}; {left:.0f} min left"


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
