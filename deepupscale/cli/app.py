"""The verbs and their options. Each verb imports the heavy modules it needs, so ``--help`` answers at once."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from deepupscale import __version__
from deepupscale.errors import DeepUpscaleError, UsageError

_INTERRUPTED = 130

app = typer.Typer(
    name="deepupscale",
    help="Double scene-linear HDR EXR plates with a learned network.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"deepupscale {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is decided and why.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr
    )


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A plate, or a sequence: shot.####.exr, shot.%04d.exr.")
    ],
    result: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="A file, a sequence, or a folder that keeps the names.")
    ],
    frames: Annotated[str | None, typer.Option(help="Frames to do, as in 1001-1100, 1001-1100x2, 1,5,10-20.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="A model by name, or a file; the default if left out.")
    ] = None,
    scale: Annotated[int, typer.Option(help="2, or 4 and 8 by passes.")] = 2,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=HOW", help="Treat a layer, channel or part as net, filter, nearest or drop. Repeatable."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, f32, bf16, f16 or int8.")] = "auto",
    runtime: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or tensorrt.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, max=1024, help="CPU threads; 0 for all.")] = 0,
    compression: Annotated[
        str | None,
        typer.Option(help="Compression of the result, as in fast, zips or dwaa:45; the plate's own if left out."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo frames that are done.")] = False,
    max_side: Annotated[
        int, typer.Option(min=1, max=1 << 20, help="Largest width or height a plate may claim.")
    ] = 65536,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what was done, as JSON.")
    ] = None,
    progress: Annotated[str, typer.Option(help="auto, bar, lines, openjd or none.")] = "auto",
    profile: Annotated[
        Path | None,
        typer.Option("--profile", metavar="FILE", help="Write what each thread did and when, as a trace for Perfetto."),
    ] = None,
) -> None:
    """Upscale a plate or a sequence of plates.

    Frames that are done under the same settings are skipped. Exit code 1: some frame failed, the others are done.
    """
    from deepupscale.cli.run import RunOptions, run_frames

    options = RunOptions(
        source=source, result=result, frames=frames, model=model, scale=scale, layers=tuple(layer or ()), device=device,
        precision=precision, runtime=runtime, threads=threads, compression=compression, overwrite=overwrite,
        max_side=max_side, json_file=json_file, progress=progress, profile=profile,
    )  # fmt: skip
    raise typer.Exit(run_frames(options).exit_code)


@app.command()
def info(
    model: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE", help="A model by name, or a file; the default if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the promise as it is stored.")] = False,
) -> None:
    """Show a model's promise."""
    from deepupscale.cli.info import show_model

    show_model(model, as_json)


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the models that can be asked for by name, and what is wrong with others.

    Exit code 2: the default model does not work.
    """
    from deepupscale.cli.models import show_models

    show_models(as_json)


@app.command()
def doctor(
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="The model to choose for; the default model if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="Also measure, in under a minute, how long 2K and 4K frames will take.")
    ] = False,
) -> None:
    """Show runtimes, devices and instruction sets, and what 'auto' picks and why."""
    from deepupscale.cli.doctor import examine, show

    found = examine(model)
    if not bench:
        show(found, as_json)
        return
    from deepupscale.cli.speed import measure
    from deepupscale.model_file import load_model

    show(found, as_json, measure(load_model(model)))


@app.command()
def worker(threads: Annotated[int, typer.Option(min=0, max=1024, help="CPU threads; 0 for all.")] = 0) -> None:
    """Serve a host: JSON-RPC 2.0 over standard input and output, until it shuts the worker down or closes the pipe.

    docs/worker.md is the protocol. Nothing else is printed to standard output.
    """
    from deepupscale.cli.worker import serve

    serve(threads)


def _add_verbs_of_others() -> None:
    """Verbs of packages that build on the engine, which knows none of them: entry points of `deepupscale.verbs`.

    Each is a function that takes the application and adds its verbs to it.
    """
    for point in sorted(entry_points(group="deepupscale.verbs"), key=lambda point: point.name):
        point.load()(app)


_add_verbs_of_others()


def main(arguments: list[str] | None = None) -> None:
    """Run the command; every error of ours, and of the command line, ends as one line and an exit code."""
    sys.exit(invoke(arguments))


def invoke(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    from deepupscale.cli.output import complain

    try:
        outcome: Any = app(arguments, prog_name="deepupscale", standalone_mode=False)
    except DeepUpscaleError as error:
        complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        return 1
    except Exception as error:
        if (usage := _usage_message(error)) is None:
            raise
        complain(usage)
        return UsageError.exit_code
    if outcome == _INTERRUPTED:  # the command-line library's own way to hand on Ctrl-C
        complain("stopped; what is finished is kept, run it again to go on")
    return outcome if isinstance(outcome, int) else 0


def _usage_message(error: Exception) -> str | None:
    """The command-line library's own complaint about arguments, on one line; None for anything else."""
    message = getattr(error, "format_message", None)
    return f"{message()} (see deepupscale --help)" if callable(message) else None
