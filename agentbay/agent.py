"""Tasks in natural language, under the path that existing programs import from."""

from agentbay import Agent as Agent
from agentbay import ExecutionResult as ExecutionResult
from agentbay import QueryResult as QueryResult
