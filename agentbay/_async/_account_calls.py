"""What the client seldom does: calls of the first generation, and clearing up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._params.listing import ListSessionParams
from .._results.base import reported
from .._results.session_data import GetSessionData, GetSessionResult
from .._results.sessions import SessionListResult
from ..errors import ConfigError, InvalidInputError, SessionNotFoundError
from ..protocol import session_details as details
from ..protocol import sessions as actions
from ._creating import OWNER, created_at
from .session import AsyncSession

if TYPE_CHECKING:
    from .client import AsyncAgentBay


@reported(GetSessionResult)
async def get_session(bay: AsyncAgentBay, session_id: str) -> GetSessionResult:
    """Ask for everything about a session."""
    reply = await bay.client.send(actions.GetSession(session_id))
    return GetSessionResult(reply.request_id, True, GetSessionData.of(reply.value))


@reported(SessionListResult)
async def list_by_labels(
    bay: AsyncAgentBay, params: ListSessionParams | Mapping[str, str] | None
) -> SessionListResult:
    """Read the page of a list that the parameters name; a mapping stands for its labels."""
    if not isinstance(params, ListSessionParams):
        params = ListSessionParams(labels=params)
    reply = await bay._page(params.labels, params.max_results, params.next_token, None, None)
    return SessionListResult.of(reply.request_id, reply.value, params.max_results)


async def reap(bay: AsyncAgentBay, owner: str, older_than: float) -> list[str]:
    """Delete the sessions of an owner that are older than some seconds."""
    if not owner:
        raise ConfigError("reap() needs to know whose sessions: pass owner= to the client")
    if not older_than >= 0:
        raise InvalidInputError(f"older_than must be 0 or more seconds, not {older_than!r}")
    old = time.time() - older_than
    found = [session_id async for session_id in bay.list_all({OWNER: owner})]
    reaped: list[str] = []
    for session_id in found:
        session = AsyncSession(bay, session_id)
        try:
            reply = await bay.client.send(details.GetLabels(session_id))
        except SessionNotFoundError:
            continue
        born = created_at(reply.value.labels)
        if born is None or born <= old:
            (await session.delete()).unwrap()
            reaped.append(str(session_id))
    return reaped
