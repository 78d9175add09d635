"""An engine that is killed at any moment loses nothing that it acknowledged.

``AGENTBAY_CRASH_KILLS`` sets how often it is killed, ``AGENTBAY_CRASH_SEED`` repeats a run.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from agentbay import AgentBay, AgentBayError, ContextSync, CreateSessionParams, Session
from agentbay.local._store import Store

KILLS = int(os.environ.get("AGENTBAY_CRASH_KILLS", "6"))
WORK = "/home/wuying/work"
# Sizes on both sides of what is hashed before it is written.
SIZES = (0, 100, 100_000, 1 << 20, 3 << 20)


@contextmanager
def engine(home: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "agentbay.local", "--port", "0", "--api-key", "akm-crash"],
        env={**os.environ, "AGENTBAY_LOCAL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url, "the engine starts again"
        yield process, url[0]
    finally:
        process.kill()
        process.communicate()


def data(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice(SIZES))


def text(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 10, 20_000))).hex().encode()


class Uploads:
    """Files that are uploaded, and what is known about them.

    `acknowledged` is what each path has for sure; a path in `attempted` may have that instead.
    """

    def __init__(self, dice: random.Random, make: Callable[[random.Random], bytes]) -> None:
        self._dice, self._make = dice, make
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


def stored(home: Path, context_id: str) -> dict[str, str]:
    """What a context has; every content is read."""
    found: dict[str, str] = {}
    with Store(home / "contexts") as store:
        for entry in store.list_entries(context_id):
            if entry.kind == "file":
                assert entry.blob
                with store.open_blob(entry.blob) as blob:
                    data = blob.read()
                assert len(data) == entry.size
                found[entry.path] = hashlib.sha256(data).hexdigest()
    return found


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
        return
    finally:
        killer.join()
    raise AssertionError("the engine was not killed")


def seeded() -> random.Random:
    seed = os.environ.get("AGENTBAY_CRASH_SEED") or secrets.token_hex(4)
    print(f"AGENTBAY_CRASH_SEED={seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)


def test_files_that_were_put_survive_kills(tmp_path: Path) -> None:
    dice = seeded()
    uploads = Uploads(dice, data)
    context_id = ""
    for _ in range(KILLS):
        with engine(tmp_path) as (process, url), AgentBay("akm-crash", endpoint=url) as bay:
            context_id = bay.context.create("crash").unwrap().id

            def put(path: str, content: bytes, bay: AgentBay = bay, id_: str = context_id) -> None:
                address = bay.context.get_file_upload_url(id_, path).unwrap()
                httpx.put(address, content=content, trust_env=False).raise_for_status()

            upload_until_killed(process, uploads, put, dice.random() * 0.5)
        uploads.check(stored(tmp_path, context_id))
    assert uploads.acknowledged


def test_files_that_were_synced_survive_kills(tmp_path: Path) -> None:
    dice = seeded()
    uploads = Uploads(dice, text)
    context_id = ""
    for _ in range(max(1, KILLS // 2)):
        with engine(tmp_path) as (process, url), AgentBay("akm-crash", endpoint=url) as bay:
            context_id = bay.context.create("crash").unwrap().id
            params = CreateSessionParams(context_syncs=[ContextSync(context_id, WORK)])
            session = bay.create(params).unwrap()

            def sync(path: str, content: bytes, session: Session = session) -> None:
                session.file_system.write_file(f"{WORK}/{path}", content.decode()).unwrap()
                session.context.sync(mode="upload").unwrap()

            upload_until_killed(process, uploads, sync, dice.random() * 0.7)
        uploads.check(stored(tmp_path, context_id))
    assert uploads.acknowledged


def test_a_content_whose_upload_was_cut_short_does_no_harm(tmp_path: Path) -> None:
    with Store(tmp_path / "contexts") as store:
        context = store.create_context("a").id
        store.add_blob([b"content"])
    with Store(tmp_path / "contexts") as again:
        assert again.list_entries(context) == []
        sha, size = again.add_blob([b"content"])
        again.put_file(context, "a", sha, size)
    assert stored(tmp_path, context) == {"a": sha}
