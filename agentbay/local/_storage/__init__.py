"""Contexts: files that outlive sessions."""
