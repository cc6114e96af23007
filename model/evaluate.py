"""Evaluation: contenders double the LR of pairs that hold the truth, and are scored against it.

Every pair is what a store would be packed from: rendered twice, lr/ and hr/ side by side, or HR alone, reduced here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import MissingExtraError, ModelError, UsageError
from deepupscale.fields import Kind
from deepupscale.plate import Limits
from model.baselines import bicubic_compressed
from model.contenders import Contender
from model.planes import UnfitError
from model.sampling import is_held_out, shot_of
from model.scoring import FIGURES, drift_floor, mean, score
from model.sources import DEGRADE, Candidate, LeftOut, candidates, load, offered
from model.store_format import BEAUTY
from model.temporal import temporal_difference

Float32 = NDArray[np.float32]
Scores = dict[str, float]

MOTION = "backward"  # field of HR that leads to the frame before


@dataclass(frozen=True)
class Options:
    """How to evaluate.

    Attributes:
        degrade: What makes LR where there is only HR; see :func:`model.sources.parse_filters`.
        held_out: Only the pairs that training with this share held out never sees; None for all.
        limit: At most so many pairs, spread evenly over all; 0 for no limit.
        flip: Also HDR-FLIP.
        keep_incoherent: Also pairs of a plain folder whose two pictures do not show the same.
        max_side: Largest width or height a file may claim.
    """

    degrade: str = DEGRADE
    held_out: float | None = None
    limit: int = 0
    flip: bool = False
    keep_incoherent: bool = False
    max_side: int = 16384


@dataclass(frozen=True)
class Result:
    """One pair.

    Attributes:
        pair: Its name.
        group: What kind of scene it shows; may be empty.
        kind: What its source is: rendered, pairs or degraded.
        size: Width and height of HR in pixels.
        drift_floor: The pair's own drift of colour, per cent; NaN where it is too dark for one.
        shimmer_floor: What HR itself differs from the frame before; NaN where there is none.
        scores: By contender and figure.
    """

    pair: str
    group: str
    kind: str
    size: tuple[int, int]
    drift_floor: float
    shimmer_floor: float
    scores: dict[str, Scores]


@dataclass
class Evaluation:
    """All of it, as far as it has come.

    Attributes:
        contenders: Who was compared, in the order of the tables.
        sources: The folders.
        options: How.
        total: How many pairs there are to do.
        results: Those that are done.
        left_out: Those that could not be, each with its reason.
    """

    contenders: Sequence[Contender]
    sources: Sequence[Path]
    options: Options
    total: int = 0
    results: list[Result] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def groups(self) -> list[str]:
        """Kinds of scenes, by name."""
        return sorted({result.group for result in self.results if result.group})

    def figures(self) -> list[str]:
        """Names of the figures that some result has."""
        present = {name for r in self.results for scores in r.scores.values() for name in scores}
        return [name for name in FIGURES if name in present]

    def means(self, group: str | None = None) -> dict[str, Scores]:
        """Mean figures by contender, over all pairs or those of a group; a pair without a figure does not count."""
        chosen = [result for result in self.results if group in (None, result.group)]
        return {
            each.name: {
                name: mean(result.scores[each.name].get(name, math.nan) for result in chosen) for name in self.figures()
            }
            for each in self.contenders
        }


Told = Callable[[Evaluation], None]
Shown = Callable[[str, Float32, Float32, dict[str, Float32], Float32], None]


def evaluate(
    sources: Sequence[Path],
    contenders: Sequence[Contender],
    options: Options | None = None,
    told: Told | None = None,
    shown: Shown | None = None,
) -> Evaluation:
    """Compare contenders.

    Args:
        sources: Folders of pairs; see :mod:`model.sources`.
        contenders: At least one, of different names.
        options: How.
        told: Told after each pair.
        shown: Given each pair's name, LR, HR, what every contender made of it, and the fixed interpolation;
            scene-linear.

    Raises:
        UsageError: Sources or options that cannot be meant, or no pair to compare on.
        ModelError: A model whose result is not finite, or of another size.
        InferenceError: A runtime gave up.
        MissingExtraError: HDR-FLIP is asked for and not installed.
    """
    options = options or Options()
    limits = Limits(side=options.max_side)
    if options.flip:
        _require_flip()
    state = Evaluation(contenders, sources, options)
    chosen = _chosen(state)
    state.total = len(chosen)
    before: _Frame | None = None
    for candidate in chosen:
        try:
            specs = {spec.name: spec for spec in offered(candidate, limits)}
            motion = specs.get(MOTION)
            wanted = [specs[BEAUTY]] + ([motion] if motion is not None and motion.kind is Kind.MOTION else [])
            pair = load(candidate, wanted, limits, options.keep_incoherent)
        except UnfitError as reason:
            state.left_out.append(LeftOut(candidate.name, candidate.source, str(reason)))
            state.total -= 1
            continue
        lr, hr = (planes[BEAUTY].astype(np.float32) for planes in (pair.lr, pair.hr))
        made = {each.name: _doubled(each, candidate, lr) for each in contenders}
        scores = {name: score(sr, hr, options.flip) for name, sr in made.items()}
        frame = _Frame(candidate, {**made, "": hr}, pair.hr.get(MOTION) if len(wanted) > 1 else None)
        shimmer = frame.shimmer(before)
        for name, sheen in shimmer.items():
            if name:
                scores[name]["shimmer"] = sheen
        before = frame
        state.results.append(
            Result(
                candidate.name, candidate.group, candidate.kind, (hr.shape[1], hr.shape[0]), drift_floor(lr, hr),
                shimmer.get("", math.nan), scores,
            )
        )  # fmt: skip
        if shown is not None:
            shown(candidate.name, lr, hr, made, bicubic_compressed(lr))
        if told is not None:
            told(state)
    if not state.results:
        first = state.left_out[0]
        raise UsageError(f"{first.source}: no pair can be compared on; {first.name}: {first.reason}")
    return state


@dataclass(frozen=True)
class _Frame:
    """What the next frame needs: pictures by contender, HR under the empty name, and the way to the frame before."""

    candidate: Candidate
    pictures: dict[str, Float32]
    motion: NDArray[np.floating] | None

    def shimmer(self, before: _Frame | None) -> dict[str, float]:
        """By contender, where this frame follows the one before in the same shot; else nothing."""
        if before is None or self.motion is None or before.candidate.source != self.candidate.source:
            return {}
        (shot, last), (same, number) = shot_of(before.candidate.name), shot_of(self.candidate.name)
        shapes = {picture.shape for frame in (before, self) for picture in frame.pictures.values()}
        if shot != same or last is None or number != last + 1 or len(shapes) > 1:
            return {}
        motion = self.motion.astype(np.float32)
        return {
            name: temporal_difference([before.pictures[name], picture], [motion]).difference
            for name, picture in self.pictures.items()
        }


def _chosen(state: Evaluation) -> list[Candidate]:
    """The pairs to compare on, by folder and name."""
    found: list[Candidate] = []
    for source in state.sources:
        here, out = candidates(source, state.options.degrade)
        found += here
        state.left_out += out
    if not found:
        where = ", ".join(map(str, state.sources))
        raise UsageError(f"{where}: holds no pair that is accepted: render some, or name another folder")
    share = state.options.held_out
    if share is not None:
        found = [each for each in found if is_held_out(each.name, share)]
        if not found:
            raise UsageError(f"--held-out {share:g}: holds out none of these pairs: leave it out, or raise it")
    limit = state.options.limit
    if 0 < limit < len(found):
        found = [found[i] for i in np.linspace(0, len(found) - 1, limit).round().astype(int)]
    return found


def _doubled(contender: Contender, candidate: Candidate, lr: Float32) -> Float32:
    sr = contender.double(lr)
    if sr.shape != (2 * lr.shape[0], 2 * lr.shape[1], 3) or not np.isfinite(sr).all():
        raise ModelError(f"{contender.name}: makes NaN, Inf or another size of {candidate.name}: export it again")
    return sr


def _require_flip() -> None:
    try:
        import flip_evaluator  # noqa: F401
    except ImportError:
        raise MissingExtraError("HDR-FLIP", "flip-evaluator", "train") from None
