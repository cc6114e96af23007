"""What the worker tells of models and devices."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from deepupscale.errors import ModelError
from deepupscale.model_file import ModelFile, load_model


def described(model: ModelFile) -> dict[str, Any]:
    """A model, short."""
    return {"name": model.promise.name, "version": model.promise.model_version, "sha256": model.digest}


def default_model() -> dict[str, Any]:
    """The model that is taken when none is named; ``problem`` says why it cannot be used, or is None."""
    try:
        return {**described(load_model()), "problem": None}
    except ModelError as error:
        return {"name": None, "version": None, "sha256": None, "problem": str(error)}


def models() -> dict[str, Any]:
    """What ``deepupscale models --json`` prints."""
    from deepupscale.cli.models import document
    from deepupscale.model_store import scan

    store = scan()
    return document(store, store.listed())


def devices() -> dict[str, Any]:
    """What ``deepupscale doctor --json`` prints, packages left out."""
    from deepupscale.cli.doctor import examine

    return {name: value for name, value in asdict(examine(None)).items() if name != "packages"}
