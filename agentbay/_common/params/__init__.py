"""What a session is asked to be, under the path that existing programs import from."""
