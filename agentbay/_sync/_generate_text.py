"""What the generator writes: functions, docstrings, and their format."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_EXAMPLE = re.compile(r"Examples?:\s*$")
_RUNNER = re.compile(r"\b(?:asyncio|anyio|trio)\.run\((\w+)(?:\(\))?\)")


class Parameters(NamedTuple):
    """The parameters as declared, as passed to the async object, and as passed on unchanged."""

    declared: str
    passed: str
    unchanged: str


class Result(NamedTuple):
    """What a member returns: its annotation, how the value is wrapped, and imports for that."""

    annotation: str
    template: str = "{}"
    setup: str = ""

    @property
    def wrapped(self) -> bool:
        """Whether the value is wrapped at all."""
        return self.template != "{}"

    def wrap(self, expression: str) -> str:
        """The expression for the wrapped value."""
        if self.template.startswith("{}.") and expression.startswith("await "):
            expression = f"({expression})"
        return self.template.replace("{}", expression)


class Def(NamedTuple):
    """One function to write."""

    keyword: str
    name: str
    parameters: Parameters
    returns: str
    doc: str
    body: str
    decorator: str = ""
    overloads: tuple[tuple[str, str], ...] = ()

    def render(self) -> str:
        """The source text."""
        head = f"{self.keyword} {self.name}"
        lines = [f"@overload\n{head}({args}) -> {out}: ..." for args, out in self.overloads]
        # A name that the contract spells in its own way was accepted in the source already.
        accepted = "" if self.name.islower() else "  # noqa: N802"
        declared = f"{head}({self.parameters.declared}) -> {self.returns}:{accepted}"
        body = "\n".join(filter(None, [quoted(self.doc), self.body]))
        return "\n".join([*lines, self.decorator, declared, indent(body), ""])

    def alias(self, canonical: str, name: str) -> Def:
        """The same signature under another name, forwarding to this function."""
        own, target = name + self.name.removeprefix(canonical), f"self.{self.name}"
        doc = f"Same as `{canonical}`." if own == name else twin_doc(self.keyword, name)
        if "property" in self.decorator:
            body = f"return {target}"
            return self._replace(name=own, doc=doc, body=body, decorator="@property")
        awaits = "await " if self.keyword == "async def" else ""
        setup = ""
        if self.overloads:
            returns = f"Awaitable[{self.returns}]" if awaits else self.returns
            setup, target = cast_line(target, returns), "target"
        body = returning(self.returns, f"{awaits}{target}({self.parameters.unchanged})")
        return self._replace(name=own, doc=doc, body=setup + body)


def convert(text: str | None, classes: Mapping[str, str]) -> str:
    """A docstring with its class names and examples rewritten for blocking code."""
    if not text:
        return ""
    lines: list[str] = []
    in_example = False
    for line in text.splitlines():
        if line and not line[0].isspace():
            in_example = bool(_EXAMPLE.match(line))
            line = re.sub(r"`[^`]+`", lambda found: blocking(found[0]), line)
        elif in_example:
            if line.strip() in {"import asyncio", "import anyio", "import trio"}:
                continue
            line = blocking(line)
        lines.append(line)
    result = "\n".join(lines)
    for name, sync in classes.items():
        result = re.sub(rf"\b{name}\b", sync, result)
    return result


def blocking(code: str) -> str:
    """Code without `await` and `async`."""
    code = re.sub(r"\basync (?=with|for|def)", "", code)
    code = _RUNNER.sub(r"\1()", code).replace(".aclose(", ".close(")
    while found := re.search(r"(?<![\w)\]])\(await ", code):
        end = _closing(code, found.start())
        inner, rest = code[found.end() : end], code[end + 1 :]
        # Parentheses that only held the `await` go with it.
        inner = inner if rest[:1] in {".", "["} else f"({inner})"
        code = code[: found.start()] + inner + rest
    return re.sub(r"\bawait ", "", code)


def _closing(code: str, start: int) -> int:
    depth = 0
    for index in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[index], 0)
        if depth == 0:
            return index
    return len(code)


def quoted(text: str) -> str:
    """The text as a docstring; nothing when it is empty."""
    if not text:
        return ""
    prefix = "r" if "\\" in text else ""
    text = text.replace('"""', "'''")
    end = "\n" if "\n" in text or text.endswith('"') else ""
    return f'{prefix}"""{text}{end}"""'


def indent(text: str) -> str:
    """The text, four columns to the right."""
    return "\n".join("    " + line if line else line for line in text.splitlines())


def tidy(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts, by file name, without unused imports and in the format of the project."""
    if importlib.util.find_spec("ruff") is None:
        raise SystemExit(f"the generator needs ruff: {sys.executable} -m pip install ruff")
    with tempfile.TemporaryDirectory() as directory:
        for name, text in texts.items():
            Path(directory, name).write_text(text, "utf-8")
        # No configuration but this one: the result must not depend on where it is made.
        common = ["--quiet", "--isolated", "--no-cache", "--target-version", "py311"]
        rules = ["--fix-only", "--select", "I,F401,F811,TC005"]
        for command in (["check", *rules], ["format"]):
            arguments = [*command, *common, "--line-length", "100", directory]
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *arguments],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"ruff cannot read what the generator wrote:\n{done.stderr}")
        return {name: Path(directory, name).read_text("utf-8") for name in texts}


def with_hints(text: str, package: str) -> str:
    """Let type hints find what the text imports for type checkers only, because of the cost."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            names = [name for child in node.body for name in _hints(child, package)]
            lines[node.end_lineno : node.end_lineno] = ["else:", *map(indent, names)]
            lines.insert(node.lineno - 1, "from .._deferred import Deferred, hint")
    return "\n".join([*lines, ""])


def _hints(node: ast.stmt, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [f'{name.name} = Deferred("{name.name}")' for name in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    home = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    return [f'{name.name} = hint("{home}", "{name.name}")' for name in node.names]


def called(target: str, passed: str) -> str:
    return f"_bridge.call({target}, {passed})" if passed else f"_bridge.call({target})"


def returning(annotation: str, expression: str) -> str:
    if annotation == "NoReturn":
        # Type checkers accept neither a `return` here nor the end of the function.
        return f"assert_never({expression})"
    return expression if annotation == "None" else f"return {expression}"


def twin_doc(keyword: str, name: str) -> str:
    kind = "Awaitable" if keyword == "async def" else "Async"
    return f"{kind} twin of `{name}`, on the caller's event loop."


def cast_line(target: str, returns: str) -> str:
    """A line that makes an overloaded function callable with any parameters."""
    return f'target = cast("Callable[..., {returns}]", {target})\n'
