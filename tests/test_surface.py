"""Programs of both generations of the vendor's package find their names and calls here.

`data/surface` says what those names and calls are. What is different on purpose is in
`EXCEPTIONS`, with the reason. ``pytest tests/test_surface.py -s`` shows how much was compared.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import attrs
import pytest

import agentbay
from agentbay import (
    BrowserContext,
    BrowserFingerprintContext,
    BrowserSyncMode,
    Config,
    ContextSync,
    CreateSessionParams,
    ExtensionOption,
    ExtraConfigs,
    LifecyclePolicy,
)
from agentbay._async.context_manager import _retries
from tests.surface import FIRST, GENERATIONS, Call, Thing, public_methods, table, things

_MADE_HERE = "only the package makes these, and they are made with the arguments' names"
_OF_A_SESSION = "comes from a session, whose property makes it"

# What is different on purpose: a pattern of problems, as `survey` words them, and the reason.
EXCEPTIONS = {
    "*Result(): order: *": _MADE_HERE,
    "GetSessionData(): order: *": _MADE_HERE,
    "BrowserContext(): order: context_id, auto_upload, extension_option": (
        "an extension option in the third place is told by its type, as a test below shows"
    ),
    "McpTool(): order: name, server": f"{_MADE_HERE}; the first generation's order is kept",
    "ExecutionError(): order: *": "it is an exception here, whose message comes first",
    "Context(): order: id, name, state, *": (
        "both generations have text in the third place, so that nothing tells them apart; "
        "the current order is kept, and the service makes contexts"
    ),
    "SessionMetrics(): order: *": "the last four are names of others; they have no places",
    "CodeExecutionResult(): result= *": "made by the package; `result` is read from the outputs",
    "BinaryFileContentResult(): size= *": "made by the package; `size` is that of the content",
    "BinaryFileContentResult*content_type*": "the vendor's class has it and never sets it",
    "FileChangeResult(): raw_data= *": "made by the package, from what it has read",
    "ContextManager(): *": _OF_A_SESSION,
    "Browser(): *": _OF_A_SESSION,
    "AsyncContextService.clear_async: *": (
        "the blocking class has clear_async as the awaitable twin of clear, as every other "
        "method; start_clear begins to clear a context and does not wait"
    ),
    "*Agent(): *": _OF_A_SESSION,
    "*Options(): order: *": (
        "the values after the first go by name: no type tells the generations apart"
    ),
    "DefaultSchema: *": "stands for a schema that was not given; no program names it",
}

# Classes that are not public here, and where they are.
PLACES = {
    **dict.fromkeys(
        (
            "Brand", "ExtraProperties", "Fingerprint", "NavigatorFingerprint",
            "ScreenFingerprint", "UserAgentData", "VideoCard",
        ),
        "agentbay.protocol.fingerprint",
    ),
    **dict.fromkeys(("AppInfoResult", "AppInstallResult", "AppListResult"), "agentbay.application"),
    **dict.fromkeys(("AsyncSkillsService", "BrowserAgent", "Response"), "agentbay._aliases"),
}  # fmt: skip


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_exported_name_can_be_imported(generation: str) -> None:
    missing = [
        f"{name}: missing" for name in table("exports")[generation] if not hasattr(agentbay, name)
    ]
    assert _unexpected(missing) == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_name_can_be_imported_from_where_programs_import_it(generation: str) -> None:
    assert _unexpected(list(_wrong_paths(generation))) == []


def _wrong_paths(generation: str) -> Iterator[str]:
    for path, names in table("exports")["paths"][generation].items():
        try:
            module = importlib.import_module(path)
        except ImportError:
            yield f"{path}: missing"
            continue
        for name in names:
            found = getattr(module, name, None)
            if found is None:
                yield f"{path}: {name} is missing"
            elif getattr(agentbay, name, found) is not found:
                yield f"{path}: {name} is another one"


def test_a_star_import_works() -> None:
    namespace: dict[str, Any] = {}
    exec("from agentbay import *", namespace)
    assert set(agentbay.__all__) <= namespace.keys()


def test_old_paths_cost_nothing_until_they_are_imported() -> None:
    import subprocess

    paths = {path for found in table("exports")["paths"].values() for path in found}
    code = (
        f"import sys, agentbay; agentbay.AgentBay, agentbay.AsyncAgentBay; "
        f"assert not {paths!r} & sys.modules.keys(), {paths!r} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


# -- calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing", [pytest.param(t, id=f"{t.generation}-{t.name}") for t in things()]
)
def test_a_class_is_called_and_used_as_before(thing: Thing) -> None:
    assert _unexpected(survey(thing)) == []


def survey(thing: Thing) -> list[str]:
    """What a program can do with the vendor's class or function, and not with ours."""
    if thing.kind == "function":
        return _survey_function(thing)
    base = thing.name.removeprefix("Async").removeprefix("Sync")
    classes = {name: _find(name) for name in (thing.name, base, f"Async{base}")}
    if classes[thing.name] is None and classes[base] is None:
        return [f"{thing.name}: missing"]
    found = {name: kind for name, kind in classes.items() if kind is not None}
    return [text for name, kind in found.items() for text in _survey_class(thing, name, kind)]


def _find(name: str) -> Any:
    place = importlib.import_module(PLACES.get(name, "agentbay"))
    return getattr(place, name, None)


def _survey_function(thing: Thing) -> list[str]:
    place: Any = agentbay
    if thing.generation == FIRST:
        place = importlib.import_module(thing.module)
    function = getattr(place, thing.name, None)
    if function is None:
        return [f"{thing.module}.{thing.name}: missing"]
    found = Call.read(str(thing.sig)).problems(function, bound=True)
    return [f"{thing.module}.{thing.name}: {problem}" for problem in found]


def _survey_class(thing: Thing, name: str, kind: Any) -> Iterator[str]:
    known = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set[str]()
    attributes = list(thing.attributes)
    if thing.init is not None:
        call = Call.read(thing.init)
        for problem in call.problems(kind, bound=True):
            yield f"{name}(): {problem}"
        # What the constructor of a value takes can be read from the value.
        attributes += call.named if known else ()
    for member, value in thing.members.items():
        found = getattr(kind, member, None)
        if (found.value if isinstance(found, enum.Enum) else found) != value:
            yield f"{name}.{member}: is not {value!r}"
    for attribute in attributes:
        if not hasattr(kind, attribute) and attribute not in known:
            yield f"{name}.{attribute}: missing"
    for method, text in public_methods(thing):
        # The client of the first generation is blocking, with some awaitable twins.
        if method.endswith("_async") and thing.generation == FIRST and name.startswith("Async"):
            continue
        yield from _survey_method(f"{name}.{method}", kind, method, text)


def _survey_method(name: str, kind: Any, method: str, text: str) -> Iterator[str]:
    nested, _, last = method.rpartition(".")
    # A class inside of a class is one beside it here: `Agent.Browser` is `AgentBrowser`.
    owner = _find(kind.__name__ + nested) if nested else kind
    function = getattr(owner, last, None) or _find(kind.__name__ + last)
    if function is None:
        yield f"{name}: missing"
    elif text != "property":
        still = isinstance(inspect.getattr_static(owner, last), classmethod | staticmethod)
        for problem in Call.read(text).problems(function, bound=still):
            yield f"{name}: {problem}"


# -- values without names, in the order of either generation ---------------------------------

_SYNC = ContextSync("c", "/p")
_BROWSER = BrowserContext("b")
_EXTENSIONS = ExtensionOption("e", ["x.zip"])
_FINGERPRINT = BrowserFingerprintContext("f")
_LIFECYCLE, _EXTRA = LifecyclePolicy(5), ExtraConfigs()


@pytest.mark.parametrize(
    ("made", "same"),
    [
        (Config("host", 30_000), Config(endpoint="host", timeout_ms=30_000)),
        (Config(30_000, "us-east-1"), Config(timeout_ms=30_000, region_id="us-east-1")),
        (
            CreateSessionParams({"a": "b"}, "i", [_SYNC], _BROWSER, True, "p", True, _EXTRA, "fw"),
            CreateSessionParams(
                labels={"a": "b"}, image_id="i", context_syncs=[_SYNC], browser_context=_BROWSER,
                is_vpc=True, policy_id="p", enable_browser_replay=True, extra_configs=_EXTRA,
                framework="fw",
            ),
        ),
        (
            CreateSessionParams(
                {"a": "b"}, "i", None, _LIFECYCLE, [_SYNC], [], _BROWSER, "p", "n", True, _EXTRA,
                "fw", True, ["skill"],
            ),
            CreateSessionParams(
                labels={"a": "b"}, image_id="i", lifecycle_policy=_LIFECYCLE,
                context_syncs=[_SYNC], browser_context=_BROWSER, policy_id="p",
                beta_network_id="n", enable_browser_replay=True, extra_configs=_EXTRA,
                framework="fw", load_skills=True, skill_names=["skill"],
            ),
        ),
        (BrowserContext("b", True, _EXTENSIONS), BrowserContext("b", extension_option=_EXTENSIONS)),
        (
            BrowserContext("b", False, BrowserSyncMode.MINIMAL, _EXTENSIONS, _FINGERPRINT),
            BrowserContext(
                context_id="b", auto_upload=False, sync_mode=BrowserSyncMode.MINIMAL,
                extension_option=_EXTENSIONS, fingerprint_context=_FINGERPRINT,
            ),
        ),
    ],
)  # fmt: skip
def test_values_without_names_mean_what_they_meant(made: object, same: object) -> None:
    assert made == same


def test_sync_takes_its_numbers_with_and_without_a_callback_before_them() -> None:
    def callback(_: bool) -> None: ...

    assert _retries((callback, 5, 100), None, None, None) == (callback, 5, 100)
    assert _retries((5, 100), None, None, None) == (None, 5, 100)


# -- what is different on purpose ------------------------------------------------------------


@functools.cache
def _problems() -> tuple[str, ...]:
    found = [problem for thing in things() for problem in survey(thing)]
    found += [problem for generation in GENERATIONS for problem in _wrong_paths(generation)]
    exported = [name for generation in GENERATIONS for name in table("exports")[generation]]
    return (*found, *(f"{name}: missing" for name in exported if not hasattr(agentbay, name)))


def _unexpected(problems: list[str]) -> list[str]:
    return [text for text in problems if not any(fnmatchcase(text, p) for p in EXCEPTIONS)]


@pytest.mark.parametrize("pattern", EXCEPTIONS)
def test_an_exception_is_needed(pattern: str) -> None:
    assert any(fnmatchcase(problem, pattern) for problem in _problems())


def test_as_much_is_compared_as_the_tables_hold(
    record_property: Callable[[str, object], None],
) -> None:
    counts: Counter[str] = Counter(exceptions=len(EXCEPTIONS))
    for generation in GENERATIONS:
        exports = table("exports")
        counts["names"] += len(exports[generation])
        counts["names under paths"] += sum(map(len, exports["paths"][generation].values()))
    for thing in things():
        calls = [text for text in (thing.init, thing.sig) if text]
        methods = list(public_methods(thing))
        calls += [text for _, text in methods if text != "property"]
        counts["classes and functions"] += 1
        counts["methods"] += len(methods)
        counts["members and attributes"] += len(thing.members) + len(thing.attributes)
        counts["parameters"] += sum(len(Call.read(text).named) for text in calls)
    summary = ", ".join(f"{number} {name}" for name, number in counts.items())
    print(f"\nsurface: {summary}")  # noqa: T201
    record_property("surface", summary)
    assert counts["names"] > 200, summary
    assert counts["methods"] > 400, summary
    assert counts["parameters"] > 1500, summary
