"""Networks of the account, which sessions can join."""

from __future__ import annotations

import attrs

from ._calls import Action, not_blank
from ._wire import Pascal


@attrs.frozen
class NetworkToken(Pascal):
    """A network, and the credential with which a machine joins it."""

    network_id: str = ""
    network_token: str = attrs.field(default="", repr=False)


@attrs.frozen
class NetworkState(Pascal):
    """Whether a machine is joined to a network."""

    online: bool = False


@attrs.frozen(kw_only=True)
class CreateNetwork(Action[NetworkToken], action="CreateNetwork", returns=NetworkToken):
    """Create a network, or get a new credential for one that exists."""

    network_id: str | None = None
    login_region_id: str | None = None


@attrs.frozen
class DescribeNetwork(Action[NetworkState], action="DescribeNetwork", returns=NetworkState):
    """Tell whether a machine is joined to a network."""

    network_id: str = attrs.field(validator=not_blank)
