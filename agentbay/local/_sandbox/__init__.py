"""What a session is kept apart with, and what the engine talks to its guest with."""
