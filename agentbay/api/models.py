"""Settings that only some images have, under the path that existing programs import from."""

from agentbay import AppManagerRule as AppManagerRule
from agentbay import ExtraConfigs as ExtraConfigs
from agentbay import MobileExtraConfig as MobileExtraConfig
from agentbay import MobileSimulateConfig as MobileSimulateConfig
from agentbay import MobileSimulateMode as MobileSimulateMode
