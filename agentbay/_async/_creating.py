"""Create one session, and no more than one, whatever becomes of the request and its caller.

The service makes a session each time that it is asked to, and knows no request again. So each
request carries a label of its own: before it is sent a second time, and when its reply is lost
for good, the service is asked for the session with that label.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping

import anyio
import attrs

from .._deadline import cleaning_up
from .._transport import ApiClient, Reply
from ..errors import (
    AgentBayError,
    APIError,
    ProtocolError,
    RequestTimeoutError,
    SessionNotFoundError,
    TransportError,
)
from ..protocol.sessions import CreateSession, GetSession, ListSessions, ReleaseSession, SessionData

_log = logging.getLogger(__name__)

# Labels of the package itself begin with it; `get_labels` leaves them out.
_OWN = "agentbay-"
OWNER = f"{_OWN}owner"
_REQUEST = f"{_OWN}request"

# Seconds that a cancelled caller waits for the reply, and that cleaning up takes at most.
_GRACE = 5.0
_CLEAN_UP_LIMIT = 10.0


async def create_session(
    client: ApiClient, call: CreateSession, owner: str = ""
) -> Reply[SessionData]:
    """Create a session; a caller that fails or is cancelled leaves none behind.

    A cancelled caller waits a few seconds for the reply, so that the session can be deleted.

    Raises:
        AgentBayError: There is no session.
    """
    return await _Creation(client, call, owner).run()


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

    def __init__(self, client: ApiClient, call: CreateSession, owner: str) -> None:
        self._client = client
        self._label = {_REQUEST: f"{int(time.time())}-{secrets.token_hex(8)}"}
        labels = {**(call.labels or {}), **self._label, **({OWNER: owner} if owner else {})}
        self._call = attrs.evolve(call, labels=labels)
        self._scope = anyio.CancelScope(shield=True)
        # Whether there may be a session although no reply told of it.
        self._unclear = False
        self._error: AgentBayError | None = None
        # Why the latest request to create it failed.
        self._lost: AgentBayError | None = None
        self._reply: Reply[SessionData] | None = None

    async def run(self) -> Reply[SessionData]:
        """Create it; the request itself is not cancelled together with the caller."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._hurry)
                with self._scope:
                    await self._attempt()
                tasks.cancel_scope.cancel()
            await anyio.sleep(0)  # noqa: ASYNC115 - anyio.lowlevel costs import time
        except BaseException:  # cancelled: nobody else will know of the session
            await self._undo()
            raise
        if self._reply is None:
            raise self._error or AgentBayError("the session was not created")
        return self._reply

    async def _hurry(self) -> None:
        """Wait until the caller is cancelled, and leave the request little time after that."""
        try:
            await anyio.sleep_forever()
        finally:
            self._scope.deadline = anyio.current_time() + _GRACE

    async def _attempt(self) -> None:
        try:
            self._reply = await self._created()
        except AgentBayError as exc:  # a task group would wrap it
            self._error = exc

    async def _created(self) -> Reply[SessionData]:
        try:
            # Harmless: a second request is sent only when the first one left no session.
            with self._client.traced_action(self._call) as trace:
                reply = await self._client.repeat(self._once, trace, None, harmless=True)
                trace.request_id = reply.request_id
                return reply
        except RequestTimeoutError:
            await self._undo()
            raise
        except AgentBayError:
            found = await self._found_at_last() if self._unclear else None
            if found is None:
                raise
            return found

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
        self._unclear, data = unclear, reply.value
        if data.success and data.session_id:
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
        return await self._client.send_once(GetSession(sessions[0]), timeout=limit)

    async def _labelled(self, timeout: float | None = None) -> list[str]:
        call = ListSessions(labels=self._label)
        reply = await self._client.send_once(call, timeout=timeout)
        return [session.session_id for session in reply.value.sessions]

    async def _release(self, session_id: str) -> None:
        try:
            await self._client.send(ReleaseSession(session_id))
        except SessionNotFoundError:
            _log.debug("session %s is gone already", session_id)

    async def _undo(self) -> None:
        """Delete what was made, whether or not a reply told of it."""
        if self._reply is None and not self._unclear:
            return
        known = [self._reply.value.session_id] if self._reply is not None else None
        self._reply, self._unclear = None, False  # once: a cancelled caller comes by again
        with cleaning_up(_CLEAN_UP_LIMIT) as scope:
            try:
                for session_id in known or await self._labelled():
                    await self._release(session_id)
            except AgentBayError as exc:
                _log.warning("a session may be left of a create that was given up: %s", exc)
        if scope.cancelled_caught:
            _log.warning("a session may be left of a create that was given up")
