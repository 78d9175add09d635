"""Environment variables of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._results.base import reported
from .._results.env import EnvResult
from .._results.file_system import BoolResult
from .._results.sessions import McpTool
from ..protocol.env import GetEnv, SetEnv, names, variables
from ._resource import Resource


class AsyncEnv(Resource):
    """Environment variables of a session.

    They hold for the whole session: each later command and each run of code sees them.
    Those that a command is given with ``envs=`` go first, for that command.
    """

    @reported(BoolResult)
    async def set(self, envs: Mapping[str, str]) -> BoolResult:
        """Set environment variables for everything that is run later.

        A variable that exists changes, the others stay. There is no way to unset one.

        Args:
            envs: Names and values, both texts.

        Example:
            ```python
            await session.env.set({"LANG": "C.UTF-8"})
            print((await session.command.run("echo $LANG")).stdout)
            ```
        """
        call = SetEnv(variables(envs))
        self._name_server()
        reply = await self._call(call)
        return BoolResult(reply.request_id, True, True)

    @reported(EnvResult)
    async def get(self, keys: Sequence[str] | None = None) -> EnvResult:
        """Read environment variables.

        Args:
            keys: The names to read; all variables by default, and for an empty list.

        Returns:
            Names and values in `envs`. A name that is not set is left out.

        Example:
            ```python
            result = await session.env.get(["LANG"])
            print(result.envs.get("LANG"))
            ```
        """
        call = GetEnv(names(keys))
        self._name_server()
        reply = await self._call(call)
        return EnvResult(reply.request_id, True, envs=reply.value)

    def _name_server(self) -> None:
        """Name the server of the tools: services leave these two out of their lists."""
        for kind in (SetEnv, GetEnv):
            if not self._session.find_server_for_tool(kind.tool):
                tool = McpTool(kind.tool, server=kind.server, tool=kind.tool)
                self._session.mcp_tools.append(tool)
