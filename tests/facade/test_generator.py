"""The generator of the blocking classes, on a small package made for the purpose."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import textwrap
import threading
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import agentbay
from agentbay import _bridge
from agentbay._sync import _generate, _generate_text

ITEM = '''
"""One item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Self, TypeVar, overload


if TYPE_CHECKING:
    from .shelf import AsyncShelf

T = TypeVar("T")
R = TypeVar("R")


class Box(Generic[T]):
    def __init__(self, data: T) -> None:
        self.data = data

    def mapped(self, wrap: Callable[[T], R]) -> Box[R]:
        return Box(wrap(self.data))


class AsyncItem:
    """An item.

    Example:
        async with item.opened() as value:
            print((await item.friend()).name, await item.read("a"))
            async for number in item.numbers():
                await item.aclose()
    """

    LIMIT: ClassVar[int] = 5
    note: str

    def __init__(self, name: str, *, size: int = 1) -> None:
        self._name, self._size, self.note = name, size, ""

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @cached_property
    def shelf(self) -> AsyncShelf:
        """Where it is."""
        from .shelf import AsyncShelf

        return AsyncShelf()

    @overload
    async def read(self, path: str) -> str: ...
    @overload
    async def read(self, path: str, *, format: Literal["bytes"]) -> bytes: ...
    async def read(self, path: str, *, format: Literal["text", "bytes"] = "text") -> str | bytes:
        """Read it; a backslash: \\\\n."""
        return path if format == "text" else path.encode()

    open = read

    async def friend(self) -> AsyncItem:
        """Another item."""
        return AsyncItem("friend")

    async def friends(self) -> list[AsyncItem]:
        return [AsyncItem("a"), AsyncItem("b")]

    async def boxed(self) -> Box[AsyncItem]:
        return Box(AsyncItem("boxed"))

    async def counted(self) -> Box[int]:
        return Box(1)

    async def found(self, name: str) -> AsyncItem | None:
        return AsyncItem(name) if name else None

    async def same(self, other: AsyncItem | None) -> bool:
        return other is not None and other._name == self._name

    async def join(self, *names: str, sep: str = "-", **extra: int) -> str:
        return sep.join([*names, *extra])

    async def each(self, callback: Callable[[int], Awaitable[object]]) -> None:
        for number in range(3):
            await callback(number)

    async def maybe(self, callback: Callable[[int], Awaitable[object]] | None = None) -> bool:
        return callback is not None

    async def asks(self, callback: Callable[[int], Awaitable[str] | str] | None = None) -> str:
        answer = callback(1) if callback else ""
        return answer if isinstance(answer, str) else await answer

    async def numbers(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[str, None]:
        """Open it."""
        yield self._name

    def lent(self) -> AbstractAsyncContextManager[AsyncItem]:
        return _lent(self)

    def shout(self) -> str:
        return self._name.upper()

    async def again(self) -> Self:
        return self

    def __aiter__(self) -> AsyncIterator[int]:
        return self.numbers()

    async def __aenter__(self) -> Self:
        self.note = "entered"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self.note = "closed"

    async def _private(self) -> None: ...


@asynccontextmanager
async def _lent(item: AsyncItem) -> AsyncGenerator[AsyncItem, None]:
    yield item
'''

SHELF = '''
"""A shelf."""

from __future__ import annotations

import builtins

from .item import AsyncItem


class AsyncShelf:
    """A shelf."""

    async def list_items(self) -> builtins.list[AsyncItem]:
        return [AsyncItem("first")]

    async def names(self, start: builtins.list[str]) -> builtins.list[str]:
        return start

    list = list_items
    ls = list_items
'''

TYPED = """
from collections.abc import Iterator
from typing import assert_type
from sample._async.item import Box
from sample._sync.item import Item
from sample._sync.shelf import Shelf

item = Item("a")
assert_type(item.read("x"), str)
assert_type(item.read("x", format="bytes"), bytes)
assert_type(item.open("x", format="bytes"), bytes)
assert_type(item.friend(), Item)
assert_type(item.boxed(), Box[Item])
assert_type(item.found("x"), Item | None)
assert_type(item.shelf, Shelf)
assert_type(item.shelf.list(), list[Item])
assert_type(item.shelf.names(["a"]), list[str])
assert_type(item.numbers(), Iterator[int])
assert_type(item.LIMIT, int)
item.each(print)
with item.lent() as lent:
    assert_type(lent, Item)

async def main() -> None:
    assert_type(await item.read_async("x", format="bytes"), bytes)
    assert_type(await item.boxed_async(), Box[Item])
    assert_type(await item.shelf.ls_async(), list[Item])
    async with item.lent_async() as lent:
        assert_type(lent, Item)
"""


class Sample:
    """A package with async classes, and what is generated from them."""

    def __init__(self, directory: Path, **modules: str) -> None:
        self.root = directory / "sample"
        self.source, self.target = self.root / "_async", self.root / "_sync"
        for package in (self.root, self.source, self.target):
            package.mkdir()
            (package / "__init__.py").touch()
        names = ["as_async", "call", "enter", "iterate", "mapped"]
        lines = [f"from agentbay._bridge import {name} as {name}" for name in names]
        (self.root / "_bridge.py").write_text("\n".join(lines) + "\n")
        names = ["Deferred", "hint"]
        lines = [f"from agentbay._deferred import {name} as {name}" for name in names]
        (self.root / "_deferred.py").write_text("\n".join(lines) + "\n")
        base = Path(agentbay.__path__[0], "_sync", "_base.py").read_text()
        (self.target / "_base.py").write_text(base)
        for name, text in modules.items():
            (self.source / f"{name}.py").write_text(textwrap.dedent(text).lstrip())

    def run(self, *arguments: str) -> int:
        return _generate.main(list(arguments), self.source, self.target)

    def text(self, name: str) -> str:
        return (self.target / f"{name}.py").read_text()


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    made = Sample(tmp_path, item=ITEM, shelf=SHELF)
    assert made.run() == 0
    return made


@pytest.fixture
def item_module(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "path", [str(sample.root.parent), *sys.path])
    yield importlib.import_module("sample._sync.item")
    for name in [name for name in sys.modules if name.split(".")[0] == "sample"]:
        del sys.modules[name]
    _bridge.shutdown()


@pytest.fixture
def item(item_module: ModuleType) -> typing.Any:
    return item_module.Item("pen")


# -- what the generated classes do -------------------------------------------------------------


def test_coroutines_block_and_wrap_what_they_return(item: typing.Any) -> None:
    assert item.friend().name == "friend"
    assert [friend.name for friend in item.friends()] == ["a", "b"]
    assert item.boxed().data.name == "boxed"
    assert item.counted().data == 1
    assert item.found("x").name == "x"
    assert item.found("") is None
    assert item.again() == item
    assert item.shout() == "PEN"


async def test_twins_run_on_the_caller_s_loop(item: typing.Any) -> None:
    assert (await item.friend_async()).name == "friend"
    assert (await item.boxed_async()).data.name == "boxed"
    assert [number async for number in item.numbers_async()] == [1, 2]
    assert [number async for number in item] == [1, 2]
    async with item.lent_async() as lent:
        assert lent == item
    assert await item.open_async("a", format="bytes") == b"a"


def test_parameters_arrive(item: typing.Any) -> None:
    assert item.join("a", "b", sep="+", c=1) == "a+b+c"
    assert item.same(type(item)("pen", size=2))
    assert not item.same(None)
    seen: list[int] = []
    item.each(seen.append)
    assert seen == [0, 1, 2]
    assert item.maybe(print)
    assert not item.maybe()

    def thread_name(_: int) -> str:
        return threading.current_thread().name

    assert item.asks(thread_name) != "agentbay-sync"


def test_iterators_and_context_managers(item: typing.Any) -> None:
    assert list(item.numbers()) == [1, 2]
    assert list(item) == [1, 2]
    with item.opened() as value:
        assert value == "pen"
    with item.lent() as lent:
        assert lent == item
    with item as entered:
        assert entered is item
        assert item.note == "entered"
    assert item.note == "closed"


def test_properties_and_attributes(item: typing.Any) -> None:
    item.name = "pencil"
    assert item.shout() == "PENCIL"
    item.note = "mine"
    assert item._impl.note == "mine"
    assert item.LIMIT == 5
    assert item.shelf is item.shelf


def test_aliases_forward_to_the_canonical_member(item: typing.Any) -> None:
    assert item.open("a", format="bytes") == b"a"
    assert [found.name for found in item.shelf.list()] == ["first"]
    assert inspect.signature(item.open) == inspect.signature(item.read)
    assert item.open.__doc__ == "Same as `read`."


def test_an_alias_follows_an_override(item_module: ModuleType) -> None:
    base: typing.Any = item_module.Item

    class Loud(base):  # type: ignore[misc] # generated at run time
        def read(self, path: str, **options: object) -> str:
            return path.upper()

    assert Loud("x").open("a") == "A"


def test_annotations_can_be_resolved_at_run_time(item_module: ModuleType) -> None:
    returned = typing.get_type_hints(item_module.Item.friends)["return"]
    assert typing.get_args(returned) == (item_module.Item,)


def test_examples_are_rewritten_for_blocking_code(item: typing.Any) -> None:
    assert inspect.cleandoc(item.__class__.__doc__) == textwrap.dedent(
        """\
        An item.

        Example:
            with item.opened() as value:
                print(item.friend().name, item.read("a"))
                for number in item.numbers():
                    item.close()"""
    )
    assert item.read.__doc__.strip() == r"Read it; a backslash: \n."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("print((await a.b(c(1))).d)", "print(a.b(c(1)).d)"),
        ("x = (await f())[0]", "x = f()[0]"),
        ("x = (await f()) + 1", "x = (f()) + 1"),
        ("f(await g()).h", "f(g()).h"),
        ("async def main() -> None:", "def main() -> None:"),
        ("anyio.run(main)", "main()"),
        ("asyncio.run(main())", "main()"),
        ("await bay.aclose()", "bay.close()"),
    ],
)
def test_code_loses_its_await(before: str, after: str) -> None:
    assert _generate_text.blocking(before) == after


def test_prose_keeps_the_word_await() -> None:
    text = "You may await the twin.\n\nArgs:\n    x: Something to await it with."
    assert _generate_text.convert(text, {}) == text


# -- types and style ---------------------------------------------------------------------------


@pytest.mark.slow  # the same on every Python
@pytest.mark.timeout(240)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_types_are_exact(sample: Sample, checker: str) -> None:
    pytest.importorskip(checker)
    root = sample.root.parent
    (root / "typed.py").write_text(TYPED)
    (root / "pyrightconfig.json").write_text(
        '{"typeCheckingMode": "strict", "reportPrivateUsage": false, "reportUnusedClass": false,'
        ' "ignore": ["sample/_async"]}'
    )
    arguments = {
        "mypy": ["--strict", "--cache-dir", str(root / "cache"), "typed.py", "sample/_sync"],
        "pyright": ["--pythonpath", sys.executable, "-p", "."],
    }
    command = [sys.executable, "-m", checker, *arguments[checker]]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_text_is_formatted_and_clean(sample: Sample) -> None:
    config = Path(agentbay.__path__[0]).parent / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--no-cache",
                "--config",
                config,
                sample.target,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout


# -- what stops it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "async def clear(self) -> None: ...\nasync def clear_async(self) -> None: ...",
            "AsyncThing.clear_async: the name clear_async is taken twice",
        ),
        ("async def get(self) -> dict[str, AsyncThing]: ...", "AsyncThing.get: cannot map dict"),
        (
            "async def put(self, things: list[AsyncThing]) -> None: ...",
            "AsyncThing.put: cannot map",
        ),
        ("async def some(self) -> Sequence[AsyncThing]: ...", "AsyncThing.some: cannot map"),
        ("async def all(self) -> AsyncIterator[AsyncThing]:\n    yield self", "AsyncThing.all"),
        ("async def late(self) -> AsyncIterator[int]: ...", "AsyncThing.late: a coroutine that"),
        ("async def open(self, x): ...", "AsyncThing.open: an annotation is missing"),
        ("@classmethod\nasync def new(cls) -> AsyncThing: ...", "AsyncThing.new: @classmethod"),
        ("limit = 5", "AsyncThing.limit: neither an alias"),
    ],
)
def test_what_cannot_be_mapped_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, message: str
) -> None:
    text = "from __future__ import annotations\nclass AsyncThing:\n" + textwrap.indent(body, "    ")
    made = Sample(tmp_path, thing=text)
    assert made.run() == 1
    assert message in capsys.readouterr().err
    assert not (made.target / "thing.py").exists()


def test_inherited_public_members_are_not_dropped_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "class Base:\n    def ping(self) -> int: ...\nclass AsyncThing(Base):\n    pass\n"
    assert Sample(tmp_path, thing=text).run() == 1
    assert "AsyncThing inherits ping from Base" in capsys.readouterr().err


def test_members_of_a_private_module_become_those_of_the_class(tmp_path: Path) -> None:
    base = """
from __future__ import annotations
from decimal import Decimal
class Base:
    async def ping(self) -> Decimal: ...
    call = ping
"""
    text = """
from __future__ import annotations
from ._base_thing import Base
class AsyncThing(Base):
    async def pong(self) -> int: ...
"""
    made = Sample(tmp_path, _base_thing=base, thing=text)
    assert made.run() == 0
    generated = (made.target / "thing.py").read_text()
    assert "from decimal import Decimal" in generated
    for line in ("def ping(self) -> Decimal", "async def call_async(self)", "def pong(self)"):
        assert line in generated
    assert not (made.target / "_base_thing.py").exists()


def test_it_says_when_ruff_is_missing(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    with pytest.raises(SystemExit, match="needs ruff"):
        sample.run()


# -- up to date or not -------------------------------------------------------------------------


def test_what_was_just_written_is_up_to_date(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample.run("--check") == 0
    assert capsys.readouterr().err == ""
    first = sample.text("item").splitlines()[0]
    assert first == (
        "# Generated by agentbay/_sync/_generate.py from agentbay/_async/item.py. Do not edit."
    )


def test_a_stale_file_is_shown_and_rewritten(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = sample.text("shelf")
    (sample.target / "shelf.py").write_text(fresh.replace("def ls(", "def edited("))
    assert sample.run("--check") == 1
    assert "-    def edited(" in capsys.readouterr().err
    assert sample.run() == 0
    assert sample.text("shelf") == fresh


def test_a_missing_file_is_noticed(sample: Sample) -> None:
    (sample.target / "shelf.py").unlink()
    assert sample.run("--check") == 1
    assert not (sample.target / "shelf.py").exists()


def test_an_orphan_is_noticed_and_removed(sample: Sample) -> None:
    orphan = sample.target / "gone.py"
    orphan.write_text(sample.text("shelf"))
    assert sample.run("--check") == 1
    assert sample.run() == 0
    assert not orphan.exists()


def test_a_hand_written_stranger_is_reported_but_not_removed(sample: Sample) -> None:
    stranger = sample.target / "mine.py"
    stranger.write_text("x = 1\n")
    assert sample.run() == 1
    assert stranger.exists()
