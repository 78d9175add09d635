"""How much of its machine a session uses."""

from __future__ import annotations

import attrs

from ._calls import Tool
from ._renamed import renamed
from ._wire import named


@renamed(
    rx_rate_kbps="rx_rate_kbyte_per_s",
    tx_rate_kbps="tx_rate_kbyte_per_s",
    rx_used_kb="rx_used_kbyte",
    tx_used_kb="tx_used_kbyte",
)
@attrs.frozen
class SessionMetrics:
    """How much of its machine a session uses.

    Attributes:
        cpu_count: Number of processors.
        cpu_used_pct: Share of them that is in use, in percent.
        disk_total: Size of the disk in bytes.
        disk_used: Bytes of the disk in use.
        mem_total: Size of the memory in bytes.
        mem_used: Bytes of memory in use.
        rx_rate_kbyte_per_s: Kilobytes received per second.
        tx_rate_kbyte_per_s: Kilobytes sent per second.
        rx_used_kbyte: Kilobytes received in all.
        tx_used_kbyte: Kilobytes sent in all.
        timestamp: When this was measured, as the session writes it.
    """

    cpu_count: int = 0
    cpu_used_pct: float = 0.0
    disk_total: int = 0
    disk_used: int = 0
    mem_total: int = 0
    mem_used: int = 0
    rx_rate_kbyte_per_s: float = named(also=("rx_rate_kbps", "rx_rate_KBps"), default=0.0)
    tx_rate_kbyte_per_s: float = named(also=("tx_rate_kbps", "tx_rate_KBps"), default=0.0)
    rx_used_kbyte: float = named(also=("rx_used_kb", "rx_used_KB"), default=0.0)
    tx_used_kbyte: float = named(also=("tx_used_kb", "tx_used_KB"), default=0.0)
    timestamp: str = ""

    @property
    def rx_rate_kbps(self) -> float:
        """Same as `rx_rate_kbyte_per_s`."""
        return self.rx_rate_kbyte_per_s

    @property
    def tx_rate_kbps(self) -> float:
        """Same as `tx_rate_kbyte_per_s`."""
        return self.tx_rate_kbyte_per_s

    @property
    def rx_used_kb(self) -> float:
        """Same as `rx_used_kbyte`."""
        return self.rx_used_kbyte

    @property
    def tx_used_kb(self) -> float:
        """Same as `tx_used_kbyte`."""
        return self.tx_used_kbyte


@attrs.frozen
class GetMetrics(
    Tool[SessionMetrics], tool="get_metrics", server="wuying_system", returns=SessionMetrics
):
    """Tell how much of its machine a session uses."""
