"""Files of a session, under the path that existing programs import from."""

from agentbay import BinaryFileContentResult as BinaryFileContentResult
from agentbay import BoolResult as BoolResult
from agentbay import DirectoryListResult as DirectoryListResult
from agentbay import DownloadResult as DownloadResult
from agentbay import FileChangeEvent as FileChangeEvent
from agentbay import FileChangeResult as FileChangeResult
from agentbay import FileContentResult as FileContentResult
from agentbay import FileInfoResult as FileInfoResult
from agentbay import FileSearchResult as FileSearchResult
from agentbay import FileSystem as FileSystem
from agentbay import FileTransfer as FileTransfer
from agentbay import MultipleFileContentResult as MultipleFileContentResult
from agentbay import UploadResult as UploadResult
