"""No log line and no error of any test shows a credential that the test used."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentbay._config import Settings
from agentbay.errors import AgentBayError
from agentbay.protocol.sessions import SessionData

# Shorter ones are found in texts that have nothing to do with them.
_SHORTEST = 12

# Whose log lines are looked at. httpx tells in its log whom it asked; tests of the engine ask
# addresses that hold a credential with clients of their own.
_LOGGERS, _OF_THE_CLIENT = ("agentbay",), ("agentbay", "httpx")

# What is a credential, or holds one.
_HOLDERS: dict[type[Any], tuple[str, ...]] = {
    Settings: ("api_key",),
    SessionData: ("token", "link_url", "ws_url"),
}


class _Watcher(logging.Handler):
    """Hears of credentials that are used, and finds them in what is told."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(logging.DEBUG)
        self._names = names
        self.secrets: set[str] = set()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a line of the log."""
        if not record.name.startswith(self._names):
            return
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "".join(traceback.format_exception(record.exc_info[1]))
        self.look(f"log of {record.name}", text)

    def look(self, where: str, text: str) -> None:
        """Keep a text that shows a credential."""
        if any(secret in text for secret in tuple(self.secrets)):
            self.found.append(f"{where}: {text}")

    def learn(self, holder: Any, names: tuple[str, ...]) -> None:
        """Remember the credentials of an object."""
        values = (getattr(holder, name) for name in names)
        # Of an address, what follows the host is the secret.
        secrets = (
            value.partition("://")[2].partition("/")[2] if "://" in value else value
            for value in values
        )
        self.secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST)


def _followed_by(made: Callable[..., None], then: Callable[[Any], None]) -> Callable[..., None]:
    @functools.wraps(made)
    def init(self: Any, *args: Any, **named: Any) -> None:
        made(self, *args, **named)
        then(self)

    return init


@pytest.fixture(autouse=True)
def no_secret_is_told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a credential came into a log line or into an error."""
    names = _OF_THE_CLIENT if request.path.parent.name in ("unit", "faults") else _LOGGERS
    watcher = _Watcher(names)
    # A test that looks at the log itself says what is logged.
    raised = () if "caplog" in request.fixturenames else names

    def error(exc: AgentBayError) -> None:
        watcher.look(type(exc).__name__, f"{exc} {exc.args!r} {exc.extra!r}")

    levels = {name: logging.getLogger(name).level for name in raised}
    with pytest.MonkeyPatch.context() as patch:
        for kind, holds in _HOLDERS.items():
            learn = functools.partial(watcher.learn, names=holds)
            patch.setattr(kind, "__init__", _followed_by(kind.__init__, learn))
        patch.setattr(AgentBayError, "__init__", _followed_by(AgentBayError.__init__, error))
        logging.getLogger().addHandler(watcher)
        for name in raised:
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(watcher)
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
    assert not watcher.found, "a credential was shown: " + "\n".join(watcher.found[:3])
