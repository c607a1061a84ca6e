"""The one sequence of bytes that is hashed, compared and written."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.model.canonical import canonical, digest, plain


class Colour(StrEnum):
    """A word."""

    RED = "red"


class Point(msgspec.Struct):
    """Two numbers."""

    x: int
    y: float


def test_canonical_is_sorted_and_tight() -> None:
    """Keys are sorted, nothing is padded, letters stay letters: the digest is that of any JSON library's text."""
    assert canonical({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}'.encode()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_canonical_refuses_what_is_not_json() -> None:
    """NaN has no JSON: it is refused here, and made text by `plain`."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(math.nan)
    assert plain({"a": [math.nan, -math.inf, 1.5, True]}) == {"a": ["nan", "-inf", 1.5, True]}


def test_plain_opens_structs_mappings_and_dates() -> None:
    """Typed data, read-only mappings, dates, identifiers and strange objects all become JSON."""
    made = plain(
        {
            "point": Point(1, 2.5),
            "mapping": MappingProxyType({"colour": Colour.RED}),
            "at": datetime(2026, 11, 23, tzinfo=UTC),
            "id": UUID(int=5),
            "pair": (1, 2),
            3: {"b", "a"},
            "strange": 1 + 2j,
        }
    )
    assert made == {
        "point": {"x": 1, "y": 2.5},
        "mapping": {"colour": "red"},
        "at": "2026-11-23T00:00:00Z",
        "id": "00000000-0000-0000-0000-000000000005",
        "pair": [1, 2],
        "3": ["a", "b"],
        "strange": "(1+2j)",
    }


def test_plain_keeps_broken_text_visible() -> None:
    """A lone surrogate, as broken UTF-8 leaves it, cannot be encoded: it is written as its escape."""
    assert plain({"\udc80": ("x\udc80",), "n": 10**30}) == {"\\udc80": ["x\\udc80"], "n": 10**30}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_plain_leaves_json_as_it_is(value: object) -> None:
    """JSON stays what it is, and its canonical form survives being read again."""
    assert plain(value) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)
