"""Terminals of a session, over a real WebSocket."""

from __future__ import annotations

import gc
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio import to_thread

from agentbay import AgentBayError, AsyncSession, InvalidInputError, SessionError
from agentbay._async import _terminal
from agentbay._async.pty import AsyncPty
from agentbay._async.pty_handle import AsyncPtyHandle
from agentbay._results.pty import PtySession
from agentbay.errors import (
    PtyError,
    PtyNotConnectedError,
    PtySessionNotFoundError,
    PtyTimeoutError,
    RequestTimeoutError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
)
from agentbay.protocol.pty import SERVER

from .samples import SAMPLES
from .ws_service import (
    SECRET,
    TOKEN,
    Call,
    WsService,
    by_method,
    in_turn,
    session_at,
    silent,
    until,
)

LIMIT = 30.0


def _created(call: Call) -> None:
    call.result({"ptySessionId": "pty-1"})


def _refuses(reason: str) -> Callable[[Call], None]:
    return lambda call: call.send(data={"error": reason})


@pytest.fixture
def service() -> Iterator[WsService]:
    with WsService(by_method({"pty.create": _created})) as running:
        yield running


@pytest.fixture
async def session(service: WsService) -> AsyncIterator[AsyncSession]:
    one = session_at(service)
    yield one
    await one._connections.aclose()


@pytest.fixture
def pty(session: AsyncSession) -> AsyncPty:
    return AsyncPty(session)


def _output(data: str, id: str = "pty-1", encoding: str | None = "utf8") -> dict[str, Any]:
    event = {"eventType": "pty.output", "ptySessionId": id, "data": data}
    return event if encoding is None else {**event, "encoding": encoding}


def _exit(code: int | None = 0, id: str = "pty-1") -> dict[str, Any]:
    event: dict[str, Any] = {"eventType": "pty.exit", "ptySessionId": id}
    return event if code is None else {**event, "exitCode": code}


async def _sent(service: WsService, *methods: str) -> list[dict[str, Any]]:
    """Wait for these methods, and give their parameters."""
    await until(lambda: len(service.frames) >= len(methods))
    assert service.methods == list(methods)
    assert {frame["target"] for frame in service.frames} == {SERVER}
    return [frame["data"]["params"] for frame in service.frames]


async def _read(handle: AsyncPtyHandle) -> bytes:
    with anyio.fail_after(LIMIT):
        return b"".join([chunk async for chunk in handle.output()])


# -- what is sent ----------------------------------------------------------------------


async def test_a_terminal_is_asked_for_with_the_usual_size_and_variables(
    service: WsService, pty: AsyncPty
) -> None:
    handle = await pty.create()
    assert await _sent(service, "pty.create") == [
        {"cols": 80, "rows": 24, "envs": {"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}}
    ]
    assert (handle.pty_session_id, handle.is_connected, handle.exit_code) == ("pty-1", True, None)
    assert repr(handle) == "AsyncPtyHandle('pty-1')"


async def test_all_arguments_are_sent(service: WsService, pty: AsyncPty) -> None:
    await pty.create(100, 30, "/tmp", {"X": "1", "LANG": "C"}, "/bin/bash", None, 5)
    (params,) = await _sent(service, "pty.create")
    assert params == {
        "cols": 100,
        "rows": 30,
        "cwd": "/tmp",
        "envs": {"TERM": "xterm-256color", "LANG": "C", "X": "1"},
        "shell": "/bin/bash",
    }


async def test_what_is_done_with_a_terminal_is_sent(service: WsService, pty: AsyncPty) -> None:
    handle = await pty.create()
    await handle.send_input(b"ls\n")
    await handle.send_input("\u00e9\n")
    await handle.send_input(b"\xff\xfe")
    await handle.resize(120, 40)
    _, *params = await _sent(service, "pty.create", *["pty.input"] * 3, "pty.resize")
    id = {"ptySessionId": "pty-1"}
    assert params == [
        {**id, "encoding": "utf8", "data": "ls\n"},
        {**id, "encoding": "utf8", "data": "\u00e9\n"},
        {**id, "encoding": "base64", "data": "//4="},
        {**id, "cols": 120, "rows": 40},
    ]


async def test_everything_that_is_sent_was_recorded_so(service: WsService, pty: AsyncPty) -> None:
    handle = await pty.create(100, 30, "/tmp", {"X": "1"}, "/bin/bash")
    await handle.send_input(b"ls\n")
    await handle.send_input(b"\xff\xfe")
    await handle.resize(120, 40)
    await pty.list()
    await pty.connect("pty-1")
    service.answer = in_turn(lambda call: call.result({"ok": True}), _exits)
    await handle.kill()
    lines = (SAMPLES / "0.22-async/ws-frames.jsonl").read_text().splitlines()
    recorded = [json.loads(line) for line in lines if '"ws-pty"' in line]
    asked = [json.loads(one["text"]) for one in recorded if one["dir"] == "client->server"]
    assert len(asked) == 7
    for frame, other in zip(service.frames, asked, strict=True):
        assert {**frame, "invocationId": ""} == {**other, "invocationId": ""}


def _exits(call: Call) -> None:
    call.send(invocationId="p2", data=_exit(137))


async def test_long_input_is_sent_in_parts_that_join_to_it(
    service: WsService, pty: AsyncPty
) -> None:
    from agentbay.protocol.pty import WritePty

    handle = await pty.create()
    text = ("\u00e9" * 50_000 + "x").encode()
    await handle.send_input(text)
    _, *params = await _sent(service, "pty.create", "pty.input", "pty.input")
    parts = [WritePty.from_data({"params": part}).content for part in params]
    assert b"".join(parts) == text


_BAD: list[tuple[Callable[[Any], Awaitable[Any]], str]] = [
    (lambda p: p.create(0, 24), "cols=0, rows=24"),
    (lambda p: p.create(80, 501), "cols=80, rows=501"),
    (lambda p: p.create(80.5), "cols"),
    (lambda p: p.create(True), "cols"),
    (lambda p: p.create(cwd=""), "cwd"),
    (lambda p: p.create(cwd="a\0"), "cwd"),
    (lambda p: p.create(shell=5), "shell"),
    (lambda p: p.create(envs=["A"]), "envs"),
    (lambda p: p.create(envs={"A": 1}), "'A'"),
    (lambda p: p.create(envs={"A=B": "1"}), "'A=B'"),
    (lambda p: p.create(timeout_s=0), "timeout_s"),
    (lambda p: p.create(timeout_s="5"), "timeout_s"),
    (lambda p: p.connect(" "), "id of a terminal"),
    (lambda p: p.connect(None), "id of a terminal"),
    (lambda p: p.kill(""), "id of a terminal"),
]


@pytest.mark.parametrize(("bad", "said"), _BAD)
async def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    service: WsService, pty: AsyncPty, bad: Callable[[Any], Awaitable[Any]], said: str
) -> None:
    with pytest.raises(PtyError, match=said):
        await bad(pty)
    assert service.handshakes == []


async def test_a_size_out_of_range_is_named(pty: AsyncPty) -> None:
    with pytest.raises(PtyError) as caught:
        await pty.create(0, 501)
    assert str(caught.value) == "Invalid terminal size: cols=0, rows=501 (must be 1-500)"


async def test_what_makes_no_sense_is_refused_by_a_handle(
    service: WsService, pty: AsyncPty
) -> None:
    handle = await pty.create()
    for data in (5, None, "\ud800"):
        with pytest.raises(InvalidInputError):
            await handle.send_input(data)  # type: ignore[arg-type]
    for limit in (0, -1, True, "5", float("nan")):
        with pytest.raises(InvalidInputError):
            await handle.wait(limit)  # type: ignore[arg-type]
    with pytest.raises(PtyError, match="cols=0, rows=1"):
        await handle.resize(0, 1)
    with pytest.raises(InvalidInputError):
        await pty.create(on_data=5)  # type: ignore[arg-type]
    assert service.methods == ["pty.create"]


async def test_the_secret_value_of_a_variable_is_in_no_error(pty: AsyncPty) -> None:
    with pytest.raises(PtyError) as caught:
        await pty.create(envs={"PASSWORD": "hush\0"})
    assert "hush" not in str(caught.value)


# -- answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("result", [{}, {"ptySessionId": ""}, {"ptySessionId": None}, "x", [1]])
async def test_a_terminal_without_identifier_is_an_error(
    service: WsService, pty: AsyncPty, result: Any
) -> None:
    service.answer = lambda call: call.result(result)
    with pytest.raises(PtyError):
        await pty.create()


@pytest.mark.parametrize("data", [{"error": "no shell"}, {"error": {"message": "no shell"}}])
async def test_the_reason_of_a_refusal_is_told(
    service: WsService, pty: AsyncPty, data: dict[str, Any]
) -> None:
    service.answer = lambda call: call.send(data=data)
    with pytest.raises(PtyError, match="no shell") as caught:
        await pty.create()
    assert caught.value.request_id == service.frames[0]["invocationId"]
    assert not isinstance(caught.value, PtySessionNotFoundError)


@pytest.mark.parametrize("reason", ["PTY session not found: x", "no such session", "NOT_FOUND"])
async def test_a_terminal_that_is_not_there_has_an_error_of_its_own(
    service: WsService, pty: AsyncPty, reason: str
) -> None:
    service.answer = _refuses(reason)
    for call in (pty.connect, pty.kill):
        with pytest.raises(PtySessionNotFoundError, match="pty-9"):
            await call("pty-9")


@pytest.mark.parametrize(
    ("result", "ids"),
    [
        ({"ptySessionIds": ["a", "b"]}, ["a", "b"]),
        ({"ptySessionIds": []}, []),
        ({"ptySessionIds": None}, []),
        ({}, []),
    ],
)
async def test_the_terminals_of_a_session_are_listed(
    service: WsService, pty: AsyncPty, result: Any, ids: list[str]
) -> None:
    service.answer = lambda call: call.result(result)
    assert await pty.list() == [PtySession(id, 0, 0, "running", None) for id in ids]
    assert await _sent(service, "pty.list") == [{}]


async def test_a_list_knows_the_terminals_of_this_program(
    service: WsService, pty: AsyncPty
) -> None:
    handle = await pty.create(100, 30)
    service.answer = lambda call: call.result({"ptySessionIds": ["pty-1", "pty-2"]})
    assert await pty.list() == [PtySession("pty-1", 100, 30), PtySession("pty-2")]
    await handle.resize(10, 20)
    assert (await pty.list())[0] == PtySession("pty-1", 10, 20)
    service.push(_exit(3), source=SERVER)
    await handle.wait()
    assert (await pty.list())[0] == PtySession("pty-1", 0, 0, "exited", 3)
    service.answer = lambda call: call.result({"ptySessionIds": []})
    assert await pty.list() == []
    assert pty._exit_codes == {}


@pytest.mark.parametrize(
    ("result", "id"), [({"ptySessionId": "pty-7"}, "pty-7"), ({}, "pty-1"), ("ok", "pty-1")]
)
async def test_a_connected_terminal_is_the_one_that_the_session_names(
    service: WsService, pty: AsyncPty, result: Any, id: str
) -> None:
    service.answer = lambda call: call.result(result)
    assert (await pty.connect("pty-1")).pty_session_id == id
    assert await _sent(service, "pty.connect") == [{"ptySessionId": "pty-1"}]


@pytest.mark.parametrize("result", [{"ok": True}, {}, "gone", 1])
async def test_any_answer_to_kill_will_do(service: WsService, pty: AsyncPty, result: Any) -> None:
    service.answer = lambda call: call.result(result)
    await pty.kill("pty-1")
    assert await _sent(service, "pty.kill") == [{"ptySessionId": "pty-1"}]


async def test_a_session_that_does_not_answer_is_given_up(
    service: WsService, pty: AsyncPty
) -> None:
    service.answer = silent
    with pytest.raises(RequestTimeoutError):
        await pty.create(timeout_s=0.1)
    assert pty._known() == []


async def test_a_session_without_websocket_has_no_terminals() -> None:
    with pytest.raises(SessionError, match="ws_url"):
        await AsyncPty(session_at(None)).create()


async def test_a_session_that_refuses_the_websocket_is_told(
    service: WsService, pty: AsyncPty
) -> None:
    service.refuse = 403
    with pytest.raises(WsHandshakeRejectedError) as caught:
        await pty.create()
    assert caught.value.status_code == 403
    assert SECRET not in str(caught.value)
    assert TOKEN not in str(caught.value)


# -- output ----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["SDK", SERVER])
async def test_what_is_written_arrives_in_every_encoding(
    service: WsService, pty: AsyncPty, target: str
) -> None:
    heard: list[bytes] = []
    handle = await pty.create(on_data=heard.append)
    for event in (
        _output("\u00e9"),
        _output("a", encoding=None),
        _output("//4=", encoding="base64"),
        _output("b", id="pty-2"),
        _exit(),
    ):
        service.push(event, source=SERVER, target=target)
    assert await handle.wait(LIMIT) == 0
    assert heard == ["\u00e9".encode(), b"a", b"\xff\xfe"]
    assert await _read(handle) == b"\xc3\xa9a\xff\xfe"


async def test_output_that_comes_before_the_answer_is_not_lost(
    service: WsService, pty: AsyncPty
) -> None:
    # Recorded clients lose the prompt.
    def answer(call: Call) -> None:
        service.push(_output("not mine", id="pty-2"), source=SERVER)
        service.push(_output("welcome "), source=SERVER)
        _created(call)
        service.push(_output("$ "), source=SERVER)
        service.push(_exit(), source=SERVER)

    service.answer = answer
    heard: list[bytes] = []
    handle = await pty.create(on_data=heard.append)
    assert await handle.wait(LIMIT) == 0
    assert heard == [b"welcome ", b"$ "]
    assert await _read(handle) == b"welcome $ "


async def test_a_coroutine_function_is_awaited_piece_by_piece(
    service: WsService, pty: AsyncPty
) -> None:
    heard: list[str] = []

    async def listen(data: bytes) -> None:
        heard.append(f"<{data.decode()}")
        await anyio.sleep(0.02)
        heard.append(f"{data.decode()}>")

    handle = await pty.create(on_data=listen)
    for event in (_output("a"), _output("b"), _exit()):
        service.push(event, source=SERVER)
    await handle.wait(LIMIT)
    assert heard == ["<a", "a>", "<b", "b>"]


async def test_a_slow_callback_does_not_stop_other_terminals(
    service: WsService, pty: AsyncPty
) -> None:
    # Recorded clients call it on the one task that reads.
    async def never(_: bytes) -> None:
        await anyio.sleep_forever()

    await pty.create(on_data=never)
    other = await pty.connect("pty-1")
    service.push(_output("a"), source=SERVER)
    service.push(_exit(), source=SERVER)
    assert await other.wait(LIMIT) == 0
    assert len(await pty.list()) == 0


async def test_a_callback_may_use_its_terminal(service: WsService, pty: AsyncPty) -> None:
    handles: list[AsyncPtyHandle] = []

    async def answer(data: bytes) -> None:
        await handles[0].send_input(b"yes\n")
        await handles[0].kill()

    handles.append(await pty.create(on_data=answer))
    service.push(_output("sure?"), source=SERVER)
    await _sent(service, "pty.create", "pty.input", "pty.kill")
    service.push(_exit(137), source=SERVER)
    assert await handles[0].wait(LIMIT) == 137


# The loop over the output is left, which trio reports.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
async def test_each_piece_of_output_is_given_once(service: WsService, pty: AsyncPty) -> None:
    handle = await pty.create()
    service.push(_output("a"), source=SERVER)
    async for chunk in handle.output():
        assert chunk == b"a"
        break
    service.push(_output("b"), source=SERVER)
    service.push(_exit(), source=SERVER)
    assert await _read(handle) == b"b"
    assert await _read(handle) == b""


async def test_only_the_last_part_of_unread_output_is_kept(
    service: WsService, pty: AsyncPty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_terminal, "_KEPT", 10)
    handle = await pty.create()
    for piece in ("abcdefgh", "ijkl", "m"):
        service.push(_output(piece), source=SERVER)
    service.push(_exit(), source=SERVER)
    await handle.wait(LIMIT)
    assert await _read(handle) == b"defghijklm"


async def test_a_reader_that_is_too_slow_hears_of_it(
    service: WsService, pty: AsyncPty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_terminal, "_KEPT", 10)
    handle = await pty.create()
    service.push(_output("a"), source=SERVER)
    output = handle.output()
    assert await anext(output) == b"a"
    service.push(_output("x" * 15), source=SERVER)
    service.push(_exit(), source=SERVER)
    await handle.wait(LIMIT)
    with pytest.raises(PtyError, match="5 bytes"):
        await anext(output)


async def test_what_makes_no_sense_is_left_out_of_the_output(
    service: WsService, pty: AsyncPty, caplog: pytest.LogCaptureFixture
) -> None:
    handle = await pty.create()
    for event in (
        _output("!", encoding="base64"),
        _output("a", encoding="rot13"),
        {**_output(""), "data": ["a"]},
        {**_output("x"), "eventType": "pty.what"},
        {"eventType": "pty.output", "data": "of nobody"},
        _output("b"),
        _exit(),
    ):
        service.push(event, source=SERVER)
    assert await handle.wait(LIMIT) == 0
    assert await _read(handle) == b"b"
    assert len([r for r in caplog.records if r.name == "agentbay._async._terminal"]) == 3


# -- the end ---------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "found"), [(0, 0), (137, 137), (None, -1)])
async def test_the_exit_code_is_told(
    service: WsService, pty: AsyncPty, code: int | None, found: int
) -> None:
    handle = await pty.create()
    service.push(_exit(code), source=SERVER)
    assert await handle.wait(LIMIT) == found
    assert await handle.wait() == found
    assert (handle.exit_code, handle.is_connected) == (found, False)


async def test_a_wait_ends_at_its_limit(pty: AsyncPty) -> None:
    handle = await pty.create()
    with pytest.raises(PtyTimeoutError) as caught:
        await handle.wait(0.05)
    assert isinstance(caught.value, TimeoutError)
    assert str(caught.value) == "PTY wait timed out after 0.05s"
    assert handle.is_connected


@pytest.mark.parametrize("reason", ["disk full", {"message": "disk full"}])
async def test_a_terminal_that_breaks_is_an_error(
    service: WsService, pty: AsyncPty, reason: Any
) -> None:
    handle = await pty.create()
    service.push(_output("a"), source=SERVER)
    event = {"eventType": "pty.error", "ptySessionId": "pty-1", "error": reason}
    service.push(event, source=SERVER)
    with pytest.raises(PtyError, match="disk full"):
        await handle.wait(LIMIT)
    output = handle.output()
    assert await anext(output) == b"a"
    with pytest.raises(PtyError, match="disk full"):
        await anext(output)


@pytest.mark.parametrize("by", ["handle", "id"])
async def test_a_kill_ends_the_wait_with_the_exit_code(
    service: WsService, pty: AsyncPty, by: str
) -> None:
    # Recorded clients wait for ever.
    def killed(call: Call) -> None:
        call.result({"ok": True})
        service.push(_exit(137), source=SERVER)

    service.answer = by_method({"pty.create": _created, "pty.kill": killed})
    handle = await pty.create()
    codes: list[int] = []

    async def wait() -> None:
        with anyio.fail_after(LIMIT):
            codes.append(await handle.wait())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await (handle.kill() if by == "handle" else pty.kill("pty-1"))
    assert codes == [137]
    assert handle.exit_code == 137


async def test_a_kill_ends_the_wait_of_a_session_that_does_not_tell(
    service: WsService, pty: AsyncPty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_terminal, "_GRACE", 0.05)
    first, second = await pty.create(), await pty.connect("pty-1")
    await pty.kill("pty-1")
    assert [await first.wait(LIMIT), await second.wait(LIMIT)] == [-1, -1]
    assert pty._known() == []


@pytest.mark.parametrize("end", ["exit", "disconnect"])
async def test_a_terminal_that_ended_cannot_be_used(
    service: WsService, pty: AsyncPty, end: str
) -> None:
    handle = await pty.create()
    if end == "exit":
        service.push(_exit(), source=SERVER)
        await handle.wait(LIMIT)
    else:
        handle.disconnect()
    for call in (handle.send_input(b"x"), handle.resize(1, 1), handle.kill()):
        with pytest.raises(PtyNotConnectedError):
            await call
    handle.disconnect()
    assert service.methods == ["pty.create"]


async def test_a_wait_ends_when_the_handle_is_disconnected(
    service: WsService, pty: AsyncPty
) -> None:
    handle = await pty.create()

    async def wait() -> None:
        with anyio.fail_after(LIMIT), pytest.raises(PtyNotConnectedError):
            await handle.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        handle.disconnect()
    assert handle.exit_code is None
    assert service.methods == ["pty.create"]


async def test_terminals_that_ended_are_forgotten(service: WsService, pty: AsyncPty) -> None:
    # Recorded clients keep them as long as the session.
    handle = await pty.create()
    assert len(pty._known()) == 1
    service.push(_exit(), source=SERVER)
    await handle.wait(LIMIT)
    assert pty._known() == []
    service.drop()
    connection = await pty._session._websocket()
    await until(lambda: "idle" in repr(connection))
    for _ in range(3):
        await pty.list()
    # One that is not forgotten is asked for again when the connection is made again.
    assert service.methods == ["pty.create", *["pty.list"] * 3]


async def test_what_a_callback_raises_reaches_who_waits(
    service: WsService, pty: AsyncPty, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: bytes) -> None:
        raise LookupError("mine")

    handle = await pty.create(on_data=fail)

    async def wait() -> None:
        with anyio.fail_after(LIMIT), pytest.raises(LookupError, match="mine"):
            await handle.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        service.push(_output("a"), source=SERVER)
    assert not handle.is_connected
    assert caplog.records == []
    assert await pty.list() == []


async def test_what_a_callback_raises_is_logged_when_nobody_waits(
    service: WsService, pty: AsyncPty, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: bytes) -> None:
        raise LookupError("mine")

    handle = await pty.create(on_data=fail)
    service.push(_output("a"), source=SERVER)
    await until(lambda: not handle.is_connected)
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.name == "agentbay._async._terminal"
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_leaving_the_block_kills_what_was_created(service: WsService, pty: AsyncPty) -> None:
    def killed(call: Call) -> None:
        call.result({})
        service.push(_exit(137), source=SERVER)

    service.answer = by_method({"pty.create": _created, "pty.kill": killed})
    handle = await pty.create()
    with pytest.raises(LookupError):
        async with handle:
            raise LookupError
    assert handle.exit_code == 137
    await _sent(service, "pty.create", "pty.kill")


async def test_leaving_the_block_keeps_what_was_connected_to(
    service: WsService, pty: AsyncPty
) -> None:
    async with await pty.connect("pty-1") as handle:
        assert handle.is_connected
    assert not handle.is_connected
    await pty.list()
    assert service.methods == ["pty.connect", "pty.list"]


async def test_leaving_the_block_tells_the_first_error(service: WsService, pty: AsyncPty) -> None:
    service.answer = by_method({"pty.create": _created, "pty.kill": _refuses("busy")})
    with pytest.raises(LookupError):
        async with await pty.create():
            raise LookupError
    with pytest.raises(PtyError, match="busy"):
        async with await pty.create():
            pass


# -- the connection --------------------------------------------------------------------


async def test_a_terminal_is_found_again_after_the_connection_was_lost(
    service: WsService, pty: AsyncPty
) -> None:
    # Recorded clients hear nothing more of it.
    handle = await pty.create()
    service.drop()
    await until(lambda: service.methods[-1] == "pty.connect")
    assert service.frames[-1]["data"]["params"] == {"ptySessionId": "pty-1"}
    service.push(_output("b"), source=SERVER)
    service.push(_exit(), source=SERVER)
    assert await handle.wait(LIMIT) == 0
    assert await _read(handle) == b"b"


async def test_a_terminal_that_is_gone_after_the_connection_was_lost_is_an_error(
    service: WsService, pty: AsyncPty
) -> None:
    service.answer = by_method({"pty.create": _created, "pty.connect": _refuses("not found")})
    handle = await pty.create()
    service.drop()
    with pytest.raises(PtySessionNotFoundError, match="pty-1"):
        await handle.wait(LIMIT)


async def test_the_end_of_the_session_ends_the_wait(session: AsyncSession, pty: AsyncPty) -> None:
    handle = await pty.create()

    async def wait() -> None:
        with anyio.fail_after(LIMIT), pytest.raises(WsConnectionClosedError):
            await handle.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await session._connections.aclose()
    assert not handle.is_connected


async def test_two_handles_of_a_terminal_both_hear(service: WsService, pty: AsyncPty) -> None:
    # With recorded clients the second one replaces the first.
    first, second = await pty.create(), await pty.connect("pty-1")
    service.push(_output("a"), source=SERVER)
    service.push(_exit(), source=SERVER)
    assert [await _read(first), await _read(second)] == [b"a", b"a"]


async def test_a_handle_that_nobody_keeps_still_calls_back(
    service: WsService, pty: AsyncPty
) -> None:
    heard: list[bytes] = []
    await pty.create(on_data=heard.append)
    gc.collect()
    service.push(_output("a"), source=SERVER)
    await until(lambda: heard)
    assert heard == [b"a"]


async def test_a_handle_is_disconnected_from_any_thread(service: WsService, pty: AsyncPty) -> None:
    handle = await pty.create()

    async def wait() -> None:
        with anyio.fail_after(LIMIT), pytest.raises(PtyNotConnectedError):
            await handle.wait()

    thread = threading.Thread(target=handle.disconnect)
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        thread.start()
    await to_thread.run_sync(thread.join)
    assert service.methods == ["pty.create"]


async def test_a_handle_is_refused_on_another_event_loop(pty: AsyncPty) -> None:
    handle = await pty.create()

    async def use() -> None:
        for call in (handle.wait(), handle.send_input("x"), _read(handle)):
            with pytest.raises(PtyError, match="event loop"):
                await call

    await to_thread.run_sync(anyio.run, use)


async def test_no_push_however_malformed_ends_a_terminal(service: WsService, pty: AsyncPty) -> None:
    handle = await pty.create()
    for data in ({}, {"eventType": 5}, {"eventType": "pty.exit", "ptySessionId": ["pty-1"]}):
        service.push(data, source=SERVER)
    service.push({**_exit(), "exitCode": "x"}, source=SERVER)
    service.push(_exit(7), source=SERVER)
    try:
        assert await handle.wait(LIMIT) == 7
    except AgentBayError:
        pytest.fail("a push that makes no sense ended it")
