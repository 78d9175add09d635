"""The SDK itself, written by hand; `_sync` is generated from it."""
