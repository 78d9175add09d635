"""Why no reply came, in the words of httpx, which a plain program does not load.

What they say about the request:

===========================================================  =====================================
`ConnectError`, `ConnectTimeoutError`, `PoolTimeoutError`,   The server took no byte of it: it can
`UnsupportedProtocolError`, `InvalidURLError`                be sent again, whatever it asks for.
`WriteTimeoutError`, `ReadError`, `ReadTimeoutError`,        It may have been carried out.
`RemoteProtocolError`, `DecodingError`
`LocalProtocolError`                                         It cannot be sent as it is.
===========================================================  =====================================
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar


class NetworkError(Exception):
    """No reply came, or none that makes sense.

    Attributes:
        httpx_name: The class of httpx that stands for the same.
        sent: Whether the server may have taken a part of the request.
    """

    httpx_name: ClassVar[str] = "TransportError"
    sent: ClassVar[bool] = True


class LateError(NetworkError):
    """A step took longer than it may."""

    httpx_name = "TimeoutException"


class ConnectError(NetworkError):
    """There is no connection."""

    httpx_name, sent = "ConnectError", False


class UntakenError(ConnectError):
    """The server closed the connection before it took a byte of the request."""


class ConnectTimeoutError(LateError):
    """There was no connection in time."""

    httpx_name, sent = "ConnectTimeout", False


class PoolTimeoutError(LateError):
    """No connection came free in time."""

    httpx_name, sent = "PoolTimeout", False


class UnsupportedProtocolError(NetworkError):
    """The URL is not one of HTTP."""

    httpx_name, sent = "UnsupportedProtocol", False


class InvalidURLError(NetworkError):
    """The URL makes no sense."""

    httpx_name, sent = "InvalidURL", False


class WriteTimeoutError(LateError):
    """The server does not take the request."""

    httpx_name = "WriteTimeout"


class ReadError(NetworkError):
    """The connection broke."""

    httpx_name = "ReadError"


class ReadTimeoutError(LateError):
    """The server does not answer."""

    httpx_name = "ReadTimeout"


class RemoteProtocolError(NetworkError):
    """What came is no reply, or not the whole."""

    httpx_name = "RemoteProtocolError"


class DecodingError(NetworkError):
    """The body is not compressed as the head says."""

    httpx_name = "DecodingError"


class LocalProtocolError(NetworkError):
    """The request is none that HTTP has."""

    httpx_name = "LocalProtocolError"


def as_httpx(error: NetworkError) -> Exception:
    """The same error of httpx, where httpx is loaded; a program that knows its errors has it."""
    httpx: Any = sys.modules.get("httpx")
    if httpx is None:
        return error
    cause = error.__cause__
    if isinstance(cause, Exception) and isinstance(cause, httpx.HTTPError | httpx.InvalidURL):
        return cause
    made: Exception = getattr(httpx, error.httpx_name)(str(error))
    made.__cause__ = error.__cause__
    return made.with_traceback(error.__traceback__)
