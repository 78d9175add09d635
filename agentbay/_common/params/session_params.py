"""What a session is asked to be, under the path that existing programs import from."""

from agentbay import BrowserContext as BrowserContext
from agentbay import BrowserSyncMode as BrowserSyncMode
from agentbay import CreateSessionParams as CreateSessionParams
from agentbay import ListSessionParams as ListSessionParams
