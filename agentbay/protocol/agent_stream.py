"""Tasks in natural language over the WebSocket: how they start, and what is heard of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ._calls import not_blank
from ._checks import WHOLE, a_text, at_least
from ._frames import Method
from ._wire import decode, named
from .agent import MOBILE_SERVER, AgentEvent, StartMobileTask, text_of


@attrs.frozen
class StreamMobileTask(
    Method[None], method="exec_task", server=MOBILE_SERVER, tool=StartMobileTask.tool
):
    """Let an agent do something on the phone, and hear of each step."""

    task: str = named(validator=not_blank)
    max_steps: int = named(default=50, converter=WHOLE, validator=at_least(1))


@attrs.frozen
class ResumeTask(
    Method[None], method="resume_task", server=MOBILE_SERVER, tool=StartMobileTask.tool
):
    """Answer the question that an agent asked the user."""

    tool_call_id: str = named("toolCallId", validator=a_text)
    response: str = named(default="", validator=a_text)


def read_event(data: Mapping[str, Any]) -> AgentEvent:
    """Read an event of a stream. Values that make no sense are taken as not told."""
    event = decode(AgentEvent, data)
    if not event.asks_user:
        return event
    prompt = event.prompt or text_of(event.args.get("prompt") or "")
    return attrs.evolve(event, prompt=prompt, content=event.content or prompt)
