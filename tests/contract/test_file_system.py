"""Files of a session, as a user of the client sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from agentbay import ApiResponse, AsyncSession, FileError, InvalidInputError, ToolError
from agentbay.protocol.file_system import BYTES_CHUNK, TEXT_CHUNK

from ..local.sandboxes import names_in, until
from .observing import CountingTransport, shell

# One character of 1, 2, 3 and 4 bytes: a part of a file may end inside of any of them.
MIXED = "aé€📏"

# Larger than one message, so that the write takes several.
LARGE = MIXED * 20_000


def _failed(result: ApiResponse, *texts: str) -> None:
    """Check that a call failed in the session, and that the message has the texts."""
    assert not result.success
    assert isinstance(result.error, FileError)
    assert isinstance(result.error, ToolError)
    assert result.request_id
    for text in texts:
        assert text in result.error_message


async def _names(session: AsyncSession, path: str) -> list[str]:
    entries = (await session.file_system.list_directory(path)).unwrap()
    return sorted(entry.name for entry in entries)


# -- write and read --------------------------------------------------------------------


async def test_what_is_written_can_be_read(session: AsyncSession) -> None:
    files = session.file_system

    written = await files.write_file("/tmp/new/deep/a.txt", "hello\n")

    assert written.success
    assert written.data is True
    assert written.request_id
    result = await files.read_file("/tmp/new/deep/a.txt")
    assert result.success
    assert result.content == result.unwrap() == "hello\n"
    assert await shell(session, "cat /tmp/new/deep/a.txt") == "hello\n"


async def test_a_relative_path_begins_at_the_home_directory(session: AsyncSession) -> None:
    await session.file_system.write_file("notes/a.txt", "x")

    assert await shell(session, "cat ~/notes/a.txt") == "x"
    assert (await session.file_system.read_file("/home/wuying/notes/a.txt")).content == "x"


@pytest.mark.parametrize(
    "name", ["with space", "[b] *?", "žluť 📏", "'quo\"te", "-n", "$HOME", "a\\b"]
)
@pytest.mark.parametrize("size", [3, 3 * TEXT_CHUNK])
async def test_any_name_is_a_name(session: AsyncSession, name: str, size: int) -> None:
    path = f"/tmp/names/{name}"
    files = session.file_system

    assert (await files.write_file(path, "x" * size)).success
    assert (await files.read_file(path)).content == "x" * size
    assert await _names(session, "/tmp/names") == [name]
    assert (await files.get_file_info(path)).size == size
    assert (await files.delete_file(path)).success
    assert await _names(session, "/tmp/names") == []


SIZES = [0, 1, TEXT_CHUNK - 1, TEXT_CHUNK, TEXT_CHUNK + 1, 2 * TEXT_CHUNK]


@pytest.mark.parametrize("mode", ["overwrite", "append"])
@pytest.mark.parametrize("size", SIZES)
async def test_text_of_any_size_is_kept(session: AsyncSession, size: int, mode: str) -> None:
    text = (MIXED * (size // len(MIXED) + 1))[:size]
    files = session.file_system
    await files.write_file("/tmp/dir/a.txt", "before")

    assert (await files.write_file("/tmp/dir/a.txt", text, mode)).success

    expected = text if mode == "overwrite" else "before" + text
    assert (await files.read_file("/tmp/dir/a.txt")).content == expected
    assert await _names(session, "/tmp/dir") == ["a.txt"]


@pytest.mark.parametrize("mode", ["overwrite", "append"])
@pytest.mark.parametrize(
    "size", [1, BYTES_CHUNK - 1, BYTES_CHUNK, BYTES_CHUNK + 1, 2 * BYTES_CHUNK]
)
async def test_bytes_of_any_size_are_kept(session: AsyncSession, size: int, mode: str) -> None:
    data = (b"\xff\x00\r\n" * (size // 4 + 1))[:size]
    files = session.file_system
    await files.write_file("/tmp/dir/a.bin", b"\xfe")

    assert (await files.write_file("/tmp/dir/a.bin", data, mode)).success

    result = await files.read_file("/tmp/dir/a.bin", format="bytes")
    assert result.content == (data if mode == "overwrite" else b"\xfe" + data)
    assert result.size == len(result.content)
    assert await _names(session, "/tmp/dir") == ["a.bin"]


async def test_five_megabytes_of_text_are_kept(session: AsyncSession) -> None:
    # The step of 10 bytes meets the border of a part at every place of a character.
    text = "x" + MIXED * 500_000
    files = session.file_system

    assert (await files.write_file("/tmp/a.txt", text)).success
    assert (await files.read_file("/tmp/a.txt")).unwrap() == text
    assert await shell(session, "wc -c < /tmp/a.txt") == f"{len(text.encode())}\n"


async def test_three_megabytes_of_bytes_are_kept(session: AsyncSession) -> None:
    data = bytes(range(256)) * (3 * 4096)
    files = session.file_system

    assert (await files.write_file("/tmp/a.bin", data)).success
    assert (await files.read_file("/tmp/a.bin", format="bytes")).unwrap() == data
    assert await shell(session, "wc -c < /tmp/a.bin") == f"{len(data)}\n"


async def test_bytes_that_are_text_are_written_as_they_are(session: AsyncSession) -> None:
    await session.file_system.write_file("/tmp/a.txt", "é\r\n\0".encode())

    result = await session.file_system.read_file("/tmp/a.txt", format="bytes")
    assert result.content == "é\r\n\0".encode()


async def test_lines_are_not_changed(session: AsyncSession) -> None:
    text = "\r\n a\r b\n\n\ufeffc\u2028d\x0c"
    await session.file_system.write_file("/tmp/a.txt", text)

    assert (await session.file_system.read_file("/tmp/a.txt")).content == text


async def test_a_file_of_the_kernel_is_read_whole(session: AsyncSession) -> None:
    content = (await session.file_system.read_file("/proc/self/status")).unwrap()

    assert content.startswith("Name:")


@pytest.mark.parametrize("length", [1, 3 * TEXT_CHUNK])
async def test_text_that_no_file_can_hold_is_refused(session: AsyncSession, length: int) -> None:
    result = await session.file_system.write_file("/tmp/dir/a.txt", "\ud800" * length)

    assert isinstance(result.error, InvalidInputError)
    assert "bytes" in result.error_message
    assert not (await session.file_system.get_file_info("/tmp/dir")).success


@pytest.mark.parametrize("content", [5, None, ["a"]], ids=repr)
async def test_content_that_is_neither_text_nor_bytes_is_refused(
    session: AsyncSession, content: Any
) -> None:
    result = await session.file_system.write_file("/tmp/a.txt", content)

    assert isinstance(result.error, InvalidInputError)


async def test_an_unknown_mode_is_refused_and_leaves_the_file(session: AsyncSession) -> None:
    await session.file_system.write_file("/tmp/a.txt", "old")

    result = await session.file_system.write_file("/tmp/a.txt", "new", "prepend")

    assert isinstance(result.error, InvalidInputError)
    assert "prepend" in result.error_message
    assert (await session.file_system.read_file("/tmp/a.txt")).content == "old"


async def test_an_unknown_format_is_refused(session: AsyncSession) -> None:
    wrong: Any = "xml"

    result = cast("ApiResponse", await session.file_system.read_file("/etc/passwd", format=wrong))

    assert isinstance(result.error, InvalidInputError)


@pytest.mark.parametrize("path", ["", "a\0b"], ids=repr)
async def test_a_path_that_can_name_nothing_is_refused(session: AsyncSession, path: str) -> None:
    files = session.file_system
    for result in (
        await files.read_file(path),
        await files.write_file(path, "x"),
        await files.write_file(path, LARGE),
        await files.delete_file(path),
    ):
        assert isinstance(result.error, InvalidInputError)


# -- what cannot be read or written ----------------------------------------------------


async def test_a_missing_file_cannot_be_used(session: AsyncSession) -> None:
    files = session.file_system
    path = "/tmp/missing.txt"

    _failed(await files.read_file(path), path, "No such file")
    _failed(await files.read_file(path, format="bytes"), path, "No such file")
    _failed(await files.get_file_info(path), path, "No such file")
    _failed(await files.list_directory(path), path, "No such file")
    _failed(await files.delete_file(path), path, "No such file")
    _failed(await files.move_file(path, "/tmp/b"), path, "No such file")
    _failed(await files.edit_file(path, [{"oldText": "a", "newText": "b"}]), path, "No such file")
    _failed(await files.search_files(path, "a"), path, "No such file")
    _failed(await files.get_file_change(path), path, "No such file")
    assert await _names(session, "/tmp") == []


async def test_a_failure_has_no_content(session: AsyncSession) -> None:
    result = await session.file_system.read_file("/tmp/missing.txt")

    assert result.content == ""
    with pytest.raises(FileError, match=r"missing\.txt"):
        result.unwrap()


async def test_a_directory_is_no_file(session: AsyncSession) -> None:
    files = session.file_system
    await files.create_directory("/tmp/dir")

    _failed(await files.read_file("/tmp/dir"), "/tmp/dir", "directory")
    _failed(await files.read_file("/tmp/dir", format="bytes"), "directory")
    _failed(await files.write_file("/tmp/dir", "x"), "directory")
    _failed(await files.write_file("/tmp/dir", "x", "append"), "directory")
    _failed(await files.write_file("/tmp/dir", LARGE), "directory")
    _failed(await files.write_file("/tmp/dir", LARGE, "append"), "directory")
    _failed(await files.delete_file("/tmp/dir"), "directory")
    _failed(await files.edit_file("/tmp/dir", [{"oldText": "a", "newText": ""}]), "directory")
    assert await shell(session, "find /tmp -mindepth 1") == "/tmp/dir\n"


async def test_a_file_is_no_directory(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/a", "x")

    _failed(await files.list_directory("/tmp/a"), "Not a directory")
    _failed(await files.create_directory("/tmp/a"), "/tmp/a")
    _failed(await files.write_file("/tmp/a/b", "x"), "/tmp/a")
    _failed(await files.write_file("/tmp/a/b", LARGE), "/tmp/a")
    assert (await files.read_file("/tmp/a")).content == "x"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_texts_of_adjacent_ranges_can_be_joined(session: AsyncSession, size: int) -> None:
    # Other clients read text in ranges of bytes, which cut characters.
    text = "aæ€𝄞" * 3
    (await session.file_system.write_file("/tmp/characters", text)).unwrap()
    parts: list[str] = []
    for offset in range(0, len(text.encode()), size):
        arguments = {"path": "/tmp/characters", "offset": offset, "length": size}
        parts.append((await session.call_mcp_tool("read_file", arguments)).unwrap())
    assert "".join(parts) == text


async def test_a_binary_file_is_not_read_as_text(session: AsyncSession) -> None:
    await session.file_system.write_file("/tmp/a.bin", b"abc\xff")

    _failed(await session.file_system.read_file("/tmp/a.bin"), "byte 3 of 4", "format='bytes'")


@pytest.mark.parametrize("content", ["x", LARGE, b"\xff"], ids=["text", "large", "bytes"])
@pytest.mark.parametrize("mode", ["overwrite", "append"])
async def test_a_read_only_place_cannot_be_written(
    session: AsyncSession, content: str | bytes, mode: str
) -> None:
    result = await session.file_system.write_file("/usr/written-by-a-test", content, mode)

    _failed(result, "/usr/written-by-a-test", "Read-only")
    assert "written-by-a-test" not in names_in(Path("/usr"))


async def test_a_fifo_does_not_block(session: AsyncSession) -> None:
    await shell(session, "mkfifo /tmp/pipe")

    with anyio.fail_after(40):
        _failed(await session.file_system.read_file("/tmp/pipe"), "FIFO")
        _failed(await session.file_system.write_file("/tmp/pipe", "x"), "FIFO")


# -- the session's files, never the host's ---------------------------------------------

WAYS_OUT = [
    "../../../../../..{path}",
    "/proc/1/root{path}",
    "/proc/self/root{path}",
    "/proc/self/cwd/../../../../../..{path}",
    "/tmp/link{path}",
    "/tmp/../../../..{path}",
]


@pytest.mark.parametrize("way", WAYS_OUT)
async def test_no_path_leads_to_a_file_of_the_host(
    session: AsyncSession, tmp_path: Path, way: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("of the host")
    await shell(session, "ln -s / /tmp/link; ln -s /proc/1/root /tmp/other")
    files = session.file_system
    path = way.format(path=secret)

    assert not (await files.read_file(path)).success
    assert not (await files.get_file_info(path)).success
    assert "of the host" not in (await session.command.run(f"cat {path}")).output
    await files.write_file(path, "of the session")
    await files.write_file(path, LARGE)
    await files.delete_file(path)
    assert secret.read_text() == "of the host"
    assert names_in(tmp_path) == ["secret.txt"]


@pytest.mark.parametrize("way", WAYS_OUT)
async def test_system_files_are_those_of_the_session(session: AsyncSession, way: str) -> None:
    await shell(session, "ln -s / /tmp/link")

    for path in ("/etc/shadow", "/etc/passwd", "/etc/hostname"):
        result = await session.file_system.read_file(way.format(path=path))
        own = await session.file_system.read_file(path)
        assert result.content in ("", own.content)
        assert not own.success or own.content != _host_text(path)


def _host_text(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None


async def test_a_link_to_a_host_path_is_resolved_in_the_session(
    session: AsyncSession, tmp_path: Path
) -> None:
    target = tmp_path / "target.txt"
    await shell(session, f"mkdir -p {tmp_path}; ln -s {target} /tmp/link.txt")
    files = session.file_system

    assert (await files.write_file("/tmp/link.txt", "x")).success
    assert (await files.read_file(str(target))).content == "x"
    assert (await files.write_file("/tmp/link.txt", LARGE)).success
    assert (await files.read_file(str(target))).content == LARGE
    assert names_in(tmp_path) == []


# -- replacing -------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["new", LARGE, b"\xff"], ids=["text", "large", "bytes"])
async def test_overwriting_keeps_mode_and_link(session: AsyncSession, content: str | bytes) -> None:
    await shell(session, "cd /tmp; echo old > a; chmod 750 a; ln -s a link")

    assert (await session.file_system.write_file("/tmp/link", content)).success

    facts = await shell(session, "cd /tmp; stat -c %a a; readlink link; ls")
    assert facts.split() == ["750", "a", "a", "link"]
    data = content if isinstance(content, bytes) else content.encode()
    assert (await session.file_system.read_file("/tmp/a", format="bytes")).content == data


async def test_a_cancelled_overwrite_leaves_a_whole_file(
    counted: AsyncSession, transport: CountingTransport
) -> None:
    files, large = counted.file_system, MIXED * 2_000_000
    await files.write_file("/tmp/dir/a.txt", "old")
    transport.actions.clear()

    async def begun() -> bool:
        return bool(transport.actions)

    async def alone() -> bool:
        return await shell(counted, "ls -A /tmp/dir") == "a.txt\n"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(files.write_file, "/tmp/dir/a.txt", large)
        await until(begun)
        tasks.cancel_scope.cancel()

    await until(alone)
    # Where one message holds it all, it may have arrived as a whole before.
    assert (await files.read_file("/tmp/dir/a.txt")).content in {"old", large}


@pytest.mark.parametrize("content", ["new", LARGE], ids=["text", "large"])
async def test_a_file_that_may_not_be_written_is_not_replaced(
    session: AsyncSession, content: str
) -> None:
    await shell(session, "cd /tmp; printf old > a; chmod 444 a")

    _failed(await session.file_system.write_file("/tmp/a", content), "/tmp/a", "Permission denied")
    assert await shell(session, "cat /tmp/a; ls -A /tmp") == "olda\n"


@pytest.mark.parametrize("content", ["new", LARGE], ids=["text", "large"])
async def test_a_link_that_leads_nowhere_is_explained(session: AsyncSession, content: str) -> None:
    await shell(session, "ln -s loop /tmp/loop")

    result = await session.file_system.write_file("/tmp/loop", content)

    _failed(result, "/tmp/loop", "Too many levels of symbolic links")
    assert await _names(session, "/tmp") == ["loop"]


# -- directories, facts, deleting, moving ----------------------------------------------


async def test_a_directory_is_created_with_its_parents(session: AsyncSession) -> None:
    files = session.file_system

    assert (await files.create_directory("/tmp/a/b/c")).success
    assert (await files.create_directory("/tmp/a/b/c")).success
    assert (await files.get_file_info("/tmp/a/b/c")).is_directory


async def test_a_directory_is_listed_with_kinds(session: AsyncSession) -> None:
    await shell(session, "mkdir -p '/tmp/d/sub dir' && touch '/tmp/d/[FILE] x' /tmp/d/.hidden")

    entries = (await session.file_system.list_directory("/tmp/d")).unwrap()

    assert {entry.name: entry.is_directory for entry in entries} == {
        "sub dir": True,
        "[FILE] x": False,
        ".hidden": False,
    }
    assert all(entry.is_file is not entry.is_directory for entry in entries)
    assert entries[0]["name"] == entries[0].name


async def test_a_name_of_two_lines_is_one_entry(session: AsyncSession) -> None:
    path = "/tmp/d/a\nb"
    await session.file_system.write_file(path, "x")

    assert await _names(session, "/tmp/d") == [r"a\nb"]
    assert (await session.file_system.search_files("/tmp/d", "a")).matches == [r"/tmp/d/a\nb"]
    assert (await session.file_system.get_file_info(path)).unwrap().path == r"/tmp/d/a\nb"


async def test_an_empty_directory_has_no_entries(session: AsyncSession) -> None:
    await session.file_system.create_directory("/tmp/empty")

    result = await session.file_system.list_directory("/tmp/empty")
    assert result.success
    assert result.entries == []


async def test_facts_about_a_file_are_told(session: AsyncSession) -> None:
    await shell(session, "printf 12345 > /tmp/123; chmod 640 /tmp/123")

    result = await session.file_system.get_file_info("/tmp/123")

    assert result.success
    assert result.is_file
    assert not result.is_directory
    assert result.size == 5
    assert result.permissions == "rw-r-----"
    facts = result.unwrap()
    assert (facts.name, facts.path, facts["size"]) == ("123", "/tmp/123", 5)
    assert str(facts["modified"]).startswith("20")


async def test_a_deleted_file_is_gone(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/a.txt", "x")
    await shell(session, "ln -s a.txt /tmp/link")

    assert (await files.delete_file("/tmp/link")).success
    assert (await files.read_file("/tmp/a.txt")).success
    assert (await files.delete_file("/tmp/a.txt")).success
    _failed(await files.read_file("/tmp/a.txt"), "No such file")


async def test_files_and_directories_are_moved(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/old/a.txt", "x")

    assert (await files.move_file("/tmp/old/a.txt", "/tmp/old/b.txt")).success
    assert (await files.move_file("/tmp/old", "/home/wuying/new")).success

    assert (await files.read_file("/home/wuying/new/b.txt")).content == "x"
    assert not (await files.get_file_info("/tmp/old")).success


async def test_moving_does_not_replace_anything(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/a", "a")
    await files.write_file("/tmp/b", "b")
    await files.create_directory("/tmp/dir")

    _failed(await files.move_file("/tmp/a", "/tmp/b"), "exists")
    _failed(await files.move_file("/tmp/a", "/tmp/dir"), "exists")
    _failed(await files.move_file("/tmp/a", "/tmp/none/a"), "No such file")
    assert (await files.read_file("/tmp/a")).content == "a"
    assert (await files.read_file("/tmp/b")).content == "b"
    assert await _names(session, "/tmp/dir") == []


# -- editing ---------------------------------------------------------------------------


async def test_edits_are_made_one_after_the_other(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/a.txt", "red red\nblue 📏\n")

    edits = [{"oldText": "red", "newText": "green"}, {"oldText": "green red\nblue", "newText": "x"}]
    result = await files.edit_file("/tmp/a.txt", edits)

    assert result.unwrap() is True
    assert (await files.read_file("/tmp/a.txt")).content == "x 📏\n"
    lines = result.diff.splitlines()
    assert [line[1:] for line in lines if line[0] == "-"][1:] == ["red red", "blue 📏"]
    assert [line[1:] for line in lines if line[0] == "+"][1:] == ["x 📏"]


async def test_a_dry_run_shows_the_difference_and_changes_nothing(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/a.txt", "red")
    edit = {"oldText": "red", "newText": "green"}

    tried = await files.edit_file("/tmp/a.txt", [edit], dry_run=True)

    assert tried.data is True
    assert "-red" in tried.diff
    assert "+green" in tried.diff
    assert (await files.read_file("/tmp/a.txt")).content == "red"
    assert (await files.edit_file("/tmp/a.txt", [edit])).diff == tried.diff


async def test_an_edit_without_a_match_leaves_the_file(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/a.txt", "red")
    edits = [{"oldText": "red", "newText": "green"}, {"oldText": "yellow", "newText": "x"}]

    _failed(await files.edit_file("/tmp/a.txt", edits), "yellow")
    failed = await files.edit_file("/tmp/a.txt", edits, True)
    _failed(failed, "yellow")
    assert (failed.data, failed.diff) == (None, "")
    assert (await files.read_file("/tmp/a.txt")).content == "red"


@pytest.mark.parametrize(
    "edit", [{}, {"oldText": "a"}, {"oldText": "", "newText": "b"}, {"oldText": 1, "newText": "b"}]
)
async def test_an_edit_that_is_not_one_is_refused(session: AsyncSession, edit: Any) -> None:
    await session.file_system.write_file("/tmp/a.txt", "a")

    result = await session.file_system.edit_file("/tmp/a.txt", [edit])

    assert isinstance(result.error, InvalidInputError)
    assert "oldText" in result.error_message


# -- several, searching, changes -------------------------------------------------------


async def test_one_text_is_no_list_of_texts(session: AsyncSession) -> None:
    files = session.file_system

    for result in (
        await files.read_multiple_files("/etc/passwd"),
        await files.search_files("/tmp", "a", "build"),
    ):
        assert isinstance(result.error, InvalidInputError)
        assert "list" in result.error_message


async def test_several_files_are_read_at_once(session: AsyncSession) -> None:
    files = session.file_system
    contents = {"/tmp/a.txt": "1\n---\n/tmp/x: y\n", "/tmp/b c.txt": "", "/tmp/d.txt": "📏"}
    for path, content in contents.items():
        await files.write_file(path, content)

    result = await files.read_multiple_files([*contents, "/tmp/missing.txt"])

    found = result.unwrap()
    assert {path: found[path] for path in contents} == contents
    assert found["/tmp/missing.txt"].startswith("Error - ")
    assert "No such file" in found["/tmp/missing.txt"]


async def _search_tree(session: AsyncSession) -> None:
    await shell(
        session,
        "mkdir -p /tmp/t/src/deep /tmp/t/build; cd /tmp/t; "
        "touch a.py src/b.py src/deep/c.py build/d.py notes.txt 'src/x [1] é.txt'",
    )


@pytest.mark.parametrize(
    ("pattern", "excluded", "expected"),
    [
        ("*.py", None, ["a.py", "build/d.py", "src/b.py", "src/deep/c.py"]),
        ("*.py", ["build"], ["a.py", "src/b.py", "src/deep/c.py"]),
        ("*.py", ["build", "c.*"], ["a.py", "src/b.py"]),
        ("?.py", ["src"], ["a.py", "build/d.py"]),
        ("ote", None, ["notes.txt"]),
        ("deep", None, ["src/deep"]),
        ("é", None, ["src/x [1] é.txt"]),
        ("nothing", None, []),
        ("py?", None, []),
    ],
)
async def test_files_are_found_by_name(
    session: AsyncSession, pattern: str, excluded: list[str] | None, expected: list[str]
) -> None:
    await _search_tree(session)

    result = await session.file_system.search_files("/tmp/t", pattern, excluded)

    assert sorted(result.unwrap()) == [f"/tmp/t/{path}" for path in expected]


async def test_changes_are_told_since_the_last_time(session: AsyncSession) -> None:
    files = session.file_system
    await files.write_file("/tmp/w/old.txt", "1")
    await files.write_file("/tmp/w/gone.txt", "1")

    assert not (await files.get_file_change("/tmp/w")).has_changes()

    await files.write_file("/tmp/w/sub/new.txt", "1")
    await files.write_file("/tmp/w/old.txt", "1 and more")
    await files.delete_file("/tmp/w/gone.txt")
    changes = await files.get_file_change("/tmp/w")

    assert changes.has_changes()
    assert changes.get_created_files() == ["/tmp/w/sub/new.txt"]
    assert "/tmp/w/old.txt" in changes.get_modified_files()
    assert changes.get_deleted_files() == ["/tmp/w/gone.txt"]
    kinds = {event.path: event.path_type for event in changes.events}
    assert kinds["/tmp/w/sub"] == "directory"
    assert not (await files.get_file_change("/tmp/w")).has_changes()


async def test_the_aliases_do_the_same(session: AsyncSession) -> None:
    for files in (session.fs, session.files, session.filesystem):
        assert files is session.file_system
        assert (await files.write("/tmp/a.txt", "x")).success
        assert (await files.read("/tmp/a.txt")).content == "x"
        assert [entry.name for entry in (await files.ls("/tmp")).entries] == ["a.txt"]
        assert (await files.list("/tmp")).entries == (await files.ls("/tmp")).entries
        for delete in (files.rm, files.remove, files.delete):
            await files.write("/tmp/a.txt", "x")
            assert (await delete("/tmp/a.txt")).success
        assert (await files.ls("/tmp")).entries == []


@pytest.mark.embedded_only
async def test_an_engine_in_this_process_gets_large_messages(session: AsyncSession) -> None:
    sent: list[int] = []
    read: list[int] = []
    content = "line\n" * 600_000

    (
        await session.file_system.write_file("/tmp/big.txt", content, progress_cb=sent.append)
    ).unwrap()
    result = await session.file_system.read_file("/tmp/big.txt", progress_cb=read.append)

    assert result.unwrap() == content
    assert sent == read == [1 << 20, 2 << 20, 3_000_000]
