"""Run the example programs of the contract, word for word, on the embedded engine.

They are taken out of the contract's Python reference where that lies beside the repository, and
are not copied here. What they print is compared with the `# Output:` comments; identifiers,
hosts and paths of URLs differ by nature and are set aside.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

CONTRACT = Path(os.environ["AGENTBAY_CONTRACT"])
REFERENCE = "def get_link_async"  # stands only in the Python reference
SESSION = """\
from agentbay import AgentBay
session = AgentBay().create().session
"""


def main() -> int:
    texts = [path.read_text() for path in sorted(CONTRACT.glob("*.txt"))]
    if not texts:
        print("the contract is not here: its examples are not run")
        return 0
    reference = next(text for text in texts if REFERENCE in text)
    programs = list(examples(reference))
    if len(programs) != 4:
        print(f"found {len(programs)} examples in the contract instead of 4")
        return 1
    return max(check(name, code) for name, code in programs)


def examples(reference: str) -> list[tuple[str, str]]:
    """The name of the method and the program, for each example."""
    found: list[tuple[str, str]] = []
    for section in reference.split("#### ")[1:]:
        name = section.split("\n", 1)[0].replace("\\", "")
        if fenced := re.search(r"\*\*Example\*\*:\s*\n\s*```python\n(.*?)\n\s*```", section, re.S):
            found.append((name, textwrap.dedent(fenced[1])))
        elif lines := re.findall(r"^\s*>>> ?(.*)$", section, re.M):
            found.append((name, SESSION + "\n".join(lines)))
    return found


def check(name: str, code: str) -> int:
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "AGENTBAY_ENDPOINT": "local", "AGENTBAY_LOCAL_HOME": home},
            capture_output=True,
            text=True,
            timeout=120,
        )
    expected = [plain(line) for line in re.findall(r"# Output: (.*)", code)]
    printed = [plain(line) for line in done.stdout.splitlines() if line.strip()]
    if done.returncode == 0 and (printed == expected or (not expected and not done.stderr)):
        print(f"{name}: {len(printed)} lines as documented")
        return 0
    print(f"{name}: exit code {done.returncode}\nexpected: {expected}\nprinted:  {printed}")
    print(done.stderr)
    return 1


def plain(line: str) -> str:
    line = re.sub(r"\b(https?|wss?)://\S+", "<url>", line)
    line = re.sub(r"\bsession-[0-9a-z]{17}\b", "<session>", line)
    return re.sub(r"\b[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\b", "<request>", line).strip()


if __name__ == "__main__":
    sys.exit(main())
