"""Create one session, and no more than one, whatever becomes of the request and its caller.

The service makes a session each time that it is asked to, and knows no request again. So each
request carries a label of its own: before it is sent a second time, and when its reply is lost
for good, the service is asked for the session with that label.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping

import anyio
import attrs

from .._deadline import cleaning_up
from .._tracing import Trace
from .._transport import ApiClient, Reply
from ..errors import (
    AgentBayError,
    APIError,
    ProtocolError,
    RequestTimeoutError,
    SessionNotFoundError,
    TransportError,
)
from ..protocol.session_details import ListSessions
from ..protocol.sessions import CreateSession, GetSession, ReleaseSession, SessionData
from ._clean_ups import CleanUps

_log = logging.getLogger(__name__)

# Labels of the package itself begin with it; `get_labels` leaves them out.
_OWN = "agentbay-"
OWNER = f"{_OWN}owner"
_REQUEST = f"{_OWN}request"

# Seconds that looking for a session, or deleting it, takes at most.
_CLEAN_UP_LIMIT = 10.0

# Seconds before each look for a session of which no reply told: it may still be on its way.
_LOOKS = (0.0, 0.5, 1.5)


async def create_session(
    client: ApiClient,
    clean_ups: CleanUps,
    call: CreateSession,
    owner: str = "",
    gone: Callable[[], object] = bool,
) -> Reply[SessionData]:
    """Create a session; a caller that fails or is cancelled leaves none behind.

    A caller that is cancelled or out of time goes on at once; the session is deleted in the
    background.

    Args:
        client: Sends the requests.
        clean_ups: Takes care of the session when the caller does not.
        call: The request.
        owner: Whom the session belongs to.
        gone: Called if there is no session, as soon as that is sure.

    Raises:
        AgentBayError: There is no session, or soon there will be none.
    """
    with client.traced_action(call) as trace:
        creation = _Creation(client, call, owner, trace)
        reply = await clean_ups.taken(
            creation.run,
            creation.undo,
            limit=client.timeout + _CLEAN_UP_LIMIT,
            action=call.action,
            gone=gone,
        )
        trace.request_id = reply.request_id
        return reply


def users_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a session without those of this package."""
    return {name: value for name, value in labels.items() if not name.startswith(_OWN)}


def own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a session that this package gave it."""
    return {name: value for name, value in labels.items() if name.startswith(_OWN)}


def created_at(labels: Mapping[str, str]) -> float | None:
    """When a session was asked for, in seconds since 1970; None if its labels do not tell."""
    moment = labels.get(_REQUEST, "").partition("-")[0]
    return float(moment) if moment.isascii() and moment.isdigit() else None


class _Creation:
    """One session on its way."""

    def __init__(self, client: ApiClient, call: CreateSession, owner: str, trace: Trace) -> None:
        self._client, self._trace = client, trace
        self._label = {_REQUEST: f"{int(time.time())}-{secrets.token_hex(8)}"}
        labels = {**(call.labels or {}), **self._label, **({OWNER: owner} if owner else {})}
        self._call = attrs.evolve(call, labels=labels)
        # Whether there may be a session although no reply told of it.
        self._unclear = False
        # Why the latest request to create it failed.
        self._lost: AgentBayError | None = None
        self._made = ""

    async def run(self) -> Reply[SessionData]:
        """Create it."""
        try:
            # Harmless: a second request is sent only when the first one left no session.
            return await self._client.repeat(self._once, self._trace, None, harmless=True)
        except RequestTimeoutError:
            raise
        except AgentBayError:
            found = await self._found_at_last() if self._unclear else None
            if found is None:
                raise
            return found

    async def undo(self) -> None:
        """Delete what was made, whether or not a reply told of it."""
        reason = f"it was not deleted within {_CLEAN_UP_LIMIT:g} s"
        with cleaning_up(_CLEAN_UP_LIMIT):
            try:
                await self._delete()
                return
            except AgentBayError as exc:
                reason = str(exc)
        _log.warning("a session may be left of a create that was given up: %s", reason)

    async def _delete(self) -> None:
        if self._made:
            await self._release(self._made)
            return
        for pause in _LOOKS if self._unclear else ():
            await anyio.sleep(pause)
            for session_id in (found := await self._labelled()):
                await self._release(session_id)
            if found:
                return

    async def _once(self, timeout: float) -> Reply[SessionData]:
        if self._unclear and (found := await self._found_meanwhile(timeout)) is not None:
            return found
        unclear, self._unclear = self._unclear, True
        try:
            reply = await self._client.attempt(self._call, timeout=timeout)
        except AgentBayError as exc:
            self._lost = exc
            if isinstance(exc, TransportError):
                self._unclear = unclear or exc.sent
            elif isinstance(exc, APIError):
                self._unclear = unclear or exc.status_code >= 500
            elif not isinstance(exc, ProtocolError):
                self._unclear = unclear  # a setting is wrong, so nothing was sent
            raise
        except AssertionError:  # of what stands in for the service in a test, and sends nothing
            self._unclear = unclear
            raise
        self._unclear, data = unclear, reply.value
        if data.success and data.session_id:
            self._made = data.session_id
            return reply
        reason = data.err_msg or "the reply names no session"
        facts = {"request_id": reply.request_id, "action": self._call.action}
        raise ProtocolError(f"{self._call.action}: {reason}", **facts)

    async def _found_meanwhile(self, timeout: float) -> Reply[SessionData] | None:
        try:
            return await self._found(timeout)
        except AgentBayError:
            if self._lost is None:
                raise
            # Why there was no session in the first place, and not why none was found.
            raise self._lost  # noqa: B904 - its cause is the one that it has

    async def _found_at_last(self) -> Reply[SessionData] | None:
        self._unclear = False  # it is looked for here, and that is enough
        try:
            return await self._found(_CLEAN_UP_LIMIT)
        except AgentBayError as exc:
            _log.warning("a session may be left of a create that failed: %s", exc)
            return None

    async def _found(self, timeout: float) -> Reply[SessionData] | None:
        """The session that an earlier request made; any more than one are deleted."""
        limit = min(timeout, self._client.timeout)
        sessions = await self._labelled(limit)
        if not sessions:
            return None
        for superfluous in sessions[1:]:
            await self._release(superfluous)
        self._made = sessions[0]
        return await self._client.send_once(GetSession(self._made), timeout=limit)

    async def _labelled(self, timeout: float | None = None) -> list[str]:
        call = ListSessions(labels=self._label)
        reply = await self._client.send_once(call, timeout=timeout)
        return [session.session_id for session in reply.value.sessions]

    async def _release(self, session_id: str) -> None:
        try:
            await self._client.send(ReleaseSession(session_id))
        except SessionNotFoundError:
            _log.debug("session %s is gone already", session_id)
