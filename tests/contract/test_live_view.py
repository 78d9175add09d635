"""The live view: a session's screen in a web browser, over HTTP and a WebSocket."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from httpx_ws import (
    AsyncWebSocketSession,
    WebSocketDisconnect,
    WebSocketUpgradeError,
    aconnect_ws,
)

from agentbay import AsyncAgentBay, AsyncSession, CreateSessionParams

from ..local.sandboxes import until
from .observing import shell

_PROGRAMS = ("Xvfb", "openbox", "xdotool", "xprop", "xwininfo", "wmctrl", "xterm")
_MISSING = [name for name in _PROGRAMS if shutil.which(name) is None]
_INSTALL = "apt-get install xvfb openbox xdotool wmctrl x11-utils xterm"

pytestmark = [
    pytest.mark.anyio,
    # What the cloud shows at its `resource_url` is for people who are logged in there.
    pytest.mark.engine_only,
    pytest.mark.skipif(bool(_MISSING), reason=f"{', '.join(_MISSING)} missing: {_INSTALL}"),
]

PNG = b"\x89PNG\r\n\x1a\n"

Told = dict[str, str]


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


class Viewer:
    """What the page does, without a web browser."""

    def __init__(self, socket: AsyncWebSocketSession) -> None:
        self._socket = socket

    async def told(self) -> Told:
        """What is said next."""
        with anyio.fail_after(30):
            found: Told = await self._socket.receive_json()
            return found

    async def end(self) -> int:
        """The code with which the view ends, whatever is said before."""
        try:
            while True:
                await self.told()
        except WebSocketDisconnect as ended:
            return ended.code

    async def do(self, *events: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps({"events": events}))

    async def type(self, text: str) -> None:
        await self.do(*({"kind": kind, "key": c} for c in text for kind in ("keydown", "keyup")))

    async def press(self, key: str) -> None:
        await self.do({"kind": "keydown", "key": key}, {"kind": "keyup", "key": key})

    async def click(self, x: int, y: int, button: int = 0) -> None:
        where = {"x": x, "y": y, "button": button}
        await self.do({"kind": "down", **where}, {"kind": "up", **where})


@asynccontextmanager
async def watching(session: AsyncSession, **headers: str) -> AsyncGenerator[Viewer, None]:
    socket: AsyncWebSocketSession
    # It has no ping of its own: the view says something as soon as there is something to say.
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        aconnect_ws(
            session.resource_url.replace("http", "ws", 1) + "socket",
            client,
            headers=headers,
            keepalive_ping_interval_seconds=None,
        ) as socket,
    ):
        yield Viewer(socket)


async def written(session: AsyncSession, path: str) -> str:
    """What is in a file once there is something."""

    async def is_written() -> bool:
        return (await session.command.run(f"test -s {path}")).exit_code == 0

    await until(is_written, 30)
    return await shell(session, f"cat {path}")


async def open_reader(session: AsyncSession) -> None:
    """Open a terminal that writes the lines that are typed into it to a file."""
    command = "xterm -geometry 80x24+100+80 -e sh -c 'stty -echo; cat >lines'"
    (await session.computer.start_app(command)).unwrap()

    async def has_focus() -> bool:
        return (await session.computer.get_active_window()).unwrap() is not None

    await until(has_focus, 30)


async def test_the_page_shows_the_screen_and_needs_nothing_else(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    page = await http.get(session.resource_url)
    picture = await http.get(session.resource_url + "screen.png")
    size = (await session.computer.get_screen_size()).unwrap()

    assert session.session_id in page.text
    assert "://" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("view.js", "view.css"):
        assert name in page.text
        part = await http.get(session.resource_url + name)
        assert part.status_code == 200
        assert part.headers["x-content-type-options"] == "nosniff"
    # A session that has had no display yet has one from the first look.
    assert picture.content.startswith(PNG)
    shown = (int.from_bytes(picture.content[n : n + 4]) for n in (16, 20))
    assert tuple(shown) == (size["width"], size["height"])


async def test_a_picture_is_sent_again_only_when_the_screen_has_changed(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    address = session.resource_url + "screen.png"
    first = same = await http.get(address)
    known: dict[str, str] = {}
    with anyio.fail_after(30):
        while same.status_code == 200:  # a display that has just begun may still change
            first, known = same, {"If-None-Match": same.headers["etag"]}
            same = await http.get(address, headers=known)
    connections = {
        r.extensions["network_stream"].get_extra_info("client_addr") for r in (first, same)
    }
    await open_reader(session)
    other = await http.get(address, headers=known)

    assert (same.status_code, same.content) == (304, b"")
    assert len(connections) == 1
    assert other.status_code == 200
    assert other.content != first.content


async def test_a_viewer_sees_changes_and_uses_mouse_and_keyboard(session: AsyncSession) -> None:
    async with watching(session) as viewer:
        empty = await viewer.told()
        await open_reader(session)
        opened = await viewer.told()

        await viewer.click(300, 250)
        await viewer.type("Az 19 (ok) é€")
        await viewer.do({"kind": "text", "text": "日本"})
        await viewer.press("Enter")
        text = await written(session, "lines")

    assert empty.keys() == opened.keys() == {"frame"}
    assert empty != opened
    assert text == "Az 19 (ok) é€日本\n"


async def test_a_viewer_drags_turns_the_wheel_and_uses_shortcuts(session: AsyncSession) -> None:
    async def is_moved() -> bool:
        (window,) = (await session.computer.list_root_windows()).unwrap()
        place = (window.absolute_upper_left_x, window.absolute_upper_left_y)
        return place == (x + 60, y + 60)

    async def is_typed() -> bool:
        # The window manager may still have the keyboard, with which windows are moved as well.
        await viewer.type("end")
        await viewer.press("Enter")
        return (await session.command.run("test -s lines")).success

    async def is_closed() -> bool:
        return not (await session.computer.list_root_windows()).unwrap()

    await open_reader(session)
    (before,) = (await session.computer.list_root_windows()).unwrap()
    x, y = before.absolute_upper_left_x or 0, before.absolute_upper_left_y or 0

    async with watching(session) as viewer:
        title = {"x": x + 200, "y": y + 8, "button": 0}
        await viewer.do({"kind": "down", **title})
        for step in (10, 30, 60):
            await viewer.do({"kind": "move", "x": title["x"] + step, "y": title["y"] + step})
        await viewer.do({"kind": "up", "x": x + 260, "y": y + 68, "button": 0})
        await until(is_moved, 30)
        await viewer.do({"kind": "wheel", "x": x + 300, "y": y + 200, "down": 2, "right": -1})
        await until(is_typed, 30)
        # Ctrl-D ends the program in the terminal, and so the terminal.
        await viewer.do(
            {"kind": "keydown", "key": "Control"},
            {"kind": "keydown", "key": "d"},
            {"kind": "keyup", "key": "d"},
            {"kind": "keyup", "key": "Control"},
        )
        await until(is_closed, 30)


async def test_a_key_that_a_viewer_holds_repeats_as_its_browser_says(
    session: AsyncSession,
) -> None:
    await open_reader(session)
    async with watching(session) as viewer:
        await viewer.type("abc")
        await viewer.do(*[{"kind": "keydown", "key": "Backspace"}] * 3)
        await viewer.do({"kind": "keyup", "key": "Backspace"})
        await viewer.type("d")
        await viewer.press("Enter")

        assert await written(session, "lines") == "d\n"


async def test_what_a_viewer_held_is_released_when_it_leaves(session: AsyncSession) -> None:
    async def is_typed() -> bool:
        (await session.computer.input_text("x")).unwrap()
        (await session.computer.press_keys(["Enter"])).unwrap()
        return "x" in await shell(session, "cat lines")

    await open_reader(session)
    async with watching(session) as viewer:
        await viewer.click(300, 250)
        await viewer.do({"kind": "keydown", "key": "Control"})
        # With Control held this is the end of a line: it is held by the time that one arrives.
        await viewer.type("m")
        await written(session, "lines")

    # With Control held this would be no text.
    await until(is_typed, 30)


WRONG: dict[str, str] = {
    "no JSON": "{",
    "another kind": '{"events": [{"kind": "dance"}]}',
    "another shape": '{"events": {}}',
    "a key that is none": '{"events": [{"kind": "keydown", "key": "Nonsense"}]}',
    "options for a program": '{"events": [{"kind": "keydown", "key": "--help"}]}',
    "a button that is none": '{"events": [{"kind": "down", "button": 9}]}',
    "a wheel that turns too far": '{"events": [{"kind": "wheel", "down": 1000}]}',
    "too many events": json.dumps({"events": [{"kind": "move"}] * 65}),
    "a long text": json.dumps({"events": [{"kind": "text", "text": "x" * 4001}]}),
    "a long message": '{"events": []}' + " " * 20_000,
}


async def test_what_no_person_does_ends_the_view(session: AsyncSession) -> None:
    for name, message in WRONG.items():
        async with watching(session) as viewer:
            await viewer.told()
            await viewer._socket.send_text(message)
            assert await viewer.end() == 1008, name


async def test_a_view_needs_the_address_and_its_own_page(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    token = session.resource_url.split("/")[4]
    wrong = session.resource_url.replace(token, "x" * len(token))

    refused = [await http.get(wrong), await http.get(wrong + "screen.png")]
    posted = await http.post(session.resource_url)
    missing = await http.get(session.resource_url + "../../etc/passwd")

    assert len(token) >= 32
    assert [answer.status_code for answer in refused] == [404, 404]
    assert posted.status_code == 405
    assert missing.status_code == 404
    with pytest.raises(WebSocketUpgradeError):
        async with watching(session, Origin="http://elsewhere.example"):
            pass


async def test_an_address_without_its_slash_leads_to_the_page(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    answer = await http.get(session.resource_url.removesuffix("/"))

    assert answer.headers["location"] == httpx.URL(session.resource_url).path


async def test_a_view_tells_of_a_pause_and_goes_on_after_it(session: AsyncSession) -> None:
    async with watching(session) as viewer:
        shown = await viewer.told()

        (await session.pause()).unwrap()
        while "frame" in (paused := await viewer.told()):
            shown = paused
        (await session.resume()).unwrap()
        resumed = await viewer.told()

    assert "is paused" in paused["problem"]
    assert resumed == shown


async def test_a_view_tells_why_there_is_no_screen_and_gets_another(session: AsyncSession) -> None:
    async with watching(session) as viewer:
        await viewer.told()

        await shell(session, "kill -9 $(pgrep Xvfb)")
        while "problem" not in (broken := await viewer.told()):
            pass
        again = await viewer.told()

    assert "X server" in broken["problem"]
    assert "frame" in again


async def test_a_view_ends_with_its_session(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    async with watching(session) as viewer:
        await viewer.told()
        (await session.delete()).unwrap()
        code = await viewer.end()

    assert code == 1001
    with pytest.raises(WebSocketUpgradeError):
        async with watching(session):
            pass


async def test_a_session_without_a_screen_says_so(
    bay: AsyncAgentBay, http: httpx.AsyncClient
) -> None:
    params = CreateSessionParams(image_id="code_latest")
    async with bay.session(params) as session:
        page = await http.get(session.resource_url)
        picture = await http.get(session.resource_url + "screen.png")

    assert "no screen" in page.text
    assert "view.js" not in page.text
    assert picture.status_code == 503
    assert "code_latest has no screen" in picture.text


async def test_a_view_is_not_for_a_crowd(session: AsyncSession) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            await tasks.start(_watch_for_ever, session)
        with pytest.raises(WebSocketUpgradeError):
            async with watching(session):
                pass
        tasks.cancel_scope.cancel()


async def _watch_for_ever(
    session: AsyncSession, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    async with watching(session):
        task_status.started()
        await anyio.sleep_forever()


@pytest.mark.slow
@pytest.mark.asyncio_only  # Playwright is
async def test_the_page_works_in_a_web_browser(session: AsyncSession) -> None:
    playwright = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no web browser: apt-get install chromium")
    problems: list[str] = []

    def note(message: Any) -> None:
        problems.append(message.text)

    await open_reader(session)
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 900, "height": 700})
        page.on("console", note)
        await page.goto(session.resource_url)
        await page.wait_for_selector("#screen[src]")
        width = "screen => screen.naturalWidth"

        async def is_shown() -> bool:
            return bool(await page.locator("#screen").evaluate(width) == 1280)

        await until(is_shown, 30)
        box = await page.locator("#screen").bounding_box()
        scale = box["width"] / 1280
        await page.mouse.click(box["x"] + 300 * scale, box["y"] + 250 * scale)
        await page.keyboard.type("(Hi)")
        await page.locator("#text").fill("日本")
        await page.locator("#text").press("Enter")
        await page.locator("#screen").focus()
        await page.keyboard.press("Enter")
        text = await written(session, "lines")
        await browser.close()

    assert text == "(Hi)日本\n"
    assert problems == []
