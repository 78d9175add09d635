"""Facts about another device, kept in a context for the sessions that are to look like it."""

from __future__ import annotations

import json
import posixpath
import time
import uuid
from typing import TYPE_CHECKING

from .._params import ContextSync
from .._results.base import reported
from .._results.mobile import MobileSimulateUploadResult
from ..errors import InvalidInputError
from ..protocol.context_files import GetUploadUrl, ListContextFiles
from ..protocol.extra_configs import MobileSimulateConfig, MobileSimulateMode
from ..protocol.mobile import MOBILE_INFO_FILE, MOBILE_INFO_FOLDER, MOBILE_INFO_PATH
from ..protocol.sync_policy import WhiteList

if TYPE_CHECKING:
    from .client import AsyncAgentBay


class AsyncMobileSimulateService:
    """Uploads the facts about a device, and tells a new session to look like it.

    Example:
        ```python
        device = AsyncMobileSimulateService(bay)
        device.set_simulate_enable(True)
        (await device.upload_mobile_info(text)).unwrap()
        mobile = MobileExtraConfig(simulate_config=device.get_simulate_config())
        params = CreateSessionParams("mobile_latest", extra_configs=ExtraConfigs(mobile=mobile))
        ```
    """

    def __init__(self, agent_bay: AsyncAgentBay) -> None:
        self._bay = agent_bay
        self._enabled = False
        self._mode = MobileSimulateMode.PROPERTIES_ONLY
        self._context_id = ""
        self._path: str | None = None
        self._is_internal = True

    def set_simulate_enable(self, enable: bool) -> None:
        """Choose whether sessions look like the device."""
        self._enabled = enable

    def get_simulate_enable(self) -> bool:
        """Whether sessions look like the device."""
        return self._enabled

    def set_simulate_mode(self, mode: MobileSimulateMode | str) -> None:
        """Choose which traits of the device sessions take on.

        Raises:
            InvalidInputError: There is no such mode.
        """
        try:
            self._mode = MobileSimulateMode(mode)
        except ValueError as exc:
            known = ", ".join(MobileSimulateMode)
            raise InvalidInputError(f"mode must be one of {known}, not {mode!r:.80}") from exc

    def get_simulate_mode(self) -> MobileSimulateMode:
        """Which traits of the device sessions take on."""
        return self._mode

    def set_simulate_context_id(self, context_id: str) -> None:
        """Choose a context that an earlier `upload_mobile_info` created."""
        self._use(context_id, MOBILE_INFO_PATH, is_internal=True)

    def get_simulate_context_id(self) -> str:
        """The context that holds the facts; empty while there is none."""
        return self._context_id

    def get_simulate_config(self) -> MobileSimulateConfig:
        """What the `MobileExtraConfig` of a new session is to be given."""
        context_id = self._context_id if self._is_internal else ""
        return MobileSimulateConfig(self._enabled, self._path, self._mode, context_id or None)

    async def has_mobile_info(self, context_sync: ContextSync) -> bool:
        """Tell whether a context has facts about a device, and use them if it has.

        Args:
            context_sync: The context, and where it is in a session.

        Raises:
            InvalidInputError: There is no `context_sync`.
            AgentBayError: The context cannot be read.
        """
        folder, context_id = _folder(context_sync), context_sync.context_id
        call = ListContextFiles(
            context_id=context_id, parent_folder_path=folder, page_number=1, page_size=50
        )
        entries = (await self._bay.client.send(call)).value.entries
        if not any(entry.file_name == MOBILE_INFO_FILE for entry in entries):
            return False
        self._use(context_id, folder, is_internal=False)
        return True

    async def upload_mobile_info(
        self, mobile_dev_info_content: str, context_sync: ContextSync | None = None
    ) -> MobileSimulateUploadResult:
        """Upload the facts about a device.

        Args:
            mobile_dev_info_content: The facts, as JSON text of an object.
            context_sync: Where to put them; a context of their own by default. If its policy
                has white lists, one for the facts is added, so that sessions get them.

        Raises:
            InvalidInputError: The facts are no JSON text of an object, or there are none.
        """
        _check(mobile_dev_info_content)
        if context_sync is not None:
            _folder(context_sync)
        return await self._upload(mobile_dev_info_content, context_sync)

    @reported(MobileSimulateUploadResult)
    async def _upload(
        self, content: str, context_sync: ContextSync | None
    ) -> MobileSimulateUploadResult:
        if context_sync is None:
            name = f"mobile_sim_{uuid.uuid4().hex}_{int(time.time())}"
            context_id = (await self._bay.context.create(name)).unwrap().id
            folder = MOBILE_INFO_PATH
        else:
            context_id, folder = context_sync.context_id, _folder(context_sync)
        call = GetUploadUrl(context_id, posixpath.join(folder, MOBILE_INFO_FILE))
        reply = await self._bay.client.send(call)
        await self._bay.client.upload(reply.value.url, content.encode())
        if context_sync is not None:
            _let_through(context_sync)
        self._use(context_id, folder, is_internal=context_sync is None)
        return MobileSimulateUploadResult(reply.request_id, True, context_id)

    def _use(self, context_id: str, path: str, *, is_internal: bool) -> None:
        self._context_id, self._path, self._is_internal = context_id, path, is_internal


def _folder(context_sync: ContextSync) -> str:
    """Where the facts are in a session, and in the context too."""
    if not isinstance(context_sync, ContextSync):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"context_sync must be a ContextSync, not {context_sync!r:.80}")
    return context_sync.path.rstrip("/") + MOBILE_INFO_FOLDER


def _check(content: object) -> None:
    if not isinstance(content, str) or not content.strip():
        raise InvalidInputError("mobile_dev_info_content is required: JSON text about the device")
    try:
        facts = json.loads(content)
    except ValueError as exc:
        raise InvalidInputError(f"mobile_dev_info_content is not JSON: {exc}") from exc
    if not isinstance(facts, dict) or not facts:
        raise InvalidInputError("mobile_dev_info_content must be an object that is not empty")


def _let_through(context_sync: ContextSync) -> None:
    """Add the facts to what the caller's policy brings into sessions, if that is not all."""
    if context_sync.policy is None:
        return
    lists = context_sync.policy.bw_list.white_lists
    if lists and not any(item.path in ("", MOBILE_INFO_FOLDER) for item in lists):
        lists.append(WhiteList(MOBILE_INFO_FOLDER))
