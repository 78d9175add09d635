"""The desktop of a session, under the path that existing programs import from."""

from agentbay import Computer as Computer
from agentbay import MouseButton as MouseButton
from agentbay import ScreenshotMode as ScreenshotMode
from agentbay import ScreenSize as ScreenSize
from agentbay import ScrollDirection as ScrollDirection
