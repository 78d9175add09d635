"""The engine as a server: for other processes, with a key."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentbay import AgentBay, ContextSync, CreateSessionParams

Server = tuple[subprocess.Popen[str], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> Server:
        process = subprocess.Popen(
            [sys.executable, "-m", "agentbay.local", "--port", "0", *arguments],
            env={**os.environ, "AGENTBAY_LOCAL_HOME": str(tmp_path), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url
        return process, url[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_another_process_uses_the_engine_with_the_key_it_prints(
    serve: Callable[..., Server],
) -> None:
    process, url = serve()
    assert process.stdout is not None
    process.stdout.readline()
    line = process.stdout.readline()
    settings = dict(re.findall(r"(AGENTBAY_\w+)=(\S+)", line))
    assert settings["AGENTBAY_ENDPOINT"] == url
    with AgentBay(settings["AGENTBAY_API_KEY"], endpoint=url) as bay, bay.session() as session:
        assert session.command.run("echo served").unwrap() == "served\n"
        session.command.run("python3 -m http.server 30150 &").unwrap()
        assert session.get_link(port=30150).unwrap().startswith("http://127.0.0.1:")
        assert bay.list().unwrap() == [session.session_id]


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_a_given_key_is_used_and_not_printed(serve: Callable[..., Server], given: str) -> None:
    if given == "argument":
        process, url = serve("--api-key", "akm-chosen")
    else:
        process, url = serve(AGENTBAY_API_KEY="akm-chosen")
    with AgentBay("akm-chosen", endpoint=url) as bay:
        assert bay.list().success
    with AgentBay("akm-other", endpoint=url) as bay:
        refused = bay.create()
        assert not refused.success
        assert refused.code == "NOT_LOGIN"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert "akm-chosen" not in output + errors


def test_a_request_without_the_key_is_refused(serve: Callable[..., Server]) -> None:
    _, url = serve()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/?Action=ListSession", data=b"", timeout=30)
    with refused.value as reply:
        assert reply.status == 400
        assert b"NOT_LOGIN" in reply.read()


def test_health_needs_no_key(serve: Callable[..., Server]) -> None:
    _, url = serve()
    with urllib.request.urlopen(f"{url}/healthz", timeout=30) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_contexts_are_saved_when_the_server_is_told_to_end(
    serve: Callable[..., Server], how: signal.Signals
) -> None:
    process, url = serve("--api-key", "akm-key")
    bay = AgentBay("akm-key", endpoint=url)
    context = bay.context.create("kept").unwrap()
    params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/kept")])
    bay.create(params).unwrap().file_system.write_file("kept/a.txt", "not lost").unwrap()
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    _, url = serve("--api-key", "akm-key")
    with AgentBay("akm-key", endpoint=url) as again, again.session(params) as session:
        assert session.file_system.read_file("kept/a.txt").unwrap() == "not lost"


def test_a_port_in_use_is_an_error_that_says_so(serve: Callable[..., Server]) -> None:
    _, url = serve()
    port = url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "agentbay.local", "--port", port],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"cannot listen at 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_engine_says_what_it_does_not_know(serve: Callable[..., Server]) -> None:
    _, url = serve("--api-key", "k")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/?Action=Dance&Authorization=Bearer+k", data=b"", timeout=30)
    with refused.value as reply:
        assert b"InvalidAction.NotFound" in reply.read()
