"""The client, under the path that existing programs import from."""

import secrets
import string
from datetime import datetime

from agentbay import AgentBay as AgentBay
from agentbay import Config as Config

_LETTERS = string.ascii_letters + string.digits


def generate_random_context_name(length: int = 8, include_timestamp: bool = True) -> str:
    """A name that no other context has.

    Args:
        length: How many random letters and digits it has.
        include_timestamp: Whether it begins with the local time, to the second.
    """
    letters = "".join(secrets.choice(_LETTERS) for _ in range(length))
    return f"{datetime.now():%Y%m%d%H%M%S}_{letters}" if include_timestamp else letters
