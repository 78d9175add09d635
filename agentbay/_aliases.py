"""Classes that existing programs know under further names."""

from agentbay import ApiResponse as BaseResult
from agentbay import ApiResponse as Response
from agentbay import AsyncBetaNetworkService as AsyncBetaNetwork
from agentbay import AsyncBetaSkillsService as AsyncSkillsService
from agentbay import BetaNetworkService as BetaNetwork
from agentbay import BetaNetworkService as SyncBetaNetworkService
from agentbay import BetaSkillsService as SyncBetaSkillsService
from agentbay import BetaSkillsService as SyncSkillsService
from agentbay import BrowserOperator as BrowserAgent

__all__ = [
    "AsyncBetaNetwork",
    "AsyncSkillsService",
    "BaseResult",
    "BetaNetwork",
    "BrowserAgent",
    "Response",
    "SyncBetaNetworkService",
    "SyncBetaSkillsService",
    "SyncSkillsService",
]
