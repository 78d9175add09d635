"""Object storage, as a user of the client sees it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator

import pytest

from agentbay import AsyncAgentBay, AsyncSession
from agentbay.errors import OssError

from .file_server import PORT, SERVE, URL
from .observing import shell


@pytest.fixture
async def session(bay: AsyncAgentBay) -> AsyncGenerator[AsyncSession, None]:
    """A session with credentials."""
    async with bay.session() as running:
        (await running.oss.env_init("key", "secret", "token")).unwrap()
        yield running


async def _write(session: AsyncSession, path: str, content: str) -> None:
    (await session.file_system.write_file(path, content)).unwrap()


# -- buckets ---------------------------------------------------------------------------


async def test_an_object_reaches_another_session(bay: AsyncAgentBay, session: AsyncSession) -> None:
    await _write(session, "/tmp/größe.txt", "čtyři\n" * 1000)

    up = await session.oss.upload("shared", "dir//größe.txt", "/tmp/größe.txt")
    async with bay.session() as other:
        await other.oss.env_init("key", "secret")
        down = await other.oss.download("shared", "dir//größe.txt", "/tmp/new/copy.txt")
        copy = (await other.file_system.read_file("/tmp/new/copy.txt")).unwrap()

    assert up.success
    assert "Upload success" in up.content
    assert down.success
    assert "Download success" in down.content
    assert copy == "čtyři\n" * 1000


async def test_an_object_is_replaced_and_so_is_a_file(session: AsyncSession) -> None:
    for content in ("a longer first one", "second"):
        await _write(session, "/tmp/a.txt", content)
        assert (await session.oss.upload("replaced", "a", "/tmp/a.txt")).success
    await _write(session, "/tmp/b.txt", "something that was there before")

    assert (await session.oss.download("replaced", "a", "/tmp/b.txt")).success
    assert (await session.file_system.read_file("/tmp/b.txt")).unwrap() == "second"


async def test_objects_whose_names_are_paths_of_each_other_are_apart(session: AsyncSession) -> None:
    names = ["a", "a/b", "a/b/c", "../a", "x" * 1000]
    for name in names:
        await _write(session, "/tmp/up", name)
        assert (await session.oss.upload("names", name, "/tmp/up")).success
    for name in names:
        assert (await session.oss.download("names", name, "/tmp/down")).success
        assert (await session.file_system.read_file("/tmp/down")).unwrap() == name


async def test_large_and_empty_files_arrive_whole(session: AsyncSession) -> None:
    await shell(session, "head -c 20000001 /dev/urandom > /tmp/large; : > /tmp/empty")
    for name in ("large", "empty"):
        assert (await session.oss.upload("sizes", name, f"/tmp/{name}")).success
        assert (await session.oss.download("sizes", name, f"/tmp/{name}-copy")).success

    await shell(session, "cmp /tmp/large /tmp/large-copy && cmp /tmp/empty /tmp/empty-copy")


async def test_a_directory_is_uploaded_as_an_archive(session: AsyncSession) -> None:
    await _write(session, "/tmp/tree/sub/a.txt", "inside")
    await shell(
        session, "ln -s /etc/passwd /tmp/tree/link; mkdir /tmp/tree/empty; ls /tmp > before"
    )

    assert (await session.oss.upload("trees", "tree.zip", "/tmp/tree")).success
    assert await shell(session, "ls /tmp | diff before -") == ""
    assert (await session.oss.download("trees", "tree.zip", "/tmp/tree.zip")).success

    content = await session.file_system.read_file("/tmp/tree.zip", format="bytes")
    with zipfile.ZipFile(io.BytesIO(bytes(content.unwrap()))) as archive:
        assert sorted(archive.namelist()) == ["empty/", "sub/", "sub/a.txt"]
        assert archive.read("sub/a.txt") == b"inside"


@pytest.mark.parametrize(
    ("bucket", "name", "path", "reason"),
    [
        ("Bad_Name", "a", "/etc/passwd", "name of a bucket"),
        ("../../up", "a", "/etc/passwd", "name of a bucket"),
        ("bucket", "/a", "/etc/passwd", "name of an object"),
        ("bucket", "x" * 1024, "/etc/passwd", "name of an object"),
        ("bucket", "a", "/tmp/missing", "No such file"),
        ("bucket", "a", "/dev/zero", "not a regular file"),
    ],
)
async def test_an_upload_that_cannot_be_says_why(
    session: AsyncSession, bucket: str, name: str, path: str, reason: str
) -> None:
    result = await session.oss.upload(bucket, name, path)

    assert isinstance(result.error, OssError)
    assert "Upload failed" in result.error_message
    assert reason in result.error_message


async def test_what_is_not_there_cannot_be_downloaded(session: AsyncSession) -> None:
    await _write(session, "/tmp/a", "a")
    await session.oss.upload("there", "a", "/tmp/a")

    no_object = await session.oss.download("there", "b", "/tmp/b")
    no_bucket = await session.oss.download("nowhere", "a", "/tmp/b")

    assert "there is no object b in there" in no_object.error_message
    assert "there is no bucket nowhere" in no_bucket.error_message
    assert not (await session.file_system.read_file("/tmp/b")).success


# -- credentials -----------------------------------------------------------------------


async def test_buckets_need_credentials_first(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        result = await session.oss.upload("bucket", "a", "/etc/passwd")

    assert isinstance(result.error, OssError)
    assert "session.oss.env_init" in result.error_message


@pytest.mark.embedded_only
@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (("key", "secret", "token"), None),
        (("other", "secret", "token"), "access_key_id"),
        (("key", "other", "token"), "access_key_secret"),
        (("key", "secret", "other"), "security_token"),
        (("key", "secret", None), "security_token"),
    ],
)
async def test_credentials_are_compared_with_those_of_the_engine(
    session: AsyncSession,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, str, str | None],
    wrong: str | None,
) -> None:
    settings = {"ACCESS_KEY_ID": "key", "ACCESS_KEY_SECRET": "secret", "SECURITY_TOKEN": "token"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AGENTBAY_LOCAL_OSS_{name}", value)
    await session.oss.env_init(*given)

    result = await session.oss.upload("bucket", "a", "/etc/passwd")

    assert result.success is (wrong is None)
    assert wrong is None or wrong in result.error_message
    assert not {"other"} & set(result.error_message.split())


@pytest.mark.engine_only
async def test_an_endpoint_elsewhere_is_refused_rather_than_ignored(session: AsyncSession) -> None:
    result = await session.oss.env_init("key", "secret", "token", "oss-cn-hangzhou.example.com")

    assert isinstance(result.error, OssError)
    assert "on this machine" in result.error_message


# -- URLs ------------------------------------------------------------------------------


async def test_a_file_travels_to_a_url_and_back(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        await shell(session, SERVE)
        await _write(session, "/tmp/a.txt", "by HTTP")

        up = await session.oss.upload_anonymous(URL, "/tmp/a.txt")
        down = await session.oss.download_anonymous(URL, "/tmp/deep/er/b.txt")

        assert (up.success, down.success) == (True, True), up.error_message + down.error_message
        assert (await session.file_system.read_file("/tmp/deep/er/b.txt")).unwrap() == "by HTTP"
        assert await shell(session, "stat -c %a /tmp/deep/er/b.txt") == "644\n"


async def test_a_directory_travels_to_a_url_as_an_archive(session: AsyncSession) -> None:
    await shell(session, SERVE)
    await _write(session, "/tmp/tree/a.txt", "inside")

    assert (await session.oss.upload_anonymous(URL, "/tmp/tree")).success
    assert (await session.oss.download_anonymous(URL, "/tmp/tree.zip")).success

    listing = "python3 -m zipfile -l /tmp/tree.zip"
    assert "a.txt" in await shell(session, listing)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"http://127.0.0.1:{PORT}/unsigned", "the server answered 403"),
        ("http://127.0.0.1:1/x?Signature=top-secret", "Connection refused"),
        ("http://127.0.0.1:notaport/x?Signature=top-secret", "makes no sense"),
    ],
)
async def test_a_url_that_refuses_says_so_without_telling_the_url(
    session: AsyncSession, url: str, reason: str
) -> None:
    await shell(session, SERVE)

    result = await session.oss.upload_anonymous(url, "/etc/passwd")

    assert isinstance(result.error, OssError)
    assert reason in result.error_message
    assert "top-secret" not in result.error_message


async def test_a_download_that_fails_leaves_the_file_as_it_was(session: AsyncSession) -> None:
    await shell(session, SERVE)
    await _write(session, "/tmp/a", "before")
    await session.oss.upload_anonymous(f"{URL}&short", "/etc/passwd")

    missing = await session.oss.download_anonymous(f"{URL}&missing", "/tmp/a")
    short = await session.oss.download_anonymous(f"{URL}&short", "/tmp/a")

    assert "the server answered 404" in missing.error_message
    assert not short.success
    assert (await session.file_system.read_file("/tmp/a")).unwrap() == "before"
    assert await shell(session, "find /tmp -name 'tmp?*'") == ""
