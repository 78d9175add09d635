"""The screen of a session, as programs of the first generation reach it."""

from __future__ import annotations

from ..protocol.ui import Click
from . import computer
from ._dispatch import handles_tool
from .sandbox import Sandbox


@handles_tool(Click)
async def click(sandbox: Sandbox, call: Click) -> None:
    await computer.click(sandbox, call.x, call.y, call.button)
