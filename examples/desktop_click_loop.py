"""Use a desktop as a person would: look at the screen, decide where to click, look again.

Three red windows are on the screen, and each closes when it is clicked. What decides here looks
for red: put a model that reads pictures in its place, and the loop is that of an agent.

It needs `pip install '.[local]'`, which brings Pillow, and, on Debian and Ubuntu:
`apt-get install xvfb openbox xdotool xterm fonts-dejavu-core`. Run it with
`python examples/desktop_click_loop.py`.
"""

import asyncio
import io

from PIL import Image

from agentbay import AsyncAgentBay, AsyncSession

# The terminal tells its program of a click in six characters; then the window closes.
WINDOW = "printf '\\033[?9h'; stty raw -echo; head -c 6 >/dev/null"
PLACES = [(60, 40), (700, 120), (380, 420)]


async def main() -> None:
    async with AsyncAgentBay(endpoint="local") as bay, bay.session() as session:
        computer = session.computer
        size = (await computer.get_screen_size()).unwrap()
        print(f"screen: {size.width} x {size.height}")

        async with asyncio.timeout(60):
            for x, y in PLACES:
                await open_window(session, x, y)
            clicks = 0
            while await windows(session):
                picture = (await computer.beta_take_screenshot()).data
                if (place := decide(picture)) is None:
                    continue  # A window is there before its colour is.
                (await computer.click_mouse(*place)).unwrap()
                clicks += 1
        print("windows left:", await windows(session))
        print("clicked at least once for each:", clicks >= len(PLACES))


async def open_window(session: AsyncSession, x: int, y: int) -> None:
    """Start a program; it is on the screen of the session like any other one."""
    command = f'xterm -bg red -fg red -geometry 30x10+{x}+{y} -e sh -c "$WINDOW"'
    await session.command.run(f"setsid {command} >/dev/null 2>&1 &", envs={"WINDOW": WINDOW})


async def windows(session: AsyncSession) -> int:
    """How many of them run."""
    return int((await session.command.run("pgrep -c xterm || true")).stdout)


def decide(picture: bytes) -> tuple[int, int] | None:
    """Where to click: into the first red area, if there is one."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    red = bytes((255, 0, 0)) * 50
    found = image.tobytes().find(red)
    if found < 0:
        return None
    y, x = divmod(found // 3, image.width)
    return x + 25, y + 25


if __name__ == "__main__":
    asyncio.run(main())
