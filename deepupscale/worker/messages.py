"""Messages as JSON-RPC 2.0 has them (specification of 2013-01-04, sections 4 and 5), read with distrust."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from deepupscale.errors import CancelledError, DeepUpscaleError, FrameError, ProtocolError, one_line

Id = str | int
MAX_ID = 200  # characters of an id that is text
_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})


class Code(IntEnum):
    """Numbers of errors; those above -32100 are ours."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    NO_PROTOCOL = -32000
    SETUP = -32001
    FRAME = -32002
    CANCELLED = -32003
    INTERNAL = -32004


@dataclass(frozen=True)
class Message:
    """A request, or a notification.

    Attributes:
        method: What is asked for.
        params: By name.
        id: What the answer carries; None for a notification, which gets none.
    """

    method: str
    params: Mapping[str, Any]
    id: Id | None


def parse(line: bytes) -> Any:
    """The JSON value of a line.

    Raises:
        ProtocolError: Not UTF-8, not JSON (NaN and Infinity are not), nested too deep, or with a name twice.
    """
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the line is not UTF-8 (byte {error.start})", Code.PARSE_ERROR) from None
    except json.JSONDecodeError as error:
        raise ProtocolError(f"the line is not JSON: {error.msg} (character {error.pos})", Code.PARSE_ERROR) from None
    except ValueError as error:
        raise ProtocolError(f"the line is not JSON: {error}", Code.PARSE_ERROR) from None
    except RecursionError:
        raise ProtocolError("the line is nested too deep", Code.PARSE_ERROR) from None


def id_of(value: Any) -> Id | None:
    """The id of what may be a request, to answer by; None where there is none to be had."""
    found: object = cast("dict[str, object]", value).get("id") if isinstance(value, dict) else None
    usable = (isinstance(found, int) and not isinstance(found, bool) and abs(found) < 1 << 63) or (
        isinstance(found, str) and len(found) <= MAX_ID
    )
    return cast("Id", found) if usable else None


def is_notification(value: Any) -> bool:
    """Whether it names a method and has no id: it gets no answer, not even an error (JSON-RPC 2.0, section 4.1)."""
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, object]", value)
    return "id" not in members and isinstance(members.get("method"), str)


def message_of(value: Any) -> Message:
    """A JSON value as a request or a notification.

    Raises:
        ProtocolError: It is neither, or a batch, or its params are not named.
    """
    if isinstance(value, list):
        raise ProtocolError("batches are not taken: send one message a line", Code.INVALID_REQUEST)
    if not isinstance(value, dict):
        raise ProtocolError("a message is a JSON object", Code.INVALID_REQUEST)
    members = cast("dict[str, Any]", value)
    if members.get("jsonrpc") != "2.0":
        raise ProtocolError('a message says "jsonrpc": "2.0"', Code.INVALID_REQUEST)
    if "id" in members and id_of(members) is None:
        raise ProtocolError(f"an id is an integer or a text of up to {MAX_ID} characters", Code.INVALID_REQUEST)
    if not isinstance(members.get("method"), str):
        raise ProtocolError("a message names its method by a text", Code.INVALID_REQUEST)
    if unknown := sorted(set(members) - _MEMBERS):
        raise ProtocolError(f"a message has no member {unknown[0]}", Code.INVALID_REQUEST)
    params = members.get("params", {})
    if not isinstance(params, dict):
        raise ProtocolError(f"{members['method']}: params are a JSON object, by name", Code.INVALID_PARAMS)
    return Message(members["method"], cast("dict[str, Any]", params), id_of(members))


def answer(id: Id, result: Any) -> dict[str, Any]:  # noqa: A002 (the specification's name)
    """A request's answer."""
    return {"jsonrpc": "2.0", "id": id, "result": result}


def failure(id: Id | None, error: BaseException, told: str = "") -> dict[str, Any]:  # noqa: A002
    """A request's error: the number, one line for the user, and the kind of exception.

    Args:
        id: The request's id; None where it is not known.
        error: What went wrong.
        told: The line, if it is not the error's own text.
    """
    text = one_line(told or str(error)) or type(error).__name__
    about = {"code": int(_code_of(error)), "message": text, "data": {"kind": type(error).__name__}}
    return {"jsonrpc": "2.0", "id": id, "error": about}


def notification(method: str, **params: Any) -> dict[str, Any]:
    """A message that wants no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _code_of(error: BaseException) -> int:
    if isinstance(error, ProtocolError):
        return error.code
    if isinstance(error, CancelledError):
        return Code.CANCELLED
    if isinstance(error, FrameError | MemoryError):
        return Code.FRAME
    return Code.SETUP if isinstance(error, DeepUpscaleError) else Code.INTERNAL


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a name twice")
    return members
