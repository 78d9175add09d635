"""The file of a scripted phone: screens, what is on them and what leads where, declared in a file.

It lets a mobile agent be tested without Android, and says what it is: its properties, its name
and the log. The file is TOML (or JSON of the same shape)::

    name = "shop"                     # of the phone
    size = [540, 960]                 # of its screen, in pixels
    start = "home"                    # the first screen, and where the key HOME leads

    [[apps]]
    name = "Shop"
    package = "com.example.shop"
    screen = "search"                 # what its start shows

    [screens.home]
    color = "#203040"

    [[screens.home.elements]]
    id = "open"                       # its resource id; unique on its screen
    text = "Open the shop"
    bounds = [40, 200, 500, 300]      # left, top, right, bottom
    goto = "search"                   # where a tap leads: then it is clickable

    [[screens.search.elements]]
    id = "query"
    input = true                      # a text field: a tap lets text go there
    bounds = [40, 100, 500, 180]

    [[screens.search.rules]]          # the first one that fits counts
    key = 66                          # or `tap` with an id, or `swipe` with a direction
    when = { query = "shoes" }        # texts that fields must have; may be left out
    goto = "found"

    [screens.found]                   # may be empty

The key BACK leads to the screen before. What was typed stays until another application starts, or
this one is stopped.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import attrs

from ...errors import InvalidInputError
from ...protocol._wire import decode

_DIRECTIONS = ("up", "down", "left", "right")


@attrs.frozen
class Element:
    """Something on a screen; the module tells what the fields mean."""

    bounds: list[int]
    id: str = ""
    text: str = ""
    color: str = "#3060a0"
    goto: str = ""
    input: bool = False

    @property
    def clickable(self) -> bool:
        return bool(self.goto) or self.input

    def has(self, x: int, y: int) -> bool:
        """Whether a point is on it."""
        left, top, right, bottom = self.bounds
        return left <= x < right and top <= y < bottom


@attrs.frozen
class Rule:
    """What leads to another screen."""

    goto: str
    tap: str = ""
    key: int | None = None
    swipe: str = ""
    when: dict[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen
class Screen:
    """One screen."""

    color: str = "#ffffff"
    elements: list[Element] = attrs.field(factory=list[Element])
    rules: list[Rule] = attrs.field(factory=list[Rule])


@attrs.frozen
class App:
    """An application that is on the phone."""

    name: str
    package: str
    screen: str


@attrs.frozen
class Script:
    """The whole file."""

    size: list[int]
    start: str
    screens: dict[str, Screen]
    name: str = "phone"
    apps: list[App] = attrs.field(factory=list[App])


def read_script(text: str, *, toml: bool) -> Script:
    """Read a file.

    Raises:
        InvalidInputError: It is not what this module describes; says where and why.
    """
    try:
        data: Any = tomllib.loads(text) if toml else json.loads(text)
        script = decode(Script, data)
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError(str(exc)) from exc
    _check(script)
    return script


def _check(script: Script) -> None:
    if len(script.size) != 2 or not all(16 <= side <= 4096 for side in script.size):
        raise InvalidInputError("size must be two numbers from 16 to 4096")
    for where, name in _destinations(script):
        if name not in script.screens:
            raise InvalidInputError(f"{where} leads to {name!r}, and there is no such screen")
    for name, screen in script.screens.items():
        ids = [element.id for element in screen.elements if element.id]
        if len(set(ids)) < len(ids):
            raise InvalidInputError(f"two elements of screen {name!r} have the same id")
        for element in screen.elements:
            _check_bounds(f"an element of screen {name!r}", element.bounds, script.size)
        for rule in screen.rules:
            _check_rule(f"a rule of screen {name!r}", rule, ids)


def _destinations(script: Script) -> list[tuple[str, str]]:
    found = [("start", script.start), *((f"app {app.name!r}", app.screen) for app in script.apps)]
    for name, screen in script.screens.items():
        places = [*(e.goto for e in screen.elements if e.goto), *(r.goto for r in screen.rules)]
        found += [(f"screen {name!r}", place) for place in places]
    return found


def _check_bounds(where: str, bounds: list[int], size: list[int]) -> None:
    if len(bounds) == 4:
        left, top, right, bottom = bounds
        if 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]:
            return
    raise InvalidInputError(f"{where} has bounds that are not on the screen: {bounds}")


def _check_rule(where: str, rule: Rule, ids: list[str]) -> None:
    if (bool(rule.tap), rule.key is not None, bool(rule.swipe)).count(True) != 1:
        raise InvalidInputError(f"{where} needs one of tap, key and swipe")
    if rule.swipe and rule.swipe not in _DIRECTIONS:
        raise InvalidInputError(f"{where}: swipe is one of {', '.join(_DIRECTIONS)}")
    if rule.tap and rule.tap not in ids:
        raise InvalidInputError(f"{where} is about {rule.tap!r}, and there is no such element")
