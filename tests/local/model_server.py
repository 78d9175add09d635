"""A model's endpoint for tests: a real server, whose answers a test says."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

KEY = "sk-the-key-that-nobody-may-see"

Answer = Callable[[dict[str, Any]], Any]


@attrs.frozen
class Raw:
    """An answer of HTTP, rather than something that the model says."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    delay: float = 0.0


@attrs.define
class Endpoint:
    """An endpoint: what it was asked, and how it answers.

    Attributes:
        url: The address for ``AGENTBAY_LOCAL_MODEL_URL``.
        answer: Called with the request; text is what the model says, other values are said as
            JSON. A list is answered one after the other, its last one again and again.
        requests: The bodies of the requests.
        keys: Their ``Authorization`` headers.
        left: Set when somebody did not wait for an answer.
    """

    url: str
    answer: Answer | list[Any]
    requests: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    keys: list[str | None] = attrs.field(factory=list["str | None"])
    left: threading.Event = attrs.field(factory=threading.Event)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of an engine that is to use it."""
        names = ("AGENTBAY_LOCAL_MODEL_URL", "AGENTBAY_LOCAL_MODEL_KEY", "AGENTBAY_LOCAL_MODEL")
        return dict(zip(names, (self.url, KEY, "small-model"), strict=True))

    def told(self, number: int = -1) -> str:
        """All texts of a request."""
        messages = self.requests[number]["messages"]
        return "\n".join(_text(message["content"]) for message in messages)

    def next(self, request: dict[str, Any]) -> Raw:
        """The answer to a request."""
        self.requests.append(request)
        if callable(self.answer):
            said = self.answer(request)
        else:
            said = self.answer.pop(0) if len(self.answer) > 1 else self.answer[0]
        if isinstance(said, Raw):
            return said
        text = said if isinstance(said, str) else json.dumps(said)
        message = {"role": "assistant", "content": text}
        return Raw(body=json.dumps({"choices": [{"index": 0, "message": message}]}))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])


@contextmanager
def model_endpoint(answer: Answer | list[Any]) -> Generator[Endpoint]:
    """An endpoint for the length of a block."""
    endpoint = Endpoint("", answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.keys.append(self.headers["Authorization"])
            reply = Raw(404, "no such path")
            if self.path == "/v1/chat/completions":
                reply = endpoint.next(json.loads(body))
            if select.select([self.connection], [], [], reply.delay)[0]:
                endpoint.left.set()
                return
            data = reply.body.encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that has left

    with Server(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
