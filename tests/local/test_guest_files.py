"""The file operations that a session's guest does: reading, writing, moving, describing."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.guest_files import PARENT, call, load, not_root, read, refusal

_contents = load("file_contents")


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    shared_memory = Path("/dev/shm")
    if not os.access(shared_memory, os.W_OK):
        pytest.skip("needs /dev/shm")
    if shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two file systems")
    directory = shared_memory / f"agentbay-test-{os.urandom(6).hex()}"
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


class TestArguments:
    @pytest.mark.parametrize("operation", ["read_file", "delete_file", "search_files"])
    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("", "path must not be empty"),
            ("a\0b", "path must not contain a NUL character"),
            ("\ud800", "path is not valid text"),
            (7, "path must be a string"),
            (None, "path must be a string"),
        ],
    )
    def test_a_path_that_is_none_is_refused_by_its_name(
        self, operation: str, path: Any, reason: str
    ) -> None:
        assert refusal(operation, path=path, pattern="a").endswith(f": {reason}")

    @pytest.mark.parametrize("number", [-1, True, 1.5, "1", 2**63])
    def test_an_offset_that_is_no_position_is_refused(self, tmp_path: Path, number: Any) -> None:
        assert "offset must be a whole number" in refusal("read_file", path="x", offset=number)

    def test_a_relative_path_starts_at_home(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        call("write_file", b"hi", path="./notes/a.txt")
        assert (tmp_path / "notes/a.txt").read_bytes() == b"hi"
        assert call("get_file_info", path="notes//a.txt")["path"] == f"{tmp_path}/notes/a.txt"

    def test_the_parent_of_a_linked_directory_is_the_one_it_leads_to(self, tmp_path: Path) -> None:
        (tmp_path / "real/below").mkdir(parents=True)
        (tmp_path / "real/a").write_text("there")
        (tmp_path / "link").symlink_to("real/below")
        assert read(tmp_path / "link/../a") == b"there"

    def test_a_name_that_is_not_utf_8_works(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"\xff\xfe")
        call("write_file", b"x", path=f"{tmp_path}/{name}")
        assert os.listdir(os.fsencode(tmp_path)) == [b"\xff\xfe"]
        assert [e["name"] for e in call("list_directory", path=tmp_path)["entries"]] == [name]


class TestReadFile:
    def test_the_whole_file(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"\x00\xff\r\n")
        assert read(tmp_path / "a") == b"\x00\xff\r\n"
        assert call("read_file", path=tmp_path / "a") == {"size": 4}

    @given(content=st.binary(max_size=40), offset=st.integers(0, 50), length=st.integers(0, 50))
    def test_a_range_is_a_slice(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes, offset: int, length: int
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "range"
        path.write_bytes(content)
        end = offset + length if length else None
        assert read(path, offset=offset, length=length) == content[offset:end]

    def test_a_file_without_a_size_has_its_content(self) -> None:
        assert read("/proc/self/status").startswith(b"Name:")
        assert call("read_file", path="/proc/self/status") == {"size": None}
        assert read("/proc/self/status", offset=2, length=3) == b"me:"

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        text = f"Failed to read file: {tmp_path}/x: No such file or directory"
        assert refusal("read_file", path=tmp_path / "x") == text

    def test_a_directory_is_refused(self, tmp_path: Path) -> None:
        assert "Is a directory" in refusal("read_file", path=tmp_path)

    @pytest.mark.timeout(10)
    def test_a_fifo_is_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        for operation in ("read_file", "write_file"):
            assert "Is a FIFO" in refusal(operation, b"x", path=tmp_path / "fifo")
        assert "Is a FIFO" in refusal("write_file", b"x", path=tmp_path / "fifo", mode="append")

    def test_a_device_is_refused(self) -> None:
        assert "Is a character device" in refusal("read_file", path="/dev/zero")

    def test_a_socket_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The path of a socket has to be short.
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s")
            assert "Is a socket" in refusal("read_file", path=tmp_path / "s")

    def test_too_much_at_once_is_refused_but_a_range_of_it_is_not(self, tmp_path: Path) -> None:
        limit: int = _contents.LIMIT
        path = tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(limit)
        assert len(read(path)) == limit
        with path.open("ab") as file:
            file.write(b"end")
        assert "more than 32 MiB at once: read it in ranges" in refusal("read_file", path=path)
        assert "in ranges" in refusal("read_file", path=path, length=limit + 1)
        assert len(read(path, length=limit)) == limit
        assert read(path, offset=limit) == b"end"


class TestWriteFile:
    def test_parents_are_created(self, tmp_path: Path) -> None:
        call("write_file", b"hi", path=tmp_path / "a/b/c")
        assert (tmp_path / "a/b/c").read_bytes() == b"hi"

    def test_overwrite_is_the_default_and_append_adds(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        call("write_file", b"a long first text", path=path)
        call("write_file", b"one", path=path)
        call("write_file", b"-two", path=path, mode="append")
        assert path.read_bytes() == b"one-two"
        call("write_file", b"", path=path, mode="overwrite")
        assert path.read_bytes() == b""

    def test_append_creates_the_file(self, tmp_path: Path) -> None:
        call("write_file", b"x", path=tmp_path / "new/a", mode="append")
        assert (tmp_path / "new/a").read_bytes() == b"x"

    def test_an_unknown_mode_is_refused(self, tmp_path: Path) -> None:
        text = refusal("write_file", path=tmp_path / "a", mode="create")
        assert text.endswith("Invalid write mode: create. Must be 'overwrite' or 'append'.")
        assert names(tmp_path) == []

    def test_the_permissions_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "script"
        path.touch()
        path.chmod(0o751)
        call("write_file", b"x", path=path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o751

    def test_a_new_file_gets_the_usual_permissions(self, tmp_path: Path) -> None:
        call("write_file", b"x", path=tmp_path / "a")
        (tmp_path / "b").touch()
        assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode

    def test_a_reader_of_the_old_file_keeps_the_old_content(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")
        with path.open("rb") as reader:
            call("write_file", b"new", path=path)
            assert reader.read() == b"old"
        assert path.read_bytes() == b"new"
        assert names(tmp_path) == ["a"]

    @pytest.mark.parametrize("mode", ["overwrite", "append"])
    @pytest.mark.parametrize("exists", [True, False])
    def test_a_link_is_written_through(self, tmp_path: Path, mode: str, exists: bool) -> None:
        (tmp_path / "link").symlink_to("second")
        (tmp_path / "second").symlink_to("below/target")
        if exists:
            call("write_file", path=tmp_path / "below/target")
        call("write_file", b"x", path=tmp_path / "link", mode=mode)
        assert os.readlink(tmp_path / "link") == "second"
        assert (tmp_path / "below/target").read_bytes() == b"x"
        assert not (tmp_path / "below/target").is_symlink()

    def test_links_in_a_circle_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        assert "Too many levels of symbolic links" in refusal("write_file", path=tmp_path / "a")
        assert names(tmp_path) == ["a", "b"]

    def test_every_hard_link_shows_the_new_content(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"the old content")
        os.link(tmp_path / "a", tmp_path / "b")
        call("write_file", b"new", path=tmp_path / "a")
        assert (tmp_path / "b").read_bytes() == b"new"

    @not_root
    def test_a_file_in_a_directory_that_is_closed_is_written_in_place(self, tmp_path: Path) -> None:
        directory = tmp_path / "closed"
        directory.mkdir()
        (directory / "a").write_bytes(b"the old content")
        directory.chmod(0o555)
        try:
            call("write_file", b"new", path=directory / "a")
            text = refusal("write_file", b"new", path=directory / "b")
        finally:
            directory.chmod(0o755)
        assert (directory / "a").read_bytes() == b"new"
        assert text == f"Failed to write file: {directory}/b: Permission denied"
        assert names(directory) == ["a"]

    @not_root
    def test_a_file_that_is_read_only_stays_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")
        path.chmod(0o444)
        for mode in ("overwrite", "append"):
            text = refusal("write_file", b"new", path=path, mode=mode)
            assert text == f"Failed to write file: {path}: Permission denied"
        assert path.read_bytes() == b"old"

    def test_a_file_where_none_can_be_created_is_written(self) -> None:
        path = "/proc/self/comm"
        name = read(path)
        call("write_file", b"in-place", path=path)
        try:
            assert read(path) == b"in-place\n"
        finally:
            call("write_file", name.rstrip(), path=path)

    def test_a_directory_is_refused(self, tmp_path: Path) -> None:
        assert "Is a directory" in refusal("write_file", path=tmp_path)
        text = refusal("write_file", path=f"{tmp_path}/new/")
        assert text.endswith("the path of a file must not end in a slash")
        assert names(tmp_path) == []

    def test_a_failed_write_leaves_the_old_content_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        (tmp_path / "a").write_bytes(b"old")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            text = refusal("write_file", b"new", path=tmp_path / "a")
        assert text == f"Failed to write file: {tmp_path}/a: No space left on device"
        assert names(tmp_path) == ["a"]
        assert (tmp_path / "a").read_bytes() == b"old"

    def test_a_name_that_is_too_long_is_refused_by_its_name(self, tmp_path: Path) -> None:
        path = tmp_path / ("n" * 300)
        text = refusal("write_file", b"x", path=path)
        assert text == f"Failed to write file: {path}: File name too long"
        assert names(tmp_path) == []


class TestDirectoriesAndInfo:
    def test_a_directory_and_its_parents_are_created_once(self, tmp_path: Path) -> None:
        for _ in range(2):
            assert call("create_directory", path=tmp_path / "a/b/c") == {}
        assert (tmp_path / "a/b/c").is_dir()

    def test_a_file_in_the_way_of_a_directory_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        text = f"Failed to create directory: {tmp_path}/a: File exists"
        assert refusal("create_directory", path=tmp_path / "a") == text
        assert "Not a directory" in refusal("create_directory", path=tmp_path / "a/b")

    def test_a_directory_lists_its_entries_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "b").write_bytes(b"123")
        (tmp_path / "a").mkdir()
        (tmp_path / "c").symlink_to("a")
        (tmp_path / "d").symlink_to("nowhere")
        entries = call("list_directory", path=tmp_path)["entries"]
        kinds = [(entry["name"], entry["is_directory"]) for entry in entries]
        assert kinds == [("a", True), ("b", False), ("c", True), ("d", False)]
        assert entries[1] == {"name": "b", "is_directory": False, "size": 3}

    def test_a_file_cannot_be_listed(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        text = f"Failed to list directory: {tmp_path}/a: Not a directory"
        assert refusal("list_directory", path=tmp_path / "a") == text

    def test_the_info_of_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes(b"hello")
        path.chmod(0o640)
        os.utime(path, (946_684_800, 1_672_574_400.9))
        info = call("get_file_info", path=path)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", info.pop("created"))
        assert info == {
            "name": "a.txt",
            "path": str(path),
            "size": 5,
            "is_directory": False,
            "is_file": True,
            "permissions": "rw-r-----",
            "modified": "2023-01-01T12:00:00Z",
            "accessed": "2000-01-01T00:00:00Z",
        }

    def test_the_creation_is_not_the_last_change(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        shown = subprocess.run(
            ["stat", "-c", "%W", tmp_path], capture_output=True, text=True, timeout=10, check=True
        )
        if int(shown.stdout) <= 0:
            pytest.skip("this file system does not record creation")
        path.touch()
        os.utime(path, (946_684_800, 946_684_800))
        assert call("get_file_info", path=path)["created"] > "2020"

    def test_the_info_of_a_directory(self, tmp_path: Path) -> None:
        info = call("get_file_info", path=f"{tmp_path}/")
        assert (info["name"], info["is_directory"], info["is_file"]) == (tmp_path.name, True, False)
        assert call("get_file_info", path="/")["name"] == "/"

    def test_the_info_of_a_missing_file_names_it(self, tmp_path: Path) -> None:
        text = f"Failed to get file status: {tmp_path}/x: No such file or directory"
        assert refusal("get_file_info", path=tmp_path / "x") == text

    def test_a_deleted_file_is_gone(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        call("delete_file", path=tmp_path / "a")
        assert "No such file" in refusal("delete_file", path=tmp_path / "a")

    def test_deleting_a_link_keeps_what_it_leads_to(self, tmp_path: Path) -> None:
        (tmp_path / "directory").mkdir()
        (tmp_path / "link").symlink_to("directory")
        call("delete_file", path=tmp_path / "link")
        assert names(tmp_path) == ["directory"]

    def test_deleting_a_directory_is_refused(self, tmp_path: Path) -> None:
        text = f"Failed to delete file: {tmp_path}: Is a directory"
        assert refusal("delete_file", path=tmp_path) == text


class TestMoveFile:
    def test_a_file_and_a_directory_get_a_new_path(self, tmp_path: Path) -> None:
        call("write_file", b"x", path=tmp_path / "a/file")
        call("move_file", source=tmp_path / "a", destination=tmp_path / "b")
        call("move_file", source=tmp_path / "b/file", destination=tmp_path / "file")
        assert names(tmp_path) == ["b", "file"]
        assert (tmp_path / "file").read_bytes() == b"x"

    @pytest.mark.parametrize("kind", ["file", "directory", "link"])
    @pytest.mark.parametrize("exclusively", [True, False])
    def test_what_exists_is_not_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, exclusively: bool
    ) -> None:
        if not exclusively:
            calls = load("system_calls")
            # Not a bit of renameat2: the answer is that of a file system without the feature.
            monkeypatch.setattr(calls, "_RENAME_NOREPLACE", 1 << 20)
        (tmp_path / "a").write_bytes(b"a")
        there = tmp_path / "b"
        if kind == "link":
            there.symlink_to("nowhere")
        elif kind == "file":
            there.touch()
        else:
            there.mkdir()
        text = f"Failed to move file: {there}: File exists"
        assert refusal("move_file", source=tmp_path / "a", destination=there) == text
        assert (tmp_path / "a").read_bytes() == b"a"
        call("move_file", source=tmp_path / "a", destination=tmp_path / "c")
        assert names(tmp_path) == ["b", "c"]

    def test_the_error_names_the_side_that_is_wrong(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        text = refusal("move_file", source=tmp_path / "x", destination=tmp_path / "y")
        assert text == f"Failed to move file: {tmp_path}/x: No such file or directory"
        text = refusal("move_file", source=tmp_path / "a", destination=tmp_path / "no/a")
        assert text == f"Failed to move file: {tmp_path}/no/a: No such file or directory"

    def test_a_directory_cannot_move_into_itself(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        assert "Failed to move" in refusal(
            "move_file", source=tmp_path / "a", destination=tmp_path / "a/b"
        )
        assert names(tmp_path / "a") == []

    def test_a_tree_moves_to_another_file_system(
        self, tmp_path: Path, other_file_system: Path
    ) -> None:
        call("write_file", b"x", path=tmp_path / "a/below/file")
        (tmp_path / "a/below/file").chmod(0o750)
        (tmp_path / "a/link").symlink_to("below/file")
        destination = other_file_system / "b"
        call("move_file", source=tmp_path / "a", destination=destination)
        assert names(tmp_path) == []
        assert names(other_file_system) == ["b"]
        assert os.readlink(destination / "link") == "below/file"
        assert stat.S_IMODE((destination / "below/file").stat().st_mode) == 0o750
        call("move_file", source=destination / "below/file", destination=tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == b"x"
        assert names(destination / "below") == []

    def test_what_exists_on_another_file_system_is_not_replaced(
        self, tmp_path: Path, other_file_system: Path
    ) -> None:
        (tmp_path / "a").write_bytes(b"a")
        (other_file_system / "b").write_bytes(b"b")
        assert "File exists" in refusal(
            "move_file", source=tmp_path / "a", destination=other_file_system / "b"
        )
        assert (other_file_system / "b").read_bytes() == b"b"
        assert (tmp_path / "a").read_bytes() == b"a"

    def test_a_tree_that_cannot_be_copied_stays_and_leaves_nothing(
        self, tmp_path: Path, other_file_system: Path
    ) -> None:
        (tmp_path / "a").mkdir()
        os.mkfifo(tmp_path / "a/fifo")
        text = refusal("move_file", source=tmp_path / "a", destination=other_file_system / "a")
        assert "named pipe" in text
        text = refusal("move_file", source=tmp_path / "a/fifo", destination=other_file_system / "a")
        assert "a special file cannot move to another file system" in text
        assert names(tmp_path / "a") == ["fifo"]
        assert names(other_file_system) == []


def test_each_operation_is_found_in_its_module() -> None:
    # `transfer` is a program of its own.
    names = {path.stem for path in Path(PARENT, "guest").glob("*.py")} - {"__main__", "transfer"}
    modules = {name: load(name) for name in sorted(names)}
    operations = {
        name: [*getattr(module, "PLAIN", ()), *getattr(module, "STREAMING", ())]
        for name, module in modules.items()
    }
    told = {name: " ".join(sorted(found)) for name, found in operations.items() if found}
    assert told == load("__main__").MODULES


def test_the_operations_load_fast_and_leave_big_modules_for_later() -> None:
    program = (
        f"import sys; sys.path.append({PARENT!r}); "
        "import guest.__main__, guest.commands, guest.files; "
        "print(*{'ctypes', 'difflib', 'fnmatch', 'shutil', 'tempfile', 'typing'} & {*sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ran.stdout == "\n"
