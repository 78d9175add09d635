"""What tests of desktops see: pictures as pixels, and programs that tell what they were told."""

from __future__ import annotations

import shutil
import zlib

import anyio
import attrs
import pytest

from agentbay import AsyncSession

from .observing import shell

PROGRAMS = ("Xvfb", "openbox", "xdotool", "xkbcomp", "xterm", "xev", "wmctrl", "zenity")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

needs_desktop = pytest.mark.skipif(
    bool(MISSING),
    reason=f"{', '.join(MISSING)} missing: apt-get install xvfb openbox xdotool xterm x11-utils"
    " wmctrl zenity fonts-dejavu-core",
)

WHITE, BLACK = (255, 255, 255), (0, 0, 0)

Colour = tuple[int, int, int]


@attrs.frozen
class Picture:
    """A picture, as rows of three bytes for each pixel."""

    width: int
    height: int
    rows: list[bytes]

    @classmethod
    def of(cls, png: bytes) -> Picture:
        """Read a PNG file of the kind that the engine writes: RGB, and no filters."""
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        chunks: dict[bytes, bytes] = {}
        place = 8
        while place < len(png):
            size = int.from_bytes(png[place : place + 4])
            kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
            check = png[place + 8 + size : place + 12 + size]
            assert zlib.crc32(kind + data) == int.from_bytes(check)
            chunks[kind] = data
            place += 12 + size
        head = chunks[b"IHDR"]
        width, height = int.from_bytes(head[:4]), int.from_bytes(head[4:8])
        assert head[8:] == bytes((8, 2, 0, 0, 0))
        data = zlib.decompress(chunks[b"IDAT"])
        stride = 1 + 3 * width
        assert len(data) == stride * height
        assert set(data[::stride]) == {0}
        return cls(width, height, [data[y * stride + 1 : (y + 1) * stride] for y in range(height)])

    def at(self, x: int, y: int) -> Colour:
        red, green, blue = self.rows[y][3 * x : 3 * x + 3]
        return red, green, blue

    def count(self, colour: Colour) -> int:
        """How many pixels there are of a colour that differs from its neighbours."""
        return sum(row.count(bytes(colour)) for row in self.rows)

    def centre_of(self, colour: Colour) -> tuple[int, int]:
        """The middle of an area of a colour, with straight edges; there may be smaller ones."""
        run = bytes(colour) * 60
        found = [y for y, row in enumerate(self.rows) if run in row]
        top, bottom = found[0], found[-1]
        left, right = self.rows[top].find(run), self.rows[top].rfind(run) + len(run) - 3
        return (left + right) // 6, (top + bottom) // 2


async def look(session: AsyncSession) -> Picture:
    """What is on the screen."""
    return Picture.of((await session.computer.beta_take_screenshot()).data)


async def has(session: AsyncSession, command: str, limit: float = 30) -> None:
    """Wait until a command of the session succeeds, because of what a program of it does."""
    with anyio.move_on_after(limit):
        while not (await session.command.run(command)).success:  # noqa: ASYNC110 - see above
            await anyio.sleep(0.02)
        return
    seen = await session.command.run("wmctrl -lG; tail -n 40 events typed answer")
    raise AssertionError(f"never came true: {command}\n{seen.stdout}")


async def has_text(session: AsyncSession, path: str, text: str, limit: float = 30) -> None:
    """Wait until a file has a text; tells the difference if it gets another one."""
    found = ""
    with anyio.move_on_after(limit):
        while found != text:
            await anyio.sleep(0.02)
            found = await shell(session, f"cat {path}")
    assert found == text


async def start(session: AsyncSession, command: str, title: str) -> None:
    """Start a program that opens a window of this title, and wait for it to have the focus."""
    await session.computer.get_screen_size()
    await shell(session, f"setsid {command} </dev/null >/dev/null 2>&1 &")
    await has(session, f"test \"$(xdotool getactivewindow getwindowname)\" = '{title}'")


async def start_typewriter(session: AsyncSession, path: str = "typed") -> None:
    """Open a terminal that writes what is typed into a file, as it is."""
    await shell(session, f"rm -f {path}")
    begin = f"stty -echo -icanon -icrnl -isig -ixon; printf ready >&2; exec cat >{path}"
    await start(session, f"xterm -u8 -T typewriter -e sh -c '{begin}'", "typewriter")
    # The file comes after the terminal was set up.
    await has(session, f"test -e {path}")


async def start_witness(session: AsyncSession) -> None:
    """Have a white window, which writes down what the mouse and the keyboard do to it."""
    if not (await session.command.run("pgrep -x xev && test -e events")).success:
        command = "sh -c 'exec stdbuf -oL xev -geometry 300x200+200+100 -name witness >>events'"
        await start(session, command, "witness")
        await has(session, "grep -q 'Expose event' events")
    await shell(session, "truncate -s 0 events")


async def events(session: AsyncSession, pattern: str, last: str, count: int = 1) -> list[str]:
    """What matches a pattern of grep, once the witness has so many lines like `last`."""
    await has(session, f"test $(grep -c '{last}' events) -ge {count}")
    return (await shell(session, f"grep -o '{pattern}' events")).splitlines()
