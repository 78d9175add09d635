"""The mobile device of a session."""
