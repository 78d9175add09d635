"""Contexts that are mounted rather than copied."""

from __future__ import annotations

from typing import Self

import attrs

from .._value import Value
from ..protocol._checks import Choice
from . import not_blank


class BetaContextMountAccessMode(Choice):
    """Whether a session may change a mounted context."""

    READ_WRITE = "readWrite"
    READ_ONLY = "readOnly"


class BetaContextMountStrategy(Choice):
    """What a mounted context is made for."""

    STANDARD = "standard"
    PERFORMANCE = "performance"


@attrs.define(eq=False, repr=False)
class BetaContextMount(Value):
    """A context that appears in a session as a directory, without being copied.

    Only some images keep what is written there; ``aio-ubuntu-2404`` does.

    Attributes:
        context_id: Which context.
        path: Absolute path in the session.
        access_mode: Whether the session may change it.
        strategy: What it is made for.
        source_path: Directory of the context to mount; all of it when empty.
    """

    context_id: str = attrs.field(validator=not_blank)
    path: str = attrs.field(validator=not_blank)
    access_mode: BetaContextMountAccessMode = attrs.field(
        default=BetaContextMountAccessMode.READ_WRITE, converter=BetaContextMountAccessMode
    )
    strategy: BetaContextMountStrategy = attrs.field(
        default=BetaContextMountStrategy.STANDARD, converter=BetaContextMountStrategy
    )
    source_path: str = ""

    @classmethod
    def new(
        cls,
        context_id: str,
        path: str,
        access_mode: BetaContextMountAccessMode | str | None = None,
        strategy: BetaContextMountStrategy | str | None = None,
        source_path: str | None = None,
    ) -> Self:
        """Make one; None stands for the default."""
        return cls(
            context_id,
            path,
            BetaContextMountAccessMode(access_mode or BetaContextMountAccessMode.READ_WRITE),
            BetaContextMountStrategy(strategy or BetaContextMountStrategy.STANDARD),
            source_path or "",
        )

    def with_access_mode(self, access_mode: BetaContextMountAccessMode | str) -> Self:
        """Choose whether the session may change it, and return this object."""
        return self._with("access_mode", BetaContextMountAccessMode(access_mode))

    def with_strategy(self, strategy: BetaContextMountStrategy | str) -> Self:
        """Choose what the mount is made for, and return this object."""
        return self._with("strategy", BetaContextMountStrategy(strategy))

    def with_source_path(self, source_path: str) -> Self:
        """Choose the directory of the context, and return this object."""
        return self._with("source_path", source_path)

    def _with(self, name: str, value: str) -> Self:
        # Existing programs call these without taking what they return; a copy would lose it.
        setattr(self, name, value)
        return self
