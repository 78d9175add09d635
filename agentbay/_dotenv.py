"""Read the `AGENTBAY_*` settings out of the text of a `.env` file."""

from __future__ import annotations

_PREFIX = "AGENTBAY_"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def parse_dotenv(text: str) -> dict[str, str]:
    r"""Read ``NAME=value`` lines; of a name that stands twice, the later one counts.

    A line may start with ``export``. Single quotes keep a value as it is; double quotes know
    ``\n``, ``\t``, ``\r``, ``\"`` and ``\\``; both may span lines. A value without quotes ends at
    a ``#`` that follows a space. Lines that make no sense are skipped, because the file may be
    another program's, and for the same reason only names that start with ``AGENTBAY_`` are kept.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        name, value, position = _assignment(text, position)
        if name.startswith(_PREFIX) and value is not None:
            found[name] = value
    return found


def _assignment(text: str, start: int) -> tuple[str, str | None, int]:
    """One line from `start`: its name, its value, and where the next line begins."""
    end = _line_end(text, start)
    name, equals, rest = text[start:end].partition("=")
    name = name.strip()
    if name.startswith(("export ", "export\t")):
        name = name[len("export ") :].lstrip()
    if not equals or name.startswith("#"):
        return "", None, end + 1
    stripped = rest.lstrip(" \t")
    if stripped[:1] in ("'", '"'):
        return name, *_quoted(text, end - len(stripped), end)
    return name, _unquoted(rest), end + 1


def _quoted(text: str, opening: int, line_end: int) -> tuple[str | None, int]:
    """The value that a quote at `opening` begins, and where the next line begins."""
    quote = text[opening]
    value: list[str] = []
    position = opening + 1
    while position < len(text) and text[position] != quote:
        character = text[position]
        if character == "\\" and quote == '"' and text[position + 1 : position + 2] in _ESCAPES:
            position += 1
            character = _ESCAPES[text[position]]
        value.append(character)
        position += 1
    if position >= len(text):
        # A quote without its partner spoils its own line, not the rest of the file.
        return None, line_end + 1
    end = _line_end(text, position)
    rest = text[position + 1 : end].strip()
    return ("".join(value) if not rest or rest.startswith("#") else None), end + 1


def _unquoted(rest: str) -> str:
    for position, character in enumerate(rest):
        if character == "#" and (position == 0 or rest[position - 1] in " \t"):
            return rest[:position].strip()
    return rest.strip()


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
