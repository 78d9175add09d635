"""Displays from the engine's side: their start, their end, and what the keyboard has."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import string
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from agentbay import AgentBay
from agentbay.local._desktop import keyboard, screen
from agentbay.local._desktop.display import Display, ensure
from agentbay.local._desktop.screen_links import ScreenLinks
from agentbay.local._errors import EngineError, ToolFailure
from agentbay.local._sandbox import bwrap
from agentbay.local.engine import EngineOptions, engine_running
from agentbay.local.sandbox import Isolation, Sandbox
from agentbay.protocol import key_names

from .sandboxes import names_in, processes_with, run, until
from .servers import KEY, serving

_MISSING = [
    name for name in ("Xvfb", "openbox", "xdotool", "xkbcomp") if shutil.which(name) is None
]
needs_desktop = pytest.mark.skipif(
    bool(_MISSING), reason=f"{', '.join(_MISSING)} missing: apt-get install xvfb openbox xdotool"
)

_SOCKETS = Path("/tmp/.X11-unix")


@asynccontextmanager
async def sandbox_in(
    directory: Path, isolation: Isolation | None = None
) -> AsyncGenerator[Sandbox, None]:
    sandbox = await Sandbox.start(directory / "s", "s-1", isolation or Isolation())
    try:
        yield sandbox
    finally:
        await sandbox.close()


def socket_of(display: Display) -> str:
    return display.environment["DISPLAY"].replace(":", "X")


def ended(display: Display) -> bool:
    return not processes_with(display.environment["XAUTHORITY"])


# -- start and end ---------------------------------------------------------------------


@needs_desktop
async def test_a_display_is_of_the_session_and_ends_with_it(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path) as sandbox:
        display = await ensure(sandbox)
        again = await ensure(sandbox)

        assert display == again
        assert len(processes_with(display.environment["XAUTHORITY"])) >= 1
        assert names_in(sandbox.directory / "root/tmp/.X11-unix") == [socket_of(display)]
        listening = await run(sandbox, "cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A '")
        assert listening.stdout == "0\n"
        assert sandbox.environment == display.environment

    assert ended(display)


@needs_desktop
async def test_who_looks_at_a_display_that_has_ended_is_told_so(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path) as sandbox:
        await ensure(sandbox)
        await run(sandbox, "pkill -9 Xvfb")

        async def told() -> bool:
            try:
                await sandbox.call("screen_digest", {})
            except ToolFailure as exc:
                return "X server of the session has ended (signal 9)" in str(exc)
            return False

        await until(told)


@needs_desktop
async def test_without_a_sandbox_a_display_leaves_nothing_behind(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path / "it's ä place", Isolation("none")) as sandbox:
        display = await ensure(sandbox)

        assert "X=640" in await display.run("xdotool", "getmouselocation", "--shell")
        assert len((await screen.picture(display)).data) > 1000
        authority = Path(display.environment["XAUTHORITY"])
        assert all(path.stat().st_mode & 0o077 == 0 for path in (authority, authority.parent))

        assert socket_of(display) in names_in(_SOCKETS)

    assert ended(display)
    assert socket_of(display) not in names_in(_SOCKETS)


@needs_desktop
async def test_without_a_sandbox_a_display_that_does_not_end_is_ended(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path, Isolation("none")) as sandbox:
        display = await ensure(sandbox)
        assert socket_of(display) in names_in(_SOCKETS)
        for pid in processes_with(display.environment["XAUTHORITY"]):
            os.kill(pid, signal.SIGSTOP)

    assert ended(display)
    assert socket_of(display) not in names_in(_SOCKETS)


@needs_desktop
async def test_a_network_of_the_host_does_not_mix_displays(tmp_path: Path) -> None:
    (tmp_path / "2").mkdir()
    shared = Isolation(network="host")
    async with sandbox_in(tmp_path, shared) as one, sandbox_in(tmp_path / "2", shared) as other:
        display, second = await ensure(one), await ensure(other)
        await display.run("xdotool", "mousemove", "1", "2")

        assert "X=640" in await second.run("xdotool", "getmouselocation", "--shell")
        stolen = await run(other, "xdotool getmouselocation", environment={
            "DISPLAY": display.environment["DISPLAY"],
            "XAUTHORITY": second.environment["XAUTHORITY"],
        })  # fmt: skip
        assert "x:1 y:2" not in stolen.stdout


@needs_desktop
async def test_an_engine_that_is_killed_leaves_no_display(tmp_path: Path) -> None:
    def use() -> list[int]:
        with serving(tmp_path) as (process, url):
            client = AgentBay(KEY, endpoint=url)
            session = client.create().unwrap()
            assert session.computer.get_screen_size().success
            path = session.env.get(["XAUTHORITY"]).envs["XAUTHORITY"]
            running = processes_with(path)
            process.kill()
            process.wait()
            return running

    running = await anyio.to_thread.run_sync(use)

    async def gone() -> bool:
        return not set(running) & set(processes_with("Xvfb"))

    assert running
    await until(gone)


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
async def test_programs_that_are_missing_are_named_with_the_way_to_install_them(
    isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bwrap, "_SEARCH_PATH", "/opt/empty")
    monkeypatch.setenv("PATH", "/opt/empty")
    kind = Isolation("none") if isolation == "none" else Isolation()

    async with sandbox_in(tmp_path, kind) as sandbox:
        with pytest.raises(ToolFailure, match=r"Xvfb and openbox .*apt-get install xvfb openbox"):
            await ensure(sandbox)
        assert "DISPLAY" not in sandbox.environment
        display = Display(sandbox, {}, 1)
        with pytest.raises(ToolFailure, match=r"need xdotool .*apt-get install .*xdotool"):
            await display.run("xdotool", "version")


@needs_desktop
async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path) as sandbox:
        with pytest.raises(ToolFailure, match="has no display"):
            await sandbox.call("screen", {"format": "png"})
        with pytest.raises(ToolFailure, match=r"X server did not start: .*signal 11"):
            await sandbox.call("display", {"width": 0, "height": 0})
        assert (await ensure(sandbox)).number == 1


@needs_desktop
async def test_a_program_that_fails_is_told_of(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path) as sandbox:
        display = await ensure(sandbox)

        with pytest.raises(ToolFailure, match="sh failed: oh no"):
            await display.run("sh", "-c", "echo oh no >&2; exit 3")
        with pytest.raises(ToolFailure, match=r"sleep did not end within 0\.2 seconds"):
            await display.run("sleep", "60", time_limit=0.2)


# -- pictures --------------------------------------------------------------------------


async def test_without_pillow_there_is_no_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "PIL" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    async with sandbox_in(tmp_path) as sandbox:
        with pytest.raises(ToolFailure, match="pip install pillow"):
            await screen.picture(Display(sandbox, {}, 1), "jpeg")


async def test_pictures_end_with_their_time_and_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentbay.local._desktop.screen_links._MOST", 250)
    links = ScreenLinks(tmp_path / "kept")
    names = [(await links.add(bytes([number]) * 100)).rpartition("/")[2] for number in range(3)]

    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(names[1:])

    monkeypatch.setattr("agentbay.local._desktop.screen_links._VALIDITY", -1.0)
    await links.add(b"late")
    await links.add(b"x" * 200)
    assert len(list((tmp_path / "kept").iterdir())) == 1


@needs_desktop
async def test_pictures_outlive_their_session_and_not_their_engine(tmp_path: Path) -> None:
    async with engine_running(EngineOptions(tmp_path)) as engine:
        sandbox = await engine.start_sandbox()
        try:
            address = await sandbox.publish((await screen.picture(await ensure(sandbox))).data)
        finally:
            await sandbox.close()
        async with httpx.AsyncClient(timeout=30) as client:
            assert (await client.get(address)).content.startswith(b"\x89PNG")
    assert not [path async for path in anyio.Path(tmp_path).rglob("*.png")]


async def test_a_sandbox_of_no_engine_has_no_addresses(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path) as sandbox:
        with pytest.raises(EngineError, match="no engine"):
            await sandbox.publish(b"")


# -- the keyboard ----------------------------------------------------------------------


def test_every_key_of_the_table_has_a_name_on_the_display() -> None:
    names = {key_names.key_name(spelling) for spelling in key_names._NAMES}

    assert all(keyboard.keysym(name) for name in names)
    assert keyboard.keysym("PageUp") == "Prior"
    assert all(keyboard.keysym(letter) for letter in string.printable[:95])
    for unknown in ("", "Foo", "ä", "\n", "aa", "ctrl"):
        with pytest.raises(ToolFailure, match="no key"):
            keyboard.keysym(unknown)


def test_a_text_is_typed_in_portions_that_the_keyboard_has_room_for() -> None:
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    for text in ("", "plain", "x" * 2000, many, many[:3] * 700, "aä" * 300):
        portions = list(keyboard.portions(text))
        assert "".join(portions) == text
        assert all(0 < len(portion) <= keyboard._MOST for portion in portions)
        foreign = [{c for c in portion if not c.isascii()} for portion in portions]
        assert all(len(found) <= keyboard._MOST_FOREIGN for found in foreign)
    assert len(list(keyboard.portions("x" * 2000))) == 4


@needs_desktop
async def test_characters_stay_on_their_keys_as_long_as_there_is_room(tmp_path: Path) -> None:
    async with sandbox_in(tmp_path) as sandbox:
        display = await ensure(sandbox)
        keys, half = keyboard.Keyboard(), keyboard._MOST_FOREIGN
        first, second, third = (
            "".join(chr(0x4E00 + begin + number) for number in range(half))
            for begin in (0, 100, 200)
        )

        await keys.learn(display, first)
        before = dict(keys._keys)
        await keys.learn(display, second)
        assert before.items() <= keys._keys.items()
        await keys.learn(display, first[:5])
        await keys.learn(display, third)

        kept = keys._keys
        assert all(kept[name] == before[name] for name in _names(first[:5]))
        assert len(set(kept.values())) == len(kept) <= len(keyboard._SPARE)
        layout = await display.run("xkbcomp", "-w0", display.environment["DISPLAY"], "-")
        assert all(name in layout for name in _names(first[:5] + third))


def _names(text: str) -> list[str]:
    return [f"U{ord(character):04X}" for character in text]
