"""The language model that the user of the engine names: an OpenAI-compatible endpoint.

It is asked for JSON, and what it says is not trusted. Its key appears in no error and no log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import anyio
import attrs
import httpx

from ...protocol._wire import WireError, decode, from_json, named
from .._errors import ToolFailure
from .._threads import in_thread

T = TypeVar("T")

_URL, _KEY, _NAME = (f"AGENTBAY_LOCAL_MODEL{end}" for end in ("_URL", "_KEY", ""))
_SETTINGS = f"{_URL} (such as https://host/v1), {_KEY} (may be empty) and {_NAME} (its name)"

_NOT_CONFIGURED = f"there is no model that understands plain words: set {_SETTINGS}"

# Seconds: to connect, for one answer, and before an endpoint that is busy is asked again.
_CONNECT_LIMIT, ANSWER_LIMIT, _PAUSE = 10.0, 120.0, 1.0

# Bytes of an answer, and characters of what an endpoint says about its failure.
_LONGEST, _LONGEST_REASON = 8 << 20, 200

# What an endpoint answers that may do better a moment later, and one that knows no JSON mode.
_BUSY, _BAD_REQUEST = (429, 500, 502, 503, 504), 400
_OK, _NOT_FOUND = 200, 404

Message = dict[str, Any]
"""One message of a conversation, as the endpoint takes it."""


@attrs.frozen
class _Said:
    content: str | None = None


@attrs.frozen
class _Choice:
    message: _Said


@attrs.frozen
class _Completion:
    choices: list[_Choice] = named(validator=attrs.validators.min_len(1))


@attrs.frozen
class Model:
    """A model, and where it is asked."""

    url: str
    name: str
    key: str = attrs.field(default="", repr=False)

    @classmethod
    def from_environment(cls) -> Model:
        """Read ``AGENTBAY_LOCAL_MODEL_URL``, ``..._MODEL_KEY`` and ``AGENTBAY_LOCAL_MODEL``.

        Raises:
            ToolFailure: There is none, or its address makes no sense.
        """
        url, key, name = (os.environ.get(name, "").strip() for name in (_URL, _KEY, _NAME))
        if not url or not name:
            lacking = ", ".join(n for n, value in ((_URL, url), (_NAME, name)) if not value)
            raise ToolFailure(f"{_NOT_CONFIGURED} (missing: {lacking})", number=-1)
        if not (key.isascii() and key.isprintable()):
            raise ToolFailure(f"{_KEY} is no key: it holds more than plain letters", number=-1)
        return cls(_checked(url), name, key)

    async def ask(
        self, messages: Sequence[Message], read: Callable[[Any], T], *, limit: float = ANSWER_LIMIT
    ) -> T:
        """Have the model answer with JSON; one answer that makes no sense is forgiven.

        Args:
            messages: The conversation.
            read: Makes the result of the JSON value; raises `WireError` for what it is not.
            limit: Seconds for all of it.

        Raises:
            ToolFailure: The model cannot be reached, says no, is too slow, or makes no sense
                twice.
        """
        try:
            with anyio.fail_after(limit):
                # Certificates take a while to load.
                async with await in_thread(self._client) as client:
                    return await self._converse(client, list(messages), read)
        except TimeoutError as exc:
            raise self._failed(f"did not answer within {limit:g} seconds") from exc

    async def _converse(
        self, client: httpx.AsyncClient, messages: list[Message], read: Callable[[Any], T]
    ) -> T:
        said = await self._complete(client, messages)
        try:
            return read(_json_in(said))
        except WireError as exc:
            again = f"That was no valid answer: {exc}. Answer with one JSON object as described."
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": again}]
        said = await self._complete(client, messages)
        try:
            return read(_json_in(said))
        except WireError as exc:
            raise self._failed(f"gave no valid answer, twice: {exc}") from exc

    async def _complete(self, client: httpx.AsyncClient, messages: list[Message]) -> str:
        """What the model says next."""
        body = {"model": self.name, "messages": messages}
        wanted = {**body, "response_format": {"type": "json_object"}}
        status, data = await self._post(client, wanted)
        if status in _BUSY:
            await anyio.sleep(_PAUSE)
            status, data = await self._post(client, wanted)
        if status == _BAD_REQUEST:
            status, data = await self._post(client, body)
        if status != _OK:
            raise self._failed(self._refusal(status, data))
        try:
            content = decode(_Completion, from_json(data)).choices[0].message.content
        except (WireError, ValueError) as exc:
            raise self._failed("answered with something that is no chat completion") from exc
        return content or ""

    async def _post(self, client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[int, str]:
        try:
            async with client.stream("POST", f"{self.url}/chat/completions", json=body) as reply:
                data = bytearray()
                async for part in reply.aiter_bytes():
                    data += part
                    if len(data) > _LONGEST:
                        raise self._failed(f"answered with more than {_LONGEST >> 20} MiB")
                return reply.status_code, data.decode(errors="replace")
        except httpx.HTTPError as exc:
            # Not its text, which is whatever a library below says.
            kind = "cannot be reached" if isinstance(exc, httpx.ConnectError) else "broke off"
            raise self._failed(f"{kind} ({type(exc).__name__})") from exc

    def _client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        limits = httpx.Timeout(None, connect=_CONNECT_LIMIT)
        # Redirects are not followed: they could carry the key elsewhere.
        return httpx.AsyncClient(headers=headers, timeout=limits)

    def _refusal(self, status: int, data: str) -> str:
        if status in (401, 403):
            return f"refuses the key in {_KEY} (HTTP {status})"
        if status == _NOT_FOUND:
            return f"knows no {self.name}, or is not at that address (HTTP 404)"
        said = f": {self._without_key(_reason(data))}" if _reason(data) else ""
        return f"answered HTTP {status}{said}"

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text

    def _failed(self, what: str) -> ToolFailure:
        url = httpx.URL(self.url)
        place = url.host if url.port is None else f"{url.host}:{url.port}"
        return ToolFailure(f"the model {self.name} at {place} {what}", number=-1)


def _checked(url: str) -> str:
    """The address without the slash at its end; it is not shown when it is refused."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host:
        raise ToolFailure(f"{_URL} is no address such as https://host/v1", number=-1)
    if found.userinfo or found.query:
        raise ToolFailure(f"{_URL} holds more than an address: the key goes to {_KEY}", number=-1)
    return str(found).rstrip("/")


def _json_in(said: str) -> Any:
    """The JSON value of an answer; models like to fence it.

    Raises:
        WireError: There is none.
    """
    text = said.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.removesuffix("```").partition("\n")[2]
    return from_json(text)


def _reason(data: str) -> str:
    """What an endpoint says about its failure, if it says it the common way."""
    try:
        error = decode(dict[str, Any], decode(dict[str, Any], json.loads(data)).get("error"))
    except ValueError:
        return ""
    return " ".join(str(error.get("message", "")).split())[:_LONGEST_REASON]
