"""The errors, under the path that existing programs import from."""

from agentbay import AgentBayError as AgentBayError
from agentbay import AgentError as AgentError
from agentbay import APIError as APIError
from agentbay import ApplicationError as ApplicationError
from agentbay import AuthenticationError as AuthenticationError
from agentbay import BrowserError as BrowserError
from agentbay import ClearanceTimeoutError as ClearanceTimeoutError
from agentbay import CommandError as CommandError
from agentbay import FileError as FileError
from agentbay import GitAuthError as GitAuthError
from agentbay import GitConflictError as GitConflictError
from agentbay import GitError as GitError
from agentbay import GitNotARepoError as GitNotARepoError
from agentbay import GitNotFoundError as GitNotFoundError
from agentbay import OssError as OssError
from agentbay import PtyError as PtyError
from agentbay import PtyNotConnectedError as PtyNotConnectedError
from agentbay import PtySessionNotFoundError as PtySessionNotFoundError
from agentbay import SessionError as SessionError
from agentbay import UIError as UIError
from agentbay import WsCancelledError as WsCancelledError
