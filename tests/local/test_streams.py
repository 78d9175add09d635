"""The WebSocket of a session, frame by frame, and what becomes of clients that misbehave."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import httpx
import pytest
from httpx_ws import WebSocketDisconnect, WebSocketNetworkError, WebSocketUpgradeError
from hypothesis import given
from hypothesis import strategies as st

from agentbay import AsyncSession
from agentbay.local.pty import _KEPT, Terminal, _whole
from agentbay.protocol.pty import SERVER

from .clients import Place, RawSocket, engine_client, raw_socket
from .sandboxes import until

FILES = "wuying_filesystem"
LIMIT = 40


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Place, None]:
    async with engine_client(tmp_path) as found:
        yield found


@pytest.fixture
async def session(place: Place) -> AsyncGenerator[AsyncSession, None]:
    async with place.bay.session() as running:
        yield running


@pytest.fixture
async def raw(session: AsyncSession) -> AsyncGenerator[RawSocket, None]:
    async with raw_socket(session.ws_url, session.token) as found:
        yield found


# -- the handshake -----------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "guessed"])
async def test_a_handshake_needs_the_token(session: AsyncSession, token: str) -> None:
    with pytest.raises(WebSocketUpgradeError) as refused:
        async with raw_socket(session.ws_url, token):
            pass
    assert refused.value.response.status_code == 401


async def test_a_handshake_that_is_none_is_refused(session: AsyncSession) -> None:
    url = session.ws_url.replace("ws://", "http://")
    token = {"X-Access-Token": session.token}
    async with httpx.AsyncClient() as http:
        assert (await http.get(url, headers=token)).status_code == 404
        half = {**token, "Connection": "Upgrade", "Upgrade": "websocket"}
        assert (await http.get(url, headers=half)).status_code == 400


async def test_an_address_that_nobody_was_told_is_not_found(session: AsyncSession) -> None:
    with pytest.raises(WebSocketUpgradeError) as refused:
        async with raw_socket(session.ws_url.replace("/path/", "x/path/"), session.token):
            pass
    assert refused.value.response.status_code == 404


# -- frames ------------------------------------------------------------------------------


async def test_methods_and_servers_that_are_not_there_are_refused(raw: RawSocket) -> None:
    assert "no method 'pty.dance'" in (await raw.ask(SERVER, "pty.dance"))["error"]
    assert "no method 'pty.list' of elsewhere" in (await raw.ask("elsewhere", "pty.list"))["error"]
    await raw.send("wuying_cdp_mcp_server", {"type": "call-for-user", "code": 199})
    assert "error" in (await raw.receive())["data"]


async def test_parameters_that_make_no_sense_are_refused(raw: RawSocket) -> None:
    assert "bad parameters" in (await raw.ask(SERVER, "pty.create", cols=0))["error"]
    assert "bad parameters" in (await raw.ask(SERVER, "pty.kill"))["error"]
    assert "bad parameters" in (await raw.ask(FILES, "subscribe_file_change", path=""))["error"]


async def test_messages_that_are_no_frames_do_not_end_the_connection(raw: RawSocket) -> None:
    for text in ("", "[]", "no JSON", "{}", '{"invocationId": "i-0", "target": ""}'):
        await raw.session.send_text(text)

    assert (await raw.receive())["invocationId"] == "i-0"
    assert await raw.ask(SERVER, "pty.list") == {"result": {"ptySessionIds": []}}


async def test_a_ping_is_answered(raw: RawSocket) -> None:
    pong = await raw.session.ping(b"here")

    with anyio.fail_after(LIMIT):
        while not pong.is_set():
            await raw.ask(SERVER, "pty.list")


async def test_bytes_end_the_connection(raw: RawSocket) -> None:
    await raw.session.send_bytes(b"{}")

    assert await _closed(raw) == 1003


async def test_a_message_that_is_too_long_ends_the_connection(
    raw: RawSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentbay.local._websocket.LONGEST_IN", 1000)
    await raw.session.send_text("x" * 2000)

    assert await _closed(raw) == 1009


async def test_the_end_of_a_session_ends_its_connections(
    place: Place, session: AsyncSession, raw: RawSocket
) -> None:
    assert await raw.ask(SERVER, "pty.list")
    (await session.delete()).unwrap()

    assert await _closed(raw) == 1001


async def test_a_stream_without_an_answer_stays_quiet_when_refused(raw: RawSocket) -> None:
    await raw.send(SERVER, {"method": "pty.input", "params": {"ptySessionId": "pty-0"}})
    await raw.send(SERVER, {"method": "pty.resize", "params": {}})

    assert await raw.ask(SERVER, "pty.list", id="i-2") == {"result": {"ptySessionIds": []}}


async def test_too_many_calls_at_once_are_refused(
    place: Place, session: AsyncSession, raw: RawSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentbay.local.streams._MOST_CALLS", 1)
    code = {"language": "python", "timeoutS": 60, "code": "import time; time.sleep(60)"}
    data = {"method": "run_code", "mode": "stream", "params": code}
    await raw.send("wuying_codespace", data, id="i-0")

    assert "too many calls" in (await raw.ask(SERVER, "pty.list"))["error"]


# -- terminals and clients that go or do not read ----------------------------------------


async def test_what_was_written_while_a_connection_was_lost_is_told_once(
    place: Place, session: AsyncSession
) -> None:
    shown = bytearray()
    terminal = await session.pty.create(on_data=shown.extend)
    await terminal.send_input(b"echo bef''ore; while ! test -e /tmp/lost; do sleep .01; done;")
    await terminal.send_input(b" echo mis''sed; touch /tmp/done\n")
    await _until(lambda: b"before" in shown)

    _lose_connections(place, session)
    await session.command.run("touch /tmp/lost; while ! test -e /tmp/done; do sleep .01; done")

    await _until(lambda: b"missed" in shown)
    await terminal.send_input(b"echo af''ter\n")
    await _until(lambda: b"after" in shown)
    assert [shown.count(word) for word in (b"before", b"missed", b"after")] == [1, 1, 1]


async def test_the_end_of_a_terminal_is_told_to_a_client_that_comes_back(
    place: Place, session: AsyncSession
) -> None:
    shown = bytearray()
    terminal = await session.pty.create(on_data=shown.extend)
    await terminal.send_input(b"while ! test -e /tmp/lost; do sleep .01; done; exit 9\n")
    await _until(lambda: b"/tmp/lost" in shown)

    _lose_connections(place, session)
    await session.command.run("touch /tmp/lost")

    with anyio.fail_after(LIMIT):
        assert await terminal.wait() == 9


async def test_a_client_that_does_not_read_makes_the_program_wait(
    place: Place, session: AsyncSession, raw: RawSocket
) -> None:
    id = (await raw.ask(SERVER, "pty.create"))["result"]["ptySessionId"]
    terminal = place.local(session).terminals[id]
    await _type(raw, id, "yes | tee /dev/stderr | wc -c > /dev/null\n")

    await until(lambda: _stands_still(terminal), LIMIT)
    assert len(terminal._kept) <= _KEPT + (1 << 20)

    # Others are served meanwhile, and the terminal can be ended.
    assert (await session.command.run("echo free")).unwrap() == "free\n"
    with anyio.fail_after(LIMIT):
        await session.pty.kill(id)


async def test_a_terminal_that_nobody_looks_at_goes_on(place: Place, session: AsyncSession) -> None:
    async with raw_socket(session.ws_url, session.token) as raw:
        id = (await raw.ask(SERVER, "pty.create"))["result"]["ptySessionId"]
        await _type(raw, id, "seq 1 300000; touch /tmp/done\n")

    wait = "while ! test -e /tmp/done; do sleep .01; done"
    (await session.command.run(wait, timeout_ms=50_000)).unwrap()
    assert len(place.local(session).terminals[id]._kept) <= _KEPT + (1 << 20)


async def test_no_process_is_left_when_the_client_goes_before_the_answer(
    place: Place, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Terminal.begun

    async def begun_late(terminal: Terminal) -> None:
        # The answer comes too soon for a client to go before it.
        await begun(terminal)
        await anyio.sleep_forever()

    monkeypatch.setattr(Terminal, "begun", begun_late)
    async with raw_socket(session.ws_url, session.token) as raw:
        local = place.local(session)
        await raw.send(SERVER, {"method": "pty.create", "params": {}})
        await _until(lambda: local.terminals)
        [terminal] = local.terminals.values()
        _lose_connections(place, session)
        with pytest.raises(WebSocketNetworkError):
            await raw.receive()

    await _until(lambda: terminal.exit_code is not None)
    assert not local.terminals
    assert not local.connections


async def test_typing_what_nobody_takes_does_not_fill_the_memory(raw: RawSocket) -> None:
    id = (await raw.ask(SERVER, "pty.create"))["result"]["ptySessionId"]
    await _type(raw, id, "stty raw -echo; sleep 1000\n")
    for _ in range(5):
        await _type(raw, id, "x" * 1_000_000)

    with anyio.fail_after(LIMIT):
        assert "error" not in await raw.ask(SERVER, "pty.kill", id="i-9", ptySessionId=id)


# -- characters --------------------------------------------------------------------------


@given(st.text(max_size=20), st.integers(0, 40))
def test_a_piece_never_ends_within_a_character(text: str, size: int) -> None:
    content = text.encode()[:size]

    whole = content[: _whole(content)]

    assert whole.decode() == text[: len(whole.decode())]
    assert len(content) - len(whole) < 4


@given(st.binary(max_size=20))
def test_bytes_that_are_no_text_are_not_held_back_for_ever(content: bytes) -> None:
    assert len(content) - _whole(content) < 4


async def _type(raw: RawSocket, id: str, text: str) -> None:
    params = {"ptySessionId": id, "encoding": "utf8", "data": text}
    await raw.send(SERVER, {"method": "pty.input", "params": params}, id="i-type")


async def _stands_still(terminal: Terminal) -> bool:
    """Whether nothing is taken from a terminal that has more."""
    before = terminal._begin + len(terminal._kept)
    await anyio.sleep(0.3)
    return before > _KEPT and terminal._begin + len(terminal._kept) == before


def _lose_connections(place: Place, session: AsyncSession) -> None:
    """Break them off without a word."""
    for connection in place.local(session).connections:
        connection._tasks.cancel_scope.cancel()


async def _closed(raw: RawSocket) -> int:
    while True:
        try:
            await raw.receive()
        except WebSocketDisconnect as exc:
            return exc.code


async def _until(condition: object) -> None:
    assert callable(condition)
    with anyio.fail_after(LIMIT):
        while not condition():  # noqa: ASYNC110 - another task makes it true
            await anyio.sleep(0.01)
