"""The mouse, the keyboard and the screen, with real programs on a real X server."""

from __future__ import annotations

import importlib.util
import io
import json
import string
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from agentbay import AgentBayError, AsyncAgentBay, AsyncSession, BoolResult, ToolError

from ..local.sandboxes import until
from . import desktops
from .desktops import BLACK, WHITE, events, has, has_text, look
from .observing import shell
from .services import Service

pytestmark = [
    pytest.mark.anyio,
    # What `linux_latest` of the cloud has installed is not known here.
    pytest.mark.engine_only,
    desktops.needs_desktop,
]

ORANGE = (200, 100, 50)

_GEOMETRY = "Absolute|Width|Height"

# Whether the left button went down and up: its number is in the last line of such an event.
RELEASED = "test $(grep -c 'button 1' events) -eq 2"


@pytest.fixture(scope="module")
def desktop_id(service: Service) -> Iterator[str]:
    """A session with a desktop, for the tests that need no other."""
    with service.blocking_client() as bay, bay.session() as running:
        yield running.session_id


@pytest.fixture
async def desktop(bay: AsyncAgentBay, desktop_id: str) -> AsyncGenerator[AsyncSession, None]:
    """The shared session, with the mouse in a corner, and no window but the witness."""
    session = (await bay.get(desktop_id)).unwrap()
    (await session.computer.move_mouse(0, 0)).unwrap()
    yield session
    await session.command.run("pkill -x 'xterm|zenity'")
    await has(session, "! wmctrl -l | grep -v witness")


# -- the screen ------------------------------------------------------------------------


async def test_a_screenshot_is_as_large_as_the_screen(desktop: AsyncSession) -> None:
    size = (await desktop.computer.get_screen_size()).unwrap()
    shot = await desktop.computer.beta_take_screenshot()
    picture = desktops.Picture.of(shot.data)

    assert (size.width, size.height) == (shot.width, shot.height)
    assert (size.width, size.height) == (picture.width, picture.height)
    assert json.loads(size) == {"width": 1280, "height": 720, "dpiScalingFactor": 1.0}
    assert (shot.type, shot.mime_type) == ("image", "image/png")


async def test_a_window_is_in_the_screenshot_where_it_is_and_in_its_colour(
    desktop: AsyncSession,
) -> None:
    size = "-geometry 40x15+300+200 -b 0 +sb"
    colours = "-bg '#c86432' -fg '#c86432' -cr '#c86432'"
    await desktops.start(desktop, f"xterm {size} {colours} -T orange -e sleep 600", "orange")
    where = await shell(desktop, f"xwininfo -name orange | grep -E '{_GEOMETRY}'")
    x, y, width, height = (int(line.rpartition(" ")[2]) for line in where.splitlines())

    picture = await _seen(desktop, ORANGE, width * height)

    right, bottom = x + width - 1, y + height - 1
    assert picture.at(x, y) == picture.at(right, bottom) == ORANGE
    assert picture.centre_of(ORANGE) == ((x + right) // 2, (y + bottom) // 2)
    assert picture.at(1200, 650) == BLACK


async def _seen(session: AsyncSession, colour: desktops.Colour, count: int) -> desktops.Picture:
    """A picture with so many pixels of a colour."""
    found = 0
    with anyio.move_on_after(30):
        while True:
            picture = await look(session)
            found = picture.count(colour)
            if found == count:
                return picture
    raise AssertionError(f"{found} pixels of {colour}, not {count}")


async def test_the_address_of_a_screenshot_needs_no_key_and_is_a_secret(
    desktop: AsyncSession,
) -> None:
    address = (await desktop.computer.screenshot()).unwrap()

    async with httpx.AsyncClient(timeout=30) as client:
        reply = await client.get(address)
        head = await client.head(address)
        other = await client.get(address.replace(".png", "a.png"))
        put = await client.put(address, content=b"x")
        again = await client.get(address)

    assert reply.headers["content-type"] == "image/png"
    assert desktops.Picture.of(reply.content).width == 1280
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(reply.content)
    assert (other.status_code, put.status_code) == (404, 405)
    assert again.content == reply.content


@pytest.mark.skipif(
    importlib.util.find_spec("PIL") is None, reason="Pillow is missing: pip install pillow"
)
async def test_a_screenshot_can_be_jpeg(desktop: AsyncSession) -> None:
    import PIL.Image

    await desktops.start_witness(desktop)
    x, y = (await look(desktop)).centre_of(WHITE)

    shot = await desktop.computer.beta_take_screenshot("jpg")
    image = PIL.Image.open(io.BytesIO(shot.data))

    assert (image.format, shot.mime_type) == ("JPEG", "image/jpeg")
    assert image.size == (shot.width, shot.height) == (1280, 720)
    pixel = image.convert("RGB").getpixel((x, y + 20))
    assert isinstance(pixel, tuple)
    assert min(pixel) > 240


# -- the mouse -------------------------------------------------------------------------


async def test_a_click_hits_what_the_screenshot_shows_there(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)
    x, y = (await look(desktop)).centre_of(WHITE)

    (await desktop.computer.click_mouse(x, y)).unwrap()

    await has(desktop, RELEASED)
    text = await shell(desktop, "grep -A1 ButtonPress events | grep -o '([0-9,]*), root:([0-9,]*)'")
    inside, _, root = text.strip().partition(", root:")
    assert root == f"({x},{y})"
    # The edges of the window are white as well.
    assert inside in [f"({x},{y})" for x in (148, 149, 150) for y in (98, 99, 100)]


async def test_each_button_is_pressed_and_released(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)

    for button in ("left", "middle", "right", "double_left"):
        (await desktop.computer.click_mouse(300, 200, button)).unwrap()

    seen = await events(desktop, "Button[A-Z][a-z]* event\\|button [0-9]*", "button [0-9]", 10)
    assert seen == [
        line
        for number in (1, 2, 3, 1, 1)
        for kind in ("Press", "Release")
        for line in (f"Button{kind} event", f"button {number}")
    ]


async def test_the_wheel_turns_by_so_many_steps(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)

    for direction, steps in (("up", 3), ("down", 1), ("left", 0), ("left", 2), ("right", 1)):
        (await desktop.computer.scroll(300, 200, direction, steps)).unwrap()
    (await desktop.computer.click_mouse(300, 200)).unwrap()

    seen = await events(desktop, "button [0-9]*", "button 1", 2)
    numbers = [int(line.split()[1]) for line in seen[::2]]
    assert numbers == [4, 4, 4, 5, 6, 6, 7, 1]


async def test_a_drag_holds_the_button_on_its_way(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)

    (await desktop.computer.drag_mouse(260, 160, 400, 240)).unwrap()

    await has(desktop, RELEASED)
    text = await shell(desktop, "sed -n '/ButtonPress/,$p' events | grep -o 'root:([0-9,]*)'")
    places = [tuple(map(int, line[6:-1].split(","))) for line in text.split()]
    assert places[0] == (260, 160)
    assert places[-1] == (400, 240)
    assert len(places) > 4
    assert places == sorted(places)


async def test_the_position_of_the_mouse_is_where_it_was_moved_to(desktop: AsyncSession) -> None:
    for place in ((0, 0), (1279, 719), (17, 42)):
        (await desktop.computer.move_mouse(*place)).unwrap()

        position = (await desktop.computer.get_cursor_position()).unwrap()
        assert (position.x, position.y) == place
        assert (await desktop.computer.get_screen_size()).success


async def test_calls_at_once_do_not_mix(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)

    async with anyio.create_task_group() as tasks:
        for number in range(2):
            tasks.start_soon(desktop.computer.drag_mouse, 260, 160 + number, 400, 240)
            tasks.start_soon(desktop.computer.click_mouse, 300 + number, 200, "right")

    seen = await events(desktop, "Button[A-Z][a-z]* event", "button [0-9]", 8)
    assert seen == ["ButtonPress event", "ButtonRelease event"] * 4


# -- the keyboard ----------------------------------------------------------------------


async def test_typed_text_arrives_as_it_is(desktop: AsyncSession) -> None:
    await desktops.start_typewriter(desktop)
    greeting = "Grüße, Ελλάδα, Привет, 日本語, שלום! 😀🚀 e\u0301 \u200d € «x» ∀\n\tsecond line\n"
    text = string.printable[:95] + greeting * 2 + "-- --help\r\n$HOME `ls` \\ end"

    (await desktop.computer.input_text(text)).unwrap()
    (await desktop.computer.input_text("")).unwrap()

    await has_text(desktop, "typed", text.replace("\r\n", "\n").replace("\n", "\r"))


async def test_more_characters_than_keys_arrive_as_they_are(desktop: AsyncSession) -> None:
    await desktops.start_typewriter(desktop)
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 150)))
    typed = ""

    for text in (many, "äöü" * 9, "plain", "öä日一"):
        (await desktop.computer.input_text(text)).unwrap()
        # A key may stand for something else once a program has asked what it stands for.
        typed += text
        await has_text(desktop, "typed", typed)


async def test_a_dialog_is_filled_in(desktop: AsyncSession) -> None:
    await shell(desktop, "rm -f answer")
    dialog = "sh -c 'zenity --entry --title question --text name >answer'"
    await desktops.start(desktop, dialog, "question")

    (await desktop.ui.input_text("Zoë 😀")).unwrap()
    (await desktop.computer.press_keys(["Enter"])).unwrap()

    await has_text(desktop, "answer", "Zoë 😀\n")


async def test_keys_are_pressed_together_and_released_in_reverse(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)

    (await desktop.computer.press_keys(["Ctrl", "Shift", "x"])).unwrap()

    seen = await events(desktop, "Key[PR][a-z]* event\\|keysym [^)]*", "keysym", 6)
    assert seen == [
        *("KeyPress event", "keysym 0xffe3, Control_L"),
        *("KeyPress event", "keysym 0xffe1, Shift_L"),
        *("KeyPress event", "keysym 0x58, X"),
        *("KeyRelease event", "keysym 0x58, X"),
        *("KeyRelease event", "keysym 0xffe1, Shift_L"),
        *("KeyRelease event", "keysym 0xffe3, Control_L"),
    ]


async def test_a_key_is_held_until_it_is_released(desktop: AsyncSession) -> None:
    await desktops.start_typewriter(desktop)

    (await desktop.computer.press_keys(["Shift"], hold=True)).unwrap()
    (await desktop.computer.press_keys(["a"])).unwrap()
    (await desktop.computer.release_keys(["Shift"])).unwrap()
    (await desktop.computer.press_keys(["a"])).unwrap()

    await has_text(desktop, "typed", "Aa")


async def test_a_key_that_is_held_for_a_moment_is_pressed_once(desktop: AsyncSession) -> None:
    await desktops.start_typewriter(desktop)

    (await desktop.computer.press_keys(["a"], hold=True)).unwrap()
    await anyio.sleep(1)
    (await desktop.computer.release_keys(["a"])).unwrap()
    (await desktop.computer.press_keys(["b"])).unwrap()

    await has_text(desktop, "typed", "ab")


async def test_keys_go_by_their_names(desktop: AsyncSession) -> None:
    await desktops.start_witness(desktop)
    names = {
        "a": "a", "7": "7", "!": "exclam", "-": "minus", "'": "apostrophe", "return": "Return",
        "pgup": "Prior", "ArrowLeft": "Left", "backspace": "BackSpace", "Space": "space",
        "Esc": "Escape", "F1": "F1", "F13": "F13", "Win": "Super_L", "CapsLock": "Caps_Lock",
    }  # fmt: skip

    for name in (*names, "CapsLock"):
        (await desktop.computer.press_keys([name])).unwrap()
    (await desktop.computer.press_keys(["q"])).unwrap()

    seen = await events(desktop, "keysym 0x[0-9a-f]*, [^)]*", "keysym 0x71, q")
    found = [line.split()[-1] for line in seen]
    missing = [name for name in names.values() if name not in found]
    assert not missing, found


# -- what is refused -------------------------------------------------------------------


async def test_what_cannot_be_done_is_refused_with_the_reason(desktop: AsyncSession) -> None:
    computer, moved = desktop.computer, (await desktop.computer.get_cursor_position()).unwrap()
    refused = {
        "(1280, 5) is not on the screen: x is 0 to 1279": partial(computer.click_mouse, 1280, 5),
        "(5, -1)": partial(computer.move_mouse, 5, -1),
        "(5, 720)": partial(computer.scroll, 5, 720),
        "(0, 900)": partial(computer.drag_mouse, 0, 0, 0, 900),
        "amount must be at most 1000": partial(computer.scroll, 5, 5, "up", 1001),
        "no key 'Foo': a key is": partial(computer.press_keys, ["Ctrl", "Foo"]),
        "no key 'ä'": partial(computer.release_keys, ["ä"]),
        "control character '\\x1b' at 2": partial(computer.input_text, "ab\x1b"),
    }

    for reason, call in refused.items():
        result: BoolResult = await call()
        assert not result.success
        assert reason in result.error_message
    assert (await computer.get_cursor_position()).unwrap() == moved


async def test_the_engine_checks_what_the_client_would(desktop: AsyncSession) -> None:
    way = {"from_x": 1, "from_y": 1, "to_x": 2, "to_y": 2}
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("click_mouse", {"x": 1, "y": 1, "button": "x"}, "one of left, right, middle, double_left"),
        ("click_mouse", {"x": 1.5, "y": 1}, "expected a whole number"),
        ("drag_mouse", {**way, "button": "double_left"}, "Invalid button 'double_left'"),
        ("scroll", {"x": 1, "y": 1, "direction": "round"}, "one of up, down, left, right"),
        ("scroll", {"x": 1, "y": 1, "amount": -1}, "amount must be at least 0"),
        ("press_keys", {"keys": []}, "keys must be a list of names"),
        ("screenshot", {"format": "gif"}, "Invalid format"),
    ]
    for name, arguments, reason in calls:
        result = await desktop.call_mcp_tool(name, arguments)
        assert not result.success
        assert reason in result.error_message


async def test_fingers_need_a_device(desktop: AsyncSession) -> None:
    result = await desktop.call_mcp_tool("send_key", {"key": 3})

    assert isinstance(result.error, ToolError)
    assert "mobile_latest" in result.error_message


# -- displays --------------------------------------------------------------------------


async def test_a_session_has_a_display_of_its_own_once_it_needs_one(bay: AsyncAgentBay) -> None:
    async with bay.session() as one, bay.session() as other:
        assert await shell(one, "echo $DISPLAY; pgrep -c Xvfb || true") == "\n0\n"
        await desktops.start_witness(one)
        (await one.computer.move_mouse(5, 6)).unwrap()

        assert (await look(one)).count(WHITE) > 50_000
        assert (await look(other)).count(WHITE) < 1000
        position = (await other.computer.get_cursor_position()).unwrap()
        assert (position.x, position.y) == (640, 360)
        assert await shell(other, "wmctrl -l") == ""
        for session in (one, other):
            assert await shell(session, "pgrep -c Xvfb") == "1\n"


async def test_the_first_calls_at_once_start_one_display(session: AsyncSession) -> None:
    shots: list[bytes] = []

    async def shoot() -> None:
        shots.append((await session.computer.beta_take_screenshot()).data)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(shoot)

    assert len(shots) == 5
    assert await shell(session, "pgrep -c Xvfb; pgrep -c openbox") == "1\n1\n"


async def test_programs_find_the_display_and_others_do_not(desktop: AsyncSession) -> None:
    variables = (await desktop.env.get(["DISPLAY", "XAUTHORITY"])).envs

    found = await shell(desktop, "echo $DISPLAY $XAUTHORITY")
    assert found.split() == [variables["DISPLAY"], variables["XAUTHORITY"]]
    assert (await desktop.command.run("xdotool getmouselocation")).success
    without = await desktop.command.run("XAUTHORITY=/dev/null xdotool getmouselocation")
    assert not without.success


async def test_a_display_of_the_users_own_choice_stays(session: AsyncSession) -> None:
    (await session.env.set({"DISPLAY": "elsewhere:7"})).unwrap()

    assert (await session.computer.get_screen_size()).success

    assert await shell(session, "echo $DISPLAY") == "elsewhere:7\n"
    assert (await session.computer.click_mouse(5, 5)).success


async def test_a_display_that_died_is_told_of_and_replaced(session: AsyncSession) -> None:
    (await session.computer.input_text("ä")).unwrap()
    await shell(session, "pkill -9 Xvfb; while pgrep Xvfb; do sleep 0.01; done")

    async def told() -> bool:
        lost = await session.computer.get_cursor_position()
        assert not lost.success
        return "X server of the session has ended (signal 9)" in lost.error_message

    await until(told, 30)
    assert (await look(session)).count(WHITE) < 1000
    await desktops.start_typewriter(session)
    (await session.computer.input_text("ä")).unwrap()
    await has_text(session, "typed", "ä")
    # It was not only found on some key for the moment.
    assert "adiaeresis" in await shell(session, "xkbcomp -w0 $DISPLAY -")


async def test_a_display_that_hangs_does_not_hold_up_the_session(desktop: AsyncSession) -> None:
    assert (await desktop.computer.get_screen_size()).success
    await shell(desktop, "pkill -STOP Xvfb")

    with anyio.move_on_after(0.5) as scope:
        await desktop.computer.get_cursor_position()

    assert scope.cancelled_caught
    assert await shell(desktop, "echo fine") == "fine\n"
    await shell(desktop, "pkill -CONT Xvfb")
    assert (await desktop.computer.get_cursor_position()).success


async def test_a_window_manager_that_ended_is_started_again(desktop: AsyncSession) -> None:
    assert (await desktop.computer.get_screen_size()).success
    await shell(desktop, "pkill -9 openbox; while pgrep openbox; do sleep 0.01; done")

    async def is_there() -> bool:
        assert (await desktop.computer.get_screen_size()).success
        return "Openbox" in (await desktop.command.run("wmctrl -m")).stdout

    await until(is_there, 30)


async def test_a_paused_desktop_goes_on_where_it_was(session: AsyncSession) -> None:
    await desktops.start_typewriter(session)
    (await session.computer.press_keys(["Shift"], hold=True)).unwrap()
    (await session.computer.input_text("a")).unwrap()

    await session.pause()
    refused = await session.computer.input_text("b")
    with pytest.raises(AgentBayError, match="paused"):
        await session.computer.beta_take_screenshot()
    await session.resume()

    assert "paused" in refused.error_message
    (await session.computer.input_text("c")).unwrap()
    (await session.computer.release_keys(["Shift"])).unwrap()
    (await session.computer.input_text("d")).unwrap()
    await has_text(session, "typed", "ACd")
