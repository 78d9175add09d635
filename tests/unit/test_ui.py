"""The screen of a mobile device, as programs of the first generation reach it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentbay import ApiResponse, InvalidInputError, ProtocolError
from agentbay._async.ui import AsyncUI
from agentbay.errors import UIError
from agentbay.protocol import ui as tools
from agentbay.protocol._calls import Tool
from agentbay.protocol.computer import MouseButton
from agentbay.protocol.key_codes import KeyCode
from agentbay.protocol.ui import UIElement, UITree

from .service import Service, always, session_of, tool_says

Method = Callable[[AsyncUI], Awaitable[ApiResponse]]

RECTANGLE = {"left": 48, "top": 90, "right": 1032, "bottom": 630}
ELEMENT: dict[str, Any] = {
    "bounds": "48,90,1032,630",
    "className": "LinearLayout",
    "text": "",
    "type": "clickable",
    "resourceId": "",
    "index": 0,
    "isParent": False,
    "children": [],
}
EMPTY: dict[str, Any] = {
    "bounds": "",
    "bounds_rect": None,
    "className": "",
    "text": "",
    "type": "",
    "resourceId": "",
    "index": -1,
    "isParent": False,
    "children": [],
}


def service_that_says(text: str, *, is_error: bool = False) -> Service:
    return Service(always(lambda: tool_says(text, is_error=is_error)))


def ui_that_says(text: str, *, is_error: bool = False) -> AsyncUI:
    return AsyncUI(session_of(service_that_says(text, is_error=is_error)))


DONE: dict[str, tuple[Method, str, dict[str, Any]]] = {
    "key": (lambda u: u.send_key(3), "send_key", {"key": 3}),
    "key with a name": (lambda u: u.send_key(KeyCode.MENU), "send_key", {"key": 82}),
    "type": (lambda u: u.input_text("hi"), "input_text", {"text": "hi"}),
    "swipe": (
        lambda u: u.swipe(1, 2, 3, 4),
        "swipe",
        {"start_x": 1, "start_y": 2, "end_x": 3, "end_y": 4, "duration_ms": 300},
    ),
    "swipe slowly": (
        lambda u: u.swipe(1, 2, 3, 4, duration_ms=900),
        "swipe",
        {"start_x": 1, "start_y": 2, "end_x": 3, "end_y": 4, "duration_ms": 900},
    ),
    "click": (lambda u: u.click(1, 2), "click", {"x": 1, "y": 2, "button": "left"}),
    "click with a text": (
        lambda u: u.click(1, 2, "right"),
        "click",
        {"x": 1, "y": 2, "button": "right"},
    ),
    "click with a member": (
        lambda u: u.click(1, 2, button=MouseButton.MIDDLE),
        "click",
        {"x": 1, "y": 2, "button": "middle"},
    ),
}
ELEMENTS: dict[str, Method] = {
    "get_clickable_ui_elements": lambda u: u.get_clickable_ui_elements(),
    "get_all_ui_elements": lambda u: u.get_all_ui_elements(),
}


@pytest.mark.parametrize("name", DONE)
@pytest.mark.parametrize("text", ["ok", ""])
async def test_an_operation_calls_its_tool_and_takes_any_answer(name: str, text: str) -> None:
    method, tool, arguments = DONE[name]
    service = service_that_says(text)
    result = await method(AsyncUI(session_of(service)))
    (sent,) = service.sent
    assert (sent.form["Name"], json.loads(sent.form["Args"])) == (tool, arguments)
    assert (result.success, result.request_id, result.unwrap()) == (True, "r-1", True)


@pytest.mark.parametrize("name", ELEMENTS)
async def test_the_elements_are_asked_for_within_a_time_limit(name: str) -> None:
    service = service_that_says("[]")
    ui = AsyncUI(session_of(service))
    result: Any = await ELEMENTS[name](ui)
    await getattr(ui, name)(50)
    assert [sent.form["Name"] for sent in service.sent] == [name, name]
    arguments = [json.loads(sent.form["Args"]) for sent in service.sent]
    assert arguments == [{"timeout_ms": 2000}, {"timeout_ms": 50}]
    assert (result.success, result.elements) == (True, [])


@pytest.mark.parametrize("name", [*DONE, *ELEMENTS])
async def test_a_tool_that_fails_gives_a_failed_result_with_its_reason(name: str) -> None:
    method = ELEMENTS[name] if name in ELEMENTS else DONE[name][0]
    result = await method(ui_that_says("no device", is_error=True))
    assert (result.success, result.error_message) == (False, "no device")
    assert result.error is not None
    assert isinstance(result.error, UIError) or name == "type"


async def test_a_screenshot_is_an_address() -> None:
    service = service_that_says("https://x/s.png")
    result = await AsyncUI(session_of(service)).screenshot()
    assert service.sent[0].form["Name"] == "system_screenshot"
    assert result.unwrap() == "https://x/s.png"
    assert not (await ui_that_says("no device", is_error=True).screenshot()).success


# -- elements --------------------------------------------------------------------------


async def test_clickable_elements_are_what_the_service_sent() -> None:
    result = await ui_that_says(json.dumps([{**ELEMENT, "own": 1}])).get_clickable_ui_elements()
    (element,) = result.elements
    assert element == {**ELEMENT, "own": 1, "bounds_rect": RECTANGLE}
    assert result.unwrap() == result.elements


async def test_a_clickable_element_lacks_what_the_service_did_not_send() -> None:
    result = await ui_that_says('[{"text":"a"}]').get_clickable_ui_elements()
    assert result.elements == [{"text": "a", "bounds_rect": None}]
    assert result.elements[0].children == []
    assert result.elements[0].index == -1


async def test_elements_get_what_they_lack_at_every_depth() -> None:
    text = json.dumps([{"text": "a", "children": [{"text": "b", "children": None}]}, {"index": 5}])
    result = await ui_that_says(text).get_all_ui_elements()
    parent, other = result.elements
    assert other == {**EMPTY, "index": 5}
    assert parent == {**EMPTY, "text": "a", "children": [{**EMPTY, "text": "b"}]}
    assert (result.raw, result.format) == (text, "json")


async def test_an_element_has_its_facts_as_attributes() -> None:
    inner = {**ELEMENT, "resourceId": "btn", "isParent": True, "text": "b"}
    text = json.dumps([{**ELEMENT, "children": [inner]}])
    (element,) = (await ui_that_says(text).get_all_ui_elements()).unwrap()
    (child,) = element.children
    assert (element.bounds, element.bounds_rect) == ("48,90,1032,630", RECTANGLE)
    assert (element.class_name, element.type, element.index) == ("LinearLayout", "clickable", 0)
    assert (child.text, child.resource_id, child.is_parent) == ("b", "btn", True)


@pytest.mark.parametrize(
    ("bounds", "rectangle"),
    [
        ("48,90,1032,630", RECTANGLE),
        ("[48,90][1032,630]", RECTANGLE),
        ("48, 90, 1032, 630", RECTANGLE),
        (RECTANGLE, RECTANGLE),
        ("-1,0,2,3", {"left": -1, "top": 0, "right": 2, "bottom": 3}),
        ("", None),
        ("1,2,3", None),
        ("wide", None),
        (None, None),
        (5, None),
        ({"left": 1}, None),
        ({"left": "a", "top": 0, "right": 0, "bottom": 0}, None),
        ({"left": float("nan"), "top": 0, "right": 0, "bottom": 0}, None),
    ],
)
@pytest.mark.parametrize("name", ELEMENTS)
async def test_the_bounds_of_an_element_are_read_in_every_form(
    name: str, bounds: Any, rectangle: Any
) -> None:
    text = json.dumps([{"bounds": bounds}])
    result: Any = await ELEMENTS[name](ui_that_says(text))
    assert result.elements[0].bounds_rect == rectangle


_DEEP = '[{"children":' * 50_000 + "[]" + "}]" * 50_000
_NONSENSE = ["", "busy", "null", "{}", "5", "[5]", '[{"children":5}]', '[{"children":[5]}]', _DEEP]


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize("text", _NONSENSE)
async def test_elements_that_make_no_sense_are_a_failure(name: str, text: str) -> None:
    result = await ELEMENTS[name](ui_that_says(text))
    assert not result.success
    assert isinstance(result.error, ProtocolError)
    assert len(result.error_message) < 300


# -- refused before anything is sent ---------------------------------------------------


REFUSED: list[Callable[[Any], Awaitable[ApiResponse]]] = [
    lambda u: u.send_key("HOME"),
    lambda u: u.send_key(-1),
    lambda u: u.input_text(None),
    lambda u: u.swipe(1, 2, 3, None),
    lambda u: u.swipe(1, 2, 3, 4, -1),
    lambda u: u.click(1, 2, "double_left"),
    lambda u: u.click("1", 2),
    lambda u: u.get_all_ui_elements(-1),
    lambda u: u.get_clickable_ui_elements("soon"),
]


@pytest.mark.parametrize("method", REFUSED)
async def test_a_bad_argument_is_a_failed_result_and_nothing_is_sent(
    method: Callable[[Any], Awaitable[ApiResponse]],
) -> None:
    service = service_that_says("[]")
    result = await method(AsyncUI(session_of(service)))
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


async def test_the_programs_of_the_first_generation_get_no_warning() -> None:
    # Warnings are errors here; clients of that generation warn about their own calls.
    assert (await ui_that_says("ok").click(1, 2)).success


# -- key codes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "code"),
    [("HOME", 3), ("BACK", 4), ("VOLUME_UP", 24), ("VOLUME_DOWN", 25), ("POWER", 26), ("MENU", 82)],
)
def test_a_key_code_has_its_short_and_its_long_name(short: str, code: int) -> None:
    # Later clients dropped the short names, which earlier programs use.
    assert KeyCode[short] is KeyCode[f"KEYCODE_{short}"]
    assert KeyCode[short] == code


def test_there_is_a_name_for_every_key_code_of_android() -> None:
    assert sorted(KeyCode) == list(range(289))
    known = {"A": 29, "Z": 54, "ENTER": 66, "F12": 142, "APP_SWITCH": 187, "PASTE": 279}
    assert {name: KeyCode[f"KEYCODE_{name}"] for name in known} == known


# -- what an engine reads and sends ----------------------------------------------------


@pytest.mark.parametrize("format", ["json", "JSON", "xml"])
def test_the_format_of_the_elements_is_sent_in_small_letters(format: str) -> None:
    assert tools.GetAllUIElements(5, format).arguments() == {
        "timeout_ms": 5,
        "format": format.lower(),
    }


def test_a_format_that_does_not_exist_is_refused_before_the_call() -> None:
    # Recorded clients look at the format when the answer is there.
    with pytest.raises(InvalidInputError, match="'json' or 'xml'"):
        tools.GetAllUIElements(5, "yaml")


def test_elements_as_xml_stay_as_they_are() -> None:
    tree = tools.GetAllUIElements(5, "xml").read("<hierarchy/>")
    assert tree == UITree([], "<hierarchy/>", "xml")
    assert tools.GetAllUIElements(5, "xml").write(tree).text == "<hierarchy/>"


def test_elements_are_read_as_they_were_written() -> None:
    elements = [UIElement({**EMPTY, "text": "a", "children": [UIElement(EMPTY)]})]
    everything = tools.GetAllUIElements()
    assert everything.read(everything.write(UITree(elements)).text).elements == elements
    clickable = tools.GetClickableUIElements()
    assert clickable.read(clickable.write(elements).text) == elements


@pytest.mark.parametrize(
    "call",
    [
        tools.GetClickableUIElements(5),
        tools.GetAllUIElements(5, "xml"),
        tools.GetAllUIElements(),
        tools.SendKey(3),
        tools.Swipe(1, 2, 3, 4, 5),
        tools.Click(1, 2, MouseButton.RIGHT),
    ],
)
def test_an_engine_reads_a_call_as_it_was_sent(call: Tool[Any]) -> None:
    assert type(call).from_arguments(call.arguments()) == call
