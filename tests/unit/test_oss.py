"""Transfers to and from buckets: what is sent, what is read, what is refused."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentbay import ApiResponse, InvalidInputError
from agentbay._async.oss import AsyncOss
from agentbay.errors import OssError
from agentbay.protocol import oss as tools

from .service import Service, always, session_of, tool_says

Method = Callable[[AsyncOss], Awaitable[ApiResponse]]

TRANSFERS: dict[str, tuple[Method, dict[str, str]]] = {
    "oss_upload": (
        lambda o: o.upload("bk", "ob", "/tmp/x"),
        {"bucket": "bk", "object": "ob", "path": "/tmp/x"},
    ),
    "oss_upload_annon": (
        lambda o: o.upload_anonymous("https://u", "/tmp/x"),
        {"url": "https://u", "path": "/tmp/x"},
    ),
    "oss_download": (
        lambda o: o.download("bk", "ob", "/tmp/x"),
        {"bucket": "bk", "object": "ob", "path": "/tmp/x"},
    ),
    "oss_download_annon": (
        lambda o: o.download_anonymous("https://u", "/tmp/x"),
        {"url": "https://u", "path": "/tmp/x"},
    ),
}
each_transfer = pytest.mark.parametrize("name", TRANSFERS)


def _oss(text: str = "", *, is_error: bool = False) -> tuple[AsyncOss, Service]:
    service = Service(always(lambda: tool_says(text, is_error=is_error)))
    return AsyncOss(session_of(service)), service


def _sent(service: Service) -> tuple[str, Any]:
    (sent,) = service.sent
    return sent.form["Name"], json.loads(sent.form["Args"])


@each_transfer
async def test_a_transfer_sends_its_arguments(name: str) -> None:
    method, arguments = TRANSFERS[name]
    oss, service = _oss("Upload success")
    result = await method(oss)
    assert _sent(service) == (name, arguments)
    assert (result.success, result.request_id) == (True, "r-1")


@each_transfer
@pytest.mark.parametrize("text", ["Upload success", "Download success: failed.txt", "", "{}"])
async def test_what_a_transfer_says_is_its_content(name: str, text: str) -> None:
    oss, _ = _oss(text)
    assert (await TRANSFERS[name][0](oss)).unwrap() == text


@each_transfer
@pytest.mark.parametrize("is_error", [True, False])
async def test_a_transfer_that_fails_is_a_failure_however_it_is_told(
    name: str, is_error: bool
) -> None:
    # Recorded clients take the text for a success when it is not marked as an error.
    text = "Upload failed: The OSS Access Key Id you provided does not exist in our records."
    oss, _ = _oss(text, is_error=is_error)
    result = await TRANSFERS[name][0](oss)
    assert isinstance(result.error, OssError)
    assert (result.success, result.error_message) == (False, text)
    assert result.request_id == "r-1"
    with pytest.raises(OssError):
        result.unwrap()


@each_transfer
async def test_a_failure_without_a_reason_has_a_text(name: str) -> None:
    oss, _ = _oss("", is_error=True)
    assert (await TRANSFERS[name][0](oss)).error_message


_KEYS = {"access_key_id": "AK", "access_key_secret": "SK"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"security_token": "ST"}, {"security_token": "ST"}),
        ({"securityToken": "ST"}, {"security_token": "ST"}),
        ({"security_token": "ST", "securityToken": "ST"}, {"security_token": "ST"}),
        ({"security_token": None, "endpoint": "", "region": ""}, {}),
        ({"endpoint": "ep", "region": "rg"}, {"endpoint": "ep", "region": "rg"}),
    ],
)
async def test_the_credentials_are_sent_under_either_name(
    given: dict[str, Any], sent: dict[str, str]
) -> None:
    oss, service = _oss("Set oss config successfully")
    assert (await oss.env_init("AK", "SK", **given)).success
    assert _sent(service) == ("oss_env_init", {**_KEYS, **sent})


async def test_the_arguments_of_env_init_have_their_recorded_order() -> None:
    oss, service = _oss("ok")
    await oss.env_init("AK", "SK", "ST", "ep", "rg")
    arguments = {**_KEYS, "security_token": "ST", "endpoint": "ep", "region": "rg"}
    assert _sent(service) == ("oss_env_init", arguments)


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("Set oss config successfully", {}),
        ('{"region": "rg"}', {"region": "rg"}),
        ('"ok"', {}),
        ("[1]", {}),
    ],
)
async def test_client_config_is_always_a_dictionary(text: str, config: dict[str, Any]) -> None:
    # Recorded clients put the raw text there.
    oss, _ = _oss(text)
    result = await oss.env_init("AK", "SK", "ST")
    assert (result.client_config, result.unwrap()) == (config, config)


@pytest.mark.parametrize("text", ["Set config FAILED: bad key", "it failed", "", "  "])
async def test_credentials_that_are_not_confirmed_are_a_failure(text: str) -> None:
    oss, _ = _oss(text)
    result = await oss.env_init("AK", "SK", "ST")
    assert isinstance(result.error, OssError)
    assert text.strip() in result.error_message
    assert result.client_config == {}


_BAD: list[Callable[[Any], Awaitable[ApiResponse]]] = [
    lambda o: o.env_init("", "SK"),
    lambda o: o.env_init("AK", " "),
    lambda o: o.env_init("AK", 5),
    lambda o: o.env_init("AK", "SK", "a", securityToken="b"),
    lambda o: o.upload("", "ob", "/x"),
    lambda o: o.upload("bk", " ", "/x"),
    lambda o: o.upload("bk", "ob", ""),
    lambda o: o.upload("bk", "ob", "a\0b"),
    lambda o: o.download("bk", None, "/x"),
    lambda o: o.download(5, "ob", "/x"),
    lambda o: o.upload_anonymous("ftp://hush", "/x"),
    lambda o: o.upload_anonymous("https://u", ""),
    lambda o: o.download_anonymous("", "/x"),
    lambda o: o.download_anonymous(None, "/x"),
]


@pytest.mark.parametrize("call", _BAD)
async def test_bad_arguments_are_refused_before_anything_is_sent(call: Any) -> None:
    oss, service = _oss("ok")
    result = await call(oss)
    assert isinstance(result.error, InvalidInputError)
    assert "hush" not in result.error_message
    assert service.sent == []


async def test_secrets_are_not_shown() -> None:
    oss, _ = _oss('{"secret": "hush"}')
    shown = [
        repr(await oss.env_init("AK", "hush", "hush")),
        repr(tools.OssEnvInit("AK", "hush", "hush")),
        repr(tools.OssUploadAnonymous("https://u/?sig=hush", "/x")),
        repr(tools.OssDownloadAnonymous("https://u/?sig=hush", "/x")),
    ]
    assert not [text for text in shown if "hush" in text]


def test_what_the_engine_writes_is_read_back() -> None:
    start = tools.OssEnvInit("AK", "SK")
    assert start.parse(start.write({})) == {}
    assert start.parse(start.write({"region": "rg"})) == {"region": "rg"}
    upload = tools.OssUpload("bk", "ob", "/x")
    assert upload.parse(upload.write("Upload success")) == "Upload success"
