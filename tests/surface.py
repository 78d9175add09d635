"""The names and calls of the two generations of the vendor's package, as `test_surface` wants them.

The tables are in ``data/surface``. Nothing here imports the vendor's package.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

TABLES = Path(__file__).parent / "data" / "surface"
FIRST, CURRENT = GENERATIONS = ("v0.10.2", "v0.22.3")

POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD


def table(name: str) -> Any:
    """One of the tables."""
    return json.loads((TABLES / f"{name}.json").read_text("utf-8"))


@attrs.frozen
class Call:
    """What a function of the vendor's can be given."""

    positional: tuple[str, ...]
    named: tuple[str, ...]
    required: frozenset[str]
    rest: frozenset[inspect._ParameterKind]

    @classmethod
    def read(cls, text: str) -> Call:
        """Read the text of a signature, such as ``(path: str, *, wait: bool = True) -> None``."""
        found = ast.parse(f"def f{text[text.index('(') :].replace('<factory>', 'None')}: ...").body[
            0
        ]
        assert isinstance(found, ast.FunctionDef)
        arguments = found.args
        places = [item.arg for item in arguments.args]
        needed = places[: len(places) - len(arguments.defaults)]
        named = [item.arg for item in arguments.kwonlyargs]
        needed += [n for n, d in zip(named, arguments.kw_defaults, strict=True) if d is None]
        rest = {VAR_POSITIONAL: arguments.vararg, VAR_KEYWORD: arguments.kwarg}
        return cls(
            tuple(name for name in places if name != "self"),
            tuple(n for n in [*places, *named] if n != "self" and not n.startswith("_")),
            frozenset(needed) - {"self"},
            frozenset(kind for kind, item in rest.items() if item),
        )

    def problems(self, function: Callable[..., Any], *, bound: bool) -> Iterator[str]:
        """What can be given to the vendor's function and not to ours."""
        ours = list(inspect.signature(function).parameters.values())[0 if bound else 1 :]
        names = {item.name for item in ours if item.kind is not POSITIONAL_ONLY}
        kinds = {item.kind for item in ours}
        renamed: Mapping[str, str] = getattr(function, "__renamed__", {})
        for name in self.named:
            if name not in names and name not in renamed and VAR_KEYWORD not in kinds:
                yield f"{name}= is not known"
        if self.rest - kinds:
            yield "takes no further values"
        places = [item.name for item in ours if item.kind < VAR_POSITIONAL]
        # Where further values are taken, `test_surface` tells their order apart by example.
        count = len(places) if VAR_POSITIONAL in kinds else len(self.positional)
        wanted = [
            renamed.get(name, name if name in places else _snake(name)) for name in self.positional
        ]
        if places[: len(wanted)] != wanted[:count]:
            yield f"order: {', '.join(self.positional)}"
        for item in ours:
            given = item.default is not item.empty or item.kind in (VAR_POSITIONAL, VAR_KEYWORD)
            if not given and item.name not in self.required:
                yield f"{item.name} is required"


def _snake(name: str) -> str:
    """``securityToken`` as ``security_token``; a class takes both, and counts them as one."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


@attrs.frozen
class Thing:
    """A class or a function of the vendor's."""

    name: str
    kind: str
    generation: str
    module: str = ""
    init: str | None = None
    sig: str | None = None
    methods: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    members: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    attributes: tuple[str, ...] = ()

    @classmethod
    def read(cls, name: str, generation: str, facts: Mapping[str, Any], module: str = "") -> Thing:
        """Make one from an entry of a table."""
        return cls(
            name,
            facts["kind"],
            generation,
            module,
            facts.get("init"),
            facts.get("sig"),
            facts.get("methods") or {},
            facts.get("members") or {},
            tuple(facts.get("attributes", ())),
        )


def things() -> Iterator[Thing]:
    """All classes and functions of both generations."""
    tools = table("signatures_tools")
    for generation in GENERATIONS:
        for module, found in table(f"signatures_{generation}").items():
            for name, facts in found.items():
                if not name.startswith("_"):
                    yield Thing.read(name, generation, facts, module)
        for name, facts in tools[generation].items():
            yield Thing.read(name, generation, facts)


def public_methods(thing: Thing) -> Iterator[tuple[str, str]]:
    """The names of methods, and the text of their signatures; ``property`` for properties."""
    for name, text in thing.methods.items():
        if name.startswith("_"):
            continue
        if isinstance(text, str):
            yield name, text
            continue
        yield name, "property"
        for inner, signature in text["methods"].items():
            yield f"{name}.{inner}", signature.replace("(self, ", "(").replace("(self)", "()")
