"""A small client of a browser's DevTools, and the site that browsers in sessions visit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio.to_thread
import pytest
from websockets.sync.client import ClientConnection, connect

from agentbay.local._chromium.program import find_chromium

T = TypeVar("T")

PORT = 8400
SITE = f"http://localhost:{PORT}"

needs_chromium = pytest.mark.skipif(
    find_chromium() is None,
    reason="needs Chromium: apt-get install chromium fonts-dejavu-core",
)

_ANSWER_LIMIT = 50.0

# `/login` leaves a cookie that outlives the browser, `/seen` tells what a request carried.
SERVER = f"""
import http.server, json

PAGE = '''<!doctype html><title>shop</title>
<input id="name"><button onclick="
  document.getElementById('said').textContent = 'hello ' + document.getElementById('name').value
">greet</button><p id="said"></p>
<input id="file" type="file" onchange="
  this.files[0].text().then(t => document.getElementById('said').textContent = t)">
<a id="save" href="/file">save</a>'''

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, kind, more = PAGE, "text/html", {{}}
        if self.path == "/login":
            more = {{"Set-Cookie": "login=ada; Max-Age=86400; Path=/"}}
        elif self.path == "/seen":
            body, kind = json.dumps(dict(self.headers)), "application/json"
        elif self.path == "/file":
            body, kind = "a whole file", "application/octet-stream"
            more = {{"Content-Disposition": 'attachment; filename="goods.txt"'}}
        data = body.encode()
        self.send_response(200)
        for name, value in {{"Content-Type": kind, "Content-Length": len(data), **more}}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", {PORT}), Handler).serve_forever()
"""

# Runs a program of Python in the background until it listens on a port.
START = (
    "python3 {program} > {program}.log 2>&1 & python3 -c '\n"
    "import socket, time\n"
    "for _ in range(1500):\n"
    '    if not socket.socket().connect_ex(("127.0.0.1", {port})): break\n'
    "    time.sleep(0.02)\n"
    'else: raise SystemExit(open("{program}.log").read())\n\''
)


class Devtools:
    """A page of a browser, and the commands that it takes."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self._page: str | None = None
        self.target: str = self("Target.createTarget", url="about:blank")["targetId"]
        attached = self("Target.attachToTarget", targetId=self.target, flatten=True)
        self._page = attached["sessionId"]
        self("Page.enable")
        self("Page.setLifecycleEventsEnabled", enabled=True)

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command; returns its result."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(command | ({"sessionId": self._page} if self._page else {})))
        answer = self._until(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def visit(self, url: str) -> None:
        """Go somewhere and wait until it has loaded."""
        self._events.clear()
        gone = self("Page.navigate", url=url)
        assert "errorText" not in gone, gone

        def has_loaded(message: dict[str, Any]) -> bool:
            told = message.get("params", {})
            return (told.get("name"), told.get("loaderId")) == ("load", gone["loaderId"])

        if not any(map(has_loaded, self._events)):
            self._until(has_loaded)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or what its promise comes to."""
        found = self(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def _until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout=_ANSWER_LIMIT))
            if fits(message):
                return message
            if "method" in message:
                self._events.append(message)


@contextmanager
def devtools(url: str) -> Generator[Devtools]:
    """A page of its own in the browser behind an address."""
    # The answers of a browser that a test looks at are small.
    with connect(url, open_timeout=50, max_size=16 << 20, compression=None) as socket:
        yield Devtools(socket)


async def in_page(url: str, work: Callable[[Devtools], T]) -> T:
    """Do something in a page of its own, whichever event loop runs."""

    def run() -> T:
        with devtools(url) as page:
            return work(page)

    return await anyio.to_thread.run_sync(run)
