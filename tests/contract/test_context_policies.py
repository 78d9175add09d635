"""What the policies of a context do, as a user of the client sees it."""

from __future__ import annotations

import io
import tarfile
import uuid
import zipfile
from typing import Literal

import httpx
import pytest

from agentbay import AsyncAgentBay, ContextSync, CreateSessionParams
from agentbay.protocol.contexts import Context
from agentbay.protocol.sync_policy import (
    BWList,
    DownloadPolicy,
    ExtractPolicy,
    Lifecycle,
    MappingPolicy,
    RecyclePolicy,
    SyncPolicy,
    UploadMode,
    UploadPolicy,
    WhiteList,
)

from .observing import session_directories, shell

WORK = "/home/wuying/work"
ARCHIVE = UploadPolicy(upload_mode=UploadMode.ARCHIVE)


@pytest.fixture
async def context(bay: AsyncAgentBay) -> Context:
    return (await bay.context.create(f"context-{uuid.uuid4().hex}")).unwrap()


def params(context: Context, policy: SyncPolicy | None = None) -> CreateSessionParams:
    return CreateSessionParams(context_syncs=[ContextSync(context.id, WORK, policy)])


async def run(
    bay: AsyncAgentBay, context: Context, command: str, policy: SyncPolicy | None = None
) -> str:
    """What a command prints in the context's directory, in a session of its own."""
    async with bay.session(params(context, policy)) as session:
        return (await session.command.run(command, cwd=WORK)).unwrap()


async def put(bay: AsyncAgentBay, context: Context, path: str, data: bytes) -> None:
    url = (await bay.context.get_file_upload_url(context.id, path)).unwrap()
    async with httpx.AsyncClient(trust_env=False, timeout=40) as http:
        (await http.put(url, content=data)).raise_for_status()


async def names(bay: AsyncAgentBay, context: Context, folder: str = "/") -> list[str]:
    return [f.file_name for f in (await bay.context.list_files(context.id, folder)).unwrap()]


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


Mode = Literal["w", "w:gz", "w:xz"]


def tarred(*members: tuple[tarfile.TarInfo, bytes], mode: Mode = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


# -- white lists -----------------------------------------------------------------------


async def test_a_regular_expression_names_what_is_saved(
    bay: AsyncAgentBay, context: Context
) -> None:
    rule = WhiteList(
        r"(.*/)?[^/]*\.(py|txt)",
        exclude_paths=[r"(.*/)?cache", "secret.*"],
        is_path_regex=True,
        is_exclude_regex=True,
    )
    made = "mkdir -p a/b cache; touch a/b/x.py a/no.o cache/y.py secret.txt top.txt"
    await run(bay, context, made, SyncPolicy(bw_list=BWList([rule])))

    assert await run(bay, context, "find . -type f | sort") == "./a/b/x.py\n./top.txt\n"


async def test_a_white_list_names_what_is_brought_in(bay: AsyncAgentBay, context: Context) -> None:
    await run(bay, context, "mkdir -p src; touch src/a other")
    rules = SyncPolicy(bw_list=BWList([WhiteList("src")]))

    assert await run(bay, context, "find . -type f", rules) == "./src/a\n"
    assert await run(bay, context, "find . -type f | sort") == "./other\n./src/a\n"


async def test_a_white_list_without_entries_restricts_nothing(
    bay: AsyncAgentBay, context: Context
) -> None:
    await run(bay, context, "touch a", SyncPolicy(bw_list=BWList([])))

    assert await run(bay, context, "ls") == "a\n"


@pytest.mark.engine_only
async def test_what_is_no_regular_expression_is_refused_before_a_session_exists(
    bay: AsyncAgentBay, context: Context
) -> None:
    before = session_directories()
    broken = SyncPolicy(bw_list=BWList([WhiteList("(", is_path_regex=True)]))

    result = await bay.create(params(context, broken))

    assert not result.success
    assert result.code == "InvalidParameter"
    assert "regular expression" in result.error_message
    assert session_directories() == before


# -- archives made of files ------------------------------------------------------------


async def test_archive_mode_keeps_one_archive_and_brings_its_files_back(
    bay: AsyncAgentBay, context: Context
) -> None:
    policy = SyncPolicy(upload_policy=ARCHIVE)
    made = "mkdir -p d/e; printf one > d/e/1; printf run > tool; chmod 750 tool; ln -s d link"
    await run(bay, context, made, policy)

    assert await names(bay, context) == ["archive.tar.gz"]
    look = "cat d/e/1; stat -c ' %a' tool; readlink link"
    assert await run(bay, context, look, policy) == "one 750\nd\n"
    assert await run(bay, context, look) == "one 750\nd\n"


async def test_a_file_deleted_from_an_archive_stays_deleted(
    bay: AsyncAgentBay, context: Context
) -> None:
    policy = SyncPolicy(upload_policy=ARCHIVE)
    await run(bay, context, "touch a b", policy)
    await run(bay, context, "rm a; touch c", policy)

    assert await run(bay, context, "ls", policy) == "b\nc\n"


async def test_a_context_of_archives_stays_one(bay: AsyncAgentBay, context: Context) -> None:
    await run(bay, context, "touch a", SyncPolicy(upload_policy=ARCHIVE))
    await run(bay, context, "touch b")

    assert await names(bay, context) == ["archive.tar.gz"]
    assert await run(bay, context, "ls") == "a\nb\n"


async def test_each_listed_path_is_an_archive_and_others_are_files(
    bay: AsyncAgentBay, context: Context
) -> None:
    upload = UploadPolicy(upload_mode=UploadMode.ARCHIVE, archive_exclude_paths=["src/big"])
    rules = BWList([WhiteList("src"), WhiteList("doc")])
    policy = SyncPolicy(upload_policy=upload, bw_list=rules)
    await run(bay, context, "mkdir src doc; touch src/a src/big doc/b other", policy)

    assert await names(bay, context) == ["doc.tar.gz", "src", "src.tar.gz"]
    assert await names(bay, context, "/src") == ["big"]
    found = await run(bay, context, "find . -type f | sort", policy)
    assert found == "./doc/b\n./src/a\n./src/big\n"


async def test_two_sessions_keep_each_others_files_in_an_archive(
    bay: AsyncAgentBay, context: Context
) -> None:
    policy = params(context, SyncPolicy(upload_policy=ARCHIVE))
    await run(bay, context, "touch old", SyncPolicy(upload_policy=ARCHIVE))
    async with bay.session(policy) as one, bay.session(policy) as other:
        await shell(one, f"touch {WORK}/one; rm {WORK}/old")
        await shell(other, f"touch {WORK}/other")

    assert await run(bay, context, "ls") == "one\nother\n"


# -- archives that somebody put there --------------------------------------------------

FILES = {"a.txt": "alpha", "sub/b.txt": "beta"}


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (ExtractPolicy(), "./x/data/a.txt\n./x/data/sub/b.txt\n"),
        (ExtractPolicy(extract_current_folder=True), "./x/a.txt\n./x/sub/b.txt\n"),
        (
            ExtractPolicy(delete_src_file=False),
            "./x/data.zip\n./x/data/a.txt\n./x/data/sub/b.txt\n",
        ),
        (ExtractPolicy(extract=False), "./x/data.zip\n"),
    ],
)
async def test_an_archive_is_unpacked_as_the_policy_says(
    bay: AsyncAgentBay, context: Context, policy: ExtractPolicy, found: str
) -> None:
    await put(bay, context, "/x/data.zip", zipped(FILES))

    look = "find . -type f | sort"
    assert await run(bay, context, look, SyncPolicy(extract_policy=policy)) == found


@pytest.mark.parametrize(
    ("name", "mode"), [("t.tar", "w"), ("t.tgz", "w:gz"), ("t.tar.xz", "w:xz")]
)
async def test_tar_archives_are_unpacked(
    bay: AsyncAgentBay, context: Context, name: str, mode: Mode
) -> None:
    data = tarred((tarfile.TarInfo("./d/a"), b"alpha"), mode=mode)
    await put(bay, context, name, data)

    assert await run(bay, context, "cat t/d/a") == "alpha"


async def test_what_was_unpacked_is_kept_like_other_files(
    bay: AsyncAgentBay, context: Context
) -> None:
    await put(bay, context, "data.zip", zipped(FILES))
    await run(bay, context, "printf changed > data/a.txt; rm data/sub/b.txt")

    assert await names(bay, context) == ["data"]
    assert await run(bay, context, "cat data/a.txt; ls data") == "changeda.txt\nsub\n"


async def test_an_archive_that_a_session_saved_comes_back_as_it_was(
    bay: AsyncAgentBay, context: Context
) -> None:
    await run(bay, context, "touch f; python3 -m zipfile -c mine.zip f; rm f")

    assert await run(bay, context, "ls") == "mine.zip\n"


async def test_a_file_that_is_only_called_an_archive_is_left_alone(
    bay: AsyncAgentBay, context: Context
) -> None:
    for name in ("a.zip", "b.tar.gz", "c.tar"):
        await put(bay, context, name, b"plain text")

    assert await run(bay, context, "ls; cat a.zip") == "a.zip\nb.tar.gz\nc.tar\nplain text"


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def fifo(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.FIFOTYPE
    return info


EVIL = {
    "zip slip.zip": zipped({"../evil": "x"}),
    "absolute.zip": zipped({"/etc/evil": "x"}),
    "tar slip.tgz": tarred((tarfile.TarInfo("d/../../evil"), b"x")),
    "absolute link.tgz": tarred((link("l", "/etc"), b"")),
    "link out.tgz": tarred((link("d/l", "../../.."), b"")),
    "through link.tgz": tarred((link("l", "."), b""), (tarfile.TarInfo("l/evil"), b"x")),
    "device.tgz": tarred((fifo("f"), b"")),
    "twice.tgz": tarred((tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("a"), b"y")),
}


@pytest.mark.parametrize("name", EVIL)
async def test_a_hostile_archive_is_not_unpacked_and_named(
    bay: AsyncAgentBay, context: Context, name: str
) -> None:
    await put(bay, context, name, EVIL[name])
    await put(bay, context, "fine.txt", b"fine")
    later = SyncPolicy(download_policy=DownloadPolicy(auto_download=False))
    sync = ContextSync(context.id, WORK, later, beta_wait_for_completion=False)
    async with bay.session(CreateSessionParams(context_syncs=[sync])) as session:
        result = await session.context.sync(mode="download")
        found = (await session.command.run("ls", cwd=WORK)).unwrap()

    assert not result.success
    assert name in result.error_message
    assert "not unpacked" in result.error_message
    assert found.splitlines() == sorted([name, "fine.txt"])


# -- time and place --------------------------------------------------------------------


async def test_a_recycle_policy_is_taken_and_young_files_stay(
    bay: AsyncAgentBay, context: Context
) -> None:
    policy = SyncPolicy(recycle_policy=RecyclePolicy(Lifecycle.LIFECYCLE_1DAY, ["tmp"]))
    await run(bay, context, "mkdir tmp; touch tmp/a b", policy)

    assert await run(bay, context, "find . -type f | sort", policy) == "./b\n./tmp/a\n"


async def test_files_of_another_system_appear_under_the_path_of_the_session(
    bay: AsyncAgentBay, context: Context
) -> None:
    policy = SyncPolicy(mapping_policy=MappingPolicy("C:\\work"))
    async with bay.session(params(context, policy)) as session:
        await put(bay, context, "C:\\work\\sub\\a.txt", b"from afar")
        assert (await session.context.sync(mode="download")).success
        found = (await session.command.run("cat sub/a.txt", cwd=WORK)).unwrap()

    assert found == "from afar"
