"""The ways to a tool: which one a call takes, what travels, and what the answers mean."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import attrs
import httpx
import pytest

from agentbay import AsyncAgentBay
from agentbay._async._routes import send_tool, uses_link
from agentbay._transport import ApiClient, Reply
from agentbay.errors import (
    APIError,
    AuthenticationError,
    InvalidInputError,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    TransportError,
)
from agentbay.protocol import direct
from agentbay.protocol._calls import Content
from agentbay.protocol._wire import WireError
from agentbay.protocol.sessions import SessionData

from .service import ENDPOINT, KEY, tool_says

TOKEN = "tok-4f3c-credential"
PATH = "way-in-9c1b"
LINK = SessionData("s-1", token=TOKEN, link_url=f"https://link.test:8008/{PATH}/")
VPC = SessionData(
    "s-1", token=TOKEN, vpc_resource=True, network_interface_ip="10.0.0.7", http_port="8080"
)
SERVER = "wuying_shell"
ARGUMENTS = {"command": 'echo 你好 & "q"', "timeout_ms": 1000}

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
NAMES = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*-callTool.http"))

Handler = Callable[[httpx.Request], httpx.Response]


def nested(text: Any = "out", *, is_error: bool = False) -> dict[str, Any]:
    """What tools say, in the shape of the link."""
    return {"result": {"content": [{"type": "text", "text": text}], "isError": is_error}}


def says(data: Any, status: int = 200, **headers: str) -> Handler:
    """Give this answer to every call that goes straight to the session."""
    return lambda _: httpx.Response(status, json=data, headers=headers)


class Network(httpx.AsyncBaseTransport):
    """Answers for the control plane and, with a function, for the session."""

    def __init__(self, session: Handler) -> None:
        self.session = session
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = tool_says("from the control plane")
        return answer if request.url.host == ENDPOINT else self.session(request)

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.requests]

    @property
    def client(self) -> ApiClient:
        return AsyncAgentBay(KEY, endpoint=ENDPOINT, transport=self).client


async def call(
    network: Network, data: SessionData = LINK, server: str = SERVER, **options: Any
) -> Reply[Content]:
    return await send_tool(data, server, "shell", ARGUMENTS, client=network.client, **options)


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("[Errno 111] Connection refused", request=request)


# -- what travels ----------------------------------------------------------------------


async def test_a_call_over_the_link_sends_what_the_session_expects() -> None:
    network = Network(says({"data": json.dumps(nested())}))
    reply = await call(network)

    (request,) = network.requests
    assert (request.method, request.url.host, request.url.port) == ("POST", "link.test", 8008)
    assert request.url.path == f"/{PATH}/callTool"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-access-token"] == TOKEN
    body = json.loads(request.content)
    assert list(body) == ["args", "server", "requestId", "tool", "token"]
    assert body == {
        "args": ARGUMENTS,
        "server": SERVER,
        "requestId": reply.request_id,
        "tool": "shell",
        "token": TOKEN,
    }
    assert reply.value == Content("out")


async def test_a_call_in_a_private_network_sends_what_the_session_expects() -> None:
    network = Network(says(nested()["result"]))
    reply = await call(network, VPC)

    (request,) = network.requests
    url = urlsplit(request.url.raw_path.decode())
    assert (request.method, request.url.scheme, request.url.netloc) == (
        "GET",
        "http",
        b"10.0.0.7:8080",
    )
    assert url.path == "/callTool"
    parameters = dict(parse_qsl(url.query))
    assert list(parameters) == ["server", "tool", "args", "token", "requestId"]
    assert json.loads(parameters.pop("args")) == ARGUMENTS
    assert parameters == {
        "server": SERVER,
        "tool": "shell",
        "token": TOKEN,
        "requestId": reply.request_id,
    }
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_the_api_key_does_not_go_to_the_session() -> None:
    for data in (LINK, VPC):
        network = Network(says({"data": nested()}))
        await call(network, data)
        (request,) = network.requests
        everything = request.url.raw_path + request.content + repr(request.headers.raw).encode()
        assert KEY.encode() not in everything


def test_request_ids_have_the_forms_that_are_known() -> None:
    assert direct.link_request_id().startswith("link-")
    assert [len(part) for part in direct.link_request_id().split("-")] == [4, 13, 9]
    assert [len(part) for part in direct.vpc_request_id().split("-")] == [3, 13, 9]
    assert len({direct.vpc_request_id() for _ in range(100)}) == 100


def test_an_address_of_either_kind_makes_a_url() -> None:
    sample = direct.VpcCall("sv", "t", {}, "tok", "r")
    assert sample.url("10.0.0.7", "80") == "http://10.0.0.7:80/callTool"
    assert sample.url("fd00::7", "80") == "http://[fd00::7]:80/callTool"


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("0.10/")])
def test_a_recorded_call_over_the_link_is_written_as_it_was(name: str) -> None:
    head, _, body = (SAMPLES / name).read_bytes().decode().partition("\r\n\r\n")
    sent = json.loads(body)
    sent["request_id"] = sent.pop("requestId")
    ours = direct.LinkCall(**sent)

    method, target, _ = head.split("\r\n")[0].split()
    assert (method, target) == ("POST", urlsplit(ours.url("http://h/link/")).path)
    for key, value in ours.headers().items():
        assert f"\r\n{key}: {value}\r\n" in f"{head}\r\n"
    assert ours.body() == body


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("0.10/")])
def test_a_recorded_call_in_a_private_network_is_written_as_it_was(name: str) -> None:
    head = (SAMPLES / name).read_bytes().decode()
    method, target, _ = head.split("\r\n")[0].split()
    sent = dict(parse_qsl(urlsplit(target).query))
    args = json.loads(sent["args"])
    ours = direct.VpcCall(sent["server"], sent["tool"], args, sent["token"], sent["requestId"])

    assert (method, urlsplit(target).path) == ("GET", urlsplit(ours.url("h", "1")).path)
    for key, value in ours.headers().items():
        assert f"\r\n{key}: {value}\r\n" in head
    parameters = ours.parameters()
    assert list(parameters) == list(sent)
    assert json.loads(parameters.pop("args")) == json.loads(sent.pop("args"))
    assert parameters == sent


# -- which way -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "server", "host"),
    [
        (LINK, SERVER, "link.test"),
        (LINK, "", ENDPOINT),
        (attrs.evolve(LINK, token=""), SERVER, ENDPOINT),
        (attrs.evolve(LINK, link_url=""), SERVER, ENDPOINT),
        (attrs.evolve(VPC, link_url=LINK.link_url), SERVER, "link.test"),
        (VPC, SERVER, "10.0.0.7"),
        (VPC, "", ENDPOINT),
        (attrs.evolve(VPC, token=""), SERVER, ENDPOINT),
        (attrs.evolve(VPC, http_port=""), SERVER, ENDPOINT),
        (attrs.evolve(VPC, network_interface_ip=""), SERVER, ENDPOINT),
        (attrs.evolve(VPC, vpc_resource=False), SERVER, ENDPOINT),
        (SessionData("s-1"), SERVER, ENDPOINT),
    ],
)
async def test_a_way_needs_all_its_parts(data: SessionData, server: str, host: str) -> None:
    network = Network(says({"data": nested()}))
    await call(network, data, server)
    assert network.hosts == [host]
    assert uses_link(data, server, client=network.client) is (host == "link.test")


async def test_the_control_plane_is_told_everything() -> None:
    network = Network(_refuse)
    reply = await call(network, SessionData("s-1"), auto_gen_session=True)
    form = dict(parse_qsl(network.requests[0].content.decode()))
    assert json.loads(form.pop("Args")) == ARGUMENTS
    assert form == {
        "Authorization": f"Bearer {KEY}",
        "AutoGenSession": "True",
        "Name": "shell",
        "Server": SERVER,
        "SessionId": "s-1",
    }
    assert reply == Reply(Content("from the control plane"), "r-1")


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://anywhere.test/x", True),
        ("http://127.0.0.1:80/x", True),
        ("http://localhost/x", True),
        ("http://192.168.1.2/x", True),
        ("http://[::1]:80/x", True),
        ("http://anywhere.test/x", False),
        ("http://8.8.8.8/x", False),
        ("ftp://127.0.0.1/x", False),
        ("http://[/x", False),
        ("link", False),
    ],
)
async def test_a_token_travels_in_the_clear_on_local_networks_only(url: str, safe: bool) -> None:
    network = Network(says({"data": nested()}))
    await call(network, attrs.evolve(LINK, link_url=url))
    assert (network.hosts != [ENDPOINT]) is safe


async def test_arguments_that_fit_into_no_url_go_to_the_control_plane() -> None:
    network = Network(says({"data": nested()}))
    arguments = {"content": "x" * 3000}
    await send_tool(VPC, SERVER, "write_file", arguments, client=network.client)
    assert network.hosts == [ENDPOINT]


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
    ],
)
async def test_a_call_that_never_left_goes_to_the_control_plane(
    data: SessionData, error: type[httpx.TransportError]
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)

    network = Network(fail)
    reply = await call(network, data)
    assert network.hosts[1:] == [ENDPOINT]
    assert reply.value.text == "from the control plane"


async def test_a_session_that_cannot_be_reached_is_not_tried_again_at_once() -> None:
    network = Network(_refuse)
    client = network.client
    for _ in range(2):
        await send_tool(LINK, SERVER, "shell", ARGUMENTS, client=client)
    assert network.hosts == ["link.test", ENDPOINT, ENDPOINT]
    assert not uses_link(LINK, SERVER, client=client)
    assert uses_link(LINK, SERVER, client=network.client)


async def test_what_the_control_plane_cannot_carry_is_not_sent_there() -> None:
    network = Network(_refuse)
    with pytest.raises(TransportError) as caught:
        await send_tool(LINK, SERVER, "write", {"a": "x" * 61_000}, client=network.client)
    assert network.hosts == ["link.test"] * 3
    assert caught.value.sent is False
    assert caught.value.request_id.startswith("link-")


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError,
        httpx.WriteError,
        httpx.ReadTimeout,
        httpx.RemoteProtocolError,
        httpx.CloseError,
    ],
)
async def test_a_call_that_may_have_arrived_is_not_sent_twice(
    data: SessionData, error: type[httpx.TransportError]
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)

    network = Network(fail)
    with pytest.raises(TransportError) as caught:
        await call(network, data)
    assert len(network.requests) == 1
    assert caught.value.sent is True
    assert caught.value.action == "callTool"
    assert caught.value.request_id


@pytest.mark.parametrize("arguments", [{"a": {1}}, {"a": float("nan")}, {"a": "\ud800"}], ids=repr)
async def test_arguments_that_are_not_json_are_refused_before_sending(
    arguments: dict[str, Any],
) -> None:
    for data in (LINK, VPC, SessionData("s-1")):
        network = Network(says({"data": nested()}))
        with pytest.raises(InvalidInputError):
            await send_tool(data, SERVER, "shell", arguments, client=network.client)
        assert network.requests == []


async def test_a_token_that_no_header_takes_is_refused_and_not_shown() -> None:
    network = Network(says({"data": nested()}))
    with pytest.raises(ProtocolError) as caught:
        await call(network, attrs.evolve(LINK, token="tok\r\nX: y"))
    assert network.requests == []
    assert "tok" not in str(caught.value)


# -- what the answers mean -------------------------------------------------------------

_FLAT = {"content": [{"type": "text", "text": "out"}], "isError": False}


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
@pytest.mark.parametrize(
    "answer",
    [
        {"data": json.dumps(nested())},
        {"data": nested()},
        {"data": {"result": json.dumps(_FLAT)}},
        {"data": _FLAT},
        {"result": _FLAT},
        _FLAT,
        {**_FLAT, "data": json.dumps(nested("other"))},
        {"Data": {"Result": {"Content": [{"text": "out"}], "IsError": False}}},
        {"data": {"result": {"content": ["out"]}}},
        {"data": {"result": {"content": [{"blob": "out"}]}}},
        {"data": {"result": {"content": [{"data": "out"}, {"text": "ignored"}]}}},
        {"success": True, "code": "200", "message": "ok", "data": nested()},
        {"success": None, "code": None, "message": None, "data": nested()},
        {"requestId": "x", "data": {"result": {"content": [{"text": "out"}], "isError": "false"}}},
    ],
    ids=repr,
)
async def test_every_shape_of_an_answer_is_understood(
    data: SessionData, answer: dict[str, Any]
) -> None:
    assert (await call(Network(says(answer)), data)).value == Content("out")


@pytest.mark.parametrize(
    "answer", [{"data": nested("no", is_error=True)}, nested("no", is_error=True)]
)
async def test_a_failure_of_the_tool_is_content(answer: dict[str, Any]) -> None:
    assert (await call(Network(says(answer)))).value == Content("no", True)


async def test_a_tool_that_says_nothing_has_an_empty_text() -> None:
    assert (await call(Network(says({"data": {"result": {"content": []}}})))).value == Content("")


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": ""},
        {"data": {}},
        {"data": {"result": None}},
        {"data": {"result": {}}},
        {"data": TOKEN},
        {"data": [TOKEN]},
        {"data": 5},
        {"data": {"result": [TOKEN]}},
        {"data": {"result": {"content": TOKEN}}},
        {"data": {"result": {"content": [[TOKEN]]}}},
        {"data": {"result": {"content": ["a"], "isError": TOKEN}}},
        [TOKEN],
        TOKEN,
        None,
    ],
    ids=repr,
)
async def test_an_empty_or_wrong_answer_is_no_success(data: SessionData, answer: Any) -> None:
    # Recorded clients take an answer without a result, and flat ones of a VPC, for a success.
    with pytest.raises(ProtocolError) as caught:
        await call(Network(says(answer)), data)
    assert caught.value.request_id.startswith(("link-", "vpc-"))
    assert caught.value.action == "callTool"
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


async def test_an_answer_that_is_not_json_is_a_clear_error() -> None:
    network = Network(lambda _: httpx.Response(200, text=f"<html>{TOKEN}"))
    with pytest.raises(ProtocolError, match="not JSON") as caught:
        await call(network)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, APIError),
        (307, APIError),
        (400, APIError),
        (401, AuthenticationError),
        (404, APIError),
        (429, RateLimitError),
        (502, APIError),
    ],
)
async def test_a_status_that_says_no_is_an_error_and_goes_nowhere_else(
    data: SessionData, status: int, kind: type[APIError]
) -> None:
    network = Network(says({"data": nested()}, status, location="https://elsewhere.test/"))
    with pytest.raises(kind) as caught:
        await call(network, data)
    assert len(network.requests) == 1
    assert type(caught.value) is kind
    assert caught.value.status_code == status
    assert str(status) in str(caught.value)
    assert caught.value.request_id


async def test_code_and_message_of_a_refusal_are_kept_without_the_credentials() -> None:
    body = {"code": "X.Expired", "message": f"token {TOKEN} of {LINK.link_url} expired"}
    with pytest.raises(APIError) as caught:
        await call(Network(says(body, 403)))
    assert (caught.value.code, caught.value.status_code) == ("X.Expired", 403)
    assert "token *** of *** expired" in str(caught.value)


@pytest.mark.parametrize("name", ["success", "Success"])
async def test_an_answer_that_says_no_is_an_error_at_any_status(name: str) -> None:
    body = {name: False, "Code": "Busy", "Message": "later", "data": nested()}
    with pytest.raises(APIError, match="later") as caught:
        await call(Network(says(body)))
    assert caught.value.code == "Busy"


async def test_the_time_to_wait_is_told() -> None:
    with pytest.raises(RateLimitError) as caught:
        await call(Network(says({}, 429, **{"retry-after": "7"})))
    assert caught.value.retry_after == 7


async def test_an_answer_of_the_control_plane_that_makes_no_sense_is_an_error() -> None:
    class Odd(Network):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"RequestId": "r-9", "Data": {"content": [5]}})

    with pytest.raises(ProtocolError) as caught:
        await call(Odd(_refuse), SessionData("s-1"))
    assert caught.value.request_id == "r-9"


def test_what_is_wrong_with_an_answer_is_named() -> None:
    for text, what in (
        ("{", "not JSON"),
        ("[]", "object"),
        ('{"data": {}}', "data has no content"),
    ):
        with pytest.raises(WireError, match=what):
            direct.read_content(text)


# -- what stays secret -----------------------------------------------------------------


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
async def test_credentials_are_in_no_log(
    data: SessionData, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await call(Network(says({"data": nested()})), data)
    await call(Network(_refuse), data)
    assert "CallMcpTool shell" in caplog.text
    for secret in (TOKEN, PATH, KEY):
        assert secret not in caplog.text


@pytest.mark.parametrize("data", [LINK, VPC], ids=["link", "vpc"])
@pytest.mark.parametrize("error", [httpx.ReadError, httpx.WriteError, httpx.ReadTimeout])
async def test_credentials_are_in_no_error(
    data: SessionData, error: type[httpx.TransportError]
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error(f"broken: {request.url} {request.url!r}", request=request)

    with pytest.raises(TransportError) as caught:
        await call(Network(fail), data)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in (TOKEN, PATH, KEY):
        assert secret not in text
    assert "link.test:8008" in text or "10.0.0.7:8080" in text


def test_calls_do_not_show_their_token() -> None:
    for kind in (direct.LinkCall, direct.VpcCall):
        made = kind(server="sv", tool="t", args={}, token=TOKEN, request_id="r")
        assert TOKEN not in repr(made)


# -- on a real socket ------------------------------------------------------------------


class _Session(BaseHTTPRequestHandler):
    """Echoes where and how it was asked; the tool `slow` when it is let."""

    protocol_version = "HTTP/1.1"
    let = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if '"slow"' in body:
            self.let.wait(30)
        self._answer(json.dumps([self.path, self.headers["x-access-token"], json.loads(body)]))

    def do_GET(self) -> None:
        self._answer(json.dumps([self.path, dict(parse_qsl(urlsplit(self.path).query))]))

    def _answer(self, text: str) -> None:
        data = json.dumps({"data": json.dumps(nested(text))}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        with suppress(BrokenPipeError):  # who asked may have given up
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _server() -> Generator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(30)


async def test_both_ways_work_over_a_real_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with _server() as port:
        link = attrs.evolve(LINK, link_url=f"http://127.0.0.1:{port}/{PATH}")
        vpc = attrs.evolve(VPC, network_interface_ip="127.0.0.1", http_port=str(port))
        async with AsyncAgentBay(KEY, endpoint="http://127.0.0.1:9") as bay:
            over = await send_tool(link, SERVER, "shell", ARGUMENTS, client=bay.client)
            inside = await send_tool(vpc, SERVER, "shell", ARGUMENTS, client=bay.client)
    path, token, body = json.loads(over.value.text)
    assert (path, token, body["args"]) == (f"/{PATH}/callTool", TOKEN, ARGUMENTS)
    path, parameters = json.loads(inside.value.text)
    assert path.startswith("/callTool?")
    assert json.loads(parameters["args"]) == ARGUMENTS
    assert parameters["token"] == TOKEN
    for secret in (TOKEN, PATH, KEY):
        assert secret not in caplog.text


async def test_the_time_limit_is_in_seconds_and_holds_on_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Session, "let", threading.Event())
    with _server() as port:
        link = attrs.evolve(LINK, link_url=f"http://127.0.0.1:{port}/{PATH}")
        async with AsyncAgentBay(KEY, endpoint="http://127.0.0.1:9") as bay:
            await send_tool(link, SERVER, "shell", {}, client=bay.client)  # connects
            with anyio.fail_after(30), pytest.raises(RequestTimeoutError) as caught:
                await send_tool(link, SERVER, "slow", {}, client=bay.client, timeout=0.2)
            assert caught.value.sent
            _Session.let.set()
            reply = await send_tool(link, SERVER, "slow", {}, client=bay.client, timeout=30)
    assert "slow" in reply.value.text


async def test_a_port_that_nobody_listens_on_leads_to_the_control_plane() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        link = attrs.evolve(LINK, link_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        async with AsyncAgentBay(KEY, endpoint="http://127.0.0.1:9") as bay:
            with pytest.raises(TransportError) as caught:
                await send_tool(link, SERVER, "shell", ARGUMENTS, client=bay.client)
    assert caught.value.action == "CallMcpTool"


async def test_a_host_that_does_not_answer_costs_the_time_to_connect_only() -> None:
    class Silent(Network):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host != ENDPOINT:
                assert request.extensions["timeout"]["connect"] == 0.2
                await anyio.sleep(0.2)
                raise httpx.ConnectTimeout("", request=request)
            return await super().handle_async_request(request)

    network = Silent(_refuse)
    with anyio.fail_after(30):
        reply = await call(network, timeout=30, connect_timeout=0.2)
    assert reply.value.text == "from the control plane"


async def test_the_control_plane_gets_the_time_that_is_left() -> None:
    class Silent(Network):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host != ENDPOINT:
                await anyio.sleep(0.3)
                raise httpx.ConnectTimeout("", request=request)
            await anyio.sleep(60)
            raise AssertionError("nobody waits that long")

    with anyio.fail_after(30), pytest.raises(RequestTimeoutError):
        await call(Silent(_refuse), timeout=0.6, connect_timeout=0.3)
