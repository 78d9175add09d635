"""What git tells, read from its output."""

from __future__ import annotations

import re
from typing import Self

import attrs

from .._value import Value


@attrs.frozen(eq=False, repr=False)
class GitCloneResult(Value):
    """Where a repository was cloned to."""

    path: str


@attrs.frozen(eq=False, repr=False)
class GitInitResult(Value):
    """Where a repository was made."""

    path: str


@attrs.frozen(eq=False, repr=False)
class GitCommitResult(Value):
    """A commit that was made; `commit_hash` is its short hash, or None when git hid it."""

    commit_hash: str | None = None

    @classmethod
    def parse(cls, output: str) -> Self:
        """Read what ``git commit`` prints: ``[main 1a2b3c4] subject``, and statistics."""
        match = re.search(r"^\[.*? ([0-9a-f]{4,64})\] ", output, re.MULTILINE)
        return cls(match[1] if match else None)


_CONFLICTS = {"DD", "AU", "UD", "UA", "DU", "AA", "UU"}

# The first letter that is found decides.
_LABELS = {
    "R": "renamed",
    "C": "copied",
    "D": "deleted",
    "A": "added",
    "M": "modified",
    "T": "typechange",
    "?": "untracked",
}


@attrs.frozen(eq=False, repr=False)
class GitFileStatus(Value):
    """A file that differs from the last commit.

    Attributes:
        path: Its path within the repository.
        status: ``conflict``, ``renamed``, ``copied``, ``deleted``, ``added``, ``modified``,
            ``typechange``, ``untracked`` or ``unknown``.
        index_status: What the next commit does to it, as a letter of git.
        work_tree_status: What is not part of the next commit, as a letter of git.
        staged: Whether the next commit changes it.
        renamed_from: Its path in the last commit, when that was another one.
    """

    path: str
    status: str
    index_status: str
    work_tree_status: str
    staged: bool
    renamed_from: str | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line such as ``R  "old name" -> new``."""
        letters, names = line[:2], line[3:]
        old, new = _paths(names) if letters[0] in "RC" or letters[1] in "RC" else (None, names)
        label = next((word for letter, word in _LABELS.items() if letter in letters), "unknown")
        conflict = letters in _CONFLICTS
        return cls(
            _unquoted(new),
            "conflict" if conflict else label,
            letters[0],
            letters[1],
            letters[0] not in " ?!" and not conflict,
            None if old is None else _unquoted(old),
        )


@attrs.frozen(eq=False, repr=False)
class GitStatusResult(Value):
    """The state of a work tree.

    Attributes:
        current_branch: The branch; None when none is checked out.
        upstream: The branch that it follows, such as ``origin/main``; None when there is none.
        ahead: How many commits the upstream lacks.
        behind: How many commits the upstream has more.
        detached: Whether a commit is checked out instead of a branch.
        files: The files that differ from the last commit.
    """

    current_branch: str | None = None
    upstream: str | None = None
    ahead: int = 0
    behind: int = 0
    detached: bool = False
    files: list[GitFileStatus] = attrs.field(factory=list[GitFileStatus])

    @classmethod
    def parse(cls, output: str) -> Self:
        """Read what ``git status --porcelain=1 -b`` prints."""
        lines = [line for line in output.split("\n") if line]
        head = next((line[3:] for line in lines if line.startswith("## ")), "")
        files = [GitFileStatus.parse(line) for line in lines if _is_file(line)]
        if head.startswith("HEAD (no branch)"):
            return cls(detached=True, files=files)
        for start in ("No commits yet on ", "Initial commit on "):
            head = head.removeprefix(start)
        # A branch has neither blanks nor two dots in its name.
        names, _, distance = head.partition(" ")
        branch, _, upstream = names.partition("...")
        ahead, behind = (_number(word, distance) for word in ("ahead", "behind"))
        return cls(branch or None, upstream or None, ahead, behind, False, files)

    @property
    def is_clean(self) -> bool:
        """Whether no file differs."""
        return not self.files

    @property
    def has_changes(self) -> bool:
        """Whether a file differs."""
        return bool(self.files)

    @property
    def has_staged(self) -> bool:
        """Whether the next commit would change a file."""
        return self.staged_count > 0

    @property
    def has_untracked(self) -> bool:
        """Whether there are files that git does not know."""
        return self.untracked_count > 0

    @property
    def has_conflicts(self) -> bool:
        """Whether changes contradict each other."""
        return self.conflict_count > 0

    @property
    def total_count(self) -> int:
        """How many files differ."""
        return len(self.files)

    @property
    def staged_count(self) -> int:
        """How many files the next commit would change."""
        return sum(file.staged for file in self.files)

    @property
    def unstaged_count(self) -> int:
        """How many known files have changes that the next commit would lack."""
        return sum(file.work_tree_status not in " ?!" for file in self.files)

    @property
    def untracked_count(self) -> int:
        """How many files git does not know."""
        return self._count("untracked")

    @property
    def conflict_count(self) -> int:
        """How many files have changes that contradict each other."""
        return self._count("conflict")

    def _count(self, status: str) -> int:
        return sum(file.status == status for file in self.files)


@attrs.frozen(eq=False, repr=False)
class GitLogEntry(Value):
    """A commit.

    Attributes:
        hash: Its hash.
        short_hash: The beginning of its hash.
        author_name: Who wrote it.
        author_email: Their address.
        date: When they wrote it, as in ISO 8601.
        message: The first line of its message.
    """

    hash: str
    short_hash: str
    author_name: str
    author_email: str
    date: str
    message: str


@attrs.frozen(eq=False, repr=False)
class GitLogResult(Value):
    """Commits, the latest first."""

    entries: list[GitLogEntry] = attrs.field(factory=list[GitLogEntry])

    @classmethod
    def parse(cls, output: str) -> Self:
        """Read records that end in NUL, with fields that SOH parts."""
        records = (record.lstrip("\n").split("\x01", 5) for record in output.split("\0"))
        return cls([GitLogEntry(*record) for record in records if len(record) == 6])


@attrs.frozen(eq=False, repr=False)
class GitBranchInfo(Value):
    """A branch, and whether it is checked out."""

    name: str
    is_current: bool = False


@attrs.frozen(eq=False, repr=False)
class GitBranchListResult(Value):
    """The branches of a repository.

    Attributes:
        branches: All local branches.
        current: The one that is checked out; empty when none is.
    """

    branches: list[GitBranchInfo] = attrs.field(factory=list[GitBranchInfo])
    current: str = ""

    @classmethod
    def parse(cls, output: str) -> Self:
        """Read lines of a name, a tab, and ``*`` for the current one."""
        pairs = (line.split("\t", 1) for line in output.split("\n") if "\t" in line)
        # Where no branch is checked out, git lists a remark with blanks in it.
        branches = [
            GitBranchInfo(name, mark.strip() == "*") for name, mark in pairs if " " not in name
        ]
        current = next((branch.name for branch in branches if branch.is_current), "")
        return cls(branches, current)


# -- parts of lines --------------------------------------------------------------------

_NAME = r'"(?:[^"\\]|\\.)*"|.+?'
_RENAMED = re.compile(rf"({_NAME}) -> ({_NAME})", re.DOTALL)

_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}


def _is_file(line: str) -> bool:
    return len(line) > 3 and line[2] == " " and not line.startswith("## ")


def _number(word: str, distance: str) -> int:
    match = re.search(rf"\b{word} (\d+)", distance)
    return int(match[1]) if match else 0


def _paths(names: str) -> tuple[str | None, str]:
    """The old and the new name; git puts names with blanks in quotes."""
    match = _RENAMED.fullmatch(names)
    return (match[1], match[2]) if match else (None, names)


def _unquoted(name: str) -> str:
    """A name without the quotes and escapes that git puts around unusual ones."""
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    parts = re.findall(rb"\\([0-7]{3})|\\(.)|([^\\]+)", name[1:-1].encode(), re.DOTALL)
    return b"".join(_part(*part) for part in parts).decode("utf-8", "replace")


def _part(octal: bytes, escape: bytes, other: bytes) -> bytes:
    if octal:
        return bytes([int(octal, 8) & 255])
    return bytes([_ESCAPES.get(chr(escape[0]), escape[0])]) if escape else other
