"""The proxies that the environment names, as httpx honours them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.request import getproxies


def proxies(found: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Which addresses go through which proxy: patterns of httpx, None for none.

    Args:
        found: Proxies by scheme, and hosts to spare as ``no``; those of the system by default.
    """
    named = getproxies() if found is None else found
    spared = [host.strip() for host in named.get("no", "").split(",")]
    if "*" in spared:
        return {}
    through: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if proxy := named.get(scheme):
            through[f"{scheme}://"] = proxy if "://" in proxy else f"http://{proxy}"
    through.update((_pattern(host), None) for host in spared if host)
    return through


def _pattern(host: str) -> str:
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.split("/")[0]).version
    except ValueError:
        return f"all://{'' if host.lower() == 'localhost' else '*'}{host}"
    return f"all://{host}" if version == 4 else f"all://[{host}]"
