"""Editing text files in a session: what is replaced, and the difference that is shown."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.guest_files import call, load, refusal

_edits = load("file_edits")


class TestEditFile:
    def test_the_first_match_of_each_edit_is_replaced_in_turn(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_text("one two two\n")
        edits = [{"oldText": "two", "newText": "three"}, {"oldText": "three two", "newText": "x"}]
        diff = call("edit_file", path=path, edits=edits, dryRun=False)["diff"]
        assert path.read_text() == "one x\n"
        assert diff == f"--- {path}\n+++ {path}\n@@ -1,1 +1,1 @@\n-one two two\n+one x\n"

    def test_a_dry_run_shows_the_difference_and_writes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_text("a")
        edits = [{"oldText": "a", "newText": "b"}]
        diff = call("edit_file", path=path, edits=edits, dryRun=True)["diff"]
        assert "-a\n\\ No newline at end of file\n+b\n" in diff
        assert path.read_text() == "a"

    def test_without_a_match_nothing_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_text("one")
        edits = [{"oldText": "one", "newText": "two"}, {"oldText": "x" * 500, "newText": ""}]
        text = refusal("edit_file", path=path, edits=edits)
        assert text == f"Failed to edit file: {path}: no match for '{'x' * 80}...'"
        assert path.read_text() == "one"

    @pytest.mark.parametrize(
        ("edits", "reason"),
        [
            (None, "edits must be a list"),
            (["a"], "each of edits must be an object with oldText and newText"),
            ([{"oldText": "", "newText": "a"}], "oldText must not be empty"),
            ([{"oldText": "a"}], "newText must be a string"),
            ([{"oldText": "a", "newText": "\ud800"}], "newText is not valid text"),
        ],
    )
    def test_wrong_edits_are_refused(self, tmp_path: Path, edits: Any, reason: str) -> None:
        (tmp_path / "a").write_text("a")
        assert refusal("edit_file", path=tmp_path / "a", edits=edits).endswith(f": {reason}")
        assert (tmp_path / "a").read_text() == "a"

    def test_a_file_that_is_not_text_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"a\xff")
        edits = [{"oldText": "a", "newText": "b"}]
        assert "not UTF-8 text" in refusal("edit_file", path=tmp_path / "a", edits=edits)

    def test_line_ends_and_permissions_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"one\r\ntwo\r\n")
        path.chmod(0o700)
        call("edit_file", path=path, edits=[{"oldText": "two", "newText": "2"}])
        assert path.read_bytes() == b"one\r\n2\r\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o700

    def test_edits_at_the_same_time_all_survive(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        words = [f"<{number}>" for number in range(40)]
        path.write_text("".join(words))

        def edit(mine: list[str]) -> None:
            for word in mine:
                call("edit_file", path=path, edits=[{"oldText": word, "newText": "."}])

        threads = [threading.Thread(target=edit, args=(words[i::4],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert path.read_text() == "." * 40

    @pytest.mark.timeout(20)
    def test_a_large_file_is_compared_in_time(self, tmp_path: Path) -> None:
        before = "".join(f"{number % 200}\n" for number in range(200_000))
        diff: str = _edits.unified_diff("a", before, "first\n" + before + "last\n")
        assert diff.startswith("--- a\n+++ a\n@@ -1,200000 +1,200002 @@\n")
        one = before.replace("7\n", "seven\n", 1)
        assert _edits.unified_diff("a", before, one).count("\n") == 2 + 1 + 8

    @given(
        before=st.lists(st.sampled_from("ab\f"), max_size=40),
        after=st.lists(st.sampled_from("ab\f"), max_size=40),
        ends=st.tuples(st.sampled_from(["", "\n"]), st.sampled_from(["", "\n"])),
    )
    def test_a_difference_is_a_patch_that_leads_from_one_text_to_the_other(
        self, before: list[str], after: list[str], ends: tuple[str, str]
    ) -> None:
        old = "\n".join(before) + ends[0]
        new = "\n".join(after) + ends[1]
        assert apply_patch(old, _edits.unified_diff("a", old, new)) == new


def apply_patch(text: str, patch: str) -> str:
    """Apply a unified diff the way that patch programs do, trusting its line numbers."""
    source = re.findall(r"[^\n]*\n|[^\n]+", text)
    result: list[str] = []
    position, mark = 0, " "
    for line in re.findall(r"[^\n]*\n", patch)[2:]:
        if header := re.match(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", line):
            start, size, new_start, new_size = map(int, header.groups())
            start -= size > 0
            result += source[position:start]
            position = start
            assert len(result) == new_start - (new_size > 0)
        elif line.startswith("\\"):
            if mark != "-":
                result[-1] = result[-1].removesuffix("\n")
        else:
            mark = line[0]
            if mark != "+":
                assert source[position].removesuffix("\n") + "\n" == line[1:]
                position += 1
            if mark != "-":
                result.append(line[1:])
    return "".join(result + source[position:])
