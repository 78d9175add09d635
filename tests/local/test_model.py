"""The model of the user: how it is asked, and what is made of what it says."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

import pytest

from agentbay.local._errors import ToolFailure
from agentbay.local._operator import model
from agentbay.local._operator.model import Model
from agentbay.local._operator.schema import check_data
from agentbay.protocol._wire import WireError, decode

from .model_server import KEY, Raw, model_endpoint

MESSAGES = [{"role": "user", "content": "say something"}]


def number(data: Any) -> int:
    return decode(dict[str, int], data)["n"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_PAUSE", 0.01)


def completion(text: str) -> str:
    return json.dumps({"choices": [{"message": {"content": text}}]})


# -- settings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "key", "name", "reason"),
    [
        ("", "", "", "missing: AGENTBAY_LOCAL_MODEL_URL, AGENTBAY_LOCAL_MODEL)"),
        ("http://h/v1", "", "", "missing: AGENTBAY_LOCAL_MODEL)"),
        ("", "", "m", "missing: AGENTBAY_LOCAL_MODEL_URL)"),
        ("h/v1", "", "m", "no address"),
        ("ftp://h/v1", "", "m", "no address"),
        ("http://h:port/v1", "", "m", "no address"),
        ("http://me:secret@h/v1", "", "m", "AGENTBAY_LOCAL_MODEL_KEY"),
        ("http://h/v1?key=secret", "", "m", "AGENTBAY_LOCAL_MODEL_KEY"),
        ("http://h/v1", "secret\nX: y", "m", "no key"),
        ("http://h/v1", "secret-ü", "m", "no key"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, key: str, name: str, reason: str
) -> None:
    settings = {"_URL": url, "_KEY": key, "": name}
    for end, value in settings.items():
        monkeypatch.setenv(f"AGENTBAY_LOCAL_MODEL{end}", value)
    with pytest.raises(ToolFailure) as caught:
        Model.from_environment()
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_key_of_a_model_is_not_shown() -> None:
    assert KEY not in repr(Model("http://h/v1", "m", KEY))


# -- answers ---------------------------------------------------------------------------


async def test_a_model_is_asked_the_common_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with model_endpoint([{"n": 7}]) as endpoint:
        for name, value in endpoint.settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AGENTBAY_LOCAL_MODEL_URL", f" {endpoint.url}/ ")
        assert await Model.from_environment().ask(MESSAGES, number) == 7
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert endpoint.requests == [
        {
            "model": "small-model",
            "messages": MESSAGES,
            "response_format": {"type": "json_object"},
        }
    ]


async def test_a_model_without_a_key_is_sent_none() -> None:
    with model_endpoint([{"n": 7}]) as endpoint:
        await Model(endpoint.url, "m").ask(MESSAGES, number)
    assert endpoint.keys == [None]


@pytest.mark.parametrize("said", ['{"n": 7}', '```json\n{"n": 7}\n```', ' ```\n{"n":7}```\n'])
async def test_json_is_found_in_what_a_model_says(said: str) -> None:
    with model_endpoint([said]) as endpoint:
        assert await Model(endpoint.url, "m").ask(MESSAGES, number) == 7


async def test_a_model_gets_a_second_chance_and_is_told_why() -> None:
    with model_endpoint(["I think it is 7", {"n": 7}]) as endpoint:
        assert await Model(endpoint.url, "m").ask(MESSAGES, number) == 7
    assert [m["role"] for m in endpoint.requests[1]["messages"]] == ["user", "assistant", "user"]
    assert endpoint.requests[1]["messages"][1]["content"] == "I think it is 7"
    assert "not JSON" in endpoint.requests[1]["messages"][2]["content"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [("nonsense", "not JSON"), ({"n": "x"}, "whole number"), ([1], "object"), ("", "empty")],
)
async def test_a_model_that_makes_no_sense_twice_fails(said: Any, reason: str) -> None:
    with (
        model_endpoint([said]) as endpoint,
        pytest.raises(ToolFailure, match="no valid answer, twice") as caught,
    ):
        await Model(endpoint.url, "m").ask(MESSAGES, number)
    assert reason in str(caught.value)
    assert len(endpoint.requests) == 2


async def test_an_endpoint_without_json_mode_is_asked_without_it() -> None:
    with model_endpoint([Raw(400, "{}"), {"n": 7}]) as endpoint:
        assert await Model(endpoint.url, "m").ask(MESSAGES, number) == 7
    assert ["response_format" in request for request in endpoint.requests] == [True, False]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_endpoint_that_is_busy_is_asked_once_more(status: int) -> None:
    with model_endpoint([Raw(status), {"n": 7}]) as endpoint:
        assert await Model(endpoint.url, "m").ask(MESSAGES, number) == 7
    with (
        model_endpoint([Raw(status)]) as endpoint,
        pytest.raises(ToolFailure, match=f"HTTP {status}"),
    ):
        await Model(endpoint.url, "m").ask(MESSAGES, number)
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Raw(401, f"wrong key {KEY}"), "refuses the key in AGENTBAY_LOCAL_MODEL_KEY"),
        (Raw(403, f"wrong key {KEY}"), "refuses the key in AGENTBAY_LOCAL_MODEL_KEY"),
        (Raw(404), "knows no m, or is not at that address"),
        (
            Raw(402, json.dumps({"error": {"message": f"{KEY} is\nout of money"}})),
            "HTTP 402: *** is out of money",
        ),
        (Raw(418, "a teapot"), "HTTP 418"),
        (Raw(302, "", {"Location": "http://127.0.0.1:1/"}), "HTTP 302"),
        (Raw(200, "<html>"), "no chat completion"),
        (Raw(200, "{}"), "no chat completion"),
        (Raw(200, '{"choices": []}'), "no chat completion"),
        (Raw(200, '{"choices": [{"message": 5}]}'), "no chat completion"),
        (Raw(200, "x" * (9 << 20)), "more than 8 MiB"),
        (Raw(200, "this is no gzip", {"Content-Encoding": "gzip"}), "broke off"),
    ],
)
# httpx leaves generators of its own behind when an answer is given up; engines run on asyncio.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
async def test_an_endpoint_that_says_no_is_an_error_with_the_reason(
    reply: Raw, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with model_endpoint([reply]) as endpoint, pytest.raises(ToolFailure) as caught:
        await Model(endpoint.url, "m", KEY).ask(MESSAGES, number)
    assert reason in str(caught.value)
    assert "the model m at 127.0.0.1:" in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text


async def test_an_endpoint_that_is_not_there_is_an_error() -> None:
    with socket.socket() as silent:
        # Nobody listens there, and nobody else gets that port meanwhile.
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(ToolFailure, match="cannot be reached"):
            await Model(f"http://127.0.0.1:{port}/v1", "m").ask(MESSAGES, number)


async def test_an_endpoint_that_is_slow_is_given_up() -> None:
    with (
        model_endpoint([Raw(200, completion('{"n": 7}'), delay=30)]) as endpoint,
        pytest.raises(ToolFailure, match=r"did not answer within 0\.1 seconds"),
    ):
        await Model(endpoint.url, "m").ask(MESSAGES, number, limit=0.1)


# -- the shape of data -----------------------------------------------------------------

ITEM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "price": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
        "kind": {"enum": ["new", "used", 1]},
    },
    "required": ["name", "price"],
    "additionalProperties": False,
}
SCHEMA = {
    "$defs": {"Item": ITEM, "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "maxItems": 2},
        "tree": {"$ref": "#/$defs/Tree"},
        "pair": {"prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False},
        "all": {"allOf": [{"minimum": 1}, {"exclusiveMaximum": 3}]},
        "more": {"additionalProperties": {"type": ["integer", "null"]}},
        "fixed": {"const": True},
        "any": True,
    },
}


FITTING: list[Any] = [
    {},
    {"items": [{"name": "ab", "price": 1}, {"name": "cd", "price": None, "kind": "used"}]},
    {"tree": [[], [[]]]},
    {"pair": [1, True]},
    {"pair": [1.0]},
    {"all": 2},
    {"more": {"a": 1, "b": None}},
    {"fixed": True},
    {"any": [object]},
    {"unknown": 1},
]


@pytest.mark.parametrize("data", FITTING)
def test_data_of_the_shape_is_taken(data: Any) -> None:
    check_data(SCHEMA, data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "data: expected object, not a list"),
        ({"items": {}}, "data.items: expected array, not an object"),
        ({"items": [{"name": "ab"}]}, "data.items[0]: price is missing"),
        ({"items": [{"name": "a", "price": 1}]}, "data.items[0].name: its length is 1"),
        ({"items": [{"name": "ab", "price": -1}]}, "data.items[0].price: none of the allowed"),
        ({"items": [{"name": "ab", "price": "1"}]}, "none of the allowed shapes fits text of 1"),
        ({"items": [{"name": "ab", "price": 1, "x": 2}]}, "data.items[0].x: nothing is allowed"),
        ({"items": [{"name": "ab", "price": 1, "kind": True}]}, 'one of ["new", "used", 1]'),
        ({"items": [{"name": "ab", "price": 1}] * 3}, "data.items: its length is 3, not 0 to 2"),
        ({"tree": [[], [1]]}, "data.tree[1][0]: expected array"),
        ({"pair": [True]}, "data.pair[0]: expected integer, not true"),
        ({"pair": [1.5]}, "data.pair[0]: expected integer"),
        ({"pair": [1, True, 3]}, "data.pair[2]: nothing is allowed"),
        ({"all": 0}, "data.all: the number breaks minimum 1"),
        ({"all": 3}, "data.all: the number breaks exclusiveMaximum 3"),
        ({"more": {"a": "1"}}, "data.more.a: expected integer or null"),
        ({"fixed": 1}, "data.fixed: expected one of [true]"),
    ],
)
def test_data_of_another_shape_is_refused_with_the_place(data: Any, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        check_data(SCHEMA, data)
    assert reason in str(caught.value)


def test_a_schema_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(WireError, match="too deep"):
        check_data({"$ref": "#"}, 1)
    with pytest.raises(WireError, match=r"no part #/\$defs/Missing"):
        check_data({"$ref": "#/$defs/Missing"}, 1)
