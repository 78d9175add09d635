"""The screen of a mobile device in the live view: the mouse is a finger there."""

from __future__ import annotations

from .._phone.phones import BACK, DELETE, ENTER, HOME, Phone
from .view_input import Event, Hands

# Milliseconds that a drag with the mouse takes on the device.
_SWIPE = 300
# Pixels within which a finger that was not lifted has not moved.
_STILL = 10

_KEYS = {"Enter": ENTER, "Backspace": DELETE, "Escape": BACK, "Home": HOME}


class PhoneScreen:
    """The screen of a device; see `Screen`."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    async def digest(self) -> object:
        return None

    async def picture(self) -> bytes:
        return await self._phone.picture()

    async def hands(self) -> Hands:
        return _Finger(self._phone)


class _Finger:
    """One finger, and a keyboard."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._touched: tuple[int, int] | None = None

    async def act(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == "down":
                self._touched = self._place(event)
            elif event.kind == "up" and self._touched is not None:
                start, self._touched = self._touched, None
                await self._lift(start, self._place(event))
            elif event.kind == "text":
                await self._phone.type(event.text)
            elif event.kind == "keydown" and event.key in _KEYS:
                await self._phone.press(_KEYS[event.key])
            elif event.kind == "keydown" and len(event.key) == 1:
                await self._phone.type(event.key)

    async def let_go(self) -> None:
        """A finger that has not been lifted has not touched the device yet."""

    async def _lift(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        if all(abs(a - b) < _STILL for a, b in zip(start, end, strict=True)):
            await self._phone.tap(*start)
        else:
            await self._phone.swipe(start, end, _SWIPE)

    def _place(self, event: Event) -> tuple[int, int]:
        x = min(max(event.x, 0), self._phone.width - 1)
        return x, min(max(event.y, 0), self._phone.height - 1)
