"""The browser of a session: its option, its life, its address, and pictures of its pages."""

from __future__ import annotations

import base64
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from agentbay import AgentBayError, APIError, InvalidInputError, ProtocolError
from agentbay._async.browser import AsyncBrowser
from agentbay._sync._base import _bridge
from agentbay.errors import BrowserError
from agentbay.protocol.browser import (
    BrowserFingerprint,
    BrowserFingerprintContext,
    BrowserNotifyMessage,
    BrowserOption,
    BrowserProxy,
    BrowserScreen,
    BrowserViewport,
    GetCdpLink,
    InitBrowser,
)
from agentbay.protocol.fingerprint import (
    FingerprintFormat,
    NavigatorFingerprint,
    ScreenFingerprint,
    VideoCard,
)

from .service import Sent, Service, always, by_action, ok, session_of, tool_says

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
URL = "wss://gateway.test:8008/websocket_ai/secret"

REPLIES: dict[str, Callable[[], httpx.Response]] = {
    "InitBrowser": lambda: ok({"Port": 9222}),
    "GetCdpLink": lambda: ok({"Url": URL}),
    "CallMcpTool": lambda: tool_says("stopped"),
}


def _browser(**replies: Callable[[], httpx.Response]) -> tuple[Service, AsyncBrowser]:
    service = Service(by_action({**REPLIES, **replies}))
    return service, AsyncBrowser(session_of(service))


def _recorded(name: str) -> Sent:
    head, _, body = (SAMPLES / name).read_bytes().decode().partition("\r\n\r\n")
    return Sent.read(head.split()[1], body)


def _option(sent: Sent) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(sent.form["BrowserOption"])
    return value


# -- the option ------------------------------------------------------------------------

MANAGED = BrowserProxy("managed", strategy="matched", user_id="u", isp="x")
FULL = BrowserOption(
    True,
    "UA x",
    BrowserViewport(1, 2),
    BrowserScreen(3, 4),
    BrowserFingerprint(["desktop"], ["linux", "macos"], ["zh-CN"]),
    fingerprint_persistent=True,
    solve_captchas=True,
    proxies=[BrowserProxy("custom", "http://p:1", "u", "pw")],
    cmd_args=["--a", "--b"],
    default_navigate_url="https://x",
    browser_type="chrome",
)


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (FULL, "0.22-async/085-browser-init-InitBrowser.http"),
        (BrowserOption(), "0.22-sync/029-browser-init-InitBrowser.http"),
    ],
)
async def test_an_option_travels_as_recorded(option: BrowserOption, name: str) -> None:
    service, browser = _browser()
    assert await browser.initialize(option)
    (sent,) = service.sent
    assert _option(sent) == _option(_recorded(name))
    assert sent.form["PersistentPath"] == "/tmp/agentbay_browser"
    assert sent.form["SessionId"] == "s-000001"


async def test_the_first_generation_gets_two_keys_that_it_ignores() -> None:
    theirs = _option(_recorded("0.10/063-browser-init-InitBrowser.http"))
    assert BrowserOption().to_map() == {**theirs, "autoLogin": False, "callForUser": False}


@pytest.mark.parametrize(
    "option",
    [
        FULL,
        BrowserOption(),
        BrowserOption(proxies=[MANAGED], auto_login=True, call_for_user=True),
        BrowserOption(proxies=[BrowserProxy("wuying", strategy="polling", pollsize=3)]),
        BrowserOption(proxies=[], extension_path=None, browser_type="chromium"),
        BrowserOption(extension_path="/home/mine/"),
    ],
)
def test_an_option_with_all_its_parts_is_read_back_from_its_map(option: BrowserOption) -> None:
    assert BrowserOption.from_map(json.loads(json.dumps(option.to_map()))) == option


def test_both_names_of_the_map_methods_work() -> None:
    assert FULL._to_map() == FULL.to_map()
    assert BrowserOption._from_map(FULL.to_map()) == FULL
    assert MANAGED._to_map() == {
        "type": "managed",
        "strategy": "matched",
        "userId": "u",
        "isp": "x",
    }
    assert BrowserProxy._from_map({"type": "custom", "server": "s"}) == BrowserProxy("custom", "s")
    assert BrowserViewport.from_map(None) is None
    assert BrowserOption.from_map({}) is None
    assert BrowserProxy.from_map() is None


@pytest.mark.parametrize("bad", [{"server": "s"}, {"type": "x"}, {"type": "custom"}, {"type": []}])
def test_a_map_that_is_no_proxy_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        BrowserProxy.from_map(bad)


def test_values_by_position_mean_what_they_meant_in_either_generation() -> None:
    first = BrowserOption(
        False, None, None, None, None, True, [MANAGED], "/e", ["-a"], "u", "chrome"
    )
    rest = [None, False, True, False, False, [MANAGED], "/e", ["-a"], "u", "chrome"]
    second = BrowserOption(False, None, None, None, None, *rest)
    assert first == second
    assert (first.solve_captchas, first.proxies, first.browser_type) == (True, [MANAGED], "chrome")
    with pytest.raises(InvalidInputError):
        BrowserOption(False, None, None, None, None, *[True] * 7)


def test_the_place_of_a_fingerprint_is_one_of_the_session() -> None:
    assert BrowserOption().fingerprint_persist_path is None
    path = BrowserOption(fingerprint_persistent=True).fingerprint_persist_path
    assert path == "/tmp/browser_fingerprint/fingerprint.json"


def test_a_wuying_proxy_sends_its_pollsize_only_when_it_polls() -> None:
    polling = BrowserProxy("wuying", strategy="polling")
    restricted = BrowserProxy("wuying", strategy="restricted")
    assert polling.to_map() == {"type": "wuying", "strategy": "polling", "pollsize": 10}
    assert restricted.to_map() == {"type": "wuying", "strategy": "restricted"}
    managed = BrowserProxy("managed", strategy="polling", user_id="u", pollsize=3)
    assert managed.to_map() == {"type": "managed", "strategy": "polling", "userId": "u"}


BAD: dict[str, Callable[[], object]] = {
    "proxy type": lambda: BrowserProxy("socks"),
    "custom without server": lambda: BrowserProxy("custom"),
    "wuying without strategy": lambda: BrowserProxy("wuying"),
    "wuying strategy": lambda: BrowserProxy("wuying", strategy="sticky"),
    "pollsize 0": lambda: BrowserProxy("wuying", strategy="polling", pollsize=0),
    "managed without strategy": lambda: BrowserProxy("managed", user_id="u"),
    "managed strategy": lambda: BrowserProxy("managed", strategy="restricted", user_id="u"),
    "managed without user": lambda: BrowserProxy("managed", strategy="sticky"),
    "matched without place": lambda: BrowserProxy("managed", strategy="matched", user_id="u"),
    "device": lambda: BrowserFingerprint(["tablet"]),
    "system": lambda: BrowserFingerprint(operating_systems=["beos"]),
    "devices": lambda: BrowserFingerprint("desktop"),
    "locales": lambda: BrowserFingerprint(locales=[1]),
    "width": lambda: BrowserViewport(0),
    "height": lambda: BrowserScreen(1, "2"),  # type: ignore[arg-type]  # tested
    "two proxies": lambda: BrowserOption(proxies=[MANAGED, MANAGED]),
    "no list": lambda: BrowserOption(proxies=MANAGED),  # type: ignore[arg-type]  # tested
    "no proxies": lambda: BrowserOption(proxies=["x"]),  # type: ignore[list-item]  # tested
    "extension_path": lambda: BrowserOption(extension_path=" "),
    "cmd_args": lambda: BrowserOption(cmd_args="--a"),
    "browser_type": lambda: BrowserOption(browser_type="firefox"),
    "viewport": lambda: BrowserOption(viewport={}),  # type: ignore[arg-type]  # tested
    "fingerprint context": lambda: BrowserFingerprintContext(" "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_value_that_makes_no_sense_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        BAD[name]()
    assert isinstance(caught.value, InvalidInputError)


def test_the_password_of_a_proxy_is_not_shown() -> None:
    shown = repr(FULL) + repr(InitBrowser("s-1", FULL.to_map()))
    assert "'pw'" not in shown


# -- a fingerprint in all its details --------------------------------------------------

_NUMBERS = (
    *("availHeight", "availWidth", "availTop", "availLeft", "height", "width"),
    *("colorDepth", "pixelDepth", "devicePixelRatio", "pageXOffset", "pageYOffset", "screenX"),
    *("innerHeight", "innerWidth", "outerHeight", "outerWidth", "clientHeight", "clientWidth"),
)
SCREEN: dict[str, Any] = {**dict.fromkeys(_NUMBERS, 1), "hasHDR": False}
FINGERPRINT: dict[str, Any] = {
    "fingerprint": {
        "screen": SCREEN,
        "navigator": {"userAgent": "UA ü", "userAgentData": {"brands": [{"brand": "B"}]}},
        "videoCard": "none",
    },
    "headers": {"accept": "*/*"},
}


def test_a_fingerprint_is_loaded_from_text_and_from_a_dictionary() -> None:
    found = FingerprintFormat.load(json.dumps(FINGERPRINT))
    assert found == FingerprintFormat.load(FINGERPRINT)
    navigator = found.fingerprint.navigator
    assert (navigator.userAgent, navigator.hardwareConcurrency) == ("UA ü", 8)
    assert navigator.extraProperties.pdfViewerEnabled
    assert found.fingerprint.videoCard == VideoCard("Unknown", "Unknown")
    assert FingerprintFormat.load(found._to_json()) == found


def test_a_fingerprint_travels_as_base64_of_its_json() -> None:
    option = BrowserOption(fingerprint_format=FingerprintFormat.load(FINGERPRINT))
    raw = base64.b64decode(option.to_map()["fingerprintRawData"])
    assert json.loads(raw)["fingerprint"]["navigator"]["userAgent"] == "UA ü"
    assert BrowserOption.from_map(option.to_map()) == option
    with pytest.raises(InvalidInputError):
        BrowserOption.from_map({"fingerprintRawData": "%"})


def test_a_fingerprint_is_made_from_its_parts() -> None:
    screen = ScreenFingerprint(**SCREEN)
    made = FingerprintFormat.create(screen, NavigatorFingerprint(), VideoCard("r", "v"), {"a": "b"})
    assert made.headers == {"a": "b"}
    assert made.fingerprint.videoCard.vendor == "v"
    assert (made.fingerprint.fonts, made.fingerprint.slim) == ([], None)


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "{}",
        {},
        7,
        {"fingerprint": {"screen": {}, "navigator": {}}},
        {"fingerprint": {"screen": {**SCREEN, "depth": 1}, "navigator": {}}},
    ],
)
def test_what_is_no_fingerprint_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidInputError):
        FingerprintFormat.load(bad)


# -- its life --------------------------------------------------------------------------


async def test_a_browser_starts_without_an_option() -> None:
    # One generation of clients raises NameError for what it documents as the usual way.
    service, browser = _browser()
    assert not browser.is_initialized()
    assert await browser.init()
    assert browser.is_initialized()
    assert browser.get_option() == BrowserOption()
    assert browser.endpoint_router_port == 9222
    assert _option(service.sent[0]) == BrowserOption().to_map()


async def test_a_browser_that_runs_is_not_started_again() -> None:
    service, browser = _browser()
    assert await browser.initialize(FULL)
    assert await browser.initialize()
    assert service.actions == ["InitBrowser"]
    assert browser.get_option() == FULL


@pytest.mark.parametrize("data", [{"Port": "9222"}, {"port": 9222}, '{"Port": 9222}'])
async def test_a_port_is_read_in_any_shape(data: Any) -> None:
    _, browser = _browser(InitBrowser=lambda: ok(data))
    assert await browser.initialize()
    assert browser.endpoint_router_port == 9222


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: ok(None), ProtocolError),
        (lambda: ok({}), ProtocolError),
        (lambda: ok({"Port": 1}, Success=False, Code="X", Message="no"), APIError),
        (lambda: httpx.Response(500, text="oops"), APIError),
    ],
)
async def test_a_browser_that_does_not_start_tells_why(
    answer: Callable[[], httpx.Response], kind: type[AgentBayError]
) -> None:
    _, browser = _browser(InitBrowser=answer)
    assert not await browser.initialize()
    assert not browser.is_initialized()
    assert isinstance(browser.error, kind)
    assert browser.get_option() is None


async def test_the_reason_is_gone_when_a_later_start_succeeds() -> None:
    answers = iter([ok(None), ok({"Port": 1})])
    browser = AsyncBrowser(session_of(Service(lambda _: next(answers))))
    assert not await browser.initialize()
    assert await browser.initialize()
    assert browser.error is None


async def test_what_is_no_option_is_refused_before_anything_is_sent() -> None:
    service, browser = _browser()
    with pytest.raises(InvalidInputError):
        await browser.initialize({})  # type: ignore[arg-type]  # what is tested
    assert service.sent == []


async def test_a_recorded_session_asks_for_its_browser_to_be_recorded() -> None:
    service, browser = _browser()
    browser._session.enableBrowserReplay = True
    await browser.initialize()
    sample = _recorded("0.22-async/089-browser-init-minimal-replay-InitBrowser.http")
    assert _option(service.sent[0]) == _option(sample)


@pytest.mark.parametrize(("value", "sent"), [("1", True), ("0", False), ("", True)])
async def test_the_environment_can_ask_for_human_behaviour(
    value: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTBAY_BROWSER_BEHAVIOR_SIMULATE", value)
    service, browser = _browser()
    await browser.initialize()
    assert _option(service.sent[0])["behaviorSimulate"] is sent


async def test_a_destroyed_browser_can_be_started_again() -> None:
    # Clients of the first generation take it for running for ever.
    service, browser = _browser()
    await browser.initialize(FULL)
    await browser.destroy()
    assert not browser.is_initialized()
    assert (browser.get_option(), browser.endpoint_router_port) == (None, None)
    assert await browser.initialize()
    assert service.actions == ["InitBrowser", "CallMcpTool", "InitBrowser"]
    sample = _recorded("0.22-async/087-browser-destroy-CallMcpTool.http")
    ours, theirs = service.sent[1].parameters, sample.parameters
    assert ours == theirs


async def test_a_browser_that_cannot_be_stopped_still_runs() -> None:
    _, browser = _browser(CallMcpTool=lambda: tool_says("no", is_error=True))
    await browser.initialize()
    with pytest.raises(BrowserError, match="no"):
        await browser.destroy()
    assert browser.is_initialized()


async def test_without_a_browser_nothing_can_be_done_with_it() -> None:
    service, browser = _browser()
    with pytest.raises(BrowserError):
        await browser.destroy()
    with pytest.raises(BrowserError):
        await browser.get_endpoint_url()
    with pytest.raises(BrowserError):
        browser.screenshot(_Page())
    assert service.sent == []


# -- its address -----------------------------------------------------------------------


async def test_the_address_is_asked_for_each_time() -> None:
    service, browser = _browser()
    await browser.initialize()
    assert await browser.get_endpoint_url() == URL
    assert await browser.get_endpoint_url() == URL
    assert service.actions == ["InitBrowser", "GetCdpLink", "GetCdpLink"]
    sample = _recorded("0.22-async/086-browser-cdp-GetCdpLink.http")
    assert service.sent[1].parameters == sample.parameters
    assert "secret" not in repr(GetCdpLink("s-1").parse)


async def test_a_region_without_the_action_gives_a_plain_link() -> None:
    missing = {"RequestId": "r-0", "Code": "InvalidAction.NotFound", "Message": "no"}
    service, browser = _browser(
        GetCdpLink=lambda: httpx.Response(404, json=missing), GetLink=lambda: ok({"Url": URL})
    )
    await browser.initialize()
    assert await browser.get_endpoint_url() == URL
    assert service.sent[-1].parameters == {"SessionId": "s-000001"}


async def test_an_address_that_is_not_given_is_a_browser_error_with_its_facts() -> None:
    _, browser = _browser(GetCdpLink=lambda: ok(None, Success=False, Code="X", Message="not here"))
    await browser.initialize()
    with pytest.raises(BrowserError, match="not here") as caught:
        await browser.get_endpoint_url()
    assert (caught.value.code, caught.value.request_id) == ("X", "r-1")


@pytest.mark.parametrize("code", ["BrowserEnded", "BrowserNotStarted"])
async def test_a_browser_that_ended_by_itself_can_be_initialized_again(code: str) -> None:
    gone = {"RequestId": "r-1", "Success": False, "Code": code, "Message": "it ended: signal 9"}
    answers = [httpx.Response(409, json=gone), httpx.Response(409, json=gone), ok({"Url": URL})]
    service, browser = _browser(GetCdpLink=lambda: answers.pop(0))
    await browser.initialize()
    for _ in range(2):
        with pytest.raises(BrowserError, match="signal 9"):
            await browser.get_endpoint_url()
        assert not browser.is_initialized()
    assert await browser.initialize()
    assert await browser.get_endpoint_url() == URL
    assert service.actions.count("InitBrowser") == 2


async def test_a_failure_that_says_nothing_of_the_browser_leaves_it_initialized() -> None:
    service, browser = _browser(GetCdpLink=lambda: httpx.Response(403, json={"Code": "X"}))
    await browser.initialize()
    with pytest.raises(BrowserError):
        await browser.get_endpoint_url()
    assert await browser.initialize()
    assert service.actions.count("InitBrowser") == 1


async def test_a_private_network_reaches_the_port_of_the_browser() -> None:
    data = {"SessionId": "s-1", "VpcResource": True, "NetworkInterfaceIp": "10.0.0.7"}
    service = Service(by_action({**REPLIES, "GetSession": lambda: ok(data)}))
    session = (await session_of(service).agent_bay.get("s-1")).unwrap()
    browser = AsyncBrowser(session)
    await browser.initialize()
    assert await browser.get_endpoint_url() == "ws://10.0.0.7:9222"


async def test_a_browser_that_another_program_started_can_be_used() -> None:
    service, browser = _browser()
    browser.attach()
    assert browser.is_initialized()
    assert await browser.get_endpoint_url() == URL
    assert service.actions == ["GetCdpLink"]


# -- messages ------------------------------------------------------------------------


def test_a_message_is_written_without_what_it_has_not() -> None:
    message = BrowserNotifyMessage("call-for-user", 3, 199, extra_params={"a": 1})
    wire = {"type": "call-for-user", "id": 3, "code": 199, "extraParams": {"a": 1}}
    assert message.to_map() == message._to_map() == wire
    assert BrowserNotifyMessage.from_map(wire) == message
    assert BrowserNotifyMessage(id=1).to_map() == {"id": 1}
    assert BrowserNotifyMessage.from_map(None) is None


# -- pictures --------------------------------------------------------------------------


class _PageError(Exception):
    """Stands for the error of Playwright."""


class _Page:
    """A page of the blocking interface."""

    def __init__(self, heights: tuple[int, ...] = (500, 900), fails: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.viewport_size: Any = {"width": 800, "height": 600}
        self._heights = list(heights)
        self._fails = fails

    def _did(self, *call: Any, value: Any = None) -> Any:
        self.calls.append(call)
        if call[0] == self._fails:
            raise _PageError("closed")
        return value

    def wait_for_load_state(self, state: Any = "load", *, timeout: float | None = None) -> Any:
        return self._did("load", state)

    def wait_for_timeout(self, timeout: float) -> Any:
        return self._did("wait", timeout)

    def evaluate(self, expression: str, arg: Any = None) -> Any:
        if "scrollTo" not in expression:
            return self._did("late")
        height = self._heights.pop(0) if len(self._heights) > 1 else self._heights[0]
        return self._did("scroll", value=height)

    def set_viewport_size(self, viewport_size: Any) -> Any:
        return self._did("size", viewport_size["width"], viewport_size["height"])

    def screenshot(self, **options: Any) -> Any:
        return self._did("shot", options, value=b"picture")

    @property
    def sizes(self) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == "size"]

    @property
    def options(self) -> dict[str, Any]:
        return next(call[1] for call in self.calls if call[0] == "shot")


class _AsyncPage(_Page):
    """A page of the asynchronous interface."""

    gives_up: anyio.CancelScope | None = None  # of a caller, in the middle of the picture

    def _did(self, *call: Any, value: Any = None) -> Any:
        async def later() -> Any:
            if self.gives_up is not None and call[0] == "shot":
                self.gives_up.cancel()
            await anyio.lowlevel.checkpoint()
            return _Page._did(self, *call, value=value)

        return later()


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> AsyncBrowser:
    for kind in ("sync", "async"):
        module = types.SimpleNamespace(Error=_PageError)
        monkeypatch.setitem(sys.modules, f"playwright.{kind}_api", module)
    _, browser = _browser()
    browser.attach()
    return browser


def test_a_blocking_page_gives_its_picture_at_once(running: AsyncBrowser) -> None:
    page = _Page()
    assert running.screenshot(page) == b"picture"
    assert [call[0] for call in page.calls] == (
        [
            "load",
            "scroll",
            "wait",
            "scroll",
            "wait",
            "scroll",
            "late",
            "wait",
            "size",
            "shot",
            "size",
        ]
    )
    assert page.options["full_page"] is False
    assert (page.options["type"], page.options["animations"]) == ("png", "disabled")


async def test_an_asynchronous_page_is_awaited(running: AsyncBrowser) -> None:
    page = _AsyncPage()
    assert await running.screenshot(page, True, type="jpeg", quality=5) == b"picture"
    assert (page.options["type"], page.options["quality"]) == ("jpeg", 5)
    assert page.options["full_page"] is True


def test_options_of_the_caller_win(running: AsyncBrowser) -> None:
    page = _Page()
    running.screenshot(page, scale="device", timeout=1)
    assert (page.options["scale"], page.options["timeout"]) == ("device", 1)


def test_the_viewport_is_put_back(running: AsyncBrowser) -> None:
    page = _Page((90_000,))
    running.screenshot(page)
    assert page.sizes == [(1920, 10_000), (800, 600)]


def test_a_page_that_grows_for_ever_is_shown_after_a_while(running: AsyncBrowser) -> None:
    page = _Page(tuple(range(100, 200)))
    assert running.screenshot(page) == b"picture"
    assert len([call for call in page.calls if call[0] == "scroll"]) == 9


def test_a_page_that_follows_its_window_keeps_its_size(running: AsyncBrowser) -> None:
    page = _Page()
    page.viewport_size = None
    assert running.screenshot(page) == b"picture"
    assert page.sizes == []


def test_a_page_that_fails_is_a_browser_error(running: AsyncBrowser) -> None:
    page = _Page(fails="shot")
    with pytest.raises(RuntimeError, match="closed") as caught:
        running.screenshot(page)
    assert isinstance(caught.value, BrowserError)
    assert page.sizes[-1] == (800, 600)


@pytest.mark.parametrize("fails", ["shot", "load"])
async def test_an_asynchronous_page_that_fails_is_a_browser_error(
    running: AsyncBrowser, fails: str
) -> None:
    page = _AsyncPage(fails=fails)
    with pytest.raises(BrowserError, match="closed"):
        await running.screenshot(page)
    assert page.sizes[-1:] == ([(800, 600)] if fails == "shot" else [])


async def test_the_viewport_is_put_back_when_the_caller_gives_up(running: AsyncBrowser) -> None:
    page = _AsyncPage()
    with anyio.CancelScope() as scope:
        page.gives_up = scope
        await running.screenshot(page)
    assert scope.cancelled_caught
    assert page.sizes[-1] == (800, 600)


def test_no_page_is_refused(running: AsyncBrowser) -> None:
    with pytest.raises(ValueError, match="page"):
        running.screenshot(None)  # type: ignore[arg-type]  # what is tested


def test_a_blocking_program_can_start_a_browser() -> None:
    service = Service(always(lambda: ok({"Port": 1})))
    browser = AsyncBrowser(session_of(service))
    assert _bridge.call(browser.initialize)
