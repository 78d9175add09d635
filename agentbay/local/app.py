"""The engine as a web application, with everything that it may be asked for imported.

A server has time for that before its first request. The engine inside a process has not.
"""

from __future__ import annotations

# Imported for their handlers, which `handles`, `handles_tool` and `handles_method` register.
from . import (
    application,
    bindings,
    browser,
    browser_operator,
    code,
    command,
    computer,
    context_files,
    contexts,
    env,
    file_system,
    lifecycle,
    metrics,
    mobile,
    oss,
    pty,
    sessions,
    skills,
    tools,
    ui,
    watch,
    window,
)
from ._web import create_app

__all__ = [
    "application",
    "bindings",
    "browser",
    "browser_operator",
    "code",
    "command",
    "computer",
    "context_files",
    "contexts",
    "create_app",
    "env",
    "file_system",
    "lifecycle",
    "metrics",
    "mobile",
    "oss",
    "pty",
    "sessions",
    "skills",
    "tools",
    "ui",
    "watch",
    "window",
]
