"""A session that answers over a WebSocket, in a thread of the test."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self

import anyio
import httpx
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from agentbay import AsyncSession
from agentbay._async._websocket import Connection
from agentbay._loop_local import LoopLocal
from agentbay._results.sessions import McpTool
from agentbay.protocol.sessions import SessionData

from .service import Service, always, client, ok

TOKEN = "wst-5b1c9a-secret"
SECRET = "ws-url-secret"
LIMIT = 30.0

Answer = Callable[["Call"], object]


class Call:
    """A frame that the session got, and the ways to answer it."""

    def __init__(self, peer: ServerConnection, frame: dict[str, Any]) -> None:
        self.peer, self.frame = peer, frame

    @property
    def id(self) -> str:
        """The invocation."""
        return str(self.frame["invocationId"])

    @property
    def target(self) -> str:
        """The server that is asked."""
        return str(self.frame["target"])

    @property
    def data(self) -> dict[str, Any]:
        """The content."""
        data: dict[str, Any] = self.frame["data"]
        return data

    @property
    def method(self) -> str:
        """What is asked for; empty for data that calls no method."""
        return str(self.data.get("method", ""))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the method."""
        params: dict[str, Any] = self.data["params"]
        return params

    def send(self, **keys: Any) -> None:
        """Send a frame; by default of the server that was asked, under the same invocation."""
        envelope = {"invocationId": self.id, "source": self.target, "target": "SDK", **keys}
        self.text(json.dumps({key: item for key, item in envelope.items() if item is not None}))

    def text(self, text: str) -> None:
        """Send any text."""
        self.peer.send(text)

    def result(self, result: Any) -> None:
        """Answer the call."""
        self.send(data={"result": result})

    def event(self, **data: Any) -> None:
        """Tell something in a stream."""
        self.send(data={"phase": "event", **data})

    def end(self, **data: Any) -> None:
        """End a stream."""
        self.send(data={"phase": "end", **data})

    def drop(self) -> None:
        """Break the connection without a word."""
        _break(self.peer)


class WsService:
    """A server for one test, on a port of its own.

    Attributes:
        answer: Called in a thread with each frame that arrives.
        refuse: HTTP status with which handshakes are refused; None to open them.
        handshakes: The headers of each handshake, also of refused ones, by their lower name.
        paths: What each handshake asked for.
        frames: Every frame that arrived.
        closes: The code of each connection that ended; None when it just broke.
        failures: What `answer` raised; raised again at the end.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer: Answer = answer or nothing
        self.refuse: int | None = None
        self.handshakes: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.frames: list[dict[str, Any]] = []
        self.failures: list[BaseException] = []
        self.closes: list[int | None] = []
        self._peers: list[ServerConnection] = []
        self._accepted = self._begun = 0
        self._server: Server

    def __enter__(self) -> Self:
        self._server = serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._shake_hands,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=0.1,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        for peer in list(self._peers):
            _break(peer)
        self._thread.join(LIMIT)
        for failure in self.failures:
            raise failure

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The `ws_url` of the session, with a secret in it."""
        return f"ws://127.0.0.1:{self.port}/ws/{SECRET}"

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._peers)

    @property
    def methods(self) -> list[str]:
        """What was asked for, in order."""
        return [frame["data"].get("method", "") for frame in self.frames]

    async def frame(self, number: int) -> dict[str, Any]:
        """Wait for the frame of that number, counted from 0."""
        await until(lambda: len(self.frames) > number)
        return self.frames[number]

    def push(self, data: Any, *, source: str, target: str = "SDK", **keys: Any) -> None:
        """Tell every client something that it did not ask for."""
        frame = {"requestId": "push-1", "source": source, "target": target, "data": data, **keys}
        self.say(json.dumps(frame))

    def say(self, text: str | bytes) -> None:
        """Send any text to every client that is still there."""
        for peer in self._reached():
            with suppress(ConnectionClosed, OSError):  # dropped, which its thread has yet to see
                peer.send(text)

    def drop(self) -> None:
        """Break every connection without a word."""
        for peer in self._reached():
            _break(peer)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close every connection in an orderly way."""
        for peer in self._reached():
            peer.close(code, reason)

    def _reached(self) -> list[ServerConnection]:
        """Every connection; a client may know of one before its thread here begins."""
        until = time.monotonic() + LIMIT
        while self._begun < self._accepted and time.monotonic() < until:
            time.sleep(0.001)
        return list(self._peers)

    def _shake_hands(self, peer: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append({key.lower(): item for key, item in request.headers.raw_items()})
        self.paths.append(request.path)
        if self.refuse is None:
            self._accepted += 1
            return None
        return peer.respond(HTTPStatus(self.refuse), f"no {SECRET} {TOKEN}\n")

    def _serve(self, peer: ServerConnection) -> None:
        self._peers.append(peer)
        self._begun += 1
        try:
            for message in peer:
                frame: dict[str, Any] = json.loads(message)
                self.frames.append(frame)
                self.answer(Call(peer, frame))
        except (ConnectionClosed, OSError):
            pass
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread of the test
            self.failures.append(exc)
        finally:
            self._peers.remove(peer)
            self.closes.append(peer.close_code)


def _break(peer: ServerConnection) -> None:
    with suppress(OSError):
        peer.socket.shutdown(socket.SHUT_RDWR)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to come true."""
    with anyio.fail_after(LIMIT):
        while not condition():  # noqa: ASYNC110 - it comes true in another thread
            await anyio.sleep(0.005)


def by_method(answers: Mapping[str, Answer]) -> Answer:
    """Give each method its own answer; those that are not named get an empty result."""
    return lambda call: answers.get(call.method, nothing)(call)


def in_turn(*answers: Answer) -> Answer:
    """Give several answers, one after the other."""

    def answer(call: Call) -> None:
        for one in answers:
            one(call)

    return answer


def nothing(call: Call) -> None:
    """Answer with an empty result."""
    call.result({})


def silent(_: Call) -> None:
    """Answer nothing."""


def session_at(
    service: WsService | None,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    tools: Sequence[McpTool] = (),
    **options: Any,
) -> AsyncSession:
    """A session whose WebSocket goes to the service; without one when it is None."""
    bay = client(transport or Service(always(ok)), **options)
    session = AsyncSession(bay, "s-000001")
    url, token = (service.url, TOKEN) if service else ("", "")
    session._adopt(SessionData("s-000001", ws_url=url, token=token))
    session._mcp_tools = list(tools)
    session._connections = LoopLocal(lambda: Connection(bay.client))
    return session
