"""Python SDK for AgentBay: cloud sessions for AI agents, and a local engine.

`AgentBay` is for blocking programs, `AsyncAgentBay` for asyncio and trio. With the endpoint
``"local"`` both use the engine inside this process: no account, no network.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._async.client import AsyncAgentBay as AsyncAgentBay
    from ._async.command import AsyncCommand as AsyncCommand
    from ._async.context import AsyncContextService as AsyncContextService
    from ._async.context_manager import AsyncContextManager as AsyncContextManager
    from ._async.file_system import AsyncFileSystem as AsyncFileSystem
    from ._async.session import AsyncSession as AsyncSession
    from ._config import Config as Config
    from ._params import ContextSync as ContextSync
    from ._params import CreateSessionParams as CreateSessionParams
    from ._results.base import ApiResponse as ApiResponse
    from ._results.command import CommandResult as CommandResult
    from ._results.context import ContextInfoResult as ContextInfoResult
    from ._results.context import ContextListResult as ContextListResult
    from ._results.context import ContextResult as ContextResult
    from ._results.context import ContextSyncResult as ContextSyncResult
    from ._results.file_system import BinaryFileContentResult as BinaryFileContentResult
    from ._results.file_system import BoolResult as BoolResult
    from ._results.file_system import DirectoryListResult as DirectoryListResult
    from ._results.file_system import FileChangeResult as FileChangeResult
    from ._results.file_system import FileContentResult as FileContentResult
    from ._results.file_system import FileInfoResult as FileInfoResult
    from ._results.file_system import FileSearchResult as FileSearchResult
    from ._results.file_system import MultipleFileContentResult as MultipleFileContentResult
    from ._results.sessions import DeleteResult as DeleteResult
    from ._results.sessions import LinkResult as LinkResult
    from ._results.sessions import McpTool as McpTool
    from ._results.sessions import McpToolResult as McpToolResult
    from ._results.sessions import McpToolsResult as McpToolsResult
    from ._results.sessions import OperationResult as OperationResult
    from ._results.sessions import SessionId as SessionId
    from ._results.sessions import SessionInfo as SessionInfo
    from ._results.sessions import SessionListResult as SessionListResult
    from ._results.sessions import SessionResult as SessionResult
    from ._sync.client import AgentBay as AgentBay
    from ._sync.command import Command as Command
    from ._sync.context import ContextService as ContextService
    from ._sync.context_manager import ContextManager as ContextManager
    from ._sync.file_system import FileSystem as FileSystem
    from ._sync.session import Session as Session
    from ._version import __version__ as __version__
    from .errors import AgentBayError as AgentBayError
    from .errors import APIError as APIError
    from .errors import AuthenticationError as AuthenticationError
    from .errors import ClearanceTimeoutError as ClearanceTimeoutError
    from .errors import CommandError as CommandError
    from .errors import CommandTimeoutError as CommandTimeoutError
    from .errors import ConfigError as ConfigError
    from .errors import ContextNotFoundError as ContextNotFoundError
    from .errors import FileError as FileError
    from .errors import InvalidInputError as InvalidInputError
    from .errors import ProtocolError as ProtocolError
    from .errors import RateLimitError as RateLimitError
    from .errors import RequestTimeoutError as RequestTimeoutError
    from .errors import SessionError as SessionError
    from .errors import SessionNotFoundError as SessionNotFoundError
    from .errors import ToolError as ToolError
    from .errors import TransportError as TransportError
    from .errors import UnavailableError as UnavailableError
    from .protocol.contexts import BWList as BWList
    from .protocol.contexts import Context as Context
    from .protocol.contexts import ContextStatusData as ContextStatusData
    from .protocol.contexts import DeletePolicy as DeletePolicy
    from .protocol.contexts import DownloadPolicy as DownloadPolicy
    from .protocol.contexts import DownloadStrategy as DownloadStrategy
    from .protocol.contexts import ExtractPolicy as ExtractPolicy
    from .protocol.contexts import Lifecycle as Lifecycle
    from .protocol.contexts import MappingPolicy as MappingPolicy
    from .protocol.contexts import RecyclePolicy as RecyclePolicy
    from .protocol.contexts import SyncPolicy as SyncPolicy
    from .protocol.contexts import UploadMode as UploadMode
    from .protocol.contexts import UploadPolicy as UploadPolicy
    from .protocol.contexts import UploadStrategy as UploadStrategy
    from .protocol.contexts import WhiteList as WhiteList
    from .protocol.file_system import DirectoryEntry as DirectoryEntry
    from .protocol.file_system import FileChangeEvent as FileChangeEvent
    from .protocol.file_system import FileFacts as FileFacts
    from .protocol.sessions import SessionStatus as SessionStatus

_HOME = {
    "APIError": ".errors",
    "AgentBay": "._sync.client",
    "AgentBayError": ".errors",
    "ApiResponse": "._results.base",
    "AsyncAgentBay": "._async.client",
    "AsyncCommand": "._async.command",
    "AsyncContextManager": "._async.context_manager",
    "AsyncContextService": "._async.context",
    "AsyncFileSystem": "._async.file_system",
    "AsyncSession": "._async.session",
    "AuthenticationError": ".errors",
    "BWList": ".protocol.contexts",
    "BinaryFileContentResult": "._results.file_system",
    "BoolResult": "._results.file_system",
    "ClearanceTimeoutError": ".errors",
    "Command": "._sync.command",
    "CommandError": ".errors",
    "CommandResult": "._results.command",
    "CommandTimeoutError": ".errors",
    "Config": "._config",
    "ConfigError": ".errors",
    "Context": ".protocol.contexts",
    "ContextInfoResult": "._results.context",
    "ContextListResult": "._results.context",
    "ContextManager": "._sync.context_manager",
    "ContextNotFoundError": ".errors",
    "ContextResult": "._results.context",
    "ContextService": "._sync.context",
    "ContextStatusData": ".protocol.contexts",
    "ContextSync": "._params",
    "ContextSyncResult": "._results.context",
    "CreateSessionParams": "._params",
    "DeletePolicy": ".protocol.contexts",
    "DeleteResult": "._results.sessions",
    "DirectoryEntry": ".protocol.file_system",
    "DirectoryListResult": "._results.file_system",
    "DownloadPolicy": ".protocol.contexts",
    "DownloadStrategy": ".protocol.contexts",
    "ExtractPolicy": ".protocol.contexts",
    "FileChangeEvent": ".protocol.file_system",
    "FileChangeResult": "._results.file_system",
    "FileContentResult": "._results.file_system",
    "FileError": ".errors",
    "FileFacts": ".protocol.file_system",
    "FileInfoResult": "._results.file_system",
    "FileSearchResult": "._results.file_system",
    "FileSystem": "._sync.file_system",
    "InvalidInputError": ".errors",
    "Lifecycle": ".protocol.contexts",
    "MappingPolicy": ".protocol.contexts",
    "LinkResult": "._results.sessions",
    "McpTool": "._results.sessions",
    "McpToolResult": "._results.sessions",
    "McpToolsResult": "._results.sessions",
    "MultipleFileContentResult": "._results.file_system",
    "OperationResult": "._results.sessions",
    "ProtocolError": ".errors",
    "RateLimitError": ".errors",
    "RecyclePolicy": ".protocol.contexts",
    "RequestTimeoutError": ".errors",
    "Session": "._sync.session",
    "SessionError": ".errors",
    "SessionId": "._results.sessions",
    "SessionInfo": "._results.sessions",
    "SessionListResult": "._results.sessions",
    "SessionNotFoundError": ".errors",
    "SessionResult": "._results.sessions",
    "SessionStatus": ".protocol.sessions",
    "SyncPolicy": ".protocol.contexts",
    "ToolError": ".errors",
    "TransportError": ".errors",
    "UnavailableError": ".errors",
    "UploadMode": ".protocol.contexts",
    "UploadPolicy": ".protocol.contexts",
    "UploadStrategy": ".protocol.contexts",
    "WhiteList": ".protocol.contexts",
    "__version__": "._version",
}
__all__ = [
    "APIError",
    "AgentBay",
    "AgentBayError",
    "ApiResponse",
    "AsyncAgentBay",
    "AsyncCommand",
    "AsyncContextManager",
    "AsyncContextService",
    "AsyncFileSystem",
    "AsyncSession",
    "AuthenticationError",
    "BWList",
    "BinaryFileContentResult",
    "BoolResult",
    "ClearanceTimeoutError",
    "Command",
    "CommandError",
    "CommandResult",
    "CommandTimeoutError",
    "Config",
    "ConfigError",
    "Context",
    "ContextInfoResult",
    "ContextListResult",
    "ContextManager",
    "ContextNotFoundError",
    "ContextResult",
    "ContextService",
    "ContextStatusData",
    "ContextSync",
    "ContextSyncResult",
    "CreateSessionParams",
    "DeletePolicy",
    "DeleteResult",
    "DirectoryEntry",
    "DirectoryListResult",
    "DownloadPolicy",
    "DownloadStrategy",
    "ExtractPolicy",
    "FileChangeEvent",
    "FileChangeResult",
    "FileContentResult",
    "FileError",
    "FileFacts",
    "FileInfoResult",
    "FileSearchResult",
    "FileSystem",
    "InvalidInputError",
    "Lifecycle",
    "LinkResult",
    "MappingPolicy",
    "McpTool",
    "McpToolResult",
    "McpToolsResult",
    "MultipleFileContentResult",
    "OperationResult",
    "ProtocolError",
    "RateLimitError",
    "RecyclePolicy",
    "RequestTimeoutError",
    "Session",
    "SessionError",
    "SessionId",
    "SessionInfo",
    "SessionListResult",
    "SessionNotFoundError",
    "SessionResult",
    "SessionStatus",
    "SyncPolicy",
    "ToolError",
    "TransportError",
    "UnavailableError",
    "UploadMode",
    "UploadPolicy",
    "UploadStrategy",
    "WhiteList",
    "__version__",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(home, __name__), name)
    return value


def __dir__() -> list[str]:
    return __all__
