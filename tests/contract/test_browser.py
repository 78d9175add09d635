"""The browser of a session, as a user of the client sees it; a real Chromium."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import attrs
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from agentbay import (
    AsyncAgentBay,
    AsyncExtensionsService,
    AsyncSession,
    BrowserContext,
    BrowserError,
    BrowserFingerprint,
    BrowserFingerprintContext,
    BrowserOption,
    BrowserProxy,
    BrowserScreen,
    BrowserViewport,
    CreateSessionParams,
    FingerprintFormat,
    Session,
    SessionError,
)

from ..local.sandboxes import until
from .desktops import needs_desktop
from .devtools import (
    PORT,
    SERVER,
    SITE,
    START,
    Devtools,
    devtools,
    in_page,
    needs_chromium,
)
from .observing import shell
from .services import Service

# The texts of refusals are the engine's. Tests with browsers of their own take seconds, so
# those run on the embedded engine only.
pytestmark = [needs_chromium, pytest.mark.engine_only]

IMAGE = CreateSessionParams(image_id="browser_latest")
PROXY_PORT = 8401

# Wants to be told a name and a password, and then answers for every host in the world.
PROXY = f"""
import base64, http.server

WANTED = "Basic " + base64.b64encode(b"ada:lovelace").decode()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        known = self.headers.get("Proxy-Authorization") == WANTED
        data = ("through the proxy to " + self.path).encode() if known else b"who are you"
        self.send_response(200 if known else 407)
        if not known:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

http.server.ThreadingHTTPServer(("127.0.0.1", {PROXY_PORT}), Handler).serve_forever()
"""

EXTENSION = {
    "manifest_version": 3,
    "name": "marks pages",
    "version": "1",
    "content_scripts": [{"matches": ["<all_urls>"], "js": ["mark.js"], "run_at": "document_start"}],
}

TRAITS = """({
  webdriver: navigator.webdriver, agent: navigator.userAgent, platform: navigator.platform,
  languages: navigator.languages.join(), cores: navigator.hardwareConcurrency,
  hints: navigator.userAgentData.platform, memory: navigator.deviceMemory,
  brands: navigator.userAgentData.brands.map(b => b.brand).join(),
  viewport: [innerWidth, innerHeight], screen: [screen.width, screen.height],
  touches: navigator.maxTouchPoints, marked: document.documentElement.dataset.marked || "",
})"""
IN_WORKER = """new Promise(done => {
  const code = "postMessage([navigator.userAgent, navigator.platform])";
  new Worker(URL.createObjectURL(new Blob([code]))).onmessage = event => done(event.data);
})"""


def _serve(session: Session) -> None:
    (session.file_system.write_file("/tmp/site.py", SERVER)).unwrap()
    session.command.run(START.format(program="/tmp/site.py", port=PORT)).unwrap()


async def serve(session: AsyncSession) -> None:
    """Let the site run in a session."""
    (await session.file_system.write_file("/tmp/site.py", SERVER)).unwrap()
    await shell(session, START.format(program="/tmp/site.py", port=PORT))


async def started(session: AsyncSession, option: BrowserOption | None = None) -> str:
    """Start the browser of a session; returns its address."""
    assert await session.browser.initialize(option), session.browser.error
    return await session.browser.get_endpoint_url()


async def refused(session: AsyncSession, option: BrowserOption) -> str:
    """Why a browser is not started."""
    assert not await session.browser.initialize(option)
    return str(session.browser.error)


async def look(url: str, expression: str = TRAITS, page: str = f"{SITE}/") -> Any:
    """What a page sees."""

    def work(tools: Devtools) -> Any:
        tools.visit(page)
        return tools.evaluate(expression)

    return await in_page(url, work)


@pytest.fixture(scope="module")
def plain_id(service: Service) -> Iterator[str]:
    """A session with the site and a browser that nothing was asked of."""
    with service.blocking_client() as bay, bay.session(IMAGE) as session:
        _serve(session)
        assert session.browser.initialize(), session.browser.error
        yield session.session_id


@pytest.fixture
async def plain(bay: AsyncAgentBay, plain_id: str) -> AsyncSession:
    session = (await bay.get(plain_id)).unwrap()
    session.browser.attach()
    return session


@pytest.fixture
async def session(bay: AsyncAgentBay) -> AsyncGenerator[AsyncSession, None]:
    """A session of the test's own whose browser does not run."""
    async with bay.session(IMAGE) as running:
        yield running


# -- Playwright ------------------------------------------------------------------------


@pytest.fixture
def playwright_api() -> Any:
    return pytest.importorskip("playwright.async_api", reason="needs playwright: pip install it")


@pytest.mark.asyncio_only
async def test_playwright_clicks_types_and_takes_pictures(
    plain: AsyncSession, playwright_api: Any
) -> None:
    url = await plain.browser.get_endpoint_url()
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(url)
        page = await browser.contexts[0].new_page()
        await page.goto(f"{SITE}/")
        await page.fill("#name", "Zoë 你好")
        await page.click("text=greet")

        assert await page.text_content("#said") == "hello Zoë 你好"
        picture = await page.screenshot()
        assert picture.startswith(b"\x89PNG")
        assert await page.title() == "shop"
        await page.close()


@pytest.mark.asyncio_only
async def test_playwright_uploads_and_downloads(plain: AsyncSession, playwright_api: Any) -> None:
    url = await plain.browser.get_endpoint_url()
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(url)
        page = await browser.contexts[0].new_page()
        await page.goto(f"{SITE}/")
        file = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"from this machine"}
        await page.set_input_files("#file", file)
        await page.wait_for_function("document.getElementById('said').textContent")
        assert await page.text_content("#said") == "from this machine"

        # The browser saves where it runs, so that is where its files are told to go.
        tools = await browser.new_browser_cdp_session()
        where = {"behavior": "allow", "downloadPath": "/tmp/saved", "eventsEnabled": True}
        await tools.send("Browser.setDownloadBehavior", where)
        await page.click("#save")

        async def saved() -> bool:
            found = await plain.file_system.read_file("/tmp/saved/goods.txt")
            return found.success and found.content == "a whole file"

        await until(saved, 30)
        await page.close()


@pytest.mark.asyncio_only
async def test_playwright_finds_the_browser_by_its_http_address(
    plain: AsyncSession, playwright_api: Any
) -> None:
    url = await plain.browser.get_endpoint_url()
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(url.replace("ws://", "http://"))

        assert browser.version
        assert len(browser.contexts) == 1


@pytest.mark.slow
@pytest.mark.embedded_only
@pytest.mark.asyncio_only
async def test_two_clients_and_the_overrides_of_the_engine_agree(
    session: AsyncSession, playwright_api: Any
) -> None:
    await serve(session)
    url = await started(
        session, BrowserOption(use_stealth=True, viewport=BrowserViewport(900, 600))
    )
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(url)
        page = await browser.contexts[0].new_page()
        await page.goto(f"{SITE}/")
        async with page.expect_popup() as opening:
            await page.evaluate("void window.open('/seen')")
        popup = await opening.value
        await popup.wait_for_load_state()

        for found in (page, popup):
            assert await found.evaluate("[innerWidth, navigator.webdriver]") == [900, False]
        assert "Headless" not in json.loads(await popup.text_content("body"))["User-Agent"]


# -- the address -----------------------------------------------------------------------


async def test_the_address_is_a_websocket_that_takes_commands(plain: AsyncSession) -> None:
    url = await plain.browser.get_endpoint_url()

    assert urlsplit(url).scheme == "ws"
    assert await look(url, "document.title") == "shop"
    assert await plain.browser.get_endpoint_url() == url


async def test_a_link_to_no_port_leads_to_the_browser(plain: AsyncSession) -> None:
    assert (await plain.get_link()).unwrap() == await plain.browser.get_endpoint_url()


async def test_the_browser_is_described_with_addresses_that_work(plain: AsyncSession) -> None:
    url = await plain.browser.get_endpoint_url()
    base = url.replace("ws://", "http://")

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        version = (await http.get(f"{base}json/version")).json()
        pages = (await http.get(f"{base}json/list")).json()
        other = await http.get(f"{base}json/new")

    assert version["webSocketDebuggerUrl"].startswith(url)
    assert await look(version["webSocketDebuggerUrl"], "1 + 1") == 2
    assert all(page["webSocketDebuggerUrl"].startswith(url) for page in pages)
    assert "devtoolsFrontendUrl" not in pages[0]
    assert other.status_code == 404


async def test_a_wrong_token_opens_nothing(plain: AsyncSession) -> None:
    url = await plain.browser.get_endpoint_url()
    token = url.split("/")[-3]
    wrong = url.replace(token, token[:-1] + ("A" if token[-1] != "A" else "B"))

    def opened(address: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            connect(address, open_timeout=30)
        return caught.value.response.status_code

    for address in (wrong, url.replace(token, plain.token), url.replace(f"/{token}", "")):
        assert await anyio.to_thread.run_sync(opened, address) == 404
    assert await anyio.to_thread.run_sync(opened, f"{url}json/version") == 404


async def test_the_secret_of_the_address_is_in_no_repr(plain: AsyncSession) -> None:
    url = await plain.browser.get_endpoint_url()

    assert url.split("/")[-3] not in repr(plain) + repr(plain.browser) + str(vars(plain.browser))


# -- options ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dressed_id(service: Service) -> Iterator[str]:
    """A session whose browser was asked for many things at once."""
    option = BrowserOption(
        use_stealth=True,
        viewport=BrowserViewport(1000, 700),
        screen=BrowserScreen(1366, 768),
        proxies=[
            BrowserProxy(
                "custom", f"http://127.0.0.1:{PROXY_PORT}", username="ada", password="lovelace"
            )
        ],
        extension_path="/tmp/extensions/",
        cmd_args=["--force-dark-mode", "--disable-features=SharedArrayBuffer"],
        default_navigate_url=f"{SITE}/seen",
    )
    with service.blocking_client() as bay, bay.session(IMAGE) as session:
        _serve(session)
        files = session.file_system
        (files.write_file("/tmp/proxy.py", PROXY)).unwrap()
        session.command.run(START.format(program="/tmp/proxy.py", port=PROXY_PORT)).unwrap()
        place = "/tmp/extensions/mark.zip/inner"
        (files.write_file(f"{place}/manifest.json", json.dumps(EXTENSION))).unwrap()
        script = "document.documentElement.dataset.marked = 'yes'"
        (files.write_file(f"{place}/mark.js", script)).unwrap()
        assert session.browser.initialize(option), session.browser.error
        yield session.session_id


@pytest.fixture
async def dressed(bay: AsyncAgentBay, dressed_id: str) -> str:
    session = (await bay.get(dressed_id)).unwrap()
    session.browser.attach()
    return await session.browser.get_endpoint_url()


async def test_a_browser_is_as_it_was_asked_for(dressed: str) -> None:
    traits = await look(dressed)

    assert traits["viewport"] == [1000, 700]
    assert traits["screen"] == [1366, 768]
    assert traits["webdriver"] is False
    assert "Headless" not in traits["agent"] + traits["brands"]
    assert "Chrome/" in traits["agent"]
    assert traits["marked"] == "yes"


async def test_stealth_holds_in_workers_and_in_what_servers_are_told(dressed: str) -> None:
    agent = (await look(dressed))["agent"]

    assert await look(dressed, IN_WORKER) == [agent, "Linux x86_64"]
    seen = await look(dressed, "JSON.parse(document.body.innerText)", f"{SITE}/seen")
    assert seen["User-Agent"] == agent


async def test_a_proxy_is_used_and_told_the_login(dressed: str) -> None:
    for number in range(2):
        page = f"http://goods.example/{number}"
        text = await look(dressed, "document.body.innerText", page)
        assert text == f"through the proxy to {page}"


async def test_the_first_page_is_the_one_that_was_asked_for(dressed: str) -> None:
    base = dressed.replace("ws://", "http://")

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        pages = (await http.get(f"{base}json/list")).json()

    assert f"{SITE}/seen" in [page["url"] for page in pages if page["type"] == "page"]


async def test_further_arguments_reach_the_browser(
    bay: AsyncAgentBay, dressed_id: str, dressed: str
) -> None:
    session = (await bay.get(dressed_id)).unwrap()
    assert await look(dressed, "matchMedia('(prefers-color-scheme: dark)').matches") is True

    lines = await shell(session, "tr '\\0' '\\n' < /proc/$(pgrep -o chrom)/cmdline")

    features = [line for line in lines.splitlines() if line.startswith("--disable-features=")]
    assert len(features) == 1
    assert "SharedArrayBuffer" in features[0]
    assert "lovelace" not in lines


@pytest.mark.slow
@pytest.mark.embedded_only
async def test_a_kind_of_fingerprint_is_made_up(session: AsyncSession) -> None:
    await serve(session)
    kind = BrowserFingerprint(["desktop"], ["ios", "windows"], ["de-DE", "en"])

    url = await started(session, BrowserOption(fingerprint=kind))

    traits = await look(url)
    assert "Windows NT" in traits["agent"]
    assert (traits["platform"], traits["hints"]) == ("Win32", "Windows")
    assert traits["languages"] == "de-DE,en"
    assert await look(url, IN_WORKER) == [traits["agent"], "Win32"]
    seen = await look(url, "JSON.parse(document.body.innerText)", f"{SITE}/seen")
    assert seen["Accept-Language"].startswith("de-DE")


def _fingerprint() -> FingerprintFormat:
    numbers = dict.fromkeys(
        ("availTop", "availLeft", "pageXOffset", "pageYOffset", "screenX", "clientWidth"), 0
    )
    screen = {
        **numbers,
        "width": 1600,
        "height": 900,
        "availWidth": 1600,
        "availHeight": 860,
        "innerWidth": 1200,
        "innerHeight": 640,
        "outerWidth": 1200,
        "outerHeight": 760,
        "clientHeight": 18,
        "colorDepth": 24,
        "pixelDepth": 24,
        "devicePixelRatio": 1.0,
        "hasHDR": False,
    }
    navigator = {
        "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/120.0.0.0",
        "userAgentData": {
            "brands": [{"brand": "Tested", "version": "120"}],
            "platform": "macOS",
            "platformVersion": "14.0",
        },
        "platform": "MacIntel",
        "languages": ["fr-FR", "fr"],
        "hardwareConcurrency": 12,
        "deviceMemory": 4,
    }
    return FingerprintFormat.load({"fingerprint": {"screen": screen, "navigator": navigator}})


@pytest.mark.slow
@pytest.mark.embedded_only
async def test_a_fingerprint_is_shown_and_kept_for_the_next_session(bay: AsyncAgentBay) -> None:
    context = (await bay.context.create(f"fingerprint-{uuid.uuid4().hex}")).unwrap()
    profile = (await bay.context.create(f"profile-{uuid.uuid4().hex}")).unwrap()
    kept = BrowserContext(profile.id, fingerprint_context=BrowserFingerprintContext(context.id))
    params = CreateSessionParams(image_id="browser_latest", browser_context=kept)
    options = (
        BrowserOption(fingerprint_format=_fingerprint(), fingerprint_persistent=True),
        BrowserOption(fingerprint_persistent=True),
    )
    for option in options:
        async with bay.session(params) as session:
            await serve(session)
            traits = await look(await started(session, option))
            (await session.context.sync()).unwrap()

        assert "Macintosh" in traits["agent"]
        assert (traits["platform"], traits["hints"]) == ("MacIntel", "macOS")
        assert (traits["languages"], traits["cores"], traits["memory"]) == ("fr-FR,fr", 12, 4)
        assert (traits["viewport"], traits["screen"]) == ([1200, 640], [1600, 900])
        assert traits["brands"] == "Tested"


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (BrowserOption(solve_captchas=True), "solve_captchas"),
        (BrowserOption(auto_login=True), "auto_login"),
        (BrowserOption(call_for_user=True), "call_for_user"),
        (BrowserOption(proxies=[BrowserProxy("wuying", strategy="polling")]), "wuying"),
        (
            BrowserOption(proxies=[BrowserProxy("managed", strategy="sticky", user_id="u")]),
            "managed",
        ),
        (BrowserOption(proxies=[BrowserProxy("custom", "ftp://x")]), "server of a proxy"),
        (BrowserOption(proxies=[BrowserProxy("custom", "http://a:b@x:1")]), "password"),
        (
            BrowserOption(proxies=[BrowserProxy("custom", "socks5://x:1", username="a")]),
            "socks5",
        ),
        (BrowserOption(cmd_args=["--remote-debugging-port=9222"]), "remote-debugging-port"),
        (BrowserOption(cmd_args=["--user-data-dir=/tmp/x"]), "user-data-dir"),
        (BrowserOption(cmd_args=["http://x.example"]), "switches"),
        (BrowserOption(default_navigate_url="x.example"), "default_navigate_url"),
        (BrowserOption(default_navigate_url="--no-sandbox"), "default_navigate_url"),
        (BrowserOption(extension_path="extensions"), "extension_path"),
        (BrowserOption(user_agent="two\nlines"), "user_agent"),
        (BrowserOption(viewport=BrowserViewport(100_000, 10)), "16384"),
        (BrowserOption(fingerprint=BrowserFingerprint(["mobile"], ["ios"])), "ios"),
        (BrowserOption(fingerprint_persistent=True), "fingerprint_format"),
    ],
    ids=str,
)
async def test_what_cannot_be_honoured_is_refused_with_the_reason(
    idle: AsyncSession, option: BrowserOption, reason: str
) -> None:
    assert reason in await refused(idle, option)
    assert not idle.browser.is_initialized()
    assert await shell(idle, "pgrep -c chrom || true") == "0\n"


async def test_a_refusal_does_not_repeat_a_password(idle: AsyncSession) -> None:
    proxy = BrowserProxy("custom", "http://ada:lovelace@x:1", username="a", password="lovelace")

    assert "lovelace" not in await refused(idle, BrowserOption(proxies=[proxy]))


@pytest.fixture(scope="module")
def idle_id(service: Service) -> Iterator[str]:
    """A session that never gets a browser."""
    with service.blocking_client() as bay, bay.session(IMAGE) as session:
        yield session.session_id


@pytest.fixture
async def idle(bay: AsyncAgentBay, idle_id: str) -> AsyncSession:
    return (await bay.get(idle_id)).unwrap()


@needs_desktop
@pytest.mark.embedded_only
async def test_a_browser_shows_a_window_where_there_is_a_display(session: AsyncSession) -> None:
    (await session.computer.get_screen_size()).unwrap()
    green = "data:text/html,<title>seen by people</title><body style='background:lime'>"

    url = await started(session, BrowserOption(default_navigate_url=green))

    async def shown() -> bool:
        windows = (await session.computer.list_root_windows()).windows
        return any("seen by people" in window.title for window in windows)

    await until(shown, 30)
    assert "Headless" not in await look(url, "navigator.userAgent", "about:blank")


async def test_an_extension_of_a_context_comes_unpacked(bay: AsyncAgentBay, tmp_path: Path) -> None:
    archive = tmp_path / "mark.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("manifest.json", json.dumps(EXTENSION))
        zipped.writestr("mark.js", "")
    extensions = AsyncExtensionsService(bay, f"extensions-{uuid.uuid4().hex}")
    extension = await extensions.create(str(archive))
    option = await extensions.create_extension_option([extension.id])
    profile = (await bay.context.create(f"profile-{uuid.uuid4().hex}")).unwrap()
    context = BrowserContext(profile.id, extension_option=option)

    async with bay.session(attrs.evolve(IMAGE, browser_context=context)) as session:
        found = await shell(session, "cd /tmp/extensions && find . -type f | sort")

    folder = extension.id.removesuffix(".zip")
    assert found.split() == [f"./{folder}/manifest.json", f"./{folder}/mark.js"]


# -- profiles --------------------------------------------------------------------------

LOG_IN = "localStorage.setItem('cart', '3'); sessionStorage.length"
KNOWN = "[document.cookie, localStorage.getItem('cart')].join()"


@pytest.mark.slow
@pytest.mark.embedded_only
@pytest.mark.parametrize("mode", ["standard", "minimal"])
async def test_a_login_is_there_in_the_next_session(bay: AsyncAgentBay, mode: str) -> None:
    context = (await bay.context.create(f"profile-{uuid.uuid4().hex}")).unwrap()
    kept = BrowserContext(context.id, sync_mode=mode)
    params = CreateSessionParams(image_id="browser_latest", browser_context=kept)
    async with bay.session(params) as session:
        await serve(session)
        url = await started(session)
        assert await look(url, KNOWN) == ","
        await look(url, LOG_IN, f"{SITE}/login")

    async with bay.session(params) as session:
        await serve(session)
        known = await look(await started(session), KNOWN)

    assert known == ("login=ada,3" if mode == "standard" else "login=ada,")
    files = (await bay.context.list_files(context.id, "/Default", page_size=100)).unwrap()
    names = {file.file_name for file in files}
    assert "Cookies" in names
    assert not names & {"Cache", "Code Cache", "History"}
    top = (await bay.context.list_files(context.id, "/", page_size=100)).unwrap()
    assert not [file.file_name for file in top if file.file_name.startswith("Singleton")]


@pytest.mark.slow
@pytest.mark.embedded_only
async def test_a_sync_leaves_the_browser_running_and_a_pause_loses_nothing(
    bay: AsyncAgentBay,
) -> None:
    context = (await bay.context.create(f"profile-{uuid.uuid4().hex}")).unwrap()
    params = attrs.evolve(IMAGE, browser_context=BrowserContext(context.id))
    async with bay.session(params) as session:
        await serve(session)
        url = await started(session)
        await look(url, LOG_IN, f"{SITE}/login")

        (await session.context.sync()).unwrap()

        files = (await bay.context.list_files(context.id, "/Default", page_size=100)).unwrap()
        assert "Cookies" in {file.file_name for file in files}
        assert await session.browser.get_endpoint_url() == url
        assert await look(url, KNOWN) == "login=ada,3"
        await look(url, "localStorage.setItem('cart', '4')")
        # Deleted as it stands still, it still has to write what it knows.
        (await session.beta_pause()).unwrap()

    async with bay.session(params) as session:
        await serve(session)
        assert await look(await started(session), KNOWN) == "login=ada,4"


@pytest.mark.embedded_only
async def test_two_sessions_do_not_see_each_others_profiles(
    plain: AsyncSession, session: AsyncSession
) -> None:
    await serve(session)
    await look(await plain.browser.get_endpoint_url(), LOG_IN, f"{SITE}/login")

    assert await look(await started(session), KNOWN) == ","
    assert await look(await plain.browser.get_endpoint_url(), KNOWN) == "login=ada,3"


# -- its life --------------------------------------------------------------------------


async def test_a_second_initialize_leaves_the_browser_as_it_is(
    bay: AsyncAgentBay, plain: AsyncSession
) -> None:
    url = await plain.browser.get_endpoint_url()
    before = await shell(plain, "pgrep -o chrom")
    other = (await bay.get(plain.session_id)).unwrap()

    assert await other.browser.initialize(BrowserOption(user_agent="Other"))

    assert await other.browser.get_endpoint_url() == url
    assert await shell(plain, "pgrep -o chrom") == before


@pytest.mark.embedded_only
async def test_a_destroyed_browser_is_gone_and_can_be_started_again(session: AsyncSession) -> None:
    url = await started(session)

    await session.browser.destroy()

    assert await shell(session, "pgrep -c chrom || true") == "0\n"
    assert await shell(session, "ls -A /tmp/agentbay_browser | grep Singleton || true") == ""
    session.browser.attach()
    with pytest.raises(BrowserError, match="there is no browser"):
        await session.browser.get_endpoint_url()
    await session.browser.destroy()
    # What a context brings from a machine that lost its power.
    await shell(session, "ln -s elsewhere-7 /tmp/agentbay_browser/SingletonLock")
    assert await look(await started(session), "1 + 1", "about:blank") == 2
    assert await session.browser.get_endpoint_url() == url


@pytest.mark.embedded_only
async def test_a_crash_is_noticed_and_said(session: AsyncSession) -> None:
    url = await started(session)
    await shell(session, "kill -9 $(pgrep -o chrom)")

    async def noticed() -> bool:
        try:
            await session.browser.get_endpoint_url()
        except BrowserError as exc:
            return "signal 9" in str(exc) and "initialize" in str(exc)
        return False

    await until(noticed, 30)
    assert await shell(session, "pgrep -c chrom || true") == "0\n"
    assert await shell(session, "ls -A /tmp/agentbay_browser | grep Singleton || true") == ""
    with pytest.raises(InvalidStatus) as caught:
        await in_page(url, lambda tools: tools.evaluate("1"))
    assert caught.value.response.status_code == 503
    assert not session.browser.is_initialized()
    assert await session.browser.initialize()
    assert await look(await session.browser.get_endpoint_url(), "1 + 1", "about:blank") == 2
    await session.browser.destroy()
    assert await look(await started(session), "1 + 1", "about:blank") == 2


async def test_a_browser_stands_still_with_its_session_and_goes_on(plain: AsyncSession) -> None:
    url = await plain.browser.get_endpoint_url()
    await look(url, LOG_IN, f"{SITE}/login")

    (await plain.beta_pause()).unwrap()
    with pytest.raises(BrowserError, match="resume"):
        await plain.browser.get_endpoint_url()
    (await plain.beta_resume()).unwrap()

    assert await look(url, KNOWN) == "login=ada,3"


async def test_images_without_a_browser_say_so(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        assert "browser_latest" in await refused(session, BrowserOption())
        session.browser.attach()
        with pytest.raises(BrowserError, match="browser_latest"):
            await session.browser.get_endpoint_url()


async def test_a_link_before_initialize_says_what_to_do(idle: AsyncSession) -> None:
    with pytest.raises(SessionError, match="initialize"):
        await idle.get_link()


# -- recordings ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.embedded_only
async def test_what_a_browser_shows_is_recorded_into_a_context(bay: AsyncAgentBay) -> None:
    params = attrs.evolve(IMAGE, enable_browser_replay=True)
    async with bay.session(params) as session:
        await serve(session)
        url = await started(session)
        await look(url)

        async def filmed() -> bool:
            return "jpg" in await shell(session, "ls /home/guest/record/* 2>&1 || true")

        await until(filmed, 30)
        name = f"browserreplay-{session.session_id}"

    context = (await bay.context.get(name)).unwrap()
    (folder,) = (await bay.context.list_files(context.id, "/")).unwrap()
    files = (await bay.context.list_files(context.id, folder.file_path, page_size=100)).unwrap()
    names = {file.file_name for file in files}
    assert {"000001.jpg", "frames.jsonl", "index.html"} <= names


def test_a_user_agent_is_told_everywhere_and_the_blocking_client_has_it_all(
    service: Service,
) -> None:
    with service.blocking_client() as bay, bay.session(IMAGE) as session:
        _serve(session)
        option = BrowserOption(user_agent="Explorer/7 (agents)", browser_type="chrome")
        assert session.browser.initialize(option), session.browser.error

        with devtools(session.browser.get_endpoint_url()) as page:
            page.visit(f"{SITE}/seen")
            seen = page.evaluate("JSON.parse(document.body.innerText)")
            assert page.evaluate("navigator.userAgent") == "Explorer/7 (agents)"
            assert page.evaluate(IN_WORKER)[0] == "Explorer/7 (agents)"

        assert seen["User-Agent"] == "Explorer/7 (agents)"
        session.browser.destroy()
