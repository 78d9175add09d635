"""Contexts, and how they follow sessions, as a user of the client sees it."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentbay import (
    AsyncAgentBay,
    AsyncSession,
    BetaContextMount,
    ContextNotFoundError,
    ContextSync,
    CreateSessionParams,
    InvalidInputError,
)
from agentbay.protocol.contexts import Context
from agentbay.protocol.sync_policy import (
    BWList,
    DeletePolicy,
    DownloadPolicy,
    SyncPolicy,
    UploadPolicy,
    WhiteList,
)

from .observing import session_directories, shell

WORK = "/home/wuying/work"


def _name() -> str:
    """A name that no other test uses: contexts outlive tests."""
    return f"context-{uuid.uuid4().hex}"


@pytest.fixture
async def context(bay: AsyncAgentBay) -> Context:
    return (await bay.context.create(_name())).unwrap()


def _params(context: Context, policy: SyncPolicy | None = None) -> CreateSessionParams:
    return CreateSessionParams(context_syncs=[ContextSync(context.id, WORK, policy)])


async def _written(bay: AsyncAgentBay, context: Context, command: str) -> None:
    """Run a command in the context's directory, in a session that is deleted after it."""
    async with bay.session(_params(context)) as session:
        (await session.command.run(command, cwd=WORK)).unwrap()


async def _found(bay: AsyncAgentBay, context: Context, command: str = "find . | sort") -> str:
    """What a command prints in the context's directory, in another session."""
    async with bay.session(_params(context)) as session:
        return (await session.command.run(command, cwd=WORK)).unwrap()


# -- the contexts of the account -------------------------------------------------------


async def test_a_context_is_created_once_and_found_by_name_and_id(bay: AsyncAgentBay) -> None:
    name = _name()

    created = await bay.context.create(name)
    context = created.unwrap()

    assert created.context_id == context.id
    assert context.name == name
    assert context.created_at
    assert (await bay.context.create(name)).context_id == context.id
    assert (await bay.context.get(name)).context_id == context.id
    assert (await bay.context.get(name, create=True)).context_id == context.id
    assert (await bay.context.get(context_id=context.id)).unwrap().name == name


async def test_a_context_that_is_not_there_is_not_made(bay: AsyncAgentBay) -> None:
    name = _name()
    for _ in range(2):
        result = await bay.context.get(name)

        assert not result.success
        assert isinstance(result.error, ContextNotFoundError)
        assert name in result.error_message
        assert result.context is None


async def test_a_context_is_asked_for_by_name_or_by_id(bay: AsyncAgentBay) -> None:
    for result in (
        await bay.context.get(),
        await bay.context.get(""),
        await bay.context.get(context_id="SdkCtx-1", create=True),
    ):
        assert isinstance(result.error, InvalidInputError)


@pytest.mark.parametrize("name", ["x" * 300, "a\nb"], ids=["long", "line"])
async def test_a_name_that_cannot_be_used_is_refused(bay: AsyncAgentBay, name: str) -> None:
    result = await bay.context.create(name)

    assert not result.success
    assert result.code == "InvalidParameter"


async def test_contexts_are_listed_page_by_page(bay: AsyncAgentBay) -> None:
    made = {(await bay.context.create(_name())).context_id for _ in range(3)}
    page = await bay.context.list(max_results=2)
    seen = [context.id for context in page.unwrap()]
    while page.next_token:
        assert len(page.contexts) == page.max_results == 2
        page = await bay.context.list(max_results=2, next_token=page.next_token)
        seen += [context.id for context in page.unwrap()]

    assert made <= set(seen)
    assert len(seen) == len(set(seen)) == page.total_count


async def test_a_page_token_that_is_not_one_is_refused(bay: AsyncAgentBay) -> None:
    assert not (await bay.context.list(next_token="x")).success


@pytest.mark.engine_only
@pytest.mark.parametrize("page", [{"max_results": -1}, {"next_token": str(10**30)}])
async def test_a_page_that_cannot_be_is_refused(bay: AsyncAgentBay, page: dict[str, Any]) -> None:
    assert (await bay.context.list(**page)).code == "InvalidParameter"


@pytest.mark.engine_only
async def test_a_file_for_another_directory_is_told_where_files_go(
    session: AsyncSession, tmp_path: Path
) -> None:
    local = tmp_path / "a.txt"
    local.write_text("hello")
    place = await session.file_system.get_file_transfer_context_path()

    result = await session.file_system.upload_file(local, "/home/wuying/a.txt")

    assert not result.success
    assert str(place) in result.error_message


async def test_a_renamed_context_keeps_its_id(bay: AsyncAgentBay, context: Context) -> None:
    name = _name()

    assert (await bay.context.update(Context(context.id, name))).success

    assert (await bay.context.get(name)).context_id == context.id
    assert not (await bay.context.get(context.name)).success


async def test_a_name_that_is_taken_is_refused(bay: AsyncAgentBay, context: Context) -> None:
    other = (await bay.context.create(_name())).unwrap()

    result = await bay.context.update(Context(context.id, other.name))

    assert not result.success
    assert other.name in result.error_message


async def test_a_deleted_context_is_gone(bay: AsyncAgentBay, context: Context) -> None:
    assert (await bay.context.delete(context)).success

    for result in (
        await bay.context.get(context.name),
        await bay.context.get(context_id=context.id),
        await bay.context.delete(context),
        await bay.context.update(context),
    ):
        assert isinstance(result.error, ContextNotFoundError)


# -- from one session to the next ------------------------------------------------------


async def test_files_persist_when_a_session_is_deleted_with_sync(
    bay: AsyncAgentBay, context: Context
) -> None:
    session = (await bay.create(_params(context))).unwrap()
    await session.file_system.write_file(f"{WORK}/a.txt", "hello 📏")

    result = await session.delete(sync_context=True)

    assert result.success
    assert result.sync_error is None
    assert await _found(bay, context, "cat a.txt") == "hello 📏"


@pytest.mark.engine_only
async def test_what_a_session_sees_of_the_machine_is_not_saved(
    bay: AsyncAgentBay, context: Context
) -> None:
    params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/etc")])
    async with bay.session(params, sync_context=True) as session:
        machines = await shell(session, "awk '$6 ~ /^ro/ { print $5 }' /proc/self/mountinfo")
        await session.file_system.write_file("/etc/mine.conf", "hello")

    saved = {entry.file_path async for entry in bay.context.list_all_files(context.id, "/")}

    assert "/mine.conf" in saved
    assert {path for path in machines.split() if path.startswith("/etc/")}
    assert not {f"/etc{path}" for path in saved} & set(machines.split())


async def test_files_persist_when_a_session_is_just_deleted(
    bay: AsyncAgentBay, context: Context
) -> None:
    session = (await bay.create(_params(context))).unwrap()
    await session.file_system.write_file(f"{WORK}/a.txt", "hello")

    assert (await session.delete()).success

    assert await _found(bay, context, "cat a.txt") == "hello"


async def test_a_block_can_sync_at_its_end(bay: AsyncAgentBay, context: Context) -> None:
    manual = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))
    async with bay.session(_params(context, manual), sync_context=True) as session:
        await session.file_system.write_file(f"{WORK}/a.txt", "hello")

    assert await _found(bay, context, "cat a.txt") == "hello"


async def test_the_directory_of_an_empty_context_is_there(
    bay: AsyncAgentBay, context: Context
) -> None:
    assert await _found(bay, context) == ".\n"


async def test_links_modes_times_and_empty_directories_persist(
    bay: AsyncAgentBay, context: Context
) -> None:
    tree = (
        "mkdir -p empty sub/deep; printf x > 'sub/é [1]'; printf run > tool; chmod 751 tool; "
        "chmod 500 sub/deep; : > nothing; ln -s tool link; ln -s /nowhere broken; "
        "touch -d 2001-02-03T04:05:06Z tool"
    )
    look = "find . -printf '%p %y %s %l ' -exec stat -c %a {} ';' | grep -v ' d ' | sort; "
    look += "stat -c '%n %a' sub/deep empty; stat -c %Y tool"
    async with bay.session(_params(context)) as session:
        before = (await session.command.run(f"({tree}); {look}", cwd=WORK)).unwrap()

    assert "./link l 4 tool" in before
    assert await _found(bay, context, look) == before


async def test_a_file_of_twenty_megabytes_persists(bay: AsyncAgentBay, context: Context) -> None:
    await _written(
        bay, context, "head -c 20971520 /dev/urandom > big; sha256sum big > sum; ls -l big"
    )

    assert await _found(bay, context, "sha256sum -c sum; stat -c %s big") == "big: OK\n20971520\n"


async def test_a_deleted_file_leaves_the_context(bay: AsyncAgentBay, context: Context) -> None:
    await _written(bay, context, "mkdir d; touch a b d/c")
    await _written(bay, context, "rm -r a d")

    assert await _found(bay, context) == ".\n./b\n"


async def test_a_deleted_file_stays_when_the_policy_says_so(
    bay: AsyncAgentBay, context: Context
) -> None:
    await _written(bay, context, "touch a b")
    keep = SyncPolicy(delete_policy=DeletePolicy(sync_local_file=False))
    async with bay.session(_params(context, keep)) as session:
        await shell(session, f"rm {WORK}/a")

    assert await _found(bay, context) == ".\n./a\n./b\n"


async def test_two_sessions_keep_each_others_files(bay: AsyncAgentBay, context: Context) -> None:
    await _written(bay, context, "touch old kept")
    params = _params(context)
    async with bay.session(params) as one, bay.session(params) as other:
        await shell(one, f"touch {WORK}/one; rm {WORK}/old")
        await shell(other, f"touch {WORK}/other")

    assert await _found(bay, context) == ".\n./kept\n./one\n./other\n"


async def test_a_session_with_two_contexts_keeps_them_apart(
    bay: AsyncAgentBay, context: Context
) -> None:
    second = (await bay.context.create(_name())).unwrap()
    syncs = [ContextSync(context.id, "/mnt/one"), ContextSync(second.id, "/mnt/two")]
    async with bay.session(CreateSessionParams(context_syncs=syncs)) as session:
        await shell(session, "touch /mnt/one/1 /mnt/two/2")

    assert await _found(bay, context) == ".\n./1\n"
    assert await _found(bay, second) == ".\n./2\n"


async def test_a_session_that_does_not_download_starts_empty(
    bay: AsyncAgentBay, context: Context
) -> None:
    await _written(bay, context, "touch old")
    none = SyncPolicy(download_policy=DownloadPolicy(auto_download=False))
    params = CreateSessionParams(
        context_syncs=[ContextSync(context.id, WORK, none, beta_wait_for_completion=False)]
    )
    async with bay.session(params) as session:
        assert not (await session.file_system.get_file_info(f"{WORK}/old")).success
        assert (await session.context.sync(mode="download")).success
        assert (await session.file_system.get_file_info(f"{WORK}/old")).success
        await shell(session, f"touch {WORK}/new")

    assert await _found(bay, context) == ".\n./new\n./old\n"


async def test_who_waits_for_a_context_that_brings_nothing_waits_no_longer(
    bay: AsyncAgentBay, context: Context
) -> None:
    other = (await bay.context.create(_name())).unwrap()
    none = SyncPolicy(download_policy=DownloadPolicy(auto_download=False))
    with anyio.fail_after(40):
        async with bay.session(_params(context, none)) as session:
            (created,) = (await session.context.info(task_type="download")).unwrap()
            (await session.context.bind(ContextSync(other.id, "/mnt/late", none))).unwrap()
            transfers = (await session.context.info(other.id, task_type="download")).unwrap()

    assert (created.context_id, created.path, created.status) == (context.id, WORK, "Success")
    assert [(t.path, t.status) for t in transfers] == [("/mnt/late", "Success")]


@pytest.mark.engine_only
async def test_a_mount_is_refused_with_what_to_do_instead(
    bay: AsyncAgentBay, session: AsyncSession, context: Context
) -> None:
    mount = BetaContextMount(context.id, "/mnt/a")

    for result in (
        await bay.create(CreateSessionParams(beta_context_mounts=[mount])),
        await session.context.bind(mount),
    ):
        assert not result.success
        assert "cannot mount" in result.error_message
        assert "use ContextSync" in result.error_message


# -- policies --------------------------------------------------------------------------


async def test_without_auto_upload_only_sync_saves(bay: AsyncAgentBay, context: Context) -> None:
    manual = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))
    async with bay.session(_params(context, manual)) as session:
        await shell(session, f"touch {WORK}/saved")
        assert (await session.context.sync()).success
        await shell(session, f"touch {WORK}/lost")

    assert await _found(bay, context) == ".\n./saved\n"


async def test_a_white_list_names_what_is_saved(bay: AsyncAgentBay, context: Context) -> None:
    rules = BWList([WhiteList("src", exclude_paths=["src/cache"]), WhiteList("notes.txt")])
    async with bay.session(_params(context, SyncPolicy(bw_list=rules))) as session:
        await shell(
            session, f"cd {WORK}; mkdir -p src/cache src/a; touch src/cache/x src/a/y notes.txt no"
        )

    found = await _found(bay, context, "find . -type f | sort")
    assert found == "./notes.txt\n./src/a/y\n"


async def test_what_a_white_list_leaves_out_stays_in_the_context(
    bay: AsyncAgentBay, context: Context
) -> None:
    await _written(bay, context, "mkdir src; touch src/a other")
    rules = SyncPolicy(bw_list=BWList([WhiteList("src")]))
    async with bay.session(_params(context, rules)) as session:
        await shell(session, f"rm -f {WORK}/src/a {WORK}/other; touch {WORK}/src/b")

    assert await _found(bay, context, "find . -type f | sort") == "./other\n./src/b\n"


@pytest.mark.engine_only
@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["relative/path"], "relative/path"),
        (["/"], "absolute path"),
        (["/mnt/a", "/mnt/a"], "/mnt/a"),
        (["/mnt/a", "/mnt/b/../a"], "/mnt/a"),
        (["/mnt/a/b", "/mnt/a"], "/mnt/a"),
        (["/usr/lib/mine"], "/usr is this machine's"),
        (["/mnt/../bin"], "/bin is this machine's"),
        (["/proc"], "/proc is this machine's"),
    ],
)
async def test_paths_that_cannot_be_used_are_refused_before_a_session_exists(
    bay: AsyncAgentBay, context: Context, paths: list[str], named: str
) -> None:
    before = session_directories()
    other = (await bay.context.create(_name())).unwrap()
    ids = [context.id, other.id]
    syncs = [ContextSync(id_, path) for id_, path in zip(ids, paths, strict=False)]

    result = await bay.create(CreateSessionParams(context_syncs=syncs))

    assert not result.success
    assert named in result.error_message
    assert session_directories() == before


@pytest.mark.engine_only
async def test_an_unknown_context_is_refused_before_a_session_exists(bay: AsyncAgentBay) -> None:
    before = session_directories()

    result = await bay.create(_params(Context("SdkCtx-unknown")))

    assert isinstance(result.error, ContextNotFoundError)
    assert "SdkCtx-unknown" in result.error_message
    assert session_directories() == before


@pytest.mark.engine_only
async def test_a_session_whose_context_cannot_be_brought_in_is_not_kept(
    bay: AsyncAgentBay, context: Context
) -> None:
    before = session_directories()

    result = await bay.create(
        CreateSessionParams(context_syncs=[ContextSync(context.id, "/run/agentbay/guest/nowhere")])
    )

    assert not result.success
    assert context.id in result.error_message
    assert "Read-only" in result.error_message
    assert session_directories() == before


@pytest.mark.parametrize("values", [("", "/mnt/a"), ("SdkCtx-1", " ")])
def test_a_sync_without_context_or_path_cannot_be_made(values: tuple[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        ContextSync(*values)


@pytest.mark.parametrize("wrong", [{"path": "a*"}, {"exclude_paths": ["b?"]}], ids=repr)
def test_a_white_list_without_regular_expressions_has_no_wildcards(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="wildcards"):
        WhiteList(**wrong)


# -- sync and info ---------------------------------------------------------------------


async def test_info_tells_of_each_transfer(bay: AsyncAgentBay, context: Context) -> None:
    async with bay.session(_params(context)) as session:
        (download,) = (await session.context.info()).unwrap()
        assert (await session.context.sync()).success
        result = await session.context.info(context_id=context.id, task_type="upload")

    (upload,) = result.unwrap()
    for transfer, kind in ((download, "download"), (upload, "upload")):
        assert transfer.context_id == context.id
        assert transfer.path == WORK
        assert transfer.status == "Success"
        assert transfer.task_type == kind
        assert transfer.finished
        assert transfer.error_message == ""
        assert 0 < transfer.start_time <= transfer.finish_time


async def test_a_session_without_contexts_has_nothing_to_sync(session: AsyncSession) -> None:
    assert (await session.context.sync()).success
    assert (await session.context.info()).unwrap() == []
    assert (await session.delete(sync_context=True)).sync_error is None


async def test_a_context_that_the_session_does_not_have_cannot_be_synced(
    session: AsyncSession, context: Context
) -> None:
    result = await session.context.sync(context.id)

    assert isinstance(result.error, ContextNotFoundError)
    assert context.id in result.error_message


async def test_a_path_that_has_no_context_cannot_be_synced(
    bay: AsyncAgentBay, context: Context
) -> None:
    async with bay.session(_params(context)) as session:
        assert (await session.context.sync(path=WORK)).success
        result = await session.context.sync(path="/elsewhere")

    assert not result.success
    assert "/elsewhere" in result.error_message


async def test_an_unknown_direction_is_refused(session: AsyncSession) -> None:
    result = await session.context.sync(mode="sideways")

    assert isinstance(result.error, InvalidInputError)
    assert "sideways" in result.error_message


@pytest.mark.engine_only
async def test_a_file_that_cannot_be_read_fails_the_sync_and_is_named(
    bay: AsyncAgentBay, context: Context
) -> None:
    session = (await bay.create(_params(context))).unwrap()
    await shell(session, f"cd {WORK}; touch fine; touch locked; chmod 000 locked")

    synced = await session.context.sync()
    (status,) = (await session.context.info(task_type="upload")).unwrap()
    deleted = await session.delete(sync_context=True)

    assert not synced.success
    for text in (synced.error_message, status.error_message, str(deleted.sync_error)):
        assert "locked" in text
        assert "Permission denied" in text
    assert status.status == "Failed"
    assert deleted.success
    assert session.session_id not in session_directories()
    assert await _found(bay, context) == ".\n./fine\n"


@pytest.mark.embedded_only
@pytest.mark.parametrize("asked", [True, False])
async def test_a_warning_tells_of_lost_files_what_no_result_does(
    bay: AsyncAgentBay, context: Context, caplog: pytest.LogCaptureFixture, asked: bool
) -> None:
    session = (await bay.create(_params(context))).unwrap()
    await shell(session, f"cd {WORK}; touch locked; chmod 000 locked")

    deleted = await session.delete(sync_context=asked)

    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    if asked:
        assert "locked" in str(deleted.sync_error)
        assert warnings == []
    else:
        (warning,) = warnings
        for text in (session.session_id, context.id, "locked", "Permission denied"):
            assert text in warning


async def test_a_block_says_what_it_could_not_save(bay: AsyncAgentBay, context: Context) -> None:
    async def use() -> None:
        async with bay.session(_params(context), sync_context=True) as session:
            await shell(session, f"cd {WORK}; touch locked; chmod 000 locked")

    with pytest.raises(Exception, match="locked"):
        await use()


async def test_a_context_deleted_under_a_session_fails_the_sync(
    bay: AsyncAgentBay, context: Context
) -> None:
    session = (await bay.create(_params(context))).unwrap()
    await bay.context.delete(context)

    assert context.id in (await session.context.sync()).error_message
    assert (await session.delete()).success
