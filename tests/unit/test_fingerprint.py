"""Taking the fingerprint of a browser: what a page is asked, and who is told of it.

The browser is made up here. Its answer has the shape of the one that Chromium 156 gave to the
same script.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from agentbay import InvalidInputError
from agentbay._async import _fingerprint_probe, fingerprint
from agentbay._async._fingerprint_probe import PROBE, ProbePage, served
from agentbay._async.fingerprint import AsyncBrowserFingerprintGenerator
from agentbay.errors import BrowserError, ConfigError
from agentbay.protocol.fingerprint import FingerprintFormat

_NUMBERS = (
    *("availHeight", "availWidth", "availTop", "availLeft", "height", "width"),
    *("colorDepth", "pixelDepth", "devicePixelRatio", "pageXOffset", "pageYOffset", "screenX"),
    *("innerHeight", "innerWidth", "outerHeight", "outerWidth", "clientHeight", "clientWidth"),
)
ANSWER: dict[str, Any] = {
    "screen": {**dict.fromkeys(_NUMBERS, 600), "hasHDR": False},
    "navigator": {
        "userAgent": "Mozilla/5.0",
        "userAgentData": None,
        "doNotTrack": None,
        "webdriver": "false",
        "languages": ["en-US", "en"],
        "deviceMemory": 16,
        "hardwareConcurrency": 2,
        "extraProperties": {"vendorFlavors": ["chrome"], "pdfViewerEnabled": True},
    },
    "videoCodecs": {"ogg": "", "h264": "probably"},
    "audioCodecs": {"mp3": "probably"},
    "pluginsData": {"plugins": [], "mimeTypes": []},
    "battery": {"charging": True, "chargingTime": 0, "dischargingTime": None, "level": 1},
    "videoCard": None,
    "multimediaDevices": {"speakers": [], "micros": [], "webcams": []},
    "fonts": ["DejaVu Sans"],
    "mockWebRTC": False,
    "slim": False,
}


class PlaywrightError(Exception):
    """Stands for `playwright.async_api.Error`."""


class FakeBrowser:
    """Chrome, as Playwright gives it: it visits addresses and answers scripts."""

    def __init__(self) -> None:
        self.answer: Any = json.dumps(ANSWER)
        self.launched: list[dict[str, Any]] = []
        self.visited: list[str] = []
        self.asked: list[str] = []
        self.open = self.started = 0
        self.no_start: Exception | None = None
        self.fails: Exception | None = None
        self.delay = 0.0

    async def launch(self, **options: Any) -> FakeBrowser:
        self.launched.append(options)
        if self.fails:
            raise self.fails
        self.open += 1
        return self

    async def new_page(self, **_: Any) -> FakeBrowser:
        return self

    async def goto(self, url: str, *, timeout: float) -> None:
        self.visited.append(url)
        headers = {"Accept-Language": "en", "Sec-CH-UA": '"Chromium"', "X-Own": "1"}
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url, headers=headers, timeout=timeout)).status_code == 200

    async def evaluate(self, script: str) -> Any:
        self.asked.append(script)
        await anyio.sleep(self.delay)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        await anyio.sleep(0.001)
        self.open -= 1

    async def __aenter__(self) -> Any:
        if self.no_start:
            raise self.no_start
        self.started += 1
        return types.SimpleNamespace(chromium=self)

    async def __aexit__(self, *_: object) -> None:
        await anyio.sleep(0.001)
        self.started -= 1


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> FakeBrowser:
    made = FakeBrowser()
    package: Any = types.ModuleType("playwright")
    api: Any = types.SimpleNamespace(async_playwright=lambda: made, Error=PlaywrightError)
    monkeypatch.setitem(sys.modules, "playwright", package)
    monkeypatch.setitem(sys.modules, "playwright.async_api", api)
    return made


async def test_a_fingerprint_is_what_a_page_sees_and_what_a_server_hears(
    browser: FakeBrowser,
) -> None:
    found = await AsyncBrowserFingerprintGenerator().generate_fingerprint()
    assert found == FingerprintFormat.load({"fingerprint": ANSWER, "headers": found.headers})
    assert found.fingerprint.navigator.userAgent == "Mozilla/5.0"
    kept = {name: found.headers[name] for name in ("accept-language", "sec-ch-ua")}
    assert kept == {"accept-language": "en", "sec-ch-ua": '"Chromium"'}
    assert not {"x-own", "host", "connection"} & set(found.headers)
    assert browser.asked == [PROBE]


async def test_nobody_but_this_machine_is_visited(browser: FakeBrowser) -> None:
    # The clients of today let a stranger's server tell the headers.
    await AsyncBrowserFingerprintGenerator().generate_fingerprint()
    assert [httpx.URL(url).host for url in browser.visited] == ["127.0.0.1"]
    source = inspect.getsource(fingerprint) + inspect.getsource(_fingerprint_probe)
    assert "https://" not in source


@pytest.mark.parametrize(
    ("options", "headless", "channel"),
    [({}, False, "chrome"), ({"headless": True, "use_chrome_channel": False}, True, None)],
)
async def test_the_browser_is_started_as_asked(
    browser: FakeBrowser, options: dict[str, bool], headless: bool, channel: str | None
) -> None:
    await AsyncBrowserFingerprintGenerator(**options).generate_fingerprint()
    (launched,) = browser.launched
    assert (launched["headless"], launched["channel"]) == (headless, channel)
    assert launched["timeout"] <= 60_000
    assert (browser.open, browser.started) == (0, 0)


async def test_a_file_holds_what_can_be_loaded(browser: FakeBrowser, tmp_path: Path) -> None:
    path = tmp_path / "chrome.json"
    generator = AsyncBrowserFingerprintGenerator()
    assert await generator.generate_fingerprint_to_file(str(path)) is True
    found = FingerprintFormat.load(path.read_text("utf-8"))
    assert found.fingerprint.fonts == ["DejaVu Sans"]


async def test_the_file_has_a_name_by_default(
    browser: FakeBrowser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await AsyncBrowserFingerprintGenerator().generate_fingerprint_to_file()
    assert (tmp_path / "fingerprint_output.json").exists()


@pytest.mark.parametrize("name", ["", " ", None])
async def test_a_file_without_a_name_is_refused_before_a_browser_starts(
    browser: FakeBrowser, name: Any
) -> None:
    with pytest.raises(InvalidInputError):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint_to_file(name)
    assert browser.launched == []


async def test_a_file_that_cannot_be_written_is_an_error(
    browser: FakeBrowser, tmp_path: Path
) -> None:
    path = str(tmp_path / "missing" / "x.json")
    with pytest.raises(OSError, match="missing"):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint_to_file(path)


# -- failures: the clients of today log them and answer None or False ------------------


async def test_without_playwright_the_error_tells_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "playwright", None)
    monkeypatch.delitem(sys.modules, "playwright.async_api", raising=False)
    with pytest.raises(ConfigError, match="pip install playwright"):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint()


async def test_an_event_loop_that_playwright_does_not_know_is_named(browser: FakeBrowser) -> None:
    browser.no_start = RuntimeError("no running event loop")
    with pytest.raises(ConfigError, match="asyncio"):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint()


async def test_a_browser_that_does_not_start_is_an_error(browser: FakeBrowser) -> None:
    browser.fails = PlaywrightError("no Chrome here")
    with pytest.raises(BrowserError, match="no Chrome here"):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint()
    assert browser.started == 0


@pytest.mark.parametrize(
    "answer", [PlaywrightError("page crashed"), "{", "5", "null", "{}", '{"screen":{}}', None]
)
async def test_an_answer_that_is_no_fingerprint_is_an_error(
    browser: FakeBrowser, answer: object
) -> None:
    browser.answer = answer
    with pytest.raises(BrowserError):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint()
    assert (browser.open, browser.started) == (0, 0)


async def test_a_browser_that_says_nothing_is_closed_at_the_limit(
    browser: FakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "_LIMIT", 0.3)
    browser.delay = 60
    with anyio.fail_after(30), pytest.raises(BrowserError, match=r"0\.3 s"):
        await AsyncBrowserFingerprintGenerator().generate_fingerprint()
    assert (browser.open, browser.started) == (0, 0)


# -- the page --------------------------------------------------------------------------


async def test_only_who_knows_the_path_gets_the_page() -> None:
    async def visit(page: ProbePage) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            other = str(httpx.URL(page.url).join("/favicon.ico"))
            assert (await client.get(other)).status_code == 404
            assert page.headers == {}
            assert (await client.get(page.url)).status_code == 200
            assert page.headers["accept"] == "*/*"

    await served(visit)


async def test_connections_that_say_nothing_or_nonsense_do_no_harm() -> None:
    async def visit(page: ProbePage) -> None:
        port = httpx.URL(page.url).port
        assert port is not None
        for said in (b"", b"\r\n\r\n", b"GET", b"\xff\xfe \r\n\r\n", b"x" * 70_000):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(said)
        silent = await anyio.connect_tcp("127.0.0.1", port)
        async with silent, httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(page.url)).status_code == 200

    with anyio.fail_after(30):
        await served(visit)


async def test_the_page_is_gone_after_the_visit() -> None:
    async def visit(page: ProbePage) -> str:
        return page.url

    url = await served(visit)
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
