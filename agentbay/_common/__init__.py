"""Paths under which programs of the current generation import from private places."""
