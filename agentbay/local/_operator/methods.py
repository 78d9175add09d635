"""The methods of `act`: how they are found, and what they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import attrs

from ...protocol._wire import WireError, decode, fields
from .._errors import ToolFailure
from .input import Place
from .page import Page
from .pages import settled

A = TypeVar("A")


@attrs.frozen
class Step:
    """One thing to do: where, and within how many seconds the place has to be ready."""

    page: Page
    place: Place | None
    limit: float

    def somewhere(self, method: str) -> Place:
        """The place, for what cannot do without."""
        if self.place is None:
            raise ToolFailure(f"{method} needs the selector of an element")
        return self.place


@attrs.frozen
class Nothing:
    """No arguments."""


Work = Callable[[Step, A], Awaitable[str]]


@attrs.frozen
class _Method:
    kind: type[Any]
    work: Work[Any]
    settles: bool


_METHODS: dict[str, _Method] = {}
_NAMES: dict[str, str] = {}


def method(
    kind: type[A], name: str, *others: str, settles: bool = True
) -> Callable[[Work[A]], Work[A]]:
    """Let a function carry out a method; it says what it did.

    Args:
        kind: The class of its arguments.
        name: Its name.
        others: What else it is called.
        settles: Whether the page has to be in front, and to come to rest after that.
    """

    def register(work: Work[A]) -> Work[A]:
        _METHODS[name] = _Method(kind, work, settles)
        _NAMES.update({_plain(spelling): name for spelling in (name, *others)})
        return work

    return register


def descriptions() -> list[str]:
    """The methods with the names of their arguments."""
    return [
        f"{name}({', '.join(field.name for field in fields(found.kind))})"
        for name, found in _METHODS.items()
    ]


def canonical(name: str) -> str:
    """The name of a method, from what somebody calls it.

    Raises:
        ToolFailure: There is no such method.
    """
    found = _NAMES.get(_plain(name))
    if found is None:
        raise ToolFailure(f"there is no method {name!r:.40}, but {', '.join(_METHODS)}")
    return found


def read_arguments(name: str, arguments: Any) -> dict[str, Any]:
    """The arguments of a method by name; they may come in a list, or as one alone.

    Raises:
        ToolFailure: There is no such method, or they are not its arguments.
    """
    kind = _METHODS[canonical(name)].kind
    values = _by_name(name, [field.name for field in fields(kind)], arguments)
    _decoded(name, values)
    return values


async def perform(step: Step, name: str, arguments: Any) -> str:
    """Do something on a page and wait until the page has come to rest; returns what was done.

    Raises:
        ToolFailure: It cannot be done; says why.
    """
    call = _decoded(name, read_arguments(name, arguments))
    found = _METHODS[canonical(name)]
    if not found.settles:
        return await found.work(step, call)
    await step.page.send("Page.bringToFront")
    done = await settled(step.page, partial(found.work, step, call))
    return f"{name}, which closed the page" if done is None else done


def _by_name(name: str, known: list[str], arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, Mapping):
        return dict(cast("Mapping[str, Any]", arguments))
    given = cast("list[object]", arguments if isinstance(arguments, list) else [arguments])
    given = [value for value in given if value not in (None, "")]
    if len(given) > len(known):
        raise ToolFailure(f"{name} takes {len(known)} arguments, not {len(given)}")
    return dict(zip(known, given, strict=False))


def _decoded(name: str, values: dict[str, Any]) -> Any:
    kind = _METHODS[canonical(name)].kind
    try:
        return decode(kind, values)
    except (WireError, ValueError) as exc:
        raise ToolFailure(f"bad arguments for {name}: {exc}") from exc


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))
