"""Blocking classes, generated from `_async` by `_generate.py`. Never edited by hand."""
