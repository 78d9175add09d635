"""A service that lives in the test: it remembers the requests and answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import httpx

from agentbay import AsyncAgentBay, AsyncSession, RetryPolicy

KEY = "akm-1f2e3d4c-secret"
ENDPOINT = "service.test"

COMMON = ("Action", "Format", "Version", "Timestamp", "SignatureNonce")


@attrs.frozen
class Sent:
    """A request: where each of its parameters travels."""

    action: str
    query: dict[str, str]
    form: dict[str, str]

    @classmethod
    def read(cls, target: str, body: str) -> Sent:
        """Take a request apart."""
        query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        action = query.get("Action", "")
        own = {name: value for name, value in query.items() if name not in COMMON}
        return cls(action, own, dict(parse_qsl(body, keep_blank_values=True)))

    @property
    def parameters(self) -> dict[str, str]:
        """All parameters but the credential, wherever they travel."""
        merged = {**self.query, **self.form}
        merged.pop("Authorization", None)
        return merged


Answer = Callable[[Sent], httpx.Response]


class Service(httpx.AsyncBaseTransport):
    """Carries requests to a function instead of a network."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []
        self.sent: list[Sent] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode()
        self.requests.append(request)
        self.sent.append(Sent.read(str(request.url), body))
        response = self.answer(self.sent[-1])
        response.request = request
        return response

    @property
    def actions(self) -> list[str]:
        """The actions that were called, in their order."""
        return [sent.action for sent in self.sent]


def ok(data: Any = None, **fields: Any) -> httpx.Response:
    """A reply that says yes."""
    body = {"RequestId": "r-1", "Success": True, "Code": "ok", "Data": data, **fields}
    return httpx.Response(200, json=body)


def tool_says(text: str, *, is_error: bool = False) -> httpx.Response:
    """A reply to CallMcpTool with one piece of text."""
    return ok({"content": [{"type": "text", "text": text}], "isError": is_error})


def always(response: Callable[[], httpx.Response]) -> Answer:
    """Give the same reply to every request."""
    return lambda _: response()


def by_action(replies: Mapping[str, Callable[[], httpx.Response]]) -> Answer:
    """Give each action its own reply; those that are not named succeed without data."""
    return lambda sent: replies.get(sent.action, ok)()


def client(transport: httpx.AsyncBaseTransport, **options: Any) -> AsyncAgentBay:
    """A client of the service, which tries again at once."""
    options = {"retry": RetryPolicy(first_delay=0), **options}
    return AsyncAgentBay(KEY, endpoint=ENDPOINT, transport=transport, **options)


def session_of(transport: httpx.AsyncBaseTransport, **options: Any) -> AsyncSession:
    """A session of the service, without a request for it."""
    return AsyncSession(client(transport, **options), "s-000001")
