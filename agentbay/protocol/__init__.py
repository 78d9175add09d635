"""The vocabulary of the wire: each action and each tool, once, for client and engine."""
