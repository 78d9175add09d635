"""Trees between a session's files and the context store, and what is refused on the way."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentbay.local._errors import EngineError, ToolFailure
from agentbay.local._storage.store import Entry, Store
from agentbay.local._storage.trees import Summary, download, upload
from agentbay.local.guest.selection import Selection
from agentbay.local.guest.tarstream import FAILURE, FILE, Member, encode, padding

from .guest_files import load, not_root

T = TypeVar("T")
Guest = Callable[[socket.socket], None]

trees = load("trees")
failure: type[Exception] = load("failure").Failure


def talk(guest: Guest, engine: Callable[[socket.socket], T]) -> T:
    """Run both sides of an operation. The guest's errors become replies, as in its main module."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # An engine that hangs up is nobody's error.
        with theirs, contextlib.suppress(ConnectionError):
            try:
                guest(theirs)
            except ConnectionError:
                raise
            except (failure, OSError) as exc:
                error = {"number": -32602, "message": str(exc)}
                theirs.sendall(json.dumps({"error": error}).encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours:
            ours.settimeout(30)
            return engine(ours)
    finally:
        thread.join(timeout=30)
        assert not thread.is_alive()


def pack(
    path: Path,
    store: Store,
    context: str,
    *,
    delete_missing: bool = True,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> Summary:
    """Bring the context up to date with the directory."""
    selection = Selection(include, exclude)
    arguments = {"path": str(path), **selection.arguments()}
    return talk(
        lambda theirs: trees.pack(arguments, theirs),
        lambda ours: upload(
            ours,
            store,
            context,
            delete_missing=delete_missing,
            selection=selection,
        ),
    )


def unpack(path: Path, store: Store, context: str) -> Summary:
    """Write the context into the directory."""
    return talk(
        lambda theirs: trees.unpack({"path": str(path)}, theirs),
        lambda ours: download(ours, store, context),
    )


def send(data: bytes, store: Store, context: str, exists: bool = True) -> Summary:
    """Upload a stream that a hostile session made up."""
    line = json.dumps({"result": {"exists": exists}, "size": None}).encode() + b"\n"
    return talk(
        lambda theirs: theirs.sendall(line + data),
        lambda ours: upload(ours, store, context, delete_missing=True),
    )


def snapshot(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Describe a tree as the file system has it."""
    found: dict[bytes, tuple[object, ...]] = {}
    for directory, directories, files in os.walk(os.fsencode(root)):
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                what: object = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    what = file.read()
            else:
                what = None
            relative = os.path.relpath(path, os.fsencode(root))
            mode = 0 if stat.S_ISLNK(status.st_mode) else status.st_mode
            found[relative] = (mode, status.st_mtime_ns, what)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def context(store: Store) -> str:
    return store.create_context("a").id


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory that has one of everything."""
    root = tmp_path / "tree"
    (root / "empty").mkdir(parents=True)
    (root / "d" / "deep").mkdir(parents=True)
    (root / "d" / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (root / "d" / "deep" / "run.sh").chmod(0o750)
    (root / "nothing").touch()
    (root / "link").symlink_to("d/deep")
    (root / "dangling").symlink_to("/nowhere")
    (root / "twin").write_bytes(b"same")
    (root / "d" / "twin").hardlink_to(root / "twin")
    os.utime(root / "nothing", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root / "twin", ns=(1, -1_500_000_001))
    os.utime(root / "empty", ns=(1, 77))
    return root


def paths(store: Store, context: str) -> list[str]:
    return [entry.path for entry in store.list_entries(context)]


# --- there and back ------------------------------------------------------------------------


def test_a_tree_comes_back_as_it_was(
    tree: Path, tmp_path: Path, store: Store, context: str
) -> None:
    (tree / "d").chmod(0o555)
    assert pack(tree, store, context) == Summary(files=4, size=18)
    assert unpack(tmp_path / "far" / "copy", store, context) == Summary(files=4, size=18)
    assert snapshot(tmp_path / "far" / "copy") == snapshot(tree)
    (tree / "d").chmod(0o755)
    (tmp_path / "far" / "copy" / "d").chmod(0o755)


NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6),
    st.sampled_from(["\udcff", "a\nb", " ", "\\", "\u00e9" * 60, "n" * 255, "x\udc80\n=7 y"]),
).filter(lambda name: name not in (".", ".."))
CONTENT = st.tuples(st.sampled_from([0o400, 0o644, 0o755, 0o600]), st.binary(max_size=1500))
NODES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(CONTENT, NAMES.map(lambda target: "../" + target)),
    lambda children: st.dictionaries(NAMES, children, max_size=4),
    max_leaves=12,
)


def build(root: Path, nodes: dict[str, Any]) -> None:
    root.mkdir()
    for name, node in nodes.items():
        path = os.path.join(root, name)
        if isinstance(node, dict):
            build(Path(path), node)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(node, str):
            os.symlink(node, path)
        else:
            mode, data = node
            Path(path).write_bytes(data)
            os.chmod(path, mode)


@settings(max_examples=60, deadline=None)
@given(nodes=st.dictionaries(NAMES, NODES, max_size=5))
def test_any_tree_comes_back_as_it_was(nodes: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as made, Store(Path(made, "home")) as store:
        here, there = Path(made, "here"), Path(made, "there")
        build(here, nodes)
        context = store.create_context("a").id
        assert pack(here, store, context).failures == {}
        unpack(there, store, context)
        assert snapshot(there) == snapshot(here)


def test_other_programs_can_read_the_stream(tree: Path) -> None:
    def receive(ours: socket.socket) -> bytes:
        with ours.makefile("rb") as stream:
            assert json.loads(stream.readline()) == {"result": {"exists": True}, "size": None}
            return stream.read()

    data = talk(lambda theirs: trees.pack({"path": str(tree)}, theirs), receive)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {member.name: member for member in archive}
        assert found["d/deep/run.sh"].mode == 0o750
        assert found["link"].linkname == "d/deep"
        content = archive.extractfile("twin")
        assert content is not None
        assert content.read() == b"same"


def test_a_large_file_passes_in_little_memory(tmp_path: Path, store: Store, context: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    with (here / "large").open("wb") as file:
        for number in range(64):
            file.write(bytes([number]) * (1 << 20))
    tracemalloc.start()
    try:
        pack(here, store, context)
        unpack(there, store, context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    assert subprocess.call(["cmp", here / "large", there / "large"]) == 0


# --- what a sync covers --------------------------------------------------------------------


def test_files_that_are_gone_leave_the_context_when_asked(
    tree: Path, store: Store, context: str
) -> None:
    pack(tree, store, context)
    (tree / "nothing").unlink()
    pack(tree, store, context, delete_missing=False)
    assert "nothing" in paths(store, context)
    pack(tree, store, context)
    assert "nothing" not in paths(store, context)


def test_a_sync_moves_what_is_listed_and_leaves_the_rest(
    tree: Path, store: Store, context: str
) -> None:
    content = Entry("elsewhere", "file", 0o644, 0, 1, store.add_blob([b"x"])[0])
    store.commit(context, [content], delete_missing=True)
    pack(tree, store, context, include=["/d/deep", "twin"], exclude=["d/deep/run.sh"])
    assert paths(store, context) == ["d/deep", "elsewhere", "twin"]
    pack(tree, store, context, include=[])
    assert paths(store, context) == ["d/deep", "elsewhere", "twin"]
    pack(tree, store, context, exclude=["d", "twin"])
    assert paths(store, context) == ["d/deep", "dangling", "empty", "link", "nothing", "twin"]


def test_a_tree_that_does_not_exist_changes_nothing(tree: Path, store: Store, context: str) -> None:
    pack(tree, store, context)
    before = store.list_entries(context)
    assert pack(tree / "missing", store, context) == Summary(exists=False)
    assert store.list_entries(context) == before


def test_a_file_is_no_tree(tree: Path, store: Store, context: str) -> None:
    with pytest.raises(ToolFailure, match="Not a directory"):
        pack(tree / "twin", store, context)
    with pytest.raises(ToolFailure, match="Not a directory"):
        unpack(tree / "twin", store, context)


def test_sockets_and_pipes_are_left_out(tree: Path, store: Store, context: str) -> None:
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "socket"))
        pack(tree, store, context)
    assert {"pipe", "socket"}.isdisjoint(paths(store, context))


# --- what cannot be read -------------------------------------------------------------------


@not_root
def test_what_cannot_be_read_is_told_and_stays_as_it_was(
    tree: Path, store: Store, context: str
) -> None:
    pack(tree, store, context)
    before = store.list_entries(context)
    (tree / "twin").chmod(0)
    (tree / "d" / "deep").chmod(0)
    summary = pack(tree, store, context)
    (tree / "d" / "deep").chmod(0o755)
    assert summary.failures == dict.fromkeys(("twin", "d/twin", "d/deep"), "Permission denied")
    assert store.list_entries(context) == before


def test_a_path_too_long_to_read_is_told(tmp_path: Path, store: Store, context: str) -> None:
    (tmp_path / "tree").mkdir()
    script = "import os\nfor _ in range(20): os.mkdir('n' * 250); os.chdir('n' * 250)"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "tree", check=True, timeout=30)
    summary = pack(tmp_path / "tree", store, context)
    assert list(summary.failures.values()) == ["File name too long"]


@pytest.mark.parametrize("change", ["grow", "shrink"])
def test_a_file_that_changes_while_it_is_read_is_told(
    tmp_path: Path, store: Store, context: str, change: str
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for name in ("a", "b", "c"):
        (root / name).write_bytes(name.encode() * 4_000_000)
    started = threading.Event()
    changed = threading.Event()

    def watching(ours: socket.socket) -> Summary:
        # More than the socket holds is still to be sent, so the guest is in the middle of "a".
        ours.recv(1, socket.MSG_PEEK)
        started.set()
        assert changed.wait(timeout=30)
        return upload(ours, store, context, delete_missing=True)

    def meddle() -> None:
        assert started.wait(timeout=30)
        if change == "grow":
            with (root / "a").open("ab") as file:
                file.write(b"more")
        else:
            os.truncate(root / "a", 2_500_000)
        changed.set()

    meddler = threading.Thread(target=meddle)
    meddler.start()
    summary = talk(lambda theirs: trees.pack({"path": str(root)}, theirs), watching)
    meddler.join(timeout=30)
    assert summary.failures == {"a": "changed while it was read"}
    assert paths(store, context) == ["b", "c"]
    assert unpack(tmp_path / "copy", store, context).files == 2
    assert (tmp_path / "copy" / "c").read_bytes() == b"c" * 4_000_000


# --- what is there already -----------------------------------------------------------------


def test_existing_files_are_replaced_and_others_stay(
    tree: Path, tmp_path: Path, store: Store, context: str
) -> None:
    pack(tree, store, context)
    copy = tmp_path / "copy"
    (copy / "nothing").mkdir(parents=True)
    (copy / "other").write_text("mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (copy / "d").symlink_to(outside)
    (tmp_path / "victim").write_text("untouched")
    (copy / "twin").symlink_to(tmp_path / "victim")
    (copy / "link").write_text("was a file")
    unpack(copy, store, context)
    assert (copy / "other").read_text() == "mine"
    assert (tmp_path / "victim").read_text() == "untouched"
    assert list(outside.iterdir()) == []
    (copy / "other").unlink()
    assert snapshot(copy) == snapshot(tree)


def test_a_directory_that_holds_something_is_not_replaced_by_a_file(
    tree: Path, tmp_path: Path, store: Store, context: str
) -> None:
    pack(tree, store, context)
    (tmp_path / "copy" / "twin" / "precious").mkdir(parents=True)
    with pytest.raises(ToolFailure, match="not empty"):
        unpack(tmp_path / "copy", store, context)
    assert (tmp_path / "copy" / "twin" / "precious").is_dir()
    assert not list((tmp_path / "copy").glob(".agentbay-*"))


def test_a_context_that_lost_a_content_is_told_to_both_sides(
    tree: Path, tmp_path: Path, store: Store, context: str
) -> None:
    pack(tree, store, context)
    blob = next(entry.blob for entry in store.list_entries(context) if entry.path == "twin")
    assert blob
    (tmp_path / "home" / "blobs" / blob[:2] / blob).write_bytes(b"cut")
    with pytest.raises(EngineError, match="cut short") as caught:
        unpack(tmp_path / "copy", store, context)
    assert caught.value.code == "Context.Corrupt"
    assert not (tmp_path / "copy" / "d" / "twin").exists()
    assert not list((tmp_path / "copy").rglob(".agentbay-*"))


# --- hostile streams -----------------------------------------------------------------------


def archive(*members: tuple[str, bytes, dict[str, Any]], format: int = tarfile.PAX_FORMAT) -> bytes:
    """Make a tar of (name, type, further fields) the way other programs do."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as made:
        for name, kind, fields in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            for field, value in fields.items():
                setattr(info, field, value)
            made.addfile(info, io.BytesIO(bytes(info.size)) if info.isreg() else None)
    return out.getvalue()


FINE = ("fine", tarfile.REGTYPE, {"size": 3})


def single(size: int, **more: Any) -> bytes:
    """Announce a file and send nothing of it."""
    return tarfile.TarInfo.tobuf(_info("huge", size, **more), tarfile.GNU_FORMAT)


def _info(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


def pax(records: bytes) -> bytes:
    header = _info("x", len(records), tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    return header + records + padding(len(records)) + archive(FINE)


HOSTILE = {
    "absolute": archive(("/etc/passwd", tarfile.REGTYPE, {})),
    "parent": archive(("a/../../b", tarfile.REGTYPE, {})),
    "dot": archive(("./a", tarfile.REGTYPE, {})),
    "empty name": archive(("", tarfile.REGTYPE, {})),
    "device": archive(("null", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3})),
    "block device": archive(("sda", tarfile.BLKTYPE, {"devmajor": 8})),
    "fifo": archive(("pipe", tarfile.FIFOTYPE, {})),
    "hard link": archive(FINE, ("hard", tarfile.LNKTYPE, {"linkname": "/etc/shadow"})),
    "sparse": archive(("s", tarfile.GNUTYPE_SPARSE, {}), format=tarfile.GNU_FORMAT),
    "duplicate": archive(FINE, FINE),
    "file as parent": archive(FINE, ("fine/below", tarfile.REGTYPE, {})),
    "link as parent": archive(
        ("l", tarfile.SYMTYPE, {"linkname": "/etc"}), ("l/passwd", tarfile.REGTYPE, {})
    ),
    "link to nothing": archive(("l", tarfile.SYMTYPE, {})),
    "long name": archive(("n" * 256, tarfile.REGTYPE, {})),
    "long path": archive(("d/" * 2500 + "f", tarfile.REGTYPE, {})),
    "negative size": single(-1),
    "huge size": single(2**62),
    "larger than it is": single(10**6) + bytes(512),
    "directory with content": single(512, kind=tarfile.DIRTYPE) + bytes(512),
    "huge extension": _info("x", 2**33, tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT) + bytes(4096),
    "large extension": pax(b"70000 comment=" + b"x" * 69985 + b"\n"),
    "endless record": pax(b"99999 path=a\n"),
    "empty record": pax(b"0 path=a\n"),
    "record without a length": pax(b"path=a\n"),
    "negative pax size": pax(b"11 size=-5\n"),
    "huge pax size": pax(b"28 size=9999999999999999999\n"),
    "pax size that is no number": pax(b"12 size=1e3\n"),
    "time that is no number": pax(b"13 mtime=inf\n"),
    "huge time": pax(b"23 mtime=99999999999.5\n"),
    "nul in a name": pax(b"12 path=a\0b\n"),
    "extension at the end": pax(b"10 path=a\n")[:1024] + bytes(1024),
    "cut before the end": archive(FINE)[:1024],
    "cut in a header": archive(FINE)[:700],
    "wrong checksum": archive(FINE).replace(b"fine", b"fone"),
    "noise": bytes(range(256)) * 40,
    "nothing": b"",
    "something after the end": archive(FINE)[:1024] + bytes(512) + b"x" * 512,
    "foreign global header": _info("g", 0, tarfile.XGLTYPE).tobuf(tarfile.USTAR_FORMAT),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_stream_changes_nothing(
    name: str, tree: Path, tmp_path: Path, store: Store, context: str
) -> None:
    pack(tree, store, context)
    before = store.list_entries(context)
    with pytest.raises(EngineError) as caught:
        send(HOSTILE[name], store, context)
    assert caught.value.code in ("Context.SyncFailed", "InvalidParameter")
    assert store.list_entries(context) == before
    assert list((tmp_path / "home" / "blobs" / "incoming").iterdir()) == []


def test_a_proper_stream_of_another_program_is_taken(store: Store, context: str) -> None:
    long = "d/" * 60 + "file"
    plain = archive(FINE, ("d", tarfile.DIRTYPE, {"mtime": 9}), (long, tarfile.REGTYPE, {}))
    send(plain, store, context)
    assert paths(store, context) == ["d", long, "fine"]
    ustar = archive(("e/" * 60 + "file", tarfile.REGTYPE, {}), format=tarfile.USTAR_FORMAT)
    send(ustar, store, context)
    assert paths(store, context) == ["e/" * 60 + "file"]


def test_a_member_that_was_not_asked_for_is_refused(store: Store, context: str) -> None:
    line = b'{"result": {"exists": true}}\n'
    with pytest.raises(EngineError, match="not asked for"):
        talk(
            lambda theirs: theirs.sendall(line + archive(FINE)),
            lambda ours: upload(
                ours, store, context, delete_missing=True, selection=Selection(["other"])
            ),
        )


@pytest.mark.parametrize("line", [b"", b"{}\n", b"[1]\n", b"no json\n", b'{"result": 1}\n', b"{"])
def test_a_reply_that_makes_no_sense_is_refused(line: bytes, store: Store, context: str) -> None:
    works: list[Callable[[socket.socket], Summary]] = [
        lambda ours: upload(ours, store, context, delete_missing=True),
        lambda ours: download(ours, store, context),
    ]
    for work in works:
        with pytest.raises(EngineError) as caught:
            talk(lambda theirs: theirs.sendall(line), work)
        assert caught.value.code == "Context.SyncFailed"


def test_a_failure_of_everything_keeps_everything(tree: Path, store: Store, context: str) -> None:
    pack(tree, store, context)
    before = store.list_entries(context)
    data = encode(Member("", FAILURE, target="gone wrong")) + bytes(1024)
    assert send(data, store, context).failures == {"": "gone wrong"}
    assert store.list_entries(context) == before


def test_a_size_past_eight_gigabytes_is_announced_right() -> None:
    info = tarfile.TarFile.open(
        fileobj=io.BytesIO(encode(Member("big", FILE, size=9 << 30))), mode="r|"
    ).next()
    assert info is not None
    assert info.size == 9 << 30
