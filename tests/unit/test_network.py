"""Networks of the account, against a service that lives in the test."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from agentbay._async.network import AsyncBetaNetworkService
from agentbay.errors import APIError, InvalidInputError, ProtocolError

from .service import Service, always, client, ok


def network(service: Service) -> AsyncBetaNetworkService:
    return AsyncBetaNetworkService(client(service))


@pytest.mark.parametrize("network_id", [None, "net-9"])
async def test_a_token_is_asked_for(network_id: str | None) -> None:
    service = Service(always(lambda: ok({"NetworkId": "net-9", "NetworkToken": "secret"})))
    result = await network(service).get_network_bind_token(network_id)
    assert (result.network_id, result.unwrap(), result.request_id) == ("net-9", "secret", "r-1")
    assert "secret" not in repr(result)
    named = {} if network_id is None else {"NetworkId": network_id}
    assert service.sent[0].parameters == {"LoginRegionId": "cn-hangzhou", **named}


@pytest.mark.parametrize(("data", "online"), [({"Online": True}, True), ({}, False)])
async def test_describe_tells_whether_a_machine_is_joined(
    data: dict[str, Any], online: bool
) -> None:
    service = Service(always(lambda: ok(data)))
    assert (await network(service).describe("net-9")).unwrap() is online
    assert service.sent[0].parameters == {"NetworkId": "net-9"}


async def test_a_blank_network_is_refused_before_sending() -> None:
    service = Service(always(ok))
    assert isinstance((await network(service).describe(" ")).error, InvalidInputError)
    assert service.sent == []


def unavailable(status: int) -> httpx.Response:
    return httpx.Response(status, json={"Code": "ServiceUnavailable", "Success": False})


@pytest.mark.parametrize("status", [200, 503])
async def test_describe_asks_a_busy_service_three_times(status: int) -> None:
    answers = iter([unavailable(status), unavailable(status), ok({"Online": True})])
    service = Service(lambda _: next(answers))
    assert (await network(service).describe("net-9")).online
    assert len(service.sent) == 3
    busy = Service(always(lambda: unavailable(status)))
    assert isinstance((await network(busy).describe("net-9")).error, APIError)
    assert len(busy.sent) == 3


async def test_creating_a_network_is_not_repeated() -> None:
    service = Service(always(lambda: unavailable(503)))
    result = await network(service).get_network_bind_token()
    assert (result.success, result.code, len(service.sent)) == (False, "ServiceUnavailable", 1)


async def test_a_reply_that_makes_no_sense_is_a_failure() -> None:
    service = Service(always(lambda: ok([1])))
    assert isinstance((await network(service).describe("net-9")).error, ProtocolError)
    assert isinstance((await network(service).get_network_bind_token()).error, ProtocolError)
