"""The engine reads forms as `urllib` does, also long ones, for which it has a way of its own."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from hypothesis import given
from hypothesis import strategies as st

from agentbay.local import _web

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_longer = _web._LONG * "x"


@given(fields=st.dictionaries(_texts, _texts, max_size=4))
def test_what_was_written_is_read(fields: dict[str, str]) -> None:
    long = {name: value + _longer + value for name, value in fields.items()}
    for written in (fields, long):
        assert dict(_web._form(urlencode(written))) == written


@given(
    parts=st.lists(
        st.sampled_from(
            [
                "%=",
                "%3D",
                "%3d",
                "%zz",
                "%C3%A4",
                "%C3",
                "+",
                "\r",
                "\n",
                "ä",
                "=",
                "==",
                "a",
                "b",
                "_",
                "%00",
            ]
        )
    )
)
def test_what_nobody_should_write_is_read_as_urllib_does(parts: list[str]) -> None:
    for value in ("".join(parts), _longer + "".join(parts), "".join(parts) + _longer):
        assert _web._form(f"a={value}&b=1") == parse_qsl(f"a={value}&b=1", keep_blank_values=True)
