"""Run the parts that are asked for, one after the other."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from ._measure import machine

PARTS = ("imports", "engine", "transport", "overhead", "facade", "memory", "big_data")


def main(arguments: list[str]) -> int:
    """Print what the parts measure; all of them but the soak, if none is named."""
    if arguments[:1] == ["soak"]:
        soak = importlib.import_module(f"{__package__}.soak")
        return int(soak.main(arguments[1:]))
    there = [part for part in PARTS if importlib.util.find_spec(f"{__package__}.{part}")]
    if unknown := set(arguments) - set(there):
        sys.stderr.write(f"no part {', '.join(sorted(unknown))}: use {', '.join(there)}\n")
        return 2
    print(machine())
    for part in arguments or there:
        importlib.import_module(f"{__package__}.{part}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
