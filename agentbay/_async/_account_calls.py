"""What the client does for programs of the first generation, and the others need no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._params.listing import ListSessionParams
from .._results.base import reported
from .._results.session_data import GetSessionData, GetSessionResult
from .._results.sessions import SessionListResult
from ..protocol import sessions as actions

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
