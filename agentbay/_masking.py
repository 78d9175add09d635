"""Addresses and texts without the credentials in them."""

from __future__ import annotations

from urllib.parse import quote, urlsplit


def origin(url: str) -> str:
    """Scheme, host and port of a URL: the part that holds no credential."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an address that makes no sense"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def masked(text: str, *secrets: str) -> str:
    """Leave credentials out of a text of the other side, which may repeat what it was sent.

    Args:
        text: The text.
        secrets: Keys, tokens, and addresses with a credential in their path or query.
    """
    for secret in secrets:
        for part in _parts(secret):
            text = text.replace(part, "***") if len(part) > 3 else text
    return text


def _parts(secret: str) -> list[str]:
    try:
        address = urlsplit(secret) if "://" in secret else None
    except ValueError:
        address = None
    inner = [] if address is None else [address.path.rstrip("/"), address.query]
    return [secret, quote(secret, safe=""), *inner]
