"""What hangs on a client and on a session leads to the right requests."""

from __future__ import annotations

import json

import pytest

from agentbay import (
    AgentBay,
    AppManagerRule,
    AsyncAgentBay,
    AsyncSession,
    CreateSessionParams,
    ExtraConfigs,
    LifecyclePolicy,
    MobileExtraConfig,
    Session,
)

from .service import Service, always, client, ok, tool_says


async def test_the_modules_of_a_session_call_their_tools() -> None:
    service = Service(always(lambda: tool_says("{}")))
    async with client(service) as bay:
        session = AsyncSession(bay, "s-1")
        await session.env.set({"GREETING": "hei"})
        await session.mobile.tap(3, 4)
        await session.computer.click_mouse(1, 2)
        await session.ui.send_key(3)
        await session.code.run_code("print(1)", "python")
        await session.oss.download("bucket", "object", "/tmp/a")

    names = [sent.form["Name"] for sent in service.sent]
    assert names == ["set_env", "tap", "click_mouse", "send_key", "run_code", "oss_download"]


async def test_the_life_of_a_session_is_governed_by_its_methods() -> None:
    service = Service(always(lambda: ok({"Status": "PAUSED", "SessionId": "s-1"})))
    async with client(service) as bay:
        session = AsyncSession(bay, "s-1")
        assert (await session.keep_alive()).success
        assert (await session.get_status()).status == "PAUSED"
        assert (await session.pause(timeout=30)).status == "PAUSED"

    assert service.actions == [
        "RefreshSessionIdleTime",
        "GetSessionDetail",
        "PauseSessionAsync",
        "GetSession",
    ]


async def test_the_services_of_a_client_send_their_actions() -> None:
    service = Service(always(lambda: ok({"NetworkId": "n-1", "NetworkToken": "t", "Online": True})))
    async with client(service) as bay:
        assert (await bay.beta_network.get_network_bind_token()).network_id == "n-1"
        assert (await bay.beta_network.describe("n-1")).online

    assert service.actions == ["CreateNetwork", "DescribeNetwork"]


async def test_create_sends_all_that_a_session_is_asked_to_be() -> None:
    service = Service(always(lambda: ok({"SessionId": "s-1"})))
    params = CreateSessionParams(
        image_id="linux_latest", lifecycle_policy=LifecyclePolicy(10, 60), beta_network_id="n-1"
    )
    async with client(service) as bay:
        assert (await bay.create(params)).success

    sent = service.sent[0].parameters
    assert (sent["Timeout"], sent["MaxRuntime"], sent["NetworkId"]) == ("10", "60", "n-1")


async def test_create_applies_the_settings_of_a_phone() -> None:
    service = Service(
        lambda sent: (
            ok({"SessionId": "s-1"})
            if sent.action == "CreateMcpSession"
            else tool_says(json.dumps({"stdout": "", "stderr": "", "exit_code": 0}))
        )
    )
    rule = AppManagerRule("White", ["com.example.app"])
    mobile = MobileExtraConfig(lock_resolution=True, app_manager_rule=rule)
    async with client(service) as bay:
        result = await bay.create(CreateSessionParams(extra_configs=ExtraConfigs(mobile)))

    assert result.success, result.error_message
    assert service.sent[0].form["ExtraConfigs.Mobile.LockResolution"] == "True"
    commands = [sent.form["Args"] for sent in service.sent if sent.action == "CallMcpTool"]
    assert any("com.example.app" in command for command in commands)


@pytest.mark.parametrize("name", ["env", "git", "code", "oss", "browser", "computer", "mobile"])
def test_a_module_is_made_once_in_both_facades(name: str) -> None:
    blocking = Session(AgentBay("key", endpoint="https://service.test"), "s-1")
    awaited = AsyncSession(AsyncAgentBay("key", endpoint="https://service.test"), "s-1")

    assert getattr(blocking, name) is getattr(blocking, name)
    assert getattr(awaited, name) is getattr(awaited, name)
    assert type(getattr(awaited, name)).__name__ == f"Async{type(getattr(blocking, name)).__name__}"
