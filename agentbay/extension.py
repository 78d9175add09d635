"""Extensions of a browser, under the path that existing programs import from."""

from agentbay import Extension as Extension
from agentbay import ExtensionOption as ExtensionOption
from agentbay import ExtensionsService as ExtensionsService
from agentbay.protocol.extension import EXTENSIONS_BASE_PATH as EXTENSIONS_BASE_PATH
