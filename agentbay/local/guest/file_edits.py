"""Replacing pieces of a text file, and showing the difference."""

from __future__ import annotations

import io
import threading
from itertools import takewhile

from . import file_arguments
from .failure import Failure
from .file_contents import overwrite, read_text

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_QUOTED = 80
_CONTEXT = 3
# The time of a comparison grows with the square of the lines: a longer piece is one block.
_COMPARED_LINES = 2000

# One at a time: of two edits of a file at the same moment, both must survive.
_lock = threading.Lock()


def edit_file(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Replace the first occurrence of each old text, one edit after the other."""
    path = file_arguments.path(arguments)
    edits = _edits(arguments)
    dry_run = file_arguments.flag(arguments, "dryRun")
    with _lock:
        before = read_text(path)
        after = before
        for old, new in edits:
            if old not in after:
                raise Failure(f"{path}: no match for {_quoted(old)}")
            after = after.replace(old, new, 1)
        if after != before and not dry_run:
            overwrite(path, _encoded(after))
    return {"diff": unified_diff(path, before, after)}, b""


def unified_diff(path: str, before: str, after: str) -> str:
    """Return the difference of two texts as a patch; empty if there is none."""
    if before == after:
        return ""
    old, new = _lines(before), _lines(after)
    # Edits touch little: what both ends have in common need not be compared.
    same_start = max(_common(old, new) - _CONTEXT, 0)
    old, new = old[same_start:], new[same_start:]
    same_end = max(_common(reversed(old), reversed(new)) - _CONTEXT, 0)
    old, new = old[: len(old) - same_end], new[: len(new) - same_end]
    hunks = (_hunk(group, old, new, same_start) for group in _groups(old, new))
    return f"--- {path}\n+++ {path}\n" + "".join(hunks)


def _edits(arguments: dict[str, Any]) -> list[tuple[str, str]]:
    if not isinstance(arguments.get("edits"), list):
        raise Failure("edits must be a list")
    edits: list[dict[str, Any]] = arguments["edits"]
    pairs: list[tuple[str, str]] = []
    for edit in edits:
        if not isinstance(edit, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise Failure("each of edits must be an object with oldText and newText")
        old, new = file_arguments.text(edit, "oldText"), file_arguments.text(edit, "newText")
        if not old:
            raise Failure("oldText must not be empty")
        pairs.append((old, new))
    return pairs


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[:_QUOTED] + "...")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Failure("newText is not valid text") from None


def _lines(text: str) -> list[str]:
    # str.splitlines would also split at form feeds and the like, which no patch does.
    return list(io.StringIO(text, newline="\n"))


def _common(old: Iterable[str], new: Iterable[str]) -> int:
    """Count the lines with which both begin."""
    pairs = zip(old, new, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


_Change = tuple[str, int, int, int, int]


def _groups(old: Sequence[str], new: Sequence[str]) -> Iterable[Sequence[_Change]]:
    import difflib

    if max(len(old), len(new)) > _COMPARED_LINES:
        return [[("replace", 0, len(old), 0, len(new))]]
    return difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT)


def _hunk(group: Sequence[_Change], old: Sequence[str], new: Sequence[str], skipped: int) -> str:
    old_range = _range(group[0][1], group[-1][2], skipped)
    new_range = _range(group[0][3], group[-1][4], skipped)
    parts = [f"@@ -{old_range} +{new_range} @@\n"]
    for kind, old_start, old_end, new_start, new_end in group:
        if kind == "equal":
            parts += [_marked(" ", line) for line in old[old_start:old_end]]
        else:
            parts += [_marked("-", line) for line in old[old_start:old_end]]
            parts += [_marked("+", line) for line in new[new_start:new_end]]
    return "".join(parts)


def _range(start: int, end: int, skipped: int) -> str:
    # Lines count from 1; an empty range names the line before it.
    first = start + skipped + (1 if end > start else 0)
    return f"{first},{end - start}"


def _marked(mark: str, line: str) -> str:
    return mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"
