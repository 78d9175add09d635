"""What runs the code of one language, whatever it is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from typing import Any

Event = dict[str, Any]


class KernelError(Exception):
    """The language cannot be run; the text says why and what helps."""


class Kernel(ABC):
    """A process that keeps the state of a language between runs.

    Attributes:
        process: The process; None before the first run, and after it was ended.
        result: How the run ended that was begun last: a failure or None, and its number;
            None while it goes on.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.result: tuple[Event | None, int | None] | None = None

    @abstractmethod
    def start(self, limit: float) -> None:
        """Start the process and wait until it is there.

        Raises:
            KernelError: It cannot be started.
        """

    @abstractmethod
    def begin(self, code: str) -> None:
        """Begin to run code."""

    @abstractmethod
    def update(self, variables: dict[str, str]) -> None:
        """Set environment variables of the process, as well as it can be done."""

    @abstractmethod
    def wait(self, channel: int, timeout: float) -> tuple[list[Event], bool]:
        """Wait for something; what happened, and whether the channel can be read."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the process to end the run, and to keep its state."""

    def end(self) -> None:
        """End the process, and what it started in its process group."""
        process, self.process = self.process, None
        if process is not None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def died(self) -> str:
        """Why the process has ended; an empty text while it runs."""
        code = None if self.process is None else self.process.poll()
        if code is None:
            return ""
        if code == -signal.SIGKILL:
            return "signal 9 ended it, as happens when the memory of the session is used up"
        return f"signal {-code} ended it" if code < 0 else f"it exited with {code}"

    def spawn(self, command: list[str], **options: Any) -> None:
        """Start the process, in a process group of its own."""
        try:
            process: Any = subprocess.Popen(command, start_new_session=True, **options)
        except OSError as exc:
            raise KernelError(f"{command[0]} could not be started: {exc.strerror}") from exc
        self.process = process
