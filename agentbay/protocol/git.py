"""The command lines of git, and what its failures mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

import attrs

from ..errors import (
    GitAuthError,
    GitConflictError,
    GitError,
    GitNotARepoError,
    GitNotFoundError,
    InvalidInputError,
)
from ._checks import as_texts

# git must not wait for a password, and its texts are read.
ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

# Milliseconds.
DEFAULT_LIMIT = 30_000
CLONE_LIMIT = 300_000
PULL_LIMIT = 120_000

RESET_MODES = ("hard", "keep", "merge", "mixed", "soft")

LOG_FORMAT = "--format=%H%x01%h%x01%an%x01%ae%x01%aI%x01%s%x00"
BRANCH_FORMAT = "--format=%(refname:short)\t%(HEAD)"
SCOPES = ("global", "local")

# Exit codes with a meaning of their own.
NO_REMOTE = 2
NOT_SET = 1


# -- arguments -------------------------------------------------------------------------


def text(name: str, value: object) -> str:
    """Any text that a program can be given.

    Raises:
        InvalidInputError: No text, or text with a NUL in it.
    """
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInputError(f"{name} must be text without NUL")
    return value


def plain(name: str, value: object) -> str:
    """Text that git takes for what it is, and not for an option.

    Raises:
        InvalidInputError: No text, blank, or with a hyphen in front.
    """
    found = text(name, value)
    if not found.strip() or found.startswith("-"):
        raise InvalidInputError(f"{name} must be text that is not blank and begins without '-'")
    return found


def paths(name: str, value: Sequence[str]) -> list[str]:
    """Paths within a repository; they stand behind ``--``, so a hyphen is fine.

    Raises:
        InvalidInputError: No list, an empty one, or one with empty texts.
    """
    found = as_texts(name, value)
    if not found or not all(found):
        raise InvalidInputError(f"{name} must be a list of paths that is not empty")
    return [text(name, path) for path in found]


def limit(timeout_ms: object, default: int) -> int:
    """The time limit in milliseconds; 0 and None mean the default.

    Raises:
        InvalidInputError: No number, or a negative one.
    """
    value = timeout_ms or default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise InvalidInputError(f"timeout_ms must be a positive whole number, not {timeout_ms!r}")
    return value


def choice(name: str, value: object, choices: Sequence[str]) -> str:
    """One of a few texts.

    Raises:
        InvalidInputError: Another one.
    """
    if not isinstance(value, str) or value not in choices:
        raise InvalidInputError(f"Invalid {name}: {value!r}. Must be one of {list(choices)}")
    return str(value)


def count(name: str, value: object) -> str:
    """A number of commits.

    Raises:
        InvalidInputError: No positive whole number.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise InvalidInputError(f"{name} must be a positive whole number, not {value!r}")
    return str(value)


def in_worktree(worktree: bool | None, *, staged: bool) -> bool:
    """Whether to restore the files themselves.

    Raises:
        InvalidInputError: Neither the files nor the next commit are to be restored.
    """
    if worktree is False and not staged:
        raise InvalidInputError("nothing to restore: pass staged=True, worktree=True or both")
    return not staged if worktree is None else worktree


def source(remote: str | None, branch: str | None) -> list[str]:
    """Where to pull from.

    Raises:
        InvalidInputError: A branch without a remote: git would take it for one.
    """
    if branch is not None and remote is None:
        raise InvalidInputError("branch= needs remote=, such as remote='origin'")
    pairs = (("remote", remote), ("branch", branch))
    return [plain(name, value) for name, value in pairs if value is not None]


def directory_of(url: str) -> str:
    """The directory into which git clones a URL by itself.

    Raises:
        InvalidInputError: The URL names nothing that can be a directory.
    """
    name = unquote(re.split(r"[/:]", url.rstrip("/").removesuffix(".git").rstrip("/"))[-1])
    if not name.strip() or name in (".", "..") or "/" in name or name.startswith("-"):
        raise InvalidInputError("the URL names no directory to clone into: pass path=")
    return text("url", name)


# -- command lines ---------------------------------------------------------------------


@attrs.frozen
class Quoting:
    """How to write arguments so that a shell passes them on unchanged."""

    windows: bool = False

    def git(self, arguments: Sequence[str], repo_path: str | None = None) -> str:
        """The command line of a git command.

        Raises:
            InvalidInputError: The shell would change one of the arguments.
        """
        where = [] if repo_path is None else ["-C", self.quote(plain("repo_path", repo_path))]
        return " ".join(["git", *where, *map(self.quote, arguments)])

    def quote(self, argument: str) -> str:
        """An argument in quotes."""
        if not self.windows:
            return "'" + argument.replace("'", "'\\''") + "'"
        # Formats of our own hold a percent sign, and no variable is named like what follows it.
        if re.search(r'["\r\n]', argument) or (
            "%" in argument and argument not in (LOG_FORMAT, BRANCH_FORMAT)
        ):
            raise InvalidInputError(
                "the shell of Windows has no way to pass on quotes, percent signs and line ends"
            )
        return f'"{argument}{_last_backslashes(argument)}"'


def _last_backslashes(argument: str) -> str:
    """Backslashes in front of the closing quote count double."""
    return argument[len(argument.rstrip("\\")) :]


# -- failures --------------------------------------------------------------------------

_AUTH = re.compile(
    r"authentication failed|could not read (username|password)|invalid credentials"
    r"|authorization failed|access denied|permission denied \([a-z,-]+\)"
    r"|permission to \S+ denied|host key verification failed"
    r"|returned error: 40[13]|http (error )?40[13]\b",
    re.IGNORECASE,
)
_NO_REPOSITORY = re.compile(
    r"not a git repository|does not appear to be a git repository|not in a git directory"
    r"|can only be used inside a git repository",
    re.IGNORECASE,
)
_CONFLICT = re.compile(
    r"^CONFLICT |merge conflict|automatic merge failed|unmerged files"
    r"|resolve your current index first",
    re.IGNORECASE | re.MULTILINE,
)
_NO_GIT = re.compile(
    r"git: (command )?not found|command not found: git|'git' is not recognized", re.IGNORECASE
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")


def failure(operation: str, exit_code: int | None, stdout: str, stderr: str) -> GitError:
    """The error that a failed command stands for.

    git writes about conflicts, and that there is nothing to commit, to standard output.
    """
    said = stderr.strip() or stdout.strip() or "git gave no reason"
    message = f"Git {operation} failed (exit code {exit_code}): {said}"
    kind = _kind(exit_code, stdout, stderr)
    return kind(_CREDENTIALS.sub("***@", message), exit_code, _CREDENTIALS.sub("***@", stderr))


def _kind(exit_code: int | None, stdout: str, stderr: str) -> type[GitError]:
    if _AUTH.search(stderr):
        return GitAuthError
    if _NO_REPOSITORY.search(stderr):
        return GitNotARepoError
    if _CONFLICT.search(stderr) or _CONFLICT.search(stdout):
        return GitConflictError
    if exit_code == 127 or _NO_GIT.search(stderr):
        return GitNotFoundError
    return GitError
