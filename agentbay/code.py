"""Code that runs in a session, under the path that existing programs import from."""

from agentbay import Code as Code
from agentbay import CodeExecutionResult as CodeExecutionResult
