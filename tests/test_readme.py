"""The programs in README run on the local engine, and do what the text beside them says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import agentbay
from agentbay import AgentBay, AsyncAgentBay, AsyncSession, Session
from agentbay.local._chromium.program import find_chromium

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
ASYNC = [block for block in BLOCKS if re.search(r"\b(async|await) ", block)]
BLOCKING = [block for block in BLOCKS if block not in ASYNC]

# What some of them print, by a piece of each.
SHOWN = {
    "echo 'Hello World'": "Hello World",
    "train.py": "epoch 1",
    "progress_cb=print": "3",
    "http.server": "http://127.0.0.1:",
    "pty.create": "exit",
}
# The files that they speak of.
FILES = {
    "train.py": "print('epoch 1')\n",
    "Makefile": "all:\n\ttrue\ntest:\n\ttrue\n",
}
NOWHERE = "data:text/html,<title>a page</title>"


@pytest.fixture(scope="module")
def blocking_session() -> Iterator[Session]:
    """The `session` of the programs for blocking code."""
    with AgentBay(endpoint="local") as bay, bay.session() as session:
        for name, content in FILES.items():
            session.file_system.write_file(name, content).unwrap()
        there = session.file_system.get_file_transfer_context_path()
        session.file_system.write_file(f"{there}/result.csv", "1,2\n").unwrap()
        yield session


@pytest.mark.parametrize("block", BLOCKING, ids=lambda block: str(block).split("\n", 1)[0])
def test_a_program_runs(
    block: str, blocking_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "playwright" in block:
        pytest.importorskip("playwright", reason="needs playwright: pip install it")
        if find_chromium() is None:
            pytest.skip("needs Chromium: apt-get install chromium")
    monkeypatch.setenv("AGENTBAY_ENDPOINT", "local")
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("1,2")
    said: list[str] = []
    names = _names(said, bay=blocking_session.get_agent_bay(), session=blocking_session)
    exec(block.replace("https://example.com", NOWHERE), names)
    assert _shown(block) in "".join(said)


async def test_a_program_for_asyncio_and_trio_runs() -> None:
    (block,) = [one for one in ASYNC if "AsyncAgentBay" in one]
    names = _names([])
    await _run(block, names)
    assert "Linux" in names["result"].stdout


async def test_terminals_and_changes_are_streamed(
    bay: AsyncAgentBay, session: AsyncSession
) -> None:
    (block,) = [one for one in ASYNC if "AsyncAgentBay" not in one]
    await session.file_system.create_directory("/tmp/inbox")
    said: list[str] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_run, block, _names(said, bay=bay, session=session))
            while "/tmp/inbox/a.txt" not in "".join(said):
                await session.file_system.write_file("/tmp/inbox/a.txt", "a", mode="append")
                await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()  # it watches for as long as it runs
    assert _shown(block) in "".join(said)


def test_every_program_is_run() -> None:
    assert len(ASYNC) == 2
    assert len(BLOCKING) >= 8


def _names(said: list[str], **more: object) -> dict[str, Any]:
    """What a program has: the package, what the text made before, and a `print` that is heard."""

    def heard(*values: object, end: str = "\n") -> None:
        said.append(" ".join(map(str, values)) + end)

    public = {name: getattr(agentbay, name) for name in agentbay.__all__}
    return {**public, "print": heard, **more}


async def _run(block: str, names: dict[str, Any]) -> None:
    code = compile(block, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)


def _shown(block: str) -> str:
    return next((shown for piece, shown in SHOWN.items() if piece in block), "")
