"""Every public method, against a service that breaks off, says no, says nothing, or nonsense."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentbay import AgentBayError, ApiResponse, AsyncSession, ConfigError, InvalidInputError

from ..properties import test_wire
from ..properties.test_wire import _METHODS, _call
from .cases import REQUEST_ID, SECRETS, client_of
from .faults import FAULTS
from .faulty import Scene, in_scene, serving_all
from .test_requests import shown

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

# Seconds for which the deadline lets them wait for a reply, and until they hang.
_SOON, _HANGS = 0.5, 100.0

# They have nothing to ask the service for, or ask for another session, whose methods are here.
_OTHERS = {
    *("bay.beta_pause", "bay.beta_resume", "bay.delete", "extensions.cleanup"),
    "session.browser.unregister_callback",
}


async def problem(method: str, session: AsyncSession, *, told: bool) -> str:
    """What is wrong about how it fails; empty when nothing is."""
    try:
        with session.agent_bay.deadline(_SOON if not told else _HANGS):
            result = await _call(method, session)
    except AgentBayError as exc:
        error = exc
    else:
        if result is False or getattr(result, "success", None) is False:
            if not isinstance(result, ApiResponse):
                return ""
            error = result.error or AgentBayError("the result has no error")
        else:
            return f"it succeeds: {result!r:.200}"
    if [secret for secret in SECRETS if secret in shown(error)]:
        return "it shows a secret"
    early = isinstance(error, InvalidInputError | ConfigError) or method.startswith("session.pty.")
    if told and not early and error.request_id != REQUEST_ID:
        return f"it does not tell the request: {error!r:.200}"
    return ""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "name", ["reset after the request", "never a reply", "200 that says no", "a page"]
)
async def test_no_method_succeeds_or_hangs(
    name: str, anyio_backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transfer = {**test_wire._TRANSFER, "local_path": str(tmp_path / "down")}
    monkeypatch.setitem(test_wire._OWN_ARGUMENTS, "session.file_system.download_file", transfer)
    monkeypatch.setattr("agentbay._async._creating._CLEAN_UP_LIMIT", 0.2)
    fault = FAULTS[name]
    # Whether the program was started is unknown, so that its end is asked for: for up to 10 s.
    others = _OTHERS | {"session.command.start"} if fault.stalls else _OTHERS
    problems: list[str] = []

    async def one(method: str, url: str) -> None:
        async with client_of(url) as bay:
            found = await problem(method, AsyncSession(bay, "s-1"), told=fault.told)
        if found:
            problems.append(f"{method}: {found}")

    script = in_scene(fault.trouble, Scene(b"{}", "http://127.0.0.1:9/"))
    with serving_all({"it": script}) as services, anyio.fail_after(_HANGS):
        async with anyio.create_task_group() as tasks:
            for method in sorted(set(_METHODS) - others):
                tasks.start_soon(one, method, services["it"].url)
    assert sorted(problems) == []
