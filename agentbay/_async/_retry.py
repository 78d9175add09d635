"""Ask again when the service has no time, for requests that may safely be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from ..errors import APIError

if TYPE_CHECKING:
    from .._transport import ApiClient, Reply
    from ..protocol._calls import Action

T = TypeVar("T")

# Seconds before the second and the third attempt.
_PAUSES = (0.2, 0.4)


async def send_patiently(client: ApiClient, call: Action[T]) -> Reply[T]:
    """Send a request up to three times, while the service says that it is unavailable."""
    for pause in _PAUSES:
        try:
            return await client.send(call)
        except APIError as exc:
            if exc.status_code != 503 and "ServiceUnavailable" not in exc.code:
                raise
        await anyio.sleep(pause)
    return await client.send(call)
