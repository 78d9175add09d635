"""What travels over the WebSocket of a session."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentbay.protocol._frames import METHODS, Frame, FrameError
from agentbay.protocol._wire import WireError

from .samples import SAMPLES
from .ws_methods import (
    Count,
    Greet,
    Greeting,
    Note,
)


@given(st.text(min_size=1), st.text(), st.text(min_size=1), st.dictionaries(st.text(), st.text()))
def test_a_frame_is_read_as_it_was_written(
    invocation: str, source: str, target: str, data: dict[str, Any]
) -> None:
    frame = Frame(invocation, source, target, data)
    assert Frame.decode(frame.encode()) == frame
    assert Frame.decode(attrs.evolve(frame, error="no").encode()).error == "no"


def test_a_frame_is_compact_json() -> None:
    text = Frame("i", "SDK", "T", {"a": [1, "ä"]}).encode()
    assert text == '{"invocationId":"i","source":"SDK","target":"T","data":{"a":[1,"ä"]}}'


def test_a_malformed_frame_names_its_invocation() -> None:
    with pytest.raises(FrameError) as caught:
        Frame.decode('{"requestId": "i", "target": "SDK", "data": 7}')
    assert caught.value.invocation_id == "i"


def test_methods_are_read_as_they_were_written() -> None:
    call = Count(7)
    assert METHODS["test.count"] is Count
    assert Count.from_data(call.data()) == call
    assert Greet.from_data({"method": "test.greet"}) == Greet()
    with pytest.raises(WireError):
        Count.from_data({"params": {"upTo": "x"}})
    assert Greet().parse(Greet().write(Greeting("hi"))["result"]) == Greeting("hi")
    assert Note().write(None) == {"result": {}}


def _recorded() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for path in sorted(SAMPLES.glob("*/ws-frames.jsonl")):
        lines = (json.loads(line) for line in path.read_text().splitlines())
        found += [(line["dir"], line["text"]) for line in lines if "text" in line]
    return found


def test_recorded_frames_are_read_and_written_as_they_were() -> None:
    recorded = _recorded()
    assert len(recorded) > 40
    for direction, text in recorded:
        frame = Frame.decode(text)
        if direction == "client->server":
            assert frame.encode() == text
            assert frame.source == "SDK"
        else:
            assert frame.server != "SDK"
