"""Mobile devices: what is sent, how answers are read, and which settings are made."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentbay import AgentBayError, APIError, CommandError, ContextSync, InvalidInputError
from agentbay._async.mobile import AsyncMobile
from agentbay._async.mobile_simulate import AsyncMobileSimulateService
from agentbay.protocol import mobile as protocol
from agentbay.protocol._calls import Content
from agentbay.protocol._images import Image
from agentbay.protocol.extra_configs import (
    AppManagerRule,
    MobileExtraConfig,
    MobileSimulateConfig,
    MobileSimulateMode,
)
from agentbay.protocol.key_codes import KeyCode
from agentbay.protocol.sync_policy import BWList, SyncPolicy, WhiteList

from .service import Sent, Service, always, by_action, client, ok, session_of, tool_says

PNG = b"\x89PNG\r\n\x1a\nrest"
JPEG = b"\xff\xd8\xffrest"
KEY = "QAAAA== me@host"


def _picture(data: bytes = PNG, mime_type: str = "image/png", **facts: Any) -> str:
    text = base64.b64encode(data).decode()
    return json.dumps({"type": "image", "mime_type": mime_type, "data": text, **facts})


def _shell(exit_code: int = 0, stderr: str = "") -> httpx.Response:
    return tool_says(json.dumps({"exit_code": exit_code, "stdout": "", "stderr": stderr}))


def _saying(text: str, *, is_error: bool = False) -> tuple[Service, AsyncMobile]:
    service = Service(always(lambda: tool_says(text, is_error=is_error)))
    return service, AsyncMobile(session_of(service))


def _shells(answer: Callable[[], httpx.Response] = _shell) -> tuple[Service, AsyncMobile]:
    service = Service(always(answer))
    return service, AsyncMobile(session_of(service))


def _called(sent: Sent) -> tuple[str, dict[str, Any]]:
    return sent.form["Name"], json.loads(sent.form["Args"])


def _scripts(service: Service) -> list[str]:
    return [_called(sent)[1]["command"] for sent in service.sent]


Call = Callable[[AsyncMobile], Awaitable[Any]]

# -- requests --------------------------------------------------------------------------

SENT: dict[str, tuple[Call, str, str, dict[str, Any]]] = {
    "tap": (lambda m: m.tap(1, 2), "ok", "tap", {"x": 1, "y": 2}),
    "swipe": (
        lambda m: m.swipe(1, 2, 3, 4),
        "",
        "swipe",
        {"start_x": 1, "start_y": 2, "end_x": 3, "end_y": 4, "duration_ms": 300},
    ),
    "slow swipe": (
        lambda m: m.swipe(1, 2, 3, 4, duration_ms=900),
        "",
        "swipe",
        {"start_x": 1, "start_y": 2, "end_x": 3, "end_y": 4, "duration_ms": 900},
    ),
    "input_text": (lambda m: m.input_text("héllo"), "", "input_text", {"text": "héllo"}),
    "send_key": (lambda m: m.send_key(KeyCode.HOME), "", "send_key", {"key": 3}),
    "send_key by number": (lambda m: m.send_key(4), "", "send_key", {"key": 4}),
    "clickable": (
        lambda m: m.get_clickable_ui_elements(),
        "[]",
        "get_clickable_ui_elements",
        {"timeout_ms": 2000},
    ),
    "all elements": (
        lambda m: m.get_all_ui_elements(5000),
        "[]",
        "get_all_ui_elements",
        {"timeout_ms": 5000},
    ),
    "all elements as JSON": (
        lambda m: m.get_all_ui_elements(format="JSON"),
        "[]",
        "get_all_ui_elements",
        {"timeout_ms": 2000},
    ),
    "all elements as XML": (
        lambda m: m.get_all_ui_elements(format="XML"),
        "<hierarchy/>",
        "get_all_ui_elements",
        {"timeout_ms": 2000, "format": "xml"},
    ),
    "installed apps": (
        lambda m: m.get_installed_apps(True, False, False),
        "[]",
        "get_installed_apps",
        {"start_menu": True, "desktop": False, "ignore_system_app": False},
    ),
    "installed apps by default": (
        lambda m: m.get_installed_apps(),
        "[]",
        "get_installed_apps",
        {"start_menu": False, "desktop": True, "ignore_system_app": True},
    ),
    "start_app": (
        lambda m: m.start_app("monkey -p a.b 1"),
        "[]",
        "start_app",
        {"start_cmd": "monkey -p a.b 1"},
    ),
    "start_app with all": (
        lambda m: m.start_app("x", "/w", ".A"),
        "[]",
        "start_app",
        {"start_cmd": "x", "work_directory": "/w", "activity": ".A"},
    ),
    "stop_app_by_cmd": (
        lambda m: m.stop_app_by_cmd("am force-stop a.b"),
        "ok",
        "stop_app_by_cmd",
        {"stop_cmd": "am force-stop a.b"},
    ),
    "screenshot": (lambda m: m.screenshot(), "https://x/a.png", "system_screenshot", {}),
    "beta_take_screenshot": (
        lambda m: m.beta_take_screenshot(),
        _picture(),
        "screenshot",
        {"format": "png"},
    ),
    "long screenshot": (
        lambda m: m.beta_take_long_screenshot(),
        _picture(),
        "long_screenshot",
        {"max_screens": 4, "format": "png"},
    ),
    "long screenshot with all": (
        lambda m: m.beta_take_long_screenshot(10, "jpg", 80),
        _picture(JPEG, "image/jpeg"),
        "long_screenshot",
        {"max_screens": 10, "format": "jpeg", "quality": 80},
    ),
}


@pytest.mark.parametrize("name", SENT)
async def test_a_method_sends_its_tool_with_its_arguments(name: str) -> None:
    call, answer, tool, arguments = SENT[name]
    service, mobile = _saying(answer)
    result = await call(mobile)
    assert (result.success, result.request_id) == (True, "r-1")
    assert _called(service.sent[0]) == (tool, arguments)
    assert len(service.sent) == 1


@pytest.mark.parametrize("name", [name for name in SENT if "screenshot" not in name])
async def test_a_tool_that_fails_gives_a_failed_result(name: str) -> None:
    _, mobile = _saying("Execution failed. Error code:-32602 Error message: no", is_error=True)
    result = await SENT[name][0](mobile)
    assert (result.success, result.error_message, result.code) == (False, "no", "-32602")


async def test_both_families_of_key_names_are_known() -> None:
    assert (KeyCode.HOME, KeyCode.BACK, KeyCode.MENU) == (3, 4, 82)
    assert KeyCode(3).name == "KEYCODE_HOME"


async def test_the_quality_of_a_png_is_not_sent() -> None:
    service, mobile = _saying(_picture())
    await mobile.beta_take_long_screenshot(quality=50)
    assert _called(service.sent[0])[1] == {"max_screens": 4, "format": "png"}


# -- answers ---------------------------------------------------------------------------


async def test_all_elements_get_what_they_lack_and_their_rectangle() -> None:
    text = json.dumps([{"bounds": "[0,0][10,20]", "children": [{"text": "a", "extra": 1}]}])
    _, mobile = _saying(text)
    result = await mobile.get_all_ui_elements()
    (element,) = result.unwrap()
    assert element["bounds_rect"] == {"left": 0, "top": 0, "right": 10, "bottom": 20}
    assert (element["className"], element["index"], element["isParent"]) == ("", -1, False)
    assert element.children[0]["text"] == "a"
    assert (result.raw, result.format) == (text, "json")


async def test_clickable_elements_stay_as_they_are_but_for_their_rectangle() -> None:
    _, mobile = _saying('[{"bounds": "48,90,1032,630", "type": "clickable"}]')
    (element,) = (await mobile.get_clickable_ui_elements()).unwrap()
    assert element == {
        "bounds": "48,90,1032,630",
        "type": "clickable",
        "bounds_rect": {"left": 48, "top": 90, "right": 1032, "bottom": 630},
    }


async def test_xml_comes_as_it_is() -> None:
    _, mobile = _saying("<hierarchy/>")
    result = await mobile.get_all_ui_elements(format="xml")
    assert (result.elements, result.raw, result.format) == ([], "<hierarchy/>", "xml")


async def test_an_unknown_format_is_refused_before_the_call() -> None:
    service, mobile = _saying("[]")
    result = await mobile.get_all_ui_elements(format="yaml")
    assert not result.success
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


async def test_apps_and_processes_are_read_in_both_spellings() -> None:
    app = {"name": "A", "start_cmd": "monkey -p a 1", "stop_cmd": "am force-stop a"}
    _, mobile = _saying(json.dumps([app]))
    (found,) = (await mobile.get_installed_apps()).unwrap()
    assert (found.name, found.start_cmd, found.stop_cmd) == tuple(app.values())
    _, mobile = _saying('[{"pname": "a.b", "pid": 5}, {"name": "c", "pid": 6}]')
    processes = (await mobile.start_app("x")).unwrap()
    assert [(process.pname, process.pid) for process in processes] == [("a.b", 5), ("c", 6)]


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[1]"])
async def test_an_answer_of_another_shape_is_a_failure(text: str) -> None:
    _, mobile = _saying(text)
    for result in (
        await mobile.get_clickable_ui_elements(),
        await mobile.get_all_ui_elements(),
        await mobile.get_installed_apps(),
        await mobile.start_app("x"),
    ):
        assert not result.success
        assert result.error_message


async def test_a_picture_comes_with_its_facts() -> None:
    _, mobile = _saying(_picture(JPEG, "image/jpeg", width=3, height=4))
    shot = await mobile.beta_take_screenshot("jpg")
    assert (shot.data, shot.mime_type, shot.width, shot.height) == (JPEG, "image/jpeg", 3, 4)


@pytest.mark.parametrize(
    "text", ["", "x", "{}", _picture(JPEG), _picture(mime_type="image/jpeg"), _picture(b"")]
)
async def test_a_damaged_picture_is_an_error(text: str) -> None:
    _, mobile = _saying(text)
    with pytest.raises(AgentBayError):
        await mobile.beta_take_screenshot()
    with pytest.raises(AgentBayError):
        await mobile.beta_take_long_screenshot()


@pytest.mark.parametrize("link_url", ["", "https://link.test"])
async def test_both_kinds_of_screenshot_work_on_any_session(link_url: str) -> None:
    replies = iter(["https://x/a.png", _picture()])
    service = Service(always(lambda: tool_says(next(replies))))
    session = session_of(service)
    object.__setattr__(session._data, "link_url", link_url)
    mobile = AsyncMobile(session)
    assert (await mobile.screenshot()).data == "https://x/a.png"
    assert (await mobile.beta_take_screenshot()).data == PNG


BAD: dict[str, Call] = {
    "format": lambda m: m.beta_take_screenshot("gif"),
    "long format": lambda m: m.beta_take_long_screenshot(format="gif"),
    "too few screens": lambda m: m.beta_take_long_screenshot(1),
    "too many screens": lambda m: m.beta_take_long_screenshot(11),
    "screens as a flag": lambda m: m.beta_take_long_screenshot(True),
    "quality 0": lambda m: m.beta_take_long_screenshot(4, "jpeg", 0),
    "quality as a flag": lambda m: m.beta_take_long_screenshot(4, "jpeg", True),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_picture_is_refused_before_the_call(name: str) -> None:
    service, mobile = _saying(_picture())
    with pytest.raises(InvalidInputError):
        await BAD[name](mobile)
    assert service.sent == []


REFUSED: dict[str, Call] = {
    "tap": lambda m: m.tap("a", 1),  # type: ignore[arg-type]  # what is tested
    "send_key": lambda m: m.send_key(-1),
    "start_app": lambda m: m.start_app(" "),
    "stop_app": lambda m: m.stop_app_by_cmd(""),
    "adb": lambda m: m.get_adb_url(""),
    "empty whitelist": lambda m: m.set_app_whitelist([]),
    "one text": lambda m: m.set_app_blacklist("a.b"),
    "line break": lambda m: m.set_app_blacklist(["a\nb"]),
    "semicolon": lambda m: m.set_uninstall_blacklist(["a;b"]),
    "blank": lambda m: m.set_uninstall_blacklist([""]),
    "no text": lambda m: m.set_app_whitelist([1]),  # type: ignore[list-item]  # what is tested
    "no flag": lambda m: m.set_resolution_lock("no"),  # type: ignore[arg-type]  # same
    "rule": lambda m: m.configure(MobileExtraConfig(app_manager_rule=AppManagerRule("Red", ["a"]))),
    "simulate without path": lambda m: m.simulate(MobileSimulateConfig(True)),
    "relative path": lambda m: m.simulate(MobileSimulateConfig(True, "a")),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_input_is_refused_before_the_call(name: str) -> None:
    service, mobile = _shells()
    result = await REFUSED[name](mobile)
    assert not result.success
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


# -- settings --------------------------------------------------------------------------

NASTY = "a'$(touch${IFS}x)`y`\"|&"


async def test_switches_are_set() -> None:
    service, mobile = _shells()
    for result in (
        await mobile.set_resolution_lock(True),
        await mobile.set_resolution_lock(False),
        await mobile.set_navigation_bar_visibility(True),
        await mobile.set_navigation_bar_visibility(False),
    ):
        assert result.unwrap() is True
    lock, unlock, hide, show = _scripts(service)
    assert lock == "setprop sys.wuying.lockres 1"
    assert unlock == "setprop sys.wuying.lockres 0"
    assert hide.startswith("setprop persist.wy.hasnavibar false && ")
    assert show.startswith("setprop persist.wy.hasnavibar true && ")


def _carry_out(script: str, tmp_path: Path) -> list[list[str]]:
    """Run a script with the device's programs replaced; the properties that it sets."""
    log = tmp_path / "log"
    log.write_text("")
    (tmp_path / "system").mkdir(exist_ok=True)
    here = script.replace("/data/system", str(tmp_path / "system"))
    tools = "".join(f'{name}() {{ printf "%s\\0" {name} "$@" "" >> {log}; }}\n' for name in _TOOLS)
    subprocess.run(["sh", "-c", tools + here], check=True, cwd=tmp_path, timeout=20)
    calls = log.read_text().split("\0\0")
    return [call.split("\0") for call in calls if call]


_TOOLS = ("setprop", "wya")


def test_package_names_reach_the_file_as_they_are(tmp_path: Path) -> None:
    script = protocol.app_blacklist_script(["com.a", NASTY])
    assert _carry_out(script, tmp_path) == [
        ["setprop", "rw.wy.pm_blacklist.refresh", "1"],
        ["setprop", "persist.wy.pm_blacklist.switch", "1"],
    ]
    file = tmp_path / "system" / "pm_blacklist.txt"
    assert file.read_text() == f"com.a\n{NASTY}\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "system"]


def test_a_whitelist_has_its_own_file_and_switch(tmp_path: Path) -> None:
    assert _carry_out(protocol.app_whitelist_script(["com.a"]), tmp_path) == [
        ["setprop", "rw.wy.pm_whitelist.refresh", "1"],
        ["setprop", "persist.wy.pm_blacklist.switch", "2"],
    ]
    assert (tmp_path / "system" / "pm_whitelist.txt").read_text() == "com.a\n"


def test_both_generations_of_images_learn_what_cannot_be_removed(tmp_path: Path) -> None:
    script = protocol.uninstall_blacklist_script(["com.a", NASTY], 17)
    assert _carry_out(script, tmp_path) == [
        ["setprop", "persist.wy.pm_lock", f"com.a;{NASTY}"],
        ["setprop", "persist.wy.pm_lock.trigger", "17"],
    ]
    assert (tmp_path / "system" / "pm_lock.conf").read_text() == f"com.a\n{NASTY}\n"


def test_a_list_can_be_cleared(tmp_path: Path) -> None:
    _carry_out(protocol.app_blacklist_script(["com.a"]), tmp_path)
    _carry_out(protocol.app_blacklist_script([]), tmp_path)
    assert (tmp_path / "system" / "pm_blacklist.txt").read_text() == ""
    _carry_out(protocol.uninstall_blacklist_script([], 1), tmp_path)
    assert (tmp_path / "system" / "pm_lock.conf").read_text() == ""


async def test_a_configuration_is_carried_out_in_its_order() -> None:
    service, mobile = _shells()
    config = MobileExtraConfig(True, AppManagerRule("White", ["com.a"]), False, ["com.c"])
    assert (await mobile.configure(config)).unwrap() is True
    words = ("lockres 1", "pm_whitelist.refresh", "hasnavibar true", "pm_lock")
    scripts = _scripts(service)
    assert len(scripts) == len(words)
    assert all(word in script for word, script in zip(words, scripts, strict=True))


@pytest.mark.parametrize("config", [None, MobileExtraConfig(app_manager_rule=AppManagerRule())])
async def test_a_configuration_without_settings_changes_nothing(
    config: MobileExtraConfig | None,
) -> None:
    service, mobile = _shells()
    assert (await mobile.configure(config)).success
    assert service.sent == []


async def test_nothing_is_set_when_a_part_of_a_configuration_is_bad() -> None:
    service, mobile = _shells()
    result = await mobile.configure(MobileExtraConfig(True, uninstall_blacklist=["a b"]))
    assert (result.success, service.sent) == (False, [])


async def test_a_setting_that_fails_is_told() -> None:
    _, mobile = _shells(lambda: _shell(1, "setprop: denied"))
    result = await mobile.set_resolution_lock(True)
    assert (result.success, result.error_message) == (False, "setprop: denied")
    assert isinstance(result.error, CommandError)
    assert result.error.exit_code == 1


@pytest.mark.parametrize(
    ("mode", "option"),
    [
        (None, []),
        (MobileSimulateMode.PROPERTIES_ONLY, []),
        (MobileSimulateMode.SENSORS_ONLY, ["-sensors"]),
        (MobileSimulateMode.PACKAGES_ONLY, ["-packages"]),
        (MobileSimulateMode.SERVICES_ONLY, ["-services"]),
        (MobileSimulateMode.ALL, ["-all"]),
    ],
)
def test_every_mode_of_simulation_has_its_option(
    mode: MobileSimulateMode | None, option: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "it's here"
    path.mkdir()
    script = protocol.simulate_script(f"{path}/", mode)
    assert _carry_out(script, tmp_path) == [["wya", "apply", *option, f"{path}/dev_info.json"]]


async def test_a_simulation_that_is_off_needs_no_path_and_does_nothing() -> None:
    service, mobile = _shells()
    assert (await mobile.simulate(MobileSimulateConfig())).success
    assert service.sent == []


async def test_a_simulation_is_run_in_the_session() -> None:
    service, mobile = _shells()
    await mobile.simulate(MobileSimulateConfig(True, "/data/x", MobileSimulateMode.ALL))
    assert shlex.split(_scripts(service)[0])[-4:] == [
        "wya",
        "apply",
        "-all",
        "/data/x/dev_info.json",
    ]


# -- adb -------------------------------------------------------------------------------

COMMAND = "adb connect 47.99.76.99:54848"


def _refused(code: str) -> httpx.Response:
    return httpx.Response(400, json={"RequestId": "r-0", "Code": code, "Message": "no"})


async def test_adb_is_asked_for_with_the_public_key() -> None:
    service = Service(by_action({"GetAdbLink": lambda: ok({"Url": COMMAND})}))
    result = await AsyncMobile(session_of(service)).get_adb_url(KEY)
    assert (result.data, result.url, result.unwrap()) == (COMMAND, COMMAND, COMMAND)
    (sent,) = service.sent
    assert sent.form["SessionId"] == "s-000001"
    assert json.loads(sent.form["Option"]) == {"adbkey_pub": KEY}


async def test_a_region_without_the_action_gives_a_link_instead() -> None:
    replies: Mapping[str, Callable[[], httpx.Response]] = {
        "GetAdbLink": lambda: _refused("InvalidAction.NotFound"),
        "GetLink": lambda: ok({"Url": COMMAND}),
    }
    service = Service(by_action(replies))
    assert (await AsyncMobile(session_of(service)).get_adb_url(KEY)).data == COMMAND
    link = service.sent[1].form
    assert (service.actions, link["ProtocolType"]) == (["GetAdbLink", "GetLink"], "adb")
    assert json.loads(link["Option"]) == {"adbkey_pub": KEY}
    assert "Port" not in link


async def test_a_session_without_adb_gives_a_failed_result() -> None:
    service = Service(always(lambda: _refused("only mobile")))
    result = await AsyncMobile(session_of(service)).get_adb_url(KEY)
    assert (result.success, result.data) == (False, None)
    assert isinstance(result.error, APIError)
    assert "mobile" in result.error_message
    assert service.actions == ["GetAdbLink"]


# -- simulating another device ---------------------------------------------------------

FACTS = '{"brand": "x"}'


def _cloud(sent: Sent) -> httpx.Response:
    if sent.action == "GetContext":
        return ok({"Id": "ctx-9", "Name": "n"})
    if sent.action == "GetContextFileUploadUrl":
        return ok({"Url": "https://oss.test/put?sig=1"})
    if sent.action == "DescribeContextFiles":
        return ok([{"FileName": "dev_info.json", "FilePath": "/x"}])
    return httpx.Response(200)


async def test_facts_about_a_device_get_a_context_of_their_own() -> None:
    service = Service(_cloud)
    device = AsyncMobileSimulateService(client(service))
    device.set_simulate_enable(True)
    device.set_simulate_mode("All")
    result = await device.upload_mobile_info(FACTS)
    assert (result.success, result.mobile_simulate_context_id) == (True, "ctx-9")
    assert service.actions == ["GetContext", "GetContextFileUploadUrl", ""]
    assert service.sent[1].form["FilePath"] == "/data/agentbay_mobile_info/dev_info.json"
    put = service.requests[2]
    assert (put.method, put.content, httpx.URL.__str__(put.url)) == (
        "PUT",
        FACTS.encode(),
        "https://oss.test/put?sig=1",
    )
    assert "authorization" not in put.headers
    assert device.get_simulate_config() == MobileSimulateConfig(
        True, "/data/agentbay_mobile_info", MobileSimulateMode.ALL, "ctx-9"
    )


async def test_facts_in_a_context_of_the_user_have_one_slash_and_are_let_through() -> None:
    policy = SyncPolicy(bw_list=BWList([WhiteList("/data")]))
    sync = ContextSync("ctx-1", "/data/user", policy)
    service = Service(_cloud)
    device = AsyncMobileSimulateService(client(service))
    for _ in range(2):
        assert (await device.upload_mobile_info(FACTS, sync)).unwrap() == "ctx-1"
    path = "/data/user/agentbay_mobile_info/dev_info.json"
    assert service.sent[0].form["FilePath"] == path
    lists = [item.path for item in policy.bw_list.white_lists]
    assert lists == ["/data", "/agentbay_mobile_info/"]
    assert device.get_simulate_config() == MobileSimulateConfig(
        False, "/data/user/agentbay_mobile_info/", MobileSimulateMode.PROPERTIES_ONLY
    )


async def test_facts_that_are_there_are_found_and_used() -> None:
    service = Service(_cloud)
    device = AsyncMobileSimulateService(client(service))
    assert await device.has_mobile_info(ContextSync("ctx-1", "/data/user"))
    assert service.sent[0].form["ParentFolderPath"] == "/data/user/agentbay_mobile_info/"
    assert device.get_simulate_config().simulate_path == "/data/user/agentbay_mobile_info/"
    empty = AsyncMobileSimulateService(client(Service(always(lambda: ok([])))))
    assert not await empty.has_mobile_info(ContextSync("ctx-1", "/data/user"))


async def test_a_context_that_cannot_be_read_is_an_error() -> None:
    device = AsyncMobileSimulateService(client(Service(always(lambda: _refused("X")))))
    with pytest.raises(APIError):
        await device.has_mobile_info(ContextSync("ctx-1", "/data/user"))


async def test_an_upload_that_is_refused_is_a_failed_result() -> None:
    service = Service(
        lambda sent: _cloud(sent) if sent.action else httpx.Response(403, text="sig=1")
    )
    result = await AsyncMobileSimulateService(client(service)).upload_mobile_info(FACTS)
    assert (result.success, result.mobile_simulate_context_id) == (False, "")
    assert "403" in result.error_message
    assert "sig" not in result.error_message


@pytest.mark.parametrize("facts", ["", " ", "{", "{}", "[]", "null", "[1]", None])
async def test_facts_that_are_none_are_refused_before_anything_is_sent(facts: Any) -> None:
    service = Service(_cloud)
    with pytest.raises(InvalidInputError):
        await AsyncMobileSimulateService(client(service)).upload_mobile_info(facts)
    assert service.sent == []


async def test_a_missing_context_and_an_unknown_mode_are_refused() -> None:
    device = AsyncMobileSimulateService(client(Service(_cloud)))
    with pytest.raises(InvalidInputError):
        await device.has_mobile_info(None)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidInputError):
        device.set_simulate_mode("Some")
    device.set_simulate_context_id("ctx-5")
    assert device.get_simulate_context_id() == "ctx-5"
    assert device.get_simulate_config().simulate_path == "/data/agentbay_mobile_info"
    assert (device.get_simulate_enable(), device.get_simulate_mode()) == (False, "PropertiesOnly")


# -- the engine's side -----------------------------------------------------------------


def test_a_long_picture_survives_the_wire() -> None:
    call, image = protocol.LongScreenshot(), Image("image", "image/png", PNG, 1, 2)
    assert call.parse(call.write(image)) == image
    assert protocol.Tap(1, 2).parse(Content("any")) is None
