"""How the guest follows the directories of a watch."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentbay.local.guest import changes, watch
from agentbay.local.guest.watch import _Notices


@pytest.fixture
def notices() -> Iterator[_Notices]:
    found = _Notices()
    yield found
    found.close()


def test_following_tells_whether_there_is_more_to_look_at(
    notices: _Notices, tmp_path: Path
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()

    assert notices.follow({str(tmp_path)})
    assert not notices.follow({str(tmp_path)})
    assert notices.follow({str(tmp_path), str(inner)})
    assert not notices.follow({str(tmp_path)})


def test_what_comes_into_a_directory_before_it_is_followed_is_seen(tmp_path: Path) -> None:
    class Late(_Notices):
        def follow(self, paths: set[str]) -> bool:
            (tmp_path / "late").touch()
            return super().follow(paths)

    notices = Late()
    try:
        assert str(tmp_path / "late") in watch._look(str(tmp_path), notices, known=False)
    finally:
        notices.close()


def test_a_system_that_tells_nothing_is_looked_at_regularly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watch, "_library", lambda: None)
    notices = _Notices()

    assert not notices.follow({str(tmp_path)})
    assert not notices.told(complete=True)
    notices.close()


def test_a_look_that_was_held_up_is_no_reason_to_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rests: list[float] = []

    def slow(path: str, notices: _Notices, *, known: bool) -> changes.Snapshot:
        time.sleep(0.2)
        return changes.take_snapshot(path, known=known)

    def rest(_: socket.socket, seconds: float) -> None:
        rests.append(seconds)
        raise BrokenPipeError

    def at_once(*_: object, complete: bool) -> None:
        pass

    monkeypatch.setattr(watch, "_look", slow)
    monkeypatch.setattr(watch, "_rest", rest)
    monkeypatch.setattr(_Notices, "wait", at_once)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(BrokenPipeError):
        watch.watch({"path": str(tmp_path)}, theirs)

    assert rests[0] < 0.2
