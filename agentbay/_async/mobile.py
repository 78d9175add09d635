"""A mobile device: its screen, its applications and its settings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .._results.application import (
    AppOperationResult,
    InstalledAppListResult,
    ProcessListResult,
)
from .._results.base import reported
from .._results.computer import ScreenshotResult
from .._results.file_system import BoolResult
from .._results.mobile import AdbUrlResult
from .._results.ui import UIElementListResult
from .._transport import Reply
from ..errors import APIError, CommandError
from ..protocol import application as apps
from ..protocol import mobile as tools
from ..protocol import ui
from ..protocol._checks import as_kind
from ..protocol.command import Shell
from ..protocol.computer import Screenshot
from ..protocol.extra_configs import AppManagerRule, MobileExtraConfig, MobileSimulateConfig
from ..protocol.session_details import GetAdbLink, GetLink, LinkData
from ._desktop import waiting
from ._desktop_screen import Touchscreen

# What the gateway of a region answers to actions that it does not have.
_NOT_OFFERED = "InvalidAction.NotFound"

_LISTS = {"White": tools.app_whitelist_script, "Black": tools.app_blacklist_script}


class AsyncMobile(Touchscreen):
    """Uses a mobile device: fingers, keys, applications and settings.

    Coordinates are pixels, counted from the upper left corner of the screen.

    Example:
        ```python
        await session.mobile.tap(540, 1200)
        for element in (await session.mobile.get_clickable_ui_elements()).unwrap():
            print(element.text, element.bounds_rect)
        ```
    """

    # -- the screen --------------------------------------------------------------------

    @reported(BoolResult)
    async def tap(self, x: int, y: int) -> BoolResult:
        """Touch the screen at a point."""
        return await self._done(tools.Tap(x, y))

    @reported(UIElementListResult)
    async def get_all_ui_elements(
        self, timeout_ms: int = 2000, format: str = ui.JSON
    ) -> UIElementListResult:
        """List everything on the screen.

        Args:
            timeout_ms: How long the service may take, in milliseconds.
            format: ``"json"``, or ``"xml"`` for the text of the device itself, which is in
                `raw` of the result.

        Returns:
            The outermost elements; those inside of one are its `children`.
        """
        # JSON is what a service sends unasked, and the first generation cannot be asked.
        wanted = ui.ui_format(format)
        call = ui.GetAllUIElements(timeout_ms, None if wanted == ui.JSON else wanted)
        reply = await self._call(call, timeout=waiting(timeout_ms))
        tree = reply.value
        return UIElementListResult(
            reply.request_id, True, tree.elements, raw=tree.raw, format=tree.format
        )

    async def beta_take_screenshot(self, format: str = "png") -> ScreenshotResult:
        """Take a picture of the screen, and get its bytes.

        Args:
            format: ``"png"`` or ``"jpeg"``.

        Raises:
            InvalidInputError: Another format.
            AgentBayError: The picture could not be taken, or it is damaged.

        Example:
            ```python
            shot = await session.mobile.beta_take_screenshot()
            Path("screen.png").write_bytes(shot.data)
            ```
        """
        return await self._picture(Screenshot(format))

    async def beta_take_long_screenshot(
        self, max_screens: int = 4, format: str = "png", quality: int | None = None
    ) -> ScreenshotResult:
        """Take a picture of what a view shows while it is scrolled, and get its bytes.

        Args:
            max_screens: How many screens high the picture may become, from 2 to 10.
            format: ``"png"`` or ``"jpeg"``.
            quality: Of a jpeg, from 1 to 100; a png has none.

        Raises:
            InvalidInputError: A value is out of range.
            AgentBayError: The picture could not be taken, or it is damaged.
        """
        call = tools.LongScreenshot(max_screens, format, quality)
        return await self._picture(call.fitting())

    # -- applications ------------------------------------------------------------------

    @reported(InstalledAppListResult)
    async def get_installed_apps(
        self, start_menu: bool = False, desktop: bool = True, ignore_system_apps: bool = True
    ) -> InstalledAppListResult:
        """List the applications that can be started.

        Args:
            start_menu: Those of the start menu.
            desktop: Those on the home screen.
            ignore_system_apps: Leave out those of the system.
        """
        return await self._apps(apps.GetInstalledApps(start_menu, desktop, ignore_system_apps))

    @reported(ProcessListResult)
    async def start_app(
        self, start_cmd: str, work_directory: str = "", activity: str = ""
    ) -> ProcessListResult:
        """Start an application.

        Args:
            start_cmd: Its `start_cmd`, or ``monkey -p PACKAGE 1``.
            work_directory: Where to start it.
            activity: What to open, such as ``.SettingsActivity``.

        Example:
            ```python
            result = await session.mobile.start_app("monkey -p com.android.settings 1")
            ```
        """
        call = apps.StartApp(start_cmd, work_directory or None, activity or None)
        return await self._processes(call)

    @reported(AppOperationResult)
    async def stop_app_by_cmd(self, stop_cmd: str) -> AppOperationResult:
        """Stop an application by its `stop_cmd`, or by the name of its package."""
        return await self._stopped(apps.StopAppByCommand(stop_cmd))

    # -- settings ----------------------------------------------------------------------

    @reported(BoolResult)
    async def configure(self, mobile_config: MobileExtraConfig | None) -> BoolResult:
        """Make the settings that a configuration names, and leave the others as they are.

        `create` does so for the `extra_configs` of a new session. What a configuration says
        about another device is up to `simulate`.

        Args:
            mobile_config: The settings; None changes nothing.
        """
        result = BoolResult("", True, True)
        for script in [] if mobile_config is None else _scripts(mobile_config):
            result = await self._set(script)
        return result

    @reported(BoolResult)
    async def set_resolution_lock(self, enable: bool) -> BoolResult:
        """Keep applications from changing the resolution, or let them."""
        return await self._set(tools.resolution_lock_script(enable))

    @reported(BoolResult)
    async def set_app_whitelist(self, package_names: Sequence[str]) -> BoolResult:
        """Let only these applications run.

        Args:
            package_names: Names such as ``com.example.app``; at least one.
        """
        return await self._set(tools.app_whitelist_script(package_names))

    @reported(BoolResult)
    async def set_app_blacklist(self, package_names: Sequence[str]) -> BoolResult:
        """Keep these applications from running.

        Args:
            package_names: Names such as ``com.example.app``; none lets all of them run.
        """
        return await self._set(tools.app_blacklist_script(package_names))

    @reported(BoolResult)
    async def set_navigation_bar_visibility(self, hide: bool) -> BoolResult:
        """Hide the navigation bar, or show it."""
        return await self._set(tools.navigation_bar_script(hide))

    @reported(BoolResult)
    async def set_uninstall_blacklist(self, package_names: Sequence[str]) -> BoolResult:
        """Keep these applications from being removed.

        Args:
            package_names: Names such as ``com.example.app``; none lets all be removed.
        """
        return await self._set(tools.uninstall_blacklist_script(package_names, _stamp()))

    @reported(BoolResult)
    async def simulate(self, config: MobileSimulateConfig) -> BoolResult:
        """Take on the traits of another device, once the facts about it are in the session.

        `create` does so for the `extra_configs` of a new session.

        Args:
            config: Where the facts are, and which of them count; nothing happens when its
                `simulate` is False.
        """
        as_kind("config", config, MobileSimulateConfig).validate()
        if not config.simulate or not config.simulate_path:
            return BoolResult("", True, True)
        return await self._set(tools.simulate_script(config.simulate_path, config.simulate_mode))

    # -- adb ---------------------------------------------------------------------------

    @reported(AdbUrlResult)
    async def get_adb_url(self, adbkey_pub: str) -> AdbUrlResult:
        """Get the command that connects adb to the device.

        Args:
            adbkey_pub: The public key of adb, as ``~/.android/adbkey.pub`` holds it.

        Example:
            ```python
            key = Path("~/.android/adbkey.pub").expanduser().read_text()
            print((await session.mobile.get_adb_url(key)).data)
            ```
        """
        reply = await self._adb_link(tools.adb_option(adbkey_pub))
        return AdbUrlResult(reply.request_id, True, reply.value.url)

    async def _adb_link(self, option: str) -> Reply[LinkData]:
        client, session_id = self._session.get_client(), self._session.session_id
        try:
            return await client.send(GetAdbLink(session_id, option))
        except APIError as exc:
            if exc.code != _NOT_OFFERED:
                raise
        return await client.send(GetLink(session_id, "adb", options=option))

    async def _set(self, script: str) -> BoolResult:
        reply = await self._call(Shell(script))
        shell = reply.value
        if shell.exit_code != 0:
            raise CommandError(
                shell.stderr.strip() or f"the setting was refused (exit code {shell.exit_code})",
                tool=Shell.tool,
                request_id=reply.request_id,
                exit_code=shell.exit_code,
                stdout=shell.stdout,
                stderr=shell.stderr,
            )
        return BoolResult(reply.request_id, True, True)


def _scripts(config: MobileExtraConfig) -> list[str]:
    """What a configuration comes down to; all of it is checked before anything runs."""
    as_kind("mobile_config", config, MobileExtraConfig).validate()
    scripts: list[str] = []
    if config.lock_resolution is not None:
        scripts.append(tools.resolution_lock_script(config.lock_resolution))
    if config.app_manager_rule is not None:
        scripts += _rule(config.app_manager_rule)
    if config.hide_navigation_bar is not None:
        scripts.append(tools.navigation_bar_script(config.hide_navigation_bar))
    if config.uninstall_blacklist:
        scripts.append(tools.uninstall_blacklist_script(config.uninstall_blacklist, _stamp()))
    return scripts


def _rule(rule: AppManagerRule) -> list[str]:
    if not rule.app_package_name_list:
        return []
    return [_LISTS[rule.rule_type or ""](rule.app_package_name_list)]


def _stamp() -> int:
    return int(time.time())
