"""Object storage, under the path that existing programs import from."""

from agentbay import Oss as Oss
from agentbay import OSSClientResult as OSSClientResult
from agentbay import OSSDownloadResult as OSSDownloadResult
from agentbay import OSSUploadResult as OSSUploadResult
