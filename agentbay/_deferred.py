"""Modules that load when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Deferred:
    """Stands in for a module, and loads it when something is asked of it.

    The classes of `protocol` are made by attrs, at 0.7 ms each; a program that only imports
    the client would wait for all of them.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
