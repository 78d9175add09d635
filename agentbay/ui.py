"""The screen of a session, under the path that existing programs import from."""

from agentbay import UI as UI
from agentbay import KeyCode as KeyCode
from agentbay import UIElementListResult as UIElementListResult
