"""Transfers between a session and Object Storage Service (OSS)."""

from __future__ import annotations

from .._results.base import reported
from .._results.oss import OSSClientResult, OSSDownloadResult, OSSUploadResult
from ..errors import InvalidInputError
from ..protocol.oss import (
    OssDownload,
    OssDownloadAnonymous,
    OssEnvInit,
    OssUpload,
    OssUploadAnonymous,
)
from ._resource import Resource


class AsyncOss(Resource):
    """Moves files between a session and Object Storage Service.

    Transfers to and from a bucket need `env_init` before; those of a URL do not. Paths are
    paths of the session.
    """

    @reported(OSSClientResult)
    async def env_init(
        self,
        access_key_id: str,
        access_key_secret: str,
        security_token: str | None = None,
        endpoint: str | None = None,
        region: str | None = None,
        *,
        securityToken: str | None = None,  # noqa: N803 - the name that older programs use
    ) -> OSSClientResult:
        """Set the credentials for later transfers of this session.

        Args:
            access_key_id: The access key.
            access_key_secret: Its secret.
            security_token: The token of temporary (STS) credentials. The cloud asks for one.
            endpoint: Endpoint of the buckets, if it is not the service's own choice.
            region: Region of the buckets, such as ``cn-hangzhou``.
            securityToken: Same as `security_token`.

        Example:
            ```python
            result = await session.oss.env_init("key", "secret", "token")
            print(result.success)
            ```
        """
        if security_token and securityToken and security_token != securityToken:
            raise InvalidInputError("give the token once: security_token=")
        token = security_token or securityToken or None
        call = OssEnvInit(access_key_id, access_key_secret, token, endpoint or None, region or None)
        reply = await self._call(call)
        return OSSClientResult(reply.request_id, True, client_config=reply.value)

    @reported(OSSUploadResult)
    async def upload(self, bucket: str, object: str, path: str) -> OSSUploadResult:
        """Upload a file of the session to a bucket.

        Args:
            bucket: The bucket.
            object: Name of the object; one that exists is replaced.
            path: The file, or a directory, which is uploaded as a zip archive.

        Example:
            ```python
            await session.oss.upload("my-bucket", "report.txt", "/tmp/report.txt")
            ```
        """
        reply = await self._call(OssUpload(bucket, object, path))
        return OSSUploadResult(reply.request_id, True, reply.value)

    @reported(OSSUploadResult)
    async def upload_anonymous(self, url: str, path: str) -> OSSUploadResult:
        """Upload a file of the session with an HTTP PUT.

        Args:
            url: Where to put it; a signed URL, or one that everybody may write to.
            path: The file, or a directory, which is uploaded as a zip archive.
        """
        reply = await self._call(OssUploadAnonymous(url, path))
        return OSSUploadResult(reply.request_id, True, reply.value)

    @reported(OSSDownloadResult)
    async def download(self, bucket: str, object: str, path: str) -> OSSDownloadResult:
        """Download an object of a bucket into the session.

        Args:
            bucket: The bucket.
            object: Name of the object.
            path: The file to write. One that exists is replaced, and missing directories are
                made.

        Example:
            ```python
            await session.oss.download("my-bucket", "report.txt", "/tmp/report.txt")
            ```
        """
        reply = await self._call(OssDownload(bucket, object, path))
        return OSSDownloadResult(reply.request_id, True, reply.value)

    @reported(OSSDownloadResult)
    async def download_anonymous(self, url: str, path: str) -> OSSDownloadResult:
        """Download what a URL holds into the session, with an HTTP GET.

        Args:
            url: A signed URL, or one that everybody may read.
            path: The file to write. One that exists is replaced, and missing directories are
                made.
        """
        reply = await self._call(OssDownloadAnonymous(url, path))
        return OSSDownloadResult(reply.request_id, True, reply.value)
