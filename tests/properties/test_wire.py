"""Whatever fits a request or a result survives the wire, and whatever comes back is handled."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import string
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin

import anyio
import attrs
import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentbay import (
    ActOptions,
    AgentBayError,
    ApiResponse,
    AsyncAgentBay,
    AsyncExtensionsService,
    AsyncMobileSimulateService,
    AsyncSession,
    BrowserNotifyMessage,
    CommandTimeoutError,
    ContextSync,
    ExtractOptions,
    ObserveOptions,
    RetryPolicy,
)
from agentbay import protocol as protocol_package
from agentbay.protocol import (
    application,
    bindings,
    browser,
    code,
    command,
    computer,
    context_files,
    contexts,
    env,
    extra_configs,
    file_system,
    metrics,
    network,
    session_details,
    sessions,
    skills,
    sync_policy,
    window,
)
from agentbay.protocol._calls import ACTIONS, TOOLS, Action, Content, Tool
from agentbay.protocol._wire import Field, WireError, decode, encode, fields, from_json, to_json
from agentbay.protocol.computer import MouseButton
from agentbay.protocol.file_system import DirectoryEntry, FileFacts
from agentbay.protocol.key_names import key_name

# A request is known once its module is imported: none may be missing below.
_MODULES = [
    importlib.import_module(f"{protocol_package.__name__}.{found.name}")
    for found in pkgutil.iter_modules(protocol_package.__path__)
]

quick = settings(max_examples=20, deadline=None)
thorough = settings(max_examples=60, deadline=None)

# Surrogates have no UTF-8 and cannot travel.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
printable = texts.filter(lambda text: bool(text.strip()) and "\0" not in text)
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*?[]"), max_size=20)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\n/"), min_size=1, max_size=20
).filter(lambda name: not name.endswith("\r"))  # lines may end as on Windows
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
numbers = st.integers(-(2**53), 2**53)
counts = st.integers(0, 2**53)
positive = st.integers(1, 2**53)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, json_values, max_size=3)

# What travels as `A.b.1=1`: every leaf is text, and nothing is empty.
_words = st.text(string.ascii_letters, min_size=1, max_size=8)
_branches: st.SearchStrategy[Any] = st.recursive(
    texts,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=12) | st.dictionaries(_words, inner, min_size=1)
    ),
    max_leaves=15,
)
flattened = st.dictionaries(_words, _branches, min_size=1, max_size=3)

_labels = st.dictionaries(printable, printable, max_size=3)
_image_formats = st.sampled_from(["png", "jpeg"])
_held_buttons = st.sampled_from([item for item in MouseButton if item != "double_left"])
_keys = st.sampled_from(["Ctrl", "PageUp", "F12", "a", "-"]) | texts.filter(bool).map(key_name)
_variable_names = texts.filter(lambda name: bool(name) and "=" not in name and "\0" not in name)
_urls = st.builds(str.__add__, st.sampled_from(["http://", "https://", "HTTPS://"]), texts)


def _travels(value: Any) -> bool:
    """Whether every object in a value has something in it that is left when it is flattened."""
    if not isinstance(value, dict):
        return True
    parts = [part for part in cast("dict[str, object]", value).values() if part != []]
    return bool(parts) and all(map(_travels, parts))


# Fields whose values a validator restricts; all others follow from their types.
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "CreateSession.labels": st.none() | _labels,
    # Flattened, nothing is not told apart from what is empty.
    "CreateSession.extra_configs": st.none()
    | st.deferred(lambda: instances_of(extra_configs.ExtraConfigs)).filter(
        lambda configs: _travels(encode(configs))
    ),
    "MobileExtraConfig.uninstall_blacklist": st.none() | st.lists(texts, min_size=1, max_size=12),
    "LoadInternalContexts.context_types": st.lists(texts, min_size=1, max_size=12),
    "ListSessions.labels": st.none() | _labels,
    "SetLabels.labels": st.dictionaries(printable, printable, min_size=1, max_size=3),
    "GetLink.port": st.none() | st.integers(30100, 30199),
    "GetLink.options": st.none() | objects.map(json.dumps),
    "CallTool.args": objects,
    "RecyclePolicy.paths": st.lists(plain, max_size=3),
    "WhiteList.path": plain,
    "WhiteList.exclude_paths": st.lists(plain, max_size=3),
    "ContextSkills.skill_ids": st.lists(printable, min_size=1, max_size=3),
    "ListContextFiles.page_number": st.none() | positive,
    "ListContextFiles.page_size": st.none() | positive,
    "ListContextFiles.max_results": st.none() | positive,
    "Shell.timeout_ms": st.integers(1, 2**31),
    "RunCode.timeout_s": st.integers(1, 2**31),
    "Variable.key": _variable_names,
    "Variable.value": texts.filter(lambda value: "\0" not in value),
    "SetEnv.envs": st.lists(
        st.deferred(lambda: instances_of(env.Variable)), min_size=1, max_size=3
    ),
    "GetEnv.keys": st.none() | st.lists(_variable_names, max_size=3),
    "OssUploadAnonymous.url": _urls,
    "OssDownloadAnonymous.url": _urls,
    "StopAppByPid.pid": positive,
    "DragMouse.button": _held_buttons,
    "Click.button": _held_buttons,
    "Scroll.amount": counts,
    "PressKeys.keys": st.lists(_keys, min_size=1, max_size=4),
    "ReleaseKeys.keys": st.lists(_keys, min_size=1, max_size=4),
    "Screenshot.format": _image_formats,
    "LongScreenshot.format": _image_formats,
    "LongScreenshot.max_screens": st.integers(2, 10),
    "LongScreenshot.quality": st.none() | st.integers(1, 100),
    "GetClickableUIElements.timeout_ms": counts,
    "GetAllUIElements.timeout_ms": counts,
    "GetAllUIElements.format": st.sampled_from([None, "json", "xml"]),
    "SendKey.key": counts,
    "Swipe.duration_ms": counts,
    "ListRootWindows.timeout_ms": counts,
    "ListAllWindows.timeout_ms": counts,
    "GetActiveWindow.timeout_ms": st.none() | counts,
    "ResizeWindow.width": positive,
    "ResizeWindow.height": positive,
    "StartBrowserTask.output_schema": objects.map(json.dumps),
    "StartMobileTask.max_steps": positive,
    "TakePicture.quality": st.integers(0, 100),
    "TakePicture.clip": st.none()
    | st.fixed_dictionaries(dict.fromkeys(("x", "y", "width", "height"), floats)),
    "TakePicture.timeout": st.none() | st.floats(0.001, 1e8),
    "Login.login_config": objects.map(json.dumps),
    "Extract.schema": objects,
    "Extract.max_page": positive,
    "Window.child_windows": st.lists(st.deferred(lambda: instances_of(window.Window)), max_size=1),
}
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: numbers,
    float: floats,
    bool: st.booleans(),
    Any: json_values,
}


def values_of(hint: Any, *, required: bool = True) -> st.SearchStrategy[Any]:
    """Values of a type. A required text has a validator that wants something in it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of([st.none() if arg is type(None) else values_of(arg) for arg in args])
    if origin is list:
        return st.lists(values_of(args[0], required=False), max_size=3)
    if origin is dict:
        return st.dictionaries(texts, values_of(args[1], required=False), max_size=3)
    if attrs.has(hint):
        return instances_of(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    return printable if hint is str and required else _SCALARS[hint]


def instances_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Instances of an attrs class, from the types of its fields."""
    arguments = {field.argument: _values_for(kind, field) for field in fields(kind)}
    return st.builds(kind, **arguments)


def _values_for(kind: type[Any], field: Field) -> st.SearchStrategy[Any]:
    known = _FIELDS.get(f"{kind.__name__}.{field.attribute}")
    return values_of(field.hint, required=field.required) if known is None else known


# -- requests --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ACTIONS.values(), ids=ACTIONS)
@quick
@given(data=st.data())
def test_an_action_survives_the_wire(kind: type[Action[Any]], data: st.DataObject) -> None:
    call = data.draw(instances_of(kind))
    assert kind.from_parameters({**call.query(), **call.form()}) == call


def test_a_list_of_more_than_nine_keeps_its_order() -> None:
    # As text, A.10 comes before A.2.
    names = [str(number) for number in range(12)]
    mobile = extra_configs.MobileExtraConfig(uninstall_blacklist=names)
    call = sessions.CreateSession(extra_configs=extra_configs.ExtraConfigs(mobile))
    assert sessions.CreateSession.from_parameters(call.form()) == call


@attrs.frozen
class _Anything(Action[None]):
    values: dict[str, Any]


@thorough
@given(values=flattened)
def test_values_of_any_depth_survive_the_wire(values: dict[str, Any]) -> None:
    call = _Anything(values)
    assert _Anything.from_parameters(call.form()) == call


def test_every_request_has_a_name_of_its_own() -> None:
    members = [member for module in _MODULES for member in vars(module).values()]
    found = [kind for kind in members if isinstance(kind, type) and attrs.has(kind)]
    for kind in cast("list[type[Any]]", found):
        if issubclass(kind, Action) and kind.action:
            assert ACTIONS[kind.action] is kind
        if issubclass(kind, Tool) and kind.tool:
            assert TOOLS[kind.tool] is kind
    assert {*ACTIONS.values(), *TOOLS.values()} <= {*found}


@pytest.mark.parametrize("kind", ACTIONS.values(), ids=ACTIONS)
@quick
@given(data=st.data())
def test_the_parameters_of_an_action_are_text(kind: type[Action[Any]], data: st.DataObject) -> None:
    call = data.draw(instances_of(kind))
    parameters = {**call.query(), **call.form()}
    assert not set(call.query()) & set(call.form())
    sent = httpx.Request("POST", "https://x", data=parameters)
    assert sent.content.isascii()
    assert list(call.form()) == sorted(call.form())


@pytest.mark.parametrize("kind", ACTIONS.values(), ids=ACTIONS)
@quick
@given(data=st.data())
def test_strange_parameters_are_refused_by_name(
    kind: type[Action[Any]], data: st.DataObject
) -> None:
    known = [field.name for field in fields(kind)]
    keys = st.sampled_from(known) | st.builds(
        "{}.{}".format,
        st.sampled_from(known),
        st.text("a1.²٣", max_size=5),
    )
    strange = data.draw(st.dictionaries(keys, texts | json_values.map(json.dumps), max_size=8))
    try:
        kind.from_parameters(strange)
    except (WireError, AgentBayError):
        return


@pytest.mark.parametrize("kind", TOOLS.values(), ids=TOOLS)
@quick
@given(data=st.data())
def test_a_tool_call_survives_the_wire(kind: type[Tool[Any]], data: st.DataObject) -> None:
    call = data.draw(instances_of(kind))
    assert kind.from_arguments(from_json(to_json(call.arguments()))) == call


@pytest.mark.parametrize("kind", TOOLS.values(), ids=TOOLS)
@quick
@given(arguments=objects, data=st.data())
def test_strange_arguments_are_refused_by_name(
    kind: type[Tool[Any]], arguments: dict[str, Any], data: st.DataObject
) -> None:
    names = [field.name for field in fields(kind)]
    known = st.sampled_from(names) if names else st.nothing()
    try:
        kind.from_arguments({**arguments, **data.draw(st.dictionaries(known, json_values))})
    except (WireError, AgentBayError):
        return


@pytest.mark.parametrize(
    "kind",
    [
        sessions.SessionData,
        session_details.ResourceData,
        session_details.LabelData,
        session_details.StatusData,
        session_details.ToolSchema,
        contexts.Context,
        sync_policy.SyncPolicy,
        contexts.PersistenceItem,
        contexts.ContextInfo,
        contexts.ContextStatusData,
        application.InstalledApp,
        application.Process,
        bindings.ContextBinding,
        bindings.InternalContext,
        browser.BrowserPort,
        code.CodeReply,
        context_files.ContextFileEntry,
        context_files.FileUrl,
        extra_configs.ExtraConfigs,
        metrics.SessionMetrics,
        network.NetworkState,
        network.NetworkToken,
        skills.SkillGroup,
        window.Window,
    ],
)
@quick
@given(data=st.data())
def test_a_value_survives_the_wire(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(instances_of(kind))
    assert decode(kind, from_json(to_json(value))) == value


@thorough
@given(value=json_values, kind=st.sampled_from([str, int, bool, float, list[str], dict[str, int]]))
def test_decoding_gives_the_type_or_says_what_is_wrong(value: Any, kind: Any) -> None:
    try:
        found = decode(kind, value)
    except WireError:
        return
    assert value is not None
    assert type(found) is (get_origin(kind) or kind)


# -- what tools answer -----------------------------------------------------------------


def _through(call: Tool[Any], value: Any) -> Any:
    written = call.write(value)
    return call.parse(decode(Content, from_json(to_json(encode(written)))))


@thorough
@given(entries=st.lists(st.tuples(names, st.booleans()), max_size=5))
def test_the_entries_of_a_directory_survive(entries: list[tuple[str, bool]]) -> None:
    value = [DirectoryEntry(name=name, isDirectory=is_directory) for name, is_directory in entries]
    assert _through(file_system.ListDirectory("/d"), value) == value


@pytest.mark.parametrize("name", ["a b", " a ", "[DIR] a", "x[FILE] y", "tab\t", "\u2028", "\x85"])
def test_an_odd_name_survives(name: str) -> None:
    entries = [DirectoryEntry(name=name, isDirectory=False)]
    assert _through(file_system.ListDirectory("/d"), entries) == entries
    facts = FileFacts(name=name, path=f"/d/{name}", size=3, isDirectory=False)
    assert _through(file_system.GetFileInfo("/d"), facts) == facts
    assert _through(file_system.SearchFiles("/d", "x"), [f"/d/{name}"]) == [f"/d/{name}"]


_facts = st.fixed_dictionaries(
    {
        "name": names,
        "path": paths,
        "size": st.integers(0, 2**63),
        "permissions": st.text("rwx-", min_size=9, max_size=9),
        "isDirectory": st.booleans(),
        "isFile": st.booleans(),
        "modified": st.datetimes().map(str),
    }
).map(FileFacts)


@thorough
@given(facts=_facts)
def test_the_facts_about_a_file_survive(facts: FileFacts) -> None:
    assert _through(file_system.GetFileInfo("/a"), facts) == facts


_lines = st.lists(
    st.sampled_from(["---", "a: b", "", " ", "/b:", "Error - x"]) | texts, max_size=6
).map("\n".join)


@thorough
@given(contents=st.dictionaries(paths, _lines, max_size=4))
def test_the_texts_of_several_files_survive(contents: dict[str, str]) -> None:
    wanted = list(contents)
    # A file can hold the very line that begins the block of the next one: nothing tells them apart.
    for text in contents.values():
        assume(not any(f"\n---\n{path}:" in f"\n{text}" for path in wanted))
        assume(
            not any(text.endswith(f"\n---\n{path}"[:n]) for path in wanted for n in range(5, 99))
        )
    assert _through(file_system.ReadMultipleFiles(wanted), contents) == contents


def test_a_file_that_is_asked_for_twice_is_read() -> None:
    call = file_system.ReadMultipleFiles(["/a", "/b", "/a"])
    assert _through(call, {"/a": "one\n", "/b": "two"}) == {"/a": "one\n", "/b": "two"}


def test_a_file_of_which_nothing_came_is_not_an_empty_one() -> None:
    with pytest.raises(WireError, match="/b"):
        file_system.ReadMultipleFiles(["/a", "/b"]).read("/a:\none\n---")


def test_the_texts_of_several_files_can_come_as_the_service_writes_them() -> None:
    call = file_system.ReadMultipleFiles(["a.txt", "b.txt"])
    text = "a.txt:\nFirst\n---\nb.txt: Error - no such file\n---\n"
    assert call.read(text) == {"a.txt": "First", "b.txt": "Error - no such file"}


@thorough
@given(found=st.lists(paths, max_size=5))
def test_the_paths_that_a_search_found_survive(found: list[str]) -> None:
    assert _through(file_system.SearchFiles("/", "x"), found) == found


@thorough
@given(content=st.binary(max_size=200))
def test_bytes_survive(content: bytes) -> None:
    assert _through(file_system.ReadFile("/a", format="binary"), content) == content


@quick
@given(content=texts)
def test_text_survives(content: str) -> None:
    assert _through(file_system.ReadFile("/a"), content.encode()) == content.encode()
    assert _through(file_system.EditFile("/a", []), content) == content


@pytest.mark.parametrize("text", ["```diff\n+a\n```\n\n", "````diff\n+a\n````", "+a\n"])
def test_a_difference_may_stand_in_any_fence(text: str) -> None:
    assert file_system.EditFile("/a", []).read(text).rstrip() == "+a"


@quick
@given(events=st.lists(instances_of(file_system.FileChangeEvent), max_size=4))
def test_changes_survive(events: list[file_system.FileChangeEvent]) -> None:
    assert _through(file_system.GetFileChange("/a"), events) == events


@thorough
@given(code=st.integers(-1, 255), out=texts | objects.map(json.dumps), err=texts, trace=texts)
def test_what_a_command_left_behind_survives(code: int, out: str, err: str, trace: str) -> None:
    value = command.ShellReply(code, out, err, trace)
    assert _through(command.Shell("x"), value) == value


@quick
@given(out=texts, err=texts)
def test_what_a_killed_command_wrote_survives(out: str, err: str) -> None:
    with pytest.raises(CommandTimeoutError) as caught:
        _through(command.Shell("x"), command.ShellReply(None, out, err))
    assert (caught.value.stdout, caught.value.stderr) == (out, err)


@quick
@given(out=texts.filter(lambda text: not text.lstrip().startswith("{")))
def test_plain_output_is_taken_as_it_is(out: str) -> None:
    assert command.Shell("x").parse(Content(out)) == command.ShellReply(0, out)


@thorough
@given(reply=instances_of(code.CodeReply), language=st.sampled_from(code.Language))
def test_what_code_left_behind_survives(reply: code.CodeReply, language: code.Language) -> None:
    assert _through(code.RunCode("x", language), reply) == reply


@quick
@given(values=st.dictionaries(_variable_names, texts, max_size=3))
def test_variables_survive(values: dict[str, str]) -> None:
    assert _through(env.GetEnv(), values) == values


@quick
@given(windows=st.lists(instances_of(window.Window), max_size=3))
def test_windows_survive(windows: list[window.Window]) -> None:
    assert _through(window.ListAllWindows(), windows) == windows
    for found in (None, *windows):
        assert _through(window.GetActiveWindow(), found) == found


@quick
@given(x=numbers, y=numbers, scale=floats)
def test_a_point_and_a_size_survive(x: int, y: int, scale: float) -> None:
    point = computer.CursorPosition(json.dumps({"x": x, "y": y}))
    assert _through(computer.GetCursorPosition(), point) == point
    size = computer.ScreenSize(json.dumps({"width": x, "height": y, "dpiScalingFactor": scale}))
    found = _through(computer.GetScreenSize(), size)
    assert (found.width, found.height, found.dpi_scaling_factor) == (x, y, scale)


# -- whatever comes back ---------------------------------------------------------------

# The classes whose methods programs call, and how one of their objects is found.
_OWNERS: dict[str, Callable[[AsyncSession], object]] = {
    "session": lambda s: s,
    **{
        f"session.{name}": lambda s, name=name: getattr(s, name)  # type: ignore[misc]
        for name in (
            *("agent", "application", "browser", "code", "command", "computer", "context", "env"),
            *("file_system", "git", "mobile", "oss", "pty", "ui", "window"),
        )
    },
    **{
        f"session.agent.{name}": lambda s, name=name: getattr(s.agent, name)  # type: ignore[misc]
        for name in ("browser", "computer", "mobile")
    },
    "session.browser.operator": lambda s: s.browser.operator,
    "bay": lambda s: s.agent_bay,
    "bay.context": lambda s: s.agent_bay.context,
    "bay.beta_network": lambda s: s.agent_bay.beta_network,
    "bay.beta_skills": lambda s: s.agent_bay.beta_skills,
    "extensions": lambda s: AsyncExtensionsService(s.agent_bay),
    "simulation": lambda s: AsyncMobileSimulateService(s.agent_bay),
}
_SESSION = AsyncSession(AsyncAgentBay("akm-x", endpoint="x.test"), "s-1")

# Methods that hold a connection or a loop, which a reply of another kind cannot answer.
_OTHERS = {
    "bay.aclose",
    "bay.context.list_all_files",
    "bay.list_all",
    "bay.session",
    "session.browser.screenshot",
    "session.file_system.watch",
    "session.file_system.watch_directory",
}

_CONTEXT, _WHERE = contexts.Context("c-1", "x"), ContextSync("c-1", "/p")
_ITEM = {"context_id": "c", "skill_ids": ["a"], "path": "/p"}
_DEVICE = extra_configs.MobileSimulateConfig(True, "/d")
_MOBILE = extra_configs.MobileExtraConfig(lock_resolution=True)
_WAIT = {"timeout": 0.02, "poll_interval": 0.01}
_TRANSFER = {"remote_path": "/a", "wait_timeout": 0.02, "poll_interval": 0.01}

# Arguments of a call, by what they are called; a value for one method stands under its name.
_ARGUMENTS: dict[str, Any] = {
    "access_key_id": "k",
    "access_key_secret": "s",
    "action_input": ActOptions("go", timeout=0.02),
    "adbkey_pub": "key",
    "args": {},
    "branch": "main",
    "bucket": "b",
    "callback": print,
    "code": "1",
    "command": "ls",
    "config": _DEVICE,
    "content": "x",
    "context_id": "c-1",
    "context_sync": _WHERE,
    "destination": "/b",
    "duration_ms": 1,
    "edits": [{"oldText": "a", "newText": ""}],
    "email": "a@b",
    "enable": True,
    "end_x": 1,
    "end_y": 1,
    "envs": {"A": "1"},
    "extension_id": "ext_1.zip",
    "extension_ids": ["ext_1.zip"],
    "file_path": "/a",
    "from_x": 1,
    "from_y": 1,
    "height": 1,
    "hide": True,
    "id": "p-1",
    "items": [_ITEM],
    "key": 3,
    "keys": ["a"],
    "labels": {"a": "b"},
    "language": "python",
    "local_path": __file__,
    "login_config": '{"api_key": "k"}',
    "message": "m",
    "mobile_config": _MOBILE,
    "mobile_dev_info_content": '{"a": 1}',
    "name": "origin",
    "network_id": "n-1",
    "new_local_path": __file__,
    "notify_id": 1,
    "notify_message": BrowserNotifyMessage(id=1),
    "object": "o",
    "on": True,
    "package_names": ["com.a"],
    "parent_folder_path": "/",
    "path": "/a",
    "paths": ["/a", "/b"],
    "pattern": "a",
    "pid": 1,
    "pname": "p",
    "pty_session_id": "pty-1",
    "remote_path": "/a",
    "repo_path": "/r",
    "security_token": "t",
    "session": _SESSION,
    "session_id": "s-1",
    "source": "/a",
    "start_cmd": "x",
    "start_x": 1,
    "start_y": 1,
    "stop_cmd": "x",
    "task": "do it",
    "task_id": "t-1",
    "text": "t",
    "timeout": 0.02,
    "to_x": 1,
    "to_y": 1,
    "tool_name": "x",
    "url": "https://host/a.git",
    "value": "v",
    "width": 1,
    "window_id": 1,
    "x": 1,
    "y": 1,
}
_OWN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "bay.context.clear": {"context_id": "c-1", **_WAIT},
    "bay.context.delete": {"context": _CONTEXT},
    "bay.context.get": {"name": "x"},
    "bay.context.update": {"context": _CONTEXT},
    "session.agent.execute_task": {"task": "do it", "max_try_times": 2},
    "session.beta_pause": _WAIT,
    "session.beta_resume": _WAIT,
    "session.browser.operator.extract": {"options": ExtractOptions("x", {}, timeout=0.02)},
    "session.browser.operator.observe": {"options": ObserveOptions("x", timeout=0.02)},
    "session.context.sync": {"timeout": 0.02},
    "session.file_system.upload_file": {**_TRANSFER, "local_path": __file__},
    "session.git.get_config": {"repo_path": "/r", "key": "user.name"},
    "session.git.set_config": {"repo_path": "/r", "key": "user.name", "value": "v"},
}


def _methods() -> dict[str, str]:
    """Every public coroutine method under its own name, and the object that it belongs to."""
    found: dict[str, str] = {}
    for owner, get in _OWNERS.items():
        kind = type(get(_SESSION))
        for name, member in inspect.getmembers(kind, inspect.iscoroutinefunction):
            full = f"{owner}.{name}"
            if not name.startswith("_") and member.__name__ == name and full not in _OTHERS:
                found[full] = owner
    return found


_METHODS = _methods()
_AT_ONCE = RetryPolicy(attempts=2, first_delay=0)


def _arguments(full: str, method: Callable[..., object]) -> dict[str, Any]:
    """What a method is called with: only what it cannot do without."""
    if full in _OWN_ARGUMENTS:
        return _OWN_ARGUMENTS[full]
    parameters = inspect.signature(method).parameters.values()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]
    return {name: _ARGUMENTS[name] for name in required}


_ON_A_BROWSER = ("session.browser.destroy", "session.browser.get_endpoint_url")


async def _call(full: str, session: AsyncSession) -> object:
    method = getattr(_OWNERS[_METHODS[full]](session), full.rpartition(".")[2])
    if full == "session.context.bind":
        return await session.context.bind(_WHERE, timeout=0.02)
    if full in _ON_A_BROWSER or full.startswith("session.browser.operator."):
        session.browser.attach()
    return await method(**_arguments(full, method))


def test_there_are_methods_of_all_modules() -> None:
    assert len(_METHODS) > 150
    # A module that hangs on a session is one of the owners.
    modules = {
        name
        for name, member in inspect.getmembers(AsyncSession)
        if isinstance(member, cached_property) and not name.startswith("_")
    }
    assert {f"session.{name}" for name in modules} <= set(_OWNERS)


_KEYS = st.sampled_from(
    [
        *("RequestId", "Success", "Code", "Message", "HttpStatusCode", "NextToken", "TotalCount"),
        *("SessionId", "ToolList", "Labels", "Url", "Id", "Name", "ContextStatus", "DesktopInfo"),
        *("task_id", "status", "result", "stream", "error", "success", "output", "events"),
        *("content", "isError", "text", "blob", "type", "data", "exit_code", "stdout", "stderr"),
    ]
)
_any_text = st.text(max_size=20)
_answers: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _any_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS, inner, max_size=4)
        | inner.map(json.dumps)
    ),
    max_leaves=10,
)
_contents = st.lists(st.fixed_dictionaries({"text": _any_text | _answers}), max_size=2)
_data = _answers | st.fixed_dictionaries({"content": _contents}, optional={"isError": _answers})
_envelopes = st.fixed_dictionaries(
    {"Data": _data}, optional={"Success": st.booleans() | _answers, "RequestId": _answers}
)
_bodies = (_envelopes | _answers).map(lambda value: json.dumps(value).encode()) | st.binary()
_statuses = st.sampled_from([200, 200, 200, 204, 302, 400, 401, 404, 429, 500, 503])


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No pauses, and a place for what is downloaded."""
    monkeypatch.setattr("agentbay._async._agent_runs.INTERVAL", 0.01)
    transfer = {**_TRANSFER, "local_path": str(tmp_path / "down")}
    monkeypatch.setitem(_OWN_ARGUMENTS, "session.file_system.download_file", transfer)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("name", _METHODS)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(status=_statuses, body=_bodies, headers=st.sampled_from([{}, {"retry-after": "9" * 5000}]))
async def test_any_reply_makes_a_result_or_an_error(
    name: str, status: int, body: bytes, headers: Mapping[str, str]
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers=headers)

    bay = AsyncAgentBay(
        "akm-x", endpoint="x.test", transport=httpx.MockTransport(answer), retry=_AT_ONCE
    )
    try:
        result = await _call(name, AsyncSession(bay, "s-1"))
    except AgentBayError:
        return
    repr(result)
    if isinstance(result, ApiResponse):
        assert result.success == (result.error is None)
        assert not (result.success and status >= 300) or name.endswith(".delete")


@settings(max_examples=8, deadline=None)
@given(status=_statuses, body=_bodies)
async def test_any_reply_makes_changes_or_an_error(status: int, body: bytes) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body)

    bay = AsyncAgentBay(
        "akm-x", endpoint="x.test", transport=httpx.MockTransport(answer), retry=_AT_ONCE
    )
    watch = AsyncSession(bay, "s-1").file_system.watch("/w", interval=0.01)
    with anyio.move_on_after(0.05), suppress(AgentBayError):
        async with watch as changes:
            assert all([isinstance(found, list) async for found in changes])


@pytest.mark.parametrize("kind", TOOLS.values(), ids=TOOLS)
@quick
@given(data=st.data(), text=_any_text | _answers.map(json.dumps), is_error=st.booleans())
def test_any_answer_of_a_tool_makes_a_value_or_an_error(
    kind: type[Tool[Any]], data: st.DataObject, text: str, is_error: bool
) -> None:
    call = data.draw(instances_of(kind))
    try:
        call.parse(Content(text, is_error))
    except (WireError, AgentBayError):
        return
    assert not is_error or kind in (command.Shell, code.RunCode)
