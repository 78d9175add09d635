"""Networks of the account, which sessions can join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._results.base import reported
from .._results.network import NetworkResult, NetworkStatusResult
from ..protocol.network import CreateNetwork, DescribeNetwork

if TYPE_CHECKING:
    from .client import AsyncAgentBay


class AsyncBetaNetworkService:
    """Networks that join sessions and machines of yours.

    A machine joins with a token and the vendor's binding program; a session joins when
    `CreateSessionParams.beta_network_id` names the network.

    Example:
        ```python
        network = await bay.beta_network.get_network_bind_token()
        params = CreateSessionParams(beta_network_id=network.network_id)
        ```
    """

    def __init__(self, agent_bay: AsyncAgentBay) -> None:
        self._client = agent_bay.client
        self._region_id = agent_bay.region_id

    @reported(NetworkResult)
    async def get_network_bind_token(self, network_id: str | None = None) -> NetworkResult:
        """Get the credential with which a machine joins a network.

        Args:
            network_id: Which network; a new one is created by default.
        """
        call = CreateNetwork(network_id=network_id or None, login_region_id=self._region_id or None)
        reply = await self._client.send(call)
        found = reply.value
        return NetworkResult(reply.request_id, True, found.network_id, found.network_token)

    @reported(NetworkStatusResult)
    async def describe(self, network_id: str) -> NetworkStatusResult:
        """Tell whether a machine is joined to a network.

        Args:
            network_id: Which network.
        """
        reply = await self._client.send(DescribeNetwork(network_id))
        return NetworkStatusResult(reply.request_id, True, reply.value.online)
