"""What a model may answer about a page, and whether it makes sense there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ...protocol._wire import WireError, decode
from .._errors import ToolFailure
from .methods import canonical, read_arguments
from .schema import check_data
from .snapshot import Snapshot


@attrs.frozen
class Move:
    """The next step, as a model says it."""

    element: int | None = None
    method: str | None = None
    arguments: dict[str, Any] = attrs.field(factory=dict[str, Any])
    done: bool = False
    success: bool = True
    message: str = ""


@attrs.frozen
class Found:
    element: int
    description: str
    method: str = "click"
    arguments: dict[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class _AllFound:
    elements: list[Found]


class Reader:
    """Understands answers about a page; raises `WireError` for what makes no sense."""

    def __init__(self, snapshot: Snapshot, schema: Mapping[str, Any] | None = None) -> None:
        self._elements = snapshot.elements
        self._schema = schema or {}

    def move(self, data: Any) -> Move:
        """The next step of an action."""
        move = decode(Move, data)
        if move.method is None:
            if not move.done:
                raise WireError("a step needs a method, unless it is done")
            return move
        self._check(move.element, move.method, move.arguments)
        return move

    def found(self, data: Any) -> list[Found]:
        """What was looked for."""
        found = decode(_AllFound, data).elements
        for one in found:
            self._check(one.element, one.method, None)
        return found

    def data(self, data: Any) -> tuple[Any, int | None]:
        """Data of the shape that was asked for, and the link to more of it."""
        whole = decode(dict[str, Any], data)
        if "data" not in whole:
            raise WireError("data is missing")
        check_data(self._schema, whole["data"])
        following = whole.get("next")
        known = isinstance(following, int) and following in self._elements
        return whole["data"], following if known else None

    def _check(self, element: int | None, method: str, arguments: Any) -> None:
        if element is not None and element not in self._elements:
            raise WireError(f"there is no element [{element}]")
        try:
            canonical(method) if arguments is None else read_arguments(method, arguments)
        except ToolFailure as exc:
            raise WireError(str(exc)) from exc
