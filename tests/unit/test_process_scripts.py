"""The scripts behind a process, with the shells and the programs that images may have."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from agentbay._async import _process_scripts as scripts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sessions run on Linux")

_PROGRAMS = "base64 cat env head mkdir mkfifo mv nohup rm sleep tail tr true"

# A setsid of an earlier generation, which cannot fork by itself.
_OLD_SETSID = '#!/bin/sh\nif [ "$1" = -f ]; then exit 1; fi\nexec {setsid} "$@"\n'


class Machine:
    """This machine, as an image with few programs."""

    def __init__(self, root: Path, shell: str, setsid: str) -> None:
        self.programs = root / "bin"
        self.programs.mkdir()
        self.process = f"{scripts.DIRECTORY}{uuid.uuid4().hex}"
        for name in _PROGRAMS.split():
            (self.programs / name).symlink_to(_found(name))
        (self.programs / "sh").symlink_to(_found(shell))
        if setsid == "new":
            (self.programs / "setsid").symlink_to(_found("setsid"))
        elif setsid == "old":
            path = self.programs / "setsid"
            path.write_text(_OLD_SETSID.format(setsid=_found("setsid")))
            path.chmod(0o755)

    def run(self, text: str, *words: str) -> str:
        """What a script prints."""
        done = subprocess.run(
            ["/bin/sh", "-c", scripts.script(text, self.process, *words)],
            env={"PATH": str(self.programs)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=True,
            text=True,
        )
        return done.stdout

    def start(self, command: str) -> str:
        """Start a command; gives its pid."""
        return self.run(scripts.START, "", scripts.KEEPER, scripts.CHILD, command).strip()

    def look(self) -> str:
        """The state of the process."""
        return self.run(scripts.LOOK, "", "1", "0").strip()

    def ended(self) -> str:
        """The state of the process after its end."""
        for _ in range(200):
            if not (state := self.look()).startswith("running"):
                return state
            time.sleep(0.05)
        raise AssertionError("the process does not end")

    def alone(self, pid: str) -> None:
        """Wait until the process is the only one that is left of it."""
        others: list[str] = []
        for _ in range(200):
            others = [
                path.parent.name
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if self.process in _text(path) and path.parent.name != pid
            ]
            if not others:
                return
            time.sleep(0.05)
        raise AssertionError(f"{others} are left behind")

    def output(self) -> str:
        """What the process wrote so far."""
        _, _, text = self.run(scripts.LOOK, "stdout", "1", "30000").partition("\n")
        return base64.b64decode(text).decode()

    def feed(self, text: str) -> str:
        """Write to the process."""
        data = base64.b64encode(text.encode()).decode()
        return self.run(scripts.FEED, f"in.{uuid.uuid4().hex}", data, "last")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended
        return ""


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is missing: install it")
    return path


@pytest.fixture(params=["dash", "bash"])
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["new", "old", "none"])
def machine(tmp_path: Path, shell: str, request: pytest.FixtureRequest) -> Machine:
    return Machine(tmp_path, shell, request.param)


def _cleaned(machine: Machine) -> None:
    shutil.rmtree(machine.process)


def test_input_output_and_exit_code_work_everywhere(machine: Machine) -> None:
    pid = machine.start("read a; echo $a; cat; exit 9")
    assert machine.look() == f"running {pid}"
    assert machine.feed("one\n").startswith("sent")
    assert machine.feed("two\n").startswith("sent")
    machine.run(scripts.CLOSE)

    assert machine.ended() == f"exit 9 {pid}"
    assert machine.output() == "one\ntwo\n"
    assert machine.feed("more") == f"exit 9 {pid}\n"
    _cleaned(machine)


def test_a_process_can_be_signalled_everywhere(machine: Machine) -> None:
    pid = machine.start("exec sleep 60")
    assert machine.run(scripts.SIGNAL, "TERM") == f"sent {pid}\n"

    assert machine.ended() == f"exit 143 {pid}"
    assert machine.run(scripts.SIGNAL, "TERM") == f"exit 143 {pid}\n"
    _cleaned(machine)


def test_a_dead_keeper_is_noticed_everywhere(machine: Machine) -> None:
    pid = machine.start("exec sleep 60")
    keeper = Path(machine.process, "keeper").read_text().strip()
    subprocess.run(["/bin/sh", "-c", f"kill -9 {keeper}"], check=True)

    assert machine.ended() == f"lost {pid}"
    machine.alone(pid)
    subprocess.run(["/bin/sh", "-c", f"kill -9 {pid}"], check=True)
    _cleaned(machine)


def test_what_was_never_started_is_missing(machine: Machine) -> None:
    assert machine.look() == "missing 0"


def test_the_files_of_a_process_are_private(machine: Machine) -> None:
    machine.start("true")
    machine.ended()
    assert Path(machine.process).stat().st_mode & 0o777 == 0o700
    _cleaned(machine)
