"""How contexts follow a session, under the path that existing programs import from."""

from agentbay import BWList as BWList
from agentbay import ContextSync as ContextSync
from agentbay import DeletePolicy as DeletePolicy
from agentbay import DownloadPolicy as DownloadPolicy
from agentbay import DownloadStrategy as DownloadStrategy
from agentbay import ExtractPolicy as ExtractPolicy
from agentbay import Lifecycle as Lifecycle
from agentbay import MappingPolicy as MappingPolicy
from agentbay import RecyclePolicy as RecyclePolicy
from agentbay import SyncPolicy as SyncPolicy
from agentbay import UploadMode as UploadMode
from agentbay import UploadPolicy as UploadPolicy
from agentbay import UploadStrategy as UploadStrategy
from agentbay import WhiteList as WhiteList
