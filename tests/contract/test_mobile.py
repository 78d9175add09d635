"""Mobile sessions: a scripted phone, and Android as far as what `adb` is told.

The `adb` of these tests is a program of ours that notes its arguments and answers as adb does: it
shows what a device would be asked, and not what one would do.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from httpx_ws import AsyncWebSocketSession, aconnect_ws

from agentbay import (
    AgentBayError,
    AsyncAgentBay,
    AsyncSession,
    CreateSessionParams,
    ExtraConfigs,
    MobileExtraConfig,
)
from agentbay.protocol.ui import UIElement

from ..local.sandboxes import until

PIL_Image = pytest.importorskip("PIL.Image", reason="scripted phones need pip install pillow")

pytestmark = [
    pytest.mark.anyio,
    # The environment that names the phone, and finds adb, is that of the engine's process.
    pytest.mark.embedded_only,
]

RED, BLUE = (200, 0, 0), (0, 0, 200)

PHONE = """
name = "shop"
size = [540, 960]
start = "home"

[[apps]]
name = "Shop"
package = "com.example.shop"
screen = "search"

[screens.home]
color = "#c80000"
[[screens.home.elements]]
id = "open"
text = "Open the shop"
color = "#0000c8"
bounds = [40, 200, 500, 300]
goto = "search"
[[screens.home.elements]]
text = "Nothing to click"
bounds = [40, 400, 500, 450]
[[screens.home.rules]]
swipe = "up"
goto = "more"

[screens.search]
[[screens.search.elements]]
id = "query"
text = "What is it?"
input = true
bounds = [40, 100, 500, 180]
[[screens.search.elements]]
id = "go"
text = "Go"
bounds = [40, 200, 500, 300]
[[screens.search.rules]]
key = 66
when = { query = "shoes ü" }
goto = "found"
[[screens.search.rules]]
tap = "go"
when = { query = "" }
goto = "more"

[screens.found]
[screens.more]
[[screens.more.elements]]
text = "More"
bounds = [0, 0, 100, 100]
"""

MOBILE = CreateSessionParams(image_id="mobile_latest")


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "phone.toml"
    path.write_text(PHONE)
    monkeypatch.setenv("AGENTBAY_LOCAL_PHONE", str(path))


@pytest.fixture
async def scripted(bay: AsyncAgentBay, phone: None) -> AsyncGenerator[AsyncSession, None]:
    """A session with the scripted phone."""
    async with bay.session(MOBILE) as session:
        yield session


async def seen(session: AsyncSession) -> list[str]:
    """The texts on the screen."""
    (whole,) = (await session.mobile.get_all_ui_elements()).unwrap()
    return [element.text for element in UIElement(whole).children]


# -- the scripted phone ----------------------------------------------------------------


async def test_a_scripted_phone_says_what_it_is(bay: AsyncAgentBay, scripted: AsyncSession) -> None:
    model = await scripted.command.run("getprop ro.product.model")

    assert model.stdout == "agentbay scripted phone\n"
    assert (await scripted.command.run("getprop ro.agentbay.scripted")).stdout == "1\n"
    assert (await bay.get(scripted.session_id)).unwrap().image_id == "mobile_scripted"


async def test_an_agent_finds_its_way_by_elements(scripted: AsyncSession) -> None:
    mobile = scripted.mobile
    (button,) = (await mobile.get_clickable_ui_elements()).unwrap()
    place = UIElement(button).bounds_rect
    assert place is not None

    (await mobile.tap(place["left"] + 10, place["top"] + 10)).unwrap()
    (await mobile.tap(100, 140)).unwrap()
    (await mobile.input_text("shoes ü")).unwrap()
    typed = await seen(scripted)
    (await mobile.send_key(66)).unwrap()

    assert button["text"] == "Open the shop"
    assert typed == ["shoes ü", "Go"]
    assert await seen(scripted) == []


async def test_elements_have_the_shape_of_the_service(scripted: AsyncSession) -> None:
    xml = (await scripted.mobile.get_all_ui_elements(format="xml")).raw
    (whole,) = (await scripted.ui.get_all_ui_elements()).unwrap()
    button = whole["children"][0]

    assert xml.startswith("<?xml")
    assert 'bounds="[40,200][500,300]"' in xml
    assert (whole["className"], whole["isParent"]) == ("android.widget.FrameLayout", True)
    assert button["bounds"] == "40,200,500,300"
    assert button["type"] == "clickable"
    assert button["resourceId"].endswith(":id/open")


async def test_a_picture_shows_the_screen(scripted: AsyncSession) -> None:
    png = await scripted.mobile.beta_take_screenshot()
    jpeg = await scripted.mobile.beta_take_screenshot("jpeg")
    link = (await scripted.mobile.screenshot()).unwrap()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        linked = await http.get(link)

    image = PIL_Image.open(io.BytesIO(png.data))
    assert (png.width, png.height) == image.size == (540, 960)
    assert (image.getpixel((5, 5)), image.getpixel((498, 205))) == (RED, BLUE)
    # There is a text on the button, and the button is not all of one colour.
    assert len(image.crop((40, 200, 500, 300)).getcolors(10_000)) > 2
    assert PIL_Image.open(io.BytesIO(jpeg.data)).size == (540, 960)
    assert linked.content == png.data


async def test_rules_depend_on_texts_and_swipes(scripted: AsyncSession) -> None:
    mobile = scripted.mobile
    (await mobile.swipe(270, 800, 270, 200)).unwrap()
    swiped = await seen(scripted)
    (await mobile.send_key(4)).unwrap()
    back = await seen(scripted)
    (await mobile.tap(100, 250)).unwrap()
    (await mobile.send_key(66)).unwrap()
    stays = await seen(scripted)
    (await mobile.tap(100, 250)).unwrap()
    more = await seen(scripted)
    (await mobile.send_key(4)).unwrap()

    assert swiped == more == ["More"]
    assert back == ["Open the shop", "Nothing to click"]
    assert stays == ["What is it?", "Go"]
    assert await seen(scripted) == stays


async def test_text_needs_a_field_and_can_be_deleted(scripted: AsyncSession) -> None:
    nowhere = await scripted.mobile.input_text("x")
    (await scripted.mobile.start_app("monkey -p com.example.shop 1")).unwrap()
    (await scripted.mobile.tap(100, 140)).unwrap()
    (await scripted.mobile.input_text("ab")).unwrap()
    (await scripted.mobile.send_key(67)).unwrap()

    assert "tap one" in nowhere.error_message
    assert (await seen(scripted))[0] == "a"


async def test_applications_are_listed_started_and_stopped(scripted: AsyncSession) -> None:
    mobile = scripted.mobile
    (app,) = (await mobile.get_installed_apps()).unwrap()

    (process,) = (await mobile.start_app(app.start_cmd)).unwrap()
    shown = await seen(scripted)
    (await mobile.stop_app_by_cmd(app.stop_cmd or "")).unwrap()

    assert (app.name, process.pname) == ("Shop", "com.example.shop")
    assert shown == ["What is it?", "Go"]
    assert await seen(scripted) == ["Open the shop", "Nothing to click"]


async def test_settings_are_made_in_the_shell_of_the_phone(bay: AsyncAgentBay, phone: None) -> None:
    config = ExtraConfigs(mobile=MobileExtraConfig(lock_resolution=True))
    params = CreateSessionParams(image_id="mobile_latest", extra_configs=config)
    async with bay.session(params) as session:
        locked = await session.command.run("getprop sys.wuying.lockres")
        refused = await session.mobile.set_app_whitelist(["com.example.shop"])

    assert locked.stdout == "1\n"
    assert not refused.success
    assert "scripted phone has getprop" in refused.error_message


async def test_bad_input_is_refused_with_the_reason(scripted: AsyncSession) -> None:
    mobile = scripted.mobile

    results = {
        "is not on the screen": await mobile.tap(540, 0),
        "(0, 960) is not on the screen": await mobile.swipe(0, 0, 0, 960),
        "duration_ms": await mobile.swipe(0, 0, 0, 9, 90_000),
        "no key 1001": await mobile.send_key(1001),
        "no application com.example.none": await mobile.start_app("monkey -p com.example.none 1"),
        "start_cmd must be": await mobile.start_app("rm -rf /"),
        "stop_cmd must be": await mobile.stop_app_by_cmd("reboot now"),
        "no activities": await mobile.start_app("com.example.shop", activity=".Main"),
        "no Android": await mobile.get_adb_url("ssh-rsa key"),
    }

    for reason, result in results.items():
        assert not result.success, reason
        assert reason in result.error_message
    with pytest.raises(AgentBayError, match="puts no pictures together"):
        await mobile.beta_take_long_screenshot()


async def test_two_sessions_have_phones_of_their_own(bay: AsyncAgentBay, phone: None) -> None:
    async with bay.session(MOBILE) as one, bay.session(MOBILE) as other:
        (await one.mobile.start_app("com.example.shop")).unwrap()

        assert await seen(one) != await seen(other)


async def test_the_live_view_of_a_phone_takes_taps_and_text(scripted: AsyncSession) -> None:
    def finger(x: int, y: int) -> list[dict[str, Any]]:
        return [{"kind": kind, "x": x, "y": y} for kind in ("down", "up")]

    async def is_typed() -> bool:
        return (await seen(scripted))[0] == "hi"

    socket: AsyncWebSocketSession
    url = scripted.resource_url.replace("http", "ws", 1) + "socket"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
        aconnect_ws(url, http) as socket,
    ):
        with anyio.fail_after(30):
            first = await socket.receive_json()
            await socket.send_text(json.dumps({"events": finger(100, 250)}))
            second = await socket.receive_json()
            typed = [{"kind": "keydown", "key": key} for key in "hi"]
            await socket.send_text(json.dumps({"events": [*finger(100, 140), *typed]}))
            third = await socket.receive_json()
            await until(is_typed, 30)

    assert len({told["frame"] for told in (first, second, third)}) == 3


BROKEN: dict[str, tuple[str, str]] = {
    "no TOML": ("size = [", "Invalid value"),
    "no screens": ("size = [9, 9]\nstart = 'a'", "screens is missing"),
    "another start": (PHONE.replace('start = "home"', 'start = "x"'), "start leads to 'x'"),
    "an unknown goto": (PHONE.replace('goto = "found"', 'goto = "x"'), "leads to 'x'"),
    "bounds outside": (PHONE.replace("[40, 200, 500, 300]", "[40, 200, 541, 300]"), "bounds"),
    "an unknown direction": (PHONE.replace('"up"', '"north"'), "swipe is one of"),
    "a rule without cause": (PHONE.replace("key = 66\n", ""), "one of tap, key and swipe"),
    "a rule about nothing": (PHONE.replace('tap = "go"', 'tap = "x"'), "no such element"),
    "ids twice": (PHONE.replace('"go"', '"query"'), "the same id"),
    "no colour": (PHONE.replace("#c80000", "reddish"), "no colour"),
    "a huge screen": (PHONE.replace("[540, 960]", "[54000, 960]"), "size must be"),
}


async def test_a_file_that_is_no_phone_is_refused(
    bay: AsyncAgentBay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.toml"
    monkeypatch.setenv("AGENTBAY_LOCAL_PHONE", str(path))
    results = {"missing": (await bay.create(MOBILE), "No such file")}

    for name, (text, reason) in BROKEN.items():
        path.write_text(text)
        results[name] = (await bay.create(MOBILE), reason)

    for name, (result, reason) in results.items():
        assert not result.success, name
        assert reason in result.error_message, name


async def test_a_phone_may_be_json(
    bay: AsyncAgentBay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "phone.json"
    path.write_text('{"size": [100, 200], "start": "a", "screens": {"a": {}}}')
    monkeypatch.setenv("AGENTBAY_LOCAL_PHONE", str(path))

    async with bay.session(MOBILE) as session:
        picture = await session.mobile.beta_take_screenshot()

    assert (picture.width, picture.height) == (100, 200)


async def test_other_sessions_have_no_mobile_device(session: AsyncSession) -> None:
    result = await session.mobile.tap(1, 1)
    address = await session.mobile.get_adb_url("ssh-rsa key")

    assert "mobile_latest" in result.error_message
    assert "mobile" in address.error_message


# -- what adb is told ------------------------------------------------------------------

# It answers from files beside it: `answers.json` has texts by the beginning of a command.
ADB = f"""#!{sys.executable}
import json, pathlib, sys
place = pathlib.Path(__file__).parent
with open(place / "told", "a") as told:
    told.write(json.dumps(sys.argv[1:]) + "\\n")
said = " ".join(sys.argv[1:])
answers = json.loads((place / "answers.json").read_text())
for begin in sorted(answers, key=len, reverse=True):
    if said.startswith(begin):
        text, status = answers[begin]
        sys.stdout.buffer.write(text.encode("latin-1"))
        sys.exit(status)
"""

PICTURE = b"\x89PNG\r\n\x1a\n and so on".decode("latin-1")
TREE = (
    "UI hierchary dumped to: /sdcard/x.xml\n<?xml version='1.0' ?><hierarchy rotation='0'>"
    "<node index='0' text='' content-desc='Search' class='android.widget.Button' clickable='true'"
    " resource-id='a:id/b' bounds='[1,2][3,4]'></node></hierarchy>"
)
SHELL = "-s emulator-5554 shell "
ANSWERS: dict[str, tuple[str, int]] = {
    "devices": ("List of devices attached\nemulator-5554\tdevice\ncable\tunauthorized\n\n", 0),
    SHELL + "wm size": ("Physical size: 1080x2400\nOverride size: 720x1600\n", 0),
    SHELL + "uiautomator dump": (TREE, 0),
    SHELL + "pm list packages": ("package:com.b\npackage:com.a\n", 0),
    SHELL + "pm path com.a": ("package:/data/app/a.apk\n", 0),
    SHELL + "pidof com.a": ("4711\n", 0),
    SHELL + "am start": ("Starting: Intent\nStatus: ok\n", 0),
    SHELL + "monkey -p com.none": ("** No activities found to run, monkey aborted.\n", 252),
    SHELL + "getprop": ("Pixel\n", 0),
    SHELL + "input keyevent 999": ("Error: Unknown keycode: 999\n", 1),
    "-s emulator-5554 exec-out screencap -p": (PICTURE, 0),
}


class Adb:
    """A stand-in for adb: what it was told, and what it answers."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.answers = dict(ANSWERS)
        program = place / "adb"
        program.write_text(ADB)
        program.chmod(0o755)
        self.tell()

    def tell(self) -> None:
        (self._place / "answers.json").write_text(json.dumps(self.answers))
        (self._place / "told").write_text("")

    @property
    def told(self) -> list[str]:
        """What the shell of the device was told."""
        lines = [json.loads(line) for line in (self._place / "told").read_text().splitlines()]
        return [line[3] for line in lines if line[2:3] == ["shell"]]


@pytest.fixture
def adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adb:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Adb(tmp_path)


@asynccontextmanager
async def android(bay: AsyncAgentBay, adb: Adb) -> AsyncGenerator[AsyncSession, None]:
    async with bay.session(MOBILE) as session:
        adb.tell()
        yield session


async def test_adb_is_told_what_fingers_and_keys_do(bay: AsyncAgentBay, adb: Adb) -> None:
    async with android(bay, adb) as session:
        (await session.mobile.tap(10, 1599)).unwrap()
        (await session.mobile.swipe(1, 2, 3, 4, 500)).unwrap()
        (await session.mobile.input_text("it's $HOME & more\nnext")).unwrap()
        (await session.mobile.send_key(3)).unwrap()
        outside = await session.mobile.tap(720, 0)
        foreign = await session.mobile.input_text("ü")
        unknown = await session.mobile.send_key(999)

    assert adb.told == [
        "input tap 10 1599",
        "input swipe 1 2 3 4 500",
        "input text 'it'\"'\"'s%s$HOME%s&%smore'",
        "input keyevent 66",
        "input text next",
        "input keyevent 3",
        "input keyevent 999",
    ]
    assert "720x1600" in outside.error_message
    assert "ASCII" in foreign.error_message
    assert "Unknown keycode" in unknown.error_message


async def test_adb_tells_what_is_on_the_screen(bay: AsyncAgentBay, adb: Adb) -> None:
    async with android(bay, adb) as session:
        (button,) = (await session.mobile.get_clickable_ui_elements()).unwrap()
        (same,) = (await session.mobile.get_all_ui_elements()).unwrap()
        picture = await session.mobile.beta_take_screenshot()
        model = await session.command.run("getprop ro.product.model")
        image = session.image_id

    assert (button["text"], button["bounds"]) == ("Search", "1,2,3,4")
    assert same["resourceId"] == "a:id/b"
    assert picture.data == PICTURE.encode("latin-1")
    assert (picture.width, picture.height) == (720, 1600)
    assert model.stdout == "Pixel\n"
    assert image == "mobile_latest"


async def test_adb_starts_and_stops_applications(bay: AsyncAgentBay, adb: Adb) -> None:
    async with android(bay, adb) as session:
        mobile = session.mobile
        apps = (await mobile.get_installed_apps()).unwrap()
        (process,) = (await mobile.start_app(apps[0].start_cmd)).unwrap()
        (await mobile.start_app("com.a", activity=".Main")).unwrap()
        (await mobile.stop_app_by_cmd("am force-stop com.a")).unwrap()
        unknown = await mobile.start_app("monkey -p com.none 1")
        missing = await mobile.stop_app_by_cmd("com.none")
        injected = await mobile.start_app("monkey -p com.a;reboot 1")

    assert [app.name for app in apps] == ["com.a", "com.b"]
    assert (process.pname, process.pid) == ("com.a", 4711)
    assert "am start -W -n com.a/.Main" in adb.told
    assert "am force-stop com.a" in adb.told
    assert not unknown.success
    assert "no application com.none" in missing.error_message
    assert "start_cmd must be" in injected.error_message
    assert not any("reboot" in line for line in adb.told)


async def test_the_address_of_an_emulator_is_told(bay: AsyncAgentBay, adb: Adb) -> None:
    async with android(bay, adb) as session:
        found = (await session.mobile.get_adb_url("ssh-rsa key")).unwrap()
        # As clients of the first generation ask.
        same = (await session.get_link("adb", options='{"adbkey_pub": "ssh-rsa key"}')).unwrap()

    assert found == same == "adb connect 127.0.0.1:5555"


async def test_a_device_is_for_one_session(bay: AsyncAgentBay, adb: Adb) -> None:
    async with android(bay, adb):
        second = await bay.create(MOBILE)
    async with android(bay, adb) as third:
        assert (await third.mobile.tap(1, 1)).success

    assert "other sessions have all of them: emulator-5554" in second.error_message


NO_DEVICE: dict[str, tuple[str, str]] = {
    "none": ("List of devices attached\n", "it sees none"),
    "not allowed": ("List of devices attached\ncable\tunauthorized\n", "cable (unauthorized)"),
}


@pytest.mark.parametrize("name", NO_DEVICE)
async def test_a_session_without_a_device_is_refused(
    bay: AsyncAgentBay, adb: Adb, name: str
) -> None:
    listed, reason = NO_DEVICE[name]
    adb.answers["devices"] = (listed, 0)
    adb.tell()

    result = await bay.create(MOBILE)

    assert result.code == "NoDevice"
    assert reason in result.error_message
    assert "AGENTBAY_LOCAL_PHONE" in result.error_message


@pytest.mark.skipif(
    shutil.which("adb") is not None, reason="needs a machine without adb: remove it"
)
async def test_a_machine_without_adb_says_how_to_get_it(bay: AsyncAgentBay) -> None:
    result = await bay.create(MOBILE)

    assert "apt-get install adb" in result.error_message
