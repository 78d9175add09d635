"""Nothing is left behind, however the user's process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys
from agentbay import AgentBay
bay = AgentBay(endpoint="local")
session = bay.create().unwrap()
session.command.run("sleep 1000 & sleep 1000 &").unwrap()
print(session.session_id, flush=True)
{rest}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "AGENTBAY_LOCAL_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _processes(home: Path) -> list[str]:
    """Processes, other than the user's own, that belong to sessions under a home directory.

    A process of a session has the session's directory as its root, or names it in its
    command line, as bubblewrap does.
    """
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().decode(errors="replace")
            mounts = (path / "mountinfo").read_text()
        except OSError:
            continue
        if str(home) in command or str(home) in mounts.split("\n", 1)[0]:
            found.append(f"{path.name} {command}")
    return found


def _until(condition: Callable[[], bool], limit: float = 30.0) -> bool:
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_sessions_of_a_running_process_are_seen(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Shows that `_processes` finds what the other tests say is gone."""
    process = start(PROGRAM.format(rest="import time; time.sleep(1000)"))
    assert process.stdout is not None
    process.stdout.readline()
    assert _processes(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_no_process_behind(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path, how: signal.Signals
) -> None:
    process = start(PROGRAM.format(rest="import time; time.sleep(1000)"))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("session-")
    process.send_signal(how)
    process.wait(30)
    assert _until(lambda: not _processes(tmp_path)), _processes(tmp_path)


def test_the_next_engine_removes_the_files_of_a_killed_one(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start(PROGRAM.format(rest="import time; time.sleep(1000)"))
    assert process.stdout is not None
    session_id = process.stdout.readline().strip()
    assert list(tmp_path.glob(f"engines/*/{session_id}"))
    process.kill()
    process.wait(30)
    done = start(PROGRAM.format(rest="session.delete().unwrap()"))
    done.communicate(timeout=60)
    assert done.returncode == 0
    assert not list(tmp_path.glob("engines/*"))


def test_a_process_that_ends_saves_contexts_and_leaves_nothing(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    body = """
from agentbay import AgentBay, ContextSync, CreateSessionParams
bay = AgentBay(endpoint="local")
context = bay.context.get("kept", create=True).unwrap()
params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/kept")])
session = bay.create(params).unwrap()
files = session.file_system
"""
    first = start(body + 'files.write_file("kept/a.txt", "not lost").unwrap()')
    assert first.communicate(timeout=60)[1] == ""
    assert not _processes(tmp_path)
    second = start(body + 'print(files.read_file("kept/a.txt").unwrap())')
    assert second.communicate(timeout=60) == ("not lost\n", "")


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_ctrl_c_during_create_leaves_no_session_behind(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path, delay: float
) -> None:
    code = f"""
import signal, threading
from agentbay import AgentBay, _bridge
bay = AgentBay(endpoint="local")
bay.list().unwrap()
main = threading.main_thread().ident
made = []

async def create():
    # Ctrl-C may come when the session is there, and the main thread does not know of it yet.
    made.append((await bay._impl.create()).unwrap())

try:
    threading.Timer({delay}, signal.pthread_kill, (main, signal.SIGINT)).start()
    _bridge.call(create)
    threading.Event().wait(50)
except KeyboardInterrupt:
    print("interrupted")
for session in made:
    _bridge.call(session.delete).unwrap()
bay.close()  # waits until what was interrupted is undone
print(bay.list().unwrap())
"""
    process = start(code)
    output, errors = process.communicate(timeout=60)
    assert (output, errors) == ("interrupted\n[]\n", "")
    assert not _processes(tmp_path)
