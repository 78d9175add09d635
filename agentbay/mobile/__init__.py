"""The phone of a session, under the path that existing programs import from."""

from agentbay import KeyCode as KeyCode
from agentbay import Mobile as Mobile
from agentbay import UIElementListResult as UIElementListResult
