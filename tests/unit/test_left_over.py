"""What programs leave behind that end: nothing, or a line that says what."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from urllib.parse import parse_qsl, urlsplit

import pytest

from .pool_service import Talk, reply, serving

_BEGIN = """
import asyncio, sys
from agentbay import AgentBay, AsyncAgentBay
url = sys.argv[1]
bay = AgentBay("akm-x", endpoint=url)
bay.list().unwrap()  # loads what a call needs
"""

# How a program gives up a create, and what it prints.
_GIVEN_UP = {
    "deadline": """
with bay.deadline(0.2):
    print(type(bay.create().error).__name__)
""",
    "Ctrl-C": """
try:
    bay.create()
except KeyboardInterrupt as exc:
    print(type(exc).__name__)
""",
    "cancelled task": """
async def main():
    try:
        await asyncio.wait_for(AsyncAgentBay("akm-x", endpoint=url).create(), 0.2)
    except TimeoutError as exc:
        print(type(exc).__name__)
asyncio.run(main())
""",
    "cancelled scope": """
import trio
async def main():
    with trio.move_on_after(0.2) as scope:
        await AsyncAgentBay("akm-x", endpoint=url).create()
    print(scope.cancelled_caught)
trio.run(main)
""",
}
_SAYS = {
    "deadline": "RequestTimeoutError",
    "Ctrl-C": "KeyboardInterrupt",
    "cancelled task": "TimeoutError",
    "cancelled scope": "True",
}


class Account:
    """A service that makes sessions when it is let.

    Attributes:
        is_let: Whether it makes them.
        sessions: Those that there are.
        asked: How many it was asked for.
        made: How many it made.
    """

    def __init__(self, *, is_let: bool = True) -> None:
        self.is_let = is_let
        self.sessions: dict[str, dict[str, str]] = {}
        self.asked = self.made = 0

    async def serve(self, talk: Talk) -> None:
        """Serve one connection."""
        while True:
            head, _, body = (await talk.request()).decode().partition("\r\n\r\n")
            asked = dict(parse_qsl(urlsplit(head.split()[1]).query) + parse_qsl(body))
            answer = {"RequestId": "r-1", "Success": True, "Code": "ok", **await self._done(asked)}
            await talk.say(reply(json.dumps(answer).encode()))

    async def _done(self, asked: dict[str, str]) -> dict[str, object]:
        if asked["Action"] == "CreateMcpSession":
            self.asked += 1
            while not self.is_let:  # noqa: ASYNC110 - set by the thread of the test
                await asyncio.sleep(0.005)  # whether or not the client is still there
            self.made += 1
            self.sessions[name := f"s-{self.made}"] = json.loads(asked["Labels"])
            return {"Data": {"SessionId": name}}
        if asked["Action"] == "ReleaseMcpSession":
            self.sessions.pop(asked["SessionId"])
            return {}
        if asked["Action"] == "GetSession":
            return {"Data": {"SessionId": asked["SessionId"]}}
        wanted = json.loads(asked.get("Labels", "{}")).items()
        found = [name for name, labels in self.sessions.items() if wanted <= labels.items()]
        return {"Data": [{"SessionId": name} for name in found], "NextToken": ""}


def outcome(account: Account, code: str) -> tuple[str, str]:
    """What a program prints, and what it writes to its standard error."""
    with serving(account.serve) as service:
        command = [sys.executable, "-c", _BEGIN + code, service.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("how", _GIVEN_UP)
def test_a_program_that_ends_after_it_gave_up_a_create_leaves_no_session(how: str) -> None:
    account = Account(is_let=False)
    with serving(account.serve) as service:
        command = [sys.executable, "-u", "-c", _BEGIN + _GIVEN_UP[how], service.url]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout is not None
            if how == "Ctrl-C":
                service.wait_until(lambda: account.asked > 0)
                program.send_signal(signal.SIGINT)
            said = program.stdout.readline()
            account.is_let = True
            assert program.communicate(timeout=25) == ("", "")
    assert said == _SAYS[how] + "\n"
    # On a machine under load the time may be over before anything is sent.
    assert (account.made, account.sessions) == (account.asked, {})


def test_a_program_that_ends_tells_which_sessions_go_on() -> None:
    account = Account()
    said = outcome(account, "a, b = (bay.create().unwrap() for _ in range(2))\na.delete().unwrap()")
    assert said == ("", "sessions that were created and not deleted go on running: s-2\n")


_DELETED = """
with bay.session() as session:
    print(session.session_id)
other = AgentBay("akm-x", endpoint=url)
other.get(bay.create().unwrap().session_id).unwrap().delete().unwrap()
"""


def test_a_program_that_deletes_what_it_created_says_nothing() -> None:
    """Also when another client deletes it."""
    account = Account()
    assert outcome(account, _DELETED) == ("s-1", "")
    assert account.sessions == {}
