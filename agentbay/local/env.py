"""Environment variables that hold for all later commands of a session."""

from __future__ import annotations

from ..protocol._wire import WireError, decode
from ..protocol.env import GetEnv, SetEnv
from ._dispatch import handles_tool
from ._errors import ToolFailure
from .sandbox import Sandbox

# Bytes: the kernel starts no program with a longer variable, nor with many more of them. They
# cannot be unset, so that no command would run any more.
_LONGEST, _MOST = 100_000, 1_000_000


@handles_tool(SetEnv)
async def set_env(sandbox: Sandbox, call: SetEnv) -> None:
    given = {variable.key: variable.value for variable in call.envs}
    sizes = {key: _size(key, value) for key, value in {**sandbox.environment, **given}.items()}
    for key in given:
        if sizes[key] > _LONGEST:
            raise ToolFailure(f"the variable {key:.80} is longer than {_LONGEST:,} bytes")
    if sum(sizes.values()) > _MOST:
        raise ToolFailure(f"the variables together are longer than {_MOST:,} bytes")
    sandbox.environment.update(given)


@handles_tool(GetEnv)
async def get_env(sandbox: Sandbox, call: GetEnv) -> dict[str, str]:
    reply = await sandbox.call("environment", {})
    try:
        variables = decode(dict[str, str], reply.data.get("variables"))
    except WireError as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc
    variables.update(sandbox.environment)
    if call.keys is None:
        return variables
    return {key: variables[key] for key in call.keys if key in variables}


def _size(key: str, value: str) -> int:
    return len(f"{key}={value}".encode(errors="surrogateescape")) + 1
