"""Contexts that are mounted rather than copied."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import attrs

from .._value import Value
from . import not_blank


class BetaContextMountAccessMode(StrEnum):
    """Whether a session may change a mounted context."""

    READ_WRITE = "readWrite"
    READ_ONLY = "readOnly"


class BetaContextMountStrategy(StrEnum):
    """What a mounted context is made for."""

    STANDARD = "standard"
    PERFORMANCE = "performance"


@attrs.frozen(eq=False, repr=False)
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
        """A copy with another access mode."""
        return attrs.evolve(self, access_mode=BetaContextMountAccessMode(access_mode))

    def with_strategy(self, strategy: BetaContextMountStrategy | str) -> Self:
        """A copy that is made for something else."""
        return attrs.evolve(self, strategy=BetaContextMountStrategy(strategy))

    def with_source_path(self, source_path: str) -> Self:
        """A copy that mounts another directory of the context."""
        return attrs.evolve(self, source_path=source_path)
