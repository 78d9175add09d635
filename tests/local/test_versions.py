"""Versions, quotas and expiry of contexts: what stays, what gives way, and what is refused."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentbay.errors import ConfigError
from agentbay.local._errors import EngineError
from agentbay.local._storage.database import _FIRST_SCHEMA
from agentbay.local._storage.quota import Quota
from agentbay.local._storage.store import Entry, Store

DAY = 24 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "home") as opened:
        yield opened


def file(store: Store, path: str, content: bytes = b"content") -> Entry:
    sha, size = store.add_blob([content])
    return Entry(path, "file", 0o644, 1, size, sha)


def save(store: Store, context: str, **files: bytes) -> None:
    """Bring a context up to date with what a session has."""
    entries = [file(store, path, content) for path, content in files.items()]
    store.commit(context, entries, delete_missing=True)


def contents(store: Store, context: str, version: int | None = None) -> dict[str, bytes]:
    listed = (
        store.list_entries(context) if version is None else store.list_version(context, version)
    )
    found: dict[str, bytes] = {}
    for entry in listed:
        assert entry.blob
        with store.open_blob(entry.blob) as blob:
            found[entry.path] = blob.read()
    return found


def numbers(store: Store, context: str) -> list[int]:
    return [version.number for version in store.versions(context)]


def age(home: Path, seconds: float) -> None:
    """Let everything in a store be older than it is."""
    with sqlite3.connect(home / "contexts.db") as database:
        for table in ("entries", "past"):
            database.execute(f"UPDATE {table} SET changed = changed - ?", (seconds,))
    database.close()


def make_old(home: Path) -> None:
    then = time.time() - DAY
    for path in (home / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


# --- versions ------------------------------------------------------------------------------


def test_each_change_makes_a_version_and_nothing_else_does(store: Store) -> None:
    context = store.create_context("a").id
    assert store.versions(context) == []
    save(store, context, a=b"1")
    save(store, context, a=b"1")
    save(store, context, a=b"2", b=b"33")
    last, first = store.versions(context)
    assert (first.number, first.files, first.size) == (1, 1, 1)
    assert (last.number, last.files, last.size) == (2, 2, 3)
    assert last.created >= first.created


def test_a_bad_upload_can_be_undone_and_that_can_be_undone_too(store: Store) -> None:
    context = store.create_context("a").id
    good = {"a": b"1", "b": b"2"}
    save(store, context, **good)
    save(store, context, b=b"bad", c=b"worse")
    store.restore(context, 1)
    assert contents(store, context) == good
    assert numbers(store, context) == [3, 2, 1]
    store.restore(context, 2)
    assert contents(store, context) == {"b": b"bad", "c": b"worse"}


def test_every_version_is_what_the_context_was(store: Store) -> None:
    context = store.create_context("a").id
    history = [{"a": b"1"}, {"a": b"1", "b": b"2"}, {"b": b"3"}, {"a": b"1", "b": b"3"}, {}]
    for files in history:
        save(store, context, **files)
    assert numbers(store, context) == [5, 4, 3, 2, 1]
    for number, files in enumerate(history, 1):
        assert contents(store, context, number) == files


def test_ten_older_versions_are_kept_with_their_contents(store: Store, tmp_path: Path) -> None:
    context = store.create_context("a").id
    for turn in range(15):
        save(store, context, a=b"%d" % turn)
    make_old(tmp_path / "home")
    assert store.collect_garbage() == 4
    assert numbers(store, context) == list(range(15, 4, -1))
    assert contents(store, context, 5) == {"a": b"4"}
    for gone in (4, 16, 0):
        with pytest.raises(EngineError) as caught:
            store.restore(context, gone)
        assert caught.value.code == "Context.VersionNotFound"


def test_clearing_and_deleting_forget_versions(store: Store, tmp_path: Path) -> None:
    context = store.create_context("a").id
    save(store, context, a=b"1")
    save(store, context, a=b"2")
    store.clear_context(context)
    assert store.versions(context) == []
    save(store, context, a=b"3")
    assert len(store.versions(context)) == 1
    store.delete_context(context)
    make_old(tmp_path / "home")
    assert store.collect_garbage() == 3


def test_an_internal_context_is_not_listed_and_has_no_past(store: Store) -> None:
    context = store.create_context("kept for a session", internal=True).id
    save(store, context, a=b"1")
    save(store, context, a=b"2")
    assert store.list_contexts(10) == ([], 0)
    assert len(store.versions(context)) == 1


# --- single files --------------------------------------------------------------------------


def put(store: Store, context: str, path: str, content: bytes = b"x") -> None:
    sha, size = store.add_blob([content])
    store.put_file(context, path, sha, size)


def test_a_file_can_be_put_and_deleted_alone(store: Store) -> None:
    context = store.create_context("a").id
    save(store, context, a=b"1")
    put(store, context, "d/b", b"2")
    assert contents(store, context) == {"a": b"1", "d/b": b"2"}
    store.delete_file(context, "a")
    assert contents(store, context) == {"d/b": b"2"}


def test_a_file_takes_no_place_of_a_directory_or_the_other_way(store: Store) -> None:
    context = store.create_context("a").id
    put(store, context, "d/b")
    for path in ("d", "d/b/c"):
        with pytest.raises(EngineError, match="directory"):
            put(store, context, path)
    with pytest.raises(EngineError, match="directory"):
        store.delete_file(context, "d")
    with pytest.raises(EngineError) as caught:
        store.delete_file(context, "none")
    assert caught.value.code == "Context.FileNotFound"
    assert contents(store, context) == {"d/b": b"x"}


def test_a_content_that_is_not_finished_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with store.new_blob() as writer:
        writer.write(b"half")
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


# --- quotas --------------------------------------------------------------------------------


def quota_code(store: Store, context: str, **files: bytes) -> str | None:
    try:
        save(store, context, **files)
    except EngineError as exc:
        return exc.code
    return None


@pytest.mark.parametrize("quota", [Quota(total=100), Quota(context=100)], ids=["total", "context"])
def test_more_than_the_quota_is_refused_and_changes_nothing(tmp_path: Path, quota: Quota) -> None:
    with Store(tmp_path, quota) as store:
        context = store.create_context("a").id
        save(store, context, a=bytes(100))
        assert quota_code(store, context, a=bytes(100), b=b"x") == "Context.QuotaExceeded"
        assert contents(store, context) == {"a": bytes(100)}
        assert quota_code(store, context, b=bytes(99)) is None


def test_old_versions_give_way_the_oldest_first(tmp_path: Path) -> None:
    with Store(tmp_path, Quota(context=100)) as store:
        context = store.create_context("a").id
        for size in (40, 41, 42):
            save(store, context, a=bytes(size))
        assert numbers(store, context) == [3, 2]
        assert contents(store, context, 2) == {"a": bytes(41)}
        save(store, context, a=bytes(100))
        assert numbers(store, context) == [4]


def test_the_total_counts_all_contexts_and_forgets_versions_of_others(tmp_path: Path) -> None:
    with Store(tmp_path, Quota(total=100)) as store:
        one, two = (store.create_context(name).id for name in ("one", "two"))
        save(store, one, a=bytes(60))
        save(store, one, a=bytes(30))
        assert store.room(two) == 70
        assert quota_code(store, two, a=bytes(71)) == "Context.QuotaExceeded"
        assert quota_code(store, two, a=bytes(70)) is None
        assert numbers(store, one) == [2]
        assert store.room(one) == 30


def test_a_store_over_its_quota_can_still_shrink(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        context = store.create_context("a").id
        save(store, context, a=bytes(100), b=bytes(100))
        assert store.room(context) is None
    with Store(tmp_path, Quota(total=50)) as store:
        store.delete_file(context, "b")
        assert list(contents(store, context)) == ["a"]


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_content_past_its_limit_is_refused_while_it_comes(store: Store, size: int) -> None:
    with pytest.raises(EngineError) as caught:
        store.add_blob([bytes(size)], limit=size - 1)
    assert caught.value.code == "Context.QuotaExceeded"
    assert store.add_blob([bytes(size)], limit=size)[1] == size


def test_quotas_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Quota.from_environment() == Quota()
    monkeypatch.setenv("AGENTBAY_LOCAL_QUOTA", "20G")
    monkeypatch.setenv("AGENTBAY_LOCAL_CONTEXT_QUOTA", "512M")
    assert Quota.from_environment() == Quota(20 << 30, 512 << 20)
    monkeypatch.setenv("AGENTBAY_LOCAL_QUOTA", "plenty")
    with pytest.raises(ConfigError, match="AGENTBAY_LOCAL_QUOTA"):
        Quota.from_environment()


# --- expiry --------------------------------------------------------------------------------


def test_files_go_when_their_time_is_over(store: Store, tmp_path: Path) -> None:
    context = store.create_context("a").id
    entries = [file(store, path) for path in ("tmp/a", "tmp-b", "c")]
    store.commit(context, [*entries, Entry("tmp", "directory", 0o755, 1)], delete_missing=True)
    store.recycle(context, {"tmp": DAY})
    age(tmp_path / "home", DAY - 60)
    put(store, context, "tmp/young")
    store.collect_garbage()
    assert list(contents_of_files(store, context)) == ["c", "tmp-b", "tmp/a", "tmp/young"]
    age(tmp_path / "home", 120)
    store.collect_garbage()
    assert contents_of_files(store, context) == ["c", "tmp-b", "tmp/young"]


def contents_of_files(store: Store, context: str) -> list[str]:
    return [entry.path for entry in store.list_entries(context) if entry.kind == "file"]


def test_what_expired_is_in_no_older_version(store: Store, tmp_path: Path) -> None:
    context = store.create_context("a").id
    for content in (b"1", b"2"):
        save(store, context, a=content)
    age(tmp_path / "home", 2 * DAY)
    store.recycle(context, {"": DAY})
    assert contents(store, context) == contents(store, context, 1) == {}


def test_the_last_rules_count(store: Store, tmp_path: Path) -> None:
    context = store.create_context("a").id
    save(store, context, a=b"1")
    store.recycle(context, {"": DAY})
    store.recycle(context)
    store.recycle(context, {})
    age(tmp_path / "home", 2 * DAY)
    store.collect_garbage()
    store.recycle(context)
    assert contents(store, context) == {"a": b"1"}


def test_internal_contexts_of_sessions_that_were_lost_go(store: Store, tmp_path: Path) -> None:
    store.create_context("lost", internal=True)
    young = store.create_context("young", internal=True).id
    old = store.create_context("old").id
    with sqlite3.connect(tmp_path / "home" / "contexts.db") as database:
        database.execute("UPDATE contexts SET last_used = '2020-01-01' WHERE name <> 'young'")
    database.close()
    store.collect_garbage()
    assert store.get_context(name="lost") is None
    assert store.get_context(id=young)
    assert store.get_context(id=old)


# --- older databases -----------------------------------------------------------------------


def test_a_database_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "contexts.db") as database:
        for statement in _FIRST_SCHEMA:
            database.execute(statement)
        database.execute("PRAGMA user_version = 1")
        database.execute("INSERT INTO contexts VALUES (1, 'SdkCtx-1', 'a', '2026', '2026')")
        database.execute(
            "INSERT INTO entries VALUES (1, ?, 'symlink', 511, 1, 0, NULL, ?)", (b"l", b"t")
        )
    database.close()
    with Store(tmp_path) as store:
        store.recycle("SdkCtx-1", {"": DAY})
        assert [entry.path for entry in store.list_entries("SdkCtx-1")] == ["l"]
        save(store, "SdkCtx-1", a=b"1")
        store.restore("SdkCtx-1", 1)
        assert store.list_entries("SdkCtx-1") == [Entry("l", "symlink", 0o777, 1, target="t")]
