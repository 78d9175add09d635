"""The operator of a browser, under the path that existing programs import from."""

from agentbay import ActOptions as ActOptions
from agentbay import ActResult as ActResult
from agentbay import ExtractOptions as ExtractOptions
from agentbay import ObserveOptions as ObserveOptions
from agentbay import ObserveResult as ObserveResult
from agentbay._aliases import BrowserAgent as BrowserAgent
