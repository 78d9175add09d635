"""Windows of a desktop, under the path that existing programs import from."""

from agentbay import Window as Window
from agentbay import WindowInfoResult as WindowInfoResult
from agentbay import WindowListResult as WindowListResult
from agentbay import WindowManager as WindowManager
