"""Hear of changes below a directory over the WebSocket of a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from ._calls import a_path
from ._frames import Method
from ._wire import Camel, WireError, named
from .file_system import SERVER, FileChangeEvent, GetFileChange

FILE_CHANGE = "file_change"


@attrs.frozen
class SubscribeFileChange(
    Method[None], method="subscribe_file_change", server=SERVER, tool=GetFileChange.tool
):
    """Be told of the changes below a directory from then on."""

    path: str = named(doc="Path of the directory.", validator=a_path)

    def parse(self, result: Any) -> None:
        """Check the answer, which is the end of a stream without events."""
        answer = cast("Mapping[str, Any] | None", result) or {}
        if not isinstance(answer, Mapping) or answer.get("phase", "end") != "end":  # pyright: ignore[reportUnnecessaryIsInstance]
            raise WireError("the answer is no end of a stream")

    def write(self, value: None) -> dict[str, Any]:
        """The answer of a server that tells of the changes."""
        return {"phase": "end", "status": "subscribed"}


@attrs.frozen
class UnsubscribeFileChange(
    Method[None], method="unsubscribe_file_change", server=SERVER, tool=GetFileChange.tool
):
    """Be told no more."""

    path: str = named(doc="Path of the directory.", validator=a_path)

    def write(self, value: None) -> dict[str, Any]:
        """The answer, for which nobody waits."""
        return {"phase": "end", "status": "unsubscribed"}


@attrs.frozen
class FileChanges(Camel):
    """What the session tells without being asked.

    Attributes:
        path: The directory, written as in the subscription.
        events: What changed below it.
        event_type: Always ``file_change``.
    """

    path: str
    events: list[FileChangeEvent] = attrs.field(factory=list[FileChangeEvent])
    event_type: str = FILE_CHANGE
