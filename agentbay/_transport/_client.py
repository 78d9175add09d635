"""The client of the service: actions of the control plane, and questions to others."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .._config import LOCAL, Settings
from .._deferred import Deferred
from .._masking import origin
from .._retry import RetryPolicy
from .._tracing import Trace
from ..errors import TransportError
from ._files import FileCaller
from ._replies import Answer, Reply, opened
from ._requests import ActionMessage, Message, encoded

if TYPE_CHECKING:
    import httpx

    from ..protocol import _repeatable as repeatable
    from ..protocol._calls import Action
else:
    httpx = Deferred("httpx")
    repeatable = Deferred("agentbay.protocol._repeatable")

T = TypeVar("T")

_EMBEDDED = "http://local.invalid"

# Seconds for which a host is not tried again that no connection could be made to.
_LEFT_ALONE = 60.0


class ApiClient(FileCaller):
    """Sends actions to the control plane, from any event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: str | None = None,
        verify: bool | ssl.SSLContext = True,
        retry: RetryPolicy | None = None,
        tracing: bool = False,
    ) -> None:
        super().__init__(
            settings, transport=transport, proxy=proxy, verify=verify, retry=retry, tracing=tracing
        )
        self._url = _EMBEDDED if settings.endpoint == LOCAL else settings.endpoint
        # Origins that no connection could be made to, and until when they are left alone.
        self._unreachable: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"ApiClient({self._settings.endpoint!r})"

    async def send(
        self, call: Action[T], *, timeout: float | None = None, connect_timeout: float | None = None
    ) -> Reply[T]:
        """Send an action and make its result; try again what may be tried again.

        Args:
            call: The action.
            timeout: Seconds until it is given up, all attempts together; the client's by
                default.
            connect_timeout: Seconds to connect; no limit of its own by default.

        Raises:
            APIError: The service refused; of the class that its error code stands for.
            TransportError: No reply came back.
            ProtocolError: The reply makes no sense.
        """

        async def once(left: float) -> Reply[T]:
            return await self.attempt(call, timeout=left, connect_timeout=connect_timeout)

        with self.traced_action(call) as trace:
            harmless = repeatable.is_repeatable(call)
            reply = await self.repeat(once, trace, timeout, harmless=harmless)
            trace.request_id = reply.request_id
            return reply

    async def send_once(self, call: Action[T], *, timeout: float | None = None) -> Reply[T]:
        """Send an action that is part of another one, one time; see `send`."""
        with self.traced_action(call) as trace:
            trace.attempts = 1
            reply = await self.attempt(call, timeout=timeout)
            trace.request_id = reply.request_id
            return reply

    async def attempt(
        self, call: Action[T], *, timeout: float | None = None, connect_timeout: float | None = None
    ) -> Reply[T]:
        """Make one of the attempts of a call, which tells of all of them; see `send`."""

        def made() -> ActionMessage:
            form = {**call.form(), "Authorization": f"Bearer {self._settings.api_key}"}
            return ActionMessage(self._url, call, encoded(form))

        limit, endpoint = self.limit(timeout, call.action), self._settings.endpoint
        received = await self._attempt(made, call.action, endpoint, limit, connect_timeout)
        envelope = opened(call.action, received, self._settings.api_key)
        return Reply(call.parse(envelope), envelope.request_id)

    def traced_action(self, call: Action[Any]) -> Trace:
        """Watch over an action of the control plane; see `traced`."""
        return self.traced(call.action, session_id=getattr(call, "session_id", None) or "")

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        action: str,
        params: Mapping[str, str] | None = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
    ) -> Answer:
        """Ask somebody other than the control plane; the API key is not sent.

        URL, parameters, headers and body may hold credentials: they are in no log and in no
        error. Redirects are not followed.

        Args:
            method: GET, POST or another method of HTTP.
            url: Whom to ask.
            action: What the errors call it.
            params: Parameters of the URL.
            text: The body.
            headers: Headers of the request; plain ASCII.
            timeout: Seconds until the whole exchange is given up; the client's by default.
            connect_timeout: Seconds to connect; no limit of its own by default.

        Raises:
            TransportError: No answer came back; its `sent` tells if the request went out.
        """
        where = origin(url)
        made = partial(Message, method, url, params, text, headers)
        try:
            received = await self._attempt(
                made, action, where, self.limit(timeout, action), connect_timeout
            )
        except TransportError as exc:
            if not exc.sent:
                self._unreachable[where] = time.monotonic() + _LEFT_ALONE
            raise
        return Answer(received.status, received.text(), received.retry_after())

    def can_reach(self, url: str) -> bool:
        """Whether it is worth a try: a host that no connection was made to is left alone."""
        return self._unreachable.get(origin(url), 0.0) <= time.monotonic()
