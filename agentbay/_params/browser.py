"""What a browser keeps from one session to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs

from .._deferred import hint
from .._value import Value
from ..errors import InvalidInputError
from ..protocol._checks import Choice
from ..protocol.sync_policy import BWList, DeletePolicy, SyncPolicy, UploadPolicy, WhiteList
from . import ContextSync, not_blank

if TYPE_CHECKING:
    from ..protocol.browser import BrowserFingerprintContext
    from ..protocol.extension import ExtensionOption
else:
    BrowserFingerprintContext = hint("agentbay.protocol.browser", "BrowserFingerprintContext")
    ExtensionOption = hint("agentbay.protocol.extension", "ExtensionOption")

_DATA_PATH = "/tmp/agentbay_browser"
_EXTENSIONS_PATH = "/tmp/extensions/"
_FINGERPRINT_PATH = "/tmp/browser_fingerprint"

_MINIMAL = ("/Local State", "/Default/Cookies", "/Default/Cookies-journal")
_STANDARD = (
    *_MINIMAL,
    "/Default/Local Storage",
    "/Default/IndexedDB",
    "/Default/Session Storage",
    "/Default/Login Data",
    "/Default/Login Data-journal",
    "/Default/Login Data For Account",
    "/Default/Login Data For Account-journal",
    "/Default/Web Data",
    "/Default/Web Data-journal",
    "/Default/Preferences",
    "/Default/Secure Preferences",
    "/Default/TransportSecurity",
    "/Default/Network Persistent State",
    "/Default/GPUCache",
    "/Default/Affiliation Database",
    "/Default/Affiliation Database-journal",
)


class BrowserSyncMode(Choice):
    """How much of a browser's data is kept."""

    MINIMAL = "minimal"
    STANDARD = "standard"


def _sync_mode(value: Any) -> BrowserSyncMode:
    try:
        return BrowserSyncMode.STANDARD if value is None else BrowserSyncMode(value)
    except ValueError as exc:
        known = ", ".join(BrowserSyncMode)
        raise InvalidInputError(f"sync_mode must be one of {known}, not {value!r}") from exc


@attrs.define(eq=False, repr=False, init=False)
class BrowserContext(Value):
    """A context that keeps the data of a browser.

    Attributes:
        context_id: Which context.
        auto_upload: Whether the data is saved when the session ends.
        sync_mode: How much is kept: the cookies, or also storage, settings and passwords.
        extension_option: Extensions that the browser gets.
        fingerprint_context: Context with the fingerprint that the browser shows.
    """

    context_id: str = attrs.field(validator=not_blank)
    auto_upload: bool
    sync_mode: BrowserSyncMode = attrs.field(converter=_sync_mode)
    extension_option: ExtensionOption | None
    fingerprint_context: BrowserFingerprintContext | None

    def __init__(
        self,
        context_id: str,
        auto_upload: bool = True,
        sync_mode: BrowserSyncMode | str | ExtensionOption | None = None,
        extension_option: ExtensionOption | None = None,
        fingerprint_context: BrowserFingerprintContext | None = None,
    ) -> None:
        """Keep the data of a browser in a context.

        Args:
            context_id: Which context.
            auto_upload: Whether the data is saved when the session ends.
            sync_mode: How much is kept; ``"standard"`` by default, which includes saved
                passwords. ``"minimal"`` is the cookies. An `ExtensionOption` in this
                place is taken for `extension_option`.
            extension_option: Extensions that the browser gets.
            fingerprint_context: Context with the fingerprint that the browser shows.

        Raises:
            InvalidInputError: There is no such mode, or the context has no id.
        """
        if sync_mode is not None and not isinstance(sync_mode, str):
            if extension_option is not None or not hasattr(sync_mode, "extension_ids"):
                raise InvalidInputError(f"sync_mode must be text, not {sync_mode!r:.80}")
            sync_mode, extension_option = None, sync_mode
        cast("Any", self).__attrs_init__(
            context_id, auto_upload, sync_mode, extension_option, fingerprint_context
        )

    @property
    def extension_context_id(self) -> str | None:
        """The context that holds the extensions."""
        return None if self.extension_option is None else self.extension_option.context_id

    @property
    def extension_ids(self) -> list[str]:
        """The extensions that the browser gets."""
        return [] if self.extension_option is None else list(self.extension_option.extension_ids)

    @property
    def extension_context_syncs(self) -> list[ContextSync] | None:
        """What brings the extensions into the session; None without extensions."""
        return None if self.extension_option is None else self.get_extension_context_syncs()

    @property
    def fingerprint_context_id(self) -> str | None:
        """The context that holds the fingerprint."""
        found = self.fingerprint_context
        return None if found is None else found.fingerprint_context_id

    @property
    def fingerprint_context_sync(self) -> ContextSync | None:
        """What brings the fingerprint into the session; None without one."""
        return self.get_fingerprint_context_sync()

    def get_extension_context_syncs(self) -> list[ContextSync]:
        """What brings the extensions into the session."""
        if not self.extension_context_id or not self.extension_ids:
            return []
        policy = SyncPolicy(
            upload_policy=UploadPolicy(auto_upload=False),
            delete_policy=DeletePolicy(sync_local_file=False),
            bw_list=BWList([WhiteList(name) for name in self.extension_ids]),
        )
        return [ContextSync(self.extension_context_id, _EXTENSIONS_PATH, policy)]

    def get_fingerprint_context_sync(self) -> ContextSync | None:
        """What brings the fingerprint into the session; None without one."""
        if not self.fingerprint_context_id:
            return None
        policy = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False), bw_list=BWList([]))
        return ContextSync(self.fingerprint_context_id, _FINGERPRINT_PATH, policy)

    def get_all_context_syncs(self) -> list[ContextSync]:
        """What brings the extensions and the fingerprint into the session."""
        fingerprint = self.get_fingerprint_context_sync()
        found = self.get_extension_context_syncs()
        return found if fingerprint is None else [*found, fingerprint]

    def get_data_context_sync(self) -> ContextSync:
        """What brings the data of the browser into the session, and back."""
        paths = _MINIMAL if self.sync_mode is BrowserSyncMode.MINIMAL else _STANDARD
        policy = SyncPolicy(
            upload_policy=UploadPolicy(auto_upload=self.auto_upload),
            bw_list=BWList([WhiteList(path) for path in paths]),
        )
        return ContextSync(self.context_id, _DATA_PATH, policy)
