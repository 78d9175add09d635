"""Extensions of the browser, kept in a context."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentbay import (
    AgentBayError,
    APIError,
    FileTransferError,
    InvalidInputError,
    TransportError,
)
from agentbay._async import _local_files
from agentbay._async.extension import AsyncExtensionsService
from agentbay.protocol.extension import Extension, ExtensionOption

from .service import KEY, Sent, Service, client, ok

PUT = "https://oss.test/put?sig=secret"


class Cloud(Service):
    """A service with one context, its files, and a store behind presigned addresses."""

    def __init__(self, **replies: Callable[[Sent], httpx.Response]) -> None:
        super().__init__(self._reply)
        self.files: list[str] = []
        self._replies = replies

    def _reply(self, sent: Sent) -> httpx.Response:
        if sent.action in self._replies:
            return self._replies[sent.action](sent)
        if not sent.action:
            return self._replies["PUT"](sent) if "PUT" in self._replies else httpx.Response(200)
        if sent.action == "GetContext":
            return ok({"Id": "SdkCtx-1", "Name": sent.form.get("Name", "found")})
        if sent.action == "GetContextFileUploadUrl":
            return ok({"Url": PUT, "ExpireTime": 1})
        if sent.action == "DescribeContextFiles":
            first = (int(sent.form["PageNumber"]) - 1) * int(sent.form["PageSize"])
            page = self.files[first : first + int(sent.form["PageSize"])]
            return ok([{"FileName": name, "GmtCreate": "2026"} for name in page])
        return ok()


def _service(cloud: Cloud, name: str = "my-ext") -> AsyncExtensionsService:
    return AsyncExtensionsService(client(cloud), name)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "Blocker.ZIP"
    path.write_bytes(b"PK-zip")
    return path


async def test_nothing_is_sent_until_the_context_is_needed(package: Path) -> None:
    cloud = Cloud()
    service = _service(cloud)
    assert (service.context_id, service.extension_context) == (None, None)
    assert service.context_name == "my-ext"
    assert cloud.sent == []
    await service.create(str(package))
    await service.list()
    assert cloud.actions.count("GetContext") == 1
    assert service.context_id == "SdkCtx-1"


async def test_an_extension_is_put_under_a_name_of_its_own(package: Path) -> None:
    cloud = Cloud()
    extension = await _service(cloud).create(package)
    assert extension.name == "Blocker.ZIP"
    assert re.fullmatch(r"ext_[0-9a-f]{32}\.zip", extension.id)
    assert cloud.actions == ["GetContext", "GetContextFileUploadUrl", ""]
    assert cloud.sent[1].form["ContextId"] == "SdkCtx-1"
    assert cloud.sent[1].form["FilePath"] == f"/tmp/extensions/{extension.id}"
    put = cloud.requests[2]
    assert (put.method, put.content) == ("PUT", b"PK-zip")
    assert httpx.URL.__str__(put.url) == PUT  # which `str` does not show: it is a credential
    assert KEY not in str(put.headers.raw)


_LARGE = b"PK" + b"0123456789abcdef" * 100_000


@pytest.fixture
def large(package: Path) -> Path:
    package.write_bytes(_LARGE)
    return package


async def test_an_extension_is_read_in_pieces_while_it_is_sent(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> Any:
            asked.append(size)
            return super().read(size)

    monkeypatch.setattr(_local_files, "_open", Watched)
    cloud = Cloud()
    await _service(cloud).create(large)
    put = cloud.requests[2]
    assert put.content == _LARGE
    assert put.headers["content-length"] == str(len(_LARGE))
    assert len(asked) > 6
    assert all(size is not None and 0 < size <= 262_144 for size in asked)


async def test_an_extension_that_gets_shorter_meanwhile_is_an_error(package: Path) -> None:
    def shrink(_: Sent) -> httpx.Response:
        package.write_bytes(b"")
        return ok({"Url": PUT, "ExpireTime": 1})

    with pytest.raises(FileTransferError, match="shorter"):
        await _service(Cloud(GetContextFileUploadUrl=shrink)).create(package)


async def test_a_name_is_looked_up_as_a_name_and_an_identifier_as_one() -> None:
    cloud = Cloud()
    await _service(cloud, "my-ext").list()
    await _service(cloud, "SdkCtx-77").list()
    named, identified = (sent.form for sent in cloud.sent if sent.action == "GetContext")
    assert (named["Name"], named["AllowCreate"]) == ("my-ext", "True")
    assert (identified["ContextId"], identified["AllowCreate"]) == ("SdkCtx-77", "False")


async def test_a_context_of_its_own_has_a_name_that_no_other_has() -> None:
    first, second = _service(Cloud(), ""), _service(Cloud(), " ")
    assert first.auto_created
    assert re.match(r"extensions-\d+", first.context_name)
    assert first.context_name != second.context_name


async def test_all_pages_of_extensions_are_listed() -> None:
    # Recorded clients show the first hundred.
    cloud = Cloud()
    cloud.files = [f"ext_{number}.zip" for number in range(205)]
    found = await _service(cloud).list()
    assert [item.id for item in found] == cloud.files
    assert found[0] == Extension("ext_0.zip", "ext_0.zip", "2026")
    assert cloud.sent[1].form["ParentFolderPath"] == "/tmp/extensions"


async def test_a_service_that_knows_no_pages_ends_the_list() -> None:
    files = [{"FileName": f"{number}.zip"} for number in range(100)]
    cloud = Cloud(DescribeContextFiles=lambda _: ok(files))
    assert len(await _service(cloud).list()) == 100


async def test_an_update_keeps_the_identifier(package: Path) -> None:
    cloud = Cloud()
    cloud.files = ["ext_1.zip"]
    extension = await _service(cloud).update("ext_1.zip", package)
    assert extension == Extension("ext_1.zip", "Blocker.ZIP")
    sent = next(sent for sent in cloud.sent if sent.action == "GetContextFileUploadUrl")
    assert sent.form["FilePath"] == "/tmp/extensions/ext_1.zip"


async def test_an_extension_that_is_not_there_is_not_updated(package: Path) -> None:
    cloud = Cloud()
    with pytest.raises(InvalidInputError):
        await _service(cloud).update("ext_1.zip", package)
    assert "GetContextFileUploadUrl" not in cloud.actions


@pytest.mark.parametrize("method", ["create", "update"])
async def test_a_file_that_is_missing_or_no_zip_is_refused(method: str, tmp_path: Path) -> None:
    other = tmp_path / "a.crx"
    other.write_bytes(b"x")
    cloud = Cloud()
    service = _service(cloud)
    arguments = [] if method == "create" else ["ext_1.zip"]
    with pytest.raises(FileNotFoundError):
        await getattr(service, method)(*arguments, str(tmp_path / "none.zip"))
    with pytest.raises(ValueError, match="zip"):
        await getattr(service, method)(*arguments, str(other))
    assert cloud.sent == []


async def test_an_upload_that_is_refused_is_an_error_without_its_address(package: Path) -> None:
    cloud = Cloud(PUT=lambda _: httpx.Response(403, text="secret"))
    with pytest.raises(APIError, match="403") as caught:
        await _service(cloud).create(package)
    assert caught.value.status_code == 403
    assert "secret" not in str(caught.value)


async def test_an_upload_that_finds_nobody_is_an_error_without_its_address(package: Path) -> None:
    def broken(_: Sent) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {PUT}")

    with pytest.raises(TransportError) as caught:
        await _service(Cloud(PUT=broken)).create(package)
    assert "secret" not in str(caught.value)


async def test_a_context_that_cannot_be_made_is_an_error(package: Path) -> None:
    def refused(_: Sent) -> httpx.Response:
        return ok(None, Success=False, Code="X", Message="no")

    service = _service(Cloud(GetContext=refused))
    with pytest.raises(AgentBayError):
        await service.create(package)
    with pytest.raises(AgentBayError):
        await service.list()
    assert not await service.delete("ext_1.zip")


async def test_delete_tells_whether_it_worked() -> None:
    cloud = Cloud()
    assert await _service(cloud).delete("ext_1.zip")
    assert cloud.sent[-1].form["FilePath"] == "/tmp/extensions/ext_1.zip"
    refusing = Cloud(DeleteContextFile=lambda _: httpx.Response(500))
    assert not await _service(refusing).delete("ext_1.zip")
    assert not await _service(cloud).delete("../other")
    assert "../other" not in str(cloud.sent)


async def test_cleanup_leaves_a_context_that_was_asked_for() -> None:
    # Clients of the first generation delete it with all that is in it.
    cloud = Cloud()
    service = _service(cloud, "my-ext")
    await service.list()
    assert await service.cleanup()
    assert "DeleteContext" not in cloud.actions


async def test_cleanup_makes_no_context_in_order_to_delete_it() -> None:
    cloud = Cloud()
    assert await _service(cloud, "").cleanup()
    assert cloud.sent == []


async def test_cleanup_deletes_a_context_of_its_own_and_tells_when_it_cannot() -> None:
    def refused(_: Sent) -> httpx.Response:
        return ok(None, Success=False, Code="X", Message="no")

    cloud, refusing = Cloud(), Cloud(DeleteContext=refused)
    for transport, worked in ((cloud, True), (refusing, False)):
        service = _service(transport, "")
        await service.list()
        assert await service.cleanup() is worked
        assert (service.context_id is None) is worked
    assert cloud.sent[-1].form["Id"] == "SdkCtx-1"


async def test_an_option_names_the_context_and_the_extensions() -> None:
    option = await _service(Cloud()).create_extension_option(["ext_1.zip", "ext_2.zip"])
    assert option == ExtensionOption("SdkCtx-1", ["ext_1.zip", "ext_2.zip"])
    assert option.validate()
    assert "2" in str(option)
    assert "ext_1.zip" in repr(option)


async def test_an_option_without_extensions_is_refused_before_anything_is_sent() -> None:
    cloud = Cloud()
    with pytest.raises(InvalidInputError):
        await _service(cloud).create_extension_option([])
    assert cloud.sent == []


@pytest.mark.parametrize(("context_id", "ids"), [("", ["a"]), (" ", ["a"]), ("c", []), ("c", "a")])
def test_an_option_needs_a_context_and_extensions(context_id: str, ids: Any) -> None:
    with pytest.raises(InvalidInputError):
        ExtensionOption(context_id, ids)


def test_an_option_with_a_blank_extension_is_not_valid() -> None:
    assert not ExtensionOption("c", ["a", " "]).validate()
