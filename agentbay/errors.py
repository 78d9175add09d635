"""Everything that can go wrong, as one tree.

```text
AgentBayError                 .request_id  .action  .code  .attempts
├─ ConfigError                also a ValueError: no key, unknown region ...
├─ InvalidInputError          also a ValueError: an argument, refused before anything is sent
├─ TransportError             no reply came back; `__cause__` is the network error
│  ├─ RequestTimeoutError     also a TimeoutError
│  ├─ WsHandshakeRejectedError the session did not take the WebSocket: .status_code
│  └─ WsConnectionClosedError the WebSocket of a session was lost or closed: .close_code
├─ APIError                   the service said no: .code  .status_code  .retry_after
│  ├─ AuthenticationError
│  ├─ SessionNotFoundError
│  ├─ ContextNotFoundError
│  └─ RateLimitError
├─ ProtocolError              a reply that makes no sense
│  └─ WsProtocolError         a message on the WebSocket of a session
├─ WsRemoteError              the other side of the WebSocket said no: .data
├─ WsCancelledError           a stream that was cancelled here
├─ ToolError                  a tool of a session said no: .tool
│  ├─ CommandError            .exit_code  .stdout  .stderr
│  │  └─ CommandTimeoutError  also a TimeoutError
│  ├─ AgentError              a task in natural language failed, or could not be begun
│  │  └─ AgentTimeoutError    also a TimeoutError
│  ├─ ProcessError            a program that was started cannot be handled
│  │  └─ ProcessTimeoutError  also a TimeoutError
│  ├─ FileError
│  ├─ ApplicationError
│  ├─ UIError
│  ├─ OssError
│  └─ ExecutionError          .name  .value  .traceback
├─ BrowserError               also a RuntimeError: the browser of a session
│  └─ BrowserTimeoutError     also a TimeoutError: a task on a page has not ended yet
├─ GitError                   what the methods of `git` raise: .exit_code  .stderr
│  ├─ GitAuthError
│  ├─ GitNotARepoError
│  ├─ GitConflictError
│  └─ GitNotFoundError        there is no git
├─ PtyError                   a terminal of a session: refused, or broken
│  ├─ PtySessionNotFoundError there is no such terminal, or it has ended
│  ├─ PtyNotConnectedError    its handle was disconnected, or it has ended
│  └─ PtyTimeoutError         also a TimeoutError: it has not ended yet
├─ FileTransferError          a file did not get from here to a session, or back
│  └─ FileTransferTimeoutError also a TimeoutError
├─ SkillsError                also a RuntimeError: what the metadata of skills raises
├─ SessionError               what `Session.info`, `get_link` and the label methods raise
└─ ClearanceTimeoutError      also a TimeoutError
```
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Attempt(NamedTuple):
    """One of the times that a request was sent.

    Attributes:
        error: Why it failed.
        seconds: How long it took.
    """

    error: str
    seconds: float


class AgentBayError(Exception):
    """The root of every error that this package raises on purpose.

    Attributes:
        request_id: Identifier of the API request that failed; empty when nothing was sent.
        action: Name of the API action; empty when the failure was not an API call.
        code: Error code of the service, such as ``InvalidMcpSession.NotFound``; else empty.
        attempts: Every time that the request was sent, the last one too; empty when it was no
            request.
        extra: Further keyword arguments, as given.
    """

    default_message = ""
    attempts: tuple[Attempt, ...] = ()

    def __init__(
        self,
        message: str | None = None,
        *args: object,
        request_id: str = "",
        action: str = "",
        code: str = "",
        **extra: Any,
    ) -> None:
        text = message if message is not None else self.default_message or type(self).__name__
        super().__init__(text, *args)
        self.request_id = request_id
        self.action = action
        self.code = code
        self.extra = extra

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(AgentBayError, ValueError):
    """The client cannot be set up: a setting is missing or makes no sense."""


class InvalidInputError(AgentBayError, ValueError):
    """An argument was refused before anything was sent."""


class TransportError(AgentBayError):
    """No reply came back from the service. `__cause__` is the network error.

    Attributes:
        sent: False when no connection was made, so that nothing can have happened.
    """

    def __init__(self, message: str | None = None, *, sent: bool = True, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.sent = sent


class RequestTimeoutError(TransportError, TimeoutError):
    """The service did not answer within the time limit."""


class WsHandshakeRejectedError(TransportError):
    """A session did not open its WebSocket to this client.

    Attributes:
        status_code: HTTP status of the refusal.
    """

    def __init__(
        self, message: str | None = None, status_code: int = 0, *, sent: bool = False, **facts: Any
    ) -> None:
        super().__init__(message, sent=sent, **facts)
        self.status_code = status_code


class WsConnectionClosedError(TransportError):
    """The WebSocket of a session was lost or closed before the answer came.

    Attributes:
        close_code: The code that the other side closed it with; None when it just broke.
    """

    default_message = "the WebSocket of the session is closed"

    def __init__(
        self, message: str | None = None, *, close_code: int | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.close_code = close_code


class APIError(AgentBayError):
    """The service refused a request.

    Attributes:
        status_code: HTTP status of the reply; 200 when only the envelope said no.
        retry_after: Seconds that the service asks to wait; None when it did not say.
    """

    default_message = "API error"

    def __init__(
        self,
        message: str | None = None,
        status_code: int = 0,
        *args: object,
        retry_after: float | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, *args, **facts)
        self.status_code = status_code
        self.retry_after = retry_after


class AuthenticationError(APIError):
    """The API key is missing, wrong, expired, or belongs to another region."""

    default_message = "Authentication failed"


class SessionNotFoundError(APIError):
    """The session does not exist, or it was released."""


class ContextNotFoundError(APIError):
    """The context does not exist, or it was deleted."""


class RateLimitError(APIError):
    """Too many requests; `retry_after` says when to come back."""


class ProtocolError(AgentBayError):
    """The service sent a reply that makes no sense."""


class WsProtocolError(ProtocolError):
    """A message on the WebSocket of a session makes no sense."""


class WsRemoteError(AgentBayError):
    """The other side of the WebSocket of a session refused a call, or failed.

    Attributes:
        data: What it sent with the refusal.
    """

    default_message = "the session refused the call"

    def __init__(
        self, message: str | None = None, *, data: dict[str, Any] | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.data: dict[str, Any] = {} if data is None else data


class WsCancelledError(AgentBayError):
    """A stream of a session was cancelled on this side."""

    default_message = "the stream was cancelled"


class ToolError(AgentBayError):
    """A tool of a session refused a call or failed.

    Attributes:
        tool: Name of the tool; empty when unknown.
    """

    def __init__(
        self, message: str | None = None, *args: object, tool: str = "", **facts: Any
    ) -> None:
        super().__init__(message, *args, **facts)
        self.tool = tool


class CommandError(ToolError):
    """A command could not be run, or did not exit with 0.

    Attributes:
        exit_code: Exit status of the command; None when it did not exit by itself.
        stdout: What it wrote to standard output.
        stderr: What it wrote to standard error.
    """

    default_message = "Command execution error"

    def __init__(
        self,
        message: str | None = None,
        *args: object,
        exit_code: int | None = None,
        stdout: str = "",
        stderr: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, *args, **facts)
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class CommandTimeoutError(CommandError, TimeoutError):
    """A command ran into its time limit and was killed; what it wrote is kept."""


class ProcessError(ToolError):
    """A program that was started in a session is not known, or cannot be handled."""

    default_message = "Process error"


class ProcessTimeoutError(ProcessError, TimeoutError):
    """A program still runs at the end of the time that was waited for it."""


class AgentError(ToolError):
    """A task in natural language could not be begun, failed, or was ended."""

    default_message = "Agent action error"


class AgentTimeoutError(AgentError, TimeoutError):
    """A task did not end in the time that was waited for it."""


class FileError(ToolError):
    """A file operation failed."""

    default_message = "File operation error"


class ApplicationError(ToolError):
    """An application could not be found, started or stopped."""

    default_message = "Application operation error"


class UIError(ToolError):
    """Something could not be done on the screen of a mobile device."""

    default_message = "UI operation error"


class OssError(ToolError):
    """A transfer to or from Object Storage Service failed."""

    default_message = "OSS operation error"


class ExecutionError(ToolError):
    """Code was run and failed, or could not be run.

    Attributes:
        name: Name of the exception, such as ``NameError``; ``ExecutionError`` when unknown.
        value: What the exception says.
        traceback: Where it was raised; empty when unknown.
    """

    default_message = "Code execution error"

    def __init__(
        self,
        message: str | None = None,
        *,
        name: str = "ExecutionError",
        value: str = "",
        traceback: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.name = name
        self.value: str = value or str(self)
        self.traceback = traceback


class GitError(AgentBayError):
    """A git command failed.

    Attributes:
        exit_code: Exit status of git; None when it did not exit by itself.
        stderr: What it wrote to standard error.
    """

    default_message = "Git operation error"

    def __init__(
        self,
        message: str | None = None,
        exit_code: int | None = 1,
        stderr: str = "",
        *args: object,
        **facts: Any,
    ) -> None:
        super().__init__(message, *args, **facts)
        self.exit_code = exit_code
        self.stderr = stderr


class GitAuthError(GitError):
    """A remote repository refused the credentials, or asked for some."""

    default_message = "Git authentication error"


class GitNotARepoError(GitError):
    """A path holds no git repository."""

    default_message = "Not a git repository"

    def __init__(
        self,
        message: str | None = None,
        exit_code: int | None = 128,
        stderr: str = "",
        *args: object,
        **facts: Any,
    ) -> None:
        super().__init__(message, exit_code, stderr, *args, **facts)


class GitConflictError(GitError):
    """Changes contradict each other, and git needs a decision."""

    default_message = "Git merge conflict"


class GitNotFoundError(GitError):
    """The session has no git."""

    default_message = "Git not found"

    def __init__(
        self,
        message: str | None = None,
        exit_code: int | None = 127,
        stderr: str = "",
        *args: object,
        **facts: Any,
    ) -> None:
        super().__init__(message, exit_code, stderr, *args, **facts)


class SessionError(AgentBayError):
    """An operation on a session failed."""

    default_message = "Session error"


class BrowserError(AgentBayError, RuntimeError):
    """The browser of a session cannot do what it was asked for."""

    default_message = "Browser error"


class BrowserTimeoutError(BrowserError, TimeoutError):
    """What was asked of a page has not ended within its time limit."""


class PtyError(AgentBayError):
    """A terminal of a session could not be made or used, or broke."""

    default_message = "PTY operation error"


class PtySessionNotFoundError(PtyError):
    """The session has no such terminal: it never had, or the terminal has ended."""

    default_message = "PTY session not found"


class PtyNotConnectedError(PtyError):
    """The handle of a terminal was disconnected, or the terminal has ended."""

    default_message = "PTY handle is not connected"


class PtyTimeoutError(PtyError, TimeoutError):
    """A terminal still runs at the end of the time that was waited for it."""


class FileTransferError(AgentBayError):
    """A file did not get from the local machine to a session, or back."""

    default_message = "File transfer error"


class FileTransferTimeoutError(FileTransferError, TimeoutError):
    """The service did not finish its part of a file transfer within the time limit."""


class SkillsError(AgentBayError, RuntimeError):
    """The metadata of skills could not be read."""

    default_message = "Skills error"


class ClearanceTimeoutError(AgentBayError, TimeoutError):
    """Clearing a context took longer than its time limit."""

    default_message = "Context clearing operation timed out"


def api_error(
    message: str,
    *,
    code: str,
    status_code: int,
    request_id: str,
    action: str,
    retry_after: float | None = None,
) -> APIError:
    """Make the error class that a status and an error code stand for."""
    text = f"[{code}] {message}" if code else message
    kind = _error_class(code, status_code)
    facts: dict[str, Any] = {"code": code, "request_id": request_id, "action": action}
    return kind(text, status_code, retry_after=retry_after, **facts)


_BY_CODE: dict[str, type[APIError]] = {
    "NOT_LOGIN": AuthenticationError,
    "InvalidMcpSession.NotFound": SessionNotFoundError,
    "SessionNotFound": SessionNotFoundError,
    "Context.NotFound": ContextNotFoundError,
    "ContextNotFound": ContextNotFoundError,
    "Throttling": RateLimitError,
    "Throttling.User": RateLimitError,
    "Throttling.Api": RateLimitError,
}


def _error_class(code: str, status_code: int) -> type[APIError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status_code == 401:
        return AuthenticationError
    if status_code == 429:
        return RateLimitError
    return APIError
