"""Sessions, under the path that existing programs import from."""

from agentbay import Session as Session
from agentbay import SessionInfo as SessionInfo
