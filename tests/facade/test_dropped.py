"""Clients that are dropped without being closed close their connections all the same."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

SERVER = """
import gc, json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import anyio
from agentbay import AgentBay, AsyncAgentBay

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"Success": True, "Data": {"SessionId": "s-1"}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
"""

BLOCKING = """
def use():
    session = AgentBay("key", endpoint=url).get("s-1").unwrap()
    session.command, session.context

for _ in range(3):
    use()
gc.collect()
"""

ASYNC = """
async def use():
    session = (await AsyncAgentBay("key", endpoint=url).get("s-1")).unwrap()
    session.command, session.context

async def main():
    for _ in range(3):
        await use()
    gc.collect()

anyio.run(main)
"""


@pytest.mark.parametrize("use", [BLOCKING, ASYNC], ids=["blocking", "async"])
def test_a_dropped_client_leaves_no_socket_open(use: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", textwrap.dedent(SERVER + use)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_used_host_names_ends_quietly() -> None:
    """Names are looked up in threads, and Python 3.12 starts none while it ends."""
    use = 'AgentBay("key", endpoint=url.replace("127.0.0.1", "localhost")).get("s-1").unwrap()\n'
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SERVER) + use],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
