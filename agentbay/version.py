"""The version, under the path that existing programs import from."""

from agentbay import __version__ as __version__

__is_release__ = True
