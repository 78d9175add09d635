"""Finding files by name below a directory."""

from __future__ import annotations

import os
import re

from . import file_arguments
from .failure import Failure
from .file_contents import is_temporary

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    # Is asked about the path of an entry, relative to the directory that is searched.
    _Test = Callable[[str], bool]

_MOST_MATCHES = 10_000
_WILDCARDS = re.compile(r"[*?\[]")


def search_files(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """List the entries below a directory whose name fits a pattern."""
    root = file_arguments.path(arguments)
    pattern = file_arguments.text(arguments, "pattern")
    if not pattern:
        raise Failure("pattern must not be empty")
    wanted = compile_pattern(pattern)
    excluded = [
        compile_pattern(p) for p in file_arguments.texts(arguments, "exclude_patterns") if p
    ]
    matches: list[str] = []
    for relative in _walk(root, excluded):
        if wanted(relative):
            matches.append(os.path.join(root, relative))
        if len(matches) > _MOST_MATCHES:
            break
    truncated = len(matches) > _MOST_MATCHES
    return {"matches": sorted(matches[:_MOST_MATCHES]), "truncated": truncated}, b""


def compile_pattern(pattern: str) -> _Test:
    """Return a test of relative paths.

    Without a wildcard the pattern is a part of the name, with one it is the whole name. A pattern
    with a slash is about the relative path, where "**" stands for any number of directories.
    """
    pattern = pattern.rstrip("/") or "/"
    if not _WILDCARDS.search(pattern):
        if "/" in pattern:
            return lambda relative: pattern in relative
        return lambda relative: pattern in os.path.basename(relative)
    if "/" not in pattern:
        name = _compile_segment(pattern)
        return lambda relative: name(os.path.basename(relative))
    segments = [None if s == "**" else _compile_segment(s) for s in pattern.split("/")]
    return lambda relative: _fits(relative.split("/"), segments)


def _walk(root: str, excluded: list[_Test]) -> Iterator[str]:
    """Yield the relative path of everything below a directory, a directory before its content."""
    waiting: list[str | None] = [None]
    while waiting:
        directory = waiting.pop()
        below: list[str | None] = []
        for entry in _entries(root, directory):
            relative = entry.name if directory is None else f"{directory}/{entry.name}"
            if any(test(relative) for test in excluded):
                continue
            yield relative
            if entry.is_dir(follow_symlinks=False):
                below.append(relative)
        waiting += reversed(below)


def _entries(root: str, directory: str | None) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root if directory is None else os.path.join(root, directory)) as entries:
            visible = [entry for entry in entries if not is_temporary(entry.name)]
    except OSError:
        # Only the directory that was asked for has to be readable.
        if directory is None:
            raise
        return []
    return sorted(visible, key=lambda entry: entry.name)


def _compile_segment(pattern: str) -> _Test:
    import fnmatch

    expression = re.compile(fnmatch.translate(pattern))
    return lambda name: expression.match(name) is not None


def _fits(parts: list[str], segments: list[_Test | None]) -> bool:
    """Tell whether the parts of a path fit the segments of a pattern; None is "**".

    When a part does not fit, only the last "**" takes one part more: the time stays below
    parts times segments.
    """
    part = segment = 0
    retry: tuple[int, int] | None = None
    while part < len(parts):
        test = segments[segment] if segment < len(segments) else _never
        if test is None:
            segment += 1
            retry = (part + 1, segment)
        elif test(parts[part]):
            part, segment = part + 1, segment + 1
        elif retry is not None:
            part, segment = retry
            retry = (part + 1, segment)
        else:
            return False
    return all(test is None for test in segments[segment:])


def _never(_name: str) -> bool:
    return False
