"""Whatever fits a request or a result survives the wire, and whatever comes back is handled."""

from __future__ import annotations

import json
import string
import types
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin

import attrs
import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentbay import AgentBayError, ApiResponse, AsyncAgentBay, AsyncSession, CommandTimeoutError
from agentbay.protocol import command, contexts, file_system, sessions
from agentbay.protocol._calls import ACTIONS, TOOLS, Action, Content, Tool
from agentbay.protocol._wire import Field, WireError, decode, encode, fields, from_json, to_json
from agentbay.protocol.file_system import DirectoryEntry, FileFacts

# Most tests drop their client rather than close it, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

quick = settings(max_examples=40, deadline=None)
thorough = settings(max_examples=150, deadline=None)

# Surrogates have no UTF-8 and cannot travel.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
printable = texts.filter(lambda text: bool(text.strip()) and "\0" not in text)
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*?[]"), max_size=20)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\n/"), min_size=1, max_size=20
).filter(lambda name: not name.endswith("\r"))  # lines may end as on Windows
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
numbers = st.integers(-(2**53), 2**53)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts,
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

# Fields whose values a validator restricts; all others follow from their types.
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "CreateSession.labels": st.none() | _labels,
    "CreateSession.extra_configs": st.none() | flattened,
    "ListSessions.labels": st.none() | _labels,
    "SetLabels.labels": st.dictionaries(printable, printable, min_size=1, max_size=3),
    "GetLink.port": st.none() | st.integers(30100, 30199),
    "CallTool.args": objects,
    "RecyclePolicy.paths": st.lists(plain, max_size=3),
    "WhiteList.path": plain,
    "WhiteList.exclude_paths": st.lists(plain, max_size=3),
    "Shell.timeout_ms": st.integers(1, 2**31),
}
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: numbers,
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
    call = sessions.CreateSession(extra_configs={"A": [str(number) for number in range(12)]})
    assert sessions.CreateSession.from_parameters(call.form()) == call


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
    known = st.sampled_from([field.name for field in fields(kind)])
    try:
        kind.from_arguments({**arguments, **data.draw(st.dictionaries(known, json_values))})
    except (WireError, AgentBayError):
        return


@pytest.mark.parametrize(
    "kind",
    [
        sessions.SessionData,
        sessions.ResourceData,
        sessions.LabelData,
        sessions.StatusData,
        sessions.ToolSchema,
        contexts.Context,
        contexts.SyncPolicy,
        contexts.PersistenceItem,
        contexts.ContextInfo,
        contexts.ContextStatusData,
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


# -- whatever comes back ---------------------------------------------------------------

Method = Callable[[AsyncSession], Awaitable[object]]

_METHODS: dict[str, Method] = {
    "create": lambda s: s.agent_bay.create(),
    "get": lambda s: s.agent_bay.get("s-1"),
    "list": lambda s: s.agent_bay.list(),
    "delete": lambda s: s.delete(),
    "set_labels": lambda s: s.set_labels({"a": "b"}),
    "get_labels": lambda s: s.get_labels(),
    "info": lambda s: s.info(),
    "get_link": lambda s: s.get_link(),
    "list_mcp_tools": lambda s: s.list_mcp_tools(),
    "call_mcp_tool": lambda s: s.call_mcp_tool("x", {}),
    "context.get": lambda s: s.agent_bay.context.get("x"),
    "context.list": lambda s: s.agent_bay.context.list(),
    "context.update": lambda s: s.agent_bay.context.update(contexts.Context("x", "y")),
    "context.delete": lambda s: s.agent_bay.context.delete(contexts.Context("x")),
    "session.context.info": lambda s: s.context.info(),
    "command.run": lambda s: s.command.run("ls"),
    "create_directory": lambda s: s.file_system.create_directory("/a"),
    "delete_file": lambda s: s.file_system.delete_file("/a"),
    "edit_file": lambda s: s.file_system.edit_file("/a", [{"oldText": "a", "newText": ""}]),
    "get_file_info": lambda s: s.file_system.get_file_info("/a"),
    "list_directory": lambda s: s.file_system.list_directory("/a"),
    "move_file": lambda s: s.file_system.move_file("/a", "/b"),
    "read_file": lambda s: s.file_system.read_file("/a"),
    "read_multiple_files": lambda s: s.file_system.read_multiple_files(["/a", "/b"]),
    "search_files": lambda s: s.file_system.search_files("/", "a"),
    "write_file": lambda s: s.file_system.write_file("/a", "x"),
    "get_file_change": lambda s: s.file_system.get_file_change("/a"),
}

_KEYS = st.sampled_from(
    [
        *("RequestId", "Success", "Code", "Message", "HttpStatusCode", "NextToken", "TotalCount"),
        *("SessionId", "ToolList", "Labels", "Url", "Id", "Name", "ContextStatus", "DesktopInfo"),
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


@pytest.mark.parametrize("name", _METHODS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(status=_statuses, body=_bodies, headers=st.sampled_from([{}, {"retry-after": "9" * 5000}]))
async def test_any_reply_makes_a_result_or_an_error(
    name: str, status: int, body: bytes, headers: Mapping[str, str]
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers=headers)

    bay = AsyncAgentBay("akm-x", endpoint="x.test", transport=httpx.MockTransport(answer))
    try:
        result = await _METHODS[name](AsyncSession(bay, "s-1"))
    except AgentBayError:
        return
    assert isinstance(result, ApiResponse)
    assert result.success == (result.error is None)
    assert not (result.success and status >= 300) or name == "delete"
    repr(result)


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
    assert not is_error or kind is command.Shell
