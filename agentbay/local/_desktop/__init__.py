"""The screen of a session: its programs, windows and input, and the view of it."""
