"""What the service offers without promising to keep it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import AsyncAgentBay
    from .network import AsyncBetaNetworkService
    from .skills import AsyncBetaSkillsService


class AsyncBetaNamespace:
    """What the service offers without promising to keep it: `bay.beta`."""

    def __init__(self, agent_bay: AsyncAgentBay) -> None:
        self._bay = agent_bay

    @cached_property
    def skills(self) -> AsyncBetaSkillsService:
        """Skills that sessions can be given; the same as `bay.beta_skills`."""
        return self._bay.beta_skills

    @cached_property
    def network(self) -> AsyncBetaNetworkService:
        """Networks that sessions can join; the same as `bay.beta_network`."""
        return self._bay.beta_network
