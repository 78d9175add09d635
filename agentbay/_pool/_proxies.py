"""The proxies that the environment names, as httpx honours them."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping


def proxies(found: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Which addresses go through which proxy: patterns of httpx, None for none.

    Args:
        found: Proxies by scheme, and hosts to spare as ``no``; those of the system by default.
    """
    named = _found() if found is None else found
    spared = [host.strip() for host in named.get("no", "").split(",")]
    if "*" in spared:
        return {}
    through: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if proxy := named.get(scheme):
            through[f"{scheme}://"] = proxy if "://" in proxy else f"http://{proxy}"
    through.update((_pattern(host), None) for host in spared if host)
    return through


def _found() -> Mapping[str, str]:
    variables = {name.lower() for name in os.environ}
    if sys.platform == "linux" and not variables & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}
    from urllib.request import getproxies  # takes as long to load as all of httpx

    return getproxies()


def _pattern(host: str) -> str:
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.split("/")[0]).version
    except ValueError:
        return f"all://{'' if host.lower() == 'localhost' else '*'}{host}"
    return f"all://{host}" if version == 4 else f"all://[{host}]"
