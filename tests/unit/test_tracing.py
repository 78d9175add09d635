"""What the log and the spans of OpenTelemetry tell of calls, on each way; and what they do not."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agentbay import AgentBay, AsyncAgentBay, ConfigError, RetryPolicy
from agentbay._async._routes import send_tool
from agentbay._transport import ApiClient
from agentbay.errors import APIError, FileTransferError, TransportError
from agentbay.protocol.command import Shell
from agentbay.protocol.sessions import GetSession, SessionData

from .service import ENDPOINT, KEY, Service, always, ok, tool_says
from .test_routes import LINK, VPC, Network, nested, says
from .ws_methods import Count, Greet, connect, drain, drop_sessions, service
from .ws_service import TOKEN, WsService

__all__ = ["drop_sessions", "service"]

AT_ONCE = RetryPolicy(attempts=3, first_delay=0)
STORE = "https://oss.test/oss/bucket/obj?Expires=1&OSSAccessKeyId=AK&Signature=sig%3D"
_LINE = re.compile(r"(?P<name>.+) (?P<request>\S+) in \d+ ms, attempt (?P<attempt>\d+)(?P<end>.*)")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int, str]]:
    """The calls that are in the log: name, request, attempt, and how each ended."""
    found: list[tuple[str, str, int, str]] = []
    for record in caplog.records:
        if record.name == "agentbay._tracing":
            assert record.levelno == logging.DEBUG
            match = _LINE.fullmatch(record.getMessage())
            assert match, record.getMessage()
            found.append((match["name"], match["request"], int(match["attempt"]), match["end"]))
    return found


@pytest.fixture(scope="module")
def _exporter() -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(_exporter: InMemorySpanExporter) -> Callable[[], list[ReadableSpan]]:
    """The spans that have ended since the last time this was called."""

    def ended() -> list[ReadableSpan]:
        found = list(_exporter.get_finished_spans())
        _exporter.clear()
        return found

    ended()
    return ended


def client(transport: httpx.AsyncBaseTransport, *, tracing: bool = True) -> ApiClient:
    bay = AsyncAgentBay(KEY, endpoint=ENDPOINT, transport=transport, retry=AT_ONCE, tracing=tracing)
    return bay.client


def found() -> httpx.Response:
    return ok({"SessionId": "s-1"})


def known(span: ReadableSpan) -> dict[str, Any]:
    return {name.removeprefix("agentbay."): v for name, v in (span.attributes or {}).items()}


def busy_at_first(times: int, then: Callable[[], httpx.Response]) -> Service:
    left = iter(range(times))
    busy = httpx.Response(503, json={"Code": "Busy", "Message": "m", "RequestId": "r-busy"})
    return Service(lambda _: then() if next(left, None) is None else busy)


# -- the log ---------------------------------------------------------------------------


async def test_a_call_is_one_line_with_its_request_and_its_attempts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "agentbay")
    await client(busy_at_first(2, found), tracing=False).send(GetSession("s-1"))
    assert lines(caplog) == [("GetSession", "r-1", 3, "")]


async def test_a_call_that_fails_is_a_line_with_its_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agentbay")
    with pytest.raises(APIError):
        await client(busy_at_first(9, found), tracing=False).send(GetSession("s-1"))
    assert lines(caplog) == [("GetSession", "r-busy", 3, ": APIError")]


async def _over(way: SessionData, network: Network, *, tracing: bool = False) -> None:
    call = Shell("echo a-secret-of-mine")
    served = client(network, tracing=tracing)
    await send_tool(way, "wuying_shell", call.tool, call.arguments(), client=served)


@pytest.mark.parametrize(
    ("way", "request_id"),
    [(SessionData("s-1"), "r-1"), (LINK, r"link-\d+-\d+"), (VPC, r"vpc-\d+-\w+")],
    ids=["control plane", "link", "private network"],
)
async def test_a_tool_is_named_on_every_way(
    way: SessionData, request_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await _over(way, Network(says({"data": nested()})))
    ((name, request, attempt, end),) = lines(caplog)
    assert (name, attempt, end) == ("CallMcpTool shell", 1, "")
    assert re.fullmatch(request_id, request)
    assert "a-secret-of-mine" not in caplog.text


async def test_calls_over_a_websocket_are_lines(
    service: WsService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agentbay")
    connection = await connect(service)
    reply = await connection.call(Greet())
    assert lines(caplog) == [("test.greet", reply.request_id, 1, "")]


async def _chunks() -> AsyncGenerator[bytes, None]:
    yield b"abc"


async def _drop(_: bytes) -> None:
    """Take it."""


class Store(httpx.AsyncBaseTransport):
    """A store that names its requests."""

    def __init__(self, status: int = 200) -> None:
        self.status = status

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return httpx.Response(self.status, headers={"x-oss-request-id": "oss-1"})


async def test_files_on_their_way_are_lines_without_their_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    served = client(Store(), tracing=False)
    await served.put_file(STORE, _chunks, 3)
    await served.get_file(STORE, _drop)
    with pytest.raises(APIError):
        await client(Store(403), tracing=False).get_file(STORE, _drop)
    assert lines(caplog) == [
        ("PutFile", "oss-1", 1, ""), ("GetFile", "oss-1", 1, ""),
        ("GetFile", "oss-1", 1, ": APIError"),
    ]  # fmt: skip
    assert "Signature" not in caplog.text


# -- spans -----------------------------------------------------------------------------


async def test_a_call_is_one_span(spans: Callable[[], list[ReadableSpan]]) -> None:
    served = client(busy_at_first(1, found))
    with trace.get_tracer("of the user").start_as_current_span("mine") as outer:
        await served.send(GetSession("s-1"))
    span, mine = spans()
    assert (span.name, span.kind, mine.name) == ("GetSession", SpanKind.CLIENT, "mine")
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id
    assert known(span) == {
        "action": "GetSession", "session_id": "s-1", "request_id": "r-1", "attempts": 2,
    }  # fmt: skip
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("way", [SessionData("s-1"), LINK, VPC], ids=["plain", "link", "vpc"])
async def test_the_span_of_a_tool_is_named_after_it(
    way: SessionData, spans: Callable[[], list[ReadableSpan]]
) -> None:
    await _over(way, Network(says({"data": nested()})), tracing=True)
    (span,) = spans()
    assert span.name == "shell"
    assert known(span).items() >= {
        "action": "CallMcpTool", "tool": "shell", "session_id": "s-1", "attempts": 1,
    }.items()  # fmt: skip
    assert known(span)["request_id"]


async def test_what_is_sent_during_a_call_belongs_to_its_span(
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    def answer(_: object) -> httpx.Response:
        trace.get_tracer("of the transport").start_span("post").end()
        return found()

    await client(Service(answer)).send(GetSession("s-1"))
    inner, outer = spans()
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


async def test_the_span_of_a_failure_tells_its_class_and_nothing_else(
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    no = httpx.Response(404, json={"Code": "No", "Message": "a-secret-of-mine", "RequestId": "r-n"})
    with pytest.raises(APIError):
        await client(Service(always(lambda: no))).send(GetSession("s-1"))
    said = client(Service(always(lambda: tool_says("a-secret-of-mine", is_error=True))))
    await send_tool(SessionData("s-1"), "", "shell", {}, client=said)
    first, second = spans()
    assert known(first)["error.type"] == "APIError"
    assert known(first)["request_id"] == "r-n"
    assert known(second)["error.type"] == "ToolError"
    for span in (first, second):
        assert span.status.status_code is StatusCode.ERROR
        assert not span.events
        assert "a-secret-of-mine" not in span.to_json()


async def test_spans_hold_no_credential_and_no_argument(
    service: WsService, spans: Callable[[], list[ReadableSpan]]
) -> None:
    for way in (SessionData("s-1"), LINK, VPC):
        await _over(way, Network(says({"data": nested()})), tracing=True)
    served = client(Store())
    await served.put_file(STORE, _chunks, 3)
    await served.get_file(STORE, _drop)
    with pytest.raises(TransportError):
        await _over(LINK, Network(_broken), tracing=True)
    shown = "".join(span.to_json() for span in spans())
    assert shown.count('"context"') == 6
    for secret in (KEY, TOKEN, LINK.token, LINK.link_url, "Signature", "a-secret-of-mine"):
        assert secret not in shown


def _broken(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("gone")


async def test_calls_and_streams_over_a_websocket_are_spans(
    service: WsService, spans: Callable[[], list[ReadableSpan]]
) -> None:
    connection = await connect(service)
    connection._client._tracer = trace.get_tracer("agentbay")
    reply = await connection.call(Greet())
    async with connection.stream(Count(), timeout=30) as events:
        await drain(events, [])
    call, stream = spans()
    assert (call.name, stream.name) == ("test.greet", "count")
    assert known(call)["request_id"] == reply.request_id
    assert known(stream)["request_id"] == events.invocation_id
    assert TOKEN not in call.to_json() + stream.to_json()


async def test_nobody_is_traced_who_does_not_ask(spans: Callable[[], list[ReadableSpan]]) -> None:
    await client(Service(always(found)), tracing=False).send(GetSession("s-1"))
    assert spans() == []


def test_a_blocking_call_belongs_to_the_span_of_its_caller(
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    transport = Service(always(found))
    mine = trace.get_tracer("of the user").start_as_current_span("mine")
    with AgentBay(KEY, endpoint=ENDPOINT, transport=transport, tracing=True) as bay, mine as outer:
        bay.get("s-1").unwrap()
    span = spans()[0]
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id


def test_tracing_without_opentelemetry_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"agentbay-sdk\[otel\]"):
        AsyncAgentBay(KEY, endpoint=ENDPOINT, tracing=True)
    AsyncAgentBay(KEY, endpoint=ENDPOINT)


# -- objects that hold credentials -----------------------------------------------------


async def test_no_object_shows_a_credential() -> None:
    bay = AsyncAgentBay(KEY, endpoint=ENDPOINT, transport=Service(always(found)))
    session = (await bay.get("s-1")).unwrap()
    session._adopt(LINK)
    objects: list[object] = [
        *(bay, bay.client, bay._settings, session, session._data, LINK, VPC),
        *(session.command, session.file_system, bay.context, FileTransferError("x")),
    ]
    shown = "".join(repr(item) + str(item) for item in objects)
    for secret in (KEY, LINK.token, LINK.link_url):
        assert secret not in shown
