"""An Android device or emulator, by the program `adb`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Collection

import anyio
import attrs

from ...protocol.application import InstalledApp, Process
from .._errors import ToolFailure
from .phones import Said, no_device

# Seconds for one command, and characters of what it says when it fails.
_LIMIT, _SHOWN = 30.0, 400

_SIZE = re.compile(r"(?:Override|Physical) size: (\d{2,5})x(\d{2,5})")
_DUMP = "/sdcard/agentbay-window.xml"
_LAUNCH = "monkey -p {} -c android.intent.category.LAUNCHER 1"


@attrs.frozen
class Devices:
    """The devices that adb sees.

    Attributes:
        program: Where adb is.
        states: What it says of them, by their serial.
    """

    program: str
    states: dict[str, str]

    def pick(self, taken: Collection[str]) -> str:
        """The serial of a device that no session has.

        Raises:
            EngineError: There is none.
        """
        ready = [serial for serial, state in self.states.items() if state == "device"]
        free = [serial for serial in ready if serial not in taken]
        if free:
            return free[0]
        if ready:
            raise no_device(f"other sessions have all of them: {', '.join(ready)}")
        if self.states:
            found = ", ".join(f"{serial} ({state})" for serial, state in self.states.items())
            raise no_device(f"none is ready: {found}")
        raise no_device("it sees none: start an emulator, or allow debugging on a device")

    async def open(self, serial: str) -> AdbPhone:
        """Connect to a device.

        Raises:
            EngineError: It does not answer.
        """
        try:
            return await AdbPhone.open(self.program, serial)
        except ToolFailure as exc:
            raise no_device(f"{serial} does not answer: {exc}") from exc


async def list_devices() -> Devices:
    """Ask adb for devices.

    Raises:
        EngineError: There is no adb, or it does not work.
    """
    program = shutil.which("adb")
    if program is None:
        raise no_device("adb is not installed: `apt-get install adb`")
    try:
        listed = (await _run([program, "devices"], _LIMIT)).stdout.decode(errors="replace")
    except (TimeoutError, OSError) as exc:
        raise no_device(f"adb does not work: {exc or 'it does not answer'}") from exc
    rows = [line.split("\t", 1) for line in listed.splitlines() if "\t" in line]
    return Devices(program, {serial: state.strip() for serial, state in rows})


class AdbPhone:
    """A device that adb sees; see `Phone` for what it does."""

    scripted: bool = False

    def __init__(self, program: str, serial: str, width: int, height: int) -> None:
        self.name: str = serial
        self.width: int = width
        self.height: int = height
        self._program = program

    @classmethod
    async def open(cls, program: str, serial: str) -> AdbPhone:
        """Ask a device for its size.

        Raises:
            ToolFailure: It does not tell.
        """
        phone = cls(program, serial, 0, 0)
        # The last line counts: an override follows the physical size.
        sizes = _SIZE.findall(await phone._shell("wm size"))
        if not sizes:
            raise ToolFailure("it does not tell the size of its screen", number=-1)
        phone.width, phone.height = map(int, sizes[-1])
        return phone

    async def tap(self, x: int, y: int) -> None:
        await self._shell(f"input tap {x} {y}")

    async def swipe(self, start: tuple[int, int], end: tuple[int, int], ms: int) -> None:
        where = " ".join(map(str, (*start, *end, ms)))
        await self._shell(f"input swipe {where}", limit=_LIMIT + ms / 1000)

    async def type(self, text: str) -> None:
        if not text.isascii():
            raise ToolFailure("adb types text of ASCII only: paste other text on the device")
        for number, line in enumerate(text.split("\n")):
            if number:
                await self._shell("input keyevent 66")
            if line:
                # `input` reads %s as a blank, and has no other way to write one.
                await self._shell(f"input text {shlex.quote(line.replace(' ', '%s'))}")

    async def press(self, key: int) -> None:
        await self._shell(f"input keyevent {key}")

    async def tree(self, time_limit: float) -> str:
        said = await self._shell(f"uiautomator dump {_DUMP} && cat {_DUMP}", limit=time_limit)
        return said[said.find("<?xml") :] if "<?xml" in said else said

    async def picture(self) -> bytes:
        done = await _run([*self._to_device, "exec-out", "screencap", "-p"], _LIMIT)
        if done.returncode != 0 or not done.stdout.startswith(b"\x89PNG"):
            raise _failed("screencap", done)
        return done.stdout

    async def apps(self, *, system: bool) -> list[InstalledApp]:
        said = await self._shell("pm list packages" if system else "pm list packages -3")
        names = [line.removeprefix("package:").strip() for line in said.splitlines()]
        return [
            InstalledApp(name, _LAUNCH.format(name), f"am force-stop {name}")
            for name in sorted(filter(None, names))
        ]

    async def start(self, package: str, activity: str, command: str) -> list[Process]:
        if activity:
            said = await self._shell(f"am start -W -n {shlex.quote(f'{package}/{activity}')}")
            problem = "Error" in said
        else:
            said = await self._shell(_LAUNCH.format(shlex.quote(package)))
            problem = "No activities found" in said
        if problem:
            raise ToolFailure(f"{package} cannot be started: {said.strip()[-_SHOWN:]}", number=-1)
        pids = (await self._shell(f"pidof {shlex.quote(package)} || true")).split()
        return [Process(package, int(pid), command) for pid in pids if pid.isdigit()]

    async def stop(self, package: str) -> None:
        installed = await self._shell(f"pm path {shlex.quote(package)} || true")
        if not installed.strip():
            raise ToolFailure(f"the device has no application {package}")
        await self._shell(f"am force-stop {shlex.quote(package)}")

    async def shell(self, command: str, time_limit: float) -> Said | None:
        try:
            done = await _run([*self._to_device, "shell", command], time_limit)
        except TimeoutError:
            return None
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return Said(done.returncode, out, err)

    def address(self) -> str:
        if re.fullmatch(r"emulator-\d{1,5}", self.name):
            # An emulator is named after its console; adb has the port that follows.
            return f"adb connect 127.0.0.1:{int(self.name.partition('-')[2]) + 1}"
        if ":" in self.name:
            return f"adb connect {self.name}"
        raise ToolFailure(
            f"device {self.name} is on a cable and has no address: use `adb -s {self.name}` on the "
            "machine of the engine"
        )

    @property
    def _to_device(self) -> list[str]:
        return [self._program, "-s", self.name]

    async def _shell(self, command: str, *, limit: float = _LIMIT) -> str:
        try:
            done = await _run([*self._to_device, "shell", command], limit)
        except TimeoutError as exc:
            reason = f"{command.split()[0]} did not end within {limit:g} seconds"
            raise ToolFailure(reason, number=-1) from exc
        if done.returncode != 0:
            raise _failed(command.split()[0], done)
        return done.stdout.decode(errors="replace")


async def _run(command: list[str], limit: float) -> subprocess.CompletedProcess[bytes]:
    with anyio.fail_after(limit):
        return await anyio.run_process(command, stdin=subprocess.DEVNULL, check=False)


def _failed(what: str, done: subprocess.CompletedProcess[bytes]) -> ToolFailure:
    said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SHOWN:]
    return ToolFailure(f"{what} failed on the device: {said or done.returncode}", number=-1)
