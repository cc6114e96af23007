"""Averages of networks: the mean of weights that were trained from one another, one network that runs as each did.

Fine-tunes of one network that learnt from different data lie in one valley of the loss, and between them is often a
network that is better than either over all of it (*Model soups*, Wortsman et al. 2022). Weights of networks that were
begun apart have nothing in common, and their mean is worth nothing: an evaluation has to tell.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from deepupscale.errors import ModelError, UsageError
from deepupscale.temporary import check_target
from model import snapshots
from model.checkpoint import load_generator, metadata
from model.start import file_of, weights_for

SUFFIX = ".safetensors"


def average(out: Path, sources: Sequence[str], shares: Sequence[float] = (), overwrite: bool = False) -> list[str]:
    """Average the weights of networks of one shape and write them.

    Args:
        out: The ``.safetensors`` file to make, whole or not at all; its metadata tell the files and their shares.
        sources: Two or more, each as :func:`model.start.weights_for` takes it; the first one a checkpoint or a run,
            which tells the shape.
        shares: One for each, above 0; only their ratios matter. Equal if there are none.
        overwrite: Replace ``out`` if it exists.

    Returns:
        SHA-256 of each source's file.

    Raises:
        UsageError: Arguments that cannot be meant.
        ModelError: A source that cannot be read, or of another network or shape than the first.
        WriteError: ``out`` cannot be written; what was there is untouched.
    """
    if len(sources) < 2:
        raise UsageError("name two or more networks to average")
    if shares and len(shares) != len(sources):
        raise UsageError(f"{len(shares)} shares for {len(sources)} networks: name one --share for each, or none")
    shares = shares or [1.0] * len(sources)
    if not all(math.isfinite(share) and share > 0.0 for share in shares):
        raise UsageError("--share: name numbers above 0")
    try:
        check_target(out, SUFFIX, overwrite)
        files = [file_of(source) for source in sources]
        if any(out.exists() and file.exists() and out.samefile(file) for file in files):
            raise UsageError(f"{out}: is one of the networks itself: name another file")
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be used: {error.strerror or error}") from None
    if files[0].suffix.lower() != SUFFIX:
        raise ModelError(f"{files[0]}: does not tell its shape: name a checkpoint or a run first")
    network = load_generator(files[0])
    mean: dict[str, Tensor] = {}
    for file, share in zip(files, shares, strict=True):
        for name, tensor in weights_for(network, str(file)).items():
            part = tensor.to(torch.float64) * (share / math.fsum(shares))
            mean[name] = mean[name] + part if name in mean else part
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    told = [[digest, share / math.fsum(shares)] for digest, share in zip(digests, shares, strict=True)]
    weights = {name: tensor.to(torch.float32) for name, tensor in mean.items()}
    snapshots.write_tensors(out, weights, {**metadata(network), "averaged_from": json.dumps(told)})
    return digests
