"""HTTP: one `httpx.AsyncClient` per running event loop, and what a reply means."""

from ._client import ApiClient
from ._files import Stored
from ._replies import Answer, Reply

__all__ = ["Answer", "ApiClient", "Reply", "Stored"]
