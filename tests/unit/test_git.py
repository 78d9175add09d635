"""Git: the command lines, what its output means, and what becomes of failures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentbay import AgentBayError, CommandTimeoutError, InvalidInputError, TransportError
from agentbay._async.git import AsyncGit
from agentbay._results.git import (
    GitBranchInfo,
    GitBranchListResult,
    GitCommitResult,
    GitFileStatus,
    GitLogResult,
    GitStatusResult,
)
from agentbay.errors import (
    GitAuthError,
    GitConflictError,
    GitError,
    GitNotARepoError,
    GitNotFoundError,
)
from agentbay.protocol.git import BRANCH_FORMAT, LOG_FORMAT, Quoting, directory_of

from .service import Sent, Service, always, session_of, tool_says

Call = Callable[[AsyncGit], Awaitable[object]]


def _reply(code: int = 0, stdout: str = "", stderr: str = "") -> httpx.Response:
    text = json.dumps({"exit_code": code, "stdout": stdout, "stderr": stderr, "traceId": ""})
    return tool_says(text, is_error=False)


def _git(code: int = 0, stdout: str = "", stderr: str = "") -> tuple[AsyncGit, Service]:
    service = Service(always(lambda: _reply(code, stdout, stderr)))
    return AsyncGit(session_of(service)), service


def _lines(service: Service) -> list[str]:
    assert {sent.form["Name"] for sent in service.sent} <= {"shell"}
    return [json.loads(sent.form["Args"])["command"] for sent in service.sent]


_ADD = "git -C '/r' 'remote' 'add' 'o' 'https://u'"
_SET = "git -C '/r' 'remote' 'set-url' 'o' 'https://u'"

COMMANDS: list[tuple[str, Call, list[str]]] = [
    ("clone", lambda g: g.clone("https://x/a.git"), ["git 'clone' 'https://x/a.git' 'a'"]),
    (
        "clone-all",
        lambda g: g.clone("https://x/a", path="/p", branch="b", depth=2),
        ["git 'clone' '--branch' 'b' '--single-branch' '--depth' '2' 'https://x/a' '/p'"],
    ),
    ("init", lambda g: g.init("/r"), ["git 'init' '/r'"]),
    (
        "init-all",
        lambda g: g.init("/r", initial_branch="main", bare=True),
        ["git 'init' '--initial-branch' 'main' '--bare' '/r'"],
    ),
    ("add", lambda g: g.add("/r"), ["git -C '/r' 'add' '-A'"]),
    ("add-here", lambda g: g.add("/r", stage_all=False), ["git -C '/r' 'add' '.'"]),
    ("add-files", lambda g: g.add("/r", files=["a", "-b"]), ["git -C '/r' 'add' '--' 'a' '-b'"]),
    ("commit", lambda g: g.commit("/r", "m"), ["git -C '/r' 'commit' '-m' 'm'"]),
    (
        "commit-all",
        lambda g: g.commit("/r", "-m", author_name="A", author_email="e", allow_empty=True),
        ["git -C '/r' '-c' 'user.name=A' '-c' 'user.email=e' 'commit' '-m' '-m' '--allow-empty'"],
    ),
    ("status", lambda g: g.status("/r"), ["git -C '/r' 'status' '--porcelain=1' '-b'"]),
    ("log", lambda g: g.log("/r"), [f"git -C '/r' 'log' '{LOG_FORMAT}'"]),
    (
        "log-all",
        lambda g: g.log("/r", max_count=3),
        [f"git -C '/r' 'log' '{LOG_FORMAT}' '--max-count' '3'"],
    ),
    ("list_branches", lambda g: g.list_branches("/r"), [f"git -C '/r' 'branch' '{BRANCH_FORMAT}'"]),
    ("create", lambda g: g.create_branch("/r", "b"), ["git -C '/r' 'checkout' '-b' 'b'"]),
    (
        "create-only",
        lambda g: g.create_branch("/r", "b", checkout=False),
        ["git -C '/r' 'branch' 'b'"],
    ),
    ("checkout", lambda g: g.checkout_branch("/r", "b"), ["git -C '/r' 'checkout' 'b'"]),
    ("delete", lambda g: g.delete_branch("/r", "b"), ["git -C '/r' 'branch' '-d' 'b'"]),
    (
        "delete-force",
        lambda g: g.delete_branch("/r", "b", force=True),
        ["git -C '/r' 'branch' '-D' 'b'"],
    ),
    ("remote_add", lambda g: g.remote_add("/r", "o", "https://u"), [_ADD]),
    (
        "remote_add-fetch",
        lambda g: g.remote_add("/r", "o", "https://u", fetch=True),
        ["git -C '/r' 'remote' 'add' '-f' 'o' 'https://u'"],
    ),
    (
        "remote_add-overwrite",
        lambda g: g.remote_add("/r", "o", "https://u", overwrite=True),
        [f"{_ADD} || {_SET}"],
    ),
    (
        "remote_add-all",
        lambda g: g.remote_add("/r", "o", "https://u", overwrite=True, fetch=True),
        [f"( {_ADD} || {_SET} ) && git -C '/r' 'fetch' 'o'"],
    ),
    ("remote_get", lambda g: g.remote_get("/r", "o"), ["git -C '/r' 'remote' 'get-url' 'o'"]),
    ("reset", lambda g: g.reset("/r"), ["git -C '/r' 'reset'"]),
    (
        "reset-all",
        lambda g: g.reset("/r", mode="hard", target="HEAD~1", paths=["a"]),
        ["git -C '/r' 'reset' '--hard' 'HEAD~1' '--' 'a'"],
    ),
    ("restore", lambda g: g.restore("/r", ["a"]), ["git -C '/r' 'restore' '--worktree' '--' 'a'"]),
    (
        "restore-staged",
        lambda g: g.restore("/r", ["a"], staged=True),
        ["git -C '/r' 'restore' '--staged' '--' 'a'"],
    ),
    (
        "restore-all",
        lambda g: g.restore("/r", ["a"], staged=True, worktree=True, source="HEAD"),
        ["git -C '/r' 'restore' '--worktree' '--staged' '--source' 'HEAD' '--' 'a'"],
    ),
    ("pull", lambda g: g.pull("/r"), ["git -C '/r' 'pull'"]),
    ("pull-all", lambda g: g.pull("/r", remote="o", branch="b"), ["git -C '/r' 'pull' 'o' 'b'"]),
    (
        "configure_user",
        lambda g: g.configure_user("/r", "A", "e"),
        ["git 'config' '--global' 'user.name' 'A'", "git 'config' '--global' 'user.email' 'e'"],
    ),
    (
        "set_config",
        lambda g: g.set_config("/r", "k.x", "v", scope="local"),
        ["git -C '/r' 'config' '--local' 'k.x' 'v'"],
    ),
    (
        "set_config-hyphen",
        lambda g: g.set_config("/r", "k.x", "-v"),
        ["git 'config' '--global' '--' 'k.x' '-v'"],
    ),
    (
        "get_config",
        lambda g: g.get_config("/r", "k.x", scope="local"),
        ["git -C '/r' 'config' '--local' '--get' 'k.x'"],
    ),
    (
        "get_config-global",
        lambda g: g.get_config("/r", "k.x"),
        ["git 'config' '--global' '--get' 'k.x'"],
    ),
]


@pytest.mark.parametrize(("call", "lines"), [c[1:] for c in COMMANDS], ids=[c[0] for c in COMMANDS])
async def test_a_method_runs_its_command(call: Call, lines: list[str]) -> None:
    git, service = _git()
    await call(git)
    assert _lines(service) == lines
    for sent in service.sent:
        arguments = json.loads(sent.form["Args"])
        assert arguments["envs"] == {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


_LIMITS: list[tuple[Callable[[Any, Any], Awaitable[object]], int]] = [
    (lambda g, t: g.clone("https://x/a", timeout_ms=t), 300_000),
    (lambda g, t: g.pull("/r", timeout_ms=t), 120_000),
    (lambda g, t: g.status("/r", timeout_ms=t), 30_000),
    (lambda g, t: g.remote_add("/r", "o", "u", overwrite=True, timeout_ms=t), 30_000),
]


@pytest.mark.parametrize(("call", "limit"), _LIMITS)
@pytest.mark.parametrize("given", [None, 0, 5])
async def test_time_limits_have_defaults(call: Any, limit: int, given: int | None) -> None:
    git, service = _git()
    await call(git, given)
    assert json.loads(service.sent[0].form["Args"])["timeout_ms"] == (given or limit)


_BAD: list[Callable[[Any], Awaitable[object]]] = [
    lambda g: g.clone("--upload-pack=x"),
    lambda g: g.clone("https://"),
    lambda g: g.clone("https://x/.."),
    lambda g: g.clone("https://x/%2Fetc%2Fx"),
    lambda g: g.clone("https://x/a", path=""),
    lambda g: g.clone("https://x/a", branch="-b"),
    lambda g: g.clone("https://x/a", depth=0),
    lambda g: g.clone("https://x/a", depth=True),
    lambda g: g.clone("https://x/a", timeout_ms=-1),
    lambda g: g.init("-x"),
    lambda g: g.init(None),
    lambda g: g.add("/r", files=[]),
    lambda g: g.add("/r", files="a.txt"),
    lambda g: g.add("/r", files=["a", ""]),
    lambda g: g.add("", files=["a"]),
    lambda g: g.commit("/r", None),
    lambda g: g.commit("/r", "a\0b"),
    lambda g: g.commit("/r", "m", author_name=5),
    lambda g: g.log("/r", max_count=-1),
    lambda g: g.create_branch("/r", "-D"),
    lambda g: g.checkout_branch("/r", " "),
    lambda g: g.delete_branch("/r", None),
    lambda g: g.remote_add("/r", "-f", "u"),
    lambda g: g.remote_add("/r", "o", "-u", overwrite=True),
    lambda g: g.remote_get("/r", ""),
    lambda g: g.reset("/r", target="--hard"),
    lambda g: g.reset("/r", paths=[]),
    lambda g: g.restore("/r", []),
    lambda g: g.restore("/r", ["a"], worktree=False),
    lambda g: g.restore("/r", ["a"], source="-s"),
    lambda g: g.pull("/r", branch="main"),
    lambda g: g.configure_user("/r", "A", None),
    lambda g: g.configure_user("/r", "A", "e", scope="system"),
    lambda g: g.set_config("/r", "--unset", "v"),
    lambda g: g.set_config("/r", "k", "v", scope="worktree"),
    lambda g: g.get_config("/r", "k", scope="x"),
    lambda g: g.status("/r", timeout_ms="5"),
]


@pytest.mark.parametrize("call", _BAD)
async def test_bad_arguments_are_refused_before_anything_is_sent(call: Any) -> None:
    git, service = _git()
    with pytest.raises(InvalidInputError):
        await call(git)
    assert service.sent == []


async def test_a_mode_that_does_not_exist_is_a_value_error() -> None:
    git, _ = _git()
    with pytest.raises(ValueError, match="Invalid reset mode: 'x'") as caught:
        await git.reset("/r", mode="x")
    assert str(caught.value).endswith("['hard', 'keep', 'merge', 'mixed', 'soft']")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x/a/b.git", "b"),
        ("https://x/a/b/", "b"),
        ("https://x/a/b.git/", "b"),
        ("git@host:a/b.git", "b"),
        ("git@host:b", "b"),
        ("https://x/a%20b.git", "a b"),
        ("/srv/b.git", "b"),
    ],
)
def test_a_clone_is_named_like_the_repository(url: str, name: str) -> None:
    assert directory_of(url) == name


@pytest.mark.parametrize("text", ["", "a b", "it's", "''", "$(x) `y` $z", "a\nb", '"', "\\", "é*?"])
def test_a_shell_passes_every_argument_on(text: str) -> None:
    line = "printf %s " + Quoting().quote(text)
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout == (
        text.encode()
    )


async def test_the_shell_of_windows_gets_double_quotes() -> None:
    git, service = _git()
    git._session._image_id = "windows_latest"
    await git.add("C:\\r\\", files=["a b & c"])
    await git.log("C:\\r")
    assert _lines(service) == [
        'git -C "C:\\r\\\\" "add" "--" "a b & c"',
        f'git -C "C:\\r" "log" "{LOG_FORMAT}"',
    ]
    for message in ("%PATH%", 'say "x"', "a\nb"):
        with pytest.raises(InvalidInputError, match="Windows"):
            await git.commit("C:\\r", message)


# -- output ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "commit_hash"),
    [
        ("[main 1a2b3c4] Subject\n 1 file changed\n", "1a2b3c4"),
        ("[main (root-commit) 1a2b3c4] Subject\n", "1a2b3c4"),
        ("[detached HEAD 1a2b3c4] Subject\n", "1a2b3c4"),
        ("[fix#1/ä+(x)] 1a2b3c4] Subject\n", "1a2b3c4"),
        ("[main 1a2b3c4] revert [main deadbeef] x\n", "1a2b3c4"),
        ("a hook says hello\n[main 1a2b3c4] Subject\n", "1a2b3c4"),
        ("", None),
        ("nothing of use", None),
    ],
)
def test_the_hash_of_a_commit_is_found_on_any_branch(output: str, commit_hash: str | None) -> None:
    # Recorded clients find it on branches with plain names only.
    assert GitCommitResult.parse(output).commit_hash == commit_hash


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("## main", ("main", None, 0, 0, False)),
        ("## main...origin/main", ("main", "origin/main", 0, 0, False)),
        ("## main...o/main [ahead 1, behind 2]", ("main", "o/main", 1, 2, False)),
        ("## main...o/main [behind 12]", ("main", "o/main", 0, 12, False)),
        ("## main...o/main [gone]", ("main", "o/main", 0, 0, False)),
        ("## No commits yet on main", ("main", None, 0, 0, False)),
        ("## Initial commit on main", ("main", None, 0, 0, False)),
        ("## HEAD (no branch)", (None, None, 0, 0, True)),
        ("## fix-detached-head", ("fix-detached-head", None, 0, 0, False)),
        ("", (None, None, 0, 0, False)),
    ],
)
def test_the_head_of_a_status_is_read(head: str, found: tuple[object, ...]) -> None:
    # Recorded clients take any branch with "detached" in its name for no branch.
    status = GitStatusResult.parse(f"{head}\n")
    assert found == (
        status.current_branch,
        status.upstream,
        status.ahead,
        status.behind,
        status.detached,
    )
    assert (status.is_clean, status.has_changes, status.total_count) == (True, False, 0)


@pytest.mark.parametrize(
    ("line", "path", "status", "staged", "renamed_from"),
    [
        ("M  a", "a", "modified", True, None),
        (" M a", "a", "modified", False, None),
        ("A  a", "a", "added", True, None),
        ("AM a", "a", "added", True, None),
        (" D a", "a", "deleted", False, None),
        ("T  a", "a", "typechange", True, None),
        ("?? a", "a", "untracked", False, None),
        ("UU a", "a", "conflict", False, None),
        ("AA a", "a", "conflict", False, None),
        ("DD a", "a", "conflict", False, None),
        ("R  a -> b", "b", "renamed", True, "a"),
        ("C  a -> b", "b", "copied", True, "a"),
        ('R  "a -> \\"b" -> "c d"', "c d", "renamed", True, 'a -> "b'),
        ('R  a -> "c d"', "c d", "renamed", True, "a"),
        ('?? "a b"', "a b", "untracked", False, None),
        ('?? "a -> b"', "a -> b", "untracked", False, None),
        ('?? "\\344\\275\\240\\t\\\\\\"x\\n"', '你\t\\"x\n', "untracked", False, None),
        ('?? "\\303\\251 é"', "é é", "untracked", False, None),
        ('?? "\\377"', "�", "untracked", False, None),
        ("XX a", "a", "unknown", True, None),
    ],
)
def test_a_file_of_a_status_is_read_with_its_real_name(
    line: str, path: str, status: str, staged: bool, renamed_from: str | None
) -> None:
    # Recorded clients leave the quotes and escapes in.
    (file,) = GitStatusResult.parse(f"## main\n{line}\n").files
    assert file == GitFileStatus(path, status, line[0], line[1], staged, renamed_from)


def test_a_status_counts_its_files() -> None:
    status = GitStatusResult.parse("## main\nM  a\nMM b\n M c\n?? d\n?? e\nUU f\n")
    assert (status.is_clean, status.has_changes, status.total_count) == (False, True, 6)
    assert (status.has_staged, status.staged_count) == (True, 2)
    assert (status.has_untracked, status.untracked_count) == (True, 2)
    assert (status.has_conflicts, status.conflict_count) == (True, 1)
    assert status.unstaged_count == 3


def test_a_log_is_read() -> None:
    output = "h1\x01s1\x01A\x01e\x01d1\x01a\x01b\0\nh2\x01s2\x01B\x01f\x01d2\x01\0\n"
    first, second = GitLogResult.parse(output).entries
    assert (first.hash, first.short_hash, first.author_name) == ("h1", "s1", "A")
    assert (first.author_email, first.date, first.message) == ("e", "d1", "a\x01b")
    assert (second.hash, second.message) == ("h2", "")
    assert GitLogResult.parse("").entries == []


def test_branches_are_read() -> None:
    found = GitBranchListResult.parse("a/b\t \nmain\t*\n")
    assert found.branches == [GitBranchInfo("a/b"), GitBranchInfo("main", True)]
    assert found.current == "main"


def test_without_a_branch_there_is_no_current_one() -> None:
    found = GitBranchListResult.parse("(HEAD detached at 1a2b3c4)\t*\nmain\t \n")
    assert (found.branches, found.current) == ([GitBranchInfo("main")], "")


# -- failures --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "kind"),
    [
        (128, "", "fatal: Authentication failed for 'https://x/'", GitAuthError),
        (128, "", "fatal: could not read Username for 'https://x'", GitAuthError),
        (128, "", "remote: Invalid credentials", GitAuthError),
        (128, "", "git@x: Permission denied (publickey).", GitAuthError),
        (128, "", "remote: Permission to a/b.git denied to c.", GitAuthError),
        (128, "", "fatal: The requested URL returned error: 403", GitAuthError),
        (128, "", "fatal: not a git repository (or any parent)", GitNotARepoError),
        (128, "", "fatal: 'x' does not appear to be a git repository", GitNotARepoError),
        (128, "", "fatal: --local can only be used inside a git repository", GitNotARepoError),
        (1, "", "CONFLICT (content): Merge conflict in a", GitConflictError),
        (1, "Auto-merging a\nCONFLICT (content): Merge conflict in a\n", "", GitConflictError),
        (1, "Automatic merge failed; fix conflicts\n", "From x", GitConflictError),
        (127, "", "sh: 1: git: not found", GitNotFoundError),
        (127, "", "", GitNotFoundError),
        (1, "", "bash: git: command not found", GitNotFoundError),
        (1, "", "fatal: could not create work tree dir 'a': Permission denied", GitError),
        (1, "", "error: pathspec 'issue-403' did not match", GitError),
        (1, "nothing to commit, working tree clean\n", "", GitError),
        (1, "", "", GitError),
    ],
)
async def test_a_failure_has_the_class_of_its_reason(
    code: int, stdout: str, stderr: str, kind: type[GitError]
) -> None:
    # Recorded clients take local permissions and any 403 for refused credentials, and do not
    # look at standard output, where git writes about conflicts.
    git, _ = _git(code, stdout, stderr)
    with pytest.raises(GitError) as caught:
        await git.pull("/r")
    error = caught.value
    assert type(error) is kind
    assert (error.exit_code, error.stderr, error.request_id) == (code, stderr, "r-1")
    assert str(error).startswith(f"Git pull failed (exit code {code}): ")
    assert (stderr or stdout).strip() in str(error)


async def test_a_failure_of_the_contract_generation_is_read() -> None:
    text = "Execution failed. Error code:127 Error message: sh: 1: git: not found"
    service = Service(always(lambda: tool_says(text, is_error=True)))
    with pytest.raises(GitNotFoundError) as caught:
        await AsyncGit(session_of(service)).status("/r")
    assert caught.value.exit_code == 127


async def test_plain_output_of_the_contract_generation_is_read() -> None:
    service = Service(always(lambda: tool_says("## main\n M a\n")))
    assert (await AsyncGit(session_of(service)).status("/r")).current_branch == "main"


async def test_a_password_in_a_url_is_not_part_of_the_error() -> None:
    git, _ = _git(128, "", "fatal: unable to access 'https://me:hush@x/a'")
    with pytest.raises(GitError) as caught:
        await git.clone("https://me:hush@x/a")
    assert "hush" not in str(caught.value) + caught.value.stderr
    assert "https://***@x/a" in str(caught.value)


async def test_git_that_was_killed_at_its_limit_has_no_exit_code() -> None:
    text = '{"errorCode":-1,"stdout":"","stderr":""}'
    service = Service(always(lambda: tool_says(text, is_error=True)))
    with pytest.raises(GitError) as caught:
        await AsyncGit(session_of(service)).clone("https://x/a")
    assert caught.value.exit_code is None
    assert isinstance(caught.value.__cause__, CommandTimeoutError)
    assert caught.value.request_id == "r-1"


async def test_a_request_that_fails_is_a_git_error() -> None:
    def refuse(_: Sent) -> httpx.Response:
        raise httpx.ConnectError("no network")

    with pytest.raises(GitError, match="Git status failed: CallMcpTool") as caught:
        await AsyncGit(session_of(Service(refuse))).status("/r")
    assert isinstance(caught.value.__cause__, TransportError)
    body = {"RequestId": "r-7", "Code": "X.Y", "Message": "no"}
    service = Service(always(lambda: httpx.Response(400, json=body)))
    with pytest.raises(GitError) as refused:
        await AsyncGit(session_of(service)).status("/r")
    assert (refused.value.code, refused.value.request_id) == ("X.Y", "r-7")


@pytest.mark.parametrize(
    ("code", "stderr"),
    [(2, "error: No such remote 'o'"), (128, "fatal: No such remote 'o'"), (2, "错误:无此远程")],
)
async def test_a_remote_that_does_not_exist_has_no_url(code: int, stderr: str) -> None:
    git, _ = _git(code, "", stderr)
    assert await git.remote_get("/r", "o") is None


async def test_an_entry_that_is_not_set_has_no_value() -> None:
    git, _ = _git(1)
    assert await git.get_config("/r", "a.b") is None
    git, _ = _git(1, "", "error: key does not contain a section: x")
    with pytest.raises(GitError):
        await git.get_config("/r", "x")


async def test_values_lose_their_line_end_only() -> None:
    git, _ = _git(0, " a \n")
    assert await git.get_config("/r", "a.b") == " a "
    assert await git.remote_get("/r", "o") == " a "


def test_errors_have_the_defaults_of_their_class() -> None:
    kinds = (GitError, GitAuthError, GitNotARepoError, GitConflictError, GitNotFoundError)
    assert [kind().exit_code for kind in kinds] == [1, 1, 128, 1, 127]
    assert GitError().stderr == ""
    error = GitError("m", 3, "s", request_id="r")
    assert (str(error), error.exit_code, error.stderr, error.request_id) == ("m", 3, "s", "r")
    assert isinstance(error, AgentBayError)


# -- with git itself -------------------------------------------------------------------


@pytest.fixture
def real(tmp_path: Path) -> AsyncGit:
    """The commands are run here, by the shell."""
    if shutil.which("git") is None:
        pytest.skip("needs git: apt-get install git")
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}

    def answer(sent: Sent) -> httpx.Response:
        arguments = json.loads(sent.form["Args"])
        environment = {**home, **arguments["envs"]}
        done = subprocess.run(
            ["sh", "-c", arguments["command"]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        return _reply(done.returncode, done.stdout.decode(), done.stderr.decode())

    return AsyncGit(session_of(Service(answer)))


async def test_git_understands_the_commands(real: AsyncGit, tmp_path: Path) -> None:
    repo = str(tmp_path / "it's a repo")
    with pytest.raises(GitError):
        await real.status(repo)
    await real.init(repo, initial_branch="main")
    await real.configure_user("/does/not/exist", "Ada 'L\" B", "ada@example.com")
    assert await real.get_config("/does/not/exist", "user.name") == "Ada 'L\" B"
    assert await real.get_config(repo, "user.name", scope="local") is None
    await real.set_config(repo, "some.entry", "-x", scope="local")
    assert await real.get_config(repo, "some.entry", scope="local") == "-x"
    (tmp_path / "it's a repo" / "ä b").write_text("1\n")
    (tmp_path / "it's a repo" / "-c").write_text("1\n")
    status = await real.status(repo)
    assert (status.current_branch, status.untracked_count) == ("main", 2)
    assert {file.path for file in status.files} == {"ä b", "-c"}
    await real.add(repo, files=["-c"])
    assert (await real.status(repo)).staged_count == 1
    await real.add(repo)
    made = await real.commit(repo, "It's 'done'\n\n$(body)")
    (entry,) = (await real.log(repo)).entries
    assert made.commit_hash == entry.short_hash
    assert (entry.message, entry.author_name) == ("It's 'done'", "Ada 'L\" B")
    assert (await real.status(repo)).is_clean
    with pytest.raises(GitError, match="nothing to commit"):
        await real.commit(repo, "again")


async def test_branches_resets_and_restores_work(real: AsyncGit, tmp_path: Path) -> None:
    repo, file = str(tmp_path / "r"), tmp_path / "r" / "a b"
    await real.init(repo, initial_branch="main")
    await real.configure_user(repo, "A", "a@b", scope="local")
    first = (await real.commit(repo, "0", allow_empty=True)).commit_hash
    await real.create_branch(repo, "fix+detached#(1)")
    file.write_text("1\n")
    await real.add(repo, stage_all=False)
    await real.reset(repo, paths=["a b"])
    assert (await real.status(repo)).untracked_count == 1
    await real.add(repo)
    second = (await real.commit(repo, "1", author_name="B", author_email="b@c")).commit_hash
    assert (await real.log(repo, max_count=1)).entries[0].author_name == "B"
    file.write_text("2\n")
    assert (await real.status(repo)).current_branch == "fix+detached#(1)"
    await real.restore(repo, ["a b"])
    assert file.read_text() == "1\n"
    file.rename(tmp_path / "r" / "c -> d")
    await real.add(repo)
    (renamed,) = (await real.status(repo)).files
    assert (renamed.status, renamed.path, renamed.renamed_from) == ("renamed", "c -> d", "a b")
    await real.reset(repo, mode="hard", target=first)
    assert (await real.log(repo)).entries[0].short_hash == first
    await real.checkout_branch(repo, "main")
    await real.create_branch(repo, "spare", checkout=False)
    await real.delete_branch(repo, "fix+detached#(1)", force=True)
    names = [branch.name for branch in (await real.list_branches(repo)).branches]
    assert names == ["main", "spare"]
    await real.delete_branch(repo, "spare")
    assert second is not None
    await real.checkout_branch(repo, second)
    status, branches = await real.status(repo), await real.list_branches(repo)
    assert (status.detached, status.current_branch, branches.current) == (True, None, "")
    assert (await real.commit(repo, "2", allow_empty=True)).commit_hash is not None


async def test_remotes_pulls_and_conflicts_work(real: AsyncGit, tmp_path: Path) -> None:
    source, copy = str(tmp_path / "source"), str(tmp_path / "copy")
    await real.init(source, initial_branch="main")
    await real.configure_user("/", "A", "a@b")
    (tmp_path / "source" / "f").write_text("1\n")
    await real.add(source)
    await real.commit(source, "1")
    assert (await real.clone(source, path=copy, branch="main", depth=1)).path == copy
    assert await real.remote_get(copy, "origin") == source
    assert await real.remote_get(copy, "other") is None
    await real.remote_add(copy, "other", source, fetch=True)
    with pytest.raises(GitError, match="already exists"):
        await real.remote_add(copy, "other", source)
    await real.remote_add(copy, "other", "https://me:hush@x.test/a", overwrite=True)
    await real.remote_add(copy, "other", source, overwrite=True, fetch=True)
    assert await real.remote_get(copy, "other") == source
    (tmp_path / "source" / "f").write_text("2\n")
    await real.add(source)
    await real.commit(source, "2")
    await real.pull(copy)
    assert (tmp_path / "copy" / "f").read_text() == "2\n"
    for directory, text in (("source", "3\n"), ("copy", "4\n")):
        (tmp_path / directory / "f").write_text(text)
        await real.add(str(tmp_path / directory))
        await real.commit(str(tmp_path / directory), text)
    await real.set_config(copy, "pull.rebase", "false", scope="local")
    with pytest.raises(GitConflictError):
        await real.pull(copy, remote="origin", branch="main")
    status = await real.status(copy)
    assert (status.has_conflicts, status.conflict_count) == (True, 1)
    (tmp_path / "plain").mkdir()
    with pytest.raises(GitNotARepoError):
        await real.log(str(tmp_path / "plain"))
