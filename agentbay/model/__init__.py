"""Results, under the path that existing programs import from."""

from agentbay import AdbUrlResult as AdbUrlResult
from agentbay import ApiResponse as ApiResponse
from agentbay import BoolResult as BoolResult
from agentbay import DeleteResult as DeleteResult
from agentbay import GetSessionData as GetSessionData
from agentbay import GetSessionResult as GetSessionResult
from agentbay import McpToolResult as McpToolResult
from agentbay import McpToolsResult as McpToolsResult
from agentbay import OperationResult as OperationResult
from agentbay import SessionListResult as SessionListResult
from agentbay import SessionResult as SessionResult
from agentbay import extract_request_id as extract_request_id
