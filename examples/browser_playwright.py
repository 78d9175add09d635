"""Drive the browser of a session with Playwright.

Needs `pip install '.[local]' playwright` (without the browsers of Playwright) and Chromium
(`apt-get install chromium`). Run it with `python examples/browser_playwright.py`.
"""

from playwright.sync_api import sync_playwright

from agentbay import AgentBay, BrowserOption, BrowserViewport, CreateSessionParams

PAGE = """
<title>Greeter</title>
<input id="name"> <button>greet</button> <p id="said"></p>
<script>
  document.querySelector("button").onclick = () => {
    document.querySelector("#said").textContent = "Hello, " + document.querySelector("#name").value;
  };
</script>
"""


def main() -> None:
    bay = AgentBay(endpoint="local")
    with bay.session(CreateSessionParams(image_id="browser_latest")) as session:
        session.file_system.write_file("/tmp/greeter.html", PAGE).unwrap()
        option = BrowserOption(use_stealth=True, viewport=BrowserViewport(1280, 800))
        if not session.browser.initialize(option):
            raise SystemExit(f"no browser: {session.browser.error}")

        with sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(session.browser.get_endpoint_url())
            page = browser.contexts[0].new_page()
            page.goto("file:///tmp/greeter.html")
            page.fill("#name", "Ada")
            page.click("text=greet")
            print("page:", page.title())
            print("said:", page.text_content("#said"))
            print("picture:", len(page.screenshot()), "bytes")


if __name__ == "__main__":
    main()
