"""Transfers between a session and Object Storage Service (OSS)."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ..errors import InvalidInputError, OssError
from ._calls import Content, Tool, a_path, not_blank
from ._wire import WireError, from_json, named, to_json

SERVER = "wuying_oss"


def _credential(_: object, attribute: attrs.Attribute[object], value: object) -> None:
    # The value is not shown: it may be a secret in the wrong place.
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{attribute.name} must be text that is not blank")


def _url(_: object, attribute: attrs.Attribute[object], value: object) -> None:
    # The value is not shown: a signed URL is a credential.
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        raise InvalidInputError(f"{attribute.name} must begin with http:// or https://")


class _Transfer(Tool[str]):
    """A transfer; services report some failures as text only."""

    __slots__ = ()

    def read(self, text: str) -> str:
        """The text, unless it tells of a failure."""
        said = text.lower()
        if "failed" in said and "success" not in said:
            raise self.failure(text)
        return text

    def write(self, value: str) -> Content:
        """The text as it is."""
        return Content(value)


@attrs.frozen
class OssEnvInit(Tool[dict[str, Any]], tool="oss_env_init", server=SERVER, error=OssError):
    """Set the credentials for later transfers."""

    access_key_id: str = named(doc="The access key.", validator=_credential)
    access_key_secret: str = named(doc="Its secret.", validator=_credential, repr=False)
    security_token: str | None = named(
        doc="Token of temporary credentials.", default=None, repr=False
    )
    endpoint: str | None = named(doc="Endpoint of the service.", default=None)
    region: str | None = named(doc="Region of the buckets.", default=None)

    def read(self, text: str) -> dict[str, Any]:
        """The settings, where the service tells them; else nothing."""
        if not text.strip():
            raise self.failure("the tool did not confirm the credentials")
        if "failed" in text.lower():
            raise self.failure(f"OSS environment initialization failed: {text}")
        try:
            data = from_json(text)
        except WireError:
            return {}
        return cast("dict[str, Any]", data) if isinstance(data, dict) else {}

    def write(self, value: dict[str, Any]) -> Content:
        """The settings as JSON, or a confirmation."""
        return Content(to_json(value) if value else "Set oss config successfully")


@attrs.frozen
class OssUpload(_Transfer, tool="oss_upload", server=SERVER, error=OssError):
    """Upload a file or directory of the session to a bucket."""

    bucket: str = named(doc="The bucket.", validator=not_blank)
    object: str = named(doc="Name of the object.", validator=not_blank)
    path: str = named(doc="The file, or a directory, which is zipped.", validator=a_path)


@attrs.frozen
class OssUploadAnonymous(_Transfer, tool="oss_upload_annon", server=SERVER, error=OssError):
    """Upload a file or directory of the session to a URL."""

    url: str = named(doc="Where to PUT it.", validator=_url, repr=False)
    path: str = named(doc="The file, or a directory, which is zipped.", validator=a_path)


@attrs.frozen
class OssDownload(_Transfer, tool="oss_download", server=SERVER, error=OssError):
    """Download an object of a bucket into the session."""

    bucket: str = named(doc="The bucket.", validator=not_blank)
    object: str = named(doc="Name of the object.", validator=not_blank)
    path: str = named(doc="The file to write.", validator=a_path)


@attrs.frozen
class OssDownloadAnonymous(_Transfer, tool="oss_download_annon", server=SERVER, error=OssError):
    """Download what a URL holds into the session."""

    url: str = named(doc="Where to GET it.", validator=_url, repr=False)
    path: str = named(doc="The file to write.", validator=a_path)
