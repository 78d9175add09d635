"""The results of commands."""

from __future__ import annotations

from typing import Self

import attrs

from ..errors import AgentBayError, CommandError
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class CommandResult(ApiResponse):
    """What a command left behind.

    `success` means that it ran and exited with 0.

    Attributes:
        output: Standard output followed by standard error.
        exit_code: Exit status; None when the command did not run, or was killed at its
            time limit.
        stdout: What it wrote to standard output.
        stderr: What it wrote to standard error.
        trace_id: Identifier for the service's support; empty when there is none.
    """

    output: str = ""
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    trace_id: str = ""

    @property
    def data(self) -> str:
        """The same as `output`."""
        return self.output

    def unwrap(self) -> str:
        """Return `output`, or raise what went wrong; an exit status other than 0 counts."""
        self._check()
        return self.output

    @classmethod
    def failed(cls, error: AgentBayError) -> Self:
        """The result that stands for an error; keeps what a command wrote before it."""
        result = super().failed(error)
        if not isinstance(error, CommandError):
            return result
        return attrs.evolve(
            result,
            output=error.stdout + error.stderr,
            exit_code=error.exit_code,
            stdout=error.stdout,
            stderr=error.stderr,
        )
