"""The browser of a session, under the path that existing programs import from."""

from agentbay import BrowserFingerprint as BrowserFingerprint
from agentbay import BrowserFingerprintContext as BrowserFingerprintContext
from agentbay import BrowserNotifyMessage as BrowserNotifyMessage
from agentbay import BrowserOption as BrowserOption
from agentbay import BrowserProxy as BrowserProxy
from agentbay import BrowserScreen as BrowserScreen
from agentbay import BrowserViewport as BrowserViewport
