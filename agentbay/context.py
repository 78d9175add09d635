"""Contexts of the account, under the path that existing programs import from."""

from agentbay import ClearContextResult as ClearContextResult
from agentbay import Context as Context
from agentbay import ContextFileEntry as ContextFileEntry
from agentbay import ContextFileListResult as ContextFileListResult
from agentbay import ContextListParams as ContextListParams
from agentbay import ContextListResult as ContextListResult
from agentbay import ContextResult as ContextResult
from agentbay import ContextService as ContextService
from agentbay import FileUrlResult as FileUrlResult
