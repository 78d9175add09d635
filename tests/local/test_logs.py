"""The log of a served engine."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from anyio import to_thread

from agentbay import AgentBay, AsyncAgentBay, CreateSessionParams
from agentbay.local import _logs
from agentbay.local._logs import identifier, logging_to_stderr, noted, tool_named

from .servers import KEY, serving

SECRET = "the-secret-of-a-command"


def _ended(process: Any) -> str:
    """What a server wrote to its standard error until it had ended in an orderly way."""
    process.send_signal(signal.SIGTERM)
    errors: str = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    return errors


def _use(url: str) -> None:
    with AgentBay(KEY, endpoint=url) as bay, bay.session() as session:
        assert session.command.run(f"echo {SECRET}").unwrap() == f"{SECRET}\n"
        assert not session.command.run(f"cat /{SECRET}").success


def test_each_event_is_one_json_object(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as (process, url):
        _use(url)
        with httpx.Client(trust_env=False, timeout=30) as http:
            http.get(f"{url}/healthz")
            http.post(f"{url}/", params={"Action": "No\nSuch"})
        lines = [json.loads(line) for line in _ended(process).splitlines()]

    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert [line["message"] for line in lines if line["logger"].endswith("server")] == [
        "serving",
        "saving contexts and ending sessions",
        "stopped",
    ]
    requests = [line for line in lines if line["message"] == "request"]
    outcomes = [(line["action"], line["status"]) for line in requests]
    assert ("CreateMcpSession", 200) in outcomes
    assert outcomes[-1] == (None, 400)
    assert all(line["ms"] >= 0 and line["request_id"] for line in requests)
    assert lines[0]["pid"] == process.pid


async def _use_every_way(url: str) -> tuple[list[str], list[str]]:
    """Use the control plane, the link, a private network and the WebSocket.

    Returns:
        The sessions, and the secrets that were used: tokens, and addresses that hold some.
    """
    async with AsyncAgentBay(KEY, endpoint=url) as bay, bay.session() as session:
        (await session.command.run(f"echo {SECRET}")).unwrap()
        assert not (await session.file_system.read_file(f"/{SECRET}")).success
        assert (await session.code.run_code(f"'{SECRET}'", "python", stream_beta=True)).success
        async with await session.pty.create() as terminal:
            await terminal.send_input(f"echo {SECRET}; exit\n")
            await terminal.wait()
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            call = f"{session.link_url.rstrip('/')}/callTool"
            guessed = {"X-Access-Token": "guessed-token"}
            assert (await http.post(call, json={}, headers=guessed)).status_code == 401
        async with bay.session(CreateSessionParams(is_vpc=True)) as private:
            link, private._data = private.link_url, attrs.evolve(private._data, link_url="")
            (await private.command.run(f"echo {SECRET}")).unwrap()
            secrets = [session.token, private.token, "guessed-token", SECRET, KEY]
            secrets += [url.split("_ai/")[1].split("/")[0] for url in (session.link_url, link)]
            secrets += [session.ws_url.split("_ai/")[1].split("/")[0]]
            return [session.session_id, private.session_id], secrets


@pytest.mark.parametrize("form", ["json", "text"])
async def test_each_way_to_a_session_is_logged_without_its_secrets(
    tmp_path: Path, form: str
) -> None:
    with serving(tmp_path, "--log-format", form, "--log-level", "debug") as (process, url):
        (session, private), secrets = await _use_every_way(url)
        errors = await to_thread.run_sync(_ended, process)

    assert all(secret not in errors for secret in secrets)
    if form == "text":
        assert f" route=link tool=shell session={session} status=200 result=ok ms=" in errors
        return
    lines = [line for line in map(json.loads, errors.splitlines()) if line["message"] == "request"]
    names = ("method", "route", "action", "tool", "session", "status", "result")
    told = [tuple(line[name] for name in names) for line in lines]
    for expected in (
        ("POST", "api", "CreateMcpSession", None, None, 200, "ok"),
        ("POST", "link", None, "shell", session, 200, "ok"),
        ("POST", "link", None, "read_file", session, 200, "tool failed"),
        ("POST", "link", None, None, session, 401, "refused"),
        ("GET", "vpc", None, "shell", private, 200, "ok"),
        (None, "websocket", "run_code", None, session, None, "ok"),
        (None, "websocket", "pty.create", None, session, None, "ok"),
        ("GET", "websocket", None, None, session, 101, "ok"),
        ("POST", "api", "ReleaseMcpSession", None, session, 200, "ok"),
    ):
        assert expected in told
    assert all(line["ms"] >= 0 for line in lines)


def test_what_is_made_up_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    made_up = {"tool": tool_named("made-up"), "session": identifier("a b")}
    with logging_to_stderr("json", "info", secrets=()), noted(logging.INFO, **made_up):
        pass

    said = json.loads(capfd.readouterr().err)
    assert (said["tool"], said["session"], said["result"]) == (None, None, "ok")


def test_a_request_that_its_client_leaves_is_logged_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    to_stderr = logging_to_stderr("json", "info", secrets=())
    with to_stderr, pytest.raises(EOFError), noted(logging.INFO, route="link"):
        raise EOFError

    assert json.loads(capfd.readouterr().err)["result"] == "broken off"


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_and_bodies_are_not_logged(tmp_path: Path, form: str) -> None:
    with serving(tmp_path, "--log-format", form, "--log-level", "debug") as (process, url):
        _use(url)
        errors = _ended(process)

    assert "CreateMcpSession" in errors
    assert SECRET not in errors
    assert KEY not in errors


def test_text_is_the_usual_form_and_its_level_can_be_chosen(tmp_path: Path) -> None:
    with serving(tmp_path / "a") as (process, url):
        _use(url)
        usual = _ended(process)
    with serving(tmp_path / "b", "--log-level", "warning") as (process, url):
        _use(url)
        quiet = _ended(process)

    assert "INFO" in usual
    assert (
        " request method=POST route=api action=CreateMcpSession status=200 result=ok ms=" in usual
    )
    assert quiet == ""


def test_a_log_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    """A pipe has room for 64 KiB."""
    with serving(tmp_path, "--log-level", "debug") as (process, url):
        with httpx.Client(trust_env=False, timeout=30) as http:
            for _ in range(1000):
                assert http.get(f"{url}/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert len(process.stderr.read()) > 60_000


def test_a_failure_is_told_on_one_line_and_without_secrets(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = logging.getLogger("agentbay.local.test")
    with logging_to_stderr("json", "info", secrets=("akm-chosen",)):
        try:
            raise ValueError("akm-chosen\nBearer abc")
        except ValueError:
            log.exception("failed at ws://127.0.0.1:1/websocket_ai/t0ken/path/")

    (line,) = capfd.readouterr().err.splitlines()
    said = json.loads(line)
    assert said["message"] == "failed at ws://127.0.0.1:1/websocket_ai/***/path/"
    assert "ValueError: ***\nBearer ***" in said["exception"]
    assert not {"akm-chosen", "abc", "t0ken"} & set(line.replace('"', " ").split())


def test_lines_that_nobody_reads_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    os.set_blocking(writer, True)
    monkeypatch.setattr(_logs, "_STDERR", writer)
    monkeypatch.setattr(_logs, "_MOST_WAITING", 3)
    log = logging.getLogger("agentbay.local.test")
    with logging_to_stderr("text", "info", secrets=()), open(reader, "rb") as file:
        for number in range(20):
            log.warning("line %s", number)
        said = b""
        while b"dropped what nobody read lines=" not in said:
            said += os.read(file.fileno(), 65536)
            log.warning("after")
    os.close(writer)

    assert b": line 0\n" in said
    assert b": line 19\n" not in said


def test_lines_that_are_written_late_are_written_nevertheless(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def late(file: int, data: bytes) -> int:
        if file == 2:
            time.sleep(0.2)
        return write(file, data)

    monkeypatch.setattr(_logs, "_END_LIMIT", 0.05)
    with logging_to_stderr("text", "info", secrets=()):
        monkeypatch.setattr(os, "write", late)
        for number in range(3):
            logging.getLogger("agentbay.local").warning("line %s", number)

    assert "line 2\n" in capfd.readouterr().err


def test_a_message_with_line_breaks_does_not_look_like_two_events(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with logging_to_stderr("text", "info", secrets=()):
        logging.getLogger("agentbay.local").warning("one\n2026-01-01T00:00:00Z two")

    first, second = capfd.readouterr().err.splitlines()
    assert first.endswith(" WARNING agentbay.local: one")
    assert second.startswith("    ")


def test_replies_on_one_connection_do_not_wait_for_acknowledgements(tmp_path: Path) -> None:
    """Two small packets in a row take 44 ms where the second one waits for the first."""
    fast = 0
    with serving(tmp_path) as (_, url), httpx.Client(trust_env=False, timeout=30) as http:
        for _ in range(500):
            begin = time.perf_counter()
            http.get(f"{url}/healthz")
            fast += time.perf_counter() - begin < 0.03
            if fast == 10:  # a few are acknowledged at once in any case
                break

    assert fast == 10
