"""The desktop: what its methods send, what becomes of every answer, and what is refused."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentbay import AgentBayError, ApiResponse, InvalidInputError, ProtocolError, ToolError
from agentbay._async.computer import AsyncComputer
from agentbay.protocol import computer as tools
from agentbay.protocol._calls import Content, Tool
from agentbay.protocol._images import Image
from agentbay.protocol.computer import CursorPosition, MouseButton, ScreenSize, ScrollDirection
from agentbay.protocol.key_names import key_name, with_key_names

from .service import Service, always, session_of, tool_says

Method = Callable[[AsyncComputer], Awaitable[ApiResponse]]

PICTURE = b"\x89PNG\r\n\x1a\nrest"
JPEG = b"\xff\xd8\xff\xe0rest"


def service_that_says(text: str, *, is_error: bool = False) -> Service:
    return Service(always(lambda: tool_says(text, is_error=is_error)))


def computer_of(service: Service) -> AsyncComputer:
    return AsyncComputer(session_of(service))


def saying(text: str, *, is_error: bool = False) -> AsyncComputer:
    return computer_of(service_that_says(text, is_error=is_error))


def picture(data: bytes = PICTURE, **changes: Any) -> str:
    values = {
        "type": "image",
        "mime_type": "image/png",
        "width": 1280,
        "height": 720,
        "data": base64.b64encode(data).decode(),
        **changes,
    }
    return json.dumps({name: value for name, value in values.items() if value is not None})


# The method, the tool that it calls, and the arguments; the answers are those recorded.
DONE: dict[str, tuple[Method, str, dict[str, Any]]] = {
    "click": (lambda c: c.click_mouse(1, 2), "click_mouse", {"x": 1, "y": 2, "button": "left"}),
    "click with a member": (
        lambda c: c.click_mouse(1, 2, MouseButton.DOUBLE_LEFT),
        "click_mouse",
        {"x": 1, "y": 2, "button": "double_left"},
    ),
    "click with a text": (
        lambda c: c.click_mouse(x=1, y=2, button="right"),
        "click_mouse",
        {"x": 1, "y": 2, "button": "right"},
    ),
    "click between pixels": (
        lambda c: c.click_mouse(512.0, -2),  # type: ignore[arg-type]  # half of a width
        "click_mouse",
        {"x": 512, "y": -2, "button": "left"},
    ),
    "move": (lambda c: c.move_mouse(1, 2), "move_mouse", {"x": 1, "y": 2}),
    "drag": (
        lambda c: c.drag_mouse(1, 2, 3, 4),
        "drag_mouse",
        {"from_x": 1, "from_y": 2, "to_x": 3, "to_y": 4, "button": "left"},
    ),
    "drag with a button": (
        lambda c: c.drag_mouse(1, 2, 3, 4, button="middle"),
        "drag_mouse",
        {"from_x": 1, "from_y": 2, "to_x": 3, "to_y": 4, "button": "middle"},
    ),
    "scroll": (
        lambda c: c.scroll(1, 2),
        "scroll",
        {"x": 1, "y": 2, "direction": "up", "amount": 1},
    ),
    "scroll down": (
        lambda c: c.scroll(1, 2, ScrollDirection.DOWN, 5),
        "scroll",
        {"x": 1, "y": 2, "direction": "down", "amount": 5},
    ),
    "type": (lambda c: c.input_text("é\n"), "input_text", {"text": "é\n"}),
    "type nothing": (lambda c: c.input_text(""), "input_text", {"text": ""}),
    "press": (
        lambda c: c.press_keys(["Ctrl", "c"]),
        "press_keys",
        {"keys": ["Ctrl", "c"], "hold": False},
    ),
    "press and hold": (
        lambda c: c.press_keys(("shift",), hold=True),
        "press_keys",
        {"keys": ["Shift"], "hold": True},
    ),
    "release": (lambda c: c.release_keys(["Ctrl"]), "release_keys", {"keys": ["Ctrl"]}),
}


@pytest.mark.parametrize("name", DONE)
@pytest.mark.parametrize("text", ["Mouse clicked at (100, 100) with left button", "", "{}"])
async def test_an_operation_calls_its_tool_and_takes_any_answer(name: str, text: str) -> None:
    method, tool, arguments = DONE[name]
    service = service_that_says(text)
    result = await method(computer_of(service))
    (sent,) = service.sent
    assert (sent.form["Name"], json.loads(sent.form["Args"])) == (tool, arguments)
    assert (result.success, result.request_id, result.unwrap()) == (True, "r-1", True)


READ: dict[str, tuple[Method, str, str]] = {
    "cursor": (lambda c: c.get_cursor_position(), "get_cursor_position", '{"x":512,"y":384}'),
    "size": (
        lambda c: c.get_screen_size(),
        "get_screen_size",
        '{"dpiScalingFactor":1.0,"height":768,"width":1024}',
    ),
    "screenshot": (lambda c: c.screenshot(), "system_screenshot", "https://x/s.png?Signature=y"),
}
FAILING = {**{name: entry[0] for name, entry in DONE.items()}, **{n: e[0] for n, e in READ.items()}}


@pytest.mark.parametrize("name", READ)
async def test_a_question_has_no_arguments(name: str) -> None:
    method, tool, text = READ[name]
    service = service_that_says(text)
    result = await method(computer_of(service))
    (sent,) = service.sent
    assert (sent.form["Name"], json.loads(sent.form["Args"])) == (tool, {})
    assert (result.success, result.unwrap()) == (True, text)


@pytest.mark.parametrize("name", FAILING)
async def test_a_tool_that_fails_gives_a_failed_result_with_its_reason(name: str) -> None:
    text = "Execution failed. Error code:-32602 Error message: no display"
    result = await FAILING[name](saying(text, is_error=True))
    assert not result.success
    assert (result.error_message, result.code, result.request_id) == ("no display", "-32602", "r-1")
    assert isinstance(result.error, ToolError)


# -- positions and sizes ---------------------------------------------------------------


async def test_a_position_is_json_text_for_old_programs_and_an_object_for_others() -> None:
    data = (await saying('{"x":512,"y":384}').get_cursor_position()).data
    assert data is not None
    assert json.loads(data) == {"x": 512, "y": 384}
    assert (data["x"], data["y"], data.x, data.y) == (512, 384, 512, 384)
    assert data == '{"x":512,"y":384}'
    assert data == {"x": 512, "y": 384}
    assert data != {"x": 512, "y": 385}
    assert dict(data) == {**data} == {"x": 512, "y": 384}
    assert (str(data), f"{data}") == ('{"x":512,"y":384}', '{"x":512,"y":384}')


async def test_a_screen_size_is_json_text_for_old_programs_and_an_object_for_others() -> None:
    text = '{"dpiScalingFactor":1.5,"height":768,"width":1024}'
    data = (await saying(text).get_screen_size()).unwrap()
    assert (data["width"], data.get("height"), data["dpiScalingFactor"]) == (1024, 768, 1.5)
    assert (data.width, data.height, data.dpi_scaling_factor) == (1024, 768, 1.5)
    assert json.loads(data)["width"] == 1024
    assert sorted(data) == sorted(data.keys()) == ["dpiScalingFactor", "height", "width"]
    assert dict(data.items()) == data
    assert list(data.values()) == [1.5, 768, 1024]


async def test_a_screen_that_tells_no_scaling_has_none() -> None:
    size = (await saying('{"width":"800","height":600.0,"more":[1]}').get_screen_size()).unwrap()
    assert (size.width, size.height, size["dpiScalingFactor"], size["more"]) == (800, 600, 1.0, [1])


def test_a_position_stays_itself_when_it_is_copied_or_pickled() -> None:
    position = CursorPosition('{"x": 1, "y": 2}')
    for other in (copy.deepcopy(position), pickle.loads(pickle.dumps(position))):
        assert isinstance(other, CursorPosition)
        assert other.y == 2
        assert other == position
        assert hash(other) == hash(position)


def test_a_position_is_still_text() -> None:
    position = CursorPosition('{"x": 1, "y": 2}')
    assert "x" in position
    assert '"x": 1' in position
    assert "z" not in position
    assert position[0] == "{"
    assert position[1:4] == '"x"'
    assert position.get("z") is None
    with pytest.raises(KeyError):
        position["z"]


@pytest.mark.parametrize("text", ["", "512,384", "[]", "null", "{}", '{"x":1}', '{"x":1,"y":"a"}'])
async def test_a_position_that_is_none_is_a_failure(text: str) -> None:
    result = await saying(text).get_cursor_position()
    assert not result.success
    assert isinstance(result.error, ProtocolError)
    assert result.request_id == "r-1"


@pytest.mark.parametrize("text", ["", "1024x768", "{}", '{"width":1}'])
async def test_a_screen_size_that_is_none_is_a_failure(text: str) -> None:
    assert isinstance((await saying(text).get_screen_size()).error, ProtocolError)


# -- keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        (["ctrl", "Control", "CTRL"], "Ctrl"),
        (["alt", "ALT"], "Alt"),
        (["shift"], "Shift"),
        (["win", "Windows"], "Win"),
        (["meta"], "Meta"),
        (["super"], "Super"),
        (["cmd", "command"], "Command"),
        (["tab"], "Tab"),
        (["enter", "Return", "RETURN"], "Enter"),
        (["esc", "escape"], "Escape"),
        (["backspace"], "Backspace"),
        (["del", "delete"], "Delete"),
        (["ins", "insert"], "Insert"),
        (["home"], "Home"),
        (["end"], "End"),
        (["pageup", "PgUp"], "PageUp"),
        (["pagedown", "pgdn"], "PageDown"),
        (["space"], "Space"),
        (["capslock"], "CapsLock"),
        (["numlock"], "NumLock"),
        (["scrolllock"], "ScrollLock"),
        (["printscreen", "prtsc"], "PrintScreen"),
        (["pause", "break"], "Pause"),
        (["up", "arrowup", "ArrowUp"], "ArrowUp"),
        (["down", "ArrowDown"], "ArrowDown"),
        (["left", "arrowleft"], "ArrowLeft"),
        (["right", "arrowright"], "ArrowRight"),
        (["f1", "F1"], "F1"),
        (["f24"], "F24"),
        (["minus", "-"], "-"),
        (["equal", "="], "="),
        (["leftbracket", "["], "["),
        (["rightbracket"], "]"),
        (["backslash", "\\"], "\\"),
        (["semicolon"], ";"),
        (["quote"], "'"),
        (["comma"], ","),
        (["period"], "."),
        (["slash"], "/"),
        (["backtick", "`"], "`"),
        (["A", "a"], "a"),
        (["7"], "7"),
        (["É"], "É"),
        (["F25"], "F25"),
        (["VolumeUp"], "VolumeUp"),
    ],
)
def test_a_key_is_found_under_every_name_that_it_has(names: list[str], sent: str) -> None:
    assert {key_name(name) for name in names} == {sent}
    assert key_name(sent) == sent


async def test_the_return_key_is_sent_as_the_service_names_it() -> None:
    # Services refuse "Return"; clients of the first generation sent names as they were given.
    service = service_that_says("Keys pressed and released successfully")
    await computer_of(service).press_keys(["ctrl", "Return"])
    assert json.loads(service.sent[0].form["Args"])["keys"] == ["Ctrl", "Enter"]


async def test_keys_are_released_under_the_names_they_were_pressed_with() -> None:
    # Later clients bring the names of pressed keys into shape, and forget those to release.
    service = service_that_says("Keys released successfully")
    computer = computer_of(service)
    await computer.press_keys(["control", "a"], hold=True)
    await computer.release_keys(["control", "a"])
    pressed, released = (json.loads(sent.form["Args"])["keys"] for sent in service.sent)
    assert pressed == released == ["Ctrl", "a"]


@pytest.mark.parametrize(
    ("tool", "arguments", "sent"),
    [
        ("press_keys", {"keys": ["Return"], "hold": True}, {"keys": ["Enter"], "hold": True}),
        ("release_keys", {"keys": ("control", 5)}, {"keys": ["Ctrl", 5]}),
        ("press_keys", {"keys": "Return"}, {"keys": "Return"}),
        ("press_keys", {}, {}),
        ("other", {"keys": ["Return"]}, {"keys": ["Return"]}),
    ],
)
def test_a_direct_call_of_the_tool_finds_its_keys_too(
    tool: str, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert with_key_names(tool, arguments) == sent


# -- refused before anything is sent ---------------------------------------------------

_WRONG: Any = None  # stands for arguments that a type checker would refuse
RAISING: dict[str, Method] = {
    "no such button": lambda c: c.click_mouse(1, 2, "x"),
    "no button": lambda c: c.click_mouse(1, 2, _WRONG),
    "no button to drag with": lambda c: c.drag_mouse(1, 2, 3, 4, "x"),
    "no button that can be held": lambda c: c.drag_mouse(1, 2, 3, 4, "double_left"),
    "no such direction": lambda c: c.scroll(1, 2, "x"),
    "no such format": lambda c: c.beta_take_screenshot("gif"),
    "no format": lambda c: c.beta_take_screenshot(_WRONG),
}
FAILED: dict[str, Method] = {
    "between two pixels": lambda c: c.move_mouse(0.5, 2),  # type: ignore[arg-type]
    "no number": lambda c: c.click_mouse("1", 2),  # type: ignore[arg-type]
    "a bool": lambda c: c.move_mouse(True, 2),
    "infinite": lambda c: c.drag_mouse(1, 2, 3, float("inf")),  # type: ignore[arg-type]
    "less than no step": lambda c: c.scroll(1, 2, "up", -1),
    "no text": lambda c: c.input_text(_WRONG),
    "half a character": lambda c: c.input_text("\ud800"),
    "no keys": lambda c: c.press_keys([]),
    "one text for keys": lambda c: c.press_keys("Ctrl"),
    "no names for keys": lambda c: c.press_keys([65]),  # type: ignore[list-item]
    "an empty name": lambda c: c.release_keys([""]),
    "nothing for keys": lambda c: c.release_keys(_WRONG),
    "no flag": lambda c: c.press_keys(["a"], hold="no"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", RAISING)
async def test_a_choice_that_does_not_exist_raises_before_anything_is_sent(name: str) -> None:
    service = service_that_says("ok")
    with pytest.raises(ValueError, match=r"Invalid (button|direction|format)") as caught:
        await RAISING[name](computer_of(service))
    assert isinstance(caught.value, InvalidInputError)
    assert service.sent == []


def test_the_error_for_a_choice_names_those_that_exist() -> None:
    with pytest.raises(InvalidInputError) as caught:
        tools.held_button("x")
    assert str(caught.value) == "Invalid button 'x'. Must be one of ['left', 'right', 'middle']"


@pytest.mark.parametrize("name", FAILED)
async def test_a_bad_argument_is_a_failed_result_and_nothing_is_sent(name: str) -> None:
    service = service_that_says("ok")
    result = await FAILED[name](computer_of(service))
    assert not result.success
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


# -- screenshots -----------------------------------------------------------------------


async def test_the_address_of_a_screenshot_is_not_shown_in_texts() -> None:
    result = await saying(" https://x/s.png?Signature=secret\n").screenshot()
    assert result.data == "https://x/s.png?Signature=secret"
    assert "secret" not in repr(result)


async def test_a_screenshot_without_an_address_is_a_failure() -> None:
    assert isinstance((await saying("").screenshot()).error, ProtocolError)


@pytest.mark.parametrize(
    ("format", "asked", "mime_type", "data"),
    [
        ("png", "png", "image/png", PICTURE),
        ("PNG", "png", "image/png", PICTURE),
        ("jpeg", "jpeg", "image/jpeg", JPEG),
        ("jpg", "jpeg", "image/jpeg", JPEG),
        ("jpg", "jpeg", "image/jpg", JPEG),
    ],
)
async def test_a_picture_is_asked_for_in_a_format(
    format: str, asked: str, mime_type: str, data: bytes
) -> None:
    service = service_that_says(picture(data, mime_type=mime_type))
    shot = await computer_of(service).beta_take_screenshot(format)
    (sent,) = service.sent
    assert (sent.form["Name"], json.loads(sent.form["Args"])) == ("screenshot", {"format": asked})
    assert (shot.success, shot.request_id, shot.data) == (True, "r-1", data)
    assert (shot.type, shot.mime_type, shot.width, shot.height) == ("image", mime_type, 1280, 720)
    assert (shot.unwrap(), shot.size) == (data, len(data))
    assert "rest" not in repr(shot)


async def test_a_picture_may_come_without_its_size() -> None:
    shot = await saying(picture(width=None, height=None)).beta_take_screenshot()
    assert (shot.width, shot.height) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://x/s.png",
        "[]",
        picture(type=None),
        picture(mime_type=None),
        json.dumps({"type": "image", "mime_type": "image/png"}),
        picture(data=b""),
        picture(data=JPEG),
        picture(mime_type="image/jpeg"),
        json.dumps({"type": "image", "mime_type": "image/png", "data": "?"}),
        json.dumps({"type": "image", "mime_type": "image/png", "data": "iVBORw0KGgo"}),
        picture(width="wide"),
        picture(height=[]),
    ],
)
async def test_a_picture_that_is_damaged_or_another_one_raises(text: str) -> None:
    with pytest.raises(AgentBayError) as caught:
        await saying(text).beta_take_screenshot()
    assert isinstance(caught.value, ProtocolError)
    assert caught.value.request_id == "r-1"


async def test_a_picture_that_cannot_be_taken_raises() -> None:
    with pytest.raises(ToolError, match="no display"):
        await saying("no display", is_error=True).beta_take_screenshot()


async def test_either_screenshot_is_asked_for_on_any_session() -> None:
    # Recorded clients refuse one or the other, by the way in which a session is reached.
    service = service_that_says(picture())
    computer = computer_of(service)
    await computer.screenshot()
    await computer.beta_take_screenshot()
    assert [sent.form["Name"] for sent in service.sent] == ["system_screenshot", "screenshot"]


# -- what an engine sends --------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (tools.GetCursorPosition(), CursorPosition('{"x":1,"y":2}')),
        (tools.GetScreenSize(), ScreenSize('{"width":1,"height":2}')),
        (tools.SystemScreenshot(), "https://x/s.png"),
        (tools.Screenshot(), Image("image", "image/png", PICTURE, 1, 2)),
        (tools.Screenshot("jpeg"), Image("image", "image/jpeg", JPEG)),
        (tools.MoveMouse(1, 2), None),
    ],
)
def test_an_answer_is_read_as_it_was_written(call: Tool[Any], value: Any) -> None:
    assert call.parse(call.write(value)) == value
    assert call.parse(Content(call.write(value).text)) == value


def test_an_engine_reads_a_call_as_it_was_sent() -> None:
    calls: list[Tool[Any]] = [
        tools.ClickMouse(1, 2, MouseButton.RIGHT),
        tools.DragMouse(1, 2, 3, 4),
        tools.Scroll(1, 2, ScrollDirection.LEFT, 3),
        tools.PressKeys(["Ctrl", "c"], True),
        tools.Screenshot("jpeg"),
    ]
    for call in calls:
        assert type(call).from_arguments(call.arguments()) == call


def test_an_engine_brings_key_names_into_shape_for_every_client() -> None:
    assert tools.PressKeys.from_arguments({"keys": ["Return"]}).keys == ["Enter"]
