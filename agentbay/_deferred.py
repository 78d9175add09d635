"""Modules and classes that load when they are first used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, ForwardRef


class Deferred:
    """Stands in for a module, and loads it when something is asked of it.

    The classes of `protocol` are made by attrs, at 0.7 ms each; a program that only imports
    the client would wait for all of them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        # Each call to the service comes here some ten times, and `import_module` takes 2 us.
        # `sys.modules` would be as quick, and has modules that another thread is just loading.
        if self._module is None:
            self._module = import_module(self._name)
        return getattr(self._module, attribute)


def hint(module: str, name: str) -> Any:
    """Stands in for a class in annotations; `typing.get_type_hints` loads it.

    Frameworks that make tools of methods ask for the types of all arguments.
    """
    return ForwardRef(f"__import__({module!r}, fromlist=[{name!r}]).{name}")
