"""Git repositories in a session."""

from __future__ import annotations

from collections.abc import Sequence

from .._results.git import (
    GitBranchListResult,
    GitCloneResult,
    GitCommitResult,
    GitInitResult,
    GitLogResult,
    GitStatusResult,
)
from ..errors import AgentBayError, GitError
from ..protocol import command
from ..protocol import git as lines
from ..protocol.command import ShellReply
from ._resource import Resource

# What the service may need on top of a command's own time limit, in seconds.
_MARGIN = 15.0


class AsyncGit(Resource):
    """Works with git repositories in a session.

    Methods raise a `GitError` when git fails, a `GitNotARepoError` where there is no repository
    and a `GitNotFoundError` where there is no git; and `InvalidInputError` for arguments that
    make no sense, before anything is sent. Time limits are in milliseconds, 30 seconds by
    default; at it git is killed. Git never asks for a password: it fails.
    """

    async def clone(
        self,
        url: str,
        *,
        path: str | None = None,
        branch: str | None = None,
        depth: int | None = None,
        timeout_ms: int | None = None,
    ) -> GitCloneResult:
        """Clone a repository.

        Args:
            url: Where it is.
            path: The directory to make; named like the repository, in the home directory of
                the session, by default.
            branch: The only branch to fetch, and to check out.
            depth: How many commits to fetch; all by default.
            timeout_ms: Time limit in milliseconds, 5 minutes by default.

        Raises:
            GitAuthError: The server wants credentials, or others.
            GitError: Git failed.
        """
        source = lines.plain("url", url)
        target = lines.directory_of(source) if path is None else lines.plain("path", path)
        arguments = ["clone"]
        if branch is not None:
            arguments += ["--branch", lines.plain("branch", branch), "--single-branch"]
        if depth is not None:
            arguments += ["--depth", lines.count("depth", depth)]
        arguments += [source, target]
        await self._git(arguments, "", timeout_ms, lines.CLONE_LIMIT, in_repo=False)
        return GitCloneResult(target)

    async def init(
        self,
        path: str,
        *,
        initial_branch: str | None = None,
        bare: bool = False,
        timeout_ms: int | None = None,
    ) -> GitInitResult:
        """Make an empty repository.

        Args:
            path: Its directory, which is made if it does not exist.
            initial_branch: Name of the first branch; git's own choice by default.
            bare: Make a repository without a work tree.
            timeout_ms: Time limit in milliseconds.

        Example:
            ```python
            await session.git.init("/tmp/project", initial_branch="main")
            ```
        """
        arguments = ["init"]
        if initial_branch is not None:
            arguments += ["--initial-branch", lines.plain("initial_branch", initial_branch)]
        arguments += ["--bare"] if bare else []
        arguments.append(lines.plain("path", path))
        await self._git(arguments, "", timeout_ms, in_repo=False)
        return GitInitResult(path)

    async def add(
        self,
        repo_path: str,
        *,
        files: Sequence[str] | None = None,
        stage_all: bool = True,
        timeout_ms: int | None = None,
    ) -> None:
        """Stage changes for the next commit.

        Args:
            repo_path: The repository.
            files: Files, directories or patterns to stage.
            stage_all: Without `files`: stage the whole work tree, deleted files too, rather
                than what is below `repo_path`.
            timeout_ms: Time limit in milliseconds.
        """
        if files is not None:
            arguments = ["--", *lines.paths("files", files)]
        else:
            arguments = ["-A" if stage_all else "."]
        await self._git(["add", *arguments], repo_path, timeout_ms)

    async def commit(
        self,
        repo_path: str,
        message: str,
        *,
        author_name: str | None = None,
        author_email: str | None = None,
        allow_empty: bool = False,
        timeout_ms: int | None = None,
    ) -> GitCommitResult:
        """Commit what is staged.

        Args:
            repo_path: The repository.
            message: The message.
            author_name: Who commits; as configured by default.
            author_email: Their address; as configured by default.
            allow_empty: Commit although nothing is staged.
            timeout_ms: Time limit in milliseconds.

        Raises:
            GitError: Nothing is staged, nobody is configured, or a hook refused.

        Example:
            ```python
            await session.git.init("/tmp/project")
            await session.git.commit(
                "/tmp/project",
                "Begin",
                author_name="Ada",
                author_email="ada@example.com",
                allow_empty=True,
            )
            ```
        """
        arguments: list[str] = []
        for key, value in (("name", author_name), ("email", author_email)):
            if value is not None:
                arguments += ["-c", f"user.{key}={lines.text(f'author_{key}', value)}"]
        arguments += ["commit", "-m", lines.text("message", message)]
        arguments += ["--allow-empty"] if allow_empty else []
        reply = await self._git(arguments, repo_path, timeout_ms, operation="commit")
        return GitCommitResult.parse(reply.stdout)

    async def status(self, repo_path: str, *, timeout_ms: int | None = None) -> GitStatusResult:
        """Tell the branch of a work tree, and which files differ from the last commit."""
        arguments = ["status", "--porcelain=1", "-b"]
        reply = await self._git(arguments, repo_path, timeout_ms)
        return GitStatusResult.parse(reply.stdout)

    async def log(
        self, repo_path: str, *, max_count: int | None = None, timeout_ms: int | None = None
    ) -> GitLogResult:
        """List the commits of the current branch, the latest first.

        Args:
            repo_path: The repository.
            max_count: How many commits at most; all by default.
            timeout_ms: Time limit in milliseconds.

        Raises:
            GitError: There is no commit yet.
        """
        arguments = ["log", lines.LOG_FORMAT]
        if max_count is not None:
            arguments += ["--max-count", lines.count("max_count", max_count)]
        reply = await self._git(arguments, repo_path, timeout_ms)
        return GitLogResult.parse(reply.stdout)

    async def list_branches(
        self, repo_path: str, *, timeout_ms: int | None = None
    ) -> GitBranchListResult:
        """List the local branches."""
        reply = await self._git(["branch", lines.BRANCH_FORMAT], repo_path, timeout_ms)
        return GitBranchListResult.parse(reply.stdout)

    async def create_branch(
        self,
        repo_path: str,
        branch: str,
        *,
        checkout: bool = True,
        timeout_ms: int | None = None,
    ) -> None:
        """Make a branch at the current commit, and check it out unless told otherwise."""
        how = ["checkout", "-b"] if checkout else ["branch"]
        await self._git([*how, lines.plain("branch", branch)], repo_path, timeout_ms)

    async def checkout_branch(
        self, repo_path: str, branch: str, *, timeout_ms: int | None = None
    ) -> None:
        """Check out a branch."""
        await self._git(["checkout", lines.plain("branch", branch)], repo_path, timeout_ms)

    async def delete_branch(
        self,
        repo_path: str,
        branch: str,
        *,
        force: bool = False,
        timeout_ms: int | None = None,
    ) -> None:
        """Delete a local branch; one with commits that no other has only with `force`."""
        arguments = ["branch", "-D" if force else "-d", lines.plain("branch", branch)]
        await self._git(arguments, repo_path, timeout_ms)

    async def remote_add(
        self,
        repo_path: str,
        name: str,
        url: str,
        *,
        fetch: bool = False,
        overwrite: bool = False,
        timeout_ms: int | None = None,
    ) -> None:
        """Add a remote repository.

        Args:
            repo_path: The repository.
            name: Name for the other one, such as ``origin``.
            url: Where it is.
            fetch: Fetch its branches.
            overwrite: Change the URL of a name that exists, rather than fail.
            timeout_ms: Time limit in milliseconds.
        """
        pair = [lines.plain("name", name), lines.plain("url", url)]
        if not overwrite:
            arguments = ["remote", "add", *(["-f"] if fetch else []), *pair]
            await self._git(arguments, repo_path, timeout_ms)
            return
        line = self._add_or_replace(pair, repo_path, fetch)
        await self._run("remote", line, lines.limit(timeout_ms, lines.DEFAULT_LIMIT))

    def _add_or_replace(self, pair: list[str], repo_path: str, fetch: bool) -> str:
        quoting = self._quoting()
        ways = (quoting.git(["remote", way, *pair], repo_path) for way in ("add", "set-url"))
        line = " || ".join(ways)
        return f"( {line} ) && {quoting.git(['fetch', pair[0]], repo_path)}" if fetch else line

    async def remote_get(
        self, repo_path: str, name: str, *, timeout_ms: int | None = None
    ) -> str | None:
        """Tell the URL of a remote repository; None when there is none of this name."""
        arguments = ["remote", "get-url", lines.plain("name", name)]
        try:
            reply = await self._git(arguments, repo_path, timeout_ms)
        except GitError as exc:
            if exc.exit_code == lines.NO_REMOTE or "no such remote" in exc.stderr.lower():
                return None
            raise
        return reply.stdout.removesuffix("\n")

    async def reset(
        self,
        repo_path: str,
        *,
        mode: str | None = None,
        target: str | None = None,
        paths: Sequence[str] | None = None,
        timeout_ms: int | None = None,
    ) -> None:
        """Go back to a commit, or take changes out of the next one.

        Args:
            repo_path: The repository.
            mode: ``"hard"`` (drops changes), ``"keep"``, ``"merge"``, ``"mixed"`` or
                ``"soft"``; git's own choice, mixed, by default.
            target: The commit; the current one by default.
            paths: Only take these files out of the next commit.
            timeout_ms: Time limit in milliseconds.
        """
        arguments = ["reset"]
        if mode is not None:
            arguments += ["--" + lines.choice("reset mode", mode, lines.RESET_MODES)]
        arguments += [] if target is None else [lines.plain("target", target)]
        arguments += [] if paths is None else ["--", *lines.paths("paths", paths)]
        await self._git(arguments, repo_path, timeout_ms)

    async def restore(
        self,
        repo_path: str,
        paths: Sequence[str],
        *,
        staged: bool = False,
        worktree: bool | None = None,
        source: str | None = None,
        timeout_ms: int | None = None,
    ) -> None:
        """Bring files back to an earlier state; their changes are lost.

        Args:
            repo_path: The repository.
            paths: Files, directories or patterns.
            staged: Take them out of the next commit.
            worktree: Change the files themselves; so by default, unless `staged` is set.
            source: The commit to take them from; git's own choice by default.
            timeout_ms: Time limit in milliseconds.
        """
        arguments = ["restore"]
        arguments += ["--worktree"] if lines.in_worktree(worktree, staged=staged) else []
        arguments += ["--staged"] if staged else []
        arguments += [] if source is None else ["--source", lines.plain("source", source)]
        arguments += ["--", *lines.paths("paths", paths)]
        await self._git(arguments, repo_path, timeout_ms)

    async def pull(
        self,
        repo_path: str,
        *,
        remote: str | None = None,
        branch: str | None = None,
        timeout_ms: int | None = None,
    ) -> None:
        """Fetch from a remote repository and merge.

        Args:
            repo_path: The repository.
            remote: Name of the other one; the upstream of the branch by default.
            branch: Branch of the other one. Needs `remote`.
            timeout_ms: Time limit in milliseconds, 2 minutes by default.

        Raises:
            GitConflictError: The changes of both sides contradict each other.
            GitAuthError: The server wants credentials, or others.
            GitError: Git failed.
        """
        arguments = ["pull", *lines.source(remote, branch)]
        await self._git(arguments, repo_path, timeout_ms, lines.PULL_LIMIT)

    async def configure_user(
        self,
        repo_path: str,
        name: str,
        email: str,
        *,
        scope: str = "global",
        timeout_ms: int | None = None,
    ) -> None:
        """Set the name and the address that commits are made with.

        Args:
            repo_path: The repository; not looked at when the scope is ``"global"``.
            name: The name.
            email: The address.
            scope: ``"global"`` for all repositories of the session, or ``"local"``.
            timeout_ms: Time limit in milliseconds, for each of the two.
        """
        pairs = (
            ("user.name", lines.text("name", name)),
            ("user.email", lines.text("email", email)),
        )
        for key, value in pairs:
            await self.set_config(repo_path, key, value, scope=scope, timeout_ms=timeout_ms)

    async def set_config(
        self,
        repo_path: str,
        key: str,
        value: str,
        *,
        scope: str = "global",
        timeout_ms: int | None = None,
    ) -> None:
        """Set an entry of the configuration.

        Args:
            repo_path: The repository; not looked at when the scope is ``"global"``.
            key: Name of the entry, such as ``core.editor``.
            value: Its value.
            scope: ``"global"`` for all repositories of the session, or ``"local"``.
            timeout_ms: Time limit in milliseconds.
        """
        where = lines.choice("scope", scope, lines.SCOPES)
        # Behind two hyphens, git takes no value for an option.
        ending = ["--"] if lines.text("value", value).startswith("-") else []
        arguments = ["config", f"--{where}", *ending, lines.plain("key", key), value]
        await self._git(arguments, repo_path, timeout_ms, in_repo=where == "local")

    async def get_config(
        self,
        repo_path: str,
        key: str,
        *,
        scope: str = "global",
        timeout_ms: int | None = None,
    ) -> str | None:
        """Tell an entry of the configuration; None when it is not set.

        Args:
            repo_path: The repository; not looked at when the scope is ``"global"``.
            key: Name of the entry, such as ``user.name``.
            scope: ``"global"`` for all repositories of the session, or ``"local"``.
            timeout_ms: Time limit in milliseconds.
        """
        where = lines.choice("scope", scope, lines.SCOPES)
        arguments = ["config", f"--{where}", "--get", lines.plain("key", key)]
        try:
            reply = await self._git(arguments, repo_path, timeout_ms, in_repo=where == "local")
        except GitError as exc:
            if exc.exit_code == lines.NOT_SET and not exc.stderr.strip():
                return None
            raise
        return reply.stdout.removesuffix("\n")

    async def _git(
        self,
        arguments: Sequence[str],
        repo_path: str,
        timeout_ms: int | None,
        default: int = lines.DEFAULT_LIMIT,
        *,
        operation: str = "",
        in_repo: bool = True,
    ) -> ShellReply:
        """Run one git command, in a repository or where the session is."""
        repo = lines.plain("repo_path", repo_path) if in_repo else None
        line = self._quoting().git(arguments, repo)
        return await self._run(operation or arguments[0], line, lines.limit(timeout_ms, default))

    async def _run(self, operation: str, line: str, limit: int) -> ShellReply:
        call = command.Shell(line, limit, None, lines.ENVIRONMENT)
        try:
            reply = await self._call(call, timeout=limit / 1000 + _MARGIN)
        except AgentBayError as exc:
            facts = {"request_id": exc.request_id, "action": exc.action, "code": exc.code}
            message = f"Git {operation} failed: {exc}"
            raise GitError(message, None, **facts) from exc
        found = reply.value
        if found.exit_code != 0:
            error = lines.failure(operation, found.exit_code, found.stdout, found.stderr)
            error.request_id = reply.request_id
            raise error
        return found

    def _quoting(self) -> lines.Quoting:
        return lines.Quoting(windows="windows" in self._session.image_id.lower())
