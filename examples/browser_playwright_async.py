"""Two browsers in sessions of their own, side by side, driven with Playwright for asyncio.

Needs `pip install '.[local]' playwright` (without the browsers of Playwright) and Chromium
(`apt-get install chromium`). Run it with `python examples/browser_playwright_async.py`.
"""

import asyncio

from playwright.async_api import Playwright, async_playwright

from agentbay import AsyncAgentBay, CreateSessionParams

IMAGE = CreateSessionParams(image_id="browser_latest")


async def main() -> None:
    async with AsyncAgentBay(endpoint="local") as bay, async_playwright() as playwright:
        titles = await asyncio.gather(*(visit(bay, playwright, name) for name in ("Ada", "Alan")))
    print("titles:", ", ".join(titles))


async def visit(bay: AsyncAgentBay, playwright: Playwright, name: str) -> str:
    """Open a page in a browser of its own; returns the title."""
    async with bay.session(IMAGE) as session:
        if not await session.browser.initialize():
            raise SystemExit(f"no browser: {session.browser.error}")
        url = await session.browser.get_endpoint_url()
        browser = await playwright.chromium.connect_over_cdp(url)
        page = await browser.contexts[0].new_page()
        await page.goto(f"data:text/html,<title>Notes of {name}</title>")
        return await page.title()


if __name__ == "__main__":
    asyncio.run(main())
