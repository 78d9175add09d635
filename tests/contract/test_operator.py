"""Acting on the pages of a real browser, by selectors and in the words of a scripted model."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterator
from typing import Any, cast
from urllib.parse import quote

import anyio
import attrs
import pytest

from agentbay import AsyncAgentBay, AsyncSession, CreateSessionParams
from agentbay._async import _page_tasks
from agentbay._async._page_target import PageTarget
from agentbay._async.browser_operator import AsyncBrowserOperator
from agentbay._params.browser_operator import ActOptions, ExtractOptions, ObserveOptions
from agentbay._results.browser_operator import ActResult, ObserveResult
from agentbay.errors import BrowserError, BrowserTimeoutError
from agentbay.local import browser_operator
from agentbay.local._errors import ToolFailure
from agentbay.local._operator import model as model_client
from agentbay.local._operator import pages, tasks
from agentbay.local._programs import lacking

from ..local.model_server import KEY, Endpoint, Raw, model_endpoint
from ..local.sandboxes import until
from .observing import shell
from .services import Service

pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(
        lacking("browser_operator") is not None,
        reason="there is no Chromium on this machine: apt-get install chromium",
    ),
]

SITE = "http://127.0.0.1:8000"

FORM = """<title>Form</title>
<style>#cover { position: fixed; inset: 0 }</style>
<form onsubmit="event.preventDefault(); say(new URLSearchParams(new FormData(this)))">
<label>Name <input id=name name=name value=old></label>
<input id=day name=day type=date><textarea id=note name=note></textarea>
<select id=size name=size><option value=s>Small<option value=l>Large
<option value=x disabled>None</select>
<select id=many name=many multiple><option>a<option>b<option>c</select>
<input id=agree name=agree type=checkbox><input type=file id=file multiple>
<input id=stays readonly value=fixed><button id=send>Send</button></form>
<div id=div tabindex=0 onclick="say('click ' + event.detail)" ondblclick="say('twice')"
 oncontextmenu="say('menu')" onmouseenter="say('enter ' + event.isTrusted)">Here</div>
<button id=off disabled>Off</button><button id=gone hidden>Gone</button>
<script>const say = text => { document.title = text; }</script>"""

TWO_FRAMES = f"""<title>Frames</title><div style="height: 2000px"></div>
<iframe id=same src="{SITE}/inner.html" style="border: 7px solid; padding: 5px"></iframe>
<iframe id=other src="http://localhost:8000/inner.html"></iframe><div id=host></div>
<script>
onmessage = event => {{ document.title = event.data; }};
host.attachShadow({{mode: 'open'}}).innerHTML =
  `<p><button onclick="document.title = 'shadow'">In the shadow</button>`;
</script>"""

INNER = """<button onclick="parent.postMessage(location.host + ' pressed', '*')">Press</button>
<input onkeyup="parent.postMessage(location.host + ' ' + this.value, '*')">"""

# Serves the pages; those whose name says so are slow.
SERVER = """
import functools, http.server, time

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.8 if "slow" in self.path else 0)
        super().do_GET()

handler = functools.partial(Handler, directory="/tmp/site")
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), handler).serve_forever()
"""

PAGES = {
    "slow": "<p>At last",
    "to_slow": "<a href=slow.html>Go</a>",
    "opens": "<title>Main</title><button onclick=\"window.open('closes.html')\">Open</button>",
    "closes": "<title>Pop</title><button onclick=window.close()>Close</button>",
    "one": "<h1>Fruit</h1><ul><li>Apple 1.50<li>Pear 2</ul><a href=two.html>More</a>",
    "two": "<h1>Fruit</h1><ul><li>Plum 3</ul><p>The end</p>",
}


@pytest.fixture(scope="module")
def shared_id(service: Service) -> Iterator[str]:
    """A session with a browser and a site, for tests that need no other of their own."""
    params = CreateSessionParams(image_id="browser_latest")
    with service.blocking_client() as bay, bay.session(params) as session:
        pages = {"inner": INNER, "frames": TWO_FRAMES, **PAGES}
        session.file_system.create_directory("/tmp/site")
        for name, text in pages.items():
            session.file_system.write_file(f"/tmp/site/{name}.html", f"<!doctype html>{text}")
        wait = "python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8000))\""
        session.file_system.write_file("/tmp/server.py", SERVER)
        serve = "python3 /tmp/server.py > /dev/null 2>&1 &"
        session.command.run(f"{serve} until {wait} 2> /dev/null; do sleep 0.05; done").unwrap()
        assert session.browser.initialize(), session.browser.error
        yield session.session_id


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page_tasks, "_FIRST_PAUSE", 0.01)
    # An answer that is on its way when the time is up may take its time.
    monkeypatch.setattr(_page_tasks, "_LEAST_LOOK", 30.0)


@pytest.fixture
async def shared(bay: AsyncAgentBay, shared_id: str) -> AsyncSession:
    session = (await bay.get(shared_id)).unwrap()
    session.browser.attach()
    return session


@pytest.fixture
def operator(shared: AsyncSession) -> AsyncBrowserOperator:
    return shared.browser.operator


@pytest.fixture
async def form(operator: AsyncBrowserOperator) -> AsyncBrowserOperator:
    """The operator, with a form in front of it."""
    await show(operator, FORM)
    return operator


async def show(operator: AsyncBrowserOperator, html: str) -> None:
    await operator.navigate(f"data:text/html;charset=utf-8,<!doctype html>{quote(html)}")


async def do(
    operator: AsyncBrowserOperator, selector: str, method: str, arguments: Any = None
) -> ActResult:
    """Do something, which must work."""
    result = await operator.act(ObserveResult(selector, "", method, arguments or {}))
    assert result.success, result.message
    return result


async def reason(
    operator: AsyncBrowserOperator, selector: str, method: str, arguments: Any = None
) -> str:
    """Why something cannot be done."""
    result = await operator.act(ObserveResult(selector, "", method, arguments or {}))
    assert not result.success
    return result.message


async def tabs(operator: AsyncBrowserOperator) -> list[dict[str, Any]]:
    (listed,) = json.loads((await do(operator, "", "list_tabs")).message)
    found: list[dict[str, Any]] = json.loads(listed)
    return found


async def front(operator: AsyncBrowserOperator) -> dict[str, Any]:
    """The page in front."""
    (tab,) = [tab for tab in await tabs(operator) if tab["in_front"]]
    return tab


async def title(operator: AsyncBrowserOperator) -> str:
    found: str = (await front(operator))["title"]
    return found


async def titled(operator: AsyncBrowserOperator, expected: str) -> None:
    """Wait until the page in front has a title."""
    with anyio.move_on_after(30):
        while await title(operator) != expected:  # noqa: ASYNC110 - the page tells nobody
            await anyio.sleep(0.05)
    assert await title(operator) == expected


# -- pages -----------------------------------------------------------------------------


async def test_an_address_is_opened(operator: AsyncBrowserOperator) -> None:
    assert await operator.navigate(f"{SITE}/one.html") == f"opened {SITE}/one.html"
    _, found = await operator.observe(ObserveOptions("*"))
    assert [(one.selector, one.description, one.method) for one in found] == [
        ("html > body > a", 'link "More"', "click")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8009/", "ERR_CONNECTION_REFUSED"),
        ("http://nowhere.invalid/", "ERR_NAME_NOT_RESOLVED"),
        ("example.com", "no address"),
        ("javascript:alert(1)", "no address"),
        ("https://", "ERR_INVALID_URL|Cannot navigate"),
    ],
)
async def test_an_address_that_cannot_be_opened_is_an_error(
    operator: AsyncBrowserOperator, url: str, expected: str
) -> None:
    with pytest.raises(BrowserError, match=expected):
        await operator.navigate(url)


@pytest.mark.slow
async def test_tabs_are_opened_listed_switched_and_closed(
    operator: AsyncBrowserOperator,
) -> None:
    await show(operator, "<title>First</title>")
    first = await front(operator)

    await do(operator, "", "open_tab", {"url": f"{SITE}/two.html"})
    assert len(await tabs(operator)) == 2
    assert (await front(operator))["url"] == f"{SITE}/two.html"
    await do(operator, "", "switch_tab", {"page_id": first["page_id"]})
    assert await title(operator) == "First"
    await show(operator, "<title>Renamed</title>")
    assert len(await tabs(operator)) == 2
    await do(operator, "", "close_tab")
    assert (await front(operator))["url"] == f"{SITE}/two.html"
    await do(operator, "", "close_tab")
    (left,) = await tabs(operator)
    assert left["url"] == "about:blank"
    with pytest.raises(BrowserError, match="there is no page 'nope'"):
        await operator.act(ActOptions('{"method": "list_tabs"}'), PageTarget("nope"))
    assert "list_tabs tells" in await reason(operator, "", "close_tab", {"page_id": "nope"})


async def test_a_tab_that_stays_open_is_not_said_to_be_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stubborn:
        async def send(self, _method: str, _arguments: object = None) -> dict[str, Any]:
            page = {"targetId": "t-1", "type": "page", "title": "", "url": "about:blank"}
            return {"targetInfos": [page]}

    monkeypatch.setattr(pages, "_CHANGE_LIMIT", 0.1)
    with pytest.raises(ToolFailure, match="tab t-1 is still open"):
        await pages.close_tab(cast("Any", Stubborn()), "t-1")


@pytest.mark.slow
async def test_a_page_behind_another_one_is_acted_on_by_its_id(
    operator: AsyncBrowserOperator,
) -> None:
    await show(operator, FORM)
    first = (await front(operator))["page_id"]
    await do(operator, "", "open_tab")
    assert (await front(operator))["page_id"] != first
    await operator.act(ObserveResult("#div", "", "click", {}), PageTarget(first))

    async def clicked() -> bool:
        titles = {tab["page_id"]: tab["title"] for tab in await tabs(operator)}
        return bool(titles[first] == "click 1")

    await until(clicked, 30)
    await do(operator, "", "close_tab")


@pytest.mark.slow
async def test_an_act_ends_when_the_page_that_it_leads_to_has_loaded(
    operator: AsyncBrowserOperator,
) -> None:
    await operator.navigate(f"{SITE}/to_slow.html")
    await do(operator, "text=Go", "click")
    assert (await front(operator))["url"] == f"{SITE}/slow.html"
    _, found = await operator.observe(ObserveOptions("*"))
    assert found == []


@pytest.mark.slow
async def test_history_goes_back_and_forward(operator: AsyncBrowserOperator) -> None:
    await operator.navigate(f"{SITE}/one.html")
    await do(operator, "text=More", "click")
    assert (await front(operator))["url"] == f"{SITE}/two.html"
    await do(operator, "", "back")
    assert (await front(operator))["url"] == f"{SITE}/one.html"
    await do(operator, "", "forward")
    await do(operator, "", "reload")
    assert (await front(operator))["url"] == f"{SITE}/two.html"
    assert "no page to go to" in await reason(operator, "", "forward")


# -- pictures --------------------------------------------------------------------------


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


async def test_a_picture_shows_all_of_the_page_or_the_view_or_a_part(
    operator: AsyncBrowserOperator,
) -> None:
    await show(operator, "<style>body { margin: 0; height: 3210px }</style>")
    whole = await operator.screenshot()
    width, height = size_of(await operator.screenshot_bytes(full_page=False))

    assert whole.startswith("data:image/png;base64,")
    assert size_of(base64.b64decode(whole.partition(",")[2]))[1] == 3210
    assert height < 3210
    clip = {"x": 10, "y": 2000, "width": 120, "height": 50}
    assert size_of(await operator.screenshot_bytes(clip=clip)) == (120, 50)
    with pytest.raises(BrowserError, match=f"not within the page, which is {width} x {height}"):
        await operator.screenshot(full_page=False, clip=clip)


@pytest.mark.slow
async def test_a_part_of_the_view_is_what_is_seen_there(operator: AsyncBrowserOperator) -> None:
    html = "<style>body { margin: 0; background: #fff } div { height: 2000px }</style><div></div>"
    await show(operator, f"{html}<div id=low style='background: #f00'></div>")
    clip = {"x": 0, "y": 0, "width": 20, "height": 20}
    white = await operator.screenshot(full_page=False, clip=clip)
    await do(operator, "", "scroll", {"y": 2000})
    with anyio.fail_after(30):
        while await operator.screenshot(None, False, clip=clip) == white:  # noqa: ASYNC110
            await anyio.sleep(0.05)
    below = {**clip, "y": 2100}
    assert await operator.screenshot(clip=clip) == white
    red = await operator.screenshot(full_page=False, clip=clip)
    assert await operator.screenshot(clip=below) == red


@pytest.mark.slow
async def test_a_quality_makes_a_picture_that_has_one(form: AsyncBrowserOperator) -> None:
    rough, fine = [await form.screenshot(quality=quality) for quality in (5, 100)]
    assert rough.startswith("data:image/jpeg;base64,")
    assert len(rough) < len(fine)
    await show(form, "<style>body { margin: 0; height: 99999px }</style>")
    with pytest.raises(BrowserError, match=r"99999 pixels tall.*clip="):
        await form.screenshot()


# -- acts ------------------------------------------------------------------------------


async def test_a_form_is_filled_and_sent_with_real_events(form: AsyncBrowserOperator) -> None:
    await do(form, "#name", "fill", {"text": "Åse"})
    await do(form, "#name", "type", {"text": " & 李"})
    await do(form, "#day", "fill", {"text": "2026-11-22"})
    await do(form, "#note", "type", ["one\ntwo"])
    await do(form, "#size", "select", {"value": "Large"})
    await do(form, "#many", "select", {"values": ["a", "c"]})
    await do(form, "#agree", "check")
    await do(form, "#agree", "check")
    await do(form, "#name", "press", {"key": "Enter"})

    sent = {"name": "Åse & 李", "day": "2026-11-22", "note": "one\ntwo", "size": "l"}
    texts = [f"{name}={_in_form(value)}" for name, value in sent.items()]
    await titled(form, "&".join([*texts, "many=a", "many=c", "agree=on"]))


def _in_form(text: str) -> str:
    return quote(text, safe="").replace("%20", "+")


@pytest.mark.slow
async def test_keys_are_pressed_together(form: AsyncBrowserOperator) -> None:
    await do(form, "#name", "press", {"key": "Control+a"})
    await do(form, "", "type", "Neu+")
    await do(form, "", "press", "Shift+ArrowLeft")
    await do(form, "", "press", "Backspace")
    await do(form, "#agree", "check")
    await do(form, "#agree", "uncheck")
    await do(form, "#note", "fill", "x")
    await do(form, "#note", "clear")
    await do(form, "text=Send", "click")
    await titled(form, "name=Neu&day=&note=&size=s")


@pytest.mark.slow
async def test_the_mouse_does_what_it_is_told(form: AsyncBrowserOperator) -> None:
    await do(form, "//div[@id='div']", "hover")
    await titled(form, "enter true")
    await do(form, "text=Here", "click")
    await titled(form, "click 1")
    await do(form, "xpath=//div[@id='div']", "dblclick")
    await titled(form, "twice")
    await do(form, "css=#div", "rightClick")
    await titled(form, "menu")
    await do(form, "#div", "left_click")
    await titled(form, "click 1")
    await do(form, "#div", "click", {"button": "right"})
    await titled(form, "menu")


@pytest.mark.slow
async def test_files_of_the_session_are_given_to_a_page(
    form: AsyncBrowserOperator, shared: AsyncSession
) -> None:
    await shell(shared, "echo hei > /tmp/a.txt; echo du > /tmp/b.txt")
    await show(form, FORM.replace("id=file", 'id=file onchange="say([...files].map(f => f.name))"'))
    await do(form, "#file", "set_files", {"paths": ["/tmp/a.txt", "/tmp/b.txt"]})
    await titled(form, "a.txt,b.txt")


@pytest.mark.slow
async def test_something_is_dragged_to_another_place(operator: AsyncBrowserOperator) -> None:
    await show(
        operator,
        "<div id=a onmousedown='held = 1'>A</div><br><br><div id=b onmouseup='if (held) "
        "document.title = `dropped`'>B</div><script>let held = 0</script>",
    )
    await do(operator, "#a", "drag", {"to": "#b"})
    await titled(operator, "dropped")


@pytest.mark.parametrize("frame", ["same", "other"])
async def test_embedded_pages_are_acted_in_wherever_they_are_from(
    operator: AsyncBrowserOperator, frame: str
) -> None:
    await operator.navigate(f"{SITE}/frames.html")
    host = {"same": "127.0.0.1", "other": "localhost"}[frame]
    await do(operator, f"#{frame} >>> button", "click")
    await titled(operator, f"{host}:8000 pressed")
    await do(operator, f"#{frame} >>> input", "type", "ok")
    await titled(operator, f"{host}:8000 ok")


@pytest.mark.slow
async def test_what_is_observed_is_found_again_in_frames_and_shadows(
    operator: AsyncBrowserOperator,
) -> None:
    await operator.navigate(f"{SITE}/frames.html")
    _, found = await operator.observe(ObserveOptions("*"))
    expected = ['button "Press"', "textbox", 'button "Press"', "textbox", 'button "In the shadow"']
    assert [one.description for one in found] == expected
    await operator.act(found[-1])
    await titled(operator, "shadow")
    # Clients of the service hand on no more than the method and the arguments.
    await operator.act(ObserveResult("", "", found[2].method, found[2].arguments))
    await titled(operator, "localhost:8000 pressed")
    _, inner = await operator.observe(ObserveOptions("*", selector="#same >>> body"))
    assert [one.selector for one in inner] == [one.selector for one in found[:2]]


@pytest.mark.slow
async def test_an_element_that_comes_and_moves_is_waited_for(
    operator: AsyncBrowserOperator,
) -> None:
    await show(
        operator,
        "<style>#late { position: relative; animation: slide 0.6s }"
        " @keyframes slide { from { left: 500px } to { left: 0 } }</style>"
        "<script>setTimeout(() => { document.body.innerHTML = '<button id=late onclick="
        '"document.title = event.clientX < 200 ? `at rest` : `moving`">Late</button>\'; }, 400)'
        "</script>",
    )
    await do(operator, "#late", "click")
    await titled(operator, "at rest")


@pytest.mark.slow
async def test_an_element_that_was_replaced_is_found_again(operator: AsyncBrowserOperator) -> None:
    await show(operator, "<div id=box><button>Old</button></div>")
    _, (old,) = await operator.observe(ObserveOptions("*"))
    await show(operator, "<div id=box><button onclick='document.title = 1'>New</button></div>")
    await operator.act(old)
    await titled(operator, "1")
    await show(operator, "<p>Nothing</p>")
    options = ActOptions(old.action(), timeout=1)
    result = await operator.act(options)
    assert not result.success
    assert "matches no element of the page (waited 1 seconds)" in result.message


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_operator, "_READY_LIMIT", 0.3)


IMPOSSIBLE: list[tuple[str, str, Any, str]] = [
    ("#nope", "click", {}, "#nope matches no element"),
    ("#gone", "click", {}, "#gone is not visible"),
    ("#off", "click", {}, "#off is disabled"),
    ("#stays", "fill", {"text": "x"}, "#stays is read-only"),
    ("#div", "fill", {"text": "x"}, "cannot be filled: it is <div>"),
    ("#agree", "fill", {"text": "x"}, "cannot be filled: it is <input type=checkbox>"),
    ("#day", "fill", {"text": "tomorrow"}, "does not take the value"),
    ("#size", "select", {"value": "Huge"}, "has no option Huge, but Small, Large"),
    ("#size", "select", {"value": "x"}, "has no option x"),
    ("#size", "select", {"values": ["s", "l"]}, "takes one option only"),
    ("#name", "select", {"value": "s"}, "has no options to choose"),
    ("#div", "check", {}, "cannot be checked"),
    ("#[", "click", {}, "not a valid selector"),
    ("#name >>> ", "click", {}, "a selector is empty"),
    ("", "click", {}, "needs the selector"),
    ("#name", "press", {"key": "Any"}, "there is no key 'Any'"),
    ("", "scroll", {}, "scroll needs a direction"),
    ("", "scroll", {"direction": "in"}, "one of down, up, right, left"),
    ("", "navigate", {"url": "nowhere"}, "no address"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_what_cannot_be_done_is_told_with_the_reason(form: AsyncBrowserOperator) -> None:
    for selector, method, arguments, expected in IMPOSSIBLE:
        assert expected in await reason(form, selector, method, arguments)
    assert await title(form) == "Form"


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_what_is_covered_cannot_be_clicked_unless_forced(form: AsyncBrowserOperator) -> None:
    await show(form, FORM + "<div id=cover onclick=\"say('cover')\"></div>")
    assert "#send is covered by <div> #cover" in await reason(form, "#send", "click")
    await do(form, "#send", "click", {"force": True})
    await titled(form, "cover")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"method": "fly"}, "there is no method 'fly', but click"),
        ({"method": 5, "selector": ["#a"]}, "bad action"),
        ({"method": "fill", "selector": "#a"}, "bad arguments for fill"),
        ({"method": "fill", "arguments": ["a", "b"]}, "takes 1 arguments, not 2"),
        ({"method": "click", "arguments": {"button": "thumb"}}, "bad arguments for click"),
    ],
)
async def test_an_action_that_makes_no_sense_is_refused_at_once(
    operator: AsyncBrowserOperator, action: dict[str, Any], expected: str
) -> None:
    with pytest.raises(BrowserError, match=re.escape(expected)):
        await operator.act(ActOptions(json.dumps(action)))


@pytest.mark.slow
async def test_boxes_of_a_page_are_closed(operator: AsyncBrowserOperator) -> None:
    await show(operator, "<button onclick='alert(1); document.title = confirm(2)'>Ask</button>")
    await do(operator, "button", "click")
    await titled(operator, "false")


@pytest.mark.slow
async def test_a_page_that_opens_is_in_front_and_one_that_closes_itself_is_told(
    operator: AsyncBrowserOperator,
) -> None:
    await operator.navigate(f"{SITE}/opens.html")
    before = len(await tabs(operator))
    await do(operator, "text=Open", "click")
    await titled(operator, "Pop")
    await do(operator, "text=Close", "click")
    await titled(operator, "Main")

    async def is_gone() -> bool:
        return len(await tabs(operator)) == before

    await until(is_gone, 30)


@pytest.mark.slow
async def test_values_of_variables_are_filled_in(form: AsyncBrowserOperator) -> None:
    action = ObserveResult("#name", "", "fill", {"text": "%word%, 100%"}).action()
    assert (await form.act(ActOptions(action, {"word": "tops3cret"}))).success
    await do(form, "#send", "click")
    await titled(form, "name=tops3cret%2C+100%25&day=&note=&size=s")


@pytest.mark.slow
async def test_there_is_no_login(operator: AsyncBrowserOperator) -> None:
    refused = await operator.login('{"api_key": "hush", "skill_id": "s"}')
    assert not refused.success
    assert "log in with act() once" in refused.message


# -- plain words -----------------------------------------------------------------------


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Generator[Endpoint]:
    """The endpoint that the engine is told to use; the test says how it answers."""
    with model_endpoint(["not scripted"]) as endpoint:
        for name, value in endpoint.settings.items():
            monkeypatch.setenv(name, value)
        yield endpoint


def number_of(endpoint: Endpoint, what: str) -> int:
    """The number of something on the page that the model was shown last."""
    found = re.search(rf"\[(\d+)\] {re.escape(what)}", endpoint.told())
    assert found, f"{what} is not in {endpoint.told()}"
    return int(found[1])


async def test_without_a_model_plain_words_are_refused_with_the_remedy(
    operator: AsyncBrowserOperator,
) -> None:
    asked: list[Awaitable[object]] = [
        operator.act(ActOptions("click it")),
        operator.observe(ObserveOptions("buttons")),
        operator.extract(ExtractOptions("prices", {})),
    ]
    for answer in asked:
        with pytest.raises(BrowserError) as caught:
            await answer
        for name in ("MODEL_URL", "MODEL_KEY", "MODEL "):
            assert f"AGENTBAY_LOCAL_{name}" in str(caught.value)


async def test_a_model_acts_step_by_step_and_sees_no_secret(
    form: AsyncBrowserOperator, model: Endpoint
) -> None:
    def answer(_: Any) -> Any:
        if len(model.requests) == 1:
            name = number_of(model, 'textbox "Name"')
            return {"element": name, "method": "fill", "arguments": {"text": "%who%"}}
        return {"element": number_of(model, 'button "Send"'), "method": "click", "done": True}

    model.answer = answer
    result = await form.act(ActOptions("sign in", {"who": "tops3cret"}))

    steps = ['fill textbox "Name" {"text":"%who%"}', 'click button "Send"']
    assert (result.success, json.loads(result.message)) == (True, steps)
    await titled(form, "name=tops3cret&day=&note=&size=s")
    for told in ("Task: sign in", "%who%", "fill(text)", 'textbox "Name" value="old"'):
        assert told in model.told(0)
    for told in (steps[0], 'textbox "Name" value="%who%"'):
        assert told in model.told(1)
    assert not any("tops3cret" in model.told(number) for number in (0, 1))


@pytest.mark.slow
async def test_a_model_learns_that_a_step_failed_and_goes_on(
    form: AsyncBrowserOperator, model: Endpoint
) -> None:
    def answer(_: Any) -> Any:
        if len(model.requests) == 1:
            size = number_of(model, 'combobox value="Small"')
            return {"element": size, "method": "select", "arguments": {"values": ["Huge"]}}
        return {"method": None, "done": True, "success": False, "message": "there is none"}

    model.answer = answer
    result = await form.act(ActOptions("choose the huge one"))

    assert not result.success
    failed, last = json.loads(result.message)
    assert failed.startswith("failed: select combobox")
    assert "has no option Huge" in failed
    assert last == "there is none"
    assert "has no option Huge" in model.told(1)


@pytest.mark.slow
async def test_a_model_that_fails_again_and_again_is_stopped(
    form: AsyncBrowserOperator, model: Endpoint
) -> None:
    model.answer = [{"method": "press", "arguments": {"key": "Any"}}]
    result = await form.act(ActOptions("go"))
    assert not result.success
    assert len(json.loads(result.message)) == len(model.requests) == 3


NONSENSE: list[tuple[Any, str]] = [
    ("no idea", "not JSON"),
    ({"done": False}, "a step needs a method"),
    ({"element": 999, "method": "click"}, r"there is no element \[999\]"),
    ({"element": 1, "method": "fly"}, "there is no method 'fly'"),
    ({"element": 1, "method": "fill", "arguments": {}}, "bad arguments for fill"),
    (Raw(500), "HTTP 500"),
    (Raw(401, KEY), "refuses the key"),
]


@pytest.mark.slow
async def test_a_model_that_makes_no_sense_does_nothing(
    form: AsyncBrowserOperator, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_client, "_PAUSE", 0.01)
    for said, expected in NONSENSE:
        model.answer = [said]
        result = await form.act(ActOptions("go"))
        assert not result.success
        assert re.search(expected, result.message)
        assert KEY not in result.message
    assert await title(form) == "Form"


@pytest.mark.slow
async def test_a_model_observes_and_what_it_found_is_used(
    form: AsyncBrowserOperator, model: Endpoint
) -> None:
    def answer(_: Any) -> Any:
        found = {"element": number_of(model, '"Here"'), "description": "the place to press"}
        name = number_of(model, 'textbox "Name"')
        field = {"element": name, "description": "f", "method": "fill", "arguments": {"text": "x"}}
        return {"elements": [found, field]}

    model.answer = answer
    _, (here, field) = await form.observe(ObserveOptions("where do I press?"))

    assert (here.selector, here.method) == ("#div", "click")
    assert here.description == "the place to press"
    assert field.arguments == {"text": "x", "selector": "#name"}
    await form.act(here)
    await titled(form, "click 1")
    assert "where do I press?" in model.told()
    model.answer = [{"elements": []}]
    assert await form.observe(ObserveOptions("nothing")) == (True, [])


@pytest.mark.slow
async def test_a_model_sees_a_picture_when_it_may(
    form: AsyncBrowserOperator, model: Endpoint
) -> None:
    model.answer = [{"elements": []}]
    await form.observe(ObserveOptions("x", use_vision=True))
    text, picture = model.requests[0]["messages"][1]["content"]
    assert text["type"] == "text"
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")


PRICES = {
    "type": "object",
    "properties": {"prices": {"type": "array", "items": {"type": "number"}}},
    "required": ["prices"],
}


@pytest.mark.slow
async def test_a_model_reads_data_over_several_pages(
    operator: AsyncBrowserOperator, model: Endpoint
) -> None:
    def answer(_: Any) -> Any:
        if len(model.requests) == 1:
            assert '"Apple 1.50"' in model.told()
            return {"data": {"prices": [1.5, 2]}, "next": number_of(model, 'link "More"')}
        assert '{"prices":[1.5,2]}' in model.told()
        assert '"Plum 3"' in model.told()
        return {"data": {"prices": [1.5, 2, 3]}, "next": None}

    model.answer = answer
    await operator.navigate(f"{SITE}/one.html")
    options = ExtractOptions("all prices", PRICES, max_page=5)
    assert await operator.extract(options) == (True, {"prices": [1.5, 2, 3]})
    assert json.dumps(PRICES, separators=(",", ":")) in model.told()
    assert len(model.requests) == 2


@pytest.mark.slow
async def test_a_model_reads_a_part_of_the_page_as_text(
    operator: AsyncBrowserOperator, model: Endpoint
) -> None:
    model.answer = [{"data": {"prices": []}}]
    await operator.navigate(f"{SITE}/one.html")
    options = ExtractOptions("prices", PRICES, use_text_extract=True, selector="ul")
    await operator.extract(options)
    assert "Apple 1.50\nPear 2" in model.told()
    assert "Fruit" not in model.told()


async def test_data_of_another_shape_is_asked_for_again_and_then_refused(
    operator: AsyncBrowserOperator, model: Endpoint
) -> None:
    model.answer = [{"data": {"prices": "2"}}, {"data": {"prices": [2]}}]
    options = ExtractOptions("prices", PRICES)
    assert await operator.extract(options) == (True, {"prices": [2]})
    assert "data.prices: expected array" in model.told()
    model.answer = [{"data": {"prices": "2"}}]
    with pytest.raises(BrowserError, match=r"no valid answer, twice: data\.prices"):
        await operator.extract(options)


# -- tasks -----------------------------------------------------------------------------


SLOW = Raw(200, json.dumps({"choices": [{"message": {"content": '{"elements": []}'}}]}), delay=0.6)


@pytest.mark.slow
async def test_a_task_that_takes_long_is_asked_for_its_result_later(
    operator: AsyncBrowserOperator, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_HOLD", 0.05)
    model.answer = [SLOW]
    assert await operator.observe(ObserveOptions("x")) == (True, [])
    model.answer = [attrs.evolve(SLOW, delay=60.0)]
    with pytest.raises(BrowserTimeoutError):
        await operator.observe(ObserveOptions("x", timeout=1))
    assert await operator.close() is True


@pytest.mark.slow
async def test_close_ends_the_tasks_that_go_on(
    shared: AsyncSession, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_HOLD", 0.05)
    model.answer = [attrs.evolve(SLOW, delay=60.0)]
    begun = await shared.call_mcp_tool("page_use_act_async", {"action": "go"})
    asked = {"task_id": json.loads(begun.data)["task_id"]}
    pending = await shared.call_mcp_tool("page_use_get_act_result", asked)
    assert json.loads(pending.data)["is_done"] is False
    assert await shared.browser.operator.close() is True
    with anyio.fail_after(30):
        ended = await shared.call_mcp_tool("page_use_get_act_result", asked)
        while ended.success:
            ended = await shared.call_mcp_tool("page_use_get_act_result", asked)
    assert "ended before it had a result" in ended.error_message


@pytest.mark.slow
async def test_tasks_are_bounded_and_those_that_are_unknown_are_told(
    shared: AsyncSession, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_HOLD", 0.05)
    monkeypatch.setattr(tasks, "_MOST_RUNNING", 2)
    model.answer = [attrs.evolve(SLOW, delay=60.0)]
    arguments = {"instruction": "x"}
    results = [await shared.call_mcp_tool("page_use_observe_async", arguments) for _ in range(3)]
    assert [result.success for result in results] == [True, True, False]
    assert "2 tasks go on already" in results[2].error_message
    unknown = await shared.call_mcp_tool("page_use_get_observe_result", {"task_id": "nope"})
    assert "there is no task 'nope'" in unknown.error_message
    assert await shared.browser.operator.close() is True


@pytest.mark.slow
async def test_a_task_ends_with_the_call_that_nobody_waits_for(
    shared: AsyncSession, model: Endpoint
) -> None:
    model.answer = [attrs.evolve(SLOW, delay=60.0)]
    asked = len(model.requests)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as calls:
            arguments = {"instruction": "x"}
            calls.start_soon(shared.call_mcp_tool, "page_use_observe_async", arguments)
            while len(model.requests) == asked:  # noqa: ASYNC110 - the model's thread ends it
                await anyio.sleep(0.02)
            calls.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(model.left.wait, 30)


@pytest.mark.slow
async def test_the_time_limit_of_an_action_is_kept(
    operator: AsyncBrowserOperator, model: Endpoint
) -> None:
    model.answer = [attrs.evolve(SLOW, delay=60.0)]
    result = await operator.act(ActOptions("go", timeout=4))
    assert not result.success
    assert "did not answer within" in result.message


# -- browsers that are not there -------------------------------------------------------


@pytest.fixture
async def own(bay: AsyncAgentBay) -> AsyncGenerator[AsyncSession, None]:
    """A session whose browser may be broken."""
    async with bay.session(CreateSessionParams(image_id="browser_latest")) as session:
        yield session


async def test_a_browser_that_is_not_there_or_died_is_told(own: AsyncSession) -> None:
    operator = own.browser.operator
    own.browser.attach()
    with pytest.raises(BrowserError, match="there is no browser"):
        await operator.navigate("about:blank")
    with pytest.raises(BrowserError, match="there is no browser"):
        await operator.act(ObserveResult("#a", "", "click", {}))
    await own.browser.destroy()
    assert await own.browser.initialize(), own.browser.error
    await show(operator, FORM)
    await shell(own, "pkill -9 -o chrom")
    with pytest.raises(BrowserError, match=r"ended|signal"):
        await operator.act(ObserveResult("#div", "", "click", {}))
    with pytest.raises(BrowserError, match=r"ended|signal"):
        await operator.screenshot()


@pytest.mark.slow
async def test_a_session_that_ends_takes_its_tasks_along(
    bay: AsyncAgentBay, own: AsyncSession, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_HOLD", 0.05)
    model.answer = [attrs.evolve(SLOW, delay=60.0)]
    assert await own.browser.initialize(), own.browser.error
    with anyio.fail_after(30):
        await own.call_mcp_tool("page_use_observe_async", {"instruction": "x"})
        while not model.requests:  # noqa: ASYNC110 - the server is in a thread
            await anyio.sleep(0.01)
        assert (await bay.delete(own)).success
    assert await anyio.to_thread.run_sync(model.left.wait, 30)
