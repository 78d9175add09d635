"""How the tests call the file operations of the guest, without a sandbox."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import agentbay.local

if sys.platform != "linux":
    pytest.skip("the guest runs on Linux", allow_module_level=True)

PARENT = str(Path(agentbay.local.__file__).parent)


def load(name: str) -> Any:
    """A module of the guest."""
    return importlib.import_module(f"agentbay.local.guest.{name}")


_files = load("files")
_failure: type[Exception] = load("failure").Failure

not_root = pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write everywhere: run as an ordinary user"
)


def call(operation: str, body: bytes = b"", **arguments: Any) -> Any:
    """Do an operation; return its result without the reply's body."""
    given_arguments = {k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()}
    return _files.PLAIN[operation](given_arguments, body)[0]


def read(path: Path | str, **arguments: Any) -> bytes:
    content: bytes = _files.PLAIN["read_file"]({"path": str(path), **arguments}, b"")[1]
    return content


def refusal(operation: str, body: bytes = b"", **arguments: Any) -> str:
    """Do an operation that must be refused; return why it is."""
    with pytest.raises(_failure) as caught:
        call(operation, body, **arguments)
    failure: Any = caught.value
    assert failure.number == -32602
    return str(failure.message)
