"""What the service would refuse or lose, refused before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ..errors import InvalidInputError

FIRST_PORT, LAST_PORT = 30100, 30199


def check_labels(labels: object) -> dict[str, str]:
    """Refuse labels that the service would not keep.

    Raises:
        InvalidInputError: Not a dictionary, or a key or a value is not text, or is blank.
    """
    if not isinstance(labels, Mapping):
        raise InvalidInputError(f"labels must be a dictionary of text, not {labels!r}")
    for key, value in cast(Mapping[object, object], labels).items():
        if not isinstance(key, str) or not key.strip():
            raise InvalidInputError(f"a label key must be text that is not blank, not {key!r}")
        if not isinstance(value, str) or not value.strip():
            raise InvalidInputError(
                f"the value of label {key!r} must be text that is not blank, not {value!r}"
            )
    return dict(cast(Mapping[str, str], labels))


def check_port(port: object) -> int:
    """Refuse a port that the service does not link to.

    Raises:
        InvalidInputError: Not an int, or outside 30100-30199.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not FIRST_PORT <= port <= LAST_PORT:
        raise InvalidInputError(
            f"Invalid port value: {port!r}. "
            f"Port must be an integer in the range [{FIRST_PORT}, {LAST_PORT}]."
        )
    return port
