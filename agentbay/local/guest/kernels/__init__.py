"""Runs code in one language, inside the session; a process of its own for each language.

It reads requests from its standard input, which is a socket, and writes there what happens:
one JSON object a line. What it needs beyond the standard library is that of Jupyter.
"""
