"""Archives between sessions and the store, and which paths a transfer is about."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentbay.local._storage import unpacking
from agentbay.local._storage.archives import Archiver, members
from agentbay.local._storage.entries import ARCHIVE, PUT
from agentbay.local._storage.policies import selection
from agentbay.local._storage.store import Entry, Store
from agentbay.local._storage.unpacking import UnsafeArchiveError, folder_for, is_archive, unpacked
from agentbay.local.guest.selection import Selection
from agentbay.local.guest.tarstream import Member
from agentbay.protocol.sync_policy import BWList, SyncPolicy, WhiteList


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "home") as opened:
        yield opened


# --- which paths ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "covered"),
    [("src/a.py", True), ("src", True), ("notes.txt", True), ("src/gen/x", False), ("b", False)],
)
def test_plain_paths_and_patterns_work_together(path: str, covered: bool) -> None:
    chosen = Selection(["src"], include_patterns=[r"\w+\.txt"], exclude_patterns=[".*/gen"])
    assert chosen.covers(path) is covered
    assert Selection(**chosen.arguments()).covers(path) is covered


def test_a_pattern_matches_whole_paths_and_stands_for_what_is_below() -> None:
    chosen = Selection([], include_patterns=["d"])
    assert [p for p in ("d", "d/a/b", "da", "a/d") if chosen.covers(p)] == ["d", "d/a/b"]
    assert chosen.leads_to("a")
    assert not Selection([]).leads_to("a")


def test_a_part_of_a_tree_can_be_asked_for() -> None:
    chosen = Selection(["a", "b"], ["a/x/no"], below="a/x")
    assert [p for p in ("a", "a/x", "a/x/y", "a/x/no", "a/xy", "b") if chosen.covers(p)] == [
        "a/x",
        "a/x/y",
    ]
    assert [p for p in ("a", "b", "a/x", "a/x/y", "a/x/no", "a/z") if chosen.leads_to(p)] == [
        "a",
        "a/x",
        "a/x/y",
    ]


def test_a_list_of_regular_expressions_alone_restricts_all() -> None:
    rules = SyncPolicy(bw_list=BWList([WhiteList(r".*\.md", is_path_regex=True)]))
    chosen = selection(rules)
    assert chosen.covers("a.md")
    assert not chosen.covers("a.py")


# --- archives of sessions' files -----------------------------------------------------------


def packed(store: Store, *names: str, before: tuple[Entry, ...] = ()) -> Entry:
    archiver = Archiver(store, [""], [], None)
    for name in names:
        content = name.encode()
        archiver.add(
            "archive.tar.gz", Member(name, "file", mode=0o644, size=len(content)), [content]
        )
    (entry,) = archiver.finish(before, lambda path: path != "dropped")
    return entry


def names_in(store: Store, entry: Entry) -> list[str]:
    with members(store, entry) as found:
        return [member.name for member in found]


def test_the_same_files_make_the_same_archive(store: Store) -> None:
    assert packed(store, "a", "b") == packed(store, "a", "b")
    assert packed(store, "a").origin == ARCHIVE


def test_what_stays_of_an_archive_is_in_the_next_one(store: Store) -> None:
    before = packed(store, "kept", "dropped", "a", "d/file")
    after = packed(store, "a", "d", before=(before,))
    assert names_in(store, after) == ["a", "d", "kept"]


def test_other_programs_can_read_an_archive(store: Store) -> None:
    entry = packed(store, "d/a", "b")
    assert entry.blob
    with store.open_blob(entry.blob) as blob, tarfile.open(fileobj=blob, mode="r:gz") as archive:
        assert archive.getnames() == ["d/a", "b"]


def test_an_archive_that_is_given_up_leaves_nothing(store: Store, tmp_path: Path) -> None:
    archiver = Archiver(store, [""], [], None)
    archiver.add("archive.tar.gz", Member("a", "file", size=1), [b"x"])
    archiver.close()
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("path", "name"),
    [("src/a", "src.tar.gz"), ("src/x/b", "src/x.tar.gz"), ("src/no/c", None), ("other", None)],
)
def test_a_path_is_in_the_archive_that_is_closest(
    store: Store, path: str, name: str | None
) -> None:
    assert Archiver(store, ["src", "src/x"], ["src/no"], None).name_for(path) == name


# --- archives that somebody put there ------------------------------------------------------


def put(store: Store, path: str, data: bytes) -> Entry:
    sha, size = store.add_blob([data])
    return Entry(path, "file", 0o644, 1, size, sha, origin=PUT)


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "folder", "current"),
    [
        ("a.zip", "a", ""),
        ("d/b.tar.gz", "d/b", "d"),
        ("d/C.TGZ", "d/C", "d"),
        ("x.y.tar", "x.y", ""),
    ],
)
def test_an_archive_has_a_place_of_its_name(path: str, folder: str, current: str) -> None:
    assert folder_for(path, current=False) == folder
    assert folder_for(path, current=True) == current


def test_only_what_was_put_there_is_an_archive(store: Store) -> None:
    entry = put(store, "a.zip", b"")
    assert is_archive(entry)
    assert not is_archive(Entry("a.zip", "file", 0o644, 1, 0, entry.blob))
    assert not is_archive(put(store, "a.txt", b""))


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz"])
def test_a_bomb_ends_at_the_room_that_there_is(store: Store, name: str) -> None:
    content = bytes(8 << 20)
    data = zipped(a=content)
    if name.endswith("gz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            info = tarfile.TarInfo("a")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        data = buffer.getvalue()
    assert len(data) < 100_000
    with pytest.raises(UnsafeArchiveError, match="no room"):
        unpacked(store, put(store, name, data), "x", room=1 << 20)
    found = unpacked(store, put(store, name, data), "x", room=8 << 20)
    assert found is not None
    assert [(entry.path, entry.size) for entry in found] == [("x/a", 8 << 20)]


def test_too_many_entries_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_MOST_ENTRIES", 3)
    data = zipped(a=b"", b=b"", c=b"", d=b"")
    with pytest.raises(UnsafeArchiveError, match="more than 3"):
        unpacked(store, put(store, "a.zip", data), "x", None)


def test_a_header_that_fills_the_memory_is_refused(store: Store) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * (4 << 20)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(UnsafeArchiveError, match="header"):
        unpacked(store, put(store, "a.tgz", buffer.getvalue()), "x", None)


@pytest.mark.parametrize("cut", [0, 10, 60, 100])
@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.tar.xz", "a.tbz2"])
def test_what_is_no_archive_is_left_alone(store: Store, name: str, cut: int) -> None:
    data = zipped(a=b"x" * 100)[:cut]
    assert not unpacked(store, put(store, name, data), "x", None)


def test_modes_times_and_links_of_an_archive_are_kept(store: Store) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, mode in (("d", tarfile.DIRTYPE, 0o500), ("d/run", tarfile.REGTYPE, 0o751)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1000
            archive.addfile(info)
        info = tarfile.TarInfo("d/link")
        info.type, info.linkname = tarfile.SYMTYPE, "../d/run"
        archive.addfile(info)
    found = unpacked(store, put(store, "a.tar", buffer.getvalue()), "", None)
    assert found is not None
    folder, run, link = found
    assert (folder.kind, folder.mode) == ("directory", 0o700)
    assert (run.mode, run.mtime_ns) == (0o751, 1000 * 10**9)
    assert link.target == "../d/run"
