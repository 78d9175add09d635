"""The local engine: the same API, with the work done on this machine.

`AgentBay(endpoint="local")` opens the engine inside the process; `agentbay serve` serves it
to other processes.
"""
