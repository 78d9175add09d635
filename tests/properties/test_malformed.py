"""Whatever a server answers, the caller gets a result or one of our errors.

``MALFORMED_REPLIES=10000`` tries more of them than the gate does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentbay import AgentBayError, ApiResponse, AsyncAgentBay, AsyncSession, RetryPolicy
from agentbay.protocol.contexts import Context
from agentbay.protocol.sessions import SessionData, ToolServer

pytestmark = [
    # httpx leaves generators behind when it cannot decode a reply, which trio reports.
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.timeout(1200),
]

# Not AGENTBAY_...: the tests take those out of the environment.
REPLIES = int(os.environ.get("MALFORMED_REPLIES", "100"))

Call = Callable[[AsyncSession], Awaitable[object]]

# One call of each kind: what the client makes of a reply differs between them.
CALLS: dict[str, Call] = {
    "create": lambda s: s.agent_bay.create(),
    "get": lambda s: s.agent_bay.get("s-1"),
    "get_session": lambda s: s.agent_bay.get_session("s-1"),
    "list": lambda s: s.agent_bay.list(page=2),
    "info": lambda s: s.info(),
    "labels": lambda s: s.get_labels(),
    "set labels": lambda s: s.set_labels({"a": "b"}),
    "link": lambda s: s.get_link(),
    "tools": lambda s: s.list_mcp_tools(),
    "tool": lambda s: s.call_mcp_tool("x", {}),
    "metrics": lambda s: s.get_metrics(),
    "shell": lambda s: s.command.run("ls"),
    "code": lambda s: s.code.run_code("1", "python"),
    "read": lambda s: s.file_system.read_file("/a"),
    "read several": lambda s: s.file_system.read_multiple_files(["/a", "/b"]),
    "list directory": lambda s: s.file_system.list_directory("/a"),
    "file info": lambda s: s.file_system.get_file_info("/a"),
    "env": lambda s: s.env.get(["A"]),
    "git": lambda s: s.git.status("/r"),
    "screenshot": lambda s: s.computer.screenshot(),
    "windows": lambda s: s.computer.list_root_windows(),
    "elements": lambda s: s.mobile.get_clickable_ui_elements(),
    "oss": lambda s: s.oss.download("b", "o", "/a"),
    "context": lambda s: s.agent_bay.context.get("x"),
    "contexts": lambda s: s.agent_bay.context.list(),
    "context files": lambda s: s.agent_bay.context.list_files("c-1", "/"),
    "delete context": lambda s: s.agent_bay.context.delete(Context("c-1", "x")),
    "context status": lambda s: s.context.info(),
    "network": lambda s: s.agent_bay.beta_network.describe("n-1"),
    "skills": lambda s: s.agent_bay.beta_skills.list_metadata(),
}

# -- replies ---------------------------------------------------------------------------

_KEYS = st.sampled_from(
    [
        *("RequestId", "Success", "Code", "Message", "HttpStatusCode", "NextToken", "TotalCount"),
        *("Data", "SessionId", "ToolList", "Labels", "Url", "Id", "Name", "ContextStatus"),
        *("DesktopInfo", "Token", "LinkUrl", "contexts", "MetaDataList", "FileName", "Online"),
        *("content", "isError", "text", "blob", "type", "data", "exit_code", "stdout", "stderr"),
        *("result", "success", "code", "message", "errorMessage", "results", "mime", "name"),
        *("window_id", "bounds", "width", "events", "path", "isDirectory", "size", "execution"),
    ]
)
_texts = st.text(max_size=12) | st.sampled_from(
    ["", "null", "[]", "{}", "true", "NaN", "1e999", "---\n/a:\n", "[DIR] a", "RUNNING", "ok"]
)
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | _texts
_values: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS | _texts, inner, max_size=4)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)
_contents = st.lists(st.fixed_dictionaries({"text": _texts | _values.map(json.dumps)}), max_size=2)
_tool_answers = st.fixed_dictionaries({"content": _contents}, optional={"isError": _values})
_wrapped = _tool_answers | st.fixed_dictionaries({"data": _tool_answers | _values})
_envelopes = st.fixed_dictionaries(
    {"Data": _values | _tool_answers | _tool_answers.map(json.dumps)},
    optional={
        "RequestId": st.just("R-1") | _values,
        "Success": st.booleans() | _values,
        "Code": st.sampled_from(["ok", "Throttling", "InvalidMcpSession.NotFound"]) | _values,
        "Message": _values,
        "NextToken": st.just("more") | _values,
        "TotalCount": _values,
    },
)
_encodings = st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig", "latin-1"])


def _written(value: Any, encoding: str, cut: int | None) -> bytes:
    return json.dumps(value).encode(encoding)[:cut]


_bodies = st.binary(max_size=40) | st.builds(
    _written,
    _envelopes | _envelopes | _wrapped | _values,
    st.just("utf-8") | _encodings,
    st.none() | st.none() | st.integers(0, 200),
)
_statuses = st.sampled_from(
    [200] * 8 + [201, 202, 204, 206, 299, 300, 301, 304, 400, 401, 404, 408, 418, 429, 500, 503]
) | st.integers(200, 599)
_header_names = st.sampled_from(
    ["content-type", "retry-after", "x-acs-retry-after", "location", "content-encoding", "etag"]
)
_header_values = st.sampled_from(
    [
        *("0", "-1", "1e9", "\u00b2", "9" * 400, "http://[", "//elsewhere/x", ""),
        *("gzip", "br", "application/json", "text/html; charset=utf-7"),
        "application/json; charset=nonsense",
    ]
)
_headers = st.dictionaries(_header_names, _header_values, max_size=2)


async def _outcome(
    call: Call, way: str, status: int, body: bytes, headers: Mapping[str, str]
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))

    bay = AsyncAgentBay(
        "akm-x",
        endpoint="x.test",
        transport=httpx.MockTransport(answer),
        retry=RetryPolicy(attempts=2, first_delay=0, longest_delay=0),
    )
    session = AsyncSession(bay, "s-1")
    if way == "link":
        names = ("x", "shell", "run_code", "read_file", "get_env", "screenshot", "get_metrics")
        tools = [ToolServer(name, "a_server") for name in names]
        url = "https://session.test/x"
        session._adopt(SessionData("s-1", token="tok", link_url=url, tool_list=tools))
    with anyio.fail_after(60):
        try:
            result = await call(session)
        except AgentBayError as exc:
            repr(exc)
            return
    repr(result)
    if isinstance(result, ApiResponse):
        assert result.success == (result.error is None)
        assert isinstance(result.request_id, str)
        assert not (result.success and status >= 300)
        assert result.success or result.error_message


@settings(max_examples=REPLIES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(CALLS)),
    way=st.sampled_from(["control plane", "link"]),
    status=_statuses,
    body=_bodies,
    headers=_headers,
)
async def test_a_malformed_reply_makes_a_result_or_one_of_our_errors(
    name: str, way: str, status: int, body: bytes, headers: dict[str, str]
) -> None:
    await _outcome(CALLS[name], way, status, body, headers)
