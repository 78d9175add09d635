"""Replies on their way in: what they say, and which of them are errors."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import attrs

from .._deferred import Deferred
from .._masking import masked
from .._pool._errors import DecodingError
from .._value import Value
from ..errors import APIError, ProtocolError, api_error

if TYPE_CHECKING:
    import httpx

    from .._pool._readers import Head
    from ..protocol import _calls as calls
    from ..protocol import _wire as wire
    from ..protocol._calls import Envelope
else:
    httpx = Deferred("httpx")
    calls = Deferred("agentbay.protocol._calls")
    wire = Deferred("agentbay.protocol._wire")

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Reply(Value, Generic[T]):
    """The result of an action, and the identifier of the request."""

    value: T
    request_id: str


@attrs.frozen(eq=False, repr=False)
class Answer(Value):
    """What somebody other than the control plane answered.

    Attributes:
        status: The HTTP status.
        text: The body; it may repeat the credential of the request.
        retry_after: Seconds that it asks to wait; None when it did not say.
    """

    status: int
    text: str = attrs.field(repr=False)
    retry_after: float | None = None


class Received(NamedTuple):
    """A whole reply.

    Attributes:
        status: The HTTP status.
        reason: What stands beside it.
        headers: As they were sent, but for what tells how the body is compressed.
        body: The content, not compressed.
    """

    status: int
    reason: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, response: httpx.Response) -> Received:
        """A response that httpx has read."""
        headers = [item for item in response.headers.raw if item[0].lower() != _COMPRESSED]
        return cls(response.status_code, response.reason_phrase, headers, response.content)

    @classmethod
    def from_pool(cls, head: Head, body: bytes) -> Received:
        """A reply that the pool has read.

        Raises:
            DecodingError: The body is not compressed as the head says.
        """
        received = cls(head.status, head.reason.decode("ascii", "ignore"), head.headers, body)
        encodings = received.header(_COMPRESSED)
        if not encodings:
            return received
        headers = [item for item in head.headers if item[0].lower() != _COMPRESSED]
        return received._replace(headers=headers, body=_unpacked(body, encodings))

    def text(self) -> str:
        """The body as text, in the encoding that the headers tell."""
        kind = self.header(b"content-type").lower()
        if "charset" in kind and "charset=utf-8" not in kind:
            # Rare, and httpx, which knows what to make of it, takes its time to load.
            return httpx.Response(
                self.status, headers=[(b"content-type", kind.encode())], content=self.body
            ).text
        return self.body.decode("utf-8", "replace")

    def header(self, name: bytes) -> str:
        """The value of a header; empty when there is none."""
        for known, value in self.headers:
            if known.lower() == name:
                return value.decode("latin-1")
        return ""

    def retry_after(self) -> float | None:
        """Seconds to wait, as the gateway (milliseconds) or the HTTP standard says it."""
        for name, unit in ((b"x-acs-retry-after", 0.001), (b"retry-after", 1.0)):
            value = self.header(name)
            if value.isascii() and value.isdigit() and len(value) < 10:
                return int(value) * unit
        return None


_COMPRESSED = b"content-encoding"


def _unpacked(body: bytes, encodings: str) -> bytes:
    """The content of a body in the encodings that were asked for; others are left as they are.

    Of one that is not whole, it is what is there: whether that makes sense shows what it says.
    """
    try:
        for name in reversed(encodings.lower().split(",")):
            if name.strip() == "gzip":
                body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body)
            elif name.strip() == "deflate":
                # Some servers leave out the frame, whose first byte ends in an 8.
                is_framed = bool(body) and body[0] & 15 == 8
                bits = zlib.MAX_WBITS if is_framed else -zlib.MAX_WBITS
                body = zlib.decompressobj(bits).decompress(body)
    except zlib.error as exc:
        raise DecodingError(f"the reply cannot be unpacked: {exc}") from exc
    return body


def opened(action: str, received: Received, key: str) -> Envelope:
    """The envelope of a reply that says yes; raises for any other."""
    envelope = _envelope(action, received)
    if received.status < 300 and envelope.says_yes:
        return envelope
    reason = envelope.message or f"HTTP {received.status} {received.reason}".strip()
    raise api_error(
        masked(reason, key),
        code=envelope.refusal,
        status_code=received.status,
        request_id=envelope.request_id,
        action=action,
        retry_after=received.retry_after(),
    )


def _envelope(action: str, received: Received) -> Envelope:
    request_id, status = "", received.status
    try:
        reply = json.loads(received.body)
        request_id = calls.request_id_of(reply)
        envelope = wire.decode(calls.Envelope, reply)
        if status >= 300 or envelope.tells_something:
            return envelope
        what = "it tells nothing that replies of the service tell"
    except wire.WireError as exc:
        what = str(exc)
    except (ValueError, RecursionError):
        # Not the cause of anything: it holds the whole reply, in which a credential may be.
        what = "it is not JSON"
    facts: dict[str, Any] = {"request_id": request_id, "action": action}
    if status >= 400:
        raise api_error(
            f"{action}: HTTP {status}",
            code="",
            status_code=status,
            retry_after=received.retry_after(),
            **facts,
        )
    if 300 <= status < 400:
        raise APIError(
            f"{action}: the service redirects (HTTP {status}), which is not followed: "
            "set the endpoint to where it really is",
            status,
            **facts,
        )
    raise ProtocolError(f"{action}: unexpected reply: {what}", **facts)
