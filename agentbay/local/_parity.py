"""What the engine does of all that the service knows, from the requests and their handlers."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from .. import protocol
from ..protocol._calls import ACTIONS, TOOLS
from ..protocol._frames import METHODS
from . import _dispatch, streams
from ._programs import lacking

_KINDS: dict[str, Mapping[str, type[Any]]] = {"action": ACTIONS, "tool": TOOLS, "method": METHODS}

State = Literal["real", "needs", "absent"]
STATES: tuple[State, ...] = ("real", "needs", "absent")


@attrs.frozen
class Ability:
    """A request, and whether the engine carries it out.

    Attributes:
        kind: ``action`` of the API, ``tool`` of a session or ``method`` of its WebSocket.
        name: Its name.
        module: The module of `agentbay.protocol` that has it.
        state: ``real``; ``needs`` something that this machine does not have; or ``absent``.
        note: What is needed, or why it is absent.
    """

    kind: str
    name: str
    module: str
    state: State
    note: str = ""


def abilities() -> list[Ability]:
    """Every request, by kind and name."""
    # Imported for the handlers that it registers.
    importlib.import_module(f"{__package__}.app")
    for module in pkgutil.iter_modules(protocol.__path__, f"{protocol.__name__}."):
        importlib.import_module(module.name)
    return [
        _ability(kind, name, request)
        for kind, registry in _KINDS.items()
        for name, request in sorted(registry.items())
    ]


def _ability(kind: str, name: str, request: Any) -> Ability:
    module = request.__module__.rpartition(".")[2]
    if not _handled(request):
        return Ability(kind, name, module, "absent", _dispatch.why_not(request))
    needed = "mobile" if _is_for_phones(request) else module
    if program := lacking(needed):
        return Ability(kind, name, module, "needs", f"{program.name}: {program.remedy}")
    return Ability(kind, name, module, "real")


def _is_for_phones(request: Any) -> bool:
    return request in _dispatch.PHONE_HANDLERS and request not in _dispatch.TOOL_HANDLERS


def _handled(request: Any) -> bool:
    tools = _dispatch.TOOL_HANDLERS.keys() | _dispatch.PHONE_HANDLERS.keys()
    return request in tools | _dispatch.ACTION_HANDLERS.keys() | streams.METHOD_HANDLERS.keys()


def counts(found: Sequence[Ability]) -> dict[str, dict[str, int]]:
    """How many there are of each kind in each state."""
    numbers = Counter((ability.kind, ability.state) for ability in found)
    return {kind: {state: numbers[kind, state] for state in STATES} for kind in _KINDS}


def as_text(found: Sequence[Ability]) -> str:
    """The list as columns, and the numbers."""
    wide = max(len(ability.name) for ability in found)
    lines = [
        f"{ability.kind:7} {ability.name:{wide}} {ability.state:7} {ability.note}".rstrip()
        for ability in found
    ]
    return "\n".join([*lines, "", *_summary(found)])


def as_markdown(found: Sequence[Ability]) -> str:
    """The list as a table, and the numbers."""
    rows = [
        f"| {ability.kind} | `{ability.name}` | {ability.state} | {ability.note} |"
        for ability in found
    ]
    head = ["| kind | name | state | note |", "|---|---|---|---|"]
    return "\n".join([*(f"- {line}" for line in _summary(found)), "", *head, *rows])


def _summary(found: Sequence[Ability]) -> list[str]:
    return [
        f"{kind}s: {', '.join(f'{number} {state}' for state, number in numbers.items())}"
        for kind, numbers in counts(found).items()
    ]
