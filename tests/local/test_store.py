"""The context store: what is acknowledged stays, whoever else is at work, whatever dies."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentbay.local._errors import EngineError
from agentbay.local._storage.store import Entry, Store

DAY = 24 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "home") as opened:
        yield opened


def file(store: Store, path: str, content: bytes = b"content") -> Entry:
    sha, size = store.add_blob([content])
    return Entry(path, "file", 0o644, 1, size, sha)


def directory(path: str) -> Entry:
    return Entry(path, "directory", 0o755, 1)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, "symlink", 0o777, 1, target=target)


def paths(store: Store, context: str, prefix: str = "") -> list[str]:
    return [entry.path for entry in store.list_entries(context, prefix)]


def content(store: Store, entry: Entry) -> bytes:
    assert entry.blob
    with store.open_blob(entry.blob) as blob:
        return blob.read()


def make_old(home: Path, sha: str, age: float = DAY) -> Path:
    path = home / "blobs" / sha[:2] / sha
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def code_of(error: pytest.ExceptionInfo[EngineError]) -> str:
    return error.value.code


# --- contexts ------------------------------------------------------------------------------


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    with Store(tmp_path / "home") as store:
        assert not (tmp_path / "home").exists()
        store.create_context("a")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_creating_a_context_twice_gives_the_same_one(store: Store) -> None:
    first = store.create_context("work")
    assert store.create_context("work") == first
    assert first.id.startswith("SdkCtx-")
    assert len(first.id) == len("SdkCtx-") + 17
    assert store.get_context(id=first.id) == store.get_context(name="work") == first


def test_id_and_name_must_both_fit(store: Store) -> None:
    one, two = store.create_context("one"), store.create_context("two")
    assert store.get_context(one.id, "one") == one
    assert store.get_context(one.id, two.name) is None


@pytest.mark.parametrize("odd", ["nobody", "", "\ud800", "a\0b", "?"])
def test_an_unknown_context_is_none(store: Store, odd: str) -> None:
    store.create_context("somebody")
    assert store.get_context(name=odd) is None
    assert store.get_context(id=odd) is None


def test_contexts_are_listed_in_the_order_of_their_creation(store: Store) -> None:
    made = [store.create_context(name) for name in ("c", "a", "b")]
    assert store.list_contexts(10) == (made, 3)
    assert store.list_contexts(2, 1) == (made[1:], 3)
    assert store.list_contexts(2, 3) == ([], 3)


@pytest.mark.parametrize("name", ["", "x" * 256, "two\nlines", "\ud800", "nul\0"])
def test_an_impossible_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        store.create_context(name)
    assert code_of(caught) == "InvalidParameter"


def test_a_context_can_be_renamed_but_not_to_a_name_in_use(store: Store) -> None:
    one = store.create_context("one")
    store.create_context("two")
    store.rename_context(one.id, "uno")
    store.rename_context(one.id, "uno")
    with pytest.raises(EngineError) as caught:
        store.rename_context(one.id, "two")
    assert code_of(caught) == "Context.NameExists"
    found = store.get_context(id=one.id)
    assert found is not None
    assert found.name == "uno"


def test_a_deleted_context_and_its_files_are_gone(store: Store) -> None:
    context = store.create_context("a")
    store.commit(context.id, [file(store, "f")], delete_missing=True)
    store.delete_context(context.id)
    assert store.get_context(id=context.id) is None
    again = store.create_context("a")
    assert again.id != context.id
    assert paths(store, again.id) == []


def test_every_method_refuses_an_unknown_id(store: Store) -> None:
    for attempt in (
        lambda: store.rename_context("SdkCtx-x", "y"),
        lambda: store.delete_context("SdkCtx-x"),
        lambda: store.clear_context("SdkCtx-x"),
        lambda: store.touch("SdkCtx-x"),
        lambda: store.list_entries("SdkCtx-x"),
        lambda: store.commit("SdkCtx-x", [], delete_missing=True),
    ):
        with pytest.raises(EngineError) as caught:
            attempt()
        assert code_of(caught) == "Context.NotFound"


# --- entries -------------------------------------------------------------------------------


def test_what_is_committed_comes_back(store: Store) -> None:
    context = store.create_context("a").id
    empty, _ = store.add_blob([])
    entries = [
        directory("d"),
        file(store, "d/caf\u00e9\n", b"x"),
        Entry("d/raw\udcff", "file", 0o400, -5, 0, empty),
        symlink("link", "../\udcfe"),
    ]
    store.commit(context, entries, delete_missing=True)
    assert store.list_entries(context) == sorted(entries, key=lambda entry: entry.path)


def test_missing_files_go_away_only_when_asked(store: Store) -> None:
    context = store.create_context("a").id
    store.commit(context, [file(store, "a"), file(store, "b")], delete_missing=True)
    store.commit(context, [file(store, "a", b"more")], delete_missing=False)
    assert paths(store, context) == ["a", "b"]
    store.commit(context, [file(store, "c")], delete_missing=True, keep=lambda path: path == "b")
    assert paths(store, context) == ["b", "c"]


def test_a_commit_below_a_prefix_leaves_the_rest(store: Store) -> None:
    context = store.create_context("a").id
    names = ["a", "d/1", "d/2/3", "d0", "d-x", "e"]
    store.commit(context, [file(store, name) for name in names], delete_missing=True)
    assert paths(store, context, "d") == ["d/1", "d/2/3"]
    store.commit(context, [file(store, "d/4")], prefix="d", delete_missing=True)
    assert paths(store, context) == ["a", "d-x", "d/4", "d0", "e"]
    store.commit(context, [], prefix="e", delete_missing=True)
    assert paths(store, context) == ["a", "d-x", "d/4", "d0"]
    with pytest.raises(EngineError):
        store.commit(context, [file(store, "f")], prefix="d", delete_missing=False)


@pytest.mark.parametrize("prefix", ["", "x/y/z"])
def test_a_directory_takes_the_place_of_a_file(store: Store, prefix: str) -> None:
    context = store.create_context("a").id
    store.commit(context, [file(store, "x")], delete_missing=False)
    store.commit(context, [file(store, "x/y/z")], prefix=prefix, delete_missing=False)
    assert paths(store, context) == ["x/y/z"]


def test_a_file_takes_the_place_of_a_directory(store: Store) -> None:
    context = store.create_context("a").id
    store.commit(context, [directory("x"), file(store, "x/y/z")], delete_missing=False)
    store.commit(context, [symlink("x", "/tmp")], delete_missing=True, keep=lambda _: True)
    assert paths(store, context) == ["x"]


@pytest.mark.parametrize(
    "names", [["a", "a"], ["a", "a/b"], ["a/b/c", "a"]], ids=["twice", "below", "above"]
)
def test_entries_that_make_no_tree_are_refused(store: Store, names: list[str]) -> None:
    context = store.create_context("a").id
    store.commit(context, [file(store, "kept")], delete_missing=False)
    with pytest.raises(EngineError) as caught:
        store.commit(context, [file(store, name) for name in names], delete_missing=True)
    assert code_of(caught) == "InvalidParameter"
    assert paths(store, context) == ["kept"]


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a\0b", "\ud800", "x" * 256, "a/" * 2500]
)
def test_an_entry_with_an_unsafe_path_cannot_be_made(path: str) -> None:
    with pytest.raises(EngineError) as caught:
        directory(path)
    assert code_of(caught) == "InvalidParameter"


def test_a_commit_without_its_contents_changes_nothing(store: Store) -> None:
    context = store.create_context("a").id
    with pytest.raises(EngineError) as caught:
        store.commit(
            context,
            [file(store, "a"), Entry("b", "file", 0o644, 0, 1, "0" * 64)],
            delete_missing=True,
        )
    assert code_of(caught) == "Context.Corrupt"
    assert paths(store, context) == []


def test_clearing_keeps_the_context(store: Store) -> None:
    context = store.create_context("a")
    store.commit(context.id, [file(store, "a")], delete_missing=True)
    store.clear_context(context.id)
    assert paths(store, context.id) == []


# --- contents ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_content_is_kept_once(store: Store, tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    chunks = [data[start : start + 70_000] for start in range(0, size, 70_000)]
    first, second = store.add_blob(chunks), store.add_blob([data])
    assert first == second == (hashlib.sha256(data).hexdigest(), size)
    with store.open_blob(first[0]) as blob:
        assert blob.read() == data
    files = [path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [first[0]]


def test_an_upload_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(2 << 20)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.add_blob(broken())
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_a_content_that_is_gone_is_an_error(store: Store) -> None:
    for sha in ("0" * 64, "../../etc/passwd"):
        with pytest.raises(EngineError) as caught:
            store.open_blob(sha)
        assert code_of(caught) == "Context.Corrupt"


def test_garbage_goes_and_what_is_in_use_stays(store: Store, tmp_path: Path) -> None:
    context = store.create_context("a").id
    used, garbage = file(store, "used", b"used"), file(store, "garbage", b"garbage")
    young = file(store, "young", b"young")
    store.commit(context, [used], delete_missing=True)
    for entry in (used, garbage):
        assert entry.blob
        make_old(tmp_path / "home", entry.blob)
    assert store.collect_garbage() == 1
    assert content(store, used) == b"used"
    assert content(store, young) == b"young"
    with pytest.raises(EngineError):
        content(store, garbage)


@pytest.mark.parametrize("size", [3, 3 << 20])
def test_a_content_that_an_upload_meets_again_is_not_garbage(
    store: Store, tmp_path: Path, size: int
) -> None:
    context = store.create_context("a").id
    sha, _ = store.add_blob([bytes(size)])
    make_old(tmp_path / "home", sha)
    entry = file(store, "again", bytes(size))
    assert store.collect_garbage() == 0
    store.commit(context, [entry], delete_missing=True)
    assert content(store, entry) == bytes(size)


def test_an_abandoned_upload_is_swept_and_a_running_one_is_not(
    store: Store, tmp_path: Path
) -> None:
    store.add_blob([b"x"])
    incoming = tmp_path / "home" / "blobs" / "incoming"
    for name, age in (("abandoned", 2 * DAY), ("slow", 7200.0)):
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age, time.time() - age))
    store.collect_garbage()
    assert [path.name for path in incoming.iterdir()] == ["slow"]


# --- the database --------------------------------------------------------------------------


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.create_context("a")
    database = sqlite3.connect(tmp_path / "contexts.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with Store(tmp_path) as store, pytest.raises(EngineError, match="upgrade") as caught:
        store.create_context("a")
    assert code_of(caught) == "Context.StoreTooNew"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "contexts.db").write_bytes(b"something else" * 100)
    with Store(tmp_path) as store, pytest.raises(EngineError) as caught:
        store.create_context("a")
    assert code_of(caught) == "Context.StoreUnusable"


def test_threads_share_a_store(store: Store) -> None:
    context = store.create_context("a").id

    def work(number: int) -> None:
        for turn in range(10):
            store.commit(context, [file(store, f"{number}/{turn}")], delete_missing=False)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    assert len(paths(store, context)) == 80


# --- several processes ---------------------------------------------------------------------

SHARED = """
import sys
from pathlib import Path
from agentbay.local._storage.store import Entry, Store
sys.stdin.readline()
with Store(Path(sys.argv[1])) as store:
    context = store.create_context("shared").id
    for turn in range(25):
        sha, size = store.add_blob([b"%d" % turn])
        entry = Entry(f"{sys.argv[2]}/{turn}", "file", 0o644, 0, size, sha)
        store.commit(context, [entry], delete_missing=False)
        store.collect_garbage()
"""

FOREVER = """
import sys
from itertools import count
from pathlib import Path
from agentbay.local._storage.store import Entry, Store
with Store(Path(sys.argv[1])) as store:
    context = store.create_context("a").id
    for turn in count(int(sys.argv[2])):
        entries = []
        for number in range(3):
            size = 2_000_000 if number == turn % 40 else 50
            sha, size = store.add_blob([(b"%d %d " % (turn, number)).ljust(size, b".")])
            entries.append(Entry(f"{number}", "file", 0o644, turn, size, sha))
        store.commit(context, entries, delete_missing=True)
        print(turn, flush=True)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_share_a_directory(tmp_path: Path) -> None:
    processes = [start(SHARED, tmp_path, number) for number in range(3)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=100)
        assert process.returncode == 0
    with Store(tmp_path) as store:
        (context,), total = store.list_contexts(10)
        assert total == 1
        entries = store.list_entries(context.id)
        assert len(entries) == 75
        assert all(content(store, entry).isdigit() for entry in entries)


def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(4)
    turn = 0
    for _ in range(10):
        with start(FOREVER, tmp_path, turn + 1) as process:
            assert process.stdout
            acknowledged = [process.stdout.readline() for _ in range(dice.randint(1, 8))]
            # Not a wait for something: it lets the kill fall anywhere within a commit.
            time.sleep(dice.random() * 0.004)
            process.kill()
            acknowledged += process.stdout.read().splitlines(keepends=True)
        with Store(tmp_path) as store:
            context = store.get_context(name="a")
            assert context is not None
            entries = store.list_entries(context.id)
            turn = entries[0].mtime_ns
            assert turn >= int([line for line in acknowledged if line.endswith("\n")][-1])
            assert [entry.path for entry in entries] == ["0", "1", "2"]
            for entry in entries:
                data = content(store, entry)
                assert entry.mtime_ns == turn
                assert hashlib.sha256(data).hexdigest() == entry.blob
                assert data.startswith(b"%d %s " % (turn, entry.path.encode()))
