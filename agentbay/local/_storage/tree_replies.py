"""What comes of moving a tree: what the guest says, and what is told."""

from __future__ import annotations

import contextlib
import json
from typing import Any, BinaryIO, cast

import attrs

from .._errors import EngineError, ToolFailure

_LONGEST_REPLY = 1024 * 1024


@attrs.frozen
class Summary:
    """What a transfer did.

    Attributes:
        exists: Whether the tree was there; if not, an upload changes nothing.
        files: How many files were moved.
        size: Their bytes.
        failures: Paths that could not be read in the session, and why. The context keeps
            what it had under them.
        paths: Every path that both sides have now.
    """

    exists: bool = True
    files: int = 0
    size: int = 0
    failures: dict[str, str] = attrs.field(factory=dict[str, str])
    paths: frozenset[str] = attrs.field(default=frozenset(), eq=False, repr=False)


def read_reply(stream: BinaryIO) -> dict[str, Any]:
    """Read what the guest replies.

    Raises:
        ToolFailure: It says no.
        EngineError: It makes no sense.
    """
    line = b""
    # A guest that ends without reading all it was sent resets the connection.
    with contextlib.suppress(ConnectionError):
        line = stream.readline(_LONGEST_REPLY)
    if not line.endswith(b"\n"):
        raise refused("it ended before it replied")
    try:
        reply: Any = json.loads(line)
    except ValueError as exc:
        raise refused("its reply is not JSON") from exc
    match reply:
        case {"result": dict()}:
            return cast("dict[str, Any]", reply["result"])
        case {"error": {"message": str(message), "number": int(number)}}:
            raise ToolFailure(message, number=number)
        case _:
            raise refused("its reply makes no sense")


def refused(reason: str) -> EngineError:
    """The error about a guest that does not do its part."""
    return EngineError(
        "Context.SyncFailed", f"the session sent no proper tree: {reason}", status=502
    )
