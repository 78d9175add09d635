"""What a link changes in the heads of messages, so that a server fits under its prefix."""

from __future__ import annotations

import re

import attrs
import h11

Headers = list[tuple[bytes, bytes]]
Message = h11.Request | h11.InformationalResponse | h11.Response

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"upgrade",
    )
)
# A Connection header may name further headers to drop, but not those that frame the body.
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
_FORWARDED = (b"forwarded", b"x-forwarded-")
_OWN_HOSTS = (b"localhost:%d", b"127.0.0.1:%d", b"0.0.0.0:%d")
_URL = re.compile(rb"(?i:https?:)?//(?P<authority>[^/?#]*)/?(?P<rest>.*)")


@attrs.frozen
class Place:
    """Where the client sees a server: under a prefix of an authority.

    `port` is the server's own port inside its session, when it is known.
    """

    prefix: bytes
    authority: bytes
    port: int | None


def request_for(place: Place, request: h11.Request, target: bytes) -> h11.Request:
    """Write the request that the session's server gets for the client's."""
    protocol = upgrade(request)
    kept = [
        (name, value)
        for name, value in _end_to_end(request)
        if name.lower() != b"host" and not name.lower().startswith(_FORWARDED)
    ]
    headers = [
        (b"Host", place.authority),
        *kept,
        (b"X-Forwarded-Host", place.authority),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Prefix", place.prefix),
        (b"Connection", b"Upgrade" if protocol else b"close"),
    ]
    if protocol:
        headers.append((b"Upgrade", protocol))
    return h11.Request(method=request.method, target=target, headers=headers)


def answer_from(place: Place, answer: h11.Response) -> h11.Response:
    """Write the answer that the client gets for the one of the session's server."""
    headers = _placed(place, answer)
    return h11.Response(status_code=answer.status_code, headers=headers, reason=answer.reason)


def interim_answer_from(
    place: Place, answer: h11.InformationalResponse
) -> h11.InformationalResponse:
    """Do the same for an answer that comes before the real one, or for a change of protocol."""
    headers = _placed(place, answer)
    if answer.status_code == 101:
        protocol = dict(answer.headers).get(b"upgrade", b"")
        headers += [(b"Connection", b"Upgrade"), (b"Upgrade", protocol)]
    return h11.InformationalResponse(
        status_code=answer.status_code, headers=headers, reason=answer.reason
    )


def upgrade(request: h11.Request) -> bytes | None:
    """Return the protocol that a request wants to change to.

    A request with a body changes nothing: the body and what follows it could be mixed up.
    """
    headers = dict(request.headers)
    has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
    if has_body or request.http_version == b"1.0" or b"upgrade" not in _listed(request):
        return None
    return headers.get(b"upgrade")


def _placed(place: Place, answer: h11.Response | h11.InformationalResponse) -> Headers:
    headers: Headers = []
    for name, value in _end_to_end(answer):
        match name.lower():
            case b"location":
                placed = _location(place, value)
            case b"set-cookie":
                placed = _cookie(place, value)
            case b"service-worker-allowed":
                # A worker with a wider scope would see the pages of other sessions.
                placed = _under(place, value)
            case _:
                placed = value
        headers.append((name, placed))
    return headers


def _end_to_end(message: Message) -> Headers:
    """Return the headers that are not about one connection only."""
    dropped = _HOP_BY_HOP | (_listed(message) - _FRAMING)
    return [pair for pair in message.headers.raw_items() if pair[0].lower() not in dropped]


def _listed(message: Message) -> set[bytes]:
    """Return what the Connection headers list."""
    lists = [value for name, value in message.headers if name == b"connection"]
    return {part.strip().lower() for part in b",".join(lists).split(b",")}


def _location(place: Place, value: bytes) -> bytes:
    url = _URL.fullmatch(value)
    if url is None:
        return _under(place, value)
    own = {place.authority.lower()}
    if place.port is not None:
        own.update(host % place.port for host in _OWN_HOSTS)
    if url["authority"].lower() not in own:
        return value
    return _under(place, b"/" + url["rest"])


def _under(place: Place, path: bytes) -> bytes:
    """Put an absolute path under the prefix; leave anything else as it is."""
    inside = path == place.prefix or path.startswith(place.prefix + b"/")
    return path if inside or not path.startswith(b"/") else place.prefix + path


def _cookie(place: Place, value: bytes) -> bytes:
    """Keep a cookie on its link: its path goes under the prefix, its domain goes away."""
    pair, *attributes = value.split(b";")
    kept = [pair]
    for attribute in attributes:
        name, _, content = (part.strip() for part in attribute.partition(b"="))
        if name.lower() == b"path":
            path = _under(place, content if content.startswith(b"/") else b"/")
            kept.append(b" Path=" + path.rstrip(b"/"))
        elif name.lower() != b"domain":
            kept.append(attribute)
    return b";".join(kept)
