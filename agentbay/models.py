"""Tools of a session, under the path that existing programs import from."""

from agentbay import McpTool as McpTool
