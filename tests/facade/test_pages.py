"""Pages of Playwright's blocking interface, which work in the thread that made them only."""

from __future__ import annotations

import json
import threading
import types
from typing import Any

import pytest

from agentbay._params.browser_operator import ActOptions
from agentbay._sync.session import Session
from agentbay.errors import BrowserError

from ..unit.service import Sent, Service, session_of, tool_says


def _answer(sent: Sent) -> Any:
    replies = {
        "page_use_act_async": '{"task_id":"t"}',
        "page_use_get_act_result": '{"is_done":true,"success":true,"steps":"done"}',
    }
    return tool_says(replies[sent.form["Name"]])


class Context:
    """The context of a page, which complains about other threads."""

    def __init__(self) -> None:
        self.browser = types.SimpleNamespace(contexts=[None, self])
        self.home = threading.get_ident()

    def new_cdp_session(self, page: object) -> Any:
        assert threading.get_ident() == self.home

        def send(_: str) -> object:
            return {"targetInfo": {"targetId": "TT"}}

        return types.SimpleNamespace(send=send, detach=lambda: None)


def test_a_page_is_found_in_the_thread_of_the_caller() -> None:
    service = Service(_answer)
    session = Session._wrap(session_of(service))
    session.browser.attach()
    page: Any = types.SimpleNamespace(context=Context())
    result = session.browser.operator.act(ActOptions("go"), page)
    assert (result.success, result.message) == (True, "done")
    arguments = json.loads(service.sent[0].form["Args"])
    assert (arguments["page_id"], arguments["context_id"]) == ("TT", 1)


def test_a_page_of_an_event_loop_is_refused_rather_than_waited_for() -> None:
    async def connect(_: object) -> None:
        raise AssertionError("nobody asks")

    service = Service(_answer)
    session = Session._wrap(session_of(service))
    session.browser.attach()
    page: Any = types.SimpleNamespace(context=types.SimpleNamespace(new_cdp_session=connect))
    with pytest.raises(BrowserError, match="_async"):
        session.browser.operator.act(ActOptions("go"), page)
    assert service.sent == []


def test_agent_is_another_name_of_operator() -> None:
    session = Session._wrap(session_of(Service(_answer)))
    assert session.browser.agent == session.browser.operator
