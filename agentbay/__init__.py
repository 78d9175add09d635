"""Python SDK for AgentBay: cloud sessions for AI agents, and a local engine.

`AgentBay` is for blocking programs, `AsyncAgentBay` for asyncio and trio. With the endpoint
``"local"`` both use the engine inside this process: no account, no network.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._aliases import AsyncBetaNetwork as AsyncBetaNetwork
    from ._aliases import BaseResult as BaseResult
    from ._aliases import BetaNetwork as BetaNetwork
    from ._aliases import Response as Response
    from ._async._watch_thread import DirectoryWatcher as DirectoryWatcher
    from ._async.agent import AsyncAgent as AsyncAgent
    from ._async.agent import AsyncAgentBrowser as AsyncAgentBrowser
    from ._async.agent import AsyncAgentComputer as AsyncAgentComputer
    from ._async.agent import AsyncAgentMobile as AsyncAgentMobile
    from ._async.agent_task import AsyncTaskExecution as AsyncTaskExecution
    from ._async.application import AsyncApplicationManager as AsyncApplicationManager
    from ._async.beta import AsyncBetaNamespace as AsyncBetaNamespace
    from ._async.browser import AsyncBrowser as AsyncBrowser
    from ._async.browser_operator import AsyncBrowserOperator as AsyncBrowserOperator
    from ._async.client import AsyncAgentBay as AsyncAgentBay
    from ._async.code import AsyncCode as AsyncCode
    from ._async.command import AsyncCommand as AsyncCommand
    from ._async.computer import AsyncComputer as AsyncComputer
    from ._async.context import AsyncContextService as AsyncContextService
    from ._async.context_manager import AsyncContextManager as AsyncContextManager
    from ._async.env import AsyncEnv as AsyncEnv
    from ._async.extension import AsyncExtensionsService as AsyncExtensionsService
    from ._async.file_system import AsyncFileSystem as AsyncFileSystem
    from ._async.file_transfer import AsyncFileTransfer as AsyncFileTransfer
    from ._async.fingerprint import (
        AsyncBrowserFingerprintGenerator as AsyncBrowserFingerprintGenerator,
    )
    from ._async.git import AsyncGit as AsyncGit
    from ._async.mobile import AsyncMobile as AsyncMobile
    from ._async.mobile_simulate import AsyncMobileSimulateService as AsyncMobileSimulateService
    from ._async.network import AsyncBetaNetworkService as AsyncBetaNetworkService
    from ._async.oss import AsyncOss as AsyncOss
    from ._async.process import AsyncProcessHandle as AsyncProcessHandle
    from ._async.pty import AsyncPty as AsyncPty
    from ._async.pty_handle import AsyncPtyHandle as AsyncPtyHandle
    from ._async.session import AsyncSession as AsyncSession
    from ._async.skills import AsyncBetaSkillsService as AsyncBetaSkillsService
    from ._async.ui import AsyncUI as AsyncUI
    from ._async.watch import AsyncFileWatch as AsyncFileWatch
    from ._async.window import AsyncWindowManager as AsyncWindowManager
    from ._config import Config as Config
    from ._deadline import Deadline as Deadline
    from ._params import ContextSync as ContextSync
    from ._params import CreateSessionParams as CreateSessionParams
    from ._params.browser import BrowserContext as BrowserContext
    from ._params.browser import BrowserSyncMode as BrowserSyncMode
    from ._params.browser_operator import ActOptions as ActOptions
    from ._params.browser_operator import ExtractOptions as ExtractOptions
    from ._params.browser_operator import ObserveOptions as ObserveOptions
    from ._params.lifecycle import LifecyclePolicy as LifecyclePolicy
    from ._params.listing import ListSessionParams as ListSessionParams
    from ._params.mounts import BetaContextMount as BetaContextMount
    from ._params.mounts import BetaContextMountAccessMode as BetaContextMountAccessMode
    from ._params.mounts import BetaContextMountStrategy as BetaContextMountStrategy
    from ._results.agent import ExecutionResult as ExecutionResult
    from ._results.agent import QueryResult as QueryResult
    from ._results.application import AppOperationResult as AppOperationResult
    from ._results.application import InstalledAppListResult as InstalledAppListResult
    from ._results.application import ProcessListResult as ProcessListResult
    from ._results.base import ApiResponse as ApiResponse
    from ._results.browser_operator import ActResult as ActResult
    from ._results.code import CodeExecutionResult as CodeExecutionResult
    from ._results.code import EnhancedCodeExecutionResult as EnhancedCodeExecutionResult
    from ._results.command import CommandResult as CommandResult
    from ._results.computer import ScreenshotResult as ScreenshotResult
    from ._results.context import ClearContextResult as ClearContextResult
    from ._results.context import ContextBindingsResult as ContextBindingsResult
    from ._results.context import ContextBindResult as ContextBindResult
    from ._results.context import ContextFileListResult as ContextFileListResult
    from ._results.context import ContextInfoResult as ContextInfoResult
    from ._results.context import ContextListResult as ContextListResult
    from ._results.context import ContextResult as ContextResult
    from ._results.context import ContextSyncResult as ContextSyncResult
    from ._results.context import FileUrlResult as FileUrlResult
    from ._results.env import EnvResult as EnvResult
    from ._results.file_system import BinaryFileContentResult as BinaryFileContentResult
    from ._results.file_system import BoolResult as BoolResult
    from ._results.file_system import DirectoryListResult as DirectoryListResult
    from ._results.file_system import DownloadResult as DownloadResult
    from ._results.file_system import EditResult as EditResult
    from ._results.file_system import FileChangeResult as FileChangeResult
    from ._results.file_system import FileContentResult as FileContentResult
    from ._results.file_system import FileInfoResult as FileInfoResult
    from ._results.file_system import FileSearchResult as FileSearchResult
    from ._results.file_system import MultipleFileContentResult as MultipleFileContentResult
    from ._results.file_system import UploadResult as UploadResult
    from ._results.git import GitBranchInfo as GitBranchInfo
    from ._results.git import GitBranchListResult as GitBranchListResult
    from ._results.git import GitCloneResult as GitCloneResult
    from ._results.git import GitCommitResult as GitCommitResult
    from ._results.git import GitFileStatus as GitFileStatus
    from ._results.git import GitInitResult as GitInitResult
    from ._results.git import GitLogEntry as GitLogEntry
    from ._results.git import GitLogResult as GitLogResult
    from ._results.git import GitStatusResult as GitStatusResult
    from ._results.lifecycle import SessionMetricsResult as SessionMetricsResult
    from ._results.lifecycle import SessionPauseResult as SessionPauseResult
    from ._results.lifecycle import SessionResumeResult as SessionResumeResult
    from ._results.lifecycle import SessionStatusResult as SessionStatusResult
    from ._results.mobile import AdbUrlResult as AdbUrlResult
    from ._results.mobile import MobileSimulateUploadResult as MobileSimulateUploadResult
    from ._results.network import NetworkResult as NetworkResult
    from ._results.network import NetworkStatusResult as NetworkStatusResult
    from ._results.oss import OSSClientResult as OSSClientResult
    from ._results.oss import OSSDownloadResult as OSSDownloadResult
    from ._results.oss import OSSUploadResult as OSSUploadResult
    from ._results.pty import PtySession as PtySession
    from ._results.session_data import GetSessionData as GetSessionData
    from ._results.session_data import GetSessionResult as GetSessionResult
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
    from ._results.skills import SkillsMetadataResult as SkillsMetadataResult
    from ._results.ui import UIElementListResult as UIElementListResult
    from ._results.window import WindowInfoResult as WindowInfoResult
    from ._results.window import WindowListResult as WindowListResult
    from ._retry import RetryPolicy as RetryPolicy
    from ._sync.agent import Agent as Agent
    from ._sync.agent import AgentBrowser as AgentBrowser
    from ._sync.agent import AgentComputer as AgentComputer
    from ._sync.agent import AgentMobile as AgentMobile
    from ._sync.agent_task import TaskExecution as TaskExecution
    from ._sync.application import ApplicationManager as ApplicationManager
    from ._sync.beta import BetaNamespace as BetaNamespace
    from ._sync.browser import Browser as Browser
    from ._sync.browser_operator import BrowserOperator as BrowserOperator
    from ._sync.client import AgentBay as AgentBay
    from ._sync.code import Code as Code
    from ._sync.command import Command as Command
    from ._sync.computer import Computer as Computer
    from ._sync.context import ContextService as ContextService
    from ._sync.context_manager import ContextManager as ContextManager
    from ._sync.env import Env as Env
    from ._sync.extension import ExtensionsService as ExtensionsService
    from ._sync.file_system import FileSystem as FileSystem
    from ._sync.file_transfer import FileTransfer as FileTransfer
    from ._sync.fingerprint import BrowserFingerprintGenerator as BrowserFingerprintGenerator
    from ._sync.git import Git as Git
    from ._sync.mobile import Mobile as Mobile
    from ._sync.mobile_simulate import MobileSimulateService as MobileSimulateService
    from ._sync.network import BetaNetworkService as BetaNetworkService
    from ._sync.oss import Oss as Oss
    from ._sync.process import ProcessHandle as ProcessHandle
    from ._sync.pty import Pty as Pty
    from ._sync.pty_handle import PtyHandle as PtyHandle
    from ._sync.session import Session as Session
    from ._sync.skills import BetaSkillsService as BetaSkillsService
    from ._sync.ui import UI as UI
    from ._sync.watch import FileWatch as FileWatch
    from ._sync.window import WindowManager as WindowManager
    from ._version import __version__ as __version__
    from .errors import AgentBayError as AgentBayError
    from .errors import AgentError as AgentError
    from .errors import AgentTimeoutError as AgentTimeoutError
    from .errors import APIError as APIError
    from .errors import ApplicationError as ApplicationError
    from .errors import Attempt as Attempt
    from .errors import AuthenticationError as AuthenticationError
    from .errors import BrowserError as BrowserError
    from .errors import BrowserTimeoutError as BrowserTimeoutError
    from .errors import ClearanceTimeoutError as ClearanceTimeoutError
    from .errors import CommandError as CommandError
    from .errors import CommandTimeoutError as CommandTimeoutError
    from .errors import ConfigError as ConfigError
    from .errors import ContextNotFoundError as ContextNotFoundError
    from .errors import ExecutionError as ExecutionError
    from .errors import FileError as FileError
    from .errors import FileTransferError as FileTransferError
    from .errors import FileTransferTimeoutError as FileTransferTimeoutError
    from .errors import GitAuthError as GitAuthError
    from .errors import GitConflictError as GitConflictError
    from .errors import GitError as GitError
    from .errors import GitNotARepoError as GitNotARepoError
    from .errors import GitNotFoundError as GitNotFoundError
    from .errors import InvalidInputError as InvalidInputError
    from .errors import OssError as OssError
    from .errors import ProcessError as ProcessError
    from .errors import ProcessTimeoutError as ProcessTimeoutError
    from .errors import ProtocolError as ProtocolError
    from .errors import PtyError as PtyError
    from .errors import PtyNotConnectedError as PtyNotConnectedError
    from .errors import PtySessionNotFoundError as PtySessionNotFoundError
    from .errors import PtyTimeoutError as PtyTimeoutError
    from .errors import RateLimitError as RateLimitError
    from .errors import RequestTimeoutError as RequestTimeoutError
    from .errors import SessionError as SessionError
    from .errors import SessionNotFoundError as SessionNotFoundError
    from .errors import SkillsError as SkillsError
    from .errors import ToolError as ToolError
    from .errors import TransportError as TransportError
    from .errors import UIError as UIError
    from .errors import WsCancelledError as WsCancelledError
    from .errors import WsConnectionClosedError as WsConnectionClosedError
    from .errors import WsHandshakeRejectedError as WsHandshakeRejectedError
    from .errors import WsProtocolError as WsProtocolError
    from .errors import WsRemoteError as WsRemoteError
    from .logger import AgentBayLogger as AgentBayLogger
    from .logger import get_logger as get_logger
    from .logger import log as log
    from .logger import log_api_response_with_details as log_api_response_with_details
    from .logger import mask_sensitive_data as mask_sensitive_data
    from .model.response import extract_request_id as extract_request_id
    from .protocol.agent import AgentEvent as AgentEvent
    from .protocol.application import InstalledApp as InstalledApp
    from .protocol.application import Process as Process
    from .protocol.bindings import ContextBinding as ContextBinding
    from .protocol.browser import BrowserFingerprint as BrowserFingerprint
    from .protocol.browser import BrowserFingerprintContext as BrowserFingerprintContext
    from .protocol.browser import BrowserNotifyMessage as BrowserNotifyMessage
    from .protocol.browser import BrowserOption as BrowserOption
    from .protocol.browser import BrowserProxy as BrowserProxy
    from .protocol.browser import BrowserScreen as BrowserScreen
    from .protocol.browser import BrowserViewport as BrowserViewport
    from .protocol.browser_operator import ObserveResult as ObserveResult
    from .protocol.code import CodeOutput as CodeOutput
    from .protocol.code import ExecutionLogs as ExecutionLogs
    from .protocol.code_stream import CodeEvent as CodeEvent
    from .protocol.code_stream import StreamError as StreamError
    from .protocol.computer import CursorPosition as CursorPosition
    from .protocol.computer import MouseButton as MouseButton
    from .protocol.computer import ScreenshotMode as ScreenshotMode
    from .protocol.computer import ScreenSize as ScreenSize
    from .protocol.computer import ScrollDirection as ScrollDirection
    from .protocol.context_files import ContextFileEntry as ContextFileEntry
    from .protocol.contexts import Context as Context
    from .protocol.contexts import ContextListParams as ContextListParams
    from .protocol.contexts import ContextStatusData as ContextStatusData
    from .protocol.extension import Extension as Extension
    from .protocol.extension import ExtensionOption as ExtensionOption
    from .protocol.extra_configs import AppManagerRule as AppManagerRule
    from .protocol.extra_configs import ExtraConfigs as ExtraConfigs
    from .protocol.extra_configs import MobileExtraConfig as MobileExtraConfig
    from .protocol.extra_configs import MobileSimulateConfig as MobileSimulateConfig
    from .protocol.extra_configs import MobileSimulateMode as MobileSimulateMode
    from .protocol.file_system import DirectoryEntry as DirectoryEntry
    from .protocol.file_system import FileChangeEvent as FileChangeEvent
    from .protocol.file_system import FileFacts as FileFacts
    from .protocol.fingerprint import FingerprintFormat as FingerprintFormat
    from .protocol.key_codes import KeyCode as KeyCode
    from .protocol.metrics import SessionMetrics as SessionMetrics
    from .protocol.sessions import SessionStatus as SessionStatus
    from .protocol.skills import ContextSkills as ContextSkills
    from .protocol.skills import SkillInfo as SkillInfo
    from .protocol.sync_policy import BWList as BWList
    from .protocol.sync_policy import DeletePolicy as DeletePolicy
    from .protocol.sync_policy import DownloadPolicy as DownloadPolicy
    from .protocol.sync_policy import DownloadStrategy as DownloadStrategy
    from .protocol.sync_policy import ExtractPolicy as ExtractPolicy
    from .protocol.sync_policy import Lifecycle as Lifecycle
    from .protocol.sync_policy import MappingPolicy as MappingPolicy
    from .protocol.sync_policy import RecyclePolicy as RecyclePolicy
    from .protocol.sync_policy import SyncPolicy as SyncPolicy
    from .protocol.sync_policy import UploadMode as UploadMode
    from .protocol.sync_policy import UploadPolicy as UploadPolicy
    from .protocol.sync_policy import UploadStrategy as UploadStrategy
    from .protocol.sync_policy import WhiteList as WhiteList
    from .protocol.ui import UIElement as UIElement
    from .protocol.window import Window as Window

# How tools that render the docstrings read them.
__docformat__ = "google"

_HOME = {
    "APIError": ".errors",
    "ActOptions": "._params.browser_operator",
    "ActResult": "._results.browser_operator",
    "AdbUrlResult": "._results.mobile",
    "Agent": "._sync.agent",
    "AgentBay": "._sync.client",
    "AgentBayError": ".errors",
    "AgentBayLogger": ".logger",
    "AgentBrowser": "._sync.agent",
    "AgentComputer": "._sync.agent",
    "AgentError": ".errors",
    "AgentEvent": ".protocol.agent",
    "AgentMobile": "._sync.agent",
    "AgentTimeoutError": ".errors",
    "ApiResponse": "._results.base",
    "AppManagerRule": ".protocol.extra_configs",
    "AppOperationResult": "._results.application",
    "ApplicationError": ".errors",
    "ApplicationManager": "._sync.application",
    "AsyncAgent": "._async.agent",
    "AsyncAgentBay": "._async.client",
    "AsyncAgentBrowser": "._async.agent",
    "AsyncAgentComputer": "._async.agent",
    "AsyncAgentMobile": "._async.agent",
    "AsyncApplicationManager": "._async.application",
    "AsyncBetaNamespace": "._async.beta",
    "AsyncBetaNetwork": "._aliases",
    "AsyncBetaNetworkService": "._async.network",
    "AsyncBetaSkillsService": "._async.skills",
    "AsyncBrowser": "._async.browser",
    "AsyncBrowserFingerprintGenerator": "._async.fingerprint",
    "AsyncBrowserOperator": "._async.browser_operator",
    "AsyncCode": "._async.code",
    "AsyncCommand": "._async.command",
    "AsyncComputer": "._async.computer",
    "AsyncContextManager": "._async.context_manager",
    "AsyncContextService": "._async.context",
    "AsyncEnv": "._async.env",
    "AsyncExtensionsService": "._async.extension",
    "AsyncFileSystem": "._async.file_system",
    "AsyncFileTransfer": "._async.file_transfer",
    "AsyncFileWatch": "._async.watch",
    "AsyncGit": "._async.git",
    "AsyncMobile": "._async.mobile",
    "AsyncMobileSimulateService": "._async.mobile_simulate",
    "AsyncOss": "._async.oss",
    "AsyncProcessHandle": "._async.process",
    "AsyncPty": "._async.pty",
    "AsyncPtyHandle": "._async.pty_handle",
    "AsyncSession": "._async.session",
    "AsyncTaskExecution": "._async.agent_task",
    "AsyncUI": "._async.ui",
    "AsyncWindowManager": "._async.window",
    "Attempt": ".errors",
    "AuthenticationError": ".errors",
    "BWList": ".protocol.sync_policy",
    "BaseResult": "._aliases",
    "BetaContextMount": "._params.mounts",
    "BetaContextMountAccessMode": "._params.mounts",
    "BetaContextMountStrategy": "._params.mounts",
    "BetaNamespace": "._sync.beta",
    "BetaNetwork": "._aliases",
    "BetaNetworkService": "._sync.network",
    "BetaSkillsService": "._sync.skills",
    "BinaryFileContentResult": "._results.file_system",
    "BoolResult": "._results.file_system",
    "Browser": "._sync.browser",
    "BrowserContext": "._params.browser",
    "BrowserError": ".errors",
    "BrowserFingerprint": ".protocol.browser",
    "BrowserFingerprintContext": ".protocol.browser",
    "BrowserFingerprintGenerator": "._sync.fingerprint",
    "BrowserNotifyMessage": ".protocol.browser",
    "BrowserOperator": "._sync.browser_operator",
    "BrowserOption": ".protocol.browser",
    "BrowserProxy": ".protocol.browser",
    "BrowserScreen": ".protocol.browser",
    "BrowserSyncMode": "._params.browser",
    "BrowserTimeoutError": ".errors",
    "BrowserViewport": ".protocol.browser",
    "ClearContextResult": "._results.context",
    "ClearanceTimeoutError": ".errors",
    "Code": "._sync.code",
    "CodeEvent": ".protocol.code_stream",
    "CodeExecutionResult": "._results.code",
    "CodeOutput": ".protocol.code",
    "Command": "._sync.command",
    "CommandError": ".errors",
    "CommandResult": "._results.command",
    "CommandTimeoutError": ".errors",
    "Computer": "._sync.computer",
    "Config": "._config",
    "ConfigError": ".errors",
    "Context": ".protocol.contexts",
    "ContextBindResult": "._results.context",
    "ContextBinding": ".protocol.bindings",
    "ContextBindingsResult": "._results.context",
    "ContextFileEntry": ".protocol.context_files",
    "ContextFileListResult": "._results.context",
    "ContextInfoResult": "._results.context",
    "ContextListParams": ".protocol.contexts",
    "ContextListResult": "._results.context",
    "ContextManager": "._sync.context_manager",
    "ContextNotFoundError": ".errors",
    "ContextResult": "._results.context",
    "ContextService": "._sync.context",
    "ContextSkills": ".protocol.skills",
    "ContextStatusData": ".protocol.contexts",
    "ContextSync": "._params",
    "ContextSyncResult": "._results.context",
    "CreateSessionParams": "._params",
    "CursorPosition": ".protocol.computer",
    "Deadline": "._deadline",
    "DeletePolicy": ".protocol.sync_policy",
    "DeleteResult": "._results.sessions",
    "DirectoryEntry": ".protocol.file_system",
    "DirectoryListResult": "._results.file_system",
    "DirectoryWatcher": "._async._watch_thread",
    "DownloadPolicy": ".protocol.sync_policy",
    "DownloadResult": "._results.file_system",
    "DownloadStrategy": ".protocol.sync_policy",
    "EditResult": "._results.file_system",
    "EnhancedCodeExecutionResult": "._results.code",
    "Env": "._sync.env",
    "EnvResult": "._results.env",
    "ExecutionError": ".errors",
    "ExecutionLogs": ".protocol.code",
    "ExecutionResult": "._results.agent",
    "Extension": ".protocol.extension",
    "ExtensionOption": ".protocol.extension",
    "ExtensionsService": "._sync.extension",
    "ExtraConfigs": ".protocol.extra_configs",
    "ExtractOptions": "._params.browser_operator",
    "ExtractPolicy": ".protocol.sync_policy",
    "FileChangeEvent": ".protocol.file_system",
    "FileChangeResult": "._results.file_system",
    "FileContentResult": "._results.file_system",
    "FileError": ".errors",
    "FileFacts": ".protocol.file_system",
    "FileInfoResult": "._results.file_system",
    "FileSearchResult": "._results.file_system",
    "FileSystem": "._sync.file_system",
    "FileTransfer": "._sync.file_transfer",
    "FileTransferError": ".errors",
    "FileTransferTimeoutError": ".errors",
    "FileUrlResult": "._results.context",
    "FileWatch": "._sync.watch",
    "FingerprintFormat": ".protocol.fingerprint",
    "GetSessionData": "._results.session_data",
    "GetSessionResult": "._results.session_data",
    "Git": "._sync.git",
    "GitAuthError": ".errors",
    "GitBranchInfo": "._results.git",
    "GitBranchListResult": "._results.git",
    "GitCloneResult": "._results.git",
    "GitCommitResult": "._results.git",
    "GitConflictError": ".errors",
    "GitError": ".errors",
    "GitFileStatus": "._results.git",
    "GitInitResult": "._results.git",
    "GitLogEntry": "._results.git",
    "GitLogResult": "._results.git",
    "GitNotARepoError": ".errors",
    "GitNotFoundError": ".errors",
    "GitStatusResult": "._results.git",
    "InstalledApp": ".protocol.application",
    "InstalledAppListResult": "._results.application",
    "InvalidInputError": ".errors",
    "KeyCode": ".protocol.key_codes",
    "Lifecycle": ".protocol.sync_policy",
    "LifecyclePolicy": "._params.lifecycle",
    "LinkResult": "._results.sessions",
    "ListSessionParams": "._params.listing",
    "MappingPolicy": ".protocol.sync_policy",
    "McpTool": "._results.sessions",
    "McpToolResult": "._results.sessions",
    "McpToolsResult": "._results.sessions",
    "Mobile": "._sync.mobile",
    "MobileExtraConfig": ".protocol.extra_configs",
    "MobileSimulateConfig": ".protocol.extra_configs",
    "MobileSimulateMode": ".protocol.extra_configs",
    "MobileSimulateService": "._sync.mobile_simulate",
    "MobileSimulateUploadResult": "._results.mobile",
    "MouseButton": ".protocol.computer",
    "MultipleFileContentResult": "._results.file_system",
    "NetworkResult": "._results.network",
    "NetworkStatusResult": "._results.network",
    "OSSClientResult": "._results.oss",
    "OSSDownloadResult": "._results.oss",
    "OSSUploadResult": "._results.oss",
    "ObserveOptions": "._params.browser_operator",
    "ObserveResult": ".protocol.browser_operator",
    "OperationResult": "._results.sessions",
    "Oss": "._sync.oss",
    "OssError": ".errors",
    "Process": ".protocol.application",
    "ProcessError": ".errors",
    "ProcessHandle": "._sync.process",
    "ProcessListResult": "._results.application",
    "ProcessTimeoutError": ".errors",
    "ProtocolError": ".errors",
    "Pty": "._sync.pty",
    "PtyError": ".errors",
    "PtyHandle": "._sync.pty_handle",
    "PtyNotConnectedError": ".errors",
    "PtySession": "._results.pty",
    "PtySessionNotFoundError": ".errors",
    "PtyTimeoutError": ".errors",
    "QueryResult": "._results.agent",
    "RateLimitError": ".errors",
    "RecyclePolicy": ".protocol.sync_policy",
    "RequestTimeoutError": ".errors",
    "Response": "._aliases",
    "RetryPolicy": "._retry",
    "ScreenSize": ".protocol.computer",
    "ScreenshotMode": ".protocol.computer",
    "ScreenshotResult": "._results.computer",
    "ScrollDirection": ".protocol.computer",
    "Session": "._sync.session",
    "SessionError": ".errors",
    "SessionId": "._results.sessions",
    "SessionInfo": "._results.sessions",
    "SessionListResult": "._results.sessions",
    "SessionMetrics": ".protocol.metrics",
    "SessionMetricsResult": "._results.lifecycle",
    "SessionNotFoundError": ".errors",
    "SessionPauseResult": "._results.lifecycle",
    "SessionResult": "._results.sessions",
    "SessionResumeResult": "._results.lifecycle",
    "SessionStatus": ".protocol.sessions",
    "SessionStatusResult": "._results.lifecycle",
    "SkillInfo": ".protocol.skills",
    "SkillsError": ".errors",
    "SkillsMetadataResult": "._results.skills",
    "StreamError": ".protocol.code_stream",
    "SyncPolicy": ".protocol.sync_policy",
    "TaskExecution": "._sync.agent_task",
    "ToolError": ".errors",
    "TransportError": ".errors",
    "UI": "._sync.ui",
    "UIElement": ".protocol.ui",
    "UIElementListResult": "._results.ui",
    "UIError": ".errors",
    "UploadMode": ".protocol.sync_policy",
    "UploadPolicy": ".protocol.sync_policy",
    "UploadResult": "._results.file_system",
    "UploadStrategy": ".protocol.sync_policy",
    "WhiteList": ".protocol.sync_policy",
    "Window": ".protocol.window",
    "WindowInfoResult": "._results.window",
    "WindowListResult": "._results.window",
    "WindowManager": "._sync.window",
    "WsCancelledError": ".errors",
    "WsConnectionClosedError": ".errors",
    "WsHandshakeRejectedError": ".errors",
    "WsProtocolError": ".errors",
    "WsRemoteError": ".errors",
    "__version__": "._version",
    "extract_request_id": ".model.response",
    "get_logger": ".logger",
    "log": ".logger",
    "log_api_response_with_details": ".logger",
    "mask_sensitive_data": ".logger",
}
__all__ = [
    "UI",
    "APIError",
    "ActOptions",
    "ActResult",
    "AdbUrlResult",
    "Agent",
    "AgentBay",
    "AgentBayError",
    "AgentBayLogger",
    "AgentBrowser",
    "AgentComputer",
    "AgentError",
    "AgentEvent",
    "AgentMobile",
    "AgentTimeoutError",
    "ApiResponse",
    "AppManagerRule",
    "AppOperationResult",
    "ApplicationError",
    "ApplicationManager",
    "AsyncAgent",
    "AsyncAgentBay",
    "AsyncAgentBrowser",
    "AsyncAgentComputer",
    "AsyncAgentMobile",
    "AsyncApplicationManager",
    "AsyncBetaNamespace",
    "AsyncBetaNetwork",
    "AsyncBetaNetworkService",
    "AsyncBetaSkillsService",
    "AsyncBrowser",
    "AsyncBrowserFingerprintGenerator",
    "AsyncBrowserOperator",
    "AsyncCode",
    "AsyncCommand",
    "AsyncComputer",
    "AsyncContextManager",
    "AsyncContextService",
    "AsyncEnv",
    "AsyncExtensionsService",
    "AsyncFileSystem",
    "AsyncFileTransfer",
    "AsyncFileWatch",
    "AsyncGit",
    "AsyncMobile",
    "AsyncMobileSimulateService",
    "AsyncOss",
    "AsyncProcessHandle",
    "AsyncPty",
    "AsyncPtyHandle",
    "AsyncSession",
    "AsyncTaskExecution",
    "AsyncUI",
    "AsyncWindowManager",
    "Attempt",
    "AuthenticationError",
    "BWList",
    "BaseResult",
    "BetaContextMount",
    "BetaContextMountAccessMode",
    "BetaContextMountStrategy",
    "BetaNamespace",
    "BetaNetwork",
    "BetaNetworkService",
    "BetaSkillsService",
    "BinaryFileContentResult",
    "BoolResult",
    "Browser",
    "BrowserContext",
    "BrowserError",
    "BrowserFingerprint",
    "BrowserFingerprintContext",
    "BrowserFingerprintGenerator",
    "BrowserNotifyMessage",
    "BrowserOperator",
    "BrowserOption",
    "BrowserProxy",
    "BrowserScreen",
    "BrowserSyncMode",
    "BrowserTimeoutError",
    "BrowserViewport",
    "ClearContextResult",
    "ClearanceTimeoutError",
    "Code",
    "CodeEvent",
    "CodeExecutionResult",
    "CodeOutput",
    "Command",
    "CommandError",
    "CommandResult",
    "CommandTimeoutError",
    "Computer",
    "Config",
    "ConfigError",
    "Context",
    "ContextBindResult",
    "ContextBinding",
    "ContextBindingsResult",
    "ContextFileEntry",
    "ContextFileListResult",
    "ContextInfoResult",
    "ContextListParams",
    "ContextListResult",
    "ContextManager",
    "ContextNotFoundError",
    "ContextResult",
    "ContextService",
    "ContextSkills",
    "ContextStatusData",
    "ContextSync",
    "ContextSyncResult",
    "CreateSessionParams",
    "CursorPosition",
    "Deadline",
    "DeletePolicy",
    "DeleteResult",
    "DirectoryEntry",
    "DirectoryListResult",
    "DirectoryWatcher",
    "DownloadPolicy",
    "DownloadResult",
    "DownloadStrategy",
    "EditResult",
    "EnhancedCodeExecutionResult",
    "Env",
    "EnvResult",
    "ExecutionError",
    "ExecutionLogs",
    "ExecutionResult",
    "Extension",
    "ExtensionOption",
    "ExtensionsService",
    "ExtraConfigs",
    "ExtractOptions",
    "ExtractPolicy",
    "FileChangeEvent",
    "FileChangeResult",
    "FileContentResult",
    "FileError",
    "FileFacts",
    "FileInfoResult",
    "FileSearchResult",
    "FileSystem",
    "FileTransfer",
    "FileTransferError",
    "FileTransferTimeoutError",
    "FileUrlResult",
    "FileWatch",
    "FingerprintFormat",
    "GetSessionData",
    "GetSessionResult",
    "Git",
    "GitAuthError",
    "GitBranchInfo",
    "GitBranchListResult",
    "GitCloneResult",
    "GitCommitResult",
    "GitConflictError",
    "GitError",
    "GitFileStatus",
    "GitInitResult",
    "GitLogEntry",
    "GitLogResult",
    "GitNotARepoError",
    "GitNotFoundError",
    "GitStatusResult",
    "InstalledApp",
    "InstalledAppListResult",
    "InvalidInputError",
    "KeyCode",
    "Lifecycle",
    "LifecyclePolicy",
    "LinkResult",
    "ListSessionParams",
    "MappingPolicy",
    "McpTool",
    "McpToolResult",
    "McpToolsResult",
    "Mobile",
    "MobileExtraConfig",
    "MobileSimulateConfig",
    "MobileSimulateMode",
    "MobileSimulateService",
    "MobileSimulateUploadResult",
    "MouseButton",
    "MultipleFileContentResult",
    "NetworkResult",
    "NetworkStatusResult",
    "OSSClientResult",
    "OSSDownloadResult",
    "OSSUploadResult",
    "ObserveOptions",
    "ObserveResult",
    "OperationResult",
    "Oss",
    "OssError",
    "Process",
    "ProcessError",
    "ProcessHandle",
    "ProcessListResult",
    "ProcessTimeoutError",
    "ProtocolError",
    "Pty",
    "PtyError",
    "PtyHandle",
    "PtyNotConnectedError",
    "PtySession",
    "PtySessionNotFoundError",
    "PtyTimeoutError",
    "QueryResult",
    "RateLimitError",
    "RecyclePolicy",
    "RequestTimeoutError",
    "Response",
    "RetryPolicy",
    "ScreenSize",
    "ScreenshotMode",
    "ScreenshotResult",
    "ScrollDirection",
    "Session",
    "SessionError",
    "SessionId",
    "SessionInfo",
    "SessionListResult",
    "SessionMetrics",
    "SessionMetricsResult",
    "SessionNotFoundError",
    "SessionPauseResult",
    "SessionResult",
    "SessionResumeResult",
    "SessionStatus",
    "SessionStatusResult",
    "SkillInfo",
    "SkillsError",
    "SkillsMetadataResult",
    "StreamError",
    "SyncPolicy",
    "TaskExecution",
    "ToolError",
    "TransportError",
    "UIElement",
    "UIElementListResult",
    "UIError",
    "UploadMode",
    "UploadPolicy",
    "UploadResult",
    "UploadStrategy",
    "WhiteList",
    "Window",
    "WindowInfoResult",
    "WindowListResult",
    "WindowManager",
    "WsCancelledError",
    "WsConnectionClosedError",
    "WsHandshakeRejectedError",
    "WsProtocolError",
    "WsRemoteError",
    "__version__",
    "extract_request_id",
    "get_logger",
    "log",
    "log_api_response_with_details",
    "mask_sensitive_data",
]


# Names that the current generation of the vendor's package has with an underscore before them.
_UNDERSCORED = {
    "_BROWSER_DATA_PATH": ".config",
    "_colorize_log_message": ".logger",
    "_default_config": ".config",
    "_find_dotenv_file": ".config",
    "_generate_random_context_name": ".agentbay",
    "_load_config": ".config",
    "_load_dotenv_with_fallback": ".config",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name) or _UNDERSCORED.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own = name.removeprefix("_") if name in _UNDERSCORED else name
    value = globals()[name] = getattr(import_module(home, __name__), own)
    return value


def __dir__() -> list[str]:
    return __all__
