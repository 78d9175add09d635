"""Looking at many files of a session at once: searching, reading several, seeing changes."""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.guest_files import call, load, not_root, refusal

_contents = load("file_contents")
_changes = load("changes")
_search = load("search")


class TestSearchFiles:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        for name in ("readme.md", "src/main.py", "src/deep/main.py", "src/deep/Main.txt"):
            call("write_file", path=tmp_path / name)
        call("write_file", path=tmp_path / "node_modules/pkg/main.py")
        return tmp_path

    def found(self, tree: Path, pattern: str, *excluded: str) -> list[str]:
        result = call("search_files", path=tree, pattern=pattern, exclude_patterns=list(excluded))
        assert result["truncated"] is False
        return [os.path.relpath(match, tree) for match in result["matches"]]

    @pytest.mark.parametrize(
        ("pattern", "matches"),
        [
            ("ead", ["readme.md"]),
            ("Main", ["src/deep/Main.txt"]),
            ("deep", ["src/deep"]),
            ("deep/main", ["src/deep/main.py"]),
            ("nothing", []),
            ("*.py", ["node_modules/pkg/main.py", "src/deep/main.py", "src/main.py"]),
            ("main.??", ["node_modules/pkg/main.py", "src/deep/main.py", "src/main.py"]),
            ("[M]ain*", ["src/deep/Main.txt"]),
            ("src/*.py", ["src/main.py"]),
            ("src/**/*.py", ["src/deep/main.py", "src/main.py"]),
            ("**/deep/*", ["src/deep/Main.txt", "src/deep/main.py"]),
            ("**/*.md", ["readme.md"]),
            ("*/deep/", ["src/deep"]),
        ],
    )
    def test_a_pattern_finds_names(self, tree: Path, pattern: str, matches: list[str]) -> None:
        assert self.found(tree, pattern) == matches

    @pytest.mark.parametrize(
        ("excluded", "matches"),
        [
            (["node_modules"], ["src/deep/main.py", "src/main.py"]),
            (["node_modules/"], ["src/deep/main.py", "src/main.py"]),
            (["node*", "deep"], ["src/main.py"]),
            (["**/pkg/**", "src/*/*"], ["src/main.py"]),
            ([""], ["node_modules/pkg/main.py", "src/deep/main.py", "src/main.py"]),
        ],
    )
    def test_what_is_excluded_is_not_found(
        self, tree: Path, excluded: list[str], matches: list[str]
    ) -> None:
        assert self.found(tree, "*.py", *excluded) == matches

    def test_matches_are_absolute_and_sorted(
        self, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tree))
        call("write_file", path="src-main/main.py")
        matches = call("search_files", path=".", pattern="main.py")["matches"]
        assert matches == sorted(matches)
        assert f"{tree}/src/main.py" in matches

    def test_a_linked_directory_is_found_but_not_entered(self, tree: Path) -> None:
        (tree / "src/deep/circle").symlink_to(tree)
        assert self.found(tree, "circle") == ["src/deep/circle"]

    def test_a_link_can_be_where_the_search_starts(self, tree: Path) -> None:
        (tree / "link").symlink_to("src")
        matches = call("search_files", path=tree / "link", pattern="*.txt")["matches"]
        assert matches == [f"{tree}/link/deep/Main.txt"]

    @not_root
    def test_a_directory_that_is_closed_is_skipped(self, tree: Path) -> None:
        (tree / "src/deep").chmod(0)
        try:
            assert self.found(tree, "main.py", "node_modules") == ["src/main.py"]
        finally:
            (tree / "src/deep").chmod(0o755)

    def test_a_root_that_is_no_directory_is_an_error(self, tree: Path) -> None:
        text = refusal("search_files", path=tree / "readme.md", pattern="a")
        assert text == f"Failed to search files: {tree}/readme.md: Not a directory"
        assert "No such file" in refusal("search_files", path=tree / "x", pattern="a")
        assert "pattern must not be empty" in refusal("search_files", path=tree, pattern="")

    def test_too_many_matches_are_cut_off_and_it_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_search, "_MOST_MATCHES", 3)
        for name in "abc":
            (tmp_path / name).touch()
        assert self.found(tmp_path, "*") == ["a", "b", "c"]
        (tmp_path / "d").touch()
        result = call("search_files", path=tmp_path, pattern="*")
        assert result == {"matches": [f"{tmp_path}/{name}" for name in "abc"], "truncated": True}

    @given(
        path=st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=6),
        pattern=st.lists(st.sampled_from(["a", "*", "?b", "**"]), min_size=2, max_size=6),
    )
    def test_stars_match_like_their_definition(self, path: list[str], pattern: list[str]) -> None:
        wildcard = [*pattern, "*"]
        expression = "".join(
            "(?:[^/]+/)*" if s == "**" else s.replace("*", "[^/]*").replace("?", "[^/]") + "/"
            for s in wildcard
        )
        expected = re.fullmatch(expression, "/".join(path) + "/") is not None
        assert _search.compile_pattern("/".join(wildcard))("/".join(path)) is expected

    @pytest.mark.timeout(10)
    def test_a_pattern_of_many_stars_does_not_take_forever(self) -> None:
        assert not _search.compile_pattern("**/a/" * 60 + "b")("/".join("a" * 120))


class TestReadMultipleFiles:
    def test_a_file_that_fails_does_not_fail_the_others(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("håll\r\n")
        (tmp_path / "b").write_bytes(b"\xff\xfe")
        paths = [f"{tmp_path}/{name}" for name in ("a", "b", "x", ".")]
        files = call("read_multiple_files", paths=paths)["files"]
        assert [file["path"] for file in files] == paths
        assert [file["content"] for file in files] == ["håll\r\n", None, None, None]
        assert files[0]["error"] is None
        assert files[1]["error"] == f"{paths[1]}: not UTF-8 text"
        assert files[2]["error"] == f"{paths[2]}: No such file or directory"
        assert "Is a directory" in files[3]["error"]

    def test_a_path_is_given_back_as_it_came(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "a").write_text("x")
        files = call("read_multiple_files", paths=["./a"])["files"]
        assert files == [{"path": "./a", "content": "x", "error": None}]

    def test_the_files_together_are_limited(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_contents, "LIMIT", 10)
        for name, size in (("a", 6), ("b", 6), ("c", 4)):
            (tmp_path / name).write_text("x" * size)
        paths = [f"{tmp_path}/{name}" for name in "abc"]
        files = call("read_multiple_files", paths=paths)["files"]
        assert [file["content"] for file in files] == ["x" * 6, None, "x" * 4]
        assert "at once" in files[1]["error"]

    @pytest.mark.parametrize("paths", ["a", [7], [""]])
    def test_wrong_paths_are_refused(self, paths: Any) -> None:
        assert "paths must" in refusal("read_multiple_files", paths=paths)


class TestGetFileChange:
    def changes(self, path: Path) -> list[tuple[str, str, str]]:
        """Ask for changes; events are (eventType, path below the root, pathType)."""
        events = call("get_file_change", path=path)["events"]
        return [(e["eventType"], os.path.relpath(e["path"], path), e["pathType"]) for e in events]

    def test_the_first_call_finds_nothing_and_neither_does_one_after_quiet(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "a").touch()
        assert self.changes(tmp_path) == []
        assert self.changes(tmp_path) == []

    def test_each_change_is_told_once(self, tmp_path: Path) -> None:
        call("write_file", b"1", path=tmp_path / "old")
        call("write_file", b"1", path=tmp_path / "gone")
        self.changes(tmp_path)
        call("write_file", b"2", path=tmp_path / "old")
        call("delete_file", path=tmp_path / "gone")
        call("write_file", b"1", path=tmp_path / "new/a")
        assert self.changes(tmp_path) == [
            ("delete", "gone", "file"),
            ("create", "new", "directory"),
            ("create", "new/a", "file"),
            ("modify", "new/a", "file"),
            ("modify", "old", "file"),
        ]
        assert self.changes(tmp_path) == []

    def test_a_change_deep_down_is_seen(self, tmp_path: Path) -> None:
        call("write_file", b"1", path=tmp_path / "a/b/c")
        self.changes(tmp_path)
        call("write_file", b"2", path=tmp_path / "a/b/c", mode="append")
        assert self.changes(tmp_path) == [("modify", "a/b/c", "file")]

    def test_a_file_that_became_a_directory_is_two_changes(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        self.changes(tmp_path)
        (tmp_path / "a").unlink()
        (tmp_path / "a").mkdir()
        assert self.changes(tmp_path) == [("delete", "a", "file"), ("create", "a", "directory")]

    def test_the_path_itself_can_come_and_go(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        assert "No such file" in refusal("get_file_change", path=root)
        call("write_file", path=root / "a")
        self.changes(root)
        shutil.rmtree(root)
        assert self.changes(root) == [("delete", ".", "directory"), ("delete", "a", "file")]
        root.mkdir()
        assert self.changes(root) == [("create", ".", "directory")]

    def test_a_linked_directory_is_not_entered(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "other").mkdir()
        (tmp_path / "root/link").symlink_to("../other")
        self.changes(tmp_path / "root")
        (tmp_path / "other/a").touch()
        assert self.changes(tmp_path / "root") == []

    def test_two_paths_are_told_apart(self, tmp_path: Path) -> None:
        (tmp_path / "below").mkdir()
        self.changes(tmp_path)
        self.changes(tmp_path / "below")
        (tmp_path / "below/a").touch()
        assert len(self.changes(tmp_path)) == 2
        assert len(self.changes(tmp_path / "below")) == 2

    def test_a_change_is_told_to_one_of_many_threads(self, tmp_path: Path) -> None:
        self.changes(tmp_path)
        for number in range(20):
            (tmp_path / str(number)).touch()
        told: list[tuple[str, str, str]] = []
        threads = [
            threading.Thread(target=lambda: told.extend(self.changes(tmp_path))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(told) == 40

    def test_a_path_with_too_much_below_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_changes, "_MOST_ENTRIES", 3)
        (tmp_path / "a").touch()
        (tmp_path / "b").touch()
        self.changes(tmp_path)
        (tmp_path / "c").touch()
        assert "more than 3 entries" in refusal("get_file_change", path=tmp_path)
        (tmp_path / "c").unlink()
        assert self.changes(tmp_path) == []
