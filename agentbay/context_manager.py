"""Contexts of a session, under the path that existing programs import from."""

from agentbay import ContextInfoResult as ContextInfoResult
from agentbay import ContextManager as ContextManager
from agentbay import ContextStatusData as ContextStatusData
from agentbay import ContextSyncResult as ContextSyncResult
