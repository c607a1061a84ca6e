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

from runbooks.model.canonical import _written_slowly, canonical, digest, plain, written


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


ANY_TEXT = st.text(st.characters())  # lone surrogates, control characters and line separators included
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary() | st.datetimes() | st.decimals(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(ANY_TEXT | st.integers() | st.floats(allow_nan=False), inner)
        | st.builds(MappingProxyType, st.dictionaries(ANY_TEXT, inner))
        | st.builds(Point, st.integers(), st.floats())
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(ANY_TEXT, ANYTHING) | ANYTHING)
def test_the_quick_way_writes_the_same_bytes(value: object) -> None:
    """Whatever it is, the canonical form of what was written is what was written: no second spelling gets through."""
    text = written(value)
    assert canonical(json.loads(text)) == text
    assert text == _written_slowly(value)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_json_is_written_as_the_standard_library_does(value: object) -> None:
    """Numbers, escapes and the order of keys are those of `json.dumps`, which any other tool can make again."""
    assert written(value).decode() == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("number", [1e-05, 1.5e-07, -1e-05, 1e16, -1.5e300, 5e-324, 1e-04, 9999999999999998.0, -0.0])
def test_numbers_far_from_one_keep_their_spelling(number: float) -> None:
    """Very large and very small numbers are written as Python prints them, at the top and inside."""
    assert written(number).decode() == repr(number)
    assert written([0, {"a": number}]).decode() == f'[0,{{"a":{number!r}}}]'
