"""Take the fingerprint of a browser on this machine, for one in a session to show."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio

from .._deadline import cleaning_up
from ..errors import BrowserError, ConfigError, InvalidInputError
from ..protocol.fingerprint import FingerprintFormat
from ._fingerprint_probe import PROBE, ProbePage, read_probe, served
from ._page import page_errors

# Seconds for all of it, and milliseconds for the browser to start and to show a page.
_LIMIT, _START_MS, _LOAD_MS = 90.0, 45_000, 20_000

# Seconds to close the browser after the caller gave up.
_CLOSE_LIMIT = 10.0


class AsyncBrowserFingerprintGenerator:
    """Takes the fingerprint of Chrome on this machine.

    Chrome is started with a profile of its own and visits a page that is served on this
    machine; nothing is sent to anyone. Playwright has to be installed, which is no dependency
    of this package, and it works with asyncio only.

    Args:
        headless: Show no window. The fingerprint tells then that there was none.
        use_chrome_channel: Use the Chrome that is installed, rather than the Chromium that
            Playwright brings.

    Example:
        ```python
        generator = AsyncBrowserFingerprintGenerator()
        option = BrowserOption(fingerprint_format=await generator.generate_fingerprint())
        await session.browser.initialize(option)
        ```
    """

    def __init__(self, headless: bool = False, use_chrome_channel: bool = True) -> None:
        self._headless = headless
        self._channel = "chrome" if use_chrome_channel else None

    async def generate_fingerprint(self) -> FingerprintFormat:
        """Start a browser and take its fingerprint.

        Raises:
            ConfigError: Playwright is missing, or does not work in this event loop.
            BrowserError: The browser does not start, or does not tell in time.
        """
        try:
            with anyio.fail_after(_LIMIT):
                return await served(self._visit)
        except TimeoutError as exc:
            raise BrowserError(f"the browser gave no fingerprint within {_LIMIT:g} s") from exc

    async def generate_fingerprint_to_file(
        self, output_filename: str = "fingerprint_output.json"
    ) -> bool:
        """Take a fingerprint and write it to a file on this machine.

        Args:
            output_filename: The file; one that exists is replaced. `FingerprintFormat.load`
                reads its text.

        Returns:
            True. A failure is an error.

        Raises:
            InvalidInputError: The name is empty.
            ConfigError: Playwright is missing, or does not work in this event loop.
            BrowserError: The browser does not start, or does not tell in time.
            OSError: The file cannot be written.

        Example:
            ```python
            await generator.generate_fingerprint_to_file("chrome.json")
            found = FingerprintFormat.load(Path("chrome.json").read_text("utf-8"))
            ```
        """
        if not output_filename or not str(output_filename).strip():
            raise InvalidInputError("output_filename must be the name of a file")
        fingerprint = await self.generate_fingerprint()
        await anyio.Path(output_filename).write_text(fingerprint.to_json(), "utf-8")
        return True

    async def _visit(self, probe: ProbePage) -> FingerprintFormat:
        async with _playwright() as playwright:
            try:
                async with self._browser(playwright) as browser:
                    # Without this, Playwright makes up a size for screen and window.
                    page = await browser.new_page(no_viewport=True)
                    await page.goto(probe.url, timeout=_LOAD_MS)
                    found = read_probe(await page.evaluate(PROBE), probe.headers)
                return FingerprintFormat.load(found)
            except page_errors() as exc:
                raise BrowserError(f"the browser gave no fingerprint: {exc}") from exc
            except (ValueError, TypeError) as exc:
                raise BrowserError(f"the fingerprint makes no sense: {exc}") from exc

    @asynccontextmanager
    async def _browser(self, playwright: Any) -> AsyncGenerator[Any, None]:
        browser = await playwright.chromium.launch(
            headless=self._headless,
            channel=self._channel,
            # Otherwise the fingerprint tells that a program was at work.
            args=["--disable-blink-features=AutomationControlled"],
            timeout=_START_MS,
        )
        try:
            yield browser
        finally:
            with cleaning_up(_CLOSE_LIMIT):
                await browser.close()


@asynccontextmanager
async def _playwright() -> AsyncGenerator[Any, None]:
    try:
        manager = import_module("playwright.async_api").async_playwright()
    except ImportError as exc:
        raise ConfigError("fingerprints need Playwright: pip install playwright") from exc
    try:
        playwright = await manager.__aenter__()
    except RuntimeError as exc:
        raise ConfigError(
            "Playwright cannot be started: it needs asyncio. Under Trio, call the blocking "
            "BrowserFingerprintGenerator in a thread"
        ) from exc
    try:
        yield playwright
    finally:
        with cleaning_up(_CLOSE_LIMIT):
            await manager.__aexit__(None, None, None)
