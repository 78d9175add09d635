"""The proxy through which a browser reaches the network."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ..errors import InvalidInputError
from ._maps import Map
from ._wire import encode

_STRATEGIES = {
    "custom": (),
    "wuying": ("restricted", "polling"),
    "managed": ("polling", "sticky", "rotating", "matched"),
}
_PLACES = ("isp", "country", "province", "city")


def _proxy_type(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or value not in _STRATEGIES:
        known = ", ".join(_STRATEGIES)
        raise InvalidInputError(f"proxy_type must be one of {known}, not {value!r:.80}")


@attrs.define
class BrowserProxy(Map):
    """The proxy through which the browser reaches the network.

    Attributes:
        type: ``custom`` is a server of yours, ``wuying`` and ``managed`` are the service's.
        server: Address of a custom proxy, such as ``http://127.0.0.1:8080``.
        username: Name to log in with at a custom proxy.
        password: Password to log in with.
        strategy: ``restricted`` or ``polling`` (wuying); ``polling``, ``sticky``,
            ``rotating`` or ``matched`` (managed).
        pollsize: How many addresses a wuying proxy takes turns with.
        user_id: Whose address a managed proxy uses.
        isp: Network that a managed, matched proxy is in.
        country: Country that it is in.
        province: Province that it is in.
        city: City that it is in.
    """

    type: str = attrs.field(alias="proxy_type", validator=_proxy_type)
    server: str | None = None
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    strategy: str | None = None
    pollsize: int = 10
    user_id: str | None = None
    isp: str | None = None
    country: str | None = None
    province: str | None = None
    city: str | None = None

    @property
    def proxy_type(self) -> str:
        """The same as `type`."""
        return self.type

    def __attrs_post_init__(self) -> None:
        if self.type == "custom":
            self._need("server")
            return
        self._need("strategy")
        known = _STRATEGIES[self.type]
        if self.strategy not in known:
            raise InvalidInputError(
                f"the strategy of a {self.type} proxy must be one of {', '.join(known)}, "
                f"not {self.strategy!r:.80}"
            )
        if self._polls and not (type(self.pollsize) is int and self.pollsize > 0):
            raise InvalidInputError(f"pollsize must be a positive integer, not {self.pollsize!r}")
        if self.type == "managed":
            self._need("user_id")
        if self.strategy == "matched" and not any(getattr(self, name) for name in _PLACES):
            raise InvalidInputError(f"a matched proxy needs one of {', '.join(_PLACES)}")

    def to_map(self) -> dict[str, Any]:
        """The dictionary that travels: only what a proxy of this type has."""
        names = {
            "custom": ("type", "server", "username", "password"),
            "wuying": ("type", "strategy", "pollsize"),
            "managed": ("type", "strategy", "userId", *_PLACES),
        }[self.type]
        values = cast("dict[str, Any]", encode(self))
        if not self._polls:
            del values["pollsize"]
        return {name: values[name] for name in names if name in values}

    @property
    def _polls(self) -> bool:
        return self.type == "wuying" and self.strategy == "polling"

    def _need(self, name: str) -> None:
        if not getattr(self, name):
            raise InvalidInputError(f"a {self.type} proxy needs {name}")
