"""Applications of a desktop, under the path that existing programs import from."""

from agentbay import ApplicationManager as ApplicationManager
from agentbay import AppOperationResult as AppOperationResult
from agentbay import InstalledApp as InstalledApp
from agentbay import InstalledAppListResult as InstalledAppListResult
from agentbay import Process as Process
from agentbay import ProcessListResult as ProcessListResult
from agentbay._results.application import AppInfoResult as AppInfoResult
from agentbay._results.application import AppInstallResult as AppInstallResult
from agentbay._results.application import AppListResult as AppListResult
