"""Settings of a client, as programs of the first generation look them up.

A client looks its settings up by itself; nothing in the package needs this module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agentbay import Config, ConfigError
from agentbay._config import _HOSTS, DEFAULT_REGION, DEFAULT_TIMEOUT, resolve
from agentbay._dotenv import parse_dotenv

BROWSER_DATA_PATH = "/tmp/agentbay_browser"


def default_config() -> dict[str, Any]:
    """The settings of a client that is told nothing."""
    return {
        "endpoint": _HOSTS[DEFAULT_REGION],
        "timeout_ms": round(DEFAULT_TIMEOUT * 1000),
        "region_id": DEFAULT_REGION,
    }


def find_dotenv_file(start_path: Path | None = None) -> Path | None:
    """The first ``.env`` from a directory upwards; None when there is none.

    Args:
        start_path: Where to begin; the working directory by default.
    """
    start = Path(start_path or Path.cwd()).absolute()
    paths = (directory / ".env" for directory in (start, *start.parents))
    return next((path for path in paths if path.is_file()), None)


def load_dotenv_with_fallback(custom_env_path: str | None = None) -> None:
    """Put the ``AGENTBAY_`` settings of a file into the environment, where they are not set.

    Args:
        custom_env_path: The file; the first ``.env`` from the working directory upwards when
            None, or when there is no such file.

    Raises:
        ConfigError: The file cannot be read.
    """
    named = Path(custom_env_path) if custom_env_path else None
    path = named if named and named.is_file() else find_dotenv_file()
    if path is None:
        return
    try:
        found = parse_dotenv(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{str(path)!r} cannot be read: {exc}") from exc
    for name, value in found.items():
        os.environ.setdefault(name, value)


def load_config(cfg: Config | None, custom_env_path: str | None = None) -> dict[str, Any]:
    """Look up the settings of a client: from `cfg`, else from the environment and a file.

    Args:
        cfg: Settings that come before all others.
        custom_env_path: A file of settings; the first ``.env`` found by default.

    Raises:
        ConfigError: A setting makes no sense.
    """
    settings = resolve("unused", cfg, custom_env_path)
    return {
        "endpoint": settings.endpoint.removeprefix("https://"),
        "timeout_ms": round(settings.timeout * 1000),
        "region_id": settings.region_id,
    }
