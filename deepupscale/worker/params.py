"""What may be asked for, as types: a name or a value that is not known is an error, never a default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from deepupscale.errors import ProtocolError
from deepupscale.fields import Method
from deepupscale.worker.messages import MAX_ID, Code

MAX_PATH = 4096  # characters, the longest that Linux opens
MAX_LAYERS = 1024


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a zero byte")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it is not Unicode text") from None
    return text


def _plate(text: str) -> str:
    if not Path(text).is_absolute():
        raise ValueError("it is not absolute: give the whole path")
    if Path(text).suffix.lower() != ".exr" or text[-1] in "/\\":
        raise ValueError("it does not end in .exr")
    return text


def _model(text: str) -> str:
    from deepupscale.model_store import is_name

    if not is_name(text) and not Path(text).is_absolute():
        raise ValueError("it is neither a model's name nor an absolute path")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=MAX_PATH), AfterValidator(_text)]
_PlatePath = Annotated[_Text, AfterValidator(_plate)]
_Word = Annotated[str, Field(min_length=1, max_length=40)]
_Method = Annotated[Method, Field(strict=False)]
_ID = Annotated[str, Field(max_length=MAX_ID)] | int


class Params(BaseModel):
    """Params by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Initialize(Params):
    """What the client speaks and is."""

    protocol: list[int] = Field(min_length=1, max_length=64)
    client: Annotated[str, Field(max_length=1000)] = ""


class Nothing(Params):
    """No params."""


class Cancel(Params):
    """The request that is no longer wanted."""

    id: _ID


class Asked(Params):
    """What a result is to be made with; the defaults are those of ``deepupscale run``."""

    model: Annotated[_Text, AfterValidator(_model)] | None = None
    """A model's name or an absolute path; the default model if left out."""
    scale: int = 2
    layers: dict[Annotated[_Text, Field(max_length=1024)], _Method] = Field(default={}, max_length=MAX_LAYERS)
    precision: _Word = "auto"
    device: _Word = "auto"
    runtime: _Word = "auto"
    compression: _Word | None = None
    overwrite: bool = False


class Upscale(Asked):
    """A plate to double."""

    plate: _PlatePath
    result: _PlatePath
    digest: bool = False
    """Whether the answer has the SHA-256 of the result."""


class Check(Asked):
    """A result to look at."""

    result: _PlatePath
    plate: _PlatePath | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What the result's bytes must hash to; None if that does not matter."""


P = TypeVar("P", bound=Params)


def checked(kind: type[P], method: str, params: Mapping[str, Any]) -> P:
    """Params as their type.

    Raises:
        ProtocolError: Something is missing, unknown or of the wrong type.
    """
    try:
        return kind.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "params"
        why = first["msg"].removeprefix("Value error, ")
        raise ProtocolError(f"{method}: {where}: {why}", Code.INVALID_PARAMS) from None
