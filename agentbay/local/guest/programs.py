"""Programs that come with the guest."""

from __future__ import annotations

import os
import sys
from typing import Any


def transfer_program(_arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """The command that starts `transfer`, which the guest itself has no time to import."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transfer.py")
    return {"command": [sys.executable, "-I", "-S", "-X", "utf8", source]}, b""


PLAIN = {"transfer_program": transfer_program}
