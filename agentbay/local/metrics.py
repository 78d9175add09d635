"""How much of its machine a session uses."""

from __future__ import annotations

import attrs

from ..protocol._wire import WireError, decode
from ..protocol.metrics import GetMetrics, SessionMetrics
from ._dispatch import handles_tool
from ._errors import ToolFailure
from .sandbox import Sandbox


@handles_tool(GetMetrics)
async def get_metrics(sandbox: Sandbox, call: GetMetrics) -> SessionMetrics:
    reply = await sandbox.call("usage", {})
    try:
        found = decode(SessionMetrics, reply.data)
    except WireError as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc
    # The session's part of the machine is what its programs are limited to.
    total = min(found.mem_total or sandbox.limits.memory, sandbox.limits.memory)
    return attrs.evolve(found, mem_total=total)
