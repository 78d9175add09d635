"""Recorded requests: what other clients sent, read so that ours can be compared with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import httpx

SAMPLES = Path(__file__).parent.parent / "data" / "samples"

# Every file but the list of them.
FILES = sorted(
    str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*") if path.suffix != ".json"
)
NAMES = [name for name in FILES if name.endswith(".http")]

# What the frame of every request to the control plane has, in this order.
COMMON = ("Action", "Format", "Version", "Timestamp", "SignatureNonce")

# Headers that say something to the service; the others belong to the HTTP library.
_HEADERS = ("content-type", "x-acs-version", "x-acs-action", "x-access-token")


@attrs.frozen
class Request:
    """A request, taken apart: everything in it that the service reads.

    Attributes:
        method: GET, POST or PUT.
        path: Path of the URL.
        action: The action; for calls that go straight to a session ``callTool``, else empty.
        common: Names of the parameters that frame a request, in their order.
        query: The action's own parameters in the URL.
        form: The parameters in the body.
        headers: Those of the headers that the service reads.
        body: A body that is no form.
    """

    method: str
    path: str
    action: str
    common: list[str]
    query: dict[str, Any]
    form: dict[str, Any]
    headers: dict[str, str]
    body: Any = None

    @classmethod
    def make(cls, method: str, target: str, headers: dict[str, str], body: str) -> Request:
        """Take a request apart."""
        parts = urlsplit(target)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = dict(pairs)
        control = "Action" in query
        kept = {name: headers[name] for name in _HEADERS if name in headers}
        return cls(
            method,
            parts.path,
            query["Action"] if control else parts.path.rpartition("/")[2],
            [name for name, _ in pairs if name in COMMON],
            _plain({name: value for name, value in query.items() if name not in COMMON}),
            _plain(dict(parse_qsl(body, keep_blank_values=True)) if control else {}),
            kept,
            None if control else _plain(body),
        )

    @classmethod
    def of(cls, request: httpx.Request) -> Request:
        """Take one of our requests apart, which is already read."""
        target = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        return cls.make(request.method, target, headers, request.content.decode())

    def without(self, *names: str) -> Request:
        """The same without some parameters, wherever they are."""
        query = {name: value for name, value in self.query.items() if name not in names}
        form = {name: value for name, value in self.form.items() if name not in names}
        return attrs.evolve(self, query=query, form=form)

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters, wherever they are."""
        return {**self.query, **self.form}


def text_of(name: str) -> tuple[str, str]:
    """The head and the body of a recorded request."""
    head, _, body = (SAMPLES / name).read_bytes().decode().partition("\r\n\r\n")
    return head, body


def read(name: str) -> Request:
    """A recorded request, taken apart."""
    head, body = text_of(name)
    line, *lines = head.split("\r\n")
    method, target, _ = line.split()
    pairs = (header.partition(": ") for header in lines)
    return Request.make(method, target, {key.lower(): value for key, _, value in pairs}, body)


def parameters_of(name: str) -> dict[str, str]:
    """The parameters of a recorded request as they travel, but for the credential."""
    head, body = text_of(name)
    pairs = parse_qsl(urlsplit(head.split()[1]).query, keep_blank_values=True)
    pairs += parse_qsl(body, keep_blank_values=True)
    return {key: value for key, value in pairs if key not in (*COMMON, "Authorization")}


def _steps() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in json.loads((SAMPLES / "index.json").read_text("utf-8")):
        directory = entry["file"].partition("/")[0]
        found.setdefault(f"{directory}/{entry['step']}", []).append(entry["file"])
    return found


# What was done, such as ``0.22-async/create-default``, and the requests that it made.
STEPS = _steps()


@attrs.frozen
class JsonText:
    """A text that is JSON, as what it stands for: spaces and escapes do not matter."""

    value: Any


# Identifiers that every request has anew, in the forms that sessions know.
_IDS = re.compile(r"(link|vpc)-\d{13}-[a-z0-9]{9}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str) and value[:1] in ("{", "["):
        return JsonText(_plain(json.loads(value)))
    if isinstance(value, str):
        found = _IDS.fullmatch(value)
        return f"{found[1]}-ID" if found else value
    return value
