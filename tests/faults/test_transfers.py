"""Files on their way to and from a store that is faulty: what is told, and what is left."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from agentbay import AsyncSession
from agentbay._deadline import Deadline
from agentbay._results.file_system import DownloadResult, UploadResult
from agentbay.errors import AgentBayError, APIError, TransportError

from ..unit.pool_service import PoolService, Script
from .cases import ATTEMPTS, KEY, client_of
from .faulty import Scene, Trouble, given_up, in_scene, serving_all
from .stores import (
    CONTENT,
    DOWNLOADS,
    DOWNLOADS_THAT_STALL,
    FAR,
    PLACE,
    SECRETS,
    SIGNATURE,
    TAG,
    UPLOADS,
    UPLOADS_THAT_STALL,
    StoreFault,
    control_plane,
    first,
    sound,
)
from .test_requests import shown

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

_HANGS, _SOON = 45.0, 1.0
_OLD = b"what was there"
_NOWHERE = Scene(b"", "")

Result = UploadResult | DownloadResult


@attrs.frozen
class Stage:
    """The servers that a transfer has to do with, and a directory for its file."""

    control: PoolService
    store: PoolService
    elsewhere: PoolService
    directory: Path


@contextmanager
def stages(troubles: Mapping[str, Trouble], directory: Path) -> Generator[dict[str, Stage]]:
    """For each trouble a store that has it, and a service that leads there."""
    with serving_all(_scripts({"it": sound}, _NOWHERE)) as others:
        elsewhere = others["it"]
        scene = Scene(b"", f"{elsewhere.url}{PLACE}?Signature={SIGNATURE}")
        with serving_all(_scripts(troubles, scene)) as stores:
            leads = {
                name: control_plane(f"{store.url}{PLACE}?Expires=1&Signature={SIGNATURE}")
                for name, store in stores.items()
            }
            with serving_all(_scripts(leads, _NOWHERE)) as services:
                yield {
                    name: Stage(services[name], store, elsewhere, directory / name)
                    for name, store in stores.items()
                }


def _scripts(troubles: Mapping[str, Trouble], scene: Scene) -> dict[str, Script]:
    return {name: in_scene(trouble, scene) for name, trouble in troubles.items()}


# -- both ways -----------------------------------------------------------------------------

Way = Callable[[Stage], Awaitable[tuple[Result, list[str]]]]


async def upload(stage: Stage) -> tuple[Result, list[str]]:
    """Send a file; tells the result, and what is wrong about what it leaves."""
    local = _fresh(stage) / "up"
    local.write_bytes(CONTENT)
    async with client_of(stage.control.url, timeout=_HANGS) as bay:
        files = AsyncSession(bay, "s-1").file_system
        result = await files.upload_file(local, FAR, wait=False)
    synced = any(b"Action=SyncContext" in request for request in stage.control.requests)
    wrong = synced is not result.success
    return result, ["the session is to get what is not there"] if wrong else []


async def download(stage: Stage) -> tuple[Result, list[str]]:
    """Fetch a file to where another is; tells the result, and what is wrong there."""
    local = _fresh(stage) / "down"
    local.write_bytes(_OLD)
    async with client_of(stage.control.url, timeout=_HANGS) as bay:
        files = AsyncSession(bay, "s-1").file_system
        result = await files.download_file(FAR, local, wait=False)
    problems = list[str]()
    if local.read_bytes() != (CONTENT if result.success else _OLD):
        problems.append("the file is another one")
    if len(list(stage.directory.iterdir())) > 1:
        problems.append("something is left beside the file")
    return result, problems


def _fresh(stage: Stage) -> Path:
    stage.directory.mkdir(parents=True)
    return stage.directory


# -- what comes of them --------------------------------------------------------------------


def told(stage: Stage, result: Result, fault: StoreFault) -> list[str]:
    """What is wrong about what a result tells."""
    error, times = result.error, ATTEMPTS if fault.again else fault.requests
    problems: list[str] = []
    if type(error) is not (fault.error or type(None)) or result.success is not (error is None):
        problems.append(f"it tells {error!r}, and success={result.success}")
    if isinstance(error, TransportError) and not error.sent:
        problems.append("it says that nothing was sent")
    if isinstance(error, APIError) and error.status_code != fault.status:
        problems.append(f"it tells the status {error.status_code}")
    if max(stage.store.connections, len(stage.store.heads)) != times:
        problems.append(f"the store got {len(stage.store.heads)} requests")
    if fault.again and error is not None and len(error.attempts) != ATTEMPTS:
        problems.append(f"it tells of {len(error.attempts)} attempts")
    if KEY.encode() in b"".join([*stage.store.requests, *stage.elsewhere.requests]):
        problems.append("the store gets the key")
    return [*problems, *secrets_in(f"{result!r} {result.error_message} {shown(error)}")]


def secrets_in(text: str) -> list[str]:
    """The secrets that a text shows."""
    return [f"it shows {secret}" for secret in SECRETS if secret in text]


async def problems_of(way: Way, faults: Mapping[str, StoreFault], directory: Path) -> list[str]:
    """What is wrong about what comes of transfers, one for each fault, all at once."""
    return (await tried(way, faults, directory))[0]


async def tried(
    way: Way, faults: Mapping[str, StoreFault], directory: Path
) -> tuple[list[str], bool]:
    """The same, and whether there is a store that no request had reached by then."""
    found: list[str] = []
    reached: list[bool] = []

    async def one(name: str, stage: Stage) -> None:
        result, problems = await way(stage)
        reached.append(bool(stage.store.heads))
        problems += told(stage, result, faults[name])
        found.extend(f"{name}: {problem}" for problem in problems)

    troubles = {name: fault.trouble for name, fault in faults.items()}
    with stages(troubles, directory) as there, anyio.fail_after(_HANGS):
        async with anyio.create_task_group() as tasks:
            for name, stage in there.items():
                tasks.start_soon(one, name, stage)
    return sorted(found), not all(reached)


@pytest.mark.parametrize(("way", "faults"), [(upload, UPLOADS), (download, DOWNLOADS)])
async def test_what_comes_of_a_fault_of_the_store(
    way: Way, faults: dict[str, StoreFault], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Not httpcore, which logs what is sent and what comes, whatever that is.
    for name in ("agentbay", "httpx"):
        caplog.set_level(logging.DEBUG, name)
    assert await problems_of(way, faults, tmp_path) == []
    assert len(caplog.records) > len(faults)
    assert secrets_in(caplog.text + "".join(repr(record.args) for record in caplog.records)) == []


@pytest.mark.parametrize(("way", "faults"), [(upload, UPLOADS), (download, DOWNLOADS)])
async def test_what_passes_is_overcome(
    way: Way, faults: dict[str, StoreFault], tmp_path: Path
) -> None:
    """The second request brings the file whole, and is the last."""
    passing = {
        name: StoreFault(first(fault.trouble), None, requests=2)
        for name, fault in faults.items()
        if fault.again
    }
    assert await problems_of(way, passing, tmp_path) == []


@pytest.mark.parametrize(
    ("way", "faults"), [(upload, UPLOADS_THAT_STALL), (download, DOWNLOADS_THAT_STALL)]
)
async def test_a_transfer_that_takes_forever_ends_at_the_deadline(
    way: Way, faults: dict[str, StoreFault], tmp_path: Path
) -> None:
    async def attempt(limit: float) -> tuple[list[str], bool]:
        with Deadline(limit):
            return await tried(way, faults, tmp_path / f"{limit:g}")

    problems, _ = await given_up(attempt, lambda found: found[1], _SOON)
    assert problems == []


@pytest.mark.parametrize("name", ["half a file", "half a file and a reset", "chunks cut off"])
async def test_a_download_goes_on_where_it_broke(name: str, tmp_path: Path) -> None:
    with stages({"it": first(DOWNLOADS[name].trouble)}, tmp_path) as there:
        result, problems = await download(there["it"])
    assert (result.error, problems) == (None, [])
    assert isinstance(result, DownloadResult)
    assert (result.http_status, result.bytes_received) == (206, len(CONTENT))
    begin, rest = there["it"].store.heads
    assert b"range:" not in begin.lower()
    assert b"\r\nrange: bytes=" in rest.lower()
    assert b"\r\nrange: bytes=0-" not in rest.lower()
    assert TAG[6:].encode() in rest


async def test_a_download_of_a_file_without_a_tag_begins_again(tmp_path: Path) -> None:
    trouble = DOWNLOADS["half a file without a tag"].trouble
    with stages({"it": first(trouble)}, tmp_path) as there:
        result, problems = await download(there["it"])
    assert (result.error, problems) == (None, [])
    assert [b"range:" in head.lower() for head in there["it"].store.heads] == [False, False]


@pytest.mark.parametrize("way", [upload, download])
@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid:1"])
async def test_a_store_that_cannot_be_reached_is_tried_again(
    way: Way, host: str, tmp_path: Path
) -> None:
    lead = control_plane(f"http://{host}/{PLACE}?Signature={SIGNATURE}")
    with serving_all(_scripts({"it": lead}, _NOWHERE)) as services, anyio.fail_after(_HANGS):
        service = services["it"]
        result, problems = await way(Stage(service, service, service, tmp_path / "files"))
    error = result.error
    assert type(error) is TransportError
    assert (error.sent, len(error.attempts)) == (False, ATTEMPTS)
    assert [*problems, *secrets_in(f"{result!r} {shown(error)}")] == []


@pytest.mark.parametrize("way", [upload, download])
@pytest.mark.parametrize(
    "address", ["", "no address", "gopher://127.0.0.1/{0}", "http://[127.0.0.1/{0}", "http:///{0}"]
)
async def test_an_address_that_is_none_is_an_error(way: Way, address: str, tmp_path: Path) -> None:
    lead = control_plane(address.format(f"{PLACE}?Signature={SIGNATURE}"))
    with serving_all(_scripts({"it": lead}, _NOWHERE)) as services, anyio.fail_after(_HANGS):
        service = services["it"]
        result, problems = await way(Stage(service, service, service, tmp_path / "files"))
    assert isinstance(result.error, AgentBayError)
    assert [*problems, *secrets_in(f"{result!r} {shown(result.error)}")] == []
