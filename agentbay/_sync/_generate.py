"""Write the blocking classes in agentbay/_sync from the async ones in agentbay/_async.

    python -m agentbay._sync._generate            rewrite the files
    python -m agentbay._sync._generate --check    show what differs, and fail if anything does

Signatures, docstrings, decorators and aliases (``exec = run``) are read; what a body does is
not. Each public coroutine ``f`` becomes a blocking ``f`` and an awaitable ``f_async``. The
generator stops at anything that it cannot map, and names the class and the member.
"""

from __future__ import annotations

import ast
import difflib
import sys
from pathlib import Path

from ._generate_class import MARK, Module, UnsupportedError
from ._generate_read import Base, async_classes, public_members
from ._generate_text import tidy, with_hints

PACKAGE = Path(__file__).parent.parent


def generate(source: Path) -> dict[str, str]:
    """The text of each generated file, by file name."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(source.glob("*.py"))}
    public = {p: async_classes(tree) for p, tree in trees.items() if not p.name.startswith("_")}
    classes = {n.name: n.name.removeprefix("Async") for found in public.values() for n in found}
    bases = {
        node.name: Base(path, tree, node)
        for path, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and public_members(node)
    }
    texts = {p.name: Module(p, classes, bases).render() for p, found in public.items() if found}
    target = f"{source.parent.name}._sync"
    return tidy({name: with_hints(text, target) for name, text in tidy(texts).items()})


def differences(texts: dict[str, str], target: Path) -> dict[str, str]:
    """A diff for each file that is stale, missing, or has no source."""
    found: dict[str, str] = {}
    orphans = {path.name for path in target.glob("*.py") if not path.name.startswith("_")}
    for name in sorted(texts.keys() | orphans):
        path = target / name
        old = path.read_text("utf-8") if path.exists() else ""
        new = texts.get(name, "")
        if old != new or name not in texts:
            lines = difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), str(path), "generated"
            )
            found[name] = "".join(lines) or f"{path} has no source\n"
    return found


def write(texts: dict[str, str], target: Path) -> None:
    """Bring the directory up to date; of other files only generated ones are removed."""
    for name in differences(texts, target):
        path = target / name
        if name in texts:
            path.write_text(texts[name], "utf-8")
        elif path.read_text("utf-8").startswith(MARK):
            path.unlink()


def main(arguments: list[str], source: Path, target: Path) -> int:
    """Run the command line; 0 when all is well."""
    try:
        texts = generate(source)
    except UnsupportedError as exc:
        print(f"cannot generate: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    if "--check" not in arguments:
        write(texts, target)
    found = differences(texts, target)
    sys.stderr.writelines(found.values())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PACKAGE / "_async", PACKAGE / "_sync"))
