"""Several engines that use one home directory at the same time."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from agentbay import AgentBay, ContextSync, CreateSessionParams
from agentbay.local import _engines

from .servers import KEY, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

ROUNDS = 4


def _together(*works: Callable[[], list[str]]) -> list[list[str]]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result(100) for done in [pool.submit(work) for work in works]]


def _add_files(url: str, name: str) -> list[str]:
    """Write files into a context that others write into as well; returns its id."""
    with AgentBay(KEY, endpoint=url) as bay:
        context = bay.context.get("shared", create=True).unwrap()
        params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/kept")])
        for number in range(ROUNDS):
            with bay.session(params) as session:
                path = f"kept/{name}-{number}.txt"
                session.file_system.write_file(path, f"{name} {number} " * 1000).unwrap()
        return [context.id]


def test_two_engines_write_into_one_context_and_nothing_is_lost(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, one), serving(tmp_path) as (_, other):
        found = _together(lambda: _add_files(one, "one"), lambda: _add_files(other, "other"))
        assert found[0] == found[1]
        params = CreateSessionParams(context_syncs=[ContextSync(found[0][0], "/home/wuying/kept")])
        with AgentBay(KEY, endpoint=one) as bay, bay.session(params) as session:
            content = {
                name: session.file_system.read_file(f"kept/{name}").unwrap()
                for name in session.command.run("ls kept").unwrap().split()
            }

    expected = {
        f"{name}-{n}.txt": f"{name} {n} " * 1000 for name in ("one", "other") for n in range(ROUNDS)
    }
    assert content == expected
    with closing(sqlite3.connect(tmp_path / "contexts" / "contexts.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_engine_that_is_killed_leaves_the_other_and_the_contexts_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url), AgentBay(KEY, endpoint=url) as bay:
        session = bay.create().unwrap()
        session.file_system.write_file("/tmp/a.txt", "here").unwrap()
        with serving(tmp_path) as (killed, other):
            _add_files(other, "killed")
            AgentBay(KEY, endpoint=other).create().unwrap()
            assert len(_engines.running(tmp_path / "engines")) == 2
            killed.kill()
            killed.wait(30)
        with serving(tmp_path) as (third, last):
            assert AgentBay(KEY, endpoint=last).list().success
            pids = {engine.pid for engine in _engines.running(tmp_path / "engines")}
            directories = [path for path in (tmp_path / "engines").iterdir() if path.is_dir()]
            assert third.pid in pids
            assert killed.pid not in pids
            assert len(directories) == 2
        assert session.file_system.read_file("/tmp/a.txt").unwrap() == "here"
        assert bay.context.get("shared").unwrap().name == "shared"


def test_a_directory_is_claimed_by_one_and_seen_by_others(tmp_path: Path) -> None:
    with _engines.claimed(tmp_path / "a"):
        (tmp_path / "a" / "session-1").mkdir()
        (engine,) = _engines.running(tmp_path)
        assert _engines.remove_stale(tmp_path) == 0
        assert engine.sessions == ["session-1"]
        assert engine.since.endswith("Z")
    assert list(tmp_path.iterdir()) == []
    assert _engines.running(tmp_path) == []


@pytest.mark.parametrize("made", [True, False], ids=["directory", "lock only"])
def test_what_a_killed_engine_left_is_removed(tmp_path: Path, made: bool) -> None:
    (tmp_path / "a.lock").write_text("1\n")
    if made:
        (tmp_path / "a" / "session-1" / "root").mkdir(parents=True)

    assert _engines.running(tmp_path) == []
    assert _engines.remove_stale(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_being_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.new").write_bytes(b"")

    assert _engines.remove_stale(tmp_path) == 0
    assert (tmp_path / "a.new").exists()


def test_many_engines_clean_up_at_the_same_time(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.lock").write_bytes(b"")
        (tmp_path / f"{number}" / "session-1").mkdir(parents=True)

    with ThreadPoolExecutor(6) as pool:
        counts = [pool.submit(_engines.remove_stale, tmp_path) for _ in range(6)]

    assert sum(done.result() for done in counts) == 40
    assert list(tmp_path.iterdir()) == []
