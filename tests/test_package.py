"""The package as a whole: its names, its layers, its generated half, its weight."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import agentbay
from agentbay.local._dispatch import (
    ACTION_HANDLERS,
    PHONE_HANDLERS,
    TOOL_HANDLERS,
    UNSUPPORTED,
)
from agentbay.protocol import agent
from agentbay.protocol._calls import ACTIONS, TOOLS

PACKAGE = Path(agentbay.__file__).parent

HANDLERS: tuple[Mapping[Any, object], ...] = (ACTION_HANDLERS, TOOL_HANDLERS, PHONE_HANDLERS)

# Which part of the package may import which others. Everything may import `errors`.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "_version": set(),
    "_live": set(),
    "_value": set(),
    "_dotenv": {"errors"},
    "_config": {"_dotenv", "_value", "errors"},
    "_outcome": set(),
    "_loop": {"_outcome"},
    "_bridge": {"_loop", "_outcome"},
    "protocol": {"_deferred", "_value", "errors"},
    "_params": {"_deferred", "_value", "protocol", "errors"},
    "_results": {"_deadline", "_value", "protocol", "errors"},
    # `local` stands here for the one place where the client opens the embedded engine.
    "_deferred": set(),
    "_background": set(),
    "_loop_local": {"_background"},
    "_deadline": {"errors"},
    "_retry": {"_tracing", "_value", "errors"},
    "_slots": set(),
    "_left_over": set(),
    "_tracing": {"_version", "errors"},
    "_download": {"_exchange", "errors"},
    "_exchange": {"_masking", "_tracing", "errors"},
    "_masking": set(),
    "_pool": set(),
    "_transport": {
        "_config", "_deadline", "_deferred", "_download", "_exchange", "_loop_local", "_masking",
        "_pool", "_retry", "_tracing", "_value", "_version", "protocol", "errors", "local",
    },
    "_async": {
        "_background", "_config", "_deadline", "_deferred", "_left_over", "_live", "_loop_local",
        "_masking", "_params", "_results", "_retry", "_slots", "_tracing", "_transport", "_version",
        "protocol", "errors",
    },
    "_sync": {
        "_async", "_bridge", "_config", "_deadline", "_deferred", "_params", "_results", "_retry",
        "_transport", "protocol", "errors",
    },
    "local": {"protocol", "errors", "_version"},
}  # fmt: skip


def test_the_three_lists_of_public_names_agree() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: f".{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == agentbay._HOME
    assert sorted(typed) == sorted(agentbay.__all__)


@pytest.mark.parametrize("name", agentbay.__all__)
def test_a_public_name_leads_to_an_object(name: str) -> None:
    assert getattr(agentbay, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = agentbay.Nonsense  # pyright: ignore[reportAttributeAccessIssue]


def _public_members() -> Iterator[tuple[str, Any]]:
    for name in agentbay.__all__:
        value = getattr(agentbay, name)
        if not inspect.isclass(value):
            continue
        yield name, value
        for member, item in vars(value).items():
            function = item.fget if isinstance(item, property) else item
            function = getattr(function, "func", getattr(function, "__func__", function))
            if not member.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{member}", function


@pytest.mark.parametrize(("name", "item"), [pytest.param(n, i, id=n) for n, i in _public_members()])
def test_every_public_class_and_method_has_a_docstring(name: str, item: Any) -> None:
    assert (item.__doc__ or "").strip(), name


def _modules() -> Iterator[tuple[str, Path]]:
    for path in PACKAGE.rglob("*.py"):
        if "guest" not in path.parts:
            yield path.relative_to(PACKAGE).as_posix(), path


def _edges(path: Path) -> Iterator[tuple[str, bool]]:
    """The parts of the package that a module imports, and whether when it is imported."""
    depth = len(path.relative_to(PACKAGE).parts)
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((str(name).split(".")[0], id(node) in top) for name in names)


@pytest.mark.parametrize(("name", "path"), [pytest.param(n, p, id=n) for n, p in _modules()])
def test_imports_point_one_way(name: str, path: Path) -> None:
    part = name.removesuffix(".py").split("/")[0]
    if part == "__init__":
        return
    for target, _ in _edges(path):
        assert target == part or target in LAYERS[part], f"{name} imports {target}"


def test_the_client_opens_the_engine_in_one_place_and_not_on_import() -> None:
    opens = [
        (name, on_import)
        for name, path in _modules()
        if not name.startswith("local/")
        for target, on_import in _edges(path)
        if target == "local"
    ]
    assert opens == [("_transport/_connections.py", False)]


def test_httpx_is_imported_by_the_transports_only() -> None:
    users = {
        name.split("/")[0] if name.startswith(("_pool/", "_transport/")) else name
        for name, path in _modules()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import) and any(a.name == "httpx" for a in node.names)
    }
    engine = {"local/_operator/model.py", "local/transport.py"}
    assert users == {"_exchange.py", "_pool", "_transport"} | engine


def test_generated_code_is_up_to_date() -> None:
    command = [sys.executable, "-m", "agentbay._sync._generate", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_and_tool_is_asked_for_and_carried_out() -> None:
    for module in pkgutil.iter_modules([str(PACKAGE / "protocol")]):
        importlib.import_module(f"agentbay.protocol.{module.name}")
    importlib.import_module("agentbay.local.app")
    asking = [path for part in ("_async", "_params") for path in (PACKAGE / part).glob("*.py")]
    asked = "".join(path.read_text() for path in asking)
    # Which tools the agents of a kind have stands beside the tools.
    asked += "".join(map(str, (agent.COMPUTER, agent.BROWSER, agent.MOBILE)))
    for kind in [*ACTIONS.values(), *TOOLS.values()]:
        refused = {kind.__name__, kind.__module__.rpartition(".")[2]} & UNSUPPORTED.keys()
        handled = any(kind in handlers for handlers in HANDLERS)
        assert handled != bool(refused), f"{kind.__name__}: handled {handled}, refused {refused}"
        used = re.search(rf"\b{kind.__name__}\b", asked)
        assert used, f"nothing asks for {kind.__name__}"


def test_importing_does_nothing() -> None:
    code = """
import sys, threading, os, logging
before = (threading.active_count(), dict(os.environ), os.listdir("."))
import agentbay
for name in agentbay.__all__:
    getattr(agentbay, name)
import agentbay.local
assert (threading.active_count(), dict(os.environ), os.listdir(".")) == before
assert not logging.getLogger("agentbay").handlers and not logging.getLogger().handlers
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_the_client_comes_without_engine_and_websockets() -> None:
    code = """
import sys
from agentbay import AgentBay, AsyncAgentBay
heavy = {"starlette", "uvicorn", "websockets", "agentbay.local", "anyio.from_thread", "sqlite3"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_importing_the_client_loads_no_part_of_it_before_it_is_used() -> None:
    """What makes the import cheap; `tests/benchmarks` has what it costs."""
    code = """
import sys
import httpx
before = set(sys.modules)
from agentbay import AgentBay
new = {name for name in set(sys.modules) - before if name.partition(".")[0] == "agentbay"}
parts = ("agentbay._async.", "agentbay._sync.", "agentbay._results.", "agentbay.protocol.")
print(*sorted(name for name in new if name.startswith(parts)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, timeout=60, stdout=subprocess.PIPE
    )
    names = {name.rpartition(".")[2] for name in done.stdout.decode().split()}
    assert names == {"_base", "_checks", "_session_core", "base", "client", "session", "sessions"}
