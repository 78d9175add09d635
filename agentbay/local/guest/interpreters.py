"""Start what runs code in one language, and leave it the socket to the engine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import Any, cast

from . import children
from .failure import Failure

# Where the engine's packages are in a sandbox: below what looks like a virtual environment.
PYTHON = "/run/agentbay/python"


def interpreter(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Start a program that reads what to run from the socket, and ends with it."""
    command, environment = arguments.get("command"), arguments.get("environment")
    if not isinstance(command, list) or not isinstance(environment, dict):
        raise Failure("command must be a list and environment an object")
    variables = {**os.environ, **cast("dict[str, str]", environment)}
    try:
        child = children.start(
            [_python(arguments.get("python")), *_start_of_kernels(), *cast("list[str]", command)],
            cwd=os.environ["HOME"],
            env=variables,
            stdin=connection.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as exc:
        raise Failure(f"the interpreter could not be started: {exc}") from exc
    child.release()
    # The program says nothing before it is asked, so that this is the first line.
    connection.sendall(json.dumps({"result": {}, "size": 0}).encode() + b"\n")


def _python(path: Any) -> str:
    """The Python to start: one by its path, or that of the sandbox."""
    if path != PYTHON:
        return path if isinstance(path, str) else sys.executable
    program = os.path.join(PYTHON, "bin", "python")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    with open(os.path.join(PYTHON, "pyvenv.cfg"), "w") as file:
        home = os.path.dirname(sys.executable)
        file.write(f"home = {home}\ninclude-system-site-packages = true\n")
    with contextlib.suppress(FileExistsError):
        os.symlink(sys.executable, program)
    return program


def _start_of_kernels() -> list[str]:
    parent, name = os.path.split(os.path.dirname(os.path.abspath(__file__)))
    start = (
        f"import sys; sys.path.append({parent!r}); "
        f"from {name}.kernels.__main__ import main; sys.path.remove({parent!r}); main()"
    )
    return ["-X", "utf8", "-P", "-c", start]


STREAMING = {"interpreter": interpreter}
