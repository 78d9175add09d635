"""Commands of a session, under the path that existing programs import from."""

from agentbay import Command as Command
from agentbay import CommandResult as CommandResult
