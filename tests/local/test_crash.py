"""An engine that is killed at any moment loses nothing that it acknowledged.

``CRASH_KILLS`` sets how often it is killed in all, ``CRASH_SEED`` repeats the choice of moments
and contents. To see figures: ``CRASH_KILLS=50 pytest -s tests/local/test_crash.py``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import secrets
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentbay import AgentBay, AgentBayError, ContextSync, CreateSessionParams, Session
from agentbay.local.__main__ import main
from agentbay.local._storage.store import Store

from .sandboxes import processes_with
from .servers import KEY, serving

# Not AGENTBAY_...: the tests take those out of the environment.
KILLS = int(os.environ.get("CRASH_KILLS", "12"))
SEED = os.environ.get("CRASH_SEED") or secrets.token_hex(4)
# Every start, every upload and every look at what is there waits for a disk that may be slow.
pytestmark = pytest.mark.timeout(60 + 30 * KILLS)

WORK = "/home/wuying/work"
# Sizes on both sides of what is hashed before it is written.
SIZES = (0, 100, 100_000, 1 << 20, 3 << 20)


def data(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice(SIZES))


def text(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 10, 20_000))).hex().encode()


class Uploads:
    """Files that are uploaded, and what is known about them.

    `acknowledged` is what each path has for sure; a path in `attempted` may have that instead.
    `count` is how many were acknowledged so far, `cut` how many were not.
    """

    def __init__(self, dice: random.Random, make: Callable[[random.Random], bytes]) -> None:
        self._dice, self._make = dice, make
        self.count = self.cut = 0
        self.acknowledged: dict[str, str] = {}
        self.attempted: dict[str, set[str]] = {}

    def check(self, found: dict[str, str]) -> None:
        """Compare with what the context has."""
        for path, sha in self.acknowledged.items():
            assert found.get(path) in {sha, *self.attempted.get(path, ())}, f"{path} is lost"
        for path, sha in found.items():
            known = {self.acknowledged.get(path), *self.attempted.get(path, ())}
            assert sha in known, f"{path} is torn"
        self.acknowledged = dict(found)
        self.cut += sum(map(len, self.attempted.values()))
        self.attempted = {}

    def one(self, send: Callable[[str, bytes], None]) -> None:
        """Upload another content under some name."""
        path = f"f{self._dice.randrange(8)}"
        content = self._make(self._dice)
        sha = hashlib.sha256(content).hexdigest()
        self.attempted.setdefault(path, set()).add(sha)
        send(path, content)
        self.acknowledged[path] = sha
        self.attempted.pop(path)
        self.count += 1


def stored(home: Path, context_id: str) -> dict[str, tuple[str, int]]:
    """The hash and the size of all that a context has; every content is read."""
    found: dict[str, tuple[str, int]] = {}
    with Store(home / "contexts") as store:
        for entry in store.list_entries(context_id):
            if entry.kind == "file":
                assert entry.blob
                with store.open_blob(entry.blob) as blob:
                    data = blob.read()
                assert len(data) == entry.size
                found[entry.path] = hashlib.sha256(data).hexdigest(), len(data)
    return found


class Home:
    """The directory of an engine, and what ``agentbay local status`` tells of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def status(self) -> Any:
        """What the command line tells."""
        with redirect_stdout(io.StringIO()) as told:
            assert main(["local", "status", "--json", "--home", str(self.path)]) == 0
        return json.loads(told.getvalue())

    def check_running(self, process: subprocess.Popen[str], sessions: list[str]) -> None:
        """Compare what is told of engines with the one that runs, and its sessions."""
        told = [(found["pid"], found["sessions"]) for found in self.status()["engines"]]
        assert told == [(process.pid, sessions)]
        left = [path.name for path in (self.path / "engines").glob("*.lock")]
        assert len(left) == 1, "what the engine before left behind is removed"

    def wait_for_end(self) -> None:
        """Wait until no sandbox is left, a moment after their engine was killed."""
        deadline = time.monotonic() + 40
        while found := processes_with(str(self.path)):
            assert time.monotonic() < deadline, f"{found} are left"
            time.sleep(0.02)

    def check_killed(self, context_id: str, uploads: Uploads) -> None:
        """Compare what is told with the files that there are, after a kill."""
        self.wait_for_end()
        found = stored(self.path, context_id)
        uploads.check({path: sha for path, (sha, _) in found.items()})
        told = self.status()
        assert told["engines"] == []
        assert told["problems"] == []
        (context,) = told["contexts"]
        assert (context["id"], context["name"]) == (context_id, "crash")
        assert context["files"] == len(found)
        assert context["size"] == sum(size for _, size in found.values())
        for name, size in told["sizes"].items():
            files = [path for path in (self.path / name).rglob("*") if not path.is_dir()]
            assert size == sum(path.lstat().st_blocks * 512 for path in files)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def upload_until_killed(
    process: subprocess.Popen[str],
    uploads: Uploads,
    send: Callable[[str, bytes], None],
    after: float,
) -> None:
    """Upload file after file; the engine is killed in the midst of it."""
    uploads.one(send)
    killer = threading.Timer(after, process.kill)
    killer.start()
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            uploads.one(send)
    except (AgentBayError, httpx.HTTPError):
        process.wait(40)
        return
    finally:
        killer.join()
    raise AssertionError("the engine was not killed")


def seeded() -> random.Random:
    print(f"CRASH_SEED={SEED}")  # noqa: T201 - shown when the test fails
    return random.Random(SEED)


def report(kills: int, uploads: Uploads) -> None:
    text = f"{kills} kills, {uploads.count} uploads, {uploads.cut} cut short, 0 lost, 0 torn"
    print(text)  # noqa: T201 - shown with -s


def test_files_that_were_put_survive_kills(home: Home) -> None:
    dice = seeded()
    uploads = Uploads(dice, data)
    kills = KILLS - KILLS // 3
    for _ in range(kills):
        with serving(home.path) as (process, url), AgentBay(KEY, endpoint=url) as bay:
            context_id = bay.context.create("crash").unwrap().id

            def put(path: str, content: bytes, bay: AgentBay = bay, id_: str = context_id) -> None:
                address = bay.context.get_file_upload_url(id_, path).unwrap()
                httpx.put(address, content=content, trust_env=False, timeout=40).raise_for_status()

            home.check_running(process, [])
            upload_until_killed(process, uploads, put, dice.random() * 0.5)
        home.check_killed(context_id, uploads)
    assert uploads.acknowledged
    report(kills, uploads)


def test_files_that_were_synced_survive_kills(home: Home) -> None:
    dice = seeded()
    uploads = Uploads(dice, text)
    kills = max(1, KILLS // 3)
    for _ in range(kills):
        with serving(home.path) as (process, url), AgentBay(KEY, endpoint=url) as bay:
            context_id = bay.context.create("crash").unwrap().id
            params = CreateSessionParams(context_syncs=[ContextSync(context_id, WORK)])
            session = bay.create(params).unwrap()

            def sync(path: str, content: bytes, session: Session = session) -> None:
                session.file_system.write_file(f"{WORK}/{path}", content.decode()).unwrap()
                session.context.sync(mode="upload").unwrap()

            home.check_running(process, [session.session_id])
            upload_until_killed(process, uploads, sync, dice.random() * 0.7)
        home.check_killed(context_id, uploads)
    assert uploads.acknowledged
    report(kills, uploads)


def test_a_content_whose_upload_was_cut_short_does_no_harm(tmp_path: Path) -> None:
    with Store(tmp_path / "contexts") as store:
        context = store.create_context("a").id
        store.add_blob([b"content"])
    with Store(tmp_path / "contexts") as again:
        assert again.list_entries(context) == []
        sha, size = again.add_blob([b"content"])
        again.put_file(context, "a", sha, size)
    assert stored(tmp_path, context) == {"a": (sha, size)}
