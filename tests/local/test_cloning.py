"""Large files go into contexts and out of them without a copy, where file systems can do that."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from agentbay import AsyncSession, ContextSync, CreateSessionParams
from agentbay.local._errors import EngineError
from agentbay.local._storage.store import Store
from agentbay.local._storage.trees import Summary, upload
from agentbay.local.guest import cloning
from agentbay.local.guest.tarstream import END, FILE, Member, encode

from .clients import Place, engine_client
from .sandboxes import open_here

MIB = 1 << 20
WORK = "/home/wuying/work"
# MiB of an image, with room for what is kept free, and the package that makes it.
SIZES = {"xfs": (640, "xfsprogs"), "btrfs": (640, "btrfs-progs")}


@pytest.fixture(scope="module", params=["xfs", "btrfs"])
def sharing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A directory on a file system that shares blocks."""
    kind: str = request.param
    size, package = SIZES[kind]
    if os.geteuid() != 0:
        pytest.skip("only root mounts file systems: run it as root")
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"mkfs.{kind} is missing: install {package}")
    image = tmp_path_factory.mktemp(kind) / "image"
    with image.open("wb") as file:
        file.truncate(size * MIB)
    place = image.with_name("mounted")
    place.mkdir()
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"{kind} cannot be mounted here ({mounted.stderr.strip()}): allow loop devices")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
async def shared(sharing: Path) -> AsyncGenerator[Place, None]:
    home = sharing / os.urandom(4).hex()
    async with engine_client(home) as found:
        yield found
    await to_thread.run_sync(shutil.rmtree, home)


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncGenerator[Place, None]:
    async with engine_client(tmp_path) as found:
        yield found


async def _free(place: Place) -> int:
    """What is left of the disk once everything is written."""
    home = place.engine.options.home
    await anyio.run_process(["sync", "-f", home])
    found = os.statvfs(home)
    return found.f_bavail * found.f_frsize


@contextlib.asynccontextmanager
async def _session(place: Place, context: str) -> AsyncGenerator[AsyncSession, None]:
    params = CreateSessionParams(context_syncs=[ContextSync(context, WORK)])
    async with place.bay.session(params) as session:
        yield session


async def _move(place: Place) -> tuple[int, int]:
    """Take a file of 24 MiB from one session to another, and change it there.

    Returns:
        How many bytes of the disk each way took.
    """
    context = (await place.bay.context.create("moved")).unwrap().id
    async with _session(place, context) as session:
        await session.command.run(f"mkdir -p {WORK}; head -c 24M /dev/urandom > {WORK}/big")
        told = (await session.command.run(f"chmod 640 {WORK}/big; sha256sum < {WORK}/big")).stdout
        before = await _free(place)
        (await session.context.sync(mode="upload")).unwrap()
        taken = before - await _free(place)
    before = await _free(place)
    async with _session(place, context) as session:
        there = await session.command.run(f"sha256sum < {WORK}/big; stat -c %a {WORK}/big")
        assert there.stdout == f"{told}640\n"
        given = before - await _free(place)
        await session.command.run(
            f"echo changed >> {WORK}/big; echo x | dd conv=notrunc of={WORK}/big"
        )
        (entry,) = place.engine.store.list_entries(context)
        assert entry.blob
        assert entry.blob == told.split()[0] == await to_thread.run_sync(_hash, place, entry.blob)
    return taken, given


def _hash(place: Place, blob: str) -> str:
    with place.engine.store.open_blob(blob) as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.slow
async def test_a_file_shares_its_blocks_with_the_context(shared: Place) -> None:
    taken, given = await _move(shared)

    assert taken < 8 * MIB
    assert given < 8 * MIB


async def test_a_file_is_copied_where_blocks_cannot_be_shared(plain: Place) -> None:
    if await to_thread.run_sync(_shares, plain.engine.options.home):
        pytest.skip("blocks are shared here: set TMPDIR to a directory on ext4 or tmpfs")

    await _move(plain)


def _shares(directory: Path) -> bool:
    with Store(directory / "other") as store:
        return store.can_share_with(directory)


def test_a_file_is_copied_whole_where_it_cannot_be_cloned(tmp_path: Path) -> None:
    content = os.urandom(3 * cloning.LARGE + 7)
    (tmp_path / "a").write_bytes(content)
    with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "xb") as target:
        source.read(5)
        assert cloning.copy(target.fileno(), source.fileno()) == len(content)

    assert (tmp_path / "b").read_bytes() == content


# -- a guest that is not trusted -----------------------------------------------------------


def _uploaded(
    store: Store, context: str, guest: Callable[[socket.socket], None], *, beside: bool = False
) -> Summary:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, contextlib.suppress(ConnectionError):
            theirs.sendall(json.dumps({"result": {"exists": True}, "size": None}).encode() + b"\n")
            guest(theirs)
            theirs.sendall(END)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours:
            ours.settimeout(30)
            return upload(ours, store, context, delete_missing=True, beside=beside)
    finally:
        thread.join(30)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "contexts") as opened:
        yield opened


def _beside(
    path: str | Path, size: int, flags: int = os.O_RDONLY
) -> Callable[[socket.socket], None]:
    def guest(connection: socket.socket) -> None:
        file = os.open(path, flags)
        try:
            cloning.send(connection, encode(Member("a", FILE, size=size, beside=file)), file)
        finally:
            os.close(file)

    return guest


def test_a_descriptor_is_kept_as_the_file_that_it_is_of(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    context = store.create_context("a").id

    summary = _uploaded(store, context, _beside(tmp_path / "a", 7), beside=True)

    assert (summary.files, summary.size, summary.failures) == (1, 7, {})
    (entry,) = store.list_entries(context)
    assert entry.blob == hashlib.sha256(b"content").hexdigest()


def test_a_file_that_has_another_size_was_changed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    context = store.create_context("a").id

    summary = _uploaded(store, context, _beside(tmp_path / "a", 8), beside=True)

    assert summary.failures == {"a": "changed while it was read"}
    assert store.list_entries(context) == []


@pytest.mark.parametrize("what", ["/proc/self/status", "/dev/zero", "fifo", "directory"])
def test_a_descriptor_of_anything_else_is_refused(store: Store, tmp_path: Path, what: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    guest = _beside(tmp_path / what, 0, os.O_RDONLY | os.O_NONBLOCK)

    with pytest.raises(EngineError) as caught:
        _uploaded(store, store.create_context("a").id, guest, beside=True)

    assert caught.value.code == "Context.SyncFailed"


def test_a_descriptor_that_nobody_asked_for_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")

    with pytest.raises(EngineError, match="beside"):
        _uploaded(store, store.create_context("a").id, _beside(tmp_path / "a", 7))


def test_a_descriptor_that_is_missing_is_noticed(store: Store) -> None:
    def guest(connection: socket.socket) -> None:
        connection.sendall(encode(Member("a", FILE, size=7, beside=0)))

    with pytest.raises(EngineError, match="beside"):
        _uploaded(store, store.create_context("a").id, guest, beside=True)


def test_descriptors_that_nobody_takes_are_closed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")

    def guest(connection: socket.socket) -> None:
        for _ in range(3):
            with open(tmp_path / "a", "rb") as file:
                member = Member("a", FILE, size=0)
                cloning.send(connection, encode(member), file.fileno())

    with pytest.raises(EngineError, match="twice"):
        _uploaded(store, store.create_context("a").id, guest, beside=True)
    assert str(tmp_path / "a") not in open_here()
