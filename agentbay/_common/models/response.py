"""Results, under the path that existing programs import from."""

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
from agentbay import extract_request_id as extract_request_id
