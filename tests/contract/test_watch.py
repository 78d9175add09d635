"""Changes below a directory of a session, as a user of the client hears of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import anyio
import anyio.to_thread
import pytest

from agentbay import AsyncSession, FileError, SessionNotFoundError
from agentbay._async.watch import AsyncFileWatch
from agentbay.protocol.file_system import FileChangeEvent

from .observing import shell

QUICK = 0.05

# Seconds between two questions: what is heard earlier was told.
RARE = 60.0


def _kinds(events: Iterable[FileChangeEvent]) -> set[tuple[str, str]]:
    return {(event.event_type, event.path) for event in events}


async def _until(changes: AsyncFileWatch, kind: str, path: str) -> set[tuple[str, str]]:
    """All that is told until a change is."""
    seen: set[tuple[str, str]] = set()
    with anyio.fail_after(40):
        async for events in changes:
            seen |= _kinds(events)
            if (kind, path) in seen:
                break
    return seen


async def test_a_watch_tells_of_files_that_come_change_and_go(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/w/old.txt", "old")

    async with files.watch("/tmp/w", interval=QUICK) as changes:
        await files.write_file("/tmp/w/deep/a.txt", "a")
        seen = await _until(changes, "create", "/tmp/w/deep/a.txt")
        assert "/tmp/w/old.txt" not in {path for _, path in seen}

        await shell(session, "echo more >> /tmp/w/old.txt")
        await _until(changes, "modify", "/tmp/w/old.txt")

        await files.delete_file("/tmp/w/deep/a.txt")
        await _until(changes, "delete", "/tmp/w/deep/a.txt")


async def test_changes_are_told_long_before_they_would_be_asked_for(session: AsyncSession) -> None:
    await session.file_system.create_directory("/tmp/w")

    async with session.file_system.watch("/tmp/w", interval=RARE) as changes:
        await shell(session, "mkdir -p /tmp/w/a/b && echo x > /tmp/w/a/b/c")
        await _until(changes, "create", "/tmp/w/a/b/c")

        await shell(session, "echo y > /tmp/w/a/b/d")
        await _until(changes, "create", "/tmp/w/a/b/d")


async def test_files_that_get_another_name_go_and_come(session: AsyncSession) -> None:
    await session.file_system.write_file("/tmp/w/a/old", "x")

    async with session.file_system.watch("/tmp/w", interval=RARE) as changes:
        await shell(session, "mv /tmp/w/a/old /tmp/w/new")
        seen = await _until(changes, "create", "/tmp/w/new")
        if ("delete", "/tmp/w/a/old") not in seen:
            await _until(changes, "delete", "/tmp/w/a/old")

        await shell(session, "mv /tmp/w/a /tmp/w/b && echo y > /tmp/w/b/inside")
        await _until(changes, "create", "/tmp/w/b/inside")


async def test_a_directory_that_is_removed_and_made_again_is_watched_on(
    session: AsyncSession,
) -> None:
    await session.file_system.create_directory("/tmp/w")

    async with session.file_system.watch("/tmp/w", interval=RARE) as changes:
        await shell(session, "rmdir /tmp/w")
        await _until(changes, "delete", "/tmp/w")
        await shell(session, "mkdir /tmp/w")
        await _until(changes, "create", "/tmp/w")
        await shell(session, "echo x > /tmp/w/again")
        await _until(changes, "create", "/tmp/w/again")


async def test_several_directories_are_told_apart(session: AsyncSession) -> None:
    files = session.file_system
    await files.create_directory("/tmp/one")
    await files.create_directory("/tmp/other")

    async with (
        files.watch("/tmp/one", interval=RARE) as one,
        files.watch("/tmp/other", interval=RARE) as other,
    ):
        await shell(session, "echo x > /tmp/one/a; echo x > /tmp/other/b")
        assert {path for _, path in await _until(one, "create", "/tmp/one/a")} == {"/tmp/one/a"}
        assert await _until(other, "create", "/tmp/other/b")


async def test_a_name_that_is_no_text_is_told_as_escapes(session: AsyncSession) -> None:
    await session.file_system.create_directory("/tmp/w")

    async with session.file_system.watch("/tmp/w", interval=RARE) as changes:
        await shell(session, "touch \"$(printf '/tmp/w/\\377')\"")
        await _until(changes, "create", "/tmp/w/\\xff")


async def test_a_directory_that_is_missing_cannot_be_watched(session: AsyncSession) -> None:
    with pytest.raises(FileError, match="No such file"):
        async with session.file_system.watch("/tmp/missing"):
            pass


async def test_a_watch_of_a_deleted_session_ends_with_an_error(session: AsyncSession) -> None:
    await session.file_system.create_directory("/tmp/w")

    async with session.file_system.watch("/tmp/w", interval=QUICK) as changes:
        await session.delete()
        with pytest.raises(SessionNotFoundError), anyio.fail_after(40):
            await anext(changes)


async def test_a_thread_tells_a_function(session: AsyncSession) -> None:
    files, heard, found = session.file_system, threading.Event(), set[tuple[str, str]]()
    await files.create_directory("/tmp/w")

    def told(events: list[FileChangeEvent]) -> None:
        found.update(_kinds(events))
        if ("create", "/tmp/w/a.txt") in found:
            heard.set()

    thread = files.watch_directory("/tmp/w", told, QUICK)
    thread.start()
    assert await anyio.to_thread.run_sync(thread.ready_event.wait, 20)
    await files.write_file("/tmp/w/a.txt", "a")
    assert await anyio.to_thread.run_sync(heard.wait, 20)
    thread.stop_event.set()
    await anyio.to_thread.run_sync(thread.join, 20)

    assert not thread.is_alive()
    assert ("create", "/tmp/w/a.txt") in found
