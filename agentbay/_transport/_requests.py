"""Requests on their way out: what an action looks like over HTTP."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx

from .._deferred import Deferred

if TYPE_CHECKING:
    from .._pool import _requests as orders
    from ..protocol import _calls as calls
    from ..protocol._calls import Action
    from ._connections import Client
else:
    calls = Deferred("agentbay.protocol._calls")
    orders = Deferred("agentbay._pool._requests")


class Message:
    """A request that was made with httpx.

    Args:
        request: The request.
    """

    def __init__(self, request: httpx.Request) -> None:
        self._request = request

    @property
    def place(self) -> httpx.URL:
        """Where it goes: scheme, host and port count."""
        return self._request.url

    def request(self, client: Client) -> httpx.Request:
        """As httpx sends it."""
        return self._request

    def order(self, client: Client) -> orders.Order:
        """As the pool sends it."""
        return orders.order_of(self._request)


class ActionMessage:
    """The request of an action, put together from parts that are ready.

    Args:
        url: Where to, without the query.
        call: The action.
        body: Its form.
    """

    def __init__(self, url: str, call: Action[Any], body: bytes) -> None:
        self.place: httpx.URL = parsed(url)
        self._query, self._action, self._body = _query(call), call.action, body

    def request(self, client: Client) -> httpx.Request:
        """As httpx sends it.

        `httpx.AsyncClient.build_request` makes the same, in four times the time.
        """
        request = httpx.Request(
            "POST",
            with_query(self.place, self._query),
            headers=self._headers(client),
            stream=httpx.ByteStream(self._body),
        )
        request.read()
        return request

    def order(self, client: Client) -> orders.Order:
        """As the pool sends it."""
        head = _HEAD % (
            self.place.raw_path.partition(b"?")[0],
            self._query.encode("ascii"),
            self.place.netloc,
            client.lines,
            calls.API_VERSION.encode(),
            self._action.encode(),
            len(self._body),
        )
        return orders.Order("POST", head, self._body, len(self._body), orders.Limits())

    def _headers(self, client: Client) -> list[tuple[bytes, bytes]]:
        return [
            (b"Host", self.place.netloc),
            *client.headers.raw,
            (b"x-acs-version", calls.API_VERSION.encode()),
            (b"x-acs-action", self._action.encode()),
            (b"Content-Length", b"%d" % len(self._body)),
            (b"Content-Type", _FORM),
        ]


_FORM = b"application/x-www-form-urlencoded"

_HEAD = (
    b"POST %b?%b HTTP/1.1\r\nHost: %b\r\n%bx-acs-version: %b\r\nx-acs-action: %b\r\n"
    b"Content-Length: %d\r\nContent-Type: " + _FORM + b"\r\n\r\n"
)


@functools.lru_cache(16)
def parsed(url: str) -> httpx.URL:
    """A URL, taken apart."""
    return httpx.URL(url)


def with_query(base: httpx.URL, query: str) -> httpx.URL:
    """Add a query that is quoted to a URL; parsing the whole takes a tenth of a call."""
    url = httpx.URL(base)
    try:
        url._uri_reference = url._uri_reference._replace(query=query)
    except AttributeError:  # a release of httpx that keeps the parts elsewhere
        return httpx.URL(f"{base}?{query}")
    return url


def encoded(parameters: Mapping[str, str]) -> bytes:
    """Write parameters as a form does, in a third of the time that `urllib` takes."""
    pairs = [b"%b=%b" % (_quoted_name(name), _quoted(text)) for name, text in parameters.items()]
    return b"&".join(pairs)


def _quoted(text: str) -> bytes:
    data = text.encode()
    if not data.strip(_SAFE):
        return data
    unsafe = set(data.translate(None, _SAFE))
    # Percent signs come first and blanks last: they are written with what others stand for.
    for byte in sorted(unsafe, key=lambda byte: (byte == _BLANK) - (byte == _PERCENT)):
        data = data.replace(bytes((byte,)), b"+" if byte == _BLANK else b"%%%02X" % byte)
    return data


_quoted_name = functools.lru_cache(512)(_quoted)

_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"

_BLANK, _PERCENT = b" %"


def _query(call: Action[Any]) -> str:
    own = call.query()
    return (
        f"Action={call.action}&Format=json&Version={calls.API_VERSION}"
        f"&Timestamp={time.strftime('%Y-%m-%dT%H%%3A%M%%3A%SZ', time.gmtime())}"
        f"&SignatureNonce={os.urandom(16).hex()}"
    ) + (f"&{encoded(own).decode()}" if own else "")
