"""Git in a session, under the path that existing programs import from."""

from agentbay import Git as Git
from agentbay import GitAuthError as GitAuthError
from agentbay import GitConflictError as GitConflictError
from agentbay import GitError as GitError
from agentbay import GitNotARepoError as GitNotARepoError
from agentbay import GitNotFoundError as GitNotFoundError
