"""Results, under the path that existing programs import from."""

from collections.abc import Mapping
from typing import Any, cast

from agentbay import AdbUrlResult as AdbUrlResult
from agentbay import ApiResponse as ApiResponse
from agentbay import BaseResult as BaseResult
from agentbay import BoolResult as BoolResult
from agentbay import DeleteResult as DeleteResult
from agentbay import EnvResult as EnvResult
from agentbay import GetSessionData as GetSessionData
from agentbay import GetSessionResult as GetSessionResult
from agentbay import McpToolResult as McpToolResult
from agentbay import McpToolsResult as McpToolsResult
from agentbay import OperationResult as OperationResult
from agentbay import Response as Response
from agentbay import SessionListResult as SessionListResult
from agentbay import SessionMetrics as SessionMetrics
from agentbay import SessionMetricsResult as SessionMetricsResult
from agentbay import SessionPauseResult as SessionPauseResult
from agentbay import SessionResult as SessionResult
from agentbay import SessionResumeResult as SessionResumeResult


def extract_request_id(response: object) -> str:
    """The identifier of the request in a result or a reply; empty when there is none."""
    if isinstance(response, ApiResponse):
        return response.request_id
    body = _item(response, "body")
    found = _item(response if body is None else body, "RequestId")
    return found if isinstance(found, str) else ""


def _item(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)
