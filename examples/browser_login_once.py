"""Log in once: a context keeps the browser's profile, and the next session is logged in.

Needs `pip install '.[local]' playwright` (without the browsers of Playwright) and Chromium
(`apt-get install chromium`). Run it with `python examples/browser_login_once.py`.
"""

from collections.abc import Generator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from agentbay import AgentBay, BrowserContext, CreateSessionParams, Session

# A shop that knows its visitors by a cookie.
SHOP = """
import http.server, os

class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        if self.path == "/login":
            self.send_header("Set-Cookie", "visitor=Ada; Max-Age=86400")
        self.end_headers()
        cookie = self.headers.get("Cookie", "")
        self.wfile.write(("Welcome back, Ada" if "Ada" in cookie else "Please log in").encode())

server = http.server.HTTPServer(("127.0.0.1", 8000), Shop)
if os.fork() == 0:  # the command ends here, and the shop is open
    server.serve_forever()
"""


def main() -> None:
    bay = AgentBay(endpoint="local")
    profile = bay.context.get("login-once", create=True).unwrap()
    params = CreateSessionParams(
        image_id="browser_latest", browser_context=BrowserContext(profile.id)
    )

    # The browser is closed cleanly before its profile is saved: nothing to sleep for.
    with bay.session(params, sync_context=True) as session, visited(session) as page:
        page.goto("http://localhost:8000/login")
        print("first session: logged in")

    with bay.session(params) as session, visited(session) as page:
        page.goto("http://localhost:8000/")
        print("second session:", page.text_content("body"))


@contextmanager
def visited(session: Session) -> Generator[Page]:
    """A page of the browser of a session in which the shop runs."""
    session.file_system.write_file("/tmp/shop.py", SHOP).unwrap()
    session.command.run("python3 /tmp/shop.py").unwrap()
    if not session.browser.initialize():
        raise SystemExit(f"no browser: {session.browser.error}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect_over_cdp(session.browser.get_endpoint_url())
        yield browser.contexts[0].new_page()


if __name__ == "__main__":
    main()
