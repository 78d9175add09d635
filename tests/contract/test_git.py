"""Git repositories in sessions, as a user of the client sees them."""

from __future__ import annotations

import base64
import shutil
import uuid
from pathlib import Path

import pytest

from agentbay import AsyncAgentBay, AsyncSession, ContextSync, CreateSessionParams
from agentbay.errors import (
    GitAuthError,
    GitConflictError,
    GitError,
    GitNotARepoError,
    GitNotFoundError,
)

from ..local.sandboxes import until
from .observing import shell

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="needs git: apt-get install git"
)

PORT = 30160
WORK, OTHER, ORIGIN = "/tmp/work", "/tmp/other", "/tmp/origin.git"
PASSWORD = "open-sesame"

# Serves what lies below /tmp as git servers do, to those who know the password.
SERVER = f"""
import base64, http.server, os, subprocess

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        given = self.headers.get("Authorization", "").partition(" ")[2]
        if base64.b64decode(given) != b"ada:{PASSWORD}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        variables = {{
            "GIT_PROJECT_ROOT": "/tmp", "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "ada",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True,
            env={{**os.environ, **variables}}, check=True,
        ).stdout
        head, _, content = reply.partition(b"\\r\\n\\r\\n")
        self.send_response(200)
        for line in head.decode().split("\\r\\n"):
            self.send_header(*line.split(": ", 1))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

http.server.ThreadingHTTPServer(("127.0.0.1", {PORT}), Handler).serve_forever()
"""


@pytest.fixture
async def origin(session: AsyncSession) -> str:
    """A repository without a work tree, with one commit that `WORK` has as well."""
    await session.git.configure_user(WORK, "Ada", "ada@example.com")
    await session.git.init(ORIGIN, bare=True, initial_branch="main")
    await session.git.init(WORK, initial_branch="main")
    await session.git.remote_add(WORK, "origin", ORIGIN)
    await _commit(session, WORK, "notes.txt", "one\n", "Begin")
    await shell(session, f"git -C {WORK} push -q -u origin main")
    return ORIGIN


async def _commit(
    session: AsyncSession, repo: str, name: str, content: str, message: str
) -> str | None:
    (await session.file_system.write_file(f"{repo}/{name}", content)).unwrap()
    await session.git.add(repo)
    return (await session.git.commit(repo, message)).commit_hash


async def _read(session: AsyncSession, path: str) -> str:
    return (await session.file_system.read_file(path)).unwrap()


# -- the way of a change ---------------------------------------------------------------


async def test_a_change_reaches_another_clone(session: AsyncSession, origin: str) -> None:
    assert (await session.git.clone(origin, path=OTHER)).path == OTHER

    made = await _commit(session, WORK, "notes.txt", "one\ntwo\n", "Add two")
    ahead = await session.git.status(WORK)
    await shell(session, f"git -C {WORK} push -q")
    await session.git.pull(OTHER)

    assert made
    assert (ahead.current_branch, ahead.upstream, ahead.ahead) == ("main", "origin/main", 1)
    assert await _read(session, f"{OTHER}/notes.txt") == "one\ntwo\n"
    entries = (await session.git.log(OTHER)).entries
    assert [entry.message for entry in entries] == ["Add two", "Begin"]
    assert entries[0].short_hash == made
    assert (entries[0].author_name, entries[0].author_email) == ("Ada", "ada@example.com")


async def test_a_clone_without_a_path_is_named_like_its_repository(
    session: AsyncSession, origin: str
) -> None:
    path = (await session.git.clone(origin)).path

    assert path == "origin"
    assert await _read(session, "/home/wuying/origin/notes.txt") == "one\n"


async def test_a_clone_can_be_shallow_and_of_one_branch(session: AsyncSession, origin: str) -> None:
    await _commit(session, WORK, "notes.txt", "two\n", "Go on")
    await shell(session, f"git -C {WORK} push -q; git -C {WORK} push -q origin main:aside")

    # A path would be copied as it is; only a URL is served in part.
    await session.git.clone(f"file://{origin}", path=OTHER, branch="aside", depth=1)

    assert [entry.message for entry in (await session.git.log(OTHER)).entries] == ["Go on"]
    assert (await session.git.list_branches(OTHER)).current == "aside"


async def test_branches_are_made_listed_and_deleted(session: AsyncSession, origin: str) -> None:
    await session.git.create_branch(WORK, "feature")
    await _commit(session, WORK, "feature.txt", "new", "Add a feature")
    await session.git.create_branch(WORK, "later", checkout=False)
    listed = await session.git.list_branches(WORK)
    await session.git.checkout_branch(WORK, "main")

    with pytest.raises(GitError, match="not fully merged"):
        await session.git.delete_branch(WORK, "feature")
    await session.git.delete_branch(WORK, "feature", force=True)

    assert listed.current == "feature"
    assert {branch.name for branch in listed.branches} == {"feature", "later", "main"}
    left = (await session.git.list_branches(WORK)).branches
    assert {branch.name for branch in left} == {"later", "main"}
    assert not (await session.file_system.read_file(f"{WORK}/feature.txt")).success


async def test_status_tells_each_kind_of_change(session: AsyncSession, origin: str) -> None:
    assert (await session.git.status(WORK)).is_clean
    for name in ("gone.txt", "old name.txt"):
        await session.file_system.write_file(f"{WORK}/{name}", f"a file named {name}\n" * 5)
    await session.git.add(WORK)
    await session.git.commit(WORK, "More files")

    await shell(session, f"cd {WORK} && rm gone.txt && git mv 'old name.txt' 'größe.txt'")
    await session.file_system.write_file(f"{WORK}/notes.txt", "changed\n")
    await session.file_system.write_file(f"{WORK}/fresh file.txt", "fresh\n")
    status = await session.git.status(WORK)

    found = {file.path: (file.status, file.staged) for file in status.files}
    assert found == {
        "gone.txt": ("deleted", False),
        "größe.txt": ("renamed", True),
        "notes.txt": ("modified", False),
        "fresh file.txt": ("untracked", False),
    }
    assert [file.renamed_from for file in status.files if file.staged] == ["old name.txt"]


async def test_changes_are_unstaged_restored_and_reset(session: AsyncSession, origin: str) -> None:
    await session.file_system.write_file(f"{WORK}/notes.txt", "worse\n")
    await session.git.add(WORK, files=["notes.txt"])
    await session.git.reset(WORK, paths=["notes.txt"])
    assert not (await session.git.status(WORK)).has_staged

    await session.git.restore(WORK, ["notes.txt"])
    assert await _read(session, f"{WORK}/notes.txt") == "one\n"

    await _commit(session, WORK, "notes.txt", "two\n", "A mistake")
    await session.git.reset(WORK, mode="hard", target="HEAD~1")
    assert await _read(session, f"{WORK}/notes.txt") == "one\n"


async def test_remotes_are_told_and_changed(session: AsyncSession, origin: str) -> None:
    assert await session.git.remote_get(WORK, "origin") == origin
    assert await session.git.remote_get(WORK, "nobody") is None

    with pytest.raises(GitError, match="already exists"):
        await session.git.remote_add(WORK, "origin", "/tmp/elsewhere.git")
    await session.git.remote_add(WORK, "origin", "/tmp/elsewhere.git", overwrite=True)

    assert await session.git.remote_get(WORK, "origin") == "/tmp/elsewhere.git"


async def test_settings_hold_for_the_session_or_one_repository(
    session: AsyncSession, origin: str
) -> None:
    value = "'quoted' \"twice\" $HOME; `true`"
    await session.git.set_config(WORK, "agentbay.motto", value, scope="local")

    assert await session.git.get_config(WORK, "agentbay.motto", scope="local") == value
    assert await session.git.get_config(WORK, "agentbay.motto") is None
    assert await session.git.get_config("/nowhere", "user.name") == "Ada"


async def test_a_repository_lives_on_in_a_context(bay: AsyncAgentBay) -> None:
    context = (await bay.context.create(f"git-{uuid.uuid4().hex}")).unwrap()
    params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/project")])
    async with bay.session(params) as first:
        await first.git.init("/home/wuying/project", initial_branch="main")
        await first.git.configure_user("/home/wuying/project", "Ada", "a@b.c", scope="local")
        made = await _commit(first, "/home/wuying/project", "run.sh", "echo", "Begin")

    async with bay.session(params) as second:
        assert (await second.git.status("/home/wuying/project")).is_clean
        (entry,) = (await second.git.log("/home/wuying/project")).entries

    assert entry.short_hash == made


# -- failures --------------------------------------------------------------------------


async def test_a_directory_without_a_repository_is_said_so(session: AsyncSession) -> None:
    with pytest.raises(GitNotARepoError):
        await session.git.status("/tmp")
    with pytest.raises(GitError, match="No such file"):
        await session.git.status("/nowhere")
    with pytest.raises(GitError, match="does not exist"):
        await session.git.clone("/tmp/nothing.git", path=OTHER)


async def test_changes_that_contradict_each_other_are_a_conflict(
    session: AsyncSession, origin: str
) -> None:
    await session.git.clone(origin, path=OTHER)
    await session.git.set_config(OTHER, "pull.rebase", "false")
    await _commit(session, WORK, "notes.txt", "mine\n", "Mine")
    await shell(session, f"git -C {WORK} push -q")
    await _commit(session, OTHER, "notes.txt", "yours\n", "Yours")

    with pytest.raises(GitConflictError):
        await session.git.pull(OTHER)

    status = await session.git.status(OTHER)
    assert [file.path for file in status.files if file.status == "conflict"] == ["notes.txt"]


async def test_a_commit_of_nothing_says_why_it_fails(session: AsyncSession, origin: str) -> None:
    with pytest.raises(GitError, match="nothing to commit"):
        await session.git.commit(WORK, "Nothing")
    assert (await session.git.commit(WORK, "Nothing", allow_empty=True)).commit_hash


async def test_a_session_without_git_says_so(session: AsyncSession) -> None:
    await session.env.set({"PATH": "/tmp"})

    with pytest.raises(GitNotFoundError, match="not found"):
        await session.git.status("/tmp")


# -- servers and credentials -----------------------------------------------------------


@pytest.fixture
async def served(session: AsyncSession, origin: str) -> str:
    """The URL of the repository on a server that wants a password."""
    await shell(session, f"git -C {origin} config http.receivepack true")
    await session.file_system.write_file("/tmp/serve.py", SERVER)
    await shell(session, "python3 /tmp/serve.py > /tmp/serve.log 2>&1 &")
    probe = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"

    async def answers() -> bool:
        return (await session.command.run(f'python3 -c "{probe}"')).success

    await until(answers)
    return f"http://127.0.0.1:{PORT}/origin.git"


async def _know_password(session: AsyncSession, password: str = PASSWORD) -> None:
    """Give git the password by the environment, which other programs cannot read."""
    basic = base64.b64encode(f"ada:{password}".encode()).decode()
    await session.env.set(
        {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
    )


async def test_a_change_travels_over_http(session: AsyncSession, served: str) -> None:
    await _know_password(session)
    await session.git.clone(served, path=OTHER)
    await _commit(session, OTHER, "notes.txt", "by http\n", "Change over HTTP")

    await shell(session, f"git -C {OTHER} push -q")
    await session.git.pull(WORK)

    assert await _read(session, f"{WORK}/notes.txt") == "by http\n"


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_a_server_that_wants_a_password_is_not_waited_for(
    session: AsyncSession, served: str, password: str | None
) -> None:
    if password is not None:
        await _know_password(session, password)

    with pytest.raises(GitAuthError):
        await session.git.clone(served, path=OTHER)


async def test_credentials_in_the_environment_stay_out_of_files_and_command_lines(
    session: AsyncSession, served: str
) -> None:
    await _know_password(session)
    # The hook runs while git does, and sees all the processes of the session.
    hook = "/tmp/hooks/post-checkout"
    script = (
        "#!/bin/sh\nfor p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done > /tmp/seen"
    )
    await session.file_system.write_file(hook, script)
    await shell(session, f"chmod +x {hook}")
    await session.git.set_config(WORK, "core.hooksPath", "/tmp/hooks")

    await session.git.clone(served, path=OTHER)

    secret = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    assert "git" in await _read(session, "/tmp/seen")
    done = await session.command.run(f"grep -rlF {secret} /tmp/seen {OTHER} /home/wuying")
    assert done.stdout == ""


async def test_an_error_does_not_show_the_password_of_a_url(
    session: AsyncSession, served: str
) -> None:
    url = served.replace("//", "//ada:top-secret@")

    with pytest.raises(GitAuthError) as caught:
        await session.git.clone(url, path=OTHER)

    assert "top-secret" not in f"{caught.value} {caught.value!r} {caught.value.stderr}"


@pytest.mark.embedded_only
async def test_the_hosts_settings_of_git_do_not_reach_the_session(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\n\tname = The Host\n[credential]\n\thelper = store\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))

    assert await session.git.get_config("/tmp", "user.name") is None
    assert await session.git.get_config("/tmp", "credential.helper") is None
    assert "The Host" not in await shell(session, "git config --list --show-origin; env")
