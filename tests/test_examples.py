"""The programs in `examples/` run, and show what README promises."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agentbay.local._chromium.program import find_chromium

EXAMPLES = Path(__file__).parent.parent / "examples"


# What each example prints, but for those that show the main job.
SHOWN = {
    "browser_playwright.py": ["page: Greeter", "said: Hello, Ada", "picture: "],
    "browser_playwright_async.py": ["titles: Notes of Ada, Notes of Alan"],
    "browser_login_once.py": ["second session: Welcome back, Ada"],
    "desktop_click_loop.py": ["screen: 1280 x 720", "windows left: 0", "for each: True"],
}
DESKTOP = ["Xvfb", "openbox", "xdotool", "xterm"]
MAIN_JOB = ["Hello from wuying", "kept: water the plants", "page: water the plants"]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_shows_what_it_says(name: str, tmp_path: Path) -> None:
    if name.startswith("browser_"):
        pytest.importorskip("playwright", reason="needs playwright: pip install it")
        if find_chromium() is None:
            pytest.skip("needs Chromium: apt-get install chromium")
    if name.startswith("desktop_"):
        pytest.importorskip("PIL", reason="needs Pillow: pip install pillow")
        if missing := [one for one in DESKTOP if shutil.which(one) is None]:
            pytest.skip(f"needs {', '.join(missing)}: apt-get install xvfb openbox xdotool xterm")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        env={**os.environ, "AGENTBAY_LOCAL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for line in SHOWN.get(name, MAIN_JOB):
        assert line in done.stdout
